"""What a Dockerfile takes from its context, and which changed paths that meets."""

from __future__ import annotations

import pytest

from model_gitops.core.image import uses


@pytest.mark.parametrize(
    ("lines", "patterns"),
    [
        ("COPY a b/c /x/", ("a", "b/c")),
        ("COPY ./a/ ../b /c .", ("a", "b", "c")),
        ('COPY ["a b", "c", "/x/"]', ("a b", "c")),
        ("COPY 'a b' \"c d\" /x/", ("a b", "c d")),
        ("COPY --chmod=444 --link a \\\n  # why\n  b /x/", ("a", "b")),
        ("COPY --from=other a /x/\nADD --chown=1:1 b /x/", ("b",)),
        ("COPY . /app", (".",)),
        ("COPY src/*.py /x/", ("src/*.py",)),
        ("COPY a <<EOF /x/\ncopy b /y\nEOF\nCOPY c /x/", ("a", "c")),
        ("ARG D=src\nCOPY $D/a ${D}/b ${D:-x}/c /x/", ("src/a", "src/b", "src/c")),
        ("ENV A=lib B=$A/x\nCOPY ${B} /x/", ("lib/x",)),
        ("ENV A lib\nCOPY ${A} /x/", ("lib",)),
        ("ARG TOP\nCOPY ${TOP} /x/", ("top",)),
        ("RUN --mount=type=bind,source=a,target=/x make", ("a",)),
        ("RUN --mount=target=/x make", (".",)),
        ("RUN --mount=type=bind,from=other,source=a,target=/x make", ()),
        ("RUN --mount=type=cache,target=/x --mount=type=secret,id=a make", ()),
        ("ONBUILD COPY a /x/", ("a",)),
        ("FROM scratch\nCOPY a /x/\nFROM scratch AS z\nCOPY b /x/", ("a", "b")),
        ("ENV A=one\nFROM first\nCOPY $A /x/", ("one",)),
    ],
)
def test_what_is_taken(lines: str, patterns: tuple[str, ...]) -> None:
    found = uses.of(f"ARG TOP=top\nFROM scratch AS first\n{lines}\n")
    assert (found.patterns, found.unsure, found.remote) == (patterns, "", ())


@pytest.mark.parametrize(
    "lines",
    [
        "ARG D\nCOPY $D/a /x/",
        "COPY ${TARGETARCH}/a /x/",
        "ENV A=one\nFROM scratch\nCOPY $A /x/",
        "ARG D=x\nENV D=$UNKNOWN\nCOPY $D /x/",
        "COPY ${TOP} /x/",  # an ARG before the first FROM is of a stage that asks for it
    ],
)
def test_what_can_not_be_told_is_all(lines: str) -> None:
    found = uses.of(f"ARG TOP=top\nFROM scratch\n{lines}\nCOPY b /x/\n")
    assert found.patterns == (".",)
    assert "its value is not in the Dockerfile" in found.unsure


def test_what_is_fetched_from_elsewhere_is_said_unless_it_is_pinned() -> None:
    commit = "a" * 40
    found = uses.of(
        "FROM scratch\nADD https://h.example/a.tar /a/\nADD --checksum=sha256:0 https://h.example/b /b\n"
        f"ADD https://h.example/c.git#v1 /c\nADD https://h.example/d.git#{commit} /d\nADD e /e\n"
    )
    assert found.remote == ("https://h.example/a.tar", "https://h.example/c.git#v1")
    assert found.patterns == ("e",)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (".", "any/thing", True),
        ("src", "src/a/b.py", True),
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/a.pyc", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a/b.py", False),
        ("s?c", "src/a.py", True),
        ("[^a]rc", "src/a.py", True),
        ("[^s]rc", "src/a.py", False),
        ("src/a/b", "src/a", True),  # the folder became a file
        ("srcs", "src/a.py", False),
    ],
)
def test_which_paths_are_met(pattern: str, path: str, expected: bool) -> None:
    assert uses.matches(pattern, path) is expected


def test_what_is_ignored_never_reaches_the_builder() -> None:
    rules = uses.Rules("*\n!src\nsrc/*.md\n!docs/a/b.txt\n")
    assert [one for one in ("src/a.py", "src/a.md", "x", "docs/a/b.txt", "docs/c") if not rules.leave_out(one)] == [
        "src/a.py",
        "docs/a/b.txt",
    ]  # fmt: skip
    assert not uses.Rules("").leave_out("x")


def test_links_lead_on() -> None:
    links = {"shared": "lib/shared", "lib/shared/b": "data", "loop": "loop2", "loop2": "loop"}
    assert set(uses.with_links(["shared/a.py", "x"], links)) == {
        "shared/a.py",
        "x",
        "lib/shared/a.py",
    }
    assert set(uses.with_links(["shared"], links)) == {"shared", "lib/shared", "data"}
    assert set(uses.with_links(["loop/x"], links)) == {"loop/x", "loop2/x"}
