"""How an input is declared: an option, an environment variable, and one way to be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from click.core import ParameterSource

from model_gitops.errors import InputError

# Beyond this an input is a mistake or an attack; the longest real one is a list of build arguments.
LONGEST_INPUT = 256 * 1024


def variable(name: str) -> str:
    """Return the environment variable of input `name`: `base-ref` → `MODEL_GITOPS_BASE_REF`."""
    return "MODEL_GITOPS_" + name.upper().replace("-", "_")


def option(name: str, description: str) -> Any:
    """Declare the input `name` of an action, as option and environment variable."""
    return typer.Option(
        f"--{name}", envvar=variable(name), help=description, callback=_reject_odd_text
    )


def flag(name: str, description: str) -> Any:
    """Declare a boolean input: exactly `true` or `false`."""
    return typer.Option(
        f"--{name}",
        envvar=variable(name),
        help=description,
        parser=lambda value: _parse_flag(name, value),
        metavar="true|false",
    )


def secret(name: str, description: str) -> Any:
    """Declare a secret input: taken from the environment only, as argv can be read by anyone."""
    return typer.Option(
        f"--{name}",
        envvar=variable(name),
        help=f"{description} Give it as the environment variable {variable(name)}.",
        callback=_reject_from_argv,
        metavar="",
    )


def existing_folder(name: str, value: str) -> Path:
    """Return `value` as the path of a folder that exists. Raises InputError."""
    path = Path(value)
    if not path.is_dir():
        raise InputError.of(name, value, "no such folder", fix=f"give a folder, or leave `{name}` out")
    return path


def lines(value: str) -> list[str]:
    """Split a multi-line input: one entry a line, blank lines and `#` comments left out."""
    stripped = (line.strip() for line in value.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _parse_flag(name: str, value: str | bool) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise InputError.of(name, value, "it is neither `true` nor `false`", fix=f"{name}: true")
    return value == "true"


def _reject_odd_text(param: typer.CallbackParam, value: Any) -> Any:
    if isinstance(value, str):
        name = str(param.name).replace("_", "-")
        if len(value) > LONGEST_INPUT:
            raise InputError.of(name, value, f"it is longer than {LONGEST_INPUT} characters")
        if any(ord(character) < 32 and character not in "\t\r\n" for character in value):
            raise InputError.of(name, value, "it holds a control character")
    return value


def _reject_from_argv(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    name = str(param.name)
    if value and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        shown = name.replace("_", "-")
        raise InputError(
            f"input `{shown}` is secret, and a command line can be read by every process",
            fix=f"export {variable(shown)}, and leave --{shown} out",
        )
    return value

