"""Names, tags, labels, the content fingerprint and the arguments of a build."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image import content as image
from model_gitops.errors import ExternalError, InputError

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CONTENT = image.Content(
    files=[image.Entry("app/server.py", "file", "1" * 64)],
    dockerfile=b"FROM scratch\n",
    build_args={"BASE_IMAGE": "python:3.12"},
    contexts={"model": [image.Entry("model.onnx", "file", "2" * 64)]},
    images={"python:3.12": DIGEST},
    platforms=("linux/amd64",),
    model_hash="abc",
)


@pytest.mark.parametrize(
    "name",
    [
        "ghcr.io/acme/diabetes",
        "diabetes",
        "127.0.0.1:5000/a/b",
        "localhost/x",
        "a/b__c-d.e",
        "[::1]:5000/x",
    ],
)
def test_good_names_pass(name: str) -> None:
    assert image.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("ghcr.io/Acme/Diabetes", "image: ghcr.io/acme/diabetes"),
        ("ghcr.io/acme/diabetes:v1", "image: ghcr.io/acme/diabetes (the tag goes into `tag`)"),
        (
            f"ghcr.io/acme/diabetes@{DIGEST}",
            "image: ghcr.io/acme/diabetes (the tag goes into `tag`)",
        ),
        ("https://ghcr.io/acme/diabetes", "image: ghcr.io/acme/diabetes"),
        ("ghcr.io/acme/my model", "image: ghcr.io/acme/my-model"),
        ("ghcr.io/acme/../x", "image: ghcr.io/acme/x"),
        ("", "image: ghcr.io/OWNER/NAME"),
        ("$(touch pwned)", "image: touch-pwned"),
        ("--push", "image: push"),
    ],
)
def test_a_bad_name_is_answered_with_a_good_one(name: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        image.check_name(name)
    assert caught.value.fix == fix
    assert image.check_name(fix.removeprefix("image: ").split(" ")[0].replace("OWNER/NAME", "o/n"))


@given(st.text(max_size=60))
def test_any_name_is_accepted_or_mended(name: str) -> None:
    try:
        assert image.check_name(name) == name
    except InputError as error:
        mended = error.fix.removeprefix("image: ").split(" ")[0].replace("OWNER/NAME", "o/n")
        assert image.check_name(mended.replace("NAME", "n")) is not None


@given(st.text(max_size=200))
def test_any_tag_is_accepted_or_mended(tag: str) -> None:
    try:
        assert image.check_tag(tag) == tag
    except InputError as error:
        assert image.check_tag(error.fix.removeprefix("tag: "))


def test_a_tag_of_a_branch_name_is_refused_with_the_fix() -> None:
    with pytest.raises(InputError) as caught:
        image.check_tag('a"b$(touch pwned)`id`')
    assert caught.value.fix == "tag: a-b-touch-pwned-id"


def test_a_fingerprint_can_not_be_forged_by_a_tag() -> None:
    with pytest.raises(InputError):
        image.check_tag(image.fingerprint_tag("0" * 40), input_name="extra-tags")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("ghcr.io/acme/x", "ghcr.io"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000"),
        ("localhost/x", "localhost"),
        ("acme/x", ""),
        ("x", ""),
        ("docker.io/acme/x", ""),
    ],
)
def test_the_registry_of_a_name(name: str, host: str) -> None:
    assert image.registry_host(name) == host


def test_pairs_keep_all_of_the_value() -> None:
    lines = ["A=1", "URL=https://x/?a=b&c=d", "EMPTY=", "SP= two words"]
    assert image.parse_pairs("build-args", lines, key=r"[A-Z]+", example="A=1") == {
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
        image.parse_pairs(
            "secrets", ["A=1", line], key=r"[A-Za-z0-9_.-]+", example="TOKEN=…", secret=True
        )
    assert line not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "a value is one line" in caught.value.fix


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        image.parse_pairs("labels", ["a=1", "a=2"], key=r"\S+", example="a=1")


def test_platforms_by_line_or_comma() -> None:
    assert image.parse_platforms(["linux/amd64, linux/arm64", "linux/arm/v7", "linux/amd64"]) == (
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
    )
    with pytest.raises(InputError, match="this is no platform"):
        image.parse_platforms(["amd64"])


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
    assert image.split_layout(context) == (folder, rest)


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
    assert image.may_move(context) is moves


def test_labels_name_the_model_and_the_users_win() -> None:
    made = image.labels(
        name="ghcr.io/acme/diabetes", tag="t", revision="c0ffee", source="https://example.com/acme/m",
        model="diabetes", model_version="v1.2.3", model_hash="abc", fingerprint="f" * 40,
        smoke_test="5" * 64, own={"org.opencontainers.image.title": "Mine", "com.acme.team": "ml"},
    )  # fmt: skip
    assert made == {
        "org.opencontainers.image.title": "Mine",
        "org.opencontainers.image.version": "v1.2.3",
        "org.opencontainers.image.revision": "c0ffee",
        "org.opencontainers.image.source": "https://example.com/acme/m",
        "io.model-gitops.model.name": "diabetes",
        "io.model-gitops.model.version": "v1.2.3",
        "io.model-gitops.model.hash": "abc",
        "io.model-gitops.fingerprint": "f" * 40,
        "io.model-gitops.smoke-test": "5" * 64,
        "com.acme.team": "ml",
    }


def test_a_fingerprint_is_stable_and_of_the_content_alone() -> None:
    # The value is held: a changed recipe must come with a changed recipe number.
    assert image.fingerprint(CONTENT) == "61eb8ef58a30deaf1420eddc256789a79b2b7ebd"
    shuffled = replace(CONTENT, files=[*CONTENT.files], build_args=dict(CONTENT.build_args))
    assert image.fingerprint(shuffled) == image.fingerprint(CONTENT)


@pytest.mark.parametrize(
    "change",
    [
        {"files": [image.Entry("app/server.py", "file", "3" * 64)]},
        {"files": [image.Entry("app/server.py", "exec", "1" * 64)]},
        {"files": [image.Entry("app/server.py", "file4000", "1" * 64)]},
        {"files": [image.Entry("app/other.py", "file", "1" * 64)]},
        {"files": []},
        {"dockerfile": b"FROM scratch \n"},
        {"target": "serve"},
        {"build_args": {"BASE_IMAGE": "python:3.13"}},
        {"build_args": {}},
        {"contexts": {"model": [image.Entry("model.onnx", "file", "4" * 64)]}},
        {"contexts": {"model": "docker-image://x"}},
        {"images": {"python:3.12": OTHER}},
        {"images": {"python:3.12": ""}},
        {"images": {"python:3.13": DIGEST}},
        {"images": {}},
        {"platforms": ("linux/arm64",)},
        {"platforms": ("linux/amd64", "linux/arm64")},
        {"model_hash": "abd"},
        {"attestations": ("mode=max", "")},
    ],
)
def test_each_part_of_the_content_counts(change: dict[str, object]) -> None:
    assert image.fingerprint(replace(CONTENT, **change)) != image.fingerprint(CONTENT)  # type: ignore[arg-type]


SHORT = st.text(max_size=3)
HASHES = st.sampled_from(["1" * 64, "2" * 64, ""])
ENTRIES = st.lists(
    st.builds(image.Entry, SHORT, st.sampled_from(["file", "exec", "link", "folder"]), HASHES),
    max_size=3,
    unique_by=lambda entry: entry.path,
)
CONTENTS = st.builds(
    image.Content,
    files=ENTRIES,
    dockerfile=st.binary(max_size=3),
    target=SHORT,
    build_args=st.dictionaries(SHORT, SHORT, max_size=2),
    contexts=st.dictionaries(SHORT, ENTRIES | SHORT, max_size=2),
    images=st.dictionaries(SHORT, SHORT, max_size=2),
    platforms=st.lists(SHORT, max_size=2, unique=True).map(tuple),
    model_hash=SHORT,
    attestations=st.tuples(SHORT, SHORT),
)


@given(CONTENTS, CONTENTS, st.sampled_from([one.name for one in fields(image.Content)]))
def test_one_changed_ingredient_is_another_fingerprint(
    one: image.Content, two: image.Content, ingredient: str
) -> None:
    """`one` with a single part of `two`: equal fingerprints if, and only if, the parts are equal."""

    def plain(value: Any) -> Any:
        # Of files and platforms the order does not count.
        if isinstance(value, list):
            return sorted(map(repr, value))
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value

    changed = replace(one, **{ingredient: getattr(two, ingredient)})
    before, after = plain(getattr(one, ingredient)), plain(getattr(two, ingredient))
    if ingredient == "platforms":
        before, after = sorted(before), sorted(after)
    assert (image.fingerprint(changed) == image.fingerprint(one)) is (before == after)


@pytest.mark.parametrize(
    ("reference", "valid", "pinned"),
    [
        ("python", True, False),
        ("python:3.12", True, False),
        ("127.0.0.1:5000/a/b", True, False),
        ("127.0.0.1:5000/a/b:c", True, False),
        (f"python@{DIGEST}", True, True),
        (f"127.0.0.1:5000/python:3.12@{DIGEST}", True, True),
        ("python@sha256:1", False, False),
        ("p:$V", False, False),
        ("p:", False, False),
        ("--help", False, False),
        ("", False, False),
    ],
)
def test_references_of_images(reference: str, valid: bool, pinned: bool) -> None:
    assert image.is_reference_of_image(reference) is valid
    assert image.is_pinned(reference) is pinned


def test_the_digest_is_read_from_buildx() -> None:
    assert image.digest_said(f"Name: a\nDigest:    {DIGEST}\n  Digest: {OTHER}\n") == DIGEST
    assert image.digest_said("Name: a\n") == ""


def test_no_value_can_pretend_to_be_two() -> None:
    one = replace(CONTENT, build_args={"A": '1","B":"2'})
    two = replace(CONTENT, build_args={"A": "1", "B": "2"})
    assert image.fingerprint(one) != image.fingerprint(two)


def test_what_is_reused() -> None:
    same = image.Published(DIGEST, {image.FINGERPRINT_LABEL: "f"})
    moved = image.Published(OTHER, {image.FINGERPRINT_LABEL: "older"})
    assert image.reusable(None, None, "f") is None
    assert image.reusable(same, None, "f") is same, "the fingerprint's tag was pruned"
    assert image.reusable(moved, None, "f") is None, "a moving tag must not bring back an old image"
    assert image.reusable(moved, same, "f") is same
    assert image.reusable(image.Published(OTHER), None, "f") is None, "made by another tool"


def test_published_reads_one_platform_and_many() -> None:
    config = {"config": {"Labels": {"a": "1"}}, "architecture": "amd64"}
    one = {"manifest": {"digest": DIGEST}, "image": config}
    platforms = {"linux/amd64": config, "linux/arm64": {"config": {"Labels": {"a": "1", "b": "2"}}}}
    many = {"manifest": {"digest": DIGEST}, "image": platforms}
    assert image.published(one) == image.published(many) == image.Published(DIGEST, {"a": "1"})
    # A label that one platform says otherwise says nothing of the image.
    platforms["linux/arm64"] = {"config": {"Labels": {"a": "2"}}}
    assert image.published(many) == image.Published(DIGEST)
    assert image.published({**many, "image": {**platforms, "linux/arm64": {}}}).labels == {}
    for wrong in ({"manifest": {}}, {"manifest": None}, None, []):
        with pytest.raises(ExternalError):
            image.published(wrong)


def test_manifests_leave_out_attestations() -> None:
    attestation = {
        "digest": OTHER,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    assert image.manifests_of({"manifests": [{"digest": DIGEST}, attestation]}) == [DIGEST]
    assert image.manifests_of({"config": {"digest": DIGEST}}) == []


def test_the_tested_image_is_told_by_either_kind_of_store() -> None:
    metadata = {"containerimage.config.digest": DIGEST, "containerimage.digest": OTHER}
    assert image.tested_config(metadata, DIGEST) == DIGEST, "docker's own store"
    assert image.tested_config(metadata, OTHER) == DIGEST, "containerd's store"
    assert image.tested_config({"containerimage.digest": DIGEST}, DIGEST) == DIGEST, "an old engine"
    with pytest.raises(ExternalError, match="loaded"):
        image.tested_config(metadata, "sha256:" + "c" * 64)


def test_the_builder_is_read_from_buildx() -> None:
    text = "Name:  b\nDriver:        docker-container\n\nNodes:\nPlatforms: linux/arm64*, linux/amd64\n"
    assert image.parse_builder(text) == image.Builder("docker-container", "linux/arm64")
    assert image.parse_builder("") == image.Builder("", "")
    away = "Name:   b\nDriver: \n\nError:  no engine answers\n\nNodes:\nPlatforms:\nlabels: x\n"
    assert image.parse_builder(away) == image.Builder("", "", "no engine answers")


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
    assert image.native_or_first(platforms, native) == tested


def test_every_argument_is_tied_to_its_option() -> None:
    build = image.Build(
        context="/c", file="/c/Dockerfile", target="--push", build_args={"A": "--output=x"},
        contexts={"model": "/m"}, secrets={"TOKEN": "BUILD_SECRET_0"}, labels={"l": "v w"},
        cache_from=["type=gha"], cache_to=["type=gha"], builder="b",
    )  # fmt: skip
    words = image.build_arguments(
        build, metadata_file="/m.json", output=["--load"], platforms=["linux/amd64", "linux/arm64"],
        attestations=image.attestation_arguments("mode=max", ""), cache_to=True,
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


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: 127.0.0.1:5500/a/x:nope: not found",
        "manifest unknown: manifest unknown",
        "NAME_UNKNOWN",
    ],
)
def test_not_found(said: str) -> None:
    assert image.is_not_found(said)
    assert not image.is_transient(said)


@pytest.mark.parametrize(
    "said",
    [
        "unexpected status from HEAD request to https://x/v2/a/manifests/t: 503 Service Unavailable",
        "dial tcp 127.0.0.1:5599: connect: connection refused",
        "toomanyrequests: rate exceeded: 429 Too Many Requests",
        "dial tcp: lookup registry.example: no such host",
    ],
)
def test_transient(said: str) -> None:
    assert image.is_transient(said)
    assert not image.is_not_found(said)


def test_the_fix_names_the_permission() -> None:
    fix = image.registry_fix("ghcr.io/acme/x", "denied: permission_denied: write_package")
    assert "packages: write" in fix
    fix = image.registry_fix("r.example/acme/x", "tag invalid: The image tag 'v1' is immutable")
    assert "does not let a tag move" in fix
    assert image.registry_fix("ghcr.io/acme/x", "something else") == ""


@pytest.mark.parametrize("number", ["401", "403", "409", "429", "500"])
def test_a_number_in_a_name_is_no_status(number: str) -> None:
    reference = f"r.example:{number}/a-{number}/app:{number}"
    said = (
        f"ERROR: failed to resolve ref {reference}: unexpected status from HEAD request to"
        f" https://r.example:{number}/v2/a-{number}/app/manifests/{number}: "
    )
    said = image.without_names(said, ["inspect", reference])
    assert not image.is_denied(said)
    assert not image.is_immutable(said)
    assert not image.is_limited(said)
    assert not image.is_transient(said)
    assert image.is_denied(f"{said}403 Forbidden")
    assert image.is_immutable(f"{said}409 Conflict")
    assert image.is_limited(f"{said}429 Too Many Requests")
    assert image.is_transient(f"{said}500 Internal Server Error")
    assert image.is_not_found(image.without_names(f"ERROR: {reference}: not found", [reference]))


def test_a_fault_that_passes_is_told_before_a_refusal() -> None:
    said = "failed to authorize: unexpected status: 503 Service Unavailable: authorization failed"
    assert "can be reached" in image.registry_fix("r.example/app", said)


PUSH_FAILED = "ERROR: failed to build: failed to solve: failed to push x: unexpected status from PUT request to http://x/v2/: "


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        (f"{PUSH_FAILED}500 Internal Server Error", True),
        (f"{PUSH_FAILED}429 Too Many Requests", True),
        (f"{PUSH_FAILED}403 Forbidden", False),
        # A command of the Dockerfile that speaks of a timeout is the user's own failure.
        (
            '#4 0.1 connection reset, timeout\nERROR: failed to solve: process "curl: timeout" did'
            " not complete successfully: exit code: 28",
            False,
        ),
        ("ERROR: failed to solve: ghcr.io/acme/base:9: not found", False),
        ("connection refused", False),
    ],
)
def test_which_failed_builds_are_tried_again(said: str, passes: bool) -> None:
    assert image.is_passing_build_failure(said) is passes
