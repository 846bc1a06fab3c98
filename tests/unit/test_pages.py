"""The pages: every link leads somewhere, every module they name exists, every table is current."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from model_gitops import errors
from model_gitops.actions import ACTIONS
from model_gitops.core.image import smoke
from model_gitops_local import docs

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
# A folder that starts with a dot is a tool's own, but for GitHub's.
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(
        page
        for folder in ROOT.iterdir()
        if folder.is_dir() and (folder.name == ".github" or not folder.name.startswith("."))
        for page in folder.rglob("*.md")
    ),
]
# What names our modules: the path of a file, or a folder with a slash at its end.
NAMING = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|sh)|(?:[\w.-]+/)+)`")
BELOW = ("", "scripts", "scripts/model_gitops", "scripts/model_gitops_local", "templates/deploy")
# A name of the example in "Add an action".
EXAMPLE = re.compile(r"hash[-_]model")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text("utf-8"))


def links(text: str) -> Iterator[str]:
    """Yield the target of every link and picture, of code spans none."""
    text = re.sub(r"`[^`\n]*`", "code", text)
    yield from re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text)
    yield from re.findall(r"(?m)^\[[^\]]+\]: (\S+)", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: Counter[str] = Counter()
    result = set()
    for heading in re.findall(r"(?m)^#{1,6} (.+?)\s*$", prose(page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        result.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return result


def broken(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    wrong = []
    for link in links(prose(page)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
        elif page.is_relative_to(TEMPLATES):
            # A template is copied away, alone.
            own = TEMPLATES / page.relative_to(TEMPLATES).parts[0]
            wrong += [] if target.is_relative_to(own) else [link]
    return wrong


def steps(page: Path) -> Iterator[Any]:
    """Yield the steps of ours that a page shows by themselves, without a workflow around them."""
    for indent, block in re.findall(r"(?ms)^( *)```yaml\n(.*?)^ *```$", page.read_text("utf-8")):
        data = YAML(typ="safe").load(re.sub(f"(?m)^{indent}", "", block))
        if isinstance(data, list):
            yield from (
                one for one in data if str(one.get("uses")).startswith("model-gitops/model-gitops/")
            )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `title`, twice\n\n## A title twice\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#a-title-twice-1) [c](#here) [d](https://example.org)\n"
        "[e](no.md) [f](other.md#no) [g](#there) ![h](no.png) `[i](code.md)`\n\n[j]: gone.md\n"
        "```md\n# There\n[k](block.md)\n```\n",
        "utf-8",
    )
    assert broken(page) == ["no.md", "other.md#no", "#there", "no.png", "gone.md"]


@pytest.mark.parametrize("page", NAMING, ids=name)
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    named = [one for one in NAMED.findall(prose(page)) if not EXAMPLE.search(one)]
    missing = [one for one in named if not any((ROOT / folder / one).exists() for folder in BELOW)]
    assert missing == []


@pytest.mark.parametrize("page", docs.pages(), ids=name)
def test_generated_tables_are_current(page: Path) -> None:
    text = page.read_text("utf-8")
    assert docs.fill(text, page.parent) == text


def test_the_page_of_how_fast_shows_what_was_measured() -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert {"targets", "measured"} <= set(re.findall(r"<!-- generated: (\w+) -->", text))
    assert "](performance.svg)" in text
    assert (ROOT / "docs" / "performance.svg").read_text("utf-8") == docs.picture()


def test_every_exit_code_is_on_its_page() -> None:
    text = (ROOT / "docs" / "exit-codes.md").read_text("utf-8")
    shown = {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", text)}
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {one.exit_code for one in classes if issubclass(one, errors.ActionError)}
    # Done, and interrupted (__main__), are no errors.
    assert shown == codes | {0, 130}


def test_the_page_of_the_smoke_test_is_what_the_action_reads() -> None:
    text = (ROOT / "docs" / "smoke-test.md").read_text("utf-8")
    (example,) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)
    test = smoke.parse(example)
    (request,) = test.requests
    assert (test.port, test.health, request.path) == (8080, "/readyz", "/predict")
    plain = smoke.parse("{}")
    assert f"| `{plain.port}` |" in text
    assert f"| `{plain.timeout:.0f}` |" in text
    assert f"| `[{', '.join(plain.tmpfs)}]` |" in text


@pytest.mark.parametrize("page", [page for page in PAGES if list(steps(page))], ids=name)
def test_single_steps_give_inputs_that_exist(page: Path) -> None:
    for step in steps(page):
        action = step["uses"].removeprefix("model-gitops/model-gitops/actions/").removesuffix("@v0")
        inputs = docs.metadata(ROOT / "actions" / action)["inputs"]
        required = {key for key, one in inputs.items() if one.get("required")}
        assert required <= set(step.get("with", {})) <= set(inputs)


def test_the_readme_starts_with_what_it_is_a_workflow_and_the_actions() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    first_screen = lines[: lines.index("<!-- /generated -->") + 1]
    # The table has a line an action; nothing else may grow.
    assert len(first_screen) <= 28 + len(ACTIONS)
    assert any(line.strip().startswith("- uses: model-gitops/") for line in first_screen)


def test_the_readmes_badges_and_version_are_true() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    badges = re.findall(r"/actions/workflows/([^/)]+)/badge\.svg", text)
    assert badges
    assert [one for one in badges if not (ROOT / ".github" / "workflows" / one).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Python {project['requires-python'].removeprefix('>=')} or newer" in text
    assert f"[{project['license']}](LICENSE)" in text


def test_the_form_for_a_bug_lists_every_action() -> None:
    form = YAML(typ="safe").load(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    fields = {one["id"]: one["attributes"] for one in form["body"] if "id" in one}
    assert {"action", "version", "workflow", "message", "exit-code"} <= set(fields)
    options = fields["action"]["options"]
    assert options[: len(ACTIONS)] == list(ACTIONS)


def test_the_permissions_of_every_action_are_in_one_table() -> None:
    rows = re.findall(r"(?m)^\| ([a-z, -]+) \| `", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert set(ACTIONS) <= {one for row in rows for one in row.split(", ")}
