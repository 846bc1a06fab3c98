"""Signatures by cosign itself, in a real registry: made once, demanded at the hop and in the lineage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from promotion_world import PROMOTION, Flow, served, start
from world import HASHES, READER, push_image

from model_gitops.adapters import process
from model_gitops.adapters.cosign import Cosign, KeyPair
from model_gitops.core.image import signature
from model_gitops.core.image.signature import Signer
from model_gitops.errors import ExternalError, InputError
from model_gitops_local import toolchain

FACTS = signature.facts(
    commit="1" * 40, model="diabetes", model_hash=HASHES["better"], fingerprint="f" * 40
)
PASSWORD = "canary-5d1f0c9e"


@dataclass(frozen=True)
class Key:
    """A key pair as `cosign generate-key-pair` made it."""

    private: str
    public: str

    @property
    def pair(self) -> KeyPair:
        return KeyPair(self.private, PASSWORD)


@pytest.fixture(scope="module", autouse=True)
def _cosign_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{toolchain.ensure('cosign').parent}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Key]:
    """Ours, and somebody else's."""
    made = []
    for name in ("ours", "other"):
        folder = tmp_path_factory.mktemp(name)
        process.run(["cosign", "generate-key-pair"], cwd=folder, env={"COSIGN_PASSWORD": PASSWORD})
        made.append(Key(*((folder / f"cosign.{end}").read_text("utf-8") for end in ("key", "pub"))))
    return made


@pytest.fixture
def cosign(tmp_path: Path) -> Cosign:
    folder = tmp_path / "step" / "docker-config"
    folder.mkdir(parents=True)
    return Cosign.find({"DOCKER_CONFIG": str(folder)}, print)


def push(registry: str, name: str, salt: str = "") -> str:
    """Push an image; return its name@digest."""
    return f"{registry}/{name}@{push_image(registry, name, 'v1', {}, salt=salt)}"


def test_a_signature_holds_for_its_key_its_facts_and_its_image(
    cosign: Cosign, keys: list[Key], registry: str
) -> None:
    ours, other = keys
    by = Signer(key=ours.public)
    image = push(registry, "signatures/held", "a")
    assert cosign.problem_of(image, by, FACTS) == "it has no signature"
    cosign.sign([image], FACTS, ours.pair)
    assert cosign.problem_of(image, by, FACTS) == ""
    assert cosign.problem_of(image, by, {"io.model-gitops.model.name": "diabetes"}) == ""
    another = {**FACTS, "io.model-gitops.commit": "2" * 40}
    assert cosign.problem_of(image, by, another) == "its signature was made for something else"
    assert (
        cosign.problem_of(image, Signer(key=other.public), FACTS)
        == "its signature is another signer's"
    )
    # Another image, of the same tag: the signature holds the digest.
    moved = push(registry, "signatures/held", "b")
    assert cosign.problem_of(moved, by, FACTS) == "it has no signature"
    # A later commit releases the same image: both signatures hold, and a second signer's too.
    cosign.sign([image], another, ours.pair)
    cosign.sign([image], FACTS, other.pair)
    for signer, facts in ((by, FACTS), (by, another), (Signer(key=other.public), FACTS)):
        assert cosign.problem_of(image, signer, facts) == ""
    assert (
        cosign.problem_of(image, Signer(key=other.public), another)
        == "its signature was made for something else"
    )


def test_no_signature_and_no_registry_are_two_things(cosign: Cosign, keys: list[Key]) -> None:
    by = Signer(key=keys[0].public)
    with pytest.raises(ExternalError, match="connection refused") as caught:
        cosign.problem_of(f"127.0.0.1:9/model@sha256:{'a' * 64}", by, FACTS)
    assert "can be reached" in caught.value.fix
    with pytest.raises(ExternalError, match="cosign sign"):
        cosign.sign([f"127.0.0.1:9/model@sha256:{'a' * 64}"], FACTS, keys[0].pair)


def test_a_key_is_tried_before_anything_is_built(cosign: Cosign, keys: list[Key]) -> None:
    assert cosign.public_key(keys[0].pair) == keys[0].public
    with pytest.raises(InputError, match="can't read the key") as caught:
        cosign.public_key(KeyPair(keys[0].private, "wrong"))
    assert caught.value.fix.startswith("signing-password")
    broken = keys[0].private.replace("\n", "\nA", 1)
    with pytest.raises(InputError, match="can't read the key") as caught:
        cosign.public_key(KeyPair(broken, PASSWORD))
    assert keys[0].private.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "problem"),
    [('{"gitVersion": "v3.0.6"}', "older than v3.1.3: 3.0.6"), ("devel", "tells no version")],
)
def test_an_older_cosign_is_not_used(
    says: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cosign"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ExternalError, match=problem) as caught:
        Cosign.find({"DOCKER_CONFIG": str(tmp_path / "docker-config")}, print)
    assert "sigstore/cosign-installer" in caught.value.fix


class Signed(Flow):
    """A flow whose image is in the registry."""

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.top.name.lower()}/diabetes"

    def release(self) -> str:
        """Merge the better model into main, deploy its image to dev, and merge that into staging."""
        commit = self.change("main", self.files("better", 60))
        name = self.image.partition("/")[2]
        digest = push_image(self.registry, name, commit, self.labels(commit, "better"))
        trailers = (
            f"Model: diabetes@v0.0.1\nModel-Hash: {HASHES['better']}\nImage-Fingerprint: {'f' * 40}"
        )
        self.deploy("dev", commit, digest, trailers=trailers)
        self.change("staging", self.files("better", 60), "staging")
        return f"{self.image}:{commit}@{digest}"

    def refused(self, says: str) -> None:
        told = self.run("check-promotion", token=READER)
        assert (told.code, says in told.log) == (3, True), told.log
        assert "transparency log" not in told.log

    def signature(self) -> Any:
        """The lineage's link to the signature, None where it has none."""
        self.work.run("checkout", "--quiet", "--detach", self.sha("main"))
        _, document = self.trace("dev")
        self.push("staging")
        return next((one for one in document["links"] if one["to"] == "signature"), None)


@pytest.fixture
def flow(tmp_path: Path, registry: str, docker_engine: Any) -> Iterator[Signed]:
    with served(tmp_path) as forge:
        made = start(tmp_path, forge, Signed, registry)
        assert isinstance(made, Signed)
        config = tmp_path / "docker"
        (config / "cli-plugins").mkdir(parents=True)
        (config / "cli-plugins" / "docker-buildx").symlink_to(toolchain.ensure("docker-buildx"))
        made.env["DOCKER_CONFIG"] = str(config)
        made.set_rules(image=made.image)
        yield made


@pytest.mark.docker
def test_a_later_environment_takes_only_what_is_signed(
    flow: Signed, cosign: Cosign, keys: list[Key]
) -> None:
    image = flow.release()
    name, _, digest = image.partition("@")
    reference = f"{flow.image}@{digest}"
    demand = {"image": flow.image, "signatures": {"key": keys[0].public}}
    flow.set_rules(image=flow.image)
    flow.push("staging")
    assert flow.outputs("check-promotion")["promote-image"] == image
    assert flow.signature() is None, "nothing is demanded unless the rules say so"

    flow.set_rules(**demand)
    flow.push("staging")
    flow.refused("it has no signature")
    assert flow.signature()["state"] == "broken"

    right = signature.facts(
        commit=name.rpartition(":")[2],
        model="diabetes",
        model_hash=HASHES["better"],
        fingerprint="f" * 40,
    )
    cosign.sign([reference], right, keys[1].pair)
    flow.refused("its signature is another signer's")
    for wrong in (
        {"io.model-gitops.commit": "2" * 40},
        {"io.model-gitops.model.name": "other"},
        {"io.model-gitops.model.hash": HASHES["worse"]},
        {"io.model-gitops.fingerprint": "e" * 40},
    ):
        cosign.sign([reference], {**right, **wrong}, keys[0].pair)
    flow.refused("its signature was made for something else")
    assert flow.signature()["to_says"] == "its signature was made for something else"

    cosign.sign([reference], right, keys[0].pair)
    assert flow.outputs("check-promotion")["promote-image"] == image
    link = flow.signature()
    assert link["state"] == "verified"
    assert signature.key_id(keys[0].public) in link["from_says"]

    # Nobody who could verify it is no yes.
    flow.env["PATH"] = f"{Path(shutil.which('git') or '').parent}:/usr/bin:/bin"
    told = flow.run("check-promotion", token=READER)
    assert (told.code, "cosign" in told.log) == (4, True), told.log


@pytest.mark.docker
def test_rules_of_another_promotion_file_do_not_decide(flow: Signed, keys: list[Key]) -> None:
    """A change that puts another key into promotion.yaml is shown, and counts after its merge."""
    rules = PROMOTION | {"image": flow.image, "signatures": {"key": keys[1].public}}
    flow.change("experiment/key", {"promotion.yaml": json.dumps(rules)})
    flow.pull_request("experiment/key", "main")
    found = flow.outputs("check-promotion")
    assert found["rules-changed"] == "true"
    assert "signatures.key" in found["rules"]
