"""The tags: written last, and never taken from another image where they don't move."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model_gitops import runner
from model_gitops.actions.build_push_image.job import Job
from model_gitops.adapters.docker import Docker, TagTakenError
from model_gitops.core.image.names import tag_of_its_own


def write_tags(
    client: Docker, job: Job, digest: str, write: Callable[[Sequence[str]], None]
) -> tuple[str, ...]:
    """Let the job's tags name the image of this digest, by `write`; return them.

    A tag that is right already is left alone: an immutable one could not be written again. Where the
    commit's tag is another image's and does not move (the job ran before, or somebody took it), the
    image gets a tag of its own. Raises TagTakenError for a tag that was asked for by name.
    """
    first, *more = job.tags
    try:
        write(_others(client, job.name, job.tags, digest))
        return job.tags
    except TagTakenError:
        if job.has_own_tag or not _others(client, job.name, [first], digest):
            raise
    own = tag_of_its_own(first, digest)
    runner.notice(
        f"the tag {first} is another image's, and this registry lets no tag move: this image gets the"
        f" tag {own}"
    )
    write(_others(client, job.name, [own, *more], digest))
    return (own, *more)


def _others(client: Docker, name: str, tags: Sequence[str], digest: str) -> list[str]:
    """Return those of `tags` that don't name the image of this digest."""
    found = {one: client.inspect(f"{name}:{one}") for one in tags}
    return [one for one, image in found.items() if image is None or image.digest != digest]
