"""docs/reference/real-tools.md names versions that are the locked ones, and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from model_gitops_local.toolchain import TOOLS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "real-tools.md"
TESTS = ROOT / "tests" / "integration" / "real_tools"
# How the page calls a tool → the package of the lock, or the tool of the toolchain.
NAMES = {"buildx": "docker-buildx", "BuildKit": "buildkitd", "ruamel.yaml": "ruamel-yaml"}
# The distribution's own package, of which nobody chooses the version.
DEBIAN = {"docker-registry"}


def sections() -> dict[str, str]:
    """Return each tool's part of the page, by its heading."""
    parts = re.split(r"(?m)^## (.+)$", PAGE.read_text("utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def locked() -> dict[str, str]:
    """Return the versions that we run: of the lock's packages, and of the toolchain's programs."""
    text = (ROOT / "scripts" / "requirements.txt").read_text("utf-8")
    packages = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", text))
    return packages | {name: tool.version.removeprefix("v") for name, tool in TOOLS.items()}


def defined_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def rows(text: str) -> list[list[str]]:
    lines = re.findall(r"(?m)^\| (.+) \|$", text)
    return [re.split(r" \| ", line) for line in lines[1:]]


@pytest.mark.parametrize("heading", sections())
def test_a_section_names_the_version_that_we_run(heading: str) -> None:
    versions = locked()
    for one in heading.split(", "):
        name, version = one.rsplit(" ", 1)
        if name not in DEBIAN:
            assert versions[NAMES.get(name, name.lower())] == version


@pytest.mark.parametrize("heading", sections())
def test_each_row_names_a_module_and_a_test_that_exist(heading: str) -> None:
    text = sections()[heading]
    (file,) = re.findall(r"\(\.\./\.\./tests/integration/real_tools/(test_\w+\.py)\)", text)
    named = [row[-1].strip("`") for row in rows(text)]
    assert sorted(named) == sorted(set(named))
    assert set(named) == {one for one in defined_in(file) if one.startswith("test_")}
    for row in rows(text):
        assert len(row) == 3
        modules = re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|yml))`", row[1])
        assert modules, row
        for one in modules:
            places = (
                ROOT / "scripts" / "model_gitops",
                ROOT / "scripts" / "model_gitops_local",
                ROOT,
            )
            assert any((place / one).exists() for place in places), one


def test_every_file_of_tests_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"/{file.name})" in text for file in TESTS.glob("test_*.py"))
