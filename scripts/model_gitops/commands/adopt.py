"""Bring a DVC repository into the flow: find what is there, add the rest.

    model-gitops adopt --dry-run
    model-gitops adopt --yes

It shows each change before it makes it. In a terminal it asks once; elsewhere it writes with `--yes` only.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import click

from model_gitops import runner
from model_gitops.adapters import (
    adopted_deploy,
    adopted_files,
    adopted_workflows,
    git,
    installation,
    project_inventory,
)  # fmt: skip
from model_gitops.core.adopt import page, plan
from model_gitops.core.adopt.planned import Open, Plan, Wishes
from model_gitops.errors import RefusedError
from model_gitops.options import existing_folder, flag, option

ARGUMENTS: dict[str, str | None] = {}


def command(
    config: Annotated[
        str,
        option(
            "config", "Folder of the DVC project; of a repository with several, the one to adopt."
        ),
    ] = ".",
    model: Annotated[
        str,
        option(
            "model",
            "The model: an artifact's name, an output's path, or NAME=PATH; several with commas. Default:"
            " all artifacts that are models, else the output that looks most like one.",
        ),
    ] = "",
    image: Annotated[
        str,
        option(
            "image",
            "The image's name, without a tag; with a digest one that is built elsewhere. Default: from the"
            " remote `origin`.",
        ),
    ] = "",
    deploy_repository: Annotated[
        str,
        option(
            "deploy-repository", "The deploy repository, OWNER/NAME or a URL. Default: NAME-deploy."
        ),
    ] = "",
    deploy: Annotated[
        str,
        option(
            "deploy",
            "Folder of the deploy repository on this machine: a checkout, which is read, or a new or empty"
            " one, which is made.",
        ),
    ] = "",
    branches: Annotated[
        str,
        option(
            "branches",
            "Branches of the environments, in promotion order, with commas. Default: those that are there.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, flag("dry-run", "Show what would be written, and write nothing.")
    ] = False,
    yes: Annotated[bool, flag("yes", "Write without asking.")] = False,
) -> None:
    """Write what the plan says. Raises RefusedError, with nothing written, where nobody agreed to it."""
    # As everywhere, a promotion.yaml may be named in place of its folder.
    named = Path(config)
    folder = existing_folder("config", str(named.parent) if named.name == plan.NAME else config)
    repository = git.open_repository(folder)
    top = repository.directory
    there = project_inventory.read(folder)
    wishes = Wishes(
        models=_split(model),
        image=image,
        deploy_repository=deploy_repository,
        branches=_split(branches),
    )
    deployed = adopted_deploy.read(deploy) if deploy else None
    if deployed and not wishes.deploy_repository and deployed.repository:
        wishes = Wishes(wishes.models, wishes.image, deployed.repository, wishes.branches)
    found = plan.make(
        there,
        wishes,
        deployed.found if deployed else None,
        is_pushed=lambda artifact, project, remote: project_inventory.is_pushed(
            artifact, remote, top / project
        ),
        pulled=lambda output, part, project, remote: project_inventory.text_of(
            output, part, top / project, remote
        ),
    )
    found = adopted_workflows.added(found, there)
    # The diffs stay to the letter: only what is to be typed is spelled as this was started.
    typed = tuple(
        Open(installation.typed(one.what), installation.typed(one.fix)) for one in found.open
    )
    runner.answer({}, page.plan(replace(found, open=typed)))
    new = adopted_deploy.checked(found, there.server) if deployed and deployed.is_new else None
    if new:
        runner.say(f"The deploy repository {found.deploy_repository} is to be made in {deploy}.")
    if dry_run or not (found.changes or new):
        return
    adopted_files.check(top, found.changes, there.changed)
    if not yes and not _agreed():
        raise RefusedError(
            "nothing was written: that is done with `--yes`, or when a person in a terminal agrees",
            fix=f"{installation.call('adopt')} --yes (and the options as they were)",
        )
    adopted_files.write(top, found.changes)
    if new:
        adopted_deploy.make(deploy, new)
        runner.say(_next_of_deploy(found, deploy))
    if found.changes:
        runner.say(_next(found, repository))


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm("Write these files?", err=True)


def _split(value: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in value.replace("\n", ",").split(",") if one.strip())


def _next_of_deploy(found: Plan, folder: str) -> str:
    """Say what to do with a new deploy repository."""
    place = shlex.quote(folder)
    return "\n".join(
        [
            f"The deploy repository is made in {folder}. Its base/ is the template's:",
            "  1. See what of it does not fit your image (command, port, probes), and mend that there:",
            f"       {installation.call('doctor')} --deploy {place}",
            f"  2. Make {found.deploy_repository} on the server, empty, and push it:",
            f"       git -C {place} push URL HEAD:{adopted_deploy.BRANCH}",
        ]
    )


def _next(found: Plan, repository: git.Git) -> str:
    """Say what to type next."""
    names = shlex.join([one.path for one in found.changes])
    missing = [one.branch for one in found.environments if not one.exists]
    first = found.environments[0].branch
    rows = [
        f"{len(found.changes)} files are written. Next:",
        "  1. Look at them, and commit them on a branch:",
        f"       git switch --create adopt-model-gitops && git add {names} && git commit -m 'Adopt model-gitops'",
        f"  2. Push it, and merge it into {first} by a pull request"
        + (
            f"; then create the other branches from {first}: {', '.join(missing)}"
            if missing
            else ""
        ),
        "  3. See what is still to be set up:",
        f"       {installation.call('doctor')}",
    ]
    return "\n".join(rows)
