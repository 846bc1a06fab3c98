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


def ensure_extra(extra: str, *, module: str, package: str) -> None:
    """Install the `extra` of pyproject.toml, at locked versions, unless `module` is there.

    `package` is what a person would install instead (`dvc[s3]`). Raises ExternalError.
    """
    if importlib.util.find_spec(module) is not None:
        return
    uv = os.environ.get("MODEL_GITOPS_UV", "")
    project, lock = _SCRIPTS.parent / "pyproject.toml", _SCRIPTS / "requirements.txt"
    if not uv or not lock.is_file():
        raise ExternalError(
            f"the Python package {package} is not installed", fix=f"pip install '{package}'"
        )
    runner.say(f"installing {package}")
    process.run(
        [
            uv, "pip", "install", "--quiet", "--python", sys.executable,
            "--requirement", project, "--extra", extra,
            "--constraint", lock, "--verify-hashes",
        ],
        env={"UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"},
        timeout=1800,
    )  # fmt: skip
    importlib.invalidate_caches()
    if importlib.util.find_spec(module) is None:
        raise ExternalError(f"{package} was installed, but {module} can't be imported")
