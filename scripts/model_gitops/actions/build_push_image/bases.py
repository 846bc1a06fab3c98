"""The images that a build takes from registries: which the tags name, before the build and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from model_gitops.adapters.docker import Docker
from model_gitops.core.image import dockerfile
from model_gitops.core.image.build import Builder
from model_gitops.core.image.content import Content
from model_gitops.core.image.names import is_pinned
from model_gitops.errors import RaceError


@dataclass(frozen=True)
class Bases:
    """The images that a build takes by a tag → their digests; None where a registry is away."""

    digests: Mapping[str, str | None]
    # Whether the engine's own builder must ask the registries: else it takes what it has.
    pull: bool


def unpinned_images(content: Content, builder: Builder) -> list[str]:
    """Return the images that the build takes by a tag: a digest in the text says all."""
    named = dockerfile.references(
        content.dockerfile_text,
        target=content.target,
        build_args=content.build_args,
        contexts=content.contexts,
        build_platform=builder.platform,
        platforms=content.platforms,
    )
    scheme = "docker-image://"
    named += [
        place.removeprefix(scheme)
        for place in content.contexts.values()
        if isinstance(place, str) and place.startswith(scheme)
    ]
    return sorted({one for one in named if not is_pinned(one)} - {dockerfile.SCRATCH})


def look_up(client: Docker, references: Sequence[str], builder: Builder) -> Bases:
    """Ask the registries which images the tags name now."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = dict(zip(references, pool.map(client.digest_of, references), strict=True))
    pull = builder.is_engines_own and all(found.values())
    if builder.is_engines_own and not pull:
        # It can't ask for some of them, so it takes all that the engine has from there.
        found = {one: client.local_id(one) or digest for one, digest in found.items()}
    return Bases(found, pull)


def require_unmoved(client: Docker, bases: Bases, builder: Builder) -> None:
    """Raise RaceError where a tag moved between the look-up and the build: which image it took is open."""
    now = look_up(client, list(bases.digests), builder).digests
    for one, digest in bases.digests.items():
        if now[one] not in (digest, None):
            raise RaceError(
                f"{one} moved while the image was built ({digest} → {now[one]}), so no tag was written",
                fix="run the job again; pin it by digest, so that it can't move",
            )
