"""Build, smoke-test and push the image that serves a model."""

from __future__ import annotations

from typing import Annotated

from model_gitops import runner
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    RegistryUser,
    RegistryWritePassword,
    Sign,
    SigningKey,
    SigningPassword,
    flag,
    lines,
    option,
    secret,
)

OUTPUTS = ("image", "tag", "digest", "operation", "metadata", "fingerprint")


def command(
    image: Annotated[
        str, option("image", "The image's name, without a tag: ghcr.io/acme/diabetes.")
    ] = "",
    tag: Annotated[
        str, option("tag", "The tag. Default: the commit's hash; on a pull request the head's.")
    ] = "",
    extra_tags: Annotated[
        str,
        option("extra-tags", "More tags of the same image, one a line, short or whole: `NAME:v1`."),
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
        str,
        option(
            "builder",
            "The buildx builder, or the address of a BuildKit on this machine, `unix:///…`. Default: the current one.",
        ),
    ] = "",
    smoke_test: Annotated[
        str,
        option(
            "smoke-test", "Test before the push: a description (YAML or JSON), or a file with it."
        ),
    ] = "",
    reuse: Annotated[
        bool,
        flag("reuse", "Whether an image of the same content that was deployed is used, not built."),
    ] = True,
    push: Annotated[bool, flag("push", "Whether to push.")] = True,
    record: Annotated[
        str,
        option(
            "record",
            "File to write for `records` of bump-kustomize-tag: the image and its fingerprint.",
        ),
    ] = "",
    username: RegistryUser = "",
    password: RegistryWritePassword = "",
    sign: Sign = "",
    signing_key: SigningKey = "",
    signing_password: SigningPassword = "",
    model: Annotated[str, option("model", "The model's name, for a label.")] = "",
    model_version: Annotated[
        str, option("model-version", "The model's version, for a label.")
    ] = "",
    model_hash: Annotated[str, option("model-hash", "The model's hash, for a label.")] = "",
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
) -> None:
    """Look for a deployed image of the same content; else build, test and push one."""
    # Here, and not above: `--help` needs none of it.
    from model_gitops.actions.build_push_image import inputs
    from model_gitops.actions.build_push_image.build import build_image
    from model_gitops.actions.build_push_image.deployed import deployed_digest
    from model_gitops.actions.build_push_image.plan import make_job, session
    from model_gitops.actions.build_push_image.report import write_report
    from model_gitops.actions.build_push_image.reuse import reuse_image
    from model_gitops.actions.build_push_image.sign import signer
    from model_gitops.adapters import build_records, registry_client, smoke_file
    from model_gitops.adapters import signing as signatures
    from model_gitops.core.image.build import parse_pairs
    from model_gitops.core.image.names import check_name

    for one in (password, token, ssh_key):
        runner.mask(one)
    inputs.mask_secrets(secrets)
    build_records.check(record, push=push)
    signing = signatures.read(sign, signing_key, signing_password, push=push)
    revision = inputs.commit()
    folder = inputs.context_folder(context)
    given = inputs.Inputs(
        secrets=parse_pairs(
            "secrets", lines(secrets), key=r"[A-Za-z0-9_.-]+", example="TOKEN=${{ secrets.TOKEN }}",
            secret=True,
        ),
        name=check_name(image),
        revision=revision,
        tags=inputs.check_tags(tag or revision, lines(extra_tags), image),
        has_own_tag=tag != "",
        build_args=parse_pairs(
            "build-args", lines(build_args), key=r"[A-Za-z_][A-Za-z0-9_.-]*",
            example="BASE_IMAGE=python:3.12",
        ),
        contexts=inputs.named_contexts(build_contexts),
        labels=parse_pairs(
            "labels", lines(labels), key=r"[^\s=]+", example="com.acme.team=ml"
        ),
        folder=folder,
        file=inputs.dockerfile(file, folder),
        target=target,
        platforms=inputs.read_platforms(lines(platforms)),
        test=smoke_file.read(smoke_test) if smoke_test.strip() else None,
        builder=inputs.check_builder(builder),
        login_as=registry_client.login_name(username, password, push=push),
        password=password,
        cache_from=lines(cache_from),
        cache_to=lines(cache_to),
        attestations=(provenance, sbom),
        reuse=reuse,
        push=push,
        model=model,
        model_version=model_version,
        model_hash=model_hash,
        config=config,
        deploy_branch=deploy_branch,
        token=token,
        ssh_key=ssh_key,
    )  # fmt: skip
    with session(given) as (client, scratch):
        sign_result = signer(client, given, signing)
        job = make_job(client, given)
        digest = deployed_digest(given, job.fingerprint) if job.reuse else ""
        result = reuse_image(client, job, digest) if digest else None
        result = result or build_image(client, job, scratch)
        sign_result(job, result)
    reference = write_report(job, result)
    if record:
        build_records.write(record, reference, job.fingerprint)
