"""Build, smoke-test and push the image that serves a model."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from model_gitops import runner
from model_gitops.adapters import build_context, docker, docker_config, paths, process, scratch
from model_gitops.adapters.container_engine import Engine
from model_gitops.adapters.smoke_run import try_image
from model_gitops.core.image import build as builds
from model_gitops.core.image import dockerfile, names, smoke
from model_gitops.core.image import labels as image_labels
from model_gitops.core.image.content import Content, Entry, fingerprint
from model_gitops.core.image.published import reusable
from model_gitops.errors import ExternalError, InputError, RaceError
from model_gitops.options import existing_folder, flag, lines, option, secret

OUTPUTS = ("image", "tag", "digest", "operation", "metadata")


@dataclass(frozen=True)
class _Inputs:
    """The inputs, read and checked. `tags` has the commit's first."""

    secrets: dict[str, str] = field(repr=False)
    name: str
    revision: str
    tags: tuple[str, ...]
    build_args: dict[str, str]
    contexts: dict[str, str]
    labels: dict[str, str]
    folder: Path
    file: Path
    target: str
    platforms: tuple[str, ...]
    test: smoke.SmokeTest | None
    builder: str
    login_as: str
    password: str = field(repr=False)
    cache_from: list[str]
    cache_to: list[str]
    attestations: tuple[str, str]
    reuse: bool
    push: bool
    model: str
    model_version: str
    model_hash: str


@dataclass(frozen=True)
class _Bases:
    """The images that a build takes by a tag → their digests; None where a registry is away."""

    digests: Mapping[str, str | None]
    # Whether the engine's own builder must ask the registries: else it takes what it has.
    pull: bool


@dataclass(frozen=True)
class _Job:
    """What is to be built, tested and pushed. `tags` are those asked for, the commit's first.

    Without a push, or where a base image is not known, there is no fingerprint, and no tag of it.
    """

    name: str
    tags: tuple[str, ...]
    fingerprint: str
    fingerprint_tag: str
    reuse: bool
    build: builds.Build
    driver: str
    bases: _Bases
    secrets: dict[str, str]
    platforms: tuple[str, ...]
    attestations: list[str]
    test: smoke.SmokeTest | None
    # Of the test: what passed it carries it as a label.
    test_identity: str

    @property
    def all_tags(self) -> tuple[str, ...]:
        """Those asked for, and the fingerprint's."""
        return tuple(filter(None, (*self.tags, self.fingerprint_tag)))


@dataclass(frozen=True)
class _Result:
    """What the registry has now under the tags; the digest is empty without a push."""

    digest: str
    operation: str
    metadata: dict[str, Any]


def command(
    image: Annotated[
        str, option("image", "The image's name, without a tag: ghcr.io/acme/diabetes.")
    ] = "",
    tag: Annotated[
        str, option("tag", "The tag. Default: the commit's hash; on a pull request the head's.")
    ] = "",
    extra_tags: Annotated[
        str, option("extra-tags", "More tags of the same image, one a line.")
    ] = "",
    context: Annotated[str, option("context", "Folder that the build reads.")] = ".",
    file: Annotated[
        str, option("file", "The Dockerfile. Default: `Dockerfile` in the context.")
    ] = "",
    target: Annotated[str, option("target", "Stage to build. Default: the last.")] = "",
    build_args: Annotated[
        str,
        option(
            "build-args",
            "Build arguments, lines `NAME=value`. Nothing secret: they are in the image's history.",
        ),
    ] = "",
    build_contexts: Annotated[
        str,
        option(
            "build-contexts",
            "Named contexts, lines `name=folder` or `name=docker-image://reference`.",
        ),
    ] = "",
    secrets: Annotated[
        str, secret("secrets", "Build secrets, lines `id=value`, for `RUN --mount=type=secret`.")
    ] = "",
    platforms: Annotated[
        str,
        option("platforms", "Platforms, such as linux/amd64,linux/arm64. Default: the builder's."),
    ] = "",
    labels: Annotated[
        str, option("labels", "More labels, lines `key=value`; they win over ours.")
    ] = "",
    cache_from: Annotated[
        str, option("cache-from", "Caches to read, as buildx has them, one a line.")
    ] = "",
    cache_to: Annotated[
        str, option("cache-to", "Caches to write, as buildx has them, one a line.")
    ] = "",
    provenance: Annotated[
        str,
        option("provenance", "Provenance attestation: true, false, mode=max. Default: buildx's."),
    ] = "",
    sbom: Annotated[
        str, option("sbom", "SBOM attestation: true, false, generator=IMAGE. Default: buildx's.")
    ] = "",
    builder: Annotated[
        str, option("builder", "The buildx builder. Default: the current one.")
    ] = "",
    smoke_test: Annotated[
        str,
        option(
            "smoke-test", "Test before the push: a description (YAML or JSON), or a file with it."
        ),
    ] = "",
    reuse: Annotated[
        bool,
        flag("reuse", "Whether an image of the same content in the registry is used, not built."),
    ] = True,
    push: Annotated[bool, flag("push", "Whether to push.")] = True,
    username: Annotated[
        str, option("username", "Account for the registry. Default: who started the workflow.")
    ] = "",
    password: Annotated[str, secret("password", "Password or token for the registry.")] = "",
    model: Annotated[str, option("model", "The model's name, for a label.")] = "",
    model_version: Annotated[
        str, option("model-version", "The model's version, for a label.")
    ] = "",
    model_hash: Annotated[str, option("model-hash", "The model's hash, for a label.")] = "",
) -> None:
    """Look for an image of the same content; else build, test and push one. Put out its digest."""
    runner.mask(password)
    _mask_lines(secrets)
    revision = _commit()
    folder = existing_folder("context", context or ".").resolve()
    given = _Inputs(
        secrets=builds.parse_pairs(
            "secrets", lines(secrets), key=r"[A-Za-z0-9_.-]+", example="TOKEN=${{ secrets.TOKEN }}",
            secret=True,
        ),
        name=names.check_name(image),
        revision=revision,
        tags=_tags(tag or revision, lines(extra_tags)),
        build_args=builds.parse_pairs(
            "build-args", lines(build_args), key=r"[A-Za-z_][A-Za-z0-9_.-]*",
            example="BASE_IMAGE=python:3.12",
        ),
        contexts=_named_contexts(build_contexts),
        labels=builds.parse_pairs(
            "labels", lines(labels), key=r"[^\s=]+", example="com.acme.team=ml"
        ),
        folder=folder,
        file=_dockerfile(file, folder),
        target=target,
        platforms=_platforms(lines(platforms)),
        test=_read_smoke_test(smoke_test) if smoke_test.strip() else None,
        builder=_builder(builder),
        login_as=_login_name(username, password, push=push),
        password=password,
        cache_from=lines(cache_from),
        cache_to=lines(cache_to),
        attestations=(provenance, sbom),
        reuse=reuse,
        push=push,
        model=model,
        model_version=model_version,
        model_hash=model_hash,
    )  # fmt: skip
    with _session(given) as (client, scratch_folder):
        job = _plan(client, given)
        result = _reuse(client, job) if job.reuse else None
        result = result or _build(client, job, scratch_folder, push=push)
    _report(job, result, pushed=push)


# --- inputs ---------------------------------------------------------------------------------------


def _mask_lines(secrets: str) -> None:
    """Mask all of it before a message can show any: each line, and what follows each `=`."""
    runner.mask(secrets)
    for line in lines(secrets):
        runner.mask(line.partition("=")[2])


def _tags(tag: str, more: Sequence[str]) -> tuple[str, ...]:
    if not tag:
        raise InputError.of(
            "tag", tag, "no commit is known here to take it from", fix="tag: v1.2.3"
        )
    first = names.check_tag(tag)
    checked = [names.check_tag(one, input_name="extra-tags") for one in more]
    return tuple(dict.fromkeys([first, *checked]))


def _platforms(asked: Sequence[str]) -> tuple[str, ...]:
    return builds.parse_platforms(asked) or builds.parse_platforms(
        [docker.default_platform()], source=docker.PLATFORM_VARIABLE
    )


def _builder(name: str) -> str:
    if len(name.split()) > 1 or name.startswith("-"):
        raise InputError.of("builder", name, "this is no name of a builder", fix="builder: default")
    return name


def _commit() -> str:
    if known := runner.context().head_sha:
        return known
    done = process.run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _named_contexts(value: str) -> dict[str, str]:
    found = builds.parse_pairs(
        "build-contexts",
        lines(value),
        key=r"[A-Za-z0-9_][A-Za-z0-9_./:@-]*",
        example="model=models",
    )
    for name, place in found.items():
        if builds.is_reference(place):
            continue
        path = Path(place)
        if paths.is_file(path):
            raise InputError.of(
                "build-contexts", place, "a named context is a folder, and this is a file",
                fix=f"build-contexts: {name}={path.parent}",
            )  # fmt: skip
        if not paths.is_folder(path):
            raise InputError.of(
                "build-contexts", place, "no such folder",
                fix=f"build-contexts: {name}=FOLDER (is the step that makes it, such as dvc-pull-model, before this one?)",
            )  # fmt: skip
        found[name] = str(path.resolve())
    return found


def _dockerfile(file: str, folder: Path) -> Path:
    path = Path(file) if file else folder / "Dockerfile"
    if paths.is_file(path):
        return path.resolve()
    fix = "file: path/to/Dockerfile, from the working directory"
    if file and paths.is_file(folder / file):
        fix = f"file: {Path(folder.name) / file if folder != Path.cwd() else file}"
        fix += " (from the working directory, not from the context)"
    raise InputError.of("file", file or str(path), "no such file", fix=fix)


def _read_smoke_test(value: str) -> smoke.SmokeTest:
    source = "input `smoke-test`"
    if not smoke.is_text(value):
        path = Path(value.strip())
        try:
            value, source = path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError.of(
                "smoke-test", str(path), f"this file can't be read: {error}",
                fix="smoke-test: a file's path, or the description itself",
            ) from error  # fmt: skip
    test = smoke.parse(value, source=source)
    return replace(test, requests=[_with_body(request, source) for request in test.requests])


def _with_body(request: smoke.Request, source: str) -> smoke.Request:
    if not request.body_file:
        return request
    try:
        return replace(request, body=Path(request.body_file).read_bytes())
    except OSError as error:
        raise InputError(
            f"{source}: the `body-file` {request.body_file!r} can't be read: {error.strerror}",
            fix="give its path from the working directory",
        ) from error


def _login_name(username: str, password: str, *, push: bool) -> str:
    """Return the name to log in with; empty where nothing is given and the user's logins serve.

    Without a push an empty password is fine: a fork's pull request has no secrets.
    """
    if username and not password and push:
        raise InputError(
            "input `username` is given, and `password` is not", fix="password: ${{ github.token }}"
        )
    if not password:
        return ""
    name = username or runner.context().sender
    if not name:
        raise InputError(
            "input `password` is given, and `username` is not", fix="username: ${{ github.actor }}"
        )
    return name


# --- the steps ------------------------------------------------------------------------------------


@contextmanager
def _session(given: _Inputs) -> Iterator[tuple[docker.Docker, Path]]:
    """Give a docker command line with a configuration of its own, and a folder for a while."""
    host = names.registry_host(given.name) if given.login_as else None
    with scratch.folder("model-gitops-build-", runner.temporary_folder()) as made:
        env = docker_config.private_config(made, host)
        yield docker.Docker(env, given.builder, runner.say), made


def _plan(client: docker.Docker, given: _Inputs) -> _Job:
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
        client.login(names.registry_host(given.name), given.login_as, given.password)
    fingerprint, bases = "", _Bases({}, pull=False)
    if given.push:
        content = _content(given, platforms)
        bases = _look_up(client, _open_references(content, builder), builder.driver)
        fingerprint = _fingerprint(content, bases)
    test_identity = smoke.identity(given.test) if given.test is not None else ""
    return _Job(
        name=given.name,
        tags=given.tags,
        fingerprint=fingerprint,
        fingerprint_tag=names.fingerprint_tag(fingerprint) if fingerprint else "",
        reuse=given.reuse and fingerprint != "",
        build=builds.Build(
            context=str(given.folder),
            file=str(given.file),
            target=given.target,
            build_args=given.build_args,
            contexts=given.contexts,
            secrets={key: f"BUILD_SECRET_{n}" for n, key in enumerate(given.secrets)},
            labels=_labels(given, fingerprint, test_identity),
            cache_from=given.cache_from,
            cache_to=given.cache_to,
            builder=given.builder,
            pull=bases.pull,
        ),
        driver=builder.driver,
        bases=bases,
        secrets={f"BUILD_SECRET_{n}": value for n, value in enumerate(given.secrets.values())},
        platforms=platforms,
        attestations=builds.attestation_arguments(*given.attestations),
        test=given.test,
        test_identity=test_identity,
    )


def _labels(given: _Inputs, fingerprint: str, test_identity: str) -> dict[str, str]:
    place = runner.context()
    return image_labels.labels(
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


def _content(given: _Inputs, platforms: Sequence[str]) -> Content:
    """Read all that the image is made of; the digests of its base images are open yet."""
    content = Content(
        files=build_context.entries(given.folder, build_file=given.file),
        dockerfile=given.file.read_bytes(),
        target=given.target,
        build_args=given.build_args,
        contexts={key: _context(key, value) for key, value in given.contexts.items()},
        platforms=platforms,
        model_hash=given.model_hash,
        attestations=given.attestations,
    )
    _warn_of_git(content, given.folder, given.file)
    return content


def _context(name: str, value: str) -> Sequence[Entry] | str:
    """Return what of a named context counts."""
    folder, rest = builds.split_layout(value)
    if folder:
        index = hashlib.sha256(build_context.layout(Path(folder))).hexdigest()
        return [Entry(rest, "oci-layout", index)]
    if not builds.is_reference(value):
        return build_context.entries(Path(value))
    if builds.may_move(value):
        # Without the address, which may hold a password.
        runner.say(
            f"the build context {name} counts by its text alone: end it with #COMMIT to pin it"
        )
    return value


def _warn_of_git(content: Content, folder: Path, build_file: Path) -> None:
    text = content.dockerfile.decode("utf-8", errors="replace")
    if dockerfile.takes_git(text) and build_context.sends_git(folder, build_file=build_file):
        runner.warning(
            "the build can take in the checkout's `.git`, which is no part of the fingerprint: an image"
            " with another commit's would be reused. Add a line `.git` to .dockerignore",
            title=".git is sent to the builder",
        )


def _open_references(content: Content, builder: builds.Builder) -> list[str]:
    """Return the images that the build takes by a tag: a digest in the text says all."""
    named = dockerfile.references(
        content.dockerfile.decode("utf-8", errors="replace"),
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
    return sorted({one for one in named if not names.is_pinned(one)} - {dockerfile.SCRATCH})


def _look_up(client: docker.Docker, references: Sequence[str], driver: str) -> _Bases:
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = dict(zip(references, pool.map(client.digest_of, references), strict=True))
    pull = driver == "docker" and all(found.values())
    if driver == "docker" and not pull:
        # It can't ask for some of them, so it takes all that the engine has from there.
        found = {one: client.local_id(one) or digest for one, digest in found.items()}
    return _Bases(found, pull)


def _fingerprint(content: Content, bases: _Bases) -> str:
    """Return the content's fingerprint; empty where a part of the content can't be known now."""
    for one, digest in bases.digests.items():
        if digest is None:
            runner.warning(
                f"no image is reused, and this one will not be: which image {one} is, is not known now",
                title="the registry of a base image is away",
            )
            return ""
        runner.say(f"{one} is {digest or 'not known: its name alone counts for the fingerprint'}")
    known = {one: digest or "" for one, digest in bases.digests.items()}
    found = fingerprint(replace(content, images=known))
    runner.say(f"content fingerprint: {found}")
    return found


def _reuse(client: docker.Docker, job: _Job) -> _Result | None:
    """Take the registry's image of this content, all tags set on it; None where it has none."""
    current = {one: client.inspect(f"{job.name}:{one}") for one in job.all_tags}
    found = reusable(current[job.tags[0]], current[job.fingerprint_tag], job.fingerprint)
    if found is None:
        return None
    runner.say(f"{job.name}@{found.digest} has this content: nothing is built")
    if (
        job.test is not None
        and found.labels.get(image_labels.SMOKE_TEST_LABEL) != job.test_identity
    ):
        runner.say("it was built without this smoke test, so it is tested now")
        _test_published(client, job, job.test, f"{job.name}@{found.digest}")
    # Never moved: another job's image of this content may be live already.
    if current[job.fingerprint_tag] is None:
        with suppress(docker.TagTakenError):
            client.point(job.name, [job.fingerprint_tag], found.digest)
    # A tag that is right already is left alone: an immutable one could not be written again.
    moved = [
        one for one in job.tags if (image := current[one]) is None or image.digest != found.digest
    ]
    client.point(job.name, moved, found.digest)
    return _Result(found.digest, "reused", {"containerimage.digest": found.digest})


def _build(client: docker.Docker, job: _Job, scratch: Path, *, push: bool) -> _Result:
    """Build, test, push."""
    if push and job.driver == "docker":
        return _push_from_engine(client, job, scratch)
    tested = _smoke_test(client, job, job.test, scratch) if job.test is not None else ""
    if not push:
        # The test has built it all; without one the build itself is the test.
        metadata = _run_build(
            client, job, scratch, ["--output=type=cacheonly"], job.attestations, cache_to=True
        )
        return _Result("", "built", metadata)
    # Pushed by digest first: no tag names the image until it is known to be the tested one.
    output = (
        f"--output=type=image,name={job.name},push-by-digest=true,name-canonical=true,push=true"
    )
    metadata = _run_build(client, job, scratch, [output], job.attestations, cache_to=True)
    digest = metadata.get("containerimage.digest")
    if not names.is_digest(digest):
        raise ExternalError(f"buildx named no digest for what it pushed: {str(metadata)[:300]}")
    if tested:
        _same(tested, client.configs_of(job.name, str(digest)))
    other = _write_tags(client, job, lambda tags: client.point(job.name, tags, str(digest)))
    return other or _Result(str(digest), "built", metadata)


def _push_from_engine(client: docker.Docker, job: _Job, scratch: Path) -> _Result:
    """Push with the engine's own builder, which can't push by digest: load, test and push one image.

    What it says of that image depends on the engine's store (no config's digest of an index), so it
    could not be compared with another one.
    """
    engine = Engine(client.engine_host())
    local = f"model-gitops-smoke:{uuid.uuid4().hex}"
    try:
        output = ["--load", f"--tag={local}"]
        metadata = _run_build(client, job, scratch, output, job.attestations, cache_to=True)
        if job.test is not None:
            try_image(engine, local, job.test, "nothing was pushed")
        other = _write_tags(
            client, job, lambda tags: client.push(local, [f"{job.name}:{one}" for one in tags])
        )
    finally:
        engine.remove_image(local)
    if other is not None:
        return other
    first = f"{job.name}:{job.tags[0]}"
    found = client.inspect(first)
    if found is None:
        raise ExternalError(f"{first} was pushed, and the registry does not have it")
    # This builder calls the image's ID its digest; what can be pinned is the registry's.
    return _Result(found.digest, "built", {**metadata, "containerimage.digest": found.digest})


def _write_tags(
    client: docker.Docker, job: _Job, write: Callable[[Sequence[str]], None]
) -> _Result | None:
    """Let the tags name what was built; but where another job was faster, take its image.

    The fingerprint's tag goes first: where it does not move, it decides between two jobs.
    """
    taken = job.reuse and client.inspect(f"{job.name}:{job.fingerprint_tag}") is not None
    if job.fingerprint_tag and not taken:
        _same_bases(client, job)
        try:
            write([job.fingerprint_tag])
        except docker.TagTakenError:
            if not job.reuse:
                runner.say("the fingerprint's tag stays: this registry does not let it move")
            taken = job.reuse
    if not taken:
        write(job.tags)
        return None
    runner.say("another job built this content in the meantime")
    if (other := _reuse(client, job)) is None:
        raise ExternalError(
            f"the registry has lost {job.name}:{job.fingerprint_tag}", fix="run the job again"
        )
    return other


def _same_bases(client: docker.Docker, job: _Job) -> None:
    """Raise RaceError where a tag moved between the look-up and the build: which image it took is open."""
    now = _look_up(client, list(job.bases.digests), job.driver).digests
    for one, digest in job.bases.digests.items():
        if now[one] not in (digest, None):
            raise RaceError(
                f"{one} moved while the image was built ({digest} → {now[one]}), so no tag was written",
                fix="run the job again; pin it by digest, so that it can't move",
            )


def _run_build(
    client: docker.Docker,
    job: _Job,
    scratch: Path,
    output: list[str],
    attestations: Sequence[str],
    *,
    cache_to: bool,
    platforms: Sequence[str] | None = None,
) -> dict[str, Any]:
    metadata_file = scratch / f"metadata-{uuid.uuid4().hex}.json"
    words = builds.build_arguments(
        job.build,
        metadata_file=str(metadata_file),
        output=output,
        platforms=job.platforms if platforms is None else platforms,
        attestations=attestations,
        cache_to=cache_to,
    )
    with runner.group(f"docker buildx build: {job.name}"):
        return client.build(words, metadata_file, job.secrets, job.name)


def _same(tested: str, pushed: set[str]) -> None:
    if tested not in pushed:
        raise ExternalError(
            f"the image tested ({tested}) is not the one built for the push ({', '.join(sorted(pushed))}),"
            " so no tag was written: did the builder lose its cache in between?",
            fix="run the job again; if it stays so, the build gives another result each time: give the"
            " builder more room for its cache",
        )


def _smoke_test(client: docker.Docker, job: _Job, test: smoke.SmokeTest, scratch: Path) -> str:
    """Build for the engine and test; return the tested image's config digest.

    Raises RefusedError where the image does not answer as it should.
    """
    engine = Engine(client.engine_host())
    platform = builds.native_or_first(job.platforms, engine.platform)
    local = f"model-gitops-smoke:{uuid.uuid4().hex}"
    try:
        # Attestations describe an image and are no part of it; an engine's store may not take them.
        metadata = _run_build(
            client, job, scratch, ["--load", f"--tag={local}"], ["--provenance=false", "--sbom=false"],
            cache_to=False, platforms=[platform] if platform else [],
        )  # fmt: skip
        config = builds.tested_config(metadata, engine.image_id(local))
        try_image(engine, local, test, "nothing was pushed")
    finally:
        engine.remove_image(local)
    return config


def _test_published(
    client: docker.Docker, job: _Job, test: smoke.SmokeTest, reference: str
) -> None:
    """Test an image that the registry has. Raises RefusedError as `_smoke_test`."""
    engine = Engine(client.engine_host())
    had = engine.has_image(reference)
    if not had:
        client.pull(reference, builds.native_or_first(job.platforms, engine.platform))
    try:
        try_image(engine, reference, test, "no tag was written")
    finally:
        if not had:
            engine.remove_image(reference)


def _report(job: _Job, result: _Result, *, pushed: bool) -> None:
    reference = f"{job.name}:{job.tags[0]}"
    if result.digest:
        reference += f"@{result.digest}"
    runner.write_outputs(
        {
            "image": reference,
            "tag": job.tags[0],
            "digest": result.digest,
            "operation": result.operation,
            "metadata": json.dumps(result.metadata, sort_keys=True, separators=(",", ":")),
        }
    )
    runner.write_summary(_summary(reference, result.operation, job, pushed=pushed))


def _summary(reference: str, operation: str, job: _Job, *, pushed: bool) -> str:
    said = {
        "built": "Built and pushed" if pushed else "Built, not pushed",
        "reused": "Reused, not built",
    }
    test = "no smoke test"
    if job.test is not None:
        test = "smoke-tested before the push" if operation == "built" else "passed this smoke test"
    return f"### {said[operation]}: `{reference}`\n\n{test}; tags: {', '.join(f'`{one}`' for one in job.all_tags)}\n"
