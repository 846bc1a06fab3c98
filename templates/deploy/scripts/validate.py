"""Build everything in this repository and check it, as its workflow `validate` does.

Usage: python3 scripts/validate.py [FOLDER]. It needs kustomize, Python 3.11 or newer and, the first time, Go
and a network. It makes an environment in .venv-validate. What is built is left in FOLDER, by default in a
temporary one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-validate"


def main() -> int:
    """Build, check, and return the status of what failed."""
    wanted = (HERE / "requirements.txt").read_text("utf-8")
    ready = ENVIRONMENT / "requirements.txt"  # written last
    if not ready.exists() or ready.read_text("utf-8") != wanted:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        pip = [ENVIRONMENT / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", HERE / "requirements.txt"], check=True)
        (ENVIRONMENT / ".gitignore").write_text("*\n", "utf-8")
        ready.write_text(wanted, "utf-8")
    python = ENVIRONMENT / "bin" / "python"
    with tempfile.TemporaryDirectory() as name:
        folder = sys.argv[1] if len(sys.argv) > 1 else name
        for step in ("build_manifests.py", "check_manifests.py"):
            if status := subprocess.run([python, HERE / step, folder], check=False).returncode:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
