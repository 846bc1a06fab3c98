"""A build's inputs, the words of its command, and what the builder answers."""

from __future__ import annotations

import re

import pytest

from model_gitops.core.image import build as builds
from model_gitops.errors import ExternalError, InputError

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def test_pairs_keep_all_of_the_value() -> None:
    lines = ["A=1", "URL=https://x/?a=b&c=d", "EMPTY=", "SP= two words"]
    assert builds.parse_pairs("build-args", lines, key=r"[A-Z]+", example="A=1") == {
        "A": "1",
        "URL": "https://x/?a=b&c=d",
        "EMPTY": "",
        "SP": " two words",
    }


@pytest.mark.parametrize(
    "line",
    ["hunter2-without-a-name", "bad name=hunter2", ",env=X=hunter2", "hunter2 base64=", "A=2"],
)
def test_a_bad_secret_line_shows_nothing_of_it(line: str) -> None:
    with pytest.raises(InputError, match="entry 2") as caught:
        builds.parse_pairs(
            "secrets", ["A=1", line], key=r"[A-Za-z0-9_.-]+", example="TOKEN=…", secret=True
        )
    assert line not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "a value is one line" in caught.value.fix


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        builds.parse_pairs("labels", ["a=1", "a=2"], key=r"\S+", example="a=1")


def test_platforms_by_line_or_comma() -> None:
    assert builds.parse_platforms(["linux/amd64, linux/arm64", "linux/arm/v7", "linux/amd64"]) == (
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
    )
    with pytest.raises(InputError, match="this is no platform"):
        builds.parse_platforms(["amd64"])


@pytest.mark.parametrize(
    ("context", "folder", "rest"),
    [
        ("oci-layout://a/b", "a/b", ""),
        ("oci-layout:///a:v1", "/a", ":v1"),
        (f"oci-layout://a@{DIGEST}", "a", f"@{DIGEST}"),
        ("docker-image://a:1", "", ""),
        ("a/b", "", ""),
    ],
)
def test_oci_layouts(context: str, folder: str, rest: str) -> None:
    assert builds.split_layout(context) == (folder, rest)


@pytest.mark.parametrize(
    ("context", "moves"),
    [
        ("https://example.com/a.git#main", True),
        ("git@example.com:a/b.git", True),
        ("https://example.com/a.tar", True),
        (f"https://example.com/a.git#{'a' * 40}", False),
        (f"https://example.com/a.git#{'a' * 40}:folder", False),
        (f"https://example.com/a.git?ref=v1&checksum={'a' * 40}", False),
        ("docker-image://a", False),
        ("a/b", False),
    ],
)
def test_which_build_contexts_may_move(context: str, moves: bool) -> None:
    assert builds.may_move(context) is moves


def test_the_tested_image_is_told_by_either_kind_of_store() -> None:
    metadata = {"containerimage.config.digest": DIGEST, "containerimage.digest": OTHER}
    assert builds.tested_config(metadata, DIGEST) == DIGEST, "docker's own store"
    assert builds.tested_config(metadata, OTHER) == DIGEST, "containerd's store"
    assert builds.tested_config({"containerimage.digest": DIGEST}, DIGEST) == DIGEST, (
        "an old engine"
    )
    with pytest.raises(ExternalError, match="loaded"):
        builds.tested_config(metadata, "sha256:" + "c" * 64)


def test_the_builder_is_read_from_buildx() -> None:
    text = "Name:  b\nDriver:        docker-container\n\nNodes:\nPlatforms: linux/arm64*, linux/amd64\n"
    assert builds.parse_builder(text) == builds.Builder("docker-container", "linux/arm64")
    assert builds.parse_builder("") == builds.Builder("", "")
    away = "Name:   b\nDriver: \n\nError:  no engine answers\n\nNodes:\nPlatforms:\nlabels: x\n"
    assert builds.parse_builder(away) == builds.Builder("", "", "no engine answers")


@pytest.mark.parametrize(
    ("platforms", "native", "tested"),
    [
        (["linux/arm64", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["linux/arm64"], "linux/amd64", "linux/arm64"),
        (["linux/arm/v7"], "linux/arm", "linux/arm/v7"),
        ([], "linux/amd64", ""),
    ],
)
def test_the_platform_that_is_tested(platforms: list[str], native: str, tested: str) -> None:
    assert builds.native_or_first(platforms, native) == tested


def test_every_argument_is_tied_to_its_option() -> None:
    build = builds.Build(
        context="/c", file="/c/Dockerfile", target="--push", build_args={"A": "--output=x"},
        contexts={"model": "/m"}, secrets={"TOKEN": "BUILD_SECRET_0"}, labels={"l": "v w"},
        cache_from=["type=gha"], cache_to=["type=gha"], builder="b",
    )  # fmt: skip
    words = builds.build_arguments(
        build, metadata_file="/m.json", output=["--load"], platforms=["linux/amd64", "linux/arm64"],
        attestations=builds.attestation_arguments("mode=max", ""), cache_to=True,
    )  # fmt: skip
    assert words[:2] == ["buildx", "build"]
    assert words[-2:] == ["--", "/c"]
    assert "--target=--push" in words
    assert "--push" not in words
    assert "--secret=id=TOKEN,env=BUILD_SECRET_0" in words
    assert "--platform=linux/amd64,linux/arm64" in words
    assert "--provenance=mode=max" in words
    assert not any(word.startswith("--sbom") for word in words)
    assert all(re.match(r"--[a-z-]+(=|$)", word) for word in words[2:-2])
