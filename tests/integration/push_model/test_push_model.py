"""A model becomes an OCI artifact, by real oras and a real registry, and other tools get the same bytes."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pushes import Pusher, hash_of, tool

from model_gitops.core.image import modelpack
from model_gitops.core.lineage.artifact import sha256_of
from model_gitops_local import toolchain
from model_gitops_local.registry import Registry

CANARY = "canary-5d1f0c9e"
# bcrypt of CANARY, as htpasswd makes it.
HTPASSWD = "ada:$2b$04$IMR03Xe.Uoj70qspZSkjROBAdJCmXwrQvZ9jc0vNoU8yIvihP4aT.\n"
SPECIFICATION = "github.com/modelpack/model-spec@v0.0.7"


@pytest.fixture
def pusher(tmp_path: Path, registry: str) -> Pusher:
    return Pusher(tmp_path, f"{registry}/acme/{tmp_path.name.replace('_', '-').strip('-')}")


def model_file(folder: Path, content: bytes = b"onnx\0" * 1000) -> Path:
    file = folder / "models" / "diabetes.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file


def model_folder(folder: Path) -> Path:
    """Make a folder with what a folder may have: below it, empty, twice the same, and odd names."""
    top = folder / "diabetes"
    files = {
        "model.bin": b"weights", "config.json": b"{}", "sub/deep er/tokens ü.txt": b"abc",
        "empty": b"", "copy.bin": b"weights", "-v.bin": b"v", "a@b:c,d": b"x",
    }  # fmt: skip
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return top


def contents(folder: Path) -> dict[str, bytes]:
    files = (one for one in folder.rglob("*") if one.is_file())
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in files}


def manifest(reference: str) -> Any:
    return json.loads(tool("oras", "manifest", "fetch", "--plain-http", reference))


def stored(reference: str) -> list[str]:
    """Return the tags of the repository; none where nothing was ever pushed."""
    host, _, name = reference.partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/v2/{name}/tags/list")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return sorted(answer.get("tags") or [])


def test_a_file_is_pushed_once_and_pulled_as_it_was(pusher: Pusher, tmp_path: Path) -> None:
    model = model_file(tmp_path)
    first = pusher.run(model, tags="v1.0.0\nproduction")
    assert first.code == 0, first.log
    digest = first.outputs["digest"]
    assert first.outputs == {
        "artifact": f"{pusher.artifact}@{digest}", "digest": digest, "tag": f"sha-{digest[7:19]}",
        "operation": "pushed",
    }  # fmt: skip
    assert stored(pusher.artifact) == ["production", first.outputs["tag"], "v1.0.0"]
    tool("oras", "pull", "--plain-http", "--output", tmp_path / "pulled", first.outputs["artifact"])
    assert contents(tmp_path / "pulled") == {"diabetes.onnx": model.read_bytes()}

    again = pusher.run(model, tags="v1.0.0\nproduction")
    assert (again.code, again.outputs) == (0, first.outputs | {"operation": "none"})
    # Elsewhere, later, from another folder: the same content has the same digest.
    other = Pusher(tmp_path, f"{pusher.artifact}-copy").run(model_file(tmp_path / "models"))
    assert other.outputs["digest"] == digest

    # The next version takes the tag over, and the first one stays under its own.
    after = pusher.run(model_file(tmp_path, b"better"), tags="production")
    assert after.outputs["operation"] == "pushed" and after.outputs["digest"] != digest
    seen = json.loads(
        tool(
            "oras",
            "manifest",
            "fetch",
            "--descriptor",
            "--plain-http",
            f"{pusher.artifact}:production",
        )
    )
    assert seen["digest"] == after.outputs["digest"]
    assert stored(pusher.artifact) == sorted(
        ["production", first.outputs["tag"], after.outputs["tag"], "v1.0.0"]
    )


def test_a_folder_is_pulled_as_it_was(pusher: Pusher, tmp_path: Path) -> None:
    model = model_folder(tmp_path)
    done = pusher.run(model)
    assert done.code == 0, done.log
    tool("oras", "pull", "--plain-http", "--output", tmp_path / "pulled", done.outputs["artifact"])
    assert contents(tmp_path / "pulled") == contents(model)
    found = manifest(done.outputs["artifact"])
    assert len(found["layers"]) == 7
    assert modelpack.hash_of(found) == hash_of(model)
    # As `sha256sum` lists it: what dvc-pull-model puts out for a folder.
    lines = subprocess.run(
        "find . -type f | sed 's,^./,,' | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum -- | sha256sum",
        shell=True, cwd=model, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert sha256_of(found) == lines.stdout.split()[0]


def test_the_specification_holds(pusher: Pusher, tmp_path: Path) -> None:
    done = pusher.run(model_folder(tmp_path))
    found = manifest(done.outputs["artifact"])
    assert found["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert found["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert found["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    config = json.loads(
        tool("oras", "blob", "fetch", "--plain-http", "--output", "-",
             f"{pusher.artifact}@{found['config']['digest']}")
    )  # fmt: skip
    go = toolchain.ensure("go")
    said = subprocess.run(
        [go, "mod", "download", "-json", SPECIFICATION],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    module = Path(json.loads(said.stdout)["Dir"])
    schema = json.loads((module / "schema" / "config-schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(config)
    assert config["modelfs"]["diffIds"] == [one["digest"] for one in found["layers"]]
    # The media type and the annotation are the specification's own, not only ours.
    types = (module / "specs-go" / "v1" / "mediatype.go").read_text("utf-8")
    annotations = (module / "specs-go" / "v1" / "annotations.go").read_text("utf-8")
    for layer in found["layers"]:
        assert f'"{layer["mediaType"]}"' in types
    for text in (found["artifactType"], found["config"]["mediaType"]):
        assert f'"{text}"' in types
    assert '"org.cncf.model.filepath"' in annotations
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**config, "created": "now"})


def test_another_model_is_refused_and_nothing_is_pushed(pusher: Pusher, tmp_path: Path) -> None:
    model = model_file(tmp_path)
    wrong = [
        {"model_hash": "b" * 32},
        {"model_hash": "b" * 32 + ".dir"},
        {"sha256": "c" * 64},
    ]
    for given in wrong:
        done = pusher.run(model, **given)
        assert done.code == 3 and "is not the model that was asked for" in done.log, done.log
    folder = model_folder(tmp_path)
    hash_before = hash_of(folder)
    (folder / "more").write_text("planted")
    assert pusher.run(folder, model_hash=hash_before).code == 3
    assert stored(pusher.artifact) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"artifact": ""}, "artifact: ghcr.io/OWNER/NAME-model"),
        ({"artifact": "acme/diabetes-model"}, "artifact: docker.io/acme/diabetes-model"),
        ({"artifact": "ghcr.io/acme/m:v1"}, "artifact: ghcr.io/acme/m (tags go into `tags`)"),
        ({"artifact": "--help"}, "artifact: ghcr.io/OWNER/NAME-model"),
        ({"path": "nowhere"}, "there is no such file or folder"),
        ({"path": "empty"}, "the folder is empty"),
        ({"model_hash": "x"}, "it is no hash as DVC writes it"),
        ({"sha256": "X" * 64}, "64 lowercase hex digits"),
        ({"tags": "v1\n--help"}, "tags: help"),
        ({"tags": "a/b"}, "tags: a-b"),
        ({"username": "ada"}, "`password` is not"),
        ({"sign": "yes"}, "it is neither `key` nor `keyless`"),
    ],
)
def test_bad_input_is_said_before_anything_is_asked(
    pusher: Pusher, tmp_path: Path, given: dict[str, str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    more = {"model_hash": hash_of(tmp_path / "empty")} if given == {"path": "empty"} else {}
    done = pusher.run(model_file(tmp_path), **given, **more)
    assert done.code == 2 and said in done.log, done.log


@pytest.mark.parametrize("name", ["line\nbreak", "back\\slash", "no-utf-8-\udcff"])
def test_a_file_name_that_others_read_otherwise_is_refused(
    pusher: Pusher, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / name).write_text("x")
    done = pusher.run(folder)
    assert done.code == 2 and "file's name holds" in done.log, done.log


def test_credentials_are_used_and_shown_to_nobody(tmp_path: Path) -> None:
    logins = tmp_path / "htpasswd"
    logins.write_text(HTPASSWD)
    guarded = Registry(tmp_path / "registry")
    address = guarded.start(htpasswd=logins)
    shims, log = tmp_path / "shims", tmp_path / "log"
    shims.mkdir()
    log.mkdir()
    real = shlex.quote(str(toolchain.ensure("oras")))
    (shims / "oras").write_text(
        f'#!/bin/sh\n{{ tr "\\0" "\\n" < /proc/$$/cmdline; tr "\\0" "\\n" < /proc/$$/environ; }} > {log}/$$\n'
        f'exec {real} "$@"\n'
    )
    (shims / "oras").chmod(0o755)
    pusher = Pusher(tmp_path, f"{address}/acme/guarded")
    pusher.env["PATH"] = f"{shims}:{os.environ['PATH']}"
    try:
        for given in ({"username": "ada", "password": "wrong-" + CANARY}, {}):
            done = pusher.run(model_file(tmp_path), **given)
            assert done.code == 4 and "`username` and `password`" in done.log, done.log
        done = pusher.run(model_file(tmp_path), username="ada", password=CANARY)
        assert (done.code, done.outputs.get("operation")) == (0, "pushed"), done.log
    finally:
        guarded.remove()
    said = done.log + "".join(one.read_text("utf-8") for one in log.iterdir())
    assert len(list(log.iterdir())) > 3 and "--from-oci-layout" in said
    assert CANARY not in said.replace(f"::add-mask::{CANARY}", "")
    assert not list((tmp_path / "runner-temp").iterdir()), "a login outlives the step"


def test_an_artifact_is_signed_once(pusher: Pusher, tmp_path: Path) -> None:
    cosign = toolchain.ensure("cosign")
    subprocess.run(
        [cosign, "generate-key-pair"],
        cwd=tmp_path,
        check=True,
        env={"COSIGN_PASSWORD": CANARY, "HOME": str(tmp_path)},
    )
    given = {
        "sign": "key", "signing_key": (tmp_path / "cosign.key").read_text("utf-8"), "signing_password": CANARY,
    }  # fmt: skip
    folders = [str(toolchain.ensure(name).parent) for name in ("oras", "cosign")]
    pusher.env["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])
    model = model_file(tmp_path)
    first, again = pusher.run(model, **given), pusher.run(model, **given)
    assert (first.code, again.code) == (0, 0), first.log + again.log
    assert "nothing is signed: it has a signature" in again.log and CANARY not in first.log.replace(
        f"::add-mask::{CANARY}", ""
    )
    words = [cosign, "verify", "--key", tmp_path / "cosign.pub", "--insecure-ignore-tlog=true"]
    for fact, holds in ((hash_of(model), True), ("b" * 32, False)):
        done = subprocess.run(
            [*words, "-a", f"io.model-gitops.model.hash={fact}", first.outputs["artifact"]],
            check=False, capture_output=True, env={"HOME": str(tmp_path)},
        )  # fmt: skip
        assert (done.returncode == 0) is holds, done.stderr
