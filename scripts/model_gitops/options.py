"""How an input is declared: one line that makes an option and an environment variable.

A function `command` declares each input as `name: Annotated[str, option("name", "…")] = default`.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from model_gitops.errors import InputError

# Beyond this an input is a mistake or an attack; the longest real one is a list of build arguments.
LONGEST_INPUT = 256 * 1024


@dataclass(frozen=True)
class Input:
    """One declared input."""

    name: str
    description: str
    kind: Literal["text", "flag", "secret"]


def option(name: str, description: str) -> Input:
    """Declare a text input."""
    return Input(name, description, "text")


def flag(name: str, description: str) -> Input:
    """Declare a boolean input: exactly `true` or `false`."""
    return Input(name, description, "flag")


def secret(name: str, description: str) -> Input:
    """Declare a secret input: taken from the environment only, as argv can be read by anyone."""
    return Input(name, description, "secret")


# Inputs that several actions take, in the same words.
Config = Annotated[str, option("config", "promotion.yaml, or its folder.")]
DeployBranch = Annotated[
    str,
    option(
        "deploy-branch",
        "Branch that Argo CD reads. Default: the deploy repository's default branch.",
    ),
]
DeployToken = Annotated[
    str,
    secret(
        "token",
        "Token that may read the deploy repository. Without one git's own credentials serve.",
    ),
]
DeployWriteToken = Annotated[
    str,
    secret(
        "token",
        "Token that may write the deploy repository. Without one git's own credentials serve.",
    ),
]
DeployWriteKey = Annotated[
    str, secret("ssh-key", "Private deploy key with write access, instead of `token`.")
]
HoldUntil = Annotated[
    str,
    option(
        "until",
        "When the hold ends by itself: a length of time as `2h`, or a moment as"
        " `2026-12-24T18:00:00+01:00`. Default: when somebody releases it.",
    ),
]
DeployKey = Annotated[str, secret("ssh-key", "Private deploy key, instead of `token`.")]
KnownHosts = Annotated[
    str,
    option(
        "known-hosts",
        "Lines of known_hosts for `ssh-key`: the server must have one of these keys. Default:"
        " GitHub's own for github.com, elsewhere the first key that is seen.",
    ),
]
DvcRemote = Annotated[str, option("remote", "DVC remote. Default: the project's default remote.")]
DvcRemoteConfig = Annotated[
    str,
    secret("remote-config", "Options of the remote, for credentials: lines of `key=value`."),
]
RegistryWritePassword = Annotated[str, secret("password", "Password or token for the registry.")]
Sign = Annotated[
    str,
    option(
        "sign",
        "Sign what was pushed with cosign: `key`, or `keyless` where the server issues identities.",
    ),
]
SigningKey = Annotated[
    str, secret("signing-key", "The private key, as `cosign generate-key-pair` writes it.")
]
SigningPassword = Annotated[str, secret("signing-password", "Password of the private key.")]
RegistryUser = Annotated[
    str, option("username", "Account for the registry. Default: who started the workflow.")
]
RegistryPassword = Annotated[
    str,
    secret("password", "Password or token for the registry. Without one docker's logins serve."),
]


def variable(name: str) -> str:
    """Return the environment variable of input `name`: `base-ref` → `MODEL_GITOPS_BASE_REF`."""
    return "MODEL_GITOPS_" + name.upper().replace("-", "_")


def inputs_of(function: Callable[..., None]) -> dict[str, tuple[Input, Any]]:
    """Return a command's inputs in order: parameter → (declaration, default)."""
    hints = typing.get_type_hints(function, include_extras=True)
    defaults = function.__kwdefaults__ or {}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    positional = dict(zip(names[::-1], (function.__defaults__ or ())[::-1], strict=False))
    return {
        name: (hint.__metadata__[0], positional.get(name, defaults.get(name, "")))
        for name, hint in hints.items()
        # A command's plain words have no declaration: they are its ARGUMENTS.
        if name != "return" and typing.get_origin(hint) is Annotated
    }


def texts_of(function: Callable[..., None]) -> dict[str, tuple[Input, str]]:
    """Return a command's inputs as `inputs_of`, each default as somebody would write it."""
    return {
        parameter: (one, {True: "true", False: "false"}.get(default, default))
        for parameter, (one, default) in inputs_of(function).items()
    }


def from_environment(function: Callable[..., None]) -> dict[str, str | bool]:
    """Return a command's inputs as the environment has them; an empty one is none. Raises InputError."""
    return {
        parameter: checked(one, os.environ.get(variable(one.name)) or default)
        for parameter, (one, default) in texts_of(function).items()
    }


def checked(one: Input, value: str, *, typed: bool = False) -> str | bool:
    """Return the value of an input; `typed`: on a command line. Raises InputError."""
    if one.kind == "secret":
        # A library may start a program with our whole environment (boto3's credential_process).
        os.environ.pop(variable(one.name), None)
    if any("\ud800" <= character <= "\udfff" for character in value):
        # Bytes that are no UTF-8 arrive so, and could not be printed. The value may be secret.
        raise InputError(f"input `{one.name}` is not UTF-8", fix="write it as UTF-8")
    if one.kind == "secret":
        if value and typed:
            raise InputError(
                f"input `{one.name}` is secret, and every process can read a command line",
                fix=f"export {variable(one.name)}, and leave --{one.name} out",
            )
        return value
    if len(value) > LONGEST_INPUT:
        raise InputError.of(one.name, value, f"it is longer than {LONGEST_INPUT} characters")
    if any(ord(character) < 32 and character not in "\t\r\n" for character in value):
        raise InputError.of(one.name, value, "it holds a control character")
    if one.kind == "text":
        return value
    if value not in ("true", "false"):
        fix = f"{one.name}: true"
        raise InputError.of(one.name, value, "it is neither `true` nor `false`", fix=fix)
    return value == "true"


def existing_folder(name: str, value: str) -> Path:
    """Return `value` as the path of a folder that exists. Raises InputError."""
    path = Path(value)
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        fix = f"give a folder, or leave `{name}` out"
        raise InputError.of(name, value, "no such folder", fix=fix)
    return path


def lines(value: str) -> list[str]:
    """Split a multi-line input: one entry a line, blank lines and `#` comments left out."""
    stripped = (line.strip() for line in value.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
