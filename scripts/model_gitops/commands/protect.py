"""Protect a flow's repositories as promotion.yaml wants it, or check it.

Shows what differs first. It changes nothing without a yes: --yes, or an answer in a terminal.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import click

from model_gitops import runner
from model_gitops.adapters.github_client import ApiError, Client, ForbiddenError
from model_gitops.adapters.protection import repositories
from model_gitops.adapters.protection.facts import Repository
from model_gitops.adapters.protection.repositories import Protection
from model_gitops.core.deploy import location
from model_gitops.core.protection import names, table, wanted
from model_gitops.core.protection.wanted import Asked
from model_gitops.errors import ExternalError, InputError, RefusedError
from model_gitops.options import Config, flag, lines, option, secret

ARGUMENTS = {"repository": None}


def command(
    repository: str,
    yes: Annotated[bool, flag("yes", "Change what differs, without a question.")] = False,
    dry_run: Annotated[bool, flag("dry-run", "Show what differs, and change nothing.")] = False,
    check: Annotated[
        bool, flag("check", "Change nothing; end with code 3 where a setting was loosened.")
    ] = False,
    config: Config = "promotion.yaml",
    reviewer: Annotated[
        str,
        option(
            "reviewer",
            "Who approves deployments, one a line: `alice` or `owner/team` for each environment,"
            " `production=alice` for one; besides promotion.yaml's. Who is there stays.",
        ),
    ] = "",
    checks: Annotated[
        str, option("checks", "More checks that a pull request must pass, one a line.")
    ] = "",
    deploy: Annotated[
        bool, flag("deploy", "Whether the deploy repository of promotion.yaml is protected too.")
    ] = True,
    deploy_branch: Annotated[
        str,
        option("deploy-branch", "Branch that Argo CD reads. Default: that repository's default."),
    ] = "",
    deployer: Annotated[
        str,
        option(
            "deployer",
            "Who pushes to the deploy repository: `app:NAME`, `user:NAME` or `deploy-keys`. Default:"
            " promotion.yaml's `deploy.deployer`, else the one whom our rule there lets pass now.",
        ),
    ] = "",
    token: Annotated[
        str, secret("token", "Token that may administer the repositories; to look, one that reads.")
    ] = "",
) -> None:
    """Read promotion.yaml and the repositories, show the difference, and set it."""
    if not token:
        raise InputError(
            "the settings of a repository are shown to those alone who may see them: there is no token",
            fix="export MODEL_GITOPS_TOKEN=$(gh auth token)",
        )
    if sum((yes, dry_run, check)) > 1:
        raise InputError(
            "--yes changes, and --dry-run and --check look: only one can be asked for",
            fix="leave the others out",
        )
    runner.mask(token)
    client = Client(_slug(repository), token)
    asked = Asked(frozenset(lines(checks)), _reviewers(reviewer))
    with runner.group("Asking how it is protected"):
        found, hidden = _look(client, token, config, asked, deploy, deploy_branch, deployer)
    runner.answer({}, "\n".join(table.text(one.desired, one.changes, one.unseen) for one in found))
    for one in found:
        runner.write_summary(table.summary(one.desired, one.changes, one.unseen))
    if dry_run:
        return
    if check:
        _check(found, config)
    elif any(one.changes for one in found):
        if not yes and not _agreed():
            raise RefusedError(
                "nothing was changed: nobody said yes to it",
                fix="give --yes, or start this in a terminal and answer there; --dry-run only looks",
            )
        _write(found)
    _require_seen(found, check=check)
    if hidden:
        # The model repository is done; the other one is as it was.
        raise hidden


def _look(
    client: Client, token: str, config: str, asked: Asked, deploy: bool, branch: str, deployer: str
) -> tuple[list[Protection], ForbiddenError | None]:
    """Return what can be seen, and why the deploy repository can't where that is so."""
    repository = Repository(client)
    promotion = repositories.read_promotion(repository, config)
    known = [one.name for one in promotion.environments]
    for name in asked.reviewers:
        if name and name not in known:
            raise InputError.of(
                "reviewer", f"{name}=…", f"there is no such environment: there are {', '.join(known)}",
                fix=f"reviewer: {known[-1]}=NAME",
            )  # fmt: skip
    other = repositories.deploy_client(client, promotion, token) if deploy else None
    if other is None and deploy and promotion.deploy_repository:
        runner.notice("the deploy repository is on no server that this token is for: left out")
    beside, hidden = None, None
    try:
        beside = Repository(other) if other else None
    except ForbiddenError as error:
        hidden = ForbiddenError(
            error.message,
            status=error.status,
            fix=f"give a token that may administer {other.repository if other else ''} too, or --deploy false",
        )
        runner.warning(f"the deploy repository is left out: {error.message}")
    found = [repositories.of_model(repository, promotion, asked, beside)]
    if beside is not None:
        found.append(repositories.of_deploy(beside, promotion, deployer=deployer, branch=branch))
    return found, hidden


def _slug(repository: str) -> str:
    """Return `owner/name` of a repository, which may be given by its URL. Raises InputError."""
    server_url = runner.context().server_url
    fix = "give OWNER/REPO; for another server set GITHUB_SERVER_URL=https://HOST"
    try:
        where = location.locate(repository, server_url=server_url)
    except InputError as error:
        raise InputError(error.message, fix=fix) from error
    is_name = where.slug.rpartition("/")[2] not in ("", ".", "..")
    if not is_name or not location.is_on(where, server_url):
        raise InputError.of(
            "repository", repository, f"it is no repository of {server_url}", fix=fix
        )
    return where.slug


def _reviewers(text: str) -> dict[str, frozenset[str]]:
    found = wanted.reviewers(lines(text))
    for people in found.values():
        for name in people:
            if not wanted.is_account(name):
                raise InputError.of(
                    "reviewer", name, "it is no account", fix="reviewer: alice, or owner/team"
                )
    return found


def _agreed() -> bool:
    """Whether somebody at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return click.confirm("Change this?", default=False)


def _check(found: list[Protection], config: str) -> None:
    """Raise RefusedError where a setting was loosened."""
    wrong = [str(change) for one in found for change in one.changes]
    wrong += [
        f"{one.desired.repository}, {todo.what}"
        for one in found
        for todo in one.desired.todos
        if todo.is_loose
    ]
    if wrong:
        raise RefusedError(
            "the protection is not what promotion.yaml wants: " + "; ".join(wrong),
            fix=f"model-gitops protect {found[0].desired.repository}"
            + (f" --config {shlex.quote(config)}" if config != "promotion.yaml" else ""),
        )


def _require_seen(found: list[Protection], *, check: bool) -> None:
    """Raise ExternalError where a setting can't be seen: nobody can say that it is as wanted."""
    # Who may bypass a rule set is shown to those alone who may change it; secrets are not set here.
    left_out = (names.BYPASS,) if check else (names.BYPASS, names.SECRETS)
    hidden = [one for each in found for one in each.unseen if one.name not in left_out]
    if hidden:
        raise ExternalError(
            "the token may not see: " + "; ".join(f"{one.subject}: {one.name}" for one in hidden),
            fix="give the token `administration`, `actions`, `contents`, `environments` and `secrets`, to read",
        )


def _write(found: list[Protection]) -> None:
    """Set what differs, one subject after the other; one that is refused holds back no other."""
    failed: list[ApiError] = []
    for one in found:
        for subject in dict.fromkeys(change.subject for change in one.changes):
            try:
                one.write(subject)
                runner.say(f"set: {one.desired.repository}, {subject}")
            except ApiError as error:
                runner.warning(f"not set: {one.desired.repository}, {subject}: {error.message}")
                failed.append(error)
                if not error.status:
                    # Nobody answers: no other request will do better.
                    raise
    if failed:
        raise type(failed[0])(
            f"{len(failed)} could not be set, the rest is: {failed[0].message}",
            status=failed[0].status,
            fix=f"{failed[0].fix}\nthen run it again: it sets what is missing".lstrip(),
        )
    for one in found:
        one.look()
        if one.changes:
            raise ExternalError(
                "the server took the settings, and still says: "
                + "; ".join(str(change) for change in one.changes),
                fix="look at the repository's settings, and who else changes them; then run it again",
            )
    runner.say("all is set")
