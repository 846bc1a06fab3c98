"""The artifact of a model: the same content is the same bytes, and what it says of itself is read again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.history import Change
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.manifests import Layer, specs_of, unused, uses_of
from model_gitops.core.deploy.rollback import Asked, Target, artifact
from model_gitops.core.deploy.trailers import complete_trailers, parse_trailers
from model_gitops.core.dvc import checksums
from model_gitops.core.image import modelpack
from model_gitops.core.image.modelpack import File
from model_gitops.core.lineage import hop
from model_gitops.core.lineage.artifact import sha256_of
from model_gitops.errors import InputError, RefusedError

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
SHAS = st.text("0123456789abcdef", min_size=64, max_size=64)
PATHS = st.lists(st.text("abc/_ü ", min_size=1).map(lambda one: f"x{one}"), unique=True, min_size=1)


@given(PATHS, SHAS, st.randoms())
def test_the_order_of_the_files_does_not_matter(paths: list[str], sha256: str, chance: Any) -> None:
    files = [File(path, sha256, len(path)) for path in paths]
    first = modelpack.artifact("m", "a" * 32 + ".dir", files)
    chance.shuffle(files)
    assert modelpack.artifact("m", "a" * 32 + ".dir", files) == first
    assert sha256_of(json.loads(first.manifest)) == checksums.of_folder(
        dict.fromkeys(paths, sha256)
    )


def test_a_file_has_the_sha256_of_its_layer() -> None:
    made = modelpack.artifact("m", "a" * 32, [File("m.onnx", "1" * 64, 7)])
    assert sha256_of(json.loads(made.manifest)) == "1" * 64
    assert made.tag == f"sha-{made.digest[7:19]}"
    for other in (File("m.onnx", "2" * 64, 7), File("n.onnx", "1" * 64, 7)):
        assert modelpack.artifact("m", "a" * 32, [other]).digest != made.digest


def changed(**changes: Any) -> Any:
    found = json.loads(modelpack.artifact("m", "a" * 32, [File("m", "1" * 64, 7)]).manifest)
    return {**found, **changes}


@pytest.mark.parametrize(
    "manifest",
    [
        {}, {"layers": None}, changed(layers=[]), changed(artifactType="application/x"), changed(layers=[{}]),
        changed(layers=[1]), changed(layers={"a": 1}), changed(layers=changed()["layers"] * 2),
        changed(layers=[{**changed()["layers"][0], "mediaType": "application/x"}]),
        changed(layers=[{**changed()["layers"][0], "digest": None}]),
        changed(layers=[{**changed()["layers"][0], "annotations": None}]),
    ],
)  # fmt: skip
def test_what_is_no_model_has_no_sha256(manifest: Any) -> None:
    assert sha256_of(manifest) == ""


def test_too_many_files_are_refused() -> None:
    files = [File(f"{number:064}", "1" * 64, 1) for number in range(12_000)]
    with pytest.raises(InputError, match="12000 files"):
        modelpack.artifact("m", "a" * 32, files)


def test_the_digest_of_an_artifact_is_no_images() -> None:
    given = parse_trailers([f"Model-Artifact: ghcr.io/acme/m-model@{TWO}", "Image-Fingerprint: "])
    images = (Image("m", "ghcr.io/acme/m", "v1", ONE), Image("m-model", "", "", TWO))
    said = complete_trailers(given, images, repository="acme/m", commit="a" * 40)
    assert [value for key, value in said if key == "Image-Digest"] == [ONE]
    for wrong in ("ghcr.io/acme/m-model:v1", f"@{TWO}", TWO, f"a b@{TWO}"):
        with pytest.raises(InputError, match="repository@sha256"):
            parse_trailers([f"Model-Artifact: {wrong}"])


def test_a_rollback_takes_the_artifact_back_with_the_image() -> None:
    trailers = {
        "model": ["m@v1"],
        "image-digest": [ONE],
        "model-artifact": [f"ghcr.io/acme/m-model@{TWO}"],
    }
    asked = Asked("dev", "m")

    def back(said: dict[str, list[str]], *entries: Image) -> Image | None:
        image = Image("m", "", "v1", ONE)
        return artifact(
            asked, Target(image, Change("c", image, "m", "ada", said), "v1"), "m", entries
        )

    entry = Image("m-model", "ghcr.io/acme/m-model", "", ONE)
    assert back(trailers, entry) == Image("m-model", "ghcr.io/acme/m-model", "", TWO)
    assert back(trailers) is None
    assert back(trailers, Image("m-model", "ghcr.io/acme/m-model")) is None
    with pytest.raises(RefusedError, match="its image alone can't come back"):
        back({key: trailers[key] for key in ("model", "image-digest")}, entry)


OWN = Image("m-model", "ghcr.io/acme/m-model", "", ONE)
BY_TAG = Image("m-model", "ghcr.io/acme/m-model", "v9")
MOVED = Image("ghcr.io/acme/m-model", "evil.example/m-model")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((OWN,), OWN),
        # By hand: a tag in the digest's place, another digest after it, another name.
        ((BY_TAG,), BY_TAG),
        ((OWN, Image("ghcr.io/acme/m-model", "", "", TWO)), Image("ghcr.io/acme/m-model", "", "", TWO)),
        ((OWN, MOVED), MOVED),
        ((MOVED, OWN), MOVED),
        ((), None),
        ((Image("m-model", "ghcr.io/acme/m-model"),), None),
        ((Image("m-model", "ghcr.io/acme/m-model", "not-deployed-yet"),), None),
    ],
)  # fmt: skip
def test_what_an_overlay_sets_for_the_artifact(
    entries: tuple[Image, ...], expected: Image | None
) -> None:
    image = Image("m", "ghcr.io/acme/m", "v1", ONE)
    assert kustomization.artifact((image, *entries), "m") == expected


def test_a_later_environment_takes_only_an_artifact_of_the_right_repository() -> None:
    def require(artifact: str, repository: str) -> None:
        promoted = hop.Promoted("i", "h", artifact=artifact)
        hop.require_artifact(promoted, repository=repository, source="dev", target="staging")

    require(f"ghcr.io/acme/m@{TWO}", "ghcr.io/acme/m")
    require("", "")
    for said in ("", f"evil.example/acme/m@{TWO}"):
        with pytest.raises(RefusedError, match=r"artifact: ghcr\.io/acme/m"):
            require(said, "ghcr.io/acme/m")


def test_a_variable_that_configurations_reach_is_an_image_and_no_other_is() -> None:
    pod = {"initContainers": [{"env": [{"name": "A", "value": "m-model"}]}]}
    deployment = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "spec": {"template": {"spec": pod}},
    }
    uses = tuple(uses_of(deployment, "pull.yaml"))
    specs = specs_of({"images": [{"path": "spec/template/spec/initContainers/env/value"}]})
    entry = Image("m-model", "r.example/m-model", "", ONE)
    assert unused(Layer("k.yaml", (entry,), uses, specs=specs), ["m-model"]) == ()
    (told,) = unused(Layer("k.yaml", (entry,), uses), ["m-model"])
    assert told.places == ()  # any variable may be called so
