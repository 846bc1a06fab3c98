"""What the pages tell people to type and to copy exists: commands, options, targets, YAML, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from model_gitops.__main__ import action_command, other_command
from model_gitops.actions import ACTIONS
from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.commands import COMMANDS
from model_gitops.core import document
from model_gitops_local.commands import local

ROOT = Path(__file__).parents[2]
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")
    ),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("actions/*/README.md")),
    *sorted(ROOT.glob("templates/*/README.md")),
]
BLOCK = re.compile(r"(?ms)^( *)```(\w*)\n(.*?)^ *```$")
STARTS = re.compile(r"run\.sh |uvx |^(?:model-gitops|make) ")
# In place of a name: any command.
ANY = {"NAME", "COMMAND"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str, *languages: str) -> Iterator[str]:
    for indent, language, block in BLOCK.findall(text):
        if language in languages:
            yield re.sub(f"(?m)^{indent}", "", block)


def typed(text: str) -> Iterator[str]:
    """Yield each line that a page says to type: in a block, or as a span of code."""
    for block in blocks(text, "console", "sh"):
        lines = block.replace("\\\n", " ").splitlines()
        shown = any(line.startswith("$ ") for line in lines)
        yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ ") or not shown)
    prose = BLOCK.sub("", text)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    yield from (span for span in spans if STARTS.search(span))


def targets(makefile: Path) -> set[str]:
    lines = re.findall(r"(?m)^([a-z -]+):", makefile.read_text("utf-8"))
    return {word for line in lines for word in line.split()}


OURS, THEIRS = targets(ROOT / "Makefile"), targets(ROOT / "templates/model/Makefile")


def command(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """Return the command that words after `run.sh` or `model-gitops` start, and its own words."""
    first, *rest = words
    if first == "local" and rest:
        return local.commands.get(rest[0]), rest[1:]
    if first in ACTIONS:
        return action_command(first), rest
    return (other_command(first) if first in COMMANDS else None), rest


def fault(line: str, *, template: bool = False) -> str:
    """Say what of a typed line does not exist; nothing where all does."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return str(error)
    words = [word for word in words if word not in ("…", "&&", "|", ";")]
    for place, word in enumerate(words):
        starts = word.endswith("/run.sh") or (
            word == "model-gitops" and (place == 0 or words[0] == "uvx" or words[0] == "git")
        )
        after = words[place + 1 :]
        if starts and after and after[0] not in ANY and after[0] != "dev":
            return _fault_of_command(after)
    if words[:1] == ["make"]:
        return _fault_of_make(words[1:], template=template)
    return ""


def _fault_of_command(words: list[str]) -> str:
    if words[-1] == "local":
        return ""
    # What follows a pipe is another program's.
    one, rest = command(words)
    if one is None:
        return f"no command {' '.join(words[:2])}"
    rest = [word for word in rest if word != "--help"]
    if "jq" in rest:
        rest = rest[: rest.index("jq")]
    try:
        _, left, _ = one.make_parser(click.Context(one)).parse_args(rest)
    except click.UsageError as error:
        return error.format_message()
    return f"too many words: {left}" if left else ""


def _fault_of_make(words: list[str], *, template: bool) -> str:
    known = THEIRS if template or "-C" in words else OURS | THEIRS
    if "-C" in words:
        place = words.index("-C")
        words = words[:place] + words[place + 2 :]
    wrong = [
        word for word in words if "=" not in word and word.upper() != word and word not in known
    ]
    return f"no target {', '.join(wrong)}" if wrong else ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    template = page.is_relative_to(ROOT / "templates")
    lines = typed(page.read_text("utf-8"))
    assert {
        line: fault(line, template=template) for line in lines if fault(line, template=template)
    } == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("scripts/run.sh init --nam x", "No such option"),
        ("~/model-gitops/scripts/run.sh local begin", "no command local begin"),
        ("uvx --from git+https://x model-gitops docter", "no command docter"),
        ("model-gitops protect a/b c/d", "too many words"),
        ("make demo-cleen", "no target demo-cleen"),
        ("make -C ../churn demo", "no target demo"),
        ("echo 'a", "No closing quotation"),
        ("scripts/run.sh init --name x --owner y --to z", ""),
        ("scripts/run.sh status --json | jq -r .x", ""),
        ("make demo KEEP=1", ""),
    ],
)
def test_a_line_that_does_not_work_is_seen(line: str, says: str) -> None:
    assert fault(line).startswith(says) and bool(fault(line)) == bool(says)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_of_a_page_is_yaml_and_promotion_yaml_passes_its_schema(page: Path) -> None:
    schema = promotion_schema()
    fragment = {key: value for key, value in schema.items() if key != "required"}
    for block in blocks(page.read_text("utf-8"), "yaml"):
        data: Any = YAML(typ="safe").load(block)
        if isinstance(data, dict) and data.keys() <= schema["properties"].keys():
            whole = {"model", "environments"} <= data.keys()
            document.validate(data, schema if whole else fragment, source=name(page))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_workflow_of_a_page_is_whole_and_pins_what_is_not_ours(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "yaml"):
        data: Any = YAML(typ="safe").load(block)
        if isinstance(data, dict) and "jobs" in data:
            assert {"on", "permissions"} <= data.keys(), block
        used = re.findall(r"(?m)^\s*(?:- )?uses: (\S+)", block)
        for one in used:
            assert re.fullmatch(r"model-gitops/.+@v0|[^@]+@[0-9a-f]{40}", one), one


def reachable(start: Path) -> set[Path]:
    """Return the pages that one gets to from a page, by links."""
    found, waiting = set(), [start]
    while waiting:
        page = waiting.pop()
        if page in found or not page.is_file():
            continue
        found.add(page)
        if page.suffix == ".md":
            links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
            waiting += [(page.parent / link).resolve() for link in links if ":" not in link]
    return found


def test_every_page_and_example_is_found_from_the_start() -> None:
    found = reachable(ROOT / "docs" / "README.md")
    files = {
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.yml"),
        *ROOT.glob("examples/**/*.md"),
    }
    assert sorted(map(name, files - found)) == []


def test_the_list_of_pages_names_each_page_itself() -> None:
    text = (ROOT / "docs" / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", text)
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")} - {
        "README.md"
    }
    assert pages - set(links) == set()
    # A page that is named whole stands in one place; a part of it may be a task of its own.
    whole = re.findall(r"\]\(([^)#\s]+\.md)\)", text)
    assert sorted(link for link in set(whole) if whole.count(link) > 1) == []
