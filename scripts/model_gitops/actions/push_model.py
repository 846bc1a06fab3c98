"""Push a model as an OCI artifact, beside the image, and sign it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import (
    docker_config,
    event_checkout,
    model_files,
    oras,
    paths,
    registry_client,
    scratch,
    signing,
)
from model_gitops.core.dvc import checksums, hashes
from model_gitops.core.image import modelpack, signature
from model_gitops.core.image.modelpack import File
from model_gitops.core.image.names import (
    check_tag,
    is_name,
    is_qualified,
    registry_host,
    split_reference,
)
from model_gitops.core.markdown import code
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import (
    RegistryUser,
    RegistryWritePassword,
    Sign,
    SigningKey,
    SigningPassword,
    lines,
    option,
)

OUTPUTS = ("artifact", "digest", "tag", "operation")


def command(
    artifact: Annotated[
        str,
        option(
            "artifact",
            "The artifact's repository in the registry, without a tag: ghcr.io/acme/diabetes-model.",
        ),
    ] = "",
    path: Annotated[
        str, option("path", "The model's file or folder, as dvc-pull-model puts it out.")
    ] = "",
    model: Annotated[str, option("model", "The model's name.")] = "",
    model_hash: Annotated[
        str,
        option(
            "model-hash", "DVC's hash that the file or folder must have: dvc-pull-model's `hash`."
        ),
    ] = "",
    sha256: Annotated[
        str,
        option("sha256", "SHA-256 that it must have, too: dvc-pull-model's `sha256`."),
    ] = "",
    tags: Annotated[
        str, option("tags", "Tags of the artifact, one a line, such as the version. They may move.")
    ] = "",
    username: RegistryUser = "",
    password: RegistryWritePassword = "",
    sign: Sign = "",
    signing_key: SigningKey = "",
    signing_password: SigningPassword = "",
) -> None:
    """Hold the model against its hash, push it by its digest, then set tags and sign."""
    runner.mask(password)
    how = signing.read(sign, signing_key, signing_password)
    name = _check_artifact(artifact)
    wanted_tags = [check_tag(one, input_name="tags") for one in lines(tags)]
    files = _read(path, model_hash, sha256)
    made = modelpack.artifact(model, model_hash, list(files))
    facts = signature.facts(
        commit=event_checkout.of_files(runner.context(), event_checkout.around_us())
        if sign
        else "",
        model=model,
        model_hash=model_hash,
        fingerprint="",
    )
    host = registry_host(name)
    account = registry_client.login_name(username, password, push=True)
    with scratch.folder("model-gitops-push-", runner.temporary_folder()) as folder:
        env = docker_config.private_config(folder, host if account else None)
        if account:
            docker_config.log_in(env, host, account, password)
        client = oras.Oras.find(env, runner.say)
        signs = how.prepare(env)
        reference = f"{name}@{made.digest}"
        with runner.group(f"oras: {reference}"):
            operation = "none"
            if not client.digest_of(reference):
                client.push(name, made, files, folder / "layout")
                operation = "pushed"
            for tag in dict.fromkeys([made.tag, *wanted_tags]):
                if client.digest_of(f"{name}:{tag}") != made.digest and _tag(
                    client, reference, tag
                ):
                    operation = "pushed"
        if signs:
            signs([reference], facts)
    runner.write_outputs(
        {"artifact": reference, "digest": made.digest, "tag": made.tag, "operation": operation}
    )
    size = sum(one.size for one in files)
    said = "Pushed" if operation == "pushed" else "It was there"
    runner.write_summary(
        f"### {said}: {code(reference)}\n\nMD5 {code(model_hash)}, {size:,} bytes in"
        f" {len(files)} {'file' if len(files) == 1 else 'files'}; tags:"
        f" {', '.join(map(code, [made.tag, *wanted_tags]))}\n"
    )


def _check_artifact(value: str) -> str:
    """Return the repository. Raises InputError; a cluster must be told which registry it is in, too."""
    if is_qualified(value):
        return value
    name = split_reference(value)[0]
    problem = "it is no repository of a registry, such as ghcr.io/acme/diabetes-model"
    fix = "artifact: ghcr.io/OWNER/NAME-model"
    if is_qualified(name):
        problem, fix = "it holds a tag or digest", f"artifact: {name} (tags go into `tags`)"
    elif is_name(name):
        problem, fix = "it does not say which registry it is in", f"artifact: docker.io/{name}"
    raise InputError.of("artifact", value, problem, fix=fix)


def _read(path: str, model_hash: str, sha256: str) -> dict[File, Path]:
    """Return the model's files, each with its place. Raises InputError, and RefusedError for another model."""
    place = Path(path)
    if not path or not (paths.is_file(place) or paths.is_folder(place)):
        raise InputError.of(
            "path",
            path,
            "there is no such file or folder",
            fix="path: ${{ steps.model.outputs.path }}",
        )
    paths.refuse_a_way_out("path", place.parent)
    if not hashes.is_hash(model_hash):
        raise InputError.of(
            "model-hash", model_hash, "it is no hash as DVC writes it: 32 hex digits, and `.dir` for a folder",
            fix="model-hash: ${{ steps.model.outputs.hash }}",
        )  # fmt: skip
    checksums.check("sha256", sha256)
    is_folder = paths.is_folder(place)
    every = sorted(one for one in place.rglob("*") if one.is_file()) if is_folder else [place]
    files: dict[File, Path] = {}
    md5s: dict[str, str] = {}
    for one in every:
        inner = one.relative_to(place).as_posix() if is_folder else one.name
        md5s[inner], found = model_files.hashes_of(one, hashes.MD5)
        files[File(inner, found, one.stat().st_size)] = one
    shas = {one.path: one.sha256 for one in files}
    md5 = hashes.manifest_hash(md5s) if is_folder else next(iter(md5s.values()))
    has = checksums.of_folder(shas) if is_folder else next(iter(shas.values()))
    # DVC 2's hash of a text with Windows line endings is not of its bytes: the SHA-256 is.
    if (sha256 and has != sha256) or (not sha256 and md5 != model_hash):
        said = f"SHA-256 {sha256}, and has {has}" if sha256 else f"MD5 {model_hash}, and has {md5}"
        raise RefusedError(
            f"{path} is not the model that was asked for: it must have {said}",
            fix="push what dvc-pull-model pulled in this job, before another step changes it; for a hash of DVC 2"
            " (md5-dos2unix) give `sha256` too",
        )
    return files


def _tag(client: oras.Oras, reference: str, tag: str) -> bool:
    """Set a tag, which is only a view: deployed is the digest. Return whether it was set."""
    name, _, digest = reference.partition("@")
    try:
        client.tag(name, digest, tag)
    except oras.TagTakenError:
        runner.warning(
            f"the tag {tag} is another artifact's, and this registry lets no tag move: it stays"
        )
        return False
    return True
