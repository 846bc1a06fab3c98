"""What buildx, BuildKit and a registry do, as docs/reference/real-tools.md says it; and what we make of it."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import process
from model_gitops.adapters.docker import Docker
from model_gitops.core.image import build as image_build
from model_gitops.core.image.names import is_reference_of_image
from model_gitops_local.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_environment")]

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
INDEX = "application/vnd.oci.image.index.v1+json"
Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(builder: str, registry: str, tmp_path: Path) -> Build:
    """Build a small image and push it by digest to `name`; return buildx's metadata."""
    (tmp_path / "model.txt").write_text("model\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY model.txt /\n", encoding="utf-8")

    def built(name: str, *options: str) -> dict[str, Any]:
        metadata = tmp_path / "metadata.json"
        process.run(
            [
                *("docker", "buildx", "build", f"--builder={builder}", "--progress=plain"),
                f"--metadata-file={metadata}",
                f"--output=type=image,name={registry}/{name},push-by-digest=true,"
                "name-canonical=true,push=true",
                *(*options, "--", tmp_path),
            ]
        )
        found = json.loads(metadata.read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    return built


@pytest.fixture
def client(docker_engine: Engine, builder: str) -> Docker:
    return Docker(docker_engine.variables(), builder)


def answer(registry: str, path: str, accept: str | None) -> tuple[int, str, str, bytes]:
    """Ask a registry for a manifest: status, kind, digest, body."""
    connection = http.client.HTTPConnection(registry)
    connection.request("GET", f"/v2/{path}", headers={"Accept": accept} if accept else {})
    got = connection.getresponse()
    body = got.read()
    connection.close()
    headers = got.headers
    return (
        got.status,
        headers.get("Content-Type", ""),
        headers.get("Docker-Content-Digest", ""),
        body,
    )


def test_provenance_gives_another_digest_each_time(build: Build) -> None:
    plain = [build("times", "--provenance=false")["containerimage.digest"] for _ in range(2)]
    assert plain[0] == plain[1]
    digests = {build("times")["containerimage.digest"] for _ in range(2)}
    assert len(digests) == 2


def test_the_config_is_told_only_without_provenance(
    build: Build, client: Docker, registry: str
) -> None:
    name = f"{registry}/config"
    default = build("config")
    assert "containerimage.config.digest" not in default
    # Without attestations it is told, as the smoke test's build asks for: it is the image's ID.
    plain = build("config", *image_build.attestation_arguments("false", "false"))
    config = plain["containerimage.config.digest"]
    assert image_build.tested_config(plain, config) == config
    # The same content has the same config, whatever is attested.
    assert client.configs_of(name, default["containerimage.digest"]) == {config}
    assert client.configs_of(name, plain["containerimage.digest"]) == {config}


def test_of_several_platforms_the_digest_is_the_indexs(
    build: Build, client: Docker, registry: str
) -> None:
    found = build("both", "--platform=linux/amd64,linux/arm64")
    assert not {key for key in found if "provenance" in key or "config.digest" in key}
    digest = found["containerimage.digest"]
    _, kind, said, body = answer(registry, f"both/manifests/{digest}", INDEX)
    assert (kind, said) == (INDEX, digest)
    images = [
        one["digest"]
        for one in json.loads(body)["manifests"]
        if one["platform"]["architecture"] != "unknown"
    ]
    assert client.manifests(f"{registry}/both", digest) == images
    assert len(images) == 2


def test_a_tag_wraps_an_image_unless_it_is_told_not_to(
    build: Build, client: Docker, registry: str, builder: str
) -> None:
    digest = build("wrapped", "--provenance=false")["containerimage.digest"]
    name = f"{registry}/wrapped"
    create = ["docker", "buildx", "imagetools", "create", f"--builder={builder}"]
    process.run([*create, f"--tag={name}:plain", f"{name}@{digest}"])
    wrapped = client.inspect(f"{name}:plain")
    assert wrapped is not None
    assert wrapped.digest != digest
    client.point(name, ["pointed"], digest)
    pointed = client.inspect(f"{name}:pointed")
    assert pointed is not None
    assert pointed.digest == digest


def push_docker_image(registry: str, name: str, tag: str) -> str:
    """Push an image of Docker's own kind, as docker pushed them for ten years; return its digest."""
    connection = http.client.HTTPConnection(registry)

    def ask(method: str, path: str, body: bytes = b"", kind: str = "") -> http.client.HTTPMessage:
        connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        got = connection.getresponse()
        got.read()
        assert got.status < 300, (method, path, got.status)
        return got.headers

    def blob(data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        place = ask("POST", f"/v2/{name}/blobs/uploads/")["Location"]
        more = "&" if "?" in place else "?"
        ask("PUT", f"{place}{more}digest={digest}", data, "application/octet-stream")
        return {"digest": digest, "size": len(data)}

    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"a": "b"}},
        "history": [{"created_by": "nobody", "empty_layer": True}],
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    kind = "application/vnd.docker.container.image.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {"mediaType": kind, **blob(json.dumps(config).encode())},
        "layers": [],
    }
    headers = ask("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), DOCKER)
    connection.close()
    return str(headers["Docker-Content-Digest"])


def test_an_old_registry_gives_schema_1_to_who_does_not_ask(registry: str, client: Docker) -> None:
    digest = push_docker_image(registry, "old", "v1")
    status, kind, said, _ = answer(registry, "old/manifests/v1", "*/*")
    assert status == 200
    if kind == SCHEMA_1:  # the distribution's 2.8; from 3.0 on it knows no schema 1
        assert said not in ("", digest)
    else:
        assert (kind, said) == (DOCKER, digest)
    found = client.inspect(f"{registry}/old:v1")
    assert found is not None
    assert (found.digest, found.labels) == (digest, {"a": "b"})
    assert client.digest_of(f"{registry}/old:v1") == digest


def test_an_index_is_hidden_from_who_does_not_ask(
    build: Build, registry: str, client: Docker
) -> None:
    digest = build("hidden")["containerimage.digest"]
    for accept in (None, "application/json"):
        status, kind, _, body = answer(registry, f"hidden/manifests/{digest}", accept)
        if status == 404:
            assert b"accept header does not support OCI indexes" in body
        else:
            assert (status, kind) == (200, INDEX)
    found = client.inspect(f"{registry}/hidden@{digest}")
    assert found is not None
    assert found.digest == digest


def test_what_is_not_there_and_what_is_no_digest(registry: str, client: Docker) -> None:
    push_docker_image(registry, "there", "v1")
    missing = "sha256:" + "0" * 64
    for path in (f"there/manifests/{missing}", f"nowhere/manifests/{missing}"):
        status, _, _, body = answer(registry, path, INDEX)
        assert (status, json.loads(body)["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    for name in (f"there@{missing}", f"nowhere@{missing}", "there:v2", "nowhere:v1"):
        assert client.inspect(f"{registry}/{name}") is None
    # A fault of the server's own by its status: such a name is never asked for.
    status, *_ = answer(registry, "there/manifests/sha256:zz", INDEX)
    assert status in (400, 404, 500)
    assert not is_reference_of_image(f"{registry}/there@sha256:zz")
    assert not is_reference_of_image(f"{registry}/There:v1")
