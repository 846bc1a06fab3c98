"""The re-use of an image that was deployed: the same content is built and tested once."""

from __future__ import annotations

from model_gitops import runner
from model_gitops.actions.build_push_image.job import Job, Result
from model_gitops.actions.build_push_image.tags import write_tags
from model_gitops.adapters.container_engine import Engine
from model_gitops.adapters.docker import Docker
from model_gitops.adapters.smoke_run import try_image
from model_gitops.core.image import smoke
from model_gitops.core.image.build import native_or_first
from model_gitops.core.image.labels import SMOKE_TEST_LABEL


def reuse_image(client: Docker, job: Job, digest: str) -> Result | None:
    """Take the image `digest`, all tags set on it; None where the registry has it no more.

    Its label of the smoke test is believed: what has this digest was deployed as it is.
    """
    reference = f"{job.name}@{digest}"
    found = client.inspect(reference)
    if found is None:
        runner.say(f"{reference} was deployed with this content, and the registry has it no more")
        return None
    runner.say(f"{reference} has this content: nothing is built")
    if job.test is not None and found.labels.get(SMOKE_TEST_LABEL) != job.test_identity:
        runner.say("it was built without this smoke test, so it is tested now")
        _test_published(client, job, job.test, reference)
    tags = write_tags(client, job, digest, lambda some: client.point(job.name, some, digest))
    return Result(digest, tags, "reused", {"containerimage.digest": digest})


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
