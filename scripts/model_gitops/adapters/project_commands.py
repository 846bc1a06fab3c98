"""The project's own commands: what its Makefile has, and how one is run, as a step of a workflow runs it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from model_gitops.adapters import paths, process, project_files
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import stages
from model_gitops.core.dvc.files import Project
from model_gitops.core.flow import commands

# What is ours: inputs, and what run.sh sets or takes away for our own Python and uv. The runner's owner
# sets the two others.
_OURS = re.compile(
    r"MODEL_GITOPS_(?!(?:STORE|DOCKER_PLUGINS)$).*|UV_.*|PYTHON.*|VIRTUAL_ENV|__PYVENV_LAUNCHER__"
)
# How run.sh hands on what the job had of it.
_JOBS_OWN = "MODEL_GITOPS_JOB_"


def makefile(folder: Path) -> str | None:
    """Return the text that tells a folder's targets; None where there is no Makefile."""
    file = next((folder / one for one in commands.MAKEFILES if paths.is_file(folder / one)), None)
    if file is None:
        return None
    text = paths.read_bounded(file, document.LARGEST).decode("utf-8", errors="replace")
    if commands.includes(text) and shutil.which("make"):
        # It reads what is included, and makes nothing: `--question`.
        said = process.run(
            ["make", "-pRrq", "-f", file.name, "--", ".model-gitops-asks"],
            cwd=folder, env=environment(), inherit=False, check=False, timeout=60,
        )  # fmt: skip
        text += f"\n{said.stdout}"
    return text


def written_by_the_pipeline(repository: Git, folder: str) -> list[str]:
    """Return what the pipeline of `folder` wrote and Git keeps: dvc.lock, `cache: false`, .gitignore."""
    project = Project(project_files.at(repository, None))
    found = [f"{folder}/dvc.lock" if folder else "dvc.lock"]
    for stage in stages.locked(project):
        for out in stage.outs:
            beside = os.path.join(os.path.dirname(out.path), ".gitignore")  # noqa: PTH118, PTH120
            found.append(beside if out.cached else out.path)
    return [one for one in dict.fromkeys(found) if (repository.directory / one).exists()]


def run(line: str, folder: Path) -> int:
    """Run a line of bash in `folder` on our own outputs, and return its status. Raises ExternalError."""
    # `--`: a line may start with a dash.
    args = ["bash", "-euo", "pipefail", "-c", "--", line]
    return process.hand_over(args, cwd=folder, env=environment())


def environment() -> dict[str, str]:
    """Return the job's environment, as a step with `run:` would have it."""
    there = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
    own = {
        name.removeprefix(_JOBS_OWN): value
        for name, value in os.environ.items()
        if name.startswith(_JOBS_OWN)
    }
    return there | own
