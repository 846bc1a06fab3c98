"""The rules of the rooms, read off the imports and the text of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scripts" / "model_gitops"
MODULES = sorted(PACKAGE.rglob("*.py"))
IMPURE = {
    "os",
    "subprocess",
    "socket",
    "time",
    "random",
    "shutil",
    "tempfile",
    "urllib",
    "http",
    "sys",
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, `from x import y` as both `x` and `x.y`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.is_relative_to(PACKAGE / "core")], ids=name
)
def test_core_is_pure(path: Path) -> None:
    used = imports(path)
    ours = {module for module in used if module.startswith("model_gitops.")}
    allowed = ("model_gitops.core", "model_gitops.errors")
    assert {module for module in ours if not module.startswith(allowed)} == set()
    assert {module for module in used if module.split(".")[0] in IMPURE - {"urllib"}} == set()
    assert "urllib.request" not in used
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls & {"open", "print", "input"} == set()


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name == "actions"], ids=name)
def test_an_action_imports_no_other_action(path: Path) -> None:
    assert {m for m in imports(path) if m.startswith("model_gitops.actions.")} == set()
    assert {m for m in imports(path) if m.startswith("model_gitops_local")} == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_one_module_starts_processes(path: Path) -> None:
    if name(path) == "adapters/process.py":
        return
    starters = {"subprocess", "pty", "multiprocessing"}
    assert imports(path) & starters == set()
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "os"
    }
    forbidden = {"system", "popen", "fork", "forkpty", "spawnv", "spawnl", "posix_spawn"}
    assert calls & forbidden == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_runner_knows_the_runners_variables(path: Path) -> None:
    # process drops the token's variable.
    if name(path) in ("runner.py", "adapters/process.py"):
        return
    strings = {
        node.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {text for text in strings if text.startswith("GITHUB_") and text.isupper()} == set()


def test_the_command_line_imports_nothing_heavy() -> None:
    light = ["__main__.py", "options.py", "runner.py", "errors.py"]
    for file in light:
        roots = {module.split(".")[0] for module in imports(PACKAGE / file)}
        assert (
            roots & {"dvc", "docker", "github", "ruamel", "jsonschema", "gto", "vl_convert"}
            == set()
        )
