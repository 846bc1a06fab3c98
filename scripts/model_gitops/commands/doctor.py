"""Check that all is set up for promotions, and say what to type where not.

Run it in a clone of the model repository. It changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import click

from model_gitops import runner
from model_gitops.adapters import dvc_remote, git, installation, terminal
from model_gitops.adapters.doctor import bounded, questions
from model_gitops.adapters.doctor.deploy_place import Access
from model_gitops.adapters.doctor.dvc_places import Remote
from model_gitops.adapters.doctor.model_repository import Checkout
from model_gitops.adapters.flows import find_flows
from model_gitops.core.doctor import checks, view
from model_gitops.core.doctor.finding import Finding
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import (
    DeployBranch,
    DeployKey,
    DvcRemote,
    DvcRemoteConfig,
    KnownHosts,
    existing_folder,
    flag,
    lines,
    option,
    secret,
)

ARGUMENTS: dict[str, str | None] = {}


def command(
    config: Annotated[
        str,
        option("config", "promotion.yaml, or its folder. Default: every one in the repository."),
    ] = "",
    deploy: Annotated[
        str,
        option(
            "deploy",
            "Folder with a clone of the deploy repository. Default: it is fetched from its server.",
        ),
    ] = "",
    deploy_branch: DeployBranch = "",
    token: Annotated[
        str,
        secret(
            "token",
            "Token that may read the deploy repository, and the settings of both repositories. Without"
            " one git's own credentials serve, and the settings are not asked for.",
        ),
    ] = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
    as_json: Annotated[
        bool, flag("json", "Print JSON: a list of `check`, `ok`, `found` and `fix`.")
    ] = False,
) -> None:
    """Ask everything, each thing within its time, and tell what was found.

    Raises RefusedError where something must be mended.
    """
    if deploy and not as_json:
        existing_folder("deploy", deploy)
    screen = terminal.Screen(sys.stdout, sys.stderr)
    try:
        with ExitStack() as stack, contextlib.redirect_stdout(sys.stderr):
            settings = dvc_remote.settings(lines(remote_config))
            checkout = Checkout(git.open_repository(Path.cwd()))
            flows = find_flows(checkout.git, config)
            access = Access(deploy, token, ssh_key, known_hosts, deploy_branch)
            asked = questions.lanes(flows, checkout, access, Remote(remote, settings), stack)
            findings = _told(asked, screen, as_json=as_json)
    except InputError as error:
        if not as_json:
            raise
        # Who reads a list gets one, here too.
        findings = checks.nothing_asked(error)
    if as_json:
        screen.print(json.dumps([one.document for one in findings], indent=2, ensure_ascii=False))
    else:
        screen.print(view.summary(findings))
    runner.write_summary(view.markdown(findings))
    wrong = [one for one in findings if one.ok is False]
    bounded.leave_if_hung(RefusedError.exit_code if wrong else 0)
    if wrong and as_json:
        # The answer says it all: nothing else may stand on standard output.
        raise click.exceptions.Exit(RefusedError.exit_code)
    if wrong:
        names = ", ".join(one.check for one in wrong)
        raise RefusedError(
            f"{len(wrong)} of {len(findings)} checks found something to mend: {names}",
            fix=next((one.fix for one in wrong if one.fix), ""),
        )


def _told(
    asked: list[list[bounded.Question]], screen: terminal.Screen, *, as_json: bool
) -> list[Finding]:
    """Ask, and print each finding as soon as all before it are there, in the order of the questions."""
    order = [one.check for lane in asked for one in lane]
    width = view.width(order)
    found: dict[str, Finding] = {}
    printed = 0
    for one in bounded.ask(asked, tell=screen.status):
        found[one.check] = replace(
            one, found=installation.typed(one.found), fix=installation.typed(one.fix)
        )
        while printed < len(order) and order[printed] in found:
            if not as_json:
                line = view.line(found[order[printed]], colour=screen.has_colour, width=width)
                screen.print(line)
            printed += 1
    screen.status("")
    return [found[name] for name in order]
