"""Run the project's own commands, as promotion.yaml names them."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, project_commands, promotion_file
from model_gitops.adapters.git import Git
from model_gitops.core.flow import commands
from model_gitops.core.flow.commands import Makefile, Planned
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import Config, option

OUTPUTS = ("ran", "skipped")


def command(
    command: Annotated[
        str,
        option(
            "command",
            "Which of `commands` in promotion.yaml: env, check, test, smoke, reproduce, push, commit, collect, monitor, label, component; several"
            " with spaces or lines between them.",
        ),
    ] = "",
    config: Config = "promotion.yaml",
) -> None:
    """Run each command by bash in the folder of promotion.yaml, and stop at the first that fails."""
    names = _names(command)
    repository = git.open_repository(Path.cwd())
    place = promotion_file.place(config)
    promotion = promotion_file.read_promotion(place, repository)
    folder = place.parent
    ran, skipped = [], []
    for name in names:
        # Again each time: `env` may have made what the Makefile includes.
        makefile = None if name in promotion.commands else project_commands.makefile(folder)
        planned = commands.plan(name, promotion.commands, makefile)
        if name == "commit" and planned.skipped and name not in promotion.commands:
            planned = _commit(repository, promotion)
        if planned.line:
            _warn_of_a_file(name, makefile, folder)
            _run(planned, folder)
            ran.append(name)
        else:
            runner.notice(f"{name} is skipped: {planned.skipped}", title=f"{name} is skipped")
            skipped.append(name)
    runner.write_outputs({"ran": " ".join(ran), "skipped": " ".join(skipped)})


def _names(text: str) -> list[str]:
    known = ", ".join(commands.STEPS)
    names = list(dict.fromkeys(text.split()))
    if not names:
        raise InputError(
            f"input `command` is empty: it names one of {known}", fix="command: check test"
        )
    for name in names:
        if name not in commands.STEPS:
            raise InputError.of(
                "command", name, f"it is none of {known}", fix="command: check test"
            )
    return names


def _commit(repository: Git, promotion: Promotion) -> Planned:
    written = project_commands.written_by_the_pipeline(repository, promotion.folder)
    if not written:
        return Planned(
            "commit", skipped="the pipeline wrote nothing that Git keeps: there is no dvc.lock"
        )
    return Planned("commit", commands.commit_line(written))


def _warn_of_a_file(name: str, makefile: Makefile | None, folder: Path) -> None:
    """Warn where `make NAME` runs nothing, and yet succeeds."""
    if makefile is not None and name in makefile.files and (folder / name).exists():
        runner.warning(
            f"`make {name}` runs nothing: {name} is there as a file or folder, and make takes it for what"
            f" is to be made. Fix: add the line `.PHONY: {name}` to the Makefile",
            title=f"{name} runs nothing",
        )


def _run(planned: Planned, folder: Path) -> None:
    """Run one command. Raises RefusedError where it fails."""
    start = time.monotonic()
    with runner.group(f"{planned.name}: {planned.line}"):
        try:
            status = project_commands.run(planned.line, folder)
        finally:
            if runner.in_workflow():
                # What it said last may have no line break, and the runner reads whole lines.
                print(flush=True)
    took = f"{time.monotonic() - start:.1f} s"
    if status == 0:
        runner.say(f"{planned.name}: done in {took}")
        return
    if status < 0:
        status = 128 - status  # a signal, as bash and the runner count it
    why = {
        126: ": a program in it can't be run",
        127: ": a program in it is not on this runner",
        137: ": it was killed, as the system does where no memory is left",
    }
    by_hand = (
        planned.line if folder == Path() else f"cd {shlex.quote(str(folder))} && {planned.line}"
    )
    raise RefusedError(
        f"the project's own `{planned.name}` failed with status {status} after {took}{why.get(status, '')}",
        fix=f"see what it said above, in the group {planned.name!r}; by hand: {by_hand[:1000]}",
    )
