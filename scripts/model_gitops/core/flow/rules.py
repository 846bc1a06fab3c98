"""What a change does to promotion.yaml: it counts after the merge, and the report shows it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_gitops.core.markdown import code

_LONGEST = 300
# What names an entry of a list: its place in the list says nothing to a person.
_NAMES = ("name", "metric")


@dataclass(frozen=True)
class Change:
    """One value of promotion.yaml, before and after; an empty string stands for nothing."""

    key: str
    before: str
    after: str


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """Return what differs between two parsed documents, in their order."""
    old, new = _flat(before), _flat(after)
    return tuple(
        Change(key, old.get(key, ""), new.get(key, ""))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    )


def table(found: Sequence[Change]) -> str:
    """Return the changes as a Markdown table, or an empty string where there are none."""
    if not found:
        return ""
    rows = ["| rule | now | after the merge |", "|---|---|---|"]
    rows += [
        f"| {code(one.key, longest=_LONGEST)} | {code(one.before, longest=_LONGEST)}"
        f" | {code(one.after, longest=_LONGEST)} |"
        for one in found
    ]
    return "\n".join(rows) + "\n"


def _flat(node: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(node, Mapping):
        pairs = [(f"{prefix}.{key}" if prefix else str(key), one) for key, one in node.items()]
    elif isinstance(node, Sequence) and not isinstance(node, str):
        names = [_name(one, place) for place, one in enumerate(node)]
        # Two rules of one metric are two rules.
        pairs = [
            (f"{prefix}[{name}{'#' * names[:place].count(name)}]", node[place])
            for place, name in enumerate(names)
        ]
        # Which comes after which is a rule too.
        order = ", ".join(_name(one, place) for place, one in enumerate(node))
        return {prefix: order, **_joined(pairs)}
    else:
        return {prefix: str(node)}
    return _joined(pairs)


def _joined(pairs: Sequence[tuple[str, Any]]) -> dict[str, str]:
    return {key: value for prefix, one in pairs for key, value in _flat(one, prefix).items()}


def _name(entry: Any, place: int) -> str:
    if isinstance(entry, Mapping):
        for key in _NAMES:
            if key in entry:
                return str(entry[key])
    return str(place)
