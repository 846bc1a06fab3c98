"""The Python environment we run in: what only the user's project can tell is added to it late."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import process
from model_gitops.errors import ExternalError

_SCRIPTS = Path(__file__).resolve().parents[2]


def ensure_dvc(why: str) -> None:
    """Install DVC, which most runs of the light actions do without, unless it is there; the log says `why`.

    Raises ExternalError.
    """
    ensure_extra("dvc", module="dvc", package="dvc", why=why)


def ensure_extra(extra: str, *, module: str, package: str, why: str = "") -> None:
    """Install the `extra` of pyproject.toml, at locked versions, unless `module` is there.

    `package` is what a person would install instead (`dvc[s3]`). Raises ExternalError.
    """
    # What a run that was killed had installed is no whole package (run.sh).
    whole = not Path(sys.prefix, "unfinished").exists()
    if whole and importlib.util.find_spec(module) is not None:
        return
    script = _SCRIPTS / "run.sh"
    # Set by it: else this is a package that a person installed, into an environment of their own.
    if not os.environ.get("MODEL_GITOPS_UV") or not script.is_file():
        raise ExternalError(
            f"the Python package {package} is not installed", fix=f"pip install '{package}'"
        )
    runner.say(f"installing {package}{why and f', {why}'}")
    # The one installer: the same lock, store and manifest. What it says is said here again.
    done = process.run(["bash", script, "extra", extra, sys.prefix], check=False, timeout=1800)
    if done.returncode != 0:
        said = done.stderr.strip()
        reason = said.rpartition("error: ")[2] or f"status {done.returncode}"
        runner.say(said)
        raise ExternalError(f"{package} can't be installed: {reason}")
    importlib.invalidate_caches()
    if importlib.util.find_spec(module) is None:
        raise ExternalError(f"{package} was installed, but {module} can't be imported")
