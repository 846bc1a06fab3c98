"""Which images a Dockerfile takes from registries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image import dockerfile


def read(text: str, **options: Any) -> list[str]:
    return sorted(dockerfile.references(text, **options))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM python:3.12", ["python:3.12"]),
        ("from python:3.12 as base\nFrom Base", ["python:3.12"]),
        ("FROM scratch\nCOPY a /", []),
        ("", []),
        ("# nothing\n", []),
        ("\ufeffFROM a\r\nRUN x\r\n", ["a"]),
        ("FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=linux/arm64 b", ["a"]),
        ("FROM a\nCOPY --from=b:1 /x /y", ["a", "b:1"]),
        ("FROM a\ncopy --chown=1 --from=b:1 --link /x /y", ["a", "b:1"]),
        ("FROM a AS x\nFROM b\nCOPY --from=X /x /y", ["a", "b"]),
        ("FROM a AS x\nFROM b\nCOPY --from=0 /x /y", ["a", "b"]),
        ("FROM a\nCOPY --from=scratch / /", ["a"]),
        ("FROM a\nRUN --mount=type=bind,from=b:1,target=/b --mount=from=c x", ["a", "b:1", "c"]),
        ("FROM a\nRUN --mount=type=cache,target=/root/.cache x", ["a"]),
        ('FROM a\nRUN --mount=type=bind,"from=b" x', ["a", "b"]),
        ("FROM a\nADD --from=b /x /y\nRUN echo --from=c --mount=from=d", ["a"]),
        # What ONBUILD says runs in what is made from this image, here a later stage or nothing.
        ("FROM a\nONBUILD COPY --from=b / /\nONBUILD RUN --mount=from=c x", ["a"]),
        ("FROM a AS x\nONBUILD COPY --from=b / /\nFROM X\nCOPY --from=c / /", ["a", "b", "c"]),
        ("FROM a AS x\nONBUILD COPY --from=b / /\nFROM x AS y\nFROM y", ["a", "b"]),
        ("FROM a AS x\nONBUILD COPY --from=b / /\nFROM c\nCOPY --from=x / /", ["a", "c"]),
        ("FROM a AS x\nONBUILD COPY --from=b / /\nFROM a", ["a"]),
        ("FROM a\nRUN x \\\n  # FROM b\n\n  && y\nCOPY --from=c / /", ["a", "c"]),
        ("FROM a\nRUN x \\\nFROM b", ["a"]),
        ("FROM a\nRUN x \\  \nFROM b", ["a"]),
        ("FROM a\nRUN x \\\\\nFROM b", ["b"]),
        ("FROM \\\n  a \\\n# c\n  AS \\\n  b\nFROM b", ["a"]),
        ("# escape=`\nFROM a\nRUN x `\nFROM b", ["a"]),
        ("# escape=`\nFROM a\nRUN x \\\nFROM b", ["b"]),
        ("# a comment first\n# escape=`\nFROM a\nRUN x \\\nFROM b", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY --from=c / /", ["a", "c"]),
        ("FROM a\nRUN cat <<A 3<<-'B' >x\nFROM b\nA\nFROM b\n\tB\nCOPY --from=c / /", ["a", "c"]),
        ('FROM a\nCOPY <<"EOF" /x\nFROM b\nEOF', ["a"]),
        ("FROM a\nRUN echo '<<EOF'\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nRUN cat <<<x\nCOPY --from=b / /", ["a", "b"]),
        ('FROM a\nRUN ["echo", "<<EOF"]\nCOPY --from=b / /', ["a", "b"]),
        ("FROM a\nENV X=<<EOF\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nONBUILD RUN <<EOF\nFROM b\nEOF", ["a"]),
        ("FROM python\nCOPY --from=docker.io/library/python:latest / /", ["python"]),
        ("FROM $", ["$"]),
        ("FROM a\nFROM 0", ["0"]),
        ("FROM a\nCOPY --from=1 / /", ["1", "a"]),
        ("FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nCOPY --from=x / /", ["a", "b"]),
        ("FROM a x b\nFROM b", ["b"]),
        ("FROM -- a", ["a"]),
        ("FROM a\\", ["a"]),
        ("ARG V=a=b\nFROM $V", ["a=b"]),
        ('FROM "a\\$b"', ["a$b"]),
        ('FROM "a\\"b"', ['a"b']),
        ('FROM "a\\\\b"', ["a\\b"]),
        ('FROM "a\\.b"', ["a\\.b"]),
        ("FROM 'a\\b'", ["a\\b"]),
        ("# escape=`\nFROM a`.b", ["a.b"]),
        ("# escape=`\nFROM a\\b", ["a\\b"]),
        ("FROM a\nCOPY --from=\\b / /", ["a", "b"]),
        ("FROM a\nRUN --x=from=b y", ["a"]),
        ("FROM a\nRUN --mount=from=b=c x", ["a", "b=c"]),
        ("FROM a\nONBUILD FROM b", ["a"]),
        ("FROM a\nONBUILD", ["a"]),
        ("FROM a\n  # x \\\nFROM b", ["b"]),
        ("FROM a\nADD <<EOF /x\nFROM b\nEOF", ["a"]),
        ("FROM a\nENV <<EOF\nCOPY --from=b / /", ["a", "b"]),
        # The end of a heredoc is the name alone, as it is written; `-` takes off tabs.
        ("FROM a\nRUN <<EOF\n\tEOF\nEOF \nEOFX\nFROM b\nEOF\nCOPY --from=c / /", ["a", "c"]),
        ("FROM a\nRUN <<-EOF\n EOF\nXEOF\nFROM b\n\tEOF\nCOPY --from=c / /", ["a", "c"]),
        ("FROM a\r\nRUN <<EOF\r\nFROM b\r\nEOF\r\nCOPY --from=c / /\r\n", ["a", "c"]),
        ("FROM a\nRUN <<$E\nFROM b\n$E\nCOPY --from=c / /", ["a", "c"]),
        ("FROM a\nRUN <<E\\F\nFROM b\nEF\nCOPY --from=c / /", ["a", "c"]),
        # What BuildKit refuses, or Python's csv and json do, is no error of ours.
        ("FROM a\nCOPY --from='b / /", ["'b / /", "a"]),
        ('FROM a\nRUN --mount=from=b,"x y', ["a", "b"]),
        ("FROM a\nRUN <<'EOF\nx", ["a"]),
        ("FROM a\nRUN " + "[" * 100_000 + "<<EOF", ["a"]),
        ("FROM a\nRUN --mount=" + "x" * 200_000 + " y", ["a", "x" * 200_000]),
    ],
)
def test_what_is_read_from_registries(text: str, found: list[str]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        ("ARG V=3.12", "p:$V"),
        ("ARG V=3.12", "p:${V}"),
        ('ARG V="3.12"', "p:$V"),
        ("ARG V='3.12'", "p:$V"),
        ('ARG A=3 B=".12" V="$A$B"', "p:$V"),
        ("ARG V=3\\.12", "p:$V"),
        ("ARG V", "p:${V:-3.12}"),
        ("ARG V=", "p:${V:-3.12}"),
        ("", "p:${V-3.12}"),
        ("ARG V=x", "p:${V:+3.12}"),
        ("ARG V=x", "p${V+:}3.12"),
        ("", "p:${V:+x}3.12"),
        ("ARG W=3.12", "p:${V:-${W}}"),
        ("ARG W=12", 'p:"3.${W}"'),
        ("ARG V=3.12.4", "p:${V%.*}"),
        ("ARG V=3.12.4.5", "p:${V%%.4*}"),
        ("ARG V=v3.12", "p:${V#?}"),
        ("ARG V=a/b/3.12", "p:${V##*/}"),
        ("ARG V=3-12", "p:${V/-/.}"),
        ("ARG P=p V=3.12", "$P:$V"),
        ("ARG V=3.11\nARG V=3.12", "p:$V"),
        ("ARG v=3.12", "p:$v"),
        ("ARG v=3.12", "p:${v}"),
        ("", "p:3.12$V"),
        ("", "p:${V#x}3.12"),
        ("ARG V=a\\ 3.12", "p:${V#??}"),
        ("ARG V=3.12", "p:${V:-x}"),
        ("ARG V=", "p:${V-x}3.12"),
        ("ARG V=", "p:${V+3.12}"),
        ("", "p:${V:?x}3.12"),
        ("ARG V=3.12", "p:${V#x}"),
        ("ARG V=x.3.12", "p:${V#*.}"),
        ("ARG V=3.12x", "p:${V%x}"),
        ("ARG V=3.12x", "p:${V%%x}"),
        ("ARG V=xx", "p:3.12${V%xx}"),
        ("ARG V=3.12.4.45", "p:${V%%.4*}"),
        ("ARG V=33.12", "p:${V/3/}"),
        ("ARG V=x3.x12", "p:${V//x/}"),
        ("ARG V=3.xbxb12", "p:${V/x*b/}"),
    ],
)
def test_variables_of_from(arguments: str, image: str) -> None:
    assert read(f"{arguments}\nFROM {image}\n") == ["p:3.12"]


def test_a_build_argument_wins_over_a_default_and_not_over_text() -> None:
    text = "ARG V=1\nARG W=${V}\nFROM p:$V\nCOPY --from=q:$V / /\nRUN --mount=from=r:$W x\n"
    assert read(text, build_args={"V": "2"}) == ["p:2", "q:$V", "r:$W"]
    assert read("FROM a\nARG V=1\nFROM p:${V:-none}") == ["p:none"], "an ARG inside a stage"
    assert read("ARG V=1\nFROM p:$V", build_args={"V": ""}) == ["p:"]


def test_an_unknown_form_is_returned_as_it_is_written() -> None:
    for image in ("p:${V@Q}", "p:${V", "p:'x", "p:${1}"):
        assert read(f"FROM {image}") == [image]


def test_platforms() -> None:
    text = "FROM a-${TARGETARCH}${TARGETVARIANT} AS x\nFROM b-$BUILDARCH\nCOPY --from=x / /"
    assert read(text, platforms=["linux/amd64", "linux/arm/v7"], build_platform="linux/s390x") == [
        "a-amd64",
        "a-armv7",
        "b-s390x",
    ]
    text = "FROM a$TARGETOS-$TARGETARCH-$TARGETVARIANT"
    assert read(text, platforms=["linux", "linux/amd64"]) == ["alinux--", "alinux-amd64-"]
    assert read("FROM a$TARGETPLATFORM$BUILDPLATFORM") == ["a"]


def test_the_stage_that_is_built_is_known_to_from() -> None:
    assert read("FROM a-$TARGETSTAGE AS x") == ["a-default"]
    assert read("FROM a-$TARGETSTAGE AS x", target="x") == ["a-x"]


def test_images_are_in_the_order_of_the_file() -> None:
    text = "# syntax=s\nFROM b\nCOPY --from=a / /"
    assert dockerfile.references(text) == ["s", "b", "a"]


def test_a_stage_that_a_context_stands_for_hides_no_other() -> None:
    text = "FROM a AS x\nFROM b AS y\nFROM scratch\nCOPY --from=x / /\nCOPY --from=y / /"
    assert read(text, contexts=["x"]) == ["b"]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("docker.io/library/a:latest", "a"),
        ("index.docker.io/library/a", "a"),
        ("docker.io/b/a:1", "b/a:1"),
        ("library/b/a", "library/b/a"),
        ("r.example/library/a", "r.example/library/a"),
        ("", ""),
    ],
)
def test_the_short_form_of_a_name(name: str, short: str) -> None:
    assert dockerfile.familiar(name) == short


STAGES = """\
FROM a AS one
FROM b AS two
COPY --from=one / /
FROM c AS three
FROM two AS four
RUN --mount=from=d x
FROM one AS last
"""


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("", ["a"]),
        ("one", ["a"]),
        ("TWO", ["a", "b"]),
        ("three", ["c"]),
        ("four", ["a", "b", "d"]),
        ("3", ["a", "b", "d"]),
        ("no-such", ["a", "b", "c", "d"]),
    ],
)
def test_only_what_the_target_needs(target: str, found: list[str]) -> None:
    assert read(STAGES, target=target) == found


@pytest.mark.parametrize(
    ("contexts", "found"),
    [
        (["one"], ["b", "d"]),
        (["two"], ["d"]),
        (["a"], ["b", "d"]),
        (["docker.io/library/a:latest", "b:latest"], ["d"]),
        (["d"], ["a", "b"]),
        (["e"], ["a", "b", "d"]),
    ],
)
def test_a_named_context_wins_over_a_stage_or_image(contexts: list[str], found: list[str]) -> None:
    assert read(STAGES, target="four", contexts=contexts) == found


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("# syntax=docker/dockerfile:1\n", "docker/dockerfile:1"),
        ("#!/usr/bin/env x\n#  SYNTAX = a/b:1 with=options \n", "a/b:1"),
        ("# escape=`\n# syntax=a\n", "a"),
        ("// syntax=a\n", "a"),
        ("# a comment\n# syntax=a\n", ""),
        ("\n# syntax=a\n", ""),
        ("#!a\n#!b\n# syntax=a\n", ""),
        ("#syntax\n", ""),
    ],
)
def test_the_frontend(head: str, found: str) -> None:
    assert dockerfile.syntax(head + "FROM x\n", {}) == found
    assert dockerfile.syntax(head, {"BUILDKIT_SYNTAX": "b:2 x"}) == "b:2"
    assert read(head + "FROM x\n") == sorted([*([found] if found else []), "x"])


def test_a_stage_that_names_itself_ends() -> None:
    assert read("FROM a AS x\nCOPY --from=x / /\nCOPY --from=9 / /") == ["9", "a"]


@given(st.text(st.sampled_from("FROMAGfrom asx$${}:-'\"\\`#<\n=/%")), st.text(max_size=5))
def test_any_text_is_read(text: str, target: str) -> None:
    assert isinstance(dockerfile.references(f"FROM x\n{text}", target=target), list)


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("FROM a\nCOPY . .", True),
        ("FROM a\nADD --chown=1 ./ /app", True),
        ('FROM a\nCOPY ["/", "/app"]', True),
        ("FROM a\nCOPY app .git /x/", True),
        ("FROM a\nCOPY .git/HEAD /x", True),
        ("FROM a\nCOPY * /x", True),
        ("FROM a\nCOPY /.git /x", True),
        ('FROM a\nCOPY [".git", "/x"]', True),
        ('FROM a\nCOPY [ "app", "." ]', False),
        ('FROM a\nCOPY ["app", "/x"]', False),
        ("FROM a\nCOPY X.git /x", False),
        ("FROM a\nRUN --mount=type=bind,src=app,target=/r pip", False),
        ("FROM a\nCOPY .g* $X /x", True),
        ("FROM a\nRUN --mount=target=/src make", True),
        ("FROM a\nRUN --mount=type=bind,source=.,target=/src make", True),
        ("FROM a\nCOPY app requirements.txt /x/", False),
        ("FROM a\nCOPY --from=b . .", False),
        ("FROM a\nCOPY .github app/* /x/", False),
        ("FROM a\nRUN --mount=type=cache,target=/c --mount=type=secret,id=x make", False),
        ("FROM a\nRUN --mount=type=bind,source=requirements.txt,target=/r pip", False),
        ("FROM a\nRUN --mount=from=b,target=/r pip", False),
    ],
)
def test_what_may_take_the_checkouts_git_in(text: str, takes: bool) -> None:
    assert dockerfile.takes_git(text) is takes
