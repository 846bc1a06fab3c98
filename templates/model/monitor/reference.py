"""Stage `reference`: what the live model was trained on, and its predictions on the test set.

What is live says the environment variable MONITOR_LIVE: the lineage, as trace-model prints it with
`--json`. The files of its commit are read through DVC. Without it the reference is this commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dvc.api
import yaml
from dvc.exceptions import PathMissingError


def git(*args: str) -> str:
    """Return what Git says."""
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout.strip()


def live(lineage: str) -> dict[str, str]:
    """Return commit, version and model hash of what is live; of this checkout where nobody says."""
    if not lineage.strip():
        return {"commit": git("rev-parse", "HEAD"), "version": "", "hash": ""}
    traced: dict[str, Any] = json.loads(lineage)
    source, version = traced["source"] or {}, traced["version"] or {}
    if not source.get("known"):
        raise SystemExit("reference: what is live comes from no commit of this repository")
    # A full hash of our own repository: no option, and no path.
    commit = git("rev-parse", "--verify", "--end-of-options", f"{source['commit']}^{{commit}}")
    return {
        "commit": commit,
        "version": str(version.get("tag") or "").rpartition("@")[2],
        "hash": str(source.get("model_hash") or ""),
    }


def read(path: str, commit: str) -> str | None:
    """Return a file of a commit, whether Git or DVC keeps it; None where neither has it."""
    top = git("rev-parse", "--show-toplevel")
    project = Path.cwd().parent.relative_to(top).as_posix()
    try:
        with dvc.api.open(f"{project}/{path}", repo=top, rev=commit, encoding="utf-8") as file:
            return str(file.read())
    except PathMissingError:
        return None


def main() -> int:
    """Write the folder `reference`; 0 is good."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["reference"]
    about = live(os.environ.get("MONITOR_LIVE", ""))
    folder = Path("reference")
    folder.mkdir(exist_ok=True)
    print(f"reference: {about['version'] or 'the model'} of commit {about['commit'][:12]}")
    for name in ("data", "predictions"):
        text = read(params[name], about["commit"])
        if text is None:
            # Without predictions there is no performance to compare; without data there is nothing.
            said = (
                f"reference: {params[name]} of that commit is neither in Git nor on the DVC remote"
            )
            if name == "data":
                raise SystemExit(f"{said}: run `dvc push` where it was made")
            print(said)
            continue
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
