"""The build: for the smoke test, then for the registry, where tags name it last."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.actions.build_push_image.bases import require_unmoved
from model_gitops.actions.build_push_image.job import Job, Result
from model_gitops.actions.build_push_image.tags import write_tags
from model_gitops.adapters.build_context import plain_context
from model_gitops.adapters.container_engine import Engine
from model_gitops.adapters.docker import Docker
from model_gitops.adapters.process import ProcessError
from model_gitops.adapters.smoke_run import try_image
from model_gitops.core.image import dockerfile, smoke
from model_gitops.core.image.build import build_arguments, native_or_first, tested_config
from model_gitops.core.image.names import is_digest
from model_gitops.core.image.refusals import input_error
from model_gitops.errors import ExternalError


def build_image(client: Docker, job: Job, scratch: Path) -> Result:
    """Build, test, push.

    Raises RefusedError where the image does not answer as it should, RaceError where a base image moved.
    """
    if job.push and job.builder.is_engines_own:
        return _push_from_engine(client, job, scratch)
    tested = _smoke_test(client, job, job.test, scratch) if job.test is not None else ""
    if not job.push:
        # The test has built it all; without one the build itself is the test.
        metadata = _run_build(client, job, scratch, "--output=type=cacheonly")
        return Result("", job.tags, "built", metadata)
    # Pushed by digest first: no tag names the image until it is known to be the tested one.
    output = (
        f"--output=type=image,name={job.name},push-by-digest=true,name-canonical=true,push=true"
    )
    metadata = _run_build(client, job, scratch, output)
    digest = metadata.get("containerimage.digest")
    if not is_digest(digest):
        raise ExternalError(f"buildx named no digest for what it pushed: {str(metadata)[:300]}")
    if tested:
        _same(tested, client.configs_of(job.name, str(digest)))
    tags = _write_tags(
        client, job, str(digest), lambda some: client.point(job.name, some, str(digest))
    )
    return Result(str(digest), tags, "built", metadata)


def _push_from_engine(client: Docker, job: Job, scratch: Path) -> Result:
    """Push with the engine's own builder, which can't push by digest: load, test and push one image.

    What it says of that image depends on the engine's store (no config's digest of an index), so it
    could not be compared with another one.
    """
    engine = Engine(client.engine_host())
    with _loaded(engine) as local:
        metadata = _run_build(client, job, scratch, "--load", f"--tag={local}")
        if job.test is not None:
            try_image(engine, local, job.test, "nothing was pushed")
        tags = _write_tags(
            client,
            job,
            engine.image_id(local),
            lambda some: client.push(local, [f"{job.name}:{one}" for one in some]),
        )
    first = f"{job.name}:{tags[0]}"
    found = client.inspect(first)
    if found is None:
        raise ExternalError(f"{first} was pushed, and the registry does not have it")
    # This builder calls the image's ID its digest; what can be pinned is the registry's.
    metadata = {**metadata, "containerimage.digest": found.digest}
    return Result(found.digest, tags, "built", metadata)


def _write_tags(
    client: Docker, job: Job, digest: str, write: Callable[[Sequence[str]], None]
) -> tuple[str, ...]:
    """Let the tags name what was built, as long as it is what the fingerprint says."""
    if job.fingerprint:
        require_unmoved(client, job.bases, job.builder)
    return write_tags(client, job, digest, write)


def _run_build(
    client: Docker,
    job: Job,
    scratch: Path,
    *output: str,
    attestations: Sequence[str] | None = None,
    platforms: Sequence[str] | None = None,
    cache_to: bool = True,
) -> dict[str, Any]:
    """Run the job's build; return buildx's metadata. What is given here replaces the job's own.

    Raises InputError for a Dockerfile or an input that can't be built, ProcessError for what else fails.
    """
    metadata_file = scratch / f"metadata-{uuid.uuid4().hex}.json"
    context = plain_context(Path(job.build.context), scratch)
    words = build_arguments(
        replace(job.build, context=str(context)),
        metadata_file=str(metadata_file),
        output=output,
        platforms=job.platforms if platforms is None else platforms,
        attestations=job.attestations if attestations is None else attestations,
        cache_to=cache_to,
    )
    try:
        with runner.group(f"docker buildx build: {job.name}"):
            return client.build(words, metadata_file, job.secrets, job.name)
    except ProcessError as error:
        text = Path(job.build.file).read_text(encoding="utf-8", errors="replace")
        said = error.completed.stderr
        raise input_error(said, job.build.target, dockerfile.sources(text)) or error from error


def _same(tested: str, pushed: set[str]) -> None:
    if tested not in pushed:
        raise ExternalError(
            f"the image tested ({tested}) is not the one built for the push ({', '.join(sorted(pushed))}),"
            " so no tag was written: did the builder lose its cache in between?",
            fix="run the job again; if it stays so, the build gives another result each time: give the"
            " builder more room for its cache",
        )


def _smoke_test(client: Docker, job: Job, test: smoke.SmokeTest, scratch: Path) -> str:
    """Build for the engine and test; return the tested image's config digest.

    Raises RefusedError where the image does not answer as it should.
    """
    engine = Engine(client.engine_host())
    platform = native_or_first(job.platforms, engine.platform)
    with _loaded(engine) as local:
        # Attestations describe an image and are no part of it; an engine's store may not take them.
        metadata = _run_build(
            client, job, scratch, "--load", f"--tag={local}", cache_to=False,
            attestations=["--provenance=false", "--sbom=false"], platforms=[platform] if platform else [],
        )  # fmt: skip
        config = tested_config(metadata, engine.image_id(local))
        try_image(engine, local, test, "nothing was pushed")
    return config


@contextmanager
def _loaded(engine: Engine) -> Iterator[str]:
    """Give a name to load an image by; that image is removed after."""
    local = f"model-gitops-smoke:{uuid.uuid4().hex}"
    try:
        yield local
    finally:
        engine.remove_image(local)
