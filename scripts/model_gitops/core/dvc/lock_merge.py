"""Three versions of a dvc.lock, merged by stages: the text of each stage stays as DVC wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import document
from model_gitops.errors import InputError

# What DVC has in parts, each of which changes alone: by name, or in a list of what has a name.
_PARTED = {"stages": dict, "datasets": list}
# What YAML takes for the end of a line.
_LINE = re.compile(r"[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029])|.+\Z", re.DOTALL)
_BY_HAND = "merge it by hand, then `dvc repro`"


@dataclass(frozen=True)
class Merged:
    """The merged file, and the stages that changed on both sides.

    Those are left out of the text: neither side's entry is of what the merge makes. `gone` are those of
    them that one side has no more.
    """

    text: str
    conflicts: Sequence[str]
    gone: Sequence[str]


@dataclass(frozen=True)
class _Part:
    """A stage, or a key at the top: what it says, and its lines as they are written."""

    value: Any
    text: str


@dataclass
class _Lock:
    """A dvc.lock: its keys, and the parts of those that have some."""

    heads: dict[str, _Part] = field(default_factory=dict)
    parts: dict[str, dict[str, _Part]] = field(default_factory=dict)


def merge(base: str, ours: str, theirs: str) -> Merged:
    """Merge `ours` and `theirs`, which both come from `base`; empty where there was no file.

    What one side changed, added or removed is taken; so is the same change of both. Raises InputError
    for a text that is no dvc.lock, or where what is no stage changed on both sides.
    """
    locks = [
        _read(base, "the common dvc.lock"),
        _read(ours, "our dvc.lock"),
        _read(theirs, "their dvc.lock"),
    ]
    conflicts: list[str] = []
    gone: list[str] = []
    texts: list[str] = []
    expected: dict[str, Any] = {}
    for key, head in _three([lock.heads for lock in locks]).items():
        if head is None:
            raise InputError(f"both sides changed `{key}` in dvc.lock", fix=_BY_HAND)
        if key not in _PARTED:
            texts.append(head.text)
            expected[key] = head.value
            continue
        sides = [lock.parts.get(key, {}) for lock in locks]
        merged = _three(sides)
        kept = {name: part for name, part in merged.items() if part is not None}
        both = [name for name, part in merged.items() if part is None]
        if both and key != "stages":
            raise InputError(f"both sides changed `{both[0]}` of `{key}` in dvc.lock", fix=_BY_HAND)
        conflicts += both
        gone += [name for name in both if any(name not in side for side in sides[1:])]
        values = {name: part.value for name, part in kept.items()}
        expected[key] = values if _PARTED[key] is dict else list(values.values())
        opens = head.text if head.text.rstrip().endswith(":") else f"{key}:\n"
        texts.append(opens if kept else f"{key}: {expected[key]}\n")
        texts += [part.text for part in kept.values()]
    text = "".join(texts)
    if (document.load_yaml(text, source="the merged dvc.lock") or {}) != expected:
        raise InputError("dvc.lock is not as DVC writes it", fix=_BY_HAND)
    return Merged(text, conflicts, gone)


def _three(sides: Sequence[Mapping[str, _Part]]) -> dict[str, _Part | None]:
    """Merge by name, in our order, what is new in theirs after what it follows there.

    None stands for a part that changed on both sides.
    """
    base, ours, theirs = sides
    result: dict[str, _Part | None] = {}
    for name in _order(ours, theirs):
        old, mine, other = (_value(side, name) for side in (base, ours, theirs))
        chosen = ours if other in (old, mine) else theirs if mine == old else None
        if chosen is None:
            result[name] = None
        elif name in chosen:
            result[name] = chosen[name]
    return result


def _order(ours: Mapping[str, _Part], theirs: Mapping[str, _Part]) -> list[str]:
    order, place = list(ours), len(ours)
    for name in theirs:
        if name in order:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1
    return order


def _value(side: Mapping[str, _Part], name: str) -> tuple[Any, ...]:
    # In a tuple, so that a part that is not there differs from one that is null.
    return (side[name].value,) if name in side else ()


# --- the text -------------------------------------------------------------------------------------


def _read(text: str, source: str) -> _Lock:
    """Read a dvc.lock, and cut its text into its parts. Raises InputError."""
    data = document.load_yaml(text, source=source)
    if data is None:
        return _Lock()
    if not isinstance(data, dict) or not all(
        isinstance(data.get(key, kind()), kind) for key, kind in _PARTED.items()
    ):
        raise InputError(f"{source} is not as DVC 2 and 3 write it", fix=_BY_HAND)
    lock = _Lock()
    lines = _LINE.findall(text if text.endswith("\n") else f"{text}\n")
    for key, first, own, last, node in _spans(document.compose(text), 0, len(lines), source):
        if key not in _PARTED:
            lock.heads[key] = _Part(data[key], "".join(lines[first:last]))
            continue
        # It is the same on all sides, whatever parts it has.
        lock.heads[key] = _Part(None, "".join(lines[first : own + 1]))
        lock.parts[key] = {
            name: _Part(_named(data[key], name), "".join(lines[start:end]))
            for name, start, _, end, _ in _spans(node, own + 1, last, source)
        }
    return lock


def _named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    return next(one for one in value if isinstance(one, dict) and one.get("name") == name)


def _spans(
    node: Any, first: int, last: int, source: str
) -> Iterator[tuple[str, int, int, int, Any]]:
    """Yield the keys of a mapping, or the names in a list, with their lines, which are in first:last.

    Each is (name, the line that it starts on with what stands above it, its own, its end, node). Raises InputError where two share a line: DVC writes none so.
    """
    found = document.entries(node)
    starts = [place.start_mark.line for _, place, _ in found]
    if len(set(starts)) < len(starts) or any(start < first for start in starts):
        raise InputError(f"{source} is not as DVC writes it: entries share a line", fix=_BY_HAND)
    begins, ends = [first, *starts[1:]], [*starts[1:], last]
    for (name, _, value), begin, start, end in zip(found, begins, starts, ends, strict=False):
        yield name, begin, start, end, value
