"""What the builder refuses: the user's input is exit code 2 with the line, a registry 4."""

from __future__ import annotations

import pytest
from image_project import DOCKERFILE, Project

pytestmark = pytest.mark.docker
TWO = "FROM scratch AS a\nCOPY server.py /s\nFROM scratch\n"
CORRECT = "Fix: correct that line"
THERE = (
    "Fix: COPY and ADD take paths from the top of the `context`: is the file there, does a step before"
    " this one make it, and does .dockerignore let it through?"
)


def failed(project: Project, text: str, **inputs: str) -> tuple[int, str]:
    project.write("Dockerfile", text)
    result = project.run(tag="t", push="false", **inputs)
    assert result.outputs == {}
    assert "this is a bug" not in result.log
    return result.status, result.log.partition("error: ")[2].rstrip("\n")


@pytest.mark.parametrize("push", ["true", "false"])
def test_an_unknown_target_is_bad_input(project: Project, buildkit: str, push: str) -> None:
    result = project.run(target="nope", push=push)
    assert result.status == 2, result.log
    assert result.log.partition("error: ")[2].splitlines() == [
        "input `target` is 'nope': the Dockerfile has no such stage",
        "Fix: target: a name after `AS` in one of its FROM lines, or leave `target` out for the last stage",
    ]
    assert project.tags() == []


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        (DOCKERFILE + "COPY missing.txt /x\n",
         'line 5 (`COPY missing.txt /x`): "/missing.txt" is not there', THERE),
        # There, and left out by .dockerignore.
        (DOCKERFILE + "COPY promotion.yaml /x\n",
         'line 5 (`COPY promotion.yaml /x`): "/promotion.yaml" is not there', THERE),
        (TWO + "COPY --from=a /nope /b\n", 'line 4 (`COPY --from=a /nope /b`): "/nope" is not there',
         "Fix: copy a file that the stage or the named context has, by its path there"),
        (DOCKERFILE.replace("}\n", "} AS a\n", 1).replace("COPY server.py /server.py\n", "") +
         "FROM scratch\nCOPY --from=a /nope /b\n", 'line 5 (`COPY --from=a /nope /b`): "/nope" is not there',
         "Fix: copy a file that the stage or the named context has, by its path there"),
        ("FROM scratch AS a\nCOPY --from=b /x /x\nFROM a AS b\n",
         'line 2 (`COPY --from=b /x /x`): cannot copy from stage "b", it needs to be defined before current'
         ' stage "a"', CORRECT),
        (DOCKERFILE + "FOO bar\n",
         "line 5 (`FOO bar`): unknown instruction: FOO (did you mean FROM?)", CORRECT),
        (DOCKERFILE + "RUN <<EOF\ntrue\n", "line 5 (`RUN <<EOF true`): unterminated heredoc", CORRECT),
        (DOCKERFILE + "RUN --mount=type=secret,id=x,required=true true\n",
         "line 5 (`RUN --mount=type=secret,id=x,required=true true`): secret x: not found",
         "Fix: secrets: x=${{ secrets.NAME }}"),
        ("ARG B\nFROM ${B}\n", "line 2 (`FROM ${B}`): base name (${B}) should not be blank", CORRECT),
        ("FROM --platform=x/y/z/w scratch\n",
         'line 1 (`FROM --platform=x/y/z/w scratch`): failed to parse platform x/y/z/w: "x/y/z/w": cannot'
         " parse platform specifier: invalid argument", CORRECT),
        ("", "the Dockerfile cannot be empty",
         "Fix: correct the Dockerfile, or the input that the message names"),
    ],
    ids=["copy", "ignored", "from-a-stage", "from-an-image", "later", "instruction", "heredoc", "secret", "blank", "platform", "empty"],
)  # fmt: skip
def test_what_a_dockerfile_says_wrong_is_bad_input(
    project: Project, buildkit: str, text: str, problem: str, fix: str
) -> None:
    status, said = failed(project, text)
    assert (status, said.splitlines()) == (2, [f"the image can't be built: {problem}", fix])


@pytest.mark.parametrize(
    ("line", "place"),
    [("COPY --from=nostage /a /b", "line 5 (`COPY --from=nostage /a /b`): "),
     ("RUN --mount=from=nostage,target=/x true", "")],
)  # fmt: skip
def test_a_stage_that_is_not_there(project: Project, buildkit: str, line: str, place: str) -> None:
    """BuildKit takes it for an image of Docker Hub, which has none, or can't be asked."""
    status, said = failed(project, f"{DOCKERFILE}{line}\n")
    assert status == 2
    assert said.startswith(
        f"the image can't be built: {place}no stage is called 'nostage', and no image of that name"
    )
    assert said.splitlines()[-1] == (
        "Fix: give the name after `AS` in the stage's FROM line; where an image is meant, its tag too:"
        " --from=nostage:latest"
    )


def test_an_image_that_the_registry_does_not_have_is_named_wrong(
    project: Project, buildkit: str
) -> None:
    name = f"{project.registry}/no/such:1"
    status, said = failed(project, f"FROM {name}\n")
    assert (status, said.splitlines()) == (
        2,
        [
            f"the image can't be built: line 1 (`FROM {name}`): the registry has no image {name}",
            "Fix: correct the name, or its tag; a tag may have been removed from the registry",
        ],
    )


def test_a_registry_that_is_away_and_a_command_that_fails_are_no_input(
    project: Project, buildkit: str
) -> None:
    status, said = failed(project, "FROM 127.0.0.1:1/x/y:1\n")
    assert (status, "connection refused" in said) == (4, True), said
    status, said = failed(project, DOCKERFILE + "ADD http://127.0.0.1:1/x /x\n")
    assert (status, "connection refused" in said) == (4, True), said
    status, said = failed(project, DOCKERFILE + "RUN echo invalid >&2; exit 3\n")
    assert (status, "did not complete successfully: exit code: 3" in said) == (4, True), said


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"provenance": "mode=nope"}, 'invalid mode "nope"'),
        ({"cache_to": "type=local"}, "local cache exporter requires dest"),
        ({"build_contexts": "named=target:foo"}, "failed to find target foo for context named"),
    ],
)
def test_an_input_that_buildx_does_not_take(
    project: Project, buildkit: str, inputs: dict[str, str], problem: str
) -> None:
    status, said = failed(
        project, DOCKERFILE + "COPY --from=named /x /y\n" * ("build_contexts" in inputs), **inputs
    )
    assert (status, said.splitlines()[0]) == (2, f"the image can't be built: {problem}")
