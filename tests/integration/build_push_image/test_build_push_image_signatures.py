"""What is pushed is signed, once, by cosign: an index with its images, and no secret in an argument."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_project import CANARY, FOREIGN, NATIVE, Project

from model_gitops.adapters import process
from model_gitops.options import variable
from model_gitops_local import toolchain

pytestmark = pytest.mark.docker

BOTH = f"linux/{NATIVE},linux/{FOREIGN}"
MODEL = {"model": "diabetes", "model_hash": "b" * 32}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The folder with cosign.key, whose password is the canary, and cosign.pub."""
    folder = tmp_path / "keys"
    folder.mkdir()
    cosign = toolchain.ensure("cosign")
    process.run([cosign, "generate-key-pair"], cwd=folder, env={"COSIGN_PASSWORD": CANARY})
    return folder


@pytest.fixture
def started(project: Project, tmp_path: Path) -> Iterator[Path]:
    """A folder that gets the arguments and the environment of each docker, git and cosign."""
    log, shims = tmp_path / "started", tmp_path / "shims"
    for folder in (log, shims):
        folder.mkdir()
    real = {"cosign": str(toolchain.ensure("cosign"))}
    for name in ("docker", "git", "cosign"):
        file = shlex.quote(str(log / name))
        program = shlex.quote(real.get(name) or shutil.which(name) or "/bin/false")
        shim = shims / name
        shim.write_text(
            f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {file}.$$.argv\ncat /proc/$$/environ > {file}.$$.environ\n"
            f'exec {program} "$@"\n'
        )
        shim.chmod(0o755)
    project.env["PATH"] = f"{shims}:{os.environ['PATH']}"
    yield log


def signing(keys: Path) -> dict[str, str]:
    return {
        "sign": "key",
        "signing_key": (keys / "cosign.key").read_text("utf-8"),
        "signing_password": CANARY,
        **MODEL,
    }


def verified(keys: Path, reference: str, *annotations: str) -> bool:
    """What anybody can ask cosign, without us."""
    words = [toolchain.ensure("cosign"), "verify", "--key", keys / "cosign.pub"]
    words += [word for one in annotations for word in ("-a", one)]
    return (
        process.run(
            [*words, "--insecure-ignore-tlog=true", reference],
            env={"TUF_ROOT": str(keys / "tuf")},
            check=False,
        ).returncode
        == 0
    )


def test_an_index_and_its_images_are_signed_once(
    project: Project, buildkit: str, keys: Path, started: Path
) -> None:
    assert buildkit
    project.write("Dockerfile", "FROM scratch\nCOPY server.py /server.py\n")
    commit = project.commit()
    given = {"platforms": BOTH, "provenance": "false", "build_args": "", **signing(keys)}
    first = project.run(**given)
    assert first.status == 0, first.log
    index = first.outputs["digest"]
    manifests = json.loads(project.get(f"manifests/{index}")[2])["manifests"]
    every = [index, *(one["digest"] for one in manifests)]
    assert len(every) == 3
    facts = [f"io.model-gitops.commit={commit}", f"io.model-gitops.model.hash={'b' * 32}"]
    facts += [f"io.model-gitops.fingerprint={first.outputs['fingerprint']}"]
    for digest in every:
        assert verified(keys, f"{project.image}@{digest}", *facts)
        assert not verified(keys, f"{project.image}@{digest}", "io.model-gitops.commit=x")
    signatures = {tag: project.digest(tag) for tag in project.tags()}
    assert {f"sha256-{digest.partition(':')[2]}" for digest in every} <= set(signatures)
    # Built from the builder's cache, it is the same: a second signature would say nothing new.
    again = project.run(**given)
    assert (again.status, again.outputs["digest"]) == (0, index)
    assert "nothing is signed" in again.log
    assert {tag: project.digest(tag) for tag in project.tags()} == signatures
    # One that lost a signature gets that one again.
    lost = f"sha256-{every[2].partition(':')[2]}"
    project.delete(f"manifests/{signatures[lost]}")
    assert not verified(keys, f"{project.image}@{every[2]}")
    assert project.run(**given).status == 0
    assert verified(keys, f"{project.image}@{every[2]}", *facts)
    nothing_secret(started, keys, first.log + again.log)


def nothing_secret(started: Path, keys: Path, log: str) -> None:
    """Fail where the key or its password is in an argument, in the log, or in another's environment."""
    secrets = [CANARY, (keys / "cosign.key").read_text("utf-8").splitlines()[1]]
    seen = set()
    for file in started.glob("*.argv"):
        words = file.read_bytes()
        environ = file.with_suffix(".environ").read_bytes()
        program, verb = file.name.split(".")[0], words.split(b"\0")[0].decode()
        seen.add((program, verb))
        for secret in secrets:
            assert secret.encode() not in words, (program, verb)
            if program != "cosign" or verb not in ("sign", "public-key"):
                assert secret.encode() not in environ, (program, verb)
    assert {("cosign", "sign"), ("cosign", "verify"), ("cosign", "public-key")} <= seen
    shown = [line for line in log.splitlines() if not line.startswith("::add-mask::")]
    for secret in secrets:
        assert secret not in "\n".join(shown)


def test_what_can_not_be_signed_is_not_put_out(
    project: Project, buildkit: str, keys: Path, tmp_path: Path
) -> None:
    assert buildkit
    project.write("Dockerfile", "FROM scratch\nCOPY server.py /server.py\n")
    project.commit()
    shims = tmp_path / "shims"
    shims.mkdir()
    project.env["PATH"] = f"{shims}:{os.environ['PATH']}"
    given = {"provenance": "false", "build_args": "", **signing(keys)}
    # No cosign here, as this test's PATH has none: that is said before anything is built.
    if shutil.which("cosign") is None:
        missing = project.run(**given)
        assert (missing.status, missing.outputs, project.tags()) == (4, {}, [])
        assert "sigstore/cosign-installer" in missing.log
    shims.joinpath("cosign").symlink_to(toolchain.ensure("cosign"))
    wrong = project.run(**{**given, "signing_password": "wrong"})
    assert (wrong.status, wrong.outputs, project.tags()) == (2, {}, [])
    # A registry that takes the image and no more: its address for signatures is another one.
    project.env["COSIGN_REPOSITORY"] = "127.0.0.1:9/signatures"
    failed = project.run(**given)
    assert (failed.status, failed.outputs) == (4, {}), failed.log
    assert CANARY not in failed.log
    assert variable("signing-password") not in failed.log


def test_a_signature_is_pushed_with_the_steps_login(
    locked: Project, buildkit: str, keys: Path, started: Path
) -> None:
    assert buildkit
    locked.write("Dockerfile", "FROM scratch\nCOPY server.py /server.py\n")
    locked.commit()
    given = {"build_args": "", "username": "ada", "password": CANARY, **signing(keys)}
    done = locked.run(provenance="false", **given)
    assert (done.status, "signed by the key sha256:" in done.log) == (0, True), done.log
    nothing_secret(started, keys, done.log)


def test_only_the_process_that_signs_may_ask_for_an_identity(
    project: Project, buildkit: str, started: Path
) -> None:
    """Sigstore is not reached from here, nor is this address of an issuer: nothing is put out."""
    assert buildkit
    project.write("Dockerfile", "FROM scratch\nCOPY server.py /server.py\n")
    project.commit()
    project.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "http://127.0.0.1:9/?api-version=2"
    project.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = CANARY
    failed = project.run(sign="keyless", provenance="false", build_args="", **MODEL)
    assert (failed.status, failed.outputs) == (4, {}), failed.log
    assert "`cosign sign` failed" in failed.log
    assert CANARY not in failed.log
    holders = set()
    for file in started.glob("*.argv"):
        words = file.read_bytes()
        assert CANARY.encode() not in words
        if CANARY.encode() in file.with_suffix(".environ").read_bytes():
            holders.add((file.name.split(".")[0], words.split(b"\0")[0].decode()))
    assert holders == {("cosign", "sign")}
