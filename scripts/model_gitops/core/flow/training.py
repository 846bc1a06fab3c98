"""`training` of promotion.yaml: the pipeline that trains, and the components that its images are made of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model_gitops.core.flow import spelling
from model_gitops.core.image.names import check_name, is_name
from model_gitops.errors import InputError

FOLDER = "components"
PATH = "training/overlays/{environment}"
# A name of Kubernetes: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_EXAMPLES = {
    "context": "context: .",
    "image": "image: ghcr.io/acme/{model}-{component}",
    "path": f"path: {PATH}",
    "workflow": "workflow: {model}-training",
    "namespace": "namespace: {model}-training-{environment}",
}


@dataclass(frozen=True)
class Training:
    """The training pipeline of one model. Paths of the model's repository are from its top.

    `components` is the folder whose subfolders are the components; `context`, `image`, `path` and
    `namespace` may have placeholders, which the methods fill in. `environments` are in order: the first
    takes what the merge into the first branch builds, each later one on evidence. `workflow` is the name
    of the WorkflowTemplate and CronWorkflow, or of the pipeline of Kubeflow. `name` is the model's,
    without its folder.
    """

    name: str
    components: str
    context: str
    image: str
    path: str
    environments: tuple[str, ...]
    engine: Literal["argo", "kubeflow"]
    workflow: str
    namespace: str

    def entry(self, component: str) -> str:
        """Return the name of a component's entry under `images:` of a kustomization."""
        return f"{self.name}-{component}"

    def folder_of(self, component: str) -> str:
        """Return a component's folder, from the top."""
        return posixpath.normpath(posixpath.join(self.components, component))

    def context_of(self, component: str) -> str:
        """Return the folder that a component's Dockerfile copies from, from the top."""
        return self.context.replace("{component}", component)

    def image_of(self, component: str) -> str:
        """Return a component's image without a tag. Raises InputError where it is no image's name."""
        name = self.image.replace("{component}", component)
        if not is_name(name):
            raise InputError.of(
                "component", component, f"its image would be {name}, and no registry takes such a name",
                fix="rename its folder: lowercase letters, digits and single - _ .",
            )  # fmt: skip
        return name

    def is_of_component(self, image: str) -> bool:
        """Whether an image, without a tag, is called as one of a component."""
        start, _, end = self.image.partition("{component}")
        inner = image[len(start) : len(image) - len(end)]
        return image == f"{start}{inner}{end}" and bool(inner) and "/" not in inner

    def overlay(self, environment: str) -> str:
        """Return the folder of an environment's training overlay in the deploy repository."""
        return posixpath.normpath(self.path.replace("{environment}", environment))

    def namespace_in(self, environment: str) -> str:
        """Return the namespace that an environment's trainings run in."""
        return self.namespace.replace("{environment}", environment)

    def before(self, environment: str) -> str:
        """Return the environment that `environment` takes its images from; empty for the first."""
        place = self.environments.index(environment)
        return self.environments[place - 1] if place else ""


def parse(
    entry: Mapping[str, Any],
    source: str,
    *,
    model: str,
    image: str,
    folder: str,
    environments: Sequence[str],
) -> Training:
    """Build a Training from the schema-checked `entry` of the promotion.yaml in `folder`.

    An empty `entry` has all defaults. `model` is the model's name without its folder, `image` the one that
    serves it, and `environments` are the flow's. Raises InputError, naming `source`, for a path out of a
    repository, a placeholder that there is not, a name that Kubernetes does not take, and environments that
    the flow does not have or has in another order.
    """

    def text(key: str, default: str, *allowed: str) -> str:
        return _filled(entry, key, default, allowed, model, source)

    name = _label(model)
    where = _environments(entry.get("environments"), environments, source)
    found = Training(
        name=model,
        components=spelling.from_top(
            entry.get("components", FOLDER), folder, f"training.components (in {source})", FOLDER
        ),
        context=spelling.from_top(
            text("context", ".", "component"), folder, f"training.context (in {source})", "."
        ),
        image=text("image", f"{image}-{{component}}", "component"),
        path=text("path", PATH, "environment"),
        environments=where,
        engine=entry.get("engine", "argo"),
        workflow=text("workflow", f"{name}-training"),
        namespace=text("namespace", f"{name}-training-{{environment}}", "environment"),
    )
    _check_names(found, source)
    overlays = [found.overlay(one) for one in where]
    if any(posixpath.isabs(one) or one.split("/")[0] == ".." for one in overlays):
        raise InputError.of(
            f"training.path (in {source})", found.path,
            "it is no folder of the deploy repository, whose paths start at its top",
            fix=_EXAMPLES["path"],
        )  # fmt: skip
    if len(set(overlays)) != len(overlays):
        raise InputError.of(
            f"training.path (in {source})", found.path,
            "it has no {environment}, so two environments would have the same overlay",
            fix=_EXAMPLES["path"],
        )  # fmt: skip
    return found


def _filled(
    entry: Mapping[str, Any],
    key: str,
    default: str,
    allowed: Sequence[str],
    model: str,
    source: str,
) -> str:
    """Return a text of `entry`, {model} filled in. Raises InputError for another placeholder."""
    given: str = entry.get(key, default)
    filled = given.replace("{model}", model)
    rest = filled
    for one in allowed:
        rest = rest.replace(f"{{{one}}}", "")
    if "{" in rest or "}" in rest:
        known = ["{model}", *(f"{{{one}}}" for one in allowed)]
        raise InputError.of(
            f"training.{key} (in {source})", given,
            f"the placeholders that there are in it: {', '.join(known)}",
            fix=_EXAMPLES[key],
        )  # fmt: skip
    return filled


def _environments(
    given: Sequence[str] | None, known: Sequence[str], source: str
) -> tuple[str, ...]:
    if given is None:
        # The first runs whatever is tried out; a flow of one has no other.
        return tuple(known[1:] or known)
    ordered = [one for one in known if one in given]
    if list(given) != ordered:
        raise InputError.of(
            f"training.environments (in {source})", ", ".join(given),
            f"these are some of {', '.join(known)}, each once and in this order",
            fix=f"environments: [{', '.join(ordered or known[1:] or known)}]",
        )  # fmt: skip
    return tuple(given)


def _check_names(found: Training, source: str) -> None:
    if "{component}" not in found.image:
        raise InputError.of(
            f"training.image (in {source})", found.image,
            "it has no {component}, so all components would be one image",
            fix=_EXAMPLES["image"],
        )  # fmt: skip
    try:
        check_name(found.image.replace("{component}", "train"))
    except InputError as error:
        problem = error.message.partition(": ")[2]
        raise InputError.of(
            f"training.image (in {source})", found.image, problem, fix=_EXAMPLES["image"]
        ) from error
    named = [
        ("workflow", found.workflow),
        *(("namespace", found.namespace_in(_label(one))) for one in found.environments),
    ]
    for key, name in named:
        if not _LABEL.fullmatch(name):
            raise InputError.of(
                f"training.{key} (in {source})", name,
                "a name in Kubernetes has at most 63 lowercase letters, digits and -, at its ends no -",
                fix=_EXAMPLES[key],
            )  # fmt: skip


def _label(name: str) -> str:
    """Return `name` as Kubernetes takes it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
