"""The tags: written last, and never taken from another image where they don't move."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model_gitops import runner
from model_gitops.actions.build_push_image.job import Job
from model_gitops.adapters.docker import Docker, TagTakenError
from model_gitops.core.image.names import tag_of_its_own


def write_tags(
    client: Docker,
    job: Job,
    missing: Sequence[str],
    digest: str,
    write: Callable[[Sequence[str]], None],
) -> tuple[str, ...]:
    """Let the tags `missing` name the image of this digest, by `write`; return all that it has then.

    Where the commit's tag is another image's and does not move (the job ran before, or somebody took
    it), the image gets a tag of its own. Raises TagTakenError for one that was asked for by name.
    """
    try:
        write(missing)
        return job.tags
    except TagTakenError:
        left = [one for one in missing if not _names(client, f"{job.name}:{one}", digest)]
        first, *more = job.tags
        if job.has_own_tag or first not in left:
            write(left)
            return job.tags
    own = tag_of_its_own(first, digest)
    runner.notice(
        f"the tag {first} is another image's, and this registry lets no tag move: this image gets the"
        f" tag {own}"
    )
    write([own, *left[1:]])
    return (own, *more)


def _names(client: Docker, reference: str, digest: str) -> bool:
    found = client.inspect(reference)
    return found is not None and found.digest == digest
