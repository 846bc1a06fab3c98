"""What the messages of registries and of failed builds mean."""

from __future__ import annotations

import pytest

from model_gitops.core.image.faults import (
    build_fix,
    is_denied,
    is_immutable,
    is_limited,
    is_not_found,
    is_passing_build_failure,
    is_transient,
    registry_fix,
    without_names,
)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: 127.0.0.1:5500/a/x:nope: not found",
        "manifest unknown: manifest unknown",
        "NAME_UNKNOWN",
    ],
)
def test_not_found(said: str) -> None:
    assert is_not_found(said)
    assert not is_transient(said)


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
    assert is_transient(said)
    assert not is_not_found(said)


def test_the_fix_names_the_permission() -> None:
    fix = registry_fix("ghcr.io/acme/x", "denied: permission_denied: write_package")
    assert "packages: write" in fix
    fix = registry_fix("r.example/acme/x", "tag invalid: The image tag 'v1' is immutable")
    assert "does not let a tag move" in fix
    assert registry_fix("ghcr.io/acme/x", "something else") == ""


@pytest.mark.parametrize("number", ["401", "403", "409", "429", "500"])
def test_a_number_in_a_name_is_no_status(number: str) -> None:
    reference = f"r.example:{number}/a-{number}/app:{number}"
    said = (
        f"ERROR: failed to resolve ref {reference}: unexpected status from HEAD request to"
        f" https://r.example:{number}/v2/a-{number}/app/manifests/{number}: "
    )
    said = without_names(said, ["inspect", reference])
    assert not is_denied(said)
    assert not is_immutable(said)
    assert not is_limited(said)
    assert not is_transient(said)
    assert is_denied(f"{said}403 Forbidden")
    assert is_immutable(f"{said}409 Conflict")
    assert is_limited(f"{said}429 Too Many Requests")
    assert is_limited("unexpected status code 429")
    assert is_limited("toomanyrequests: retry later")
    assert is_transient(f"{said}500 Internal Server Error")
    assert is_not_found(without_names(f"ERROR: {reference}: not found", [reference]))


def test_a_fault_that_passes_is_told_before_a_refusal() -> None:
    said = "failed to authorize: unexpected status: 503 Service Unavailable: authorization failed"
    assert "can be reached" in registry_fix("r.example/app", said)


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
    assert is_passing_build_failure(said) is passes


def test_messages_of_many_lines_are_judged_by_their_last_error() -> None:
    failed = "ERROR: failed to solve: connection refused"
    assert is_passing_build_failure(f"ERROR: x: not found\n{failed}\n#4 not found\n")
    assert not is_passing_build_failure(f"{failed}\nERROR: x: not found\n")
    assert not is_passing_build_failure("")


def test_names_are_taken_out_the_longest_first() -> None:
    assert without_names("a/b:c of a/b, by push", ["a/b", "push", "a/b:c"]) == " of , by push"
    assert without_names("x a/b/c y", ["b/c", "a/b/c"]) == "x  y"
    assert without_names("see http://x/503 and https://y/409: no", []) == "see  and  no"


ACTIONS_TOKEN = " (with GITHUB_TOKEN: `permissions: packages: write` in the job)"
GHCR = (
    " (on ghcr.io: `permissions: packages: write` in the job, and the repository must have"
    " write access to the package, in its settings)"
)


@pytest.mark.parametrize(
    ("name", "said", "fix"),
    [
        ("r.example/app", "tag is immutable", "r.example does not let a tag move: give another `tag`,"
         " or leave it out"),
        ("acme/app", "i/o timeout",
         "check that docker.io can be reached from this runner, and run the job again"),
        ("ghcr.io/acme/app", "denied",
         f"give `username` and `password` of an account that may push to ghcr.io/acme/app{GHCR}"),
        ("acme/app", "denied",
         f"give `username` and `password` of an account that may push to acme/app{ACTIONS_TOKEN}"),
    ],
)  # fmt: skip
def test_what_to_do_about_a_registry(name: str, said: str, fix: str) -> None:
    assert registry_fix(name, said) == fix


SETUP = "add a step docker/setup-buildx-action before this one, or give"
ONE_PLATFORM = f"the engine's own builder makes one platform only: {SETUP} its name as `builder`"
NO_ATTESTATIONS = (
    f"the engine's own builder makes no attestations: {SETUP} `provenance: false` and `sbom: false`"
)
NO_ENGINE = "start the Docker engine, or choose a `builder` that runs: docker buildx ls"
PUSH = f"give `username` and `password` of an account that may push to r.example/app{ACTIONS_TOKEN}"


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("ERROR: unsupported frontend capability moby.buildkit.frontend.contexts",
         "this builder is too old for named build contexts: run docker/setup-buildx-action first"),
        ("ERROR: Attestation is not supported for the docker driver", NO_ATTESTATIONS),
        ("ERROR: attestations are not supported", NO_ATTESTATIONS),
        ("ERROR: Attestation failed", ""),
        ("ERROR: this is not supported", ""),
        ("ERROR: Multi-platform build is not supported for the docker driver", ONE_PLATFORM),
        ("ERROR: multi-platform build is not supported", ONE_PLATFORM),
        ("ERROR: docker exporter does not currently support exporting manifest lists", ONE_PLATFORM),
        ("ERROR: failed to push r.example/app: denied", PUSH),
        ("ERROR: failed to authorize: 401 Unauthorized", PUSH),
        ("ERROR: push access denied", PUSH),
        ("ERROR: failed to push r.example/app: no", ""),
        ('ERROR: process "/bin/sh" did not complete successfully: exec format error',
         "a command of the Dockerfile is of another platform than this machine: add a step"
         " docker/setup-qemu-action before this one, or build on a machine of that platform"),
        ("ERROR: Cannot connect to the Docker daemon at unix:///x", NO_ENGINE),
        ("error during connect: x", NO_ENGINE),
        ("ERROR: failed to resolve source metadata for x",
         "check the name in FROM and that the builder can reach that registry (and is logged in)"),
        ("", ""),
        ("failed to push: denied" + "\nx" * 19 + "\n\n", PUSH),
        # What stands long before the end is no cause.
        ("failed to push: denied" + "\nx" * 20, ""),
    ],
)  # fmt: skip
def test_what_to_do_about_a_failed_build(said: str, fix: str) -> None:
    assert build_fix(said, "r.example/app") == fix
