"""The project's own commands: what its Makefile has, and how one is run, as a step of a workflow runs it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from model_gitops.adapters import paths, process, project_files
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import stages
from model_gitops.core.dvc.files import Project
from model_gitops.core.flow import commands
from model_gitops.core.flow.commands import Makefile

# What is ours: inputs, and what run.sh sets or takes away for our own Python and uv. The runner's owner
# sets the two others.
_OURS = re.compile(
    r"MODEL_GITOPS_(?!(?:STORE|DOCKER_PLUGINS)$).*|UV_.*|PYTHON.*|VIRTUAL_ENV|__PYVENV_LAUNCHER__"
)
# How run.sh hands on what the job had of it.
_JOBS_OWN = "MODEL_GITOPS_JOB_"
# https://www.gnu.org/software/make/manual/html_node/Running.html
_MAKE_FAILED = 2


def makefile(folder: Path) -> Makefile | None:
    """Return what a folder's Makefile has, by make itself where it is there; None without a Makefile."""
    file = next((folder / one for one in commands.MAKEFILES if paths.is_file(folder / one)), None)
    if file is None:
        return None
    if not shutil.which("make"):
        text = paths.read_bounded(file, document.LARGEST)
        return commands.read(text.decode("utf-8", errors="replace"))
    # Nothing is made: no rule has this name, and with `--question` none that has any is run.
    asked = ".model-gitops-asks"
    said = process.run(
        ["make", "-pRrq", "-f", file.name, "--", asked],
        cwd=folder, env=environment() | {"LC_ALL": "C"}, inherit=False, check=False, timeout=60,
    )  # fmt: skip
    return commands.listed(
        said.stdout, broken=said.returncode == _MAKE_FAILED and asked not in said.stderr
    )


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


def run_apart(
    line: str,
    folder: Path,
    *,
    extra: Mapping[str, str],
    without: Iterable[str],
    timeout: float,
) -> int:
    """Run a line of bash in `folder`, what it says shown as text alone, and return its status.

    `extra` is added to the job's environment, of which `without` is taken away. Raises TimedOutError after
    `timeout` seconds, ExternalError without bash.
    """
    given = {name: value for name, value in environment().items() if name not in without}
    args = ["bash", "-euo", "pipefail", "-c", "--", line]
    done = process.run(
        args, cwd=folder, env=given | dict(extra), inherit=False, check=False, timeout=timeout,
        stream=True,
    )  # fmt: skip
    return done.returncode


def environment() -> dict[str, str]:
    """Return the job's environment, as a step with `run:` would have it."""
    there = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
    own = {
        name.removeprefix(_JOBS_OWN): value
        for name, value in os.environ.items()
        if name.startswith(_JOBS_OWN)
    }
    return there | own
