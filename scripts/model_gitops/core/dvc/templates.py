"""`${…}` in dvc.yaml, filled in as DVC does it, without DVC: names from params.yaml and `vars:`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from model_gitops.errors import InputError

# DVC's own pattern (dvc/parsing/interpolate.py); `\${` is no expression, but a plain `${`.
_EXPRESSION = re.compile(r"(?<!\\)\$\{(.*?)\}")
# What may stand in it: a name, then steps `.name` or `[name]`.
_NAME = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^.\[\]]+\])*")
# Of one `foreach` or `matrix`: more than this is not gone through.
MOST_ITEMS = 10_000

# A file of params (its path from the top) → its data; None where there is no such file.
Reader = Callable[[str], Any]


class Values:
    """What expressions may name, at one place of dvc.yaml."""

    def __init__(
        self, data: Mapping[str, Any] | None = None, loaded: frozenset[str] = frozenset()
    ) -> None:
        self._data: dict[str, Any] = dict(data or {})
        self._loaded = loaded

    def with_vars(
        self, entries: Any, read: Reader, source: str, *, folder: str, default: str = ""
    ) -> Values:
        """Return these and what `vars:` adds: files (`name`, `name:key,key`), and mappings.

        `folder` is where the files' paths start. The file `default` comes first, if there is one.
        Raises InputError where two say a thing differently, as DVC does.
        """
        merged, loaded = _copied(self._data), set(self._loaded)
        listed = entries if isinstance(entries, list) else []
        for entry in ([default] if default else []) + listed:
            if isinstance(entry, dict):
                _merge(merged, entry, source)
                continue
            name, _, keys = str(entry).partition(":")
            path = posixpath.normpath(posixpath.join(folder, name))
            wanted = [key for key in keys.split(",") if key]
            if path in loaded and not wanted:
                continue  # as in DVC, a whole file may be named again
            if isinstance(data := read(path), dict):
                _merge(merged, {k: v for k, v in data.items() if not wanted or k in wanted}, source)
            if not wanted:
                loaded.add(path)
        return Values(merged, frozenset(loaded))

    def with_item(self, item: Mapping[str, Any]) -> Values:
        """Return these with an item of a `foreach` or `matrix`, which hides others of its names."""
        return Values({**self._data, **item}, self._loaded)

    def fill(self, value: Any, *, whole: bool = False) -> Any:
        """Return `value` with each expression replaced, at any depth.

        What can't be told here stays as it stands; a plain `${` stays `\\${`: see `is_filled`. A
        mapping or list takes the place of an expression only with `whole`, as in `foreach: ${list}`.
        """
        if isinstance(value, dict):
            return {self.fill(key): self.fill(one, whole=whole) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one, whole=whole) for one in value]
        return self._text(value, whole) if isinstance(value, str) else value

    def _text(self, text: str, whole: bool) -> Any:
        first = _EXPRESSION.search(text)
        # As in DVC, an expression that stands alone keeps the value's type.
        if first and first[0] == text:
            known, value = self._select(first[1])
            if not known or (isinstance(value, dict | list) and not whole):
                return text
            return value.replace("${", "\\${") if isinstance(value, str) else value
        return _EXPRESSION.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        known, value = self._select(found[1])
        # How a mapping looks in a command depends on DVC's configuration.
        if not known or isinstance(value, dict | list):
            return found[0]
        return as_text(value).replace("${", "\\${")

    def _select(self, expression: str) -> tuple[bool, Any]:
        if not _NAME.fullmatch(expression):
            return False, None
        found: Any = self._data
        for step in expression.replace("[", ".").replace("]", "").split("."):
            key = step.strip()
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and re.fullmatch(r"-?[0-9]{1,9}", key):
                if not -len(found) <= int(key) < len(found):
                    return False, None
                found = found[int(key)]
            else:
                return False, None
        plain = found is None or isinstance(found, bool | int | float | str | dict | list)
        return plain, found


def items(entry: Mapping[str, Any], values: Values) -> Iterator[tuple[str, dict[str, Any]]] | None:
    """Go through the items of a `foreach` or `matrix`: what follows `@`, and the names it sets.

    None where it can't be told here what they are.
    """
    if "matrix" in entry:
        return _matrix(values.fill(entry["matrix"], whole=True))
    data = values.fill(entry.get("foreach"), whole=True)
    if isinstance(data, dict):
        return ((as_text(key), {"item": one, "key": as_text(key)}) for key, one in data.items())
    if not isinstance(data, list) or any(_is_open(one) for one in data):
        return None
    if any(isinstance(one, dict | list) for one in data):
        return ((str(place), {"item": one}) for place, one in enumerate(data))
    return ((as_text(one), {"item": one}) for one in data)


def _matrix(axes: Any) -> Iterator[tuple[str, dict[str, Any]]] | None:
    if not isinstance(axes, dict) or not all(isinstance(axis, list) for axis in axes.values()):
        return None
    size = 1
    for axis in axes.values():
        size *= len(axis)
        if size > MOST_ITEMS or any(_is_open(one) for one in axis):
            return None

    def combined() -> Iterator[tuple[str, dict[str, Any]]]:
        for places in product(*(enumerate(axis) for axis in axes.values())):
            parts = [
                f"{name}{place}" if isinstance(value, dict | list) else as_text(value)
                for name, (place, value) in zip(axes, places, strict=True)
            ]
            item = {name: value for name, (_, value) in zip(axes, places, strict=True)}
            yield "-".join(parts), {"item": item, "key": "-".join(parts)}

    return combined()


def is_filled(text: str) -> bool:
    """Whether nothing is left in `text` to be filled in."""
    return _EXPRESSION.search(text) is None


def plain(text: str) -> str:
    """Return a text that is filled in as it is meant: `\\${` is `${`."""
    return text.replace("\\${", "${")


def fits(template: str, text: str) -> bool:
    """Whether `text` may be what DVC made of `template`, by filling in what is left in it."""
    parts = re.split(r"(?<!\\)\$\{[^}]*\}", template)
    return (
        re.fullmatch(".*".join(re.escape(plain(part)) for part in parts), text, re.DOTALL)
        is not None
    )


def as_text(value: Any) -> str:
    """Return a value as DVC writes it into a text."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and not is_filled(value)


def _copied(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(one) if isinstance(one, dict) else one for key, one in data.items()}


def _merge(into: dict[str, Any], more: Mapping[str, Any], source: str) -> None:
    for key, value in more.items():
        if not isinstance(key, str):
            continue  # no expression can name it
        if isinstance(into.get(key), dict) and isinstance(value, dict):
            _merge(into[key], value, source)
        elif key in into:
            raise InputError(
                f"{source}: `vars:` and the files of params define {key!r} twice",
                fix="keep one of them: DVC refuses two",
            )
        else:
            into[key] = _copied(value) if isinstance(value, dict) else value
