"""What is to be written into an existing repository, and what stays for a person to decide."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from model_gitops.core import document
from model_gitops.core.adopt import (
    artifact_edit,
    branches,
    commands,
    deployments,
    measures,
    models,
    notes,
    outputs,
    promotion_text,
    serving,
)  # fmt: skip
from model_gitops.core.adopt.branches import Environment, Environments
from model_gitops.core.adopt.deployments import Deployments
from model_gitops.core.adopt.inventory import Inventory, Overlaid, Remote
from model_gitops.core.adopt.measures import Measures
from model_gitops.core.adopt.models import Model
from model_gitops.core.adopt.outputs import Output
from model_gitops.core.adopt.planned import Change, Made, Open, Plan, Wishes
from model_gitops.core.adopt.serving import Serving
from model_gitops.core.deploy.location import locate
from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.files import Project
from model_gitops.core.flow.commands import MAKEFILES
from model_gitops.core.flow.commands import read as read_makefile
from model_gitops.core.image import names
from model_gitops.errors import InputError

NAME = "promotion.yaml"

# An output, a path in it (empty: itself), the folder of its DVC project, and the remote → its text.
Pulled = Callable[[Artifact, str, str, Remote | None], str | None]


def make(
    there: Inventory,
    wishes: Wishes,
    deploy: Deployments | None = None,
    *,
    is_pushed: notes.IsPushed = lambda model, project, remote: None,
    pulled: Pulled = lambda output, part, project, remote: None,
) -> Plan:
    """Return the plan for the project, without the workflows.

    `deploy` is what a checkout of the deploy repository has. `is_pushed` says whether a remote has a model, `pulled`
    returns the text of a file that DVC keeps.
    Raises InputError where there is no model.
    """
    made = Made()
    project = Project(there.files)
    made_by_dvc = outputs.find(project)
    said = _said(there, there.folder)
    # GTO's tags know the model's name; so does a promotion.yaml that is there.
    known = [*_model_of(said, there.folder), *branches.models_of(there.tags)]
    found = models.find(
        project,
        made_by_dvc,
        folder=there.folder,
        repository=there.server[2] or there.name,
        wanted=wishes.models,
        registered=known,
    )
    for model in found.taken:
        models.check(model)
    environments = _environments(there, wishes, found.taken)
    # A promotion.yaml that is there has decided these.
    asked = made if any(not _said(there, one.folder) for one in found.taken) else Made()
    image, digest, tag = _image(there, wishes, asked)
    own = deployments.find(there.in_git, there.read, [one.name for one in environments.found])
    deployed = deploy if deploy is not None else own
    target = _deploy(there, wishes, deployed, len(found.taken), asked)
    notes.tell_models(there, found.taken, made)
    for one in found.others:
        made.open.append(
            Open(
                f"{one} looks like a model too, and is left out",
                f"model-gitops adopt --model {one}",
            )
        )
    for model in found.taken:
        others = [one for one in found.taken if one is not model]
        judged = measures.find(
            project,
            made_by_dvc,
            model,
            others,
            in_git=there.in_git,
            read=lambda path: _text(path, there, pulled),
        )
        _one(there, model, judged, environments, (_of(image, model, len(found.taken)), digest, tag), target,
             made, made_by_dvc, project)  # fmt: skip
    _artifacts(there, found.taken, made)
    tracked = _tracked(there, found.taken, made)
    _lines(there, made)
    made.found += [f"branch {one.branch} → {one.name}" for one in environments.found if one.exists]
    made.open += [Open(one) for one in environments.notes]
    made.open += notes.missing_branches(there, environments.found)
    if deploy is None and not own.is_empty:
        made.found += deployments.told(own)
        made.open.append(
            Open(
                "the manifests above are in this repository; the deploy repository is another one, which"
                f" only deploy.yml writes: move them to {target.repository}"
            )
        )
    elif deploy is not None:
        made.found += [f"deploy repository: {one}" for one in deployments.told(deploy)]
        made.open += [
            Open(what, fix)
            for model in found.taken
            for what, fix in deployments.left(deploy, model.name)
        ]
    notes.remotes(there, tracked, is_pushed, made)
    return Plan(
        tuple(made.found), tuple(made.changes), tuple(dict.fromkeys(made.open)), found.taken,
        environments.found, image, target.repository,
    )  # fmt: skip


def _text(path: str, there: Inventory, pulled: Pulled) -> str | None:
    """Return the text of a file of metrics: of the checkout, else of what DVC keeps."""
    text = there.read(path)
    place = path
    while text is None and place:
        try:
            kept = artifacts.find(place, there.files)
        except InputError:
            place = posixpath.dirname(place)
            continue
        part = path.removeprefix(f"{place}/") if place != path else ""
        return pulled(kept, part, there.project_of(path), there.remote_of(path))
    return text


def _one(
    there: Inventory,
    model: Model,
    judged: Measures,
    environments: Environments,
    image: tuple[str, str, str],
    target: promotion_text.Deploy,
    made: Made,
    made_by_dvc: Sequence[Output],
    project: Project,
) -> None:
    """Plan the promotion.yaml of one model, and what it names: Dockerfile and smoke test."""
    path = posixpath.join(model.folder, NAME)
    has_pipeline = any(one.stage for one in made_by_dvc)
    remote = there.remote_of(model.path)
    told = commands.find(
        model.project, there.in_git, there.read, extra=remote.extra if remote else "",
        has_remote=remote is not None, has_pipeline=has_pipeline,
    )  # fmt: skip
    served = serving.find(model, there.in_git, there.read)
    made.found += [f"metrics of {model.gto_name}: {notes.shown(judged)}"] if judged.found else []
    made.found += [
        f"{what}: {', '.join(listed)}"
        for what, listed in (
            ("params", measures.params(project, model.project, there.in_git)),
            ("plots", measures.plots(project, made_by_dvc, model.project)),
            ("commands", list(told.found)),
        )
        if listed
    ]
    made.found += served.found
    said = _said(there, model.folder)
    told_image = said.get("image")
    of_image = told_image if isinstance(told_image, dict) else {}
    elsewhere = of_image.get("build") is False if said else bool(image[1])
    made.open += [Open(one) for one in judged.problems]
    build, smoke = (None, "") if elsewhere else _built(there, model, served, of_image, made)
    for line in told.ignored:
        if not said or line.strip("/") in str(said.get("commands")):
            _append(there, posixpath.join(model.project, ".gitignore"), line, made)
    if there.read(path) is not None:
        made.found.append(f"{path}: there already, it stays as it is")
        return
    made.open += [Open(one) for one in (*served.notes, *told.notes)]
    notes.tell_gate(judged, path, made)
    text = promotion_text.write(
        model, image=image[0], digest=image[1], tag=image[2], build=build, smoke_test=smoke,
        environments=environments.found, deploy=_for(target, model), measures=judged,
        commands=told.of, makes=_makes(there, model.project),
    )  # fmt: skip
    made.changes.insert(_after_promotions(made), Change(path, None, text))


def _built(
    there: Inventory, model: Model, served: Serving, said: Mapping[str, Any], made: Made
) -> tuple[serving.Image, str]:
    """Return how the image is built, and its smoke test; plan those files where they are missing.

    `said` is what a promotion.yaml that is there says of the image.
    """
    image = served.image
    if image is None:
        image = serving.carrier(model)
        usual = posixpath.join(str(said.get("context", ".")), "Dockerfile")
        wanted = posixpath.join(model.folder, str(said.get("dockerfile", usual)))
        is_ours = not said or posixpath.normpath(wanted) == image.dockerfile
        if is_ours and there.read(image.dockerfile) is None:
            made.add(Change(image.dockerfile, None, image.text))
            made.open.append(
                Open(
                    f"nothing here tells how {model.name} is served: the new {image.dockerfile} makes an image"
                    " that carries the model, for KServe or a Kubernetes volume",
                    f"edit {image.dockerfile} where the image is to answer by itself; or, for an image that is"
                    " built elsewhere: model-gitops adopt --image NAME@sha256:…",
                )
            )
    path = posixpath.join(model.project, "tests/smoke.yaml")
    if there.read(path) is not None:
        return image, path
    text = serving.smoke_test(image)
    if not text or "smoke-test" in said:
        if "FROM" in image.text and "smoke-test" not in said and not serving.is_carrier(image.text):
            what = f"no port of {image.dockerfile} is known, so the image is built without being tested"
            made.open.append(Open(what, f"write {path}: docs/smoke-test.md of model-gitops"))
        return image, ""
    made.add(Change(path, None, text))
    return image, path


def _after_promotions(made: Made) -> int:
    """Return the place of the next promotion.yaml: first, as all that follows can be found again from it."""
    return sum(posixpath.basename(one.path) == NAME for one in made.changes)


def _environments(there: Inventory, wishes: Wishes, taken: Sequence[Model]) -> Environments:
    """Return the environments: those of a promotion.yaml that is there, else by the branches."""
    for model in taken:
        said = _said(there, model.folder)
        listed = said.get("environments")
        if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
            known = [
                Environment(str(one.get("name")), str(one.get("branch")), str(one.get("stage", "")),
                            str(one.get("branch")) in there.branches, str(one.get("deploy", "push")))
                for one in listed
            ]  # fmt: skip
            if known and not wishes.branches:
                return Environments(tuple(known))
    return branches.find(
        there.branches,
        default=there.default_branch,
        stages=branches.stages_of(there.tags),
        wanted=wishes.branches,
    )


def _image(there: Inventory, wishes: Wishes, made: Made) -> tuple[str, str, str]:
    """Return name, digest and tag of the image; a digest is of one that is built elsewhere."""
    if wishes.image:
        name, tag, digest = names.split_reference(wishes.image)
        if tag and not digest:
            raise InputError.of(
                "image", wishes.image,
                "it has a tag and no digest: an image that the workflows build has neither, one that is built"
                " elsewhere is known by its digest",
                fix=f"--image {name}, or --image {wishes.image}@sha256:… (docker buildx imagetools inspect"
                f" {wishes.image})",
            )  # fmt: skip
        return names.check_name(name), digest, tag
    host, owner, name = there.server
    slug = re.fullmatch(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)/[A-Za-z0-9_.-]+", wishes.deploy_repository)
    owner = owner or (slug[1] if slug else "")
    plain = models.slug(name or there.name, 100) or "model"
    registry = "ghcr.io" if host in ("", "github.com") else host
    image = f"{registry}/{(owner or 'owner').lower()}/{plain}"
    if not names.is_name(image):
        image = f"ghcr.io/owner/{plain}"
        owner = ""
    if not owner:
        made.open.append(
            Open(
                f"no remote `origin` names an owner, so `image` is {image}",
                "model-gitops adopt --image REGISTRY/OWNER/NAME, or correct `image` and `deploy.repository`"
                " in promotion.yaml",
            )
        )
    elif host not in ("", "github.com"):
        made.open.append(
            Open(f"`image` is {image}: the packages of {host}, if that server has a registry",
                 "model-gitops adopt --image REGISTRY/OWNER/NAME")
        )  # fmt: skip
    return image, "", ""


def _of(image: str, model: Model, count: int) -> str:
    """Return the image of one model: with several each has a name of its own."""
    return image if count == 1 else f"{image}-{models.slug(model.label)}"


def _deploy(
    there: Inventory, wishes: Wishes, found: Deployments, count: int, made: Made
) -> promotion_text.Deploy:
    _, owner, name = there.server
    plain = models.slug(name or there.name, 100) or "model"
    if wishes.deploy_repository:
        try:
            locate(wishes.deploy_repository, server_url="https://github.com")
        except InputError as error:
            raise InputError(
                error.message.replace("`repository`", "`deploy-repository`"),
                fix="--deploy-repository OWNER/NAME, or its URL",
            ) from error
    repository = wishes.deploy_repository or f"{owner or 'owner'}/{plain}-deploy"
    if not wishes.deploy_repository:
        made.open.append(
            Open(f"`deploy.repository` is {repository}: the repository that Argo CD or Flux reads",
                 "model-gitops adopt --deploy-repository OWNER/NAME; where there is none yet, this makes its"
                 f" files: model-gitops adopt --deploy ../{posixpath.basename(repository)}")
        )  # fmt: skip
    default = "overlays/{environment}" if count == 1 else "overlays/{model}/{environment}"
    return promotion_text.Deploy(repository, found.path or default, found.paths)


def _for(target: promotion_text.Deploy, model: Model) -> promotion_text.Deploy:
    """Return the deploy section of one model: {model} is its name, which another one may have too."""
    if model.label == model.name:
        return target
    return replace(target, path=target.path.replace("{model}", model.label))


def _said(there: Inventory, folder: str) -> Mapping[str, Any]:
    text = there.read(posixpath.join(folder, NAME))
    try:
        found = document.load_yaml(text, source=NAME) if text else None
    except InputError:
        found = None
    return found if isinstance(found, dict) else {}


def _model_of(said: Mapping[str, Any], folder: str) -> list[str]:
    name = said.get("model")
    return [artifacts.full_name(name, folder)] if isinstance(name, str) else []


def _artifacts(there: Inventory, taken: Sequence[Model], made: Made) -> None:
    """Plan the entries of `artifacts:` that are missing."""
    for pipeline in dict.fromkeys(one.pipeline for one in taken if one.is_new):
        new = [one for one in taken if one.is_new and one.pipeline == pipeline]
        before = there.read(pipeline)
        try:
            after = artifact_edit.added(before, new, source=pipeline)
        except InputError as error:
            made.open.append(Open(error.message, error.fix))
            continue
        made.changes.insert(_after_promotions(made), Change(pipeline, before, after))


def _tracked(there: Inventory, taken: Sequence[Model], made: Made) -> dict[Model, Artifact | None]:
    """Return what DVC keeps of each model, with the files as they are to be; say of which it keeps nothing."""
    files = Overlaid(there.files, {one.path: one.after for one in made.changes})
    planned = {one.path for one in made.changes}
    found = dict[Model, Artifact | None]()
    for model in taken:
        found[model] = None
        if model.is_new and model.pipeline not in planned:
            continue  # it is to be added by hand, which was said
        try:
            found[model] = artifacts.find(model.gto_name, files)
        except InputError as error:
            made.open.append(Open(error.message, error.fix))
    return found


def _lines(there: Inventory, made: Made) -> None:
    """Plan the line by which Git can merge dvc.lock by stages."""
    if any(posixpath.basename(one) == "dvc.lock" for one in there.in_git):
        text = there.read(".gitattributes") or ""
        if not re.search(r"(?m)^(?:\*\*/)?dvc\.lock\s", text):
            _append(there, ".gitattributes", "dvc.lock merge=dvc-lock", made)


def _append(there: Inventory, path: str, line: str, made: Made) -> None:
    """Plan one more line at the end of a file, unless it is there in this or a like form."""
    planned = next((one for one in made.changes if one.path == path), None)
    before = planned.after if planned else there.read(path)
    plain = line.strip("/")
    if any(one.strip().strip("/") == plain for one in (before or "").splitlines()):
        return
    newline = "\r\n" if before and "\r\n" in before else "\n"
    start = f"{before.rstrip()}{newline}" if before and before.strip() else ""
    change = Change(path, there.read(path), f"{start}{line}{newline}")
    if planned:
        made.changes.remove(planned)
    made.changes.append(change)


def _makes(there: Inventory, folder: str) -> frozenset[str]:
    for name in MAKEFILES:
        if (text := there.read(posixpath.join(folder, name))) is not None:
            return read_makefile(text).targets
    return frozenset()
