"""The re-use of an image that the registry has: the same content is built and tested once."""

from __future__ import annotations

from contextlib import suppress

from model_gitops import runner
from model_gitops.actions.build_push_image.job import Job, Result
from model_gitops.adapters.container_engine import Engine
from model_gitops.adapters.docker import Docker, TagTakenError
from model_gitops.adapters.smoke_run import try_image
from model_gitops.core.image import smoke
from model_gitops.core.image.build import native_or_first
from model_gitops.core.image.labels import SMOKE_TEST_LABEL
from model_gitops.core.image.published import reusable


def reuse_image(client: Docker, job: Job) -> Result | None:
    """Take the registry's image of this content, all tags set on it; None where it has none."""
    current = {one: client.inspect(f"{job.name}:{one}") for one in job.all_tags}
    found = reusable(current[job.tags[0]], current[job.fingerprint_tag], job.fingerprint)
    if found is None:
        return None
    runner.say(f"{job.name}@{found.digest} has this content: nothing is built")
    if job.test is not None and found.labels.get(SMOKE_TEST_LABEL) != job.test_identity:
        runner.say("it was built without this smoke test, so it is tested now")
        _test_published(client, job, job.test, f"{job.name}@{found.digest}")
    # Never moved: another job's image of this content may be live already.
    if current[job.fingerprint_tag] is None:
        with suppress(TagTakenError):
            client.point(job.name, [job.fingerprint_tag], found.digest)
    # A tag that is right already is left alone: an immutable one could not be written again.
    moved = [
        one for one in job.tags if (image := current[one]) is None or image.digest != found.digest
    ]
    client.point(job.name, moved, found.digest)
    return Result(found.digest, "reused", {"containerimage.digest": found.digest})


def _test_published(client: Docker, job: Job, test: smoke.SmokeTest, reference: str) -> None:
    """Test an image that the registry has. Raises RefusedError where it does not answer as it should."""
    engine = Engine(client.engine_host())
    had = engine.has_image(reference)
    if not had:
        client.pull(reference, native_or_first(job.platforms, engine.platform))
    try:
        try_image(engine, reference, test, "no tag was written")
    finally:
        if not had:
            engine.remove_image(reference)
