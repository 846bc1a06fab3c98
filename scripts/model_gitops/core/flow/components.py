"""The components of a training pipeline, and which of them a change touches."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.flow.training import Training
from model_gitops.core.image import uses
from model_gitops.core.image.uses import Rules, Uses

_DOCKERFILE = "Dockerfile"
# Links that lead to links: as many as Linux follows.
_MOST_LINKS = 40


@dataclass(frozen=True)
class Component:
    """One folder with a Dockerfile. Paths are from the repository's top; `entry` is its name in overlays."""

    name: str
    folder: str
    context: str
    image: str
    entry: str

    @property
    def dockerfile(self) -> str:
        """The Dockerfile, from the top."""
        return f"{self.folder}/{_DOCKERFILE}"


@dataclass(frozen=True)
class Scope:
    """What a component is made of: its Dockerfile's `uses`, and which paths its builder never gets.

    Patterns are from the context. `told_by` are the files that say both, from the top, also one that is not
    there any more, and where their links lead.
    """

    component: Component
    uses: Uses
    rules: Rules
    told_by: frozenset[str] = frozenset()

    def first(self, changed: Iterable[str]) -> str:
        """Return the first of the changed paths that the component is made of; empty for none."""
        return next((path for path in changed if self._has(path)), "")

    def _has(self, path: str) -> bool:
        one = self.component
        if path.startswith(f"{one.folder}/") or path == one.folder or path in self.told_by:
            return True
        inside = path if one.context == "." else path.removeprefix(f"{one.context}/")
        if one.context != "." and inside == path:
            # A folder on the way may have been a link.
            return f"{one.context}/".startswith(f"{path}/")
        if not any(uses.matches(pattern, inside) for pattern in self.uses.patterns):
            return False
        return not self.rules.leave_out(inside)


@dataclass(frozen=True)
class Changed:
    """A component that is to be built, and why: the first path that touches it, or in words."""

    component: Component
    path: str = ""
    why: str = ""
    is_new: bool = False


def find(training: Training, files: Iterable[str]) -> tuple[Component, ...]:
    """Return the components among the repository's `files`, by name. Raises InputError for a bad name."""
    start = "" if training.components == "." else f"{training.components}/"
    names = set()
    for path in files:
        if path.startswith(start) and path.endswith(f"/{_DOCKERFILE}"):
            name = path[len(start) : -len(_DOCKERFILE) - 1]
            if "/" not in name:
                names.add(name)
    return tuple(_component(training, name) for name in sorted(names))


def _component(training: Training, name: str) -> Component:
    return Component(
        name=name,
        folder=training.folder_of(name),
        context=training.context_of(name),
        image=training.image_of(name),
        entry=training.entry(name),
    )


def read_by(component: Component) -> tuple[str, ...]:
    """Return the files that say what a component is made of, the Dockerfile first. Not each is there."""
    return (
        component.dockerfile,
        f"{component.dockerfile}.dockerignore",  # where it is there, BuildKit reads no other
        posixpath.normpath(f"{component.context}/.dockerignore"),
    )


def scope(
    component: Component,
    read: Callable[[str], str | None],
    links: Mapping[str, str],
) -> Scope:
    """Return what a component is made of. `read` gives a file's text, `links` are path → target."""
    dockerfile, own, shared = ([*_way(path, links)] for path in read_by(component))
    found = uses.of(read(dockerfile[-1]) or "")
    ignored = read(own[-1])
    told_by = [*dockerfile, *own]
    if ignored is None:
        ignored = read(shared[-1])
        told_by += shared
    inside = {
        posixpath.relpath(link, component.context): posixpath.relpath(target, component.context)
        for link, target in links.items()
        if component.context == "." or f"{link}/".startswith(f"{component.context}/")
    }
    patterns = uses.with_links(found.patterns, inside)
    return Scope(
        component, replace(found, patterns=patterns), Rules(ignored or ""), frozenset(told_by)
    )


def _way(path: str, links: Mapping[str, str]) -> Iterator[str]:
    """Yield `path`, and where it leads by links, to the last place. A circle has an end, too."""
    for _ in range(_MOST_LINKS):
        yield path
        start = next((one for one in links if f"{path}/".startswith(f"{one}/")), None)
        if start is None:
            return
        path = posixpath.normpath(f"{links[start]}{path[len(start) :]}")


def deploys(promotion: Promotion) -> Training | None:
    """Return the training pipeline that the components are deployed to; None where there is none."""
    return promotion.training if promotion.deploy_repository else None


def entry(one: Changed, number: int, config: str, promotion: Promotion) -> dict[str, object]:
    """Return what a job of a matrix is told of one component of pipeline `number`."""
    component = one.component
    return {
        "component": component.name,
        "folder": component.folder,
        "dockerfile": component.dockerfile,
        "context": component.context,
        "image": component.image,
        "name": component.entry,
        "pipeline": number,
        "config": config,
        "model": promotion.model,
        "environment": promotion.environments[0].name,
        "new": one.is_new,
    }


def pipeline(
    number: int, config: str, promotion: Promotion, found: Sequence[Changed]
) -> dict[str, object]:
    """Return what the job is told that sets the images of one model's components in an overlay."""
    training = promotion.components
    first, *later = training.environments
    after = later[0] if later else ""
    return {
        "pipeline": number,
        "config": config,
        "model": promotion.model,
        "environment": promotion.environments[0].name,
        "repository": promotion.deploy_repository,
        "training-environment": first,
        "path": training.overlay(first),
        "next-environment": after,
        "next-path": training.overlay(after) if after else "",
        "images": "\n".join(f"{one.component.entry}={one.component.image}" for one in found),
        "components": ", ".join(one.component.name for one in found),
        "engine": training.engine,
    }
