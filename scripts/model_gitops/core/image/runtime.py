"""What a Dockerfile says of how its image runs: user, ports, and what is started."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from model_gitops.core.image.dockerfile import Instruction, instructions

_VARIABLE = re.compile(r"\$\{?(\w+)(?::?-([^}]*))?\}?")


@dataclass(frozen=True)
class Runtime:
    """How an image runs, as far as its Dockerfile says. Empty: its base image decides.

    `user` is the whole of USER, `ports` are those of EXPOSE. `entrypoint` and `command` are words, those
    of a shell's line split. `is_from_scratch`: there is no base image.
    """

    user: str = ""
    ports: tuple[int, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    is_from_scratch: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What is started: ENTRYPOINT, then CMD."""
        return (*self.entrypoint, *self.command)


@dataclass
class _Stage:
    name: str
    runtime: Runtime
    values: dict[str, str] = field(default_factory=dict)


def runtime(text: str, target: str = "") -> Runtime:
    """Return how the image of `target`, or of the last stage, runs."""
    stages: list[_Stage] = []
    defaults: dict[str, str] = {}
    for one in instructions(text):
        if one.on_build:
            continue
        if one.name == "from":
            stages.append(_start(one, stages, defaults))
        elif stages:
            _apply(one, stages[-1])
        elif one.name == "arg":
            defaults.update(_assigned(one.words))
    wanted = [one for one in stages if target and one.name == target.lower()]
    return (wanted or stages or [_Stage("", Runtime())])[-1].runtime


def _start(one: Instruction, before: Sequence[_Stage], defaults: dict[str, str]) -> _Stage:
    image, *more = [*_filled(one.words, defaults).split(), ""]
    name = more[1].lower() if len(more) > 1 and more[0].lower() == "as" else ""
    parent = next((each for each in reversed(before) if each.name == image.lower()), None)
    if parent is None:
        return _Stage(name, Runtime(is_from_scratch=image == "scratch"))
    return _Stage(name, parent.runtime, dict(parent.values))


def _apply(one: Instruction, stage: _Stage) -> None:
    found = stage.runtime
    if one.name in ("arg", "env"):
        stage.values.update(_assigned(one.words))
    elif one.name == "user":
        stage.runtime = replace(found, user=_filled(one.words.strip(), stage.values))
    elif one.name == "expose":
        words = _filled(one.words, stage.values).split()
        ports = [port for word in words for port in _ports(word)]
        stage.runtime = replace(found, ports=tuple(dict.fromkeys([*found.ports, *ports])))
    elif one.name == "cmd":
        stage.runtime = replace(found, command=_words(_filled(one.words, stage.values)))
    elif one.name == "entrypoint":
        # What a base's CMD gave is dropped with its ENTRYPOINT.
        started = _words(_filled(one.words, stage.values))
        stage.runtime = replace(found, entrypoint=started, command=())


def _assigned(words: str) -> dict[str, str]:
    try:
        parts = shlex.split(words)
    except ValueError:
        return {}
    if parts and "=" not in parts[0] and len(parts) > 1:  # the old form, ENV NAME value
        return {parts[0]: " ".join(parts[1:])}
    return dict(part.partition("=")[::2] for part in parts if "=" in part)


def _filled(text: str, values: dict[str, str]) -> str:
    """Fill in the variables that the stage sets; others stay as they are."""
    return _VARIABLE.sub(lambda one: values.get(one[1]) or one[2] or one[0], text)


def _words(text: str) -> tuple[str, ...]:
    if text.lstrip().startswith("["):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, list):
            return tuple(map(str, data))
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def _ports(word: str) -> list[int]:
    first, _, last = word.partition("/")[0].partition("-")
    if not first.isascii() or not first.isdecimal():
        return []
    end = int(last) if last.isascii() and last.isdecimal() else int(first)
    return list(range(int(first), min(end, int(first) + 100) + 1))
