"""Where the manifests of an overlay have an image, and whether kustomize's `images:` reaches it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from model_gitops.core.deploy.kustomization import Image
from model_gitops.errors import InputError

Steps: TypeAlias = tuple[str | int, ...]

# What kustomize sets without `configurations:`. Besides these, each list called `containers` or
# `initContainers`, at any depth of any kind.
_DEFAULTS = tuple(
    f"{place}/{end}"
    for place in ("spec", "spec/template/spec")
    for end in ("containers[]/image", "initContainers[]/image", "volumes[]/image/reference")
)
_CONTAINERS = ("containers", "initContainers")
# An address that names an image, as KServe's `storageUri` may: `images:` reaches none of them.
_OCI = "oci://"


@dataclass(frozen=True)
class Spec:
    """One entry of `images` in a file of `configurations:`. Empty parts are any."""

    path: str
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class Use:
    """An image in a manifest: in which file, of which kind, at which place, and what it is now.

    Where `kind` or `version` is empty nobody can tell, as a JSON patch may say neither.
    """

    file: str
    kind: str
    group: str
    version: str
    steps: Steps
    image: str

    @property
    def path(self) -> str:
        """The place as `configurations:` has it: `spec/templates[]/container/image`."""
        parts: list[str] = []
        for step in self.steps:
            if isinstance(step, int):
                parts[-1:] = [f"{parts[-1]}[]"] if parts else []
            else:
                parts.append(step.replace("/", "\\/"))
        return "/".join(parts)

    @property
    def is_address(self) -> bool:
        """Whether it is the address of an image, of which `images:` sets nothing."""
        return self.image.startswith(_OCI)

    @property
    def is_setting(self) -> bool:
        """Whether it may be any setting, which is called an image by chance."""
        by_chance = self.kind in ("ConfigMap", "Secret") or self.steps[0] == "metadata"
        return by_chance or self.steps[-1] == "value"

    def is_reached(self, specs: Sequence[Spec]) -> bool:
        """Whether kustomize sets an image here."""
        if self.kind == "CustomResourceDefinition":
            return False
        steps = self.steps
        if len(steps) > 2 and steps[-1] == "image" and steps[-3] in _CONTAINERS:
            return isinstance(steps[-2], int)
        plain = self.path.replace("[]", "")
        return any(
            one.path.strip("/").replace("[]", "") == plain
            and (not self.kind or one.kind in ("", self.kind))
            and (not self.version or one.group in ("", self.group))
            and (not self.version or one.version in ("", self.version))
            for one in (*map(Spec, _DEFAULTS), *specs)
        )


@dataclass(frozen=True)
class Layer:
    """One kustomization: the images of its own manifests and patches, and what it is built on.

    `bases` are built first, each for itself; `components` change what is there then. `specs` are of
    its `configurations:`, and hold for all that builds on it. `is_known` is false where it uses what
    nobody here can see: a remote base, a chart, a transformer.
    """

    path: str
    images: tuple[Image, ...] = ()
    uses: tuple[Use, ...] = ()
    bases: tuple[Layer, ...] = ()
    components: tuple[Layer, ...] = ()
    specs: tuple[Spec, ...] = ()
    is_known: bool = True


@dataclass
class _Built:
    uses: list[Use] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    # Who took an image's name away before the top's own entries came: what it was → (entry, file).
    renamed: dict[str, tuple[Image, str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Unused:
    """An entry that changes nothing, and what of it is found: `places` that kustomize does not reach.

    `renamed` is the entry, the file and the result by which another one was first. `others` are images
    that the manifests have. `is_partial` says that it changes the image elsewhere.
    """

    entry: Image
    places: tuple[Use, ...] = ()
    renamed: tuple[Image, str, str] | None = None
    others: tuple[str, ...] = ()
    is_partial: bool = False


def unused(top: Layer, names: Sequence[str]) -> tuple[Unused, ...]:
    """Return those of the entries `names` of `top` by which kustomize leaves an image as it was.

    An entry that changes one image and leaves another is among them, by the places that it leaves.
    Where a layer is not known nobody can tell, and there is none.
    """
    if not _all_known(top):
        return ()
    reached: set[str] = set()
    left: dict[str, list[Use]] = {}
    addresses: dict[str, list[Use]] = {}
    built = _build(replace(top, images=()), _Built())
    found: list[Unused] = []
    now = list(built.uses)
    renamed = dict(built.renamed)
    for entry in top.images:
        for place, use in enumerate(now):
            if use.is_address and entry.matches(use.image.removeprefix(_OCI)):
                addresses.setdefault(entry.name, []).append(use)
            if not entry.matches(use.image):
                continue
            if use.is_reached(built.specs):
                reached.add(entry.name)
                made = entry.applied_to(use.image) or use.image
                renamed.setdefault(use.image, (entry, top.path, made))
                now[place] = replace(use, image=made)
            elif not use.is_setting:
                left.setdefault(entry.name, []).append(use)
    for entry in top.images:
        if entry.name not in names or (entry.name in reached and entry.name not in left):
            continue
        taken = next(
            (
                by
                for old, by in renamed.items()
                if by[:2] != (entry, top.path) and entry.matches(old)
            ),
            None,
        )
        others = tuple(
            dict.fromkeys(use.image for use in built.uses if use.is_reached(built.specs))
        )
        found.append(
            Unused(
                entry,
                # Where it changes an image a replacement may copy that into the address.
                tuple(left.get(entry.name, []) or addresses.get(entry.name, [])),
                taken,
                others,
                is_partial=entry.name in reached,
            )
        )
    return tuple(found)


def told(one: Unused, kustomization: str) -> tuple[str, str]:
    """Return in words what an entry of `kustomization` does not change, and how it would."""
    name = one.entry.name
    folder = kustomization.rpartition("/")[0] or "."
    nowhere = f"no manifest of {folder} has the image {name} where kustomize sets it"
    if one.places:
        at = ", ".join(
            f"{use.file} has it at {use.path} of {use.kind or 'any kind'}" for use in one.places[:5]
        )
        specs = dict.fromkeys(
            f'{{path: "{use.path}"{use.kind and f", kind: {use.kind}"}}}' for use in one.places
        )
        problem = f"{nowhere}: {at}"
        if one.places[0].is_address:
            return problem, _copied(one, kustomization, folder)
        if one.is_partial:
            problem = f"kustomize leaves the image {name} as it was in a place: {at}"
        return problem, (
            f"add to {kustomization}:\nconfigurations: [images-config.yaml]\nand to"
            f" {folder}/images-config.yaml:\nimages: [{', '.join(specs)}]"
        )
    if one.renamed:
        entry, file, made = one.renamed
        problem = f"{nowhere}: the entry `name: {entry.name}` of {file} makes {made} of it first"
        return problem, f"name the entry of {kustomization} after what is there then: {made}"
    others = ", ".join(one.others[:10]) or "no image"
    return f"{nowhere}; they have: {others}", (
        f"name the entry of {kustomization} as the manifests have the image"
    )


def _copied(one: Unused, kustomization: str, folder: str) -> str:
    """Return what copies an image into an address: kustomize sets it in a manifest that it then leaves out."""
    targets = ", ".join(
        f"{{select: {{kind: {use.kind}}}, fieldPaths: [{'.'.join(map(str, use.steps))}],"
        ' options: {delimiter: "://", index: 1}}'
        for use in one.places
    )
    return (
        f"add model-image.yaml to `resources` of {kustomization}, and add to it:\nreplacements:\n"
        "- source: {kind: PodTemplate, name: model-image, fieldPath: template.spec.containers.0.image}\n"
        f"  targets: [{targets}]\nand to {folder}/model-image.yaml:\n"
        "apiVersion: v1\nkind: PodTemplate\n"
        'metadata: {name: model-image, annotations: {config.kubernetes.io/local-config: "true"}}\n'
        f"template: {{spec: {{containers: [{{name: model, image: {one.entry.name}}}]}}}}"
    )


def _all_known(layer: Layer) -> bool:
    is_read = all(one.matches("") is not None for one in layer.images)
    return layer.is_known and is_read and all(map(_all_known, (*layer.bases, *layer.components)))


def _build(layer: Layer, built: _Built) -> _Built:
    """Do with `built` what kustomize does: bases, own manifests, components, and then `images`."""
    for base in layer.bases:
        made = _build(base, _Built())
        built.uses += made.uses
        built.specs += made.specs
        built.renamed.update(made.renamed)
    built.uses += layer.uses
    built.specs += layer.specs
    for component in layer.components:
        _build(component, built)
    for entry in layer.images:
        for place, use in enumerate(built.uses):
            made_of = entry.applied_to(use.image)
            if made_of not in (None, use.image) and use.is_reached(built.specs):
                built.renamed.setdefault(use.image, (entry, layer.path, str(made_of)))
                built.uses[place] = replace(use, image=str(made_of))
    return built


# --- reading --------------------------------------------------------------------------------------------


def uses_of(data: Any, file: str) -> Iterator[Use]:
    """Yield the images of one manifest, or of each in a list of them: where a field is called so.

    A field is an image's where it is called `image`, or by a name that ends so (`modelImage`), or is the
    `reference` of one. So is a URI that says `oci://`, and the value of a variable, which `configurations:`
    may reach.
    """
    if not isinstance(data, Mapping):
        return
    kind, version = data.get("kind"), data.get("apiVersion")
    kind, version = str(kind or ""), str(version or "")
    items = data.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for item in items:
            yield from uses_of(item, file)
        return
    group, _, number = version.rpartition("/")
    for steps, image in _scalars(data, ()):
        name = steps[-1]
        is_image = isinstance(name, str) and (
            re.search("(^i|I)mage$", name)
            or steps[-2:] == ("image", "reference")
            or (name == "value" and steps[-3:-2] == ("env",))
            or (image.startswith(_OCI) and re.search("(^u|U)ri$", name))
        )
        if is_image and image:
            yield Use(file, kind, group, number, steps, image)


def uses_of_operations(data: Any, kind: str, file: str) -> Iterator[Use]:
    """Yield the images that the operations of a JSON patch set. `kind` is an expression, as its target says it.

    Raises InputError for one that takes its value from elsewhere in the resource.
    """
    for one in data if isinstance(data, list) else ():
        if isinstance(one, Mapping) and one.get("op") in ("copy", "move"):
            raise InputError(f"{file} copies a value that is in no file of its own")
        if not isinstance(one, Mapping) or one.get("op") not in ("add", "replace"):
            continue
        steps: Steps = tuple(
            int(step) if step.isdecimal() else 0 if step == "-" else step
            for step in re.sub("~1", "/", str(one.get("path", ""))).split("/")[1:]
        )
        for below, image in _scalars(one.get("value"), steps):
            if below and below[-1] == "image" and image:
                yield Use(file, kind if kind.isalnum() else "", "", "", below, image)


def specs_of(data: Any) -> tuple[Spec, ...]:
    """Return the entries for images of a file of `configurations:`."""
    entries = data.get("images") if isinstance(data, Mapping) else None
    return tuple(
        Spec(*(str(one.get(key) or "") for key in ("path", "kind", "group", "version")))
        for one in (entries if isinstance(entries, list) else ())
        if isinstance(one, Mapping)
    )


def _scalars(node: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    waiting: list[tuple[Any, Steps]] = [(node, steps)]
    while waiting:
        now, at = waiting.pop()
        if isinstance(now, Mapping):
            waiting += [(value, (*at, str(key))) for key, value in now.items()]
        elif isinstance(now, list):
            waiting += [(value, (*at, place)) for place, value in enumerate(now)]
        elif isinstance(now, str):
            yield at, now
