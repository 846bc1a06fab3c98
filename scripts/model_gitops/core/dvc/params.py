"""Files of params, as DVC reads them: YAML, JSON, TOML, and the plain values of a Python file."""

from __future__ import annotations

import ast
from typing import Any

from model_gitops.core import document
from model_gitops.errors import InputError

# A file of constants; Python's own parser takes much memory for a large one.
LARGEST_PYTHON = 256 * 1024


def load(text: str, file: str) -> Any:
    """Return the data of a file of params. Raises InputError where it can't be parsed."""
    if file.endswith(".py"):
        return _python(text, file)
    if not file.endswith(".toml"):
        return document.load_yaml(text, source=file)  # JSON is YAML
    document.refuse_pointer(text, file)
    import tomllib  # few projects need it

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} can't be parsed: {error}") from error


def value(data: Any, key: str) -> Any:
    """Return the value of a dotted key; None where there is none."""
    if isinstance(data, dict) and key in data:
        return data[key]
    for part in key.split("."):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def _python(text: str, file: str) -> dict[str, Any]:
    """Read constants, as DVC does: the file is parsed, and not run."""
    document.refuse_pointer(text, file)
    if len(text) > LARGEST_PYTHON:
        raise InputError(f"{file} has {len(text)} characters: more than {LARGEST_PYTHON}")
    try:
        return _constants(ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{file} can't be parsed: {error}") from error


def _constants(body: list[ast.stmt], *, of_self: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = _constants(node.body)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found.update(_constants(node.body, of_self=True))
        elif isinstance(node, ast.AnnAssign):
            found.update(_constant(node.target, node.value, of_self))
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            found.update(_constant(node.targets[0], node.value, of_self))
    return found


def _constant(target: ast.expr, node: ast.expr | None, of_self: bool) -> dict[str, Any]:
    if isinstance(target, ast.Name) and not of_self:
        name = target.id
    elif (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    ):
        name = target.attr
    else:
        return {}
    try:
        return {name: ast.literal_eval(node)} if node is not None else {}
    except (ValueError, TypeError):
        return {}  # computed: DVC does not see it either
