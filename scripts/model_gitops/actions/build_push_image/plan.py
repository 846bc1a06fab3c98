"""The plan: what the inputs leave open is asked of the builder and the registries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_gitops import runner
from model_gitops.actions.build_push_image.bases import Bases, look_up, unpinned_images
from model_gitops.actions.build_push_image.fingerprint import fingerprint_of, read_content
from model_gitops.actions.build_push_image.inputs import Inputs
from model_gitops.actions.build_push_image.job import Job
from model_gitops.adapters import docker_config, scratch
from model_gitops.adapters.docker import Docker, has_actions_cache
from model_gitops.core.image import caches, smoke
from model_gitops.core.image.build import Build, attestation_arguments
from model_gitops.core.image.labels import labels
from model_gitops.core.image.names import registry_host
from model_gitops.errors import ExternalError


@contextmanager
def session(given: Inputs) -> Iterator[tuple[Docker, Path]]:
    """Give a docker command line with a configuration of its own, and a folder for a while."""
    host = registry_host(given.name) if given.login_as else None
    with scratch.folder("model-gitops-build-", runner.temporary_folder()) as made:
        env = docker_config.private_config(made, host)
        client = Docker(env, given.builder, runner.say)
        yield client.connected(made) if "://" in given.builder else client, made


def make_job(client: Docker, given: Inputs) -> Job:
    """Ask the builder and the registries what the inputs leave open, and log in."""
    builder = client.describe_builder()
    if given.push:
        client.require_imagetools()
    # Said to the build, so that what it makes is what the fingerprint says.
    platforms = given.platforms or tuple(filter(None, [builder.platform]))
    if not platforms:
        raise ExternalError(
            f"the builder names no platform that it builds: {builder.error or 'was it started?'}",
            fix="start the Docker engine, or choose a `builder` that runs: docker buildx ls; or say which:"
            " platforms: linux/amd64",
        )
    if given.login_as:
        client.login(registry_host(given.name), given.login_as, given.password)
    fingerprint, bases = "", Bases({}, pull=False)
    if given.push:
        content = read_content(given, platforms)
        bases = look_up(client, unpinned_images(content, builder), builder)
        fingerprint = fingerprint_of(content, bases)
    test_identity = smoke.identity(given.test) if given.test is not None else ""
    unusable = _actions_cache_unusable(given, is_engines_own=builder.is_engines_own)
    variables = {key: f"BUILD_SECRET_{n}" for n, key in enumerate(given.secrets)}
    return Job(
        name=given.name,
        tags=given.tags,
        has_own_tag=given.has_own_tag,
        fingerprint=fingerprint,
        reuse=given.reuse and fingerprint != "",
        push=given.push,
        build=Build(
            context=str(given.folder),
            file=str(given.file),
            target=given.target,
            build_args=given.build_args,
            contexts=given.contexts,
            secrets=variables,
            labels=_labels(given, fingerprint, test_identity),
            cache_from=caches.usable(given.cache_from, unusable),
            cache_to=caches.usable(given.cache_to, unusable),
            builder=client.builder,
            pull=bases.pull,
        ),
        builder=builder,
        bases=bases,
        secrets={variables[key]: value for key, value in given.secrets.items()},
        platforms=platforms,
        attestations=attestation_arguments(*given.attestations),
        test=given.test,
        test_identity=test_identity,
    )


def _actions_cache_unusable(given: Inputs, *, is_engines_own: bool) -> str:
    """Return why a cache of type=gha, where one is asked for, is left out; it only costs time."""
    why = caches.why_unusable(
        has_token=has_actions_cache(), is_shared=runner.on_gitea(), is_engines_own=is_engines_own
    )
    if why and any(map(caches.is_actions_cache, (*given.cache_from, *given.cache_to))):
        runner.notice(f"the cache of type=gha is left out: {why}")
    return why


def _labels(given: Inputs, fingerprint: str, test_identity: str) -> dict[str, str]:
    place = runner.context()
    return labels(
        name=given.name,
        tag=given.tags[0],
        revision=given.revision,
        source=f"{place.server_url}/{place.repository}" if place.repository else "",
        model=given.model,
        model_version=given.model_version,
        model_hash=given.model_hash,
        fingerprint=fingerprint,
        smoke_test=test_identity,
        own=given.labels,
    )
