"""A build's inputs, the words of its command, and what the builder answers."""

from __future__ import annotations

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


ENCODE = "secrets: TOKEN=… (a value is one line: encode a longer one, as by base64 -w0)"


@pytest.mark.parametrize(
    ("line", "secret", "message", "fix"),
    [
        ("a=2", False, "input `labels` is 'a': it is given twice", "leave one of the lines out"),
        ("hunter2", False, "input `labels`: a line has no `=`", "labels: a=1"),
        ("b c=hunter2", False, "input `labels` is 'b c': this is no name that can be used here",
         "labels: a=1"),
        ("a=hunter2", True, "input `secrets`: entry 2: it is given twice", ENCODE),
        ("hunter2", True, "input `secrets`: entry 2: a line has no `=`", ENCODE),
        ("b c=1", True, "input `secrets`: entry 2: this is no name that can be used here", ENCODE),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_without_its_value(
    line: str, secret: bool, message: str, fix: str
) -> None:
    name, example = ("secrets", "TOKEN=…") if secret else ("labels", "a=1")
    with pytest.raises(InputError) as caught:
        builds.parse_pairs(name, ["a=1", line], key=r"\S+", example=example, secret=secret)
    assert (caught.value.message, caught.value.fix) == (message, fix)


def test_platforms_by_line_or_comma() -> None:
    assert builds.parse_platforms(["linux/amd64, linux/arm64", "linux/arm/v7", "linux/amd64"]) == (
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
    )
    with pytest.raises(InputError) as caught:
        builds.parse_platforms(["amd64"])
    assert caught.value.message == "input `platforms` is 'amd64': this is no platform"
    assert caught.value.fix == "platforms: linux/amd64,linux/arm64"
    with pytest.raises(InputError, match=r"input `p` is 'a/b/c/d'") as caught:
        builds.parse_platforms(["a/b", "a/b/c/d"], source="p")
    assert caught.value.fix == "p: linux/amd64,linux/arm64"
    assert builds.parse_platforms([" ,", ""]) == ()


@pytest.mark.parametrize(
    ("context", "is_one"),
    [
        ("docker-image://a", True),
        ("oci-layout://a", True),
        ("target:a", True),
        ("https://a", True),
        ("git@a:b", True),
        ("ssh://a", True),
        ("a/b", False),
        ("./https://a", False),
    ],
)
def test_references_and_folders_are_told_apart(context: str, is_one: bool) -> None:
    assert builds.is_reference(context) is is_one


@pytest.mark.parametrize(
    ("context", "folder", "rest"),
    [
        ("oci-layout://a/b", "a/b", ""),
        ("oci-layout:///a:v1", "/a", ":v1"),
        (f"oci-layout://a@{DIGEST}", "a", f"@{DIGEST}"),
        (f"oci-layout://a:v1@{DIGEST}", "a", f":v1@{DIGEST}"),
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
        ("http://example.com/a.tar", True),
        ("git://example.com/a", True),
        ("ssh://git@example.com/a", True),
        (f"ssh://git@example.com/a?commit={'a' * 40}", False),
        (f"ssh://git@example.com/a?commit={'a' * 41}", True),
        (f"a/b#{'a' * 40}", False),
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
    third = "sha256:" + "c" * 64
    with pytest.raises(ExternalError) as caught:
        builds.tested_config(metadata, third)
    assert caught.value.message == f"the engine loaded {third}, but {DIGEST} was built"
    fix = "run the job again; does another job load images under the same name?"
    assert caught.value.fix == fix
    with pytest.raises(ExternalError, match="loaded x, but another image was built"):
        builds.tested_config({"containerimage.digest": OTHER}, "x")
    assert builds.tested_config({}, DIGEST) == DIGEST
    with pytest.raises(ExternalError, match="but odd was built"):
        builds.tested_config({**metadata, "containerimage.config.digest": "odd"}, OTHER)


def test_the_builder_is_read_from_buildx() -> None:
    text = "Name:  b\nDriver:        docker-container\n\nNodes:\nPlatforms: linux/arm64*, linux/amd64\n"
    assert builds.parse_builder(text) == builds.Builder("docker-container", "linux/arm64")
    assert builds.parse_builder("") == builds.Builder("", "")
    assert not builds.parse_builder(text).is_engines_own
    assert builds.parse_builder("Driver: docker\n").is_engines_own
    nested = (
        "Name: Driver: x\nDriver:\tdocker\nNodes:\n  Error: a b \n  Platforms:\tlinux/amd64, x\n"
    )
    assert builds.parse_builder(nested) == builds.Builder("docker", "linux/amd64", "a b ")
    away = "Name:   b\nDriver: \n\nError:  no engine answers\n\nNodes:\nPlatforms:\nlabels: x\n"
    assert builds.parse_builder(away) == builds.Builder("", "", "no engine answers")


@pytest.mark.parametrize(
    ("platforms", "native", "tested"),
    [
        (["linux/arm64", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["linux/arm64"], "linux/amd64", "linux/arm64"),
        (["linux/arm/v7"], "linux/arm", "linux/arm/v7"),
        (["linux/amd64", "linux/arm64"], "linux/arm", "linux/amd64"),
        ([], "linux/amd64", ""),
    ],
)
def test_the_platform_that_is_tested(platforms: list[str], native: str, tested: str) -> None:
    assert builds.native_or_first(platforms, native) == tested


def test_every_argument_is_tied_to_its_option() -> None:
    build = builds.Build(
        context="/c", file="/c/Dockerfile", target="--push", build_args={"A": "--output=x"},
        contexts={"model": "/m"}, secrets={"TOKEN": "BUILD_SECRET_0"}, labels={"l": "v w"},
        cache_from=["type=gha"], cache_to=["type=gha,mode=max"], builder="b", pull=True,
    )  # fmt: skip

    def words(of: builds.Build, *platforms: str, cache_to: bool) -> list[str]:
        return builds.build_arguments(
            of, metadata_file="/m.json", output=["--load"], platforms=platforms,
            attestations=builds.attestation_arguments("mode=max", ""), cache_to=cache_to,
        )  # fmt: skip

    assert words(build, "linux/amd64", "linux/arm64", cache_to=True) == [
        "buildx", "build", "--progress=plain", "--metadata-file=/m.json", "--builder=b", "--pull",
        "--file=/c/Dockerfile", "--target=--push", "--platform=linux/amd64,linux/arm64",
        "--build-arg=A=--output=x", "--build-context=model=/m",
        "--secret=id=TOKEN,env=BUILD_SECRET_0", "--label=l=v w", "--cache-from=type=gha",
        "--cache-to=type=gha,mode=max", "--provenance=mode=max", "--load", "--", "/c",
    ]  # fmt: skip
    assert not [one for one in words(build, cache_to=False) if one.startswith("--cache-to")]
    assert words(builds.Build("/c", "/f"), cache_to=True) == [
        "buildx", "build", "--progress=plain", "--metadata-file=/m.json", "--file=/f",
        "--provenance=mode=max", "--load", "--", "/c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provenance", "sbom", "words"),
    [
        ("", "", []),
        ("false", "true", ["--provenance=false", "--sbom=true"]),
        ("", "x", ["--sbom=x"]),
    ],
)
def test_only_attestations_that_were_asked_for(
    provenance: str, sbom: str, words: list[str]
) -> None:
    assert builds.attestation_arguments(provenance, sbom) == words
