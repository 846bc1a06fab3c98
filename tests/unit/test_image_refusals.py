"""What of a builder's refusal is the user's to correct, and what the message says."""

from __future__ import annotations

import pytest

from model_gitops.core.image.refusals import input_error

SOLVE = "ERROR: failed to build: failed to solve: "
NO_HOST = 'failed to do request: Head "https://registry-1.docker.io/v2/": dial tcp: no such host'


def place(number: int, *lines: str) -> str:
    """Return the excerpt that buildx prints of a Dockerfile."""
    marked = "".join(f"{number + n:4d} | >>> {line}\n" for n, line in enumerate(lines))
    bar = "-" * 20
    return f"Dockerfile:{number}\n{bar}\n{number - 1:4d} |     FROM x\n{marked}{number + 9:4d} |     \n{bar}\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (f'{SOLVE}target stage "b" could not be found',
         'the image can\'t be built: target stage "b" could not be found\n'
         "Fix: correct the Dockerfile, or the input that the message names"),
        (f"#1 x\n{place(5, 'FOO')}{SOLVE}dockerfile parse error on line 5: unknown instruction: FOO",
         "the image can't be built: line 5 (`FOO`): unknown instruction: FOO\nFix: correct that line"),
        (f"{place(12, 'RUN <<E', 'true')}{SOLVE}unterminated heredoc\n",
         "the image can't be built: line 12 (`RUN <<E true`): unterminated heredoc\nFix: correct that line"),
        # Two places: the first.
        (f"{place(4, 'COPY --from=a / /')}{place(2, 'COPY --from=b / /')}{SOLVE}circular dependency detected on stage: a",
         "the image can't be built: line 4 (`COPY --from=a / /`): circular dependency detected on stage: a\n"
         "Fix: correct that line"),
        (f'{place(5, "ADD a /")}{SOLVE}failed to compute cache key: failed to calculate checksum of ref x::y: "/a": not found',
         'the image can\'t be built: line 5 (`ADD a /`): "/a" is not there\n'
         "Fix: COPY and ADD take paths from the top of the `context`: is the file there, does a step before"
         " this one make it, and does .dockerignore let it through?"),
        (f'{place(5, "COPY --from=m a /")}{SOLVE}failed to compute cache key: failed to calculate checksum of ref x::y: "/a": not found',
         'the image can\'t be built: line 5 (`COPY --from=m a /`): "/a" is not there\n'
         "Fix: copy a file that the stage or the named context has, by its path there"),
        (f"{SOLVE}secret a.b: not found",
         "the image can't be built: secret a.b: not found\nFix: secrets: a.b=${{ secrets.NAME }}"),
        (f"{SOLVE}rpc error: code = Unknown desc = invalid includepatterns: [[a]: syntax error in pattern",
         "the image can't be built: invalid includepatterns: [[a]: syntax error in pattern\n"
         "Fix: correct the Dockerfile, or the input that the message names"),
        (f"{SOLVE}r.example/a:1: no match for platform in manifest sha256:0: not found",
         "the image can't be built: r.example/a:1: no match for platform in manifest sha256:0: not found\n"
         "Fix: give `platforms` that the base image has, or another base image"),
        (f"{SOLVE}r.example/a:1: failed to resolve source metadata for r.example/a:1: r.example/a:1: not found",
         "the image can't be built: the registry has no image r.example/a:1\n"
         "Fix: correct the name, or its tag; a tag may have been removed from the registry"),
        ("ERROR: failed to build: local cache exporter requires dest",
         "the image can't be built: local cache exporter requires dest\n"
         "Fix: correct the Dockerfile, or the input that the message names"),
    ],
)  # fmt: skip
def test_what_the_user_can_correct(said: str, message: str) -> None:
    assert str(input_error(said)) == message


def test_a_target_is_named_as_the_input() -> None:
    error = input_error(f'{SOLVE}target stage "b" could not be found', "b")
    assert str(error).splitlines()[0] == "input `target` is 'b': the Dockerfile has no such stage"


def test_a_name_in_from_that_is_no_stage() -> None:
    said = f"{SOLVE}x: failed to resolve source metadata for docker.io/library/x:latest: {NO_HOST}"
    assert str(input_error(said, sources={"x", "y"})) == (
        "the image can't be built: no stage is called 'x', and no image of that name can be had: x: failed to"
        f" resolve source metadata for docker.io/library/x:latest: {NO_HOST}\n"
        "Fix: give the name after `AS` in the stage's FROM line; where an image is meant, its tag too:"
        " --from=x:latest"
    )
    # In FROM, or with a tag, it is an image.
    assert input_error(said) is None
    assert input_error(said, sources={"x:latest"}) is None


@pytest.mark.parametrize(
    "said",
    [
        "",
        "ERROR: no builder",
        f'{SOLVE}process "/bin/sh -c false" did not complete successfully: exit code: 1',
        f"{SOLVE}failed to push r.example/a: denied",
        f"{SOLVE}failed to load cache key: Get \"http://x\": connection refused",
        f"{SOLVE}r.example/a: failed to resolve source metadata for r.example/a: {NO_HOST}",
        f"{SOLVE}invalid argument",
        # What a command printed is not the builder's word.
        f"#5 0.1 {SOLVE}invalid mode\n{SOLVE}process \"x\" did not complete successfully: exit code: 1",
        f"{SOLVE}invalid mode\n{SOLVE}no space left on device",
    ],
)  # fmt: skip
def test_what_is_no_input(said: str) -> None:
    assert input_error(said, "t", {"a"}) is None
