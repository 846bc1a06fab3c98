"""The deploy repository beside an adopted project: read where it is there, made where it is not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from model_gitops.adapters import new_repository, paths, project_inventory, template_files
from model_gitops.adapters.git import open_repository
from model_gitops.core.adopt import deployments
from model_gitops.core.adopt.deployments import Deployments
from model_gitops.core.adopt.planned import Plan
from model_gitops.core.scaffold import answers, record
from model_gitops.core.scaffold.answers import Answers
from model_gitops.errors import InputError

BRANCH = "main"
_ENVIRONMENTS = ("dev", "staging", "production")


@dataclass(frozen=True)
class Deployed:
    """What a folder has: `is_new` where it has nothing. `repository` is its OWNER/NAME on the server."""

    found: Deployments | None
    is_new: bool
    repository: str = ""


def read(folder: str) -> Deployed:
    """Return what the deploy repository in `folder` has. Raises InputError where it is no Git checkout."""
    place = Path(folder)
    if not paths.is_folder(place) or not any(place.iterdir()):
        new_repository.check_target("deploy", folder)
        return Deployed(None, is_new=True)
    git = open_repository(place)
    there = project_inventory.read_manifests(git)
    owner, name = there.server[1:]
    return Deployed(
        deployments.find(there.in_git, there.read, _ENVIRONMENTS),
        is_new=False,
        repository=f"{owner}/{name}" if owner else "",
    )


def make(folder: str, said: Answers) -> None:
    """Make the deploy repository in `folder`, as `init` does. Raises InputError."""
    target = new_repository.check_target("deploy", folder)
    version = template_files.version()
    files = record.Record("deploy", version, said).rendered(template_files.read("deploy"))
    with ExitStack() as stack:
        made = new_repository.beside("deploy", folder, stack)
        new_repository.make(
            made, files, branches=(BRANCH,),
            message=f"Start from model-gitops' template of a deploy repository\n\nVersion: {version}",
        )  # fmt: skip
        new_repository.move(made, target)


def checked(found: Plan, server: tuple[str, str, str]) -> Answers:
    """Return the answers for a new deploy repository; `server` has host, owner and name of the model's.

    Raises InputError for what the template can't have.
    """
    if len(found.models) != 1:
        raise InputError.of(
            "deploy", str(len(found.models)), "a new deploy repository is made for one model, and there are several",
            fix="model-gitops adopt --model ONE --deploy FOLDER, then copy its base and overlays for each other one",
        )  # fmt: skip
    owner, _, _ = found.deploy_repository.partition("/")
    host, *slug = server
    new = answers.new(
        name=found.models[0].name,
        owner=owner,
        host=host,
        branches=[one.branch for one in found.environments],
        environments=[one.name for one in found.environments],
    )
    return replace(
        new,
        repository="/".join(slug).strip("/") or new.repository,
        image=found.image,
        deploy_repository=found.deploy_repository,
    )
