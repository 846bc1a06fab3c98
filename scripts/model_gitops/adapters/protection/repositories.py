"""The two repositories of a flow, as they are on their server and as promotion.yaml wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from model_gitops import runner
from model_gitops.adapters import git, promotion_file
from model_gitops.adapters.github_client import Client, ForbiddenError
from model_gitops.adapters.protection import facts
from model_gitops.adapters.protection.facts import Repository
from model_gitops.adapters.protection.gitea import Gitea
from model_gitops.adapters.protection.github import GitHub
from model_gitops.core.deploy import location
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.protection import names, rulesets, settings, wanted
from model_gitops.core.protection.settings import Change, Desired, Found, Setting, Subject, Value
from model_gitops.core.protection.wanted import Asked
from model_gitops.errors import InputError


class Server(Protocol):
    """How the protection of one repository is read and written."""

    @property
    def app(self) -> int | None:
        """The number of the app that checks of workflows come from, if known."""
        ...

    def found(self, desired: Desired) -> dict[Subject, dict[str, Value]]:
        """Return the settings of the subjects that are there."""
        ...

    def write(self, subject: Subject, values: Mapping[str, Value]) -> None:
        """Set the wanted settings of a subject."""
        ...


@dataclass
class Protection:
    """One repository: how it is to be, and how it is."""

    desired: Desired
    server: Server
    found: Found = field(default_factory=dict)

    @property
    def changes(self) -> list[Change]:
        """What is not as wanted."""
        return settings.difference(self.desired, self.found)

    @property
    def unseen(self) -> list[Setting]:
        """What the token could not see."""
        return settings.unseen(self.desired, self.found)

    def look(self) -> None:
        """Read how it is now."""
        self.found = self.server.found(self.desired)

    def write(self, subject: Subject) -> None:
        """Set one subject's settings as they are wanted; stricter ones stay."""
        self.server.write(subject, settings.result(self.desired, subject, self.found))


def read_promotion(repository: Repository, config: str) -> Promotion:
    """Return the promotion.yaml of the repository's default branch; before its first push the checkout's.

    Raises InputError where there is none.
    """
    checkout = _checkout()
    written = config.removeprefix("./") or "promotion.yaml"
    there = promotion_file.in_repository(promotion_file.place(config), checkout) if checkout else ""
    for path in map(PurePosixPath, dict.fromkeys((written, there or written))):
        for one in (path, path / "promotion.yaml"):
            text = None if one.is_absolute() or ".." in one.parts else repository.text(str(one))
            if text is not None:
                folder = "" if str(one.parent) == "." else str(one.parent)
                source = f"{one} of {repository.default_branch}"
                return promotion_file.parse_text(text, source=source, folder=folder)
    if not checkout or not Path(config).exists():
        raise InputError.of(
            "config", config, f"{repository.name} has no such file on {repository.default_branch}",
            fix=(promotion_file.others(checkout) if checkout else "")
            or f"push it to {repository.default_branch} first, or start this in a checkout that has it",
        )  # fmt: skip
    origin = checkout.run("remote", "get-url", "origin", check=False).strip().removesuffix(".git")
    is_remote = "://" in origin or "@" in origin
    if is_remote and not origin.lower().replace(":", "/").endswith(f"/{repository.name.lower()}"):
        raise InputError.of(
            "config", config,
            f"{repository.name} has no such file on {repository.default_branch}, and this folder is of another"
            " repository",
            fix=f"push it to {repository.default_branch} first, or start this in a checkout of {repository.name}",
        )  # fmt: skip
    runner.notice(
        f"{repository.name} has no {config} on {repository.default_branch} yet: the files of this folder count"
    )
    repository.checkout = checkout.directory
    return promotion_file.read_promotion(promotion_file.place(config), checkout)


def _checkout() -> git.Git | None:
    """Return the checkout that this was started in; None outside of one."""
    try:
        return git.open_repository(Path.cwd())
    except InputError:
        return None


def model(
    client: Client, config: str, asked: Asked, deploy: Repository | None = None
) -> Protection:
    """Return the model repository, read."""
    repository = Repository(client)
    return of_model(repository, read_promotion(repository, config), asked, deploy)


def of_model(
    repository: Repository, promotion: Promotion, asked: Asked, deploy: Repository | None = None
) -> Protection:
    """Return the model repository, read. `deploy` is the deploy repository, where it can be seen."""
    environments = frozenset(one.name for one in promotion.environments)
    private = bool(deploy.data["private"]) if deploy else None
    known = facts.gather(repository, environments, private_deploy=private)
    server: Server = (
        Gitea(repository) if known.mechanism == "gitea" else GitHub(repository, known.mechanism)
    )
    known = wanted.with_apps(known, server.app is not None)
    protection = Protection(wanted.model_repository(promotion, known, asked), server)
    protection.look()
    return protection


def of_deploy(
    repository: Repository, promotion: Promotion, *, deployer: str = "", branch: str = ""
) -> Protection:
    """Return the deploy repository, read. `deployer`: else promotion.yaml's, else the one allowed now.

    Raises InputError for a `branch` that is not there, or a deployer whom the server does not know.
    """
    known = facts.gather(repository, frozenset())
    server: Server = (
        Gitea(repository) if known.mechanism == "gitea" else GitHub(repository, known.mechanism)
    )
    if branch and known.branches and branch not in known.branches:
        raise InputError.of(
            "deploy-branch", branch, f"{repository.name} has no such branch",
            fix=f"deploy-branch: {repository.default_branch}",
        )  # fmt: skip
    branch = branch or repository.default_branch
    deployer = deployer or promotion.deployer
    name = _deployer(repository, known.mechanism, deployer)
    passing = frozenset({name}) if name else _allowed_now(server, known, branch)
    known = wanted.with_apps(known, server.app is not None, passing)
    protection = Protection(wanted.deploy_repository(promotion, known, branch), server)
    protection.look()
    return protection


def deploy_client(client: Client, promotion: Promotion, token: str) -> Client | None:
    """Return the client of the deploy repository; None where it is not on the same server."""
    server_url = runner.context().server_url
    if not promotion.deploy_repository:
        return None
    where = location.locate(promotion.deploy_repository, server_url=server_url)
    if not where.slug or not location.is_on(where, server_url):
        return None
    return Client(where.slug, token, api_url=client.api_url)


def _deployer(repository: Repository, mechanism: str, deployer: str) -> str:
    """Return who deploys as the server's settings name it. Raises InputError for what none has."""
    if not deployer or deployer == "deploy-keys":
        return "deploy keys" if deployer and mechanism != "classic" else ""
    kind, _, name = deployer.partition(":")
    fix = "deployer: app:NAME, user:NAME or deploy-keys"
    if kind not in ("app", "user") or not name:
        raise InputError.of("deployer", deployer, "it is no account that can deploy", fix=fix)
    if mechanism != "rulesets":
        if mechanism == "gitea" and kind == "app":
            raise InputError.of(
                "deployer", deployer, "Gitea has no apps", fix="deployer: user:NAME"
            )
        return f"{kind} {name}"
    place = f"//apps/{name}" if kind == "app" else f"//users/{name}"
    try:
        with repository.client.errors(f"find the deployer {name}", "metadata: read"):
            return f"{kind} {int(repository.client.ask(place)['id'])}"
    except ForbiddenError as error:
        if error.status != 404:
            raise
        raise InputError.of("deployer", deployer, "there is no such account", fix=fix) from error


def _allowed_now(server: Server, known: wanted.Facts, branch: str) -> frozenset[str]:
    """Return who may bypass our rules of the deploy repository now."""
    end = names.PUSH_RULESET_END if known.mechanism == "rulesets" else ""
    subject = Subject("branch", f"{branch}{end}")
    if known.mechanism == "rulesets" and rulesets.name_of(subject) not in known.rulesets:
        return frozenset()
    probe = Setting(subject, names.BYPASS, frozenset())
    people = server.found(Desired(known.repository, (probe,))).get(subject, {}).get(names.BYPASS)
    return people - {"admins"} if isinstance(people, frozenset) else frozenset()
