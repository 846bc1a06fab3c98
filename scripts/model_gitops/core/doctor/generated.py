"""What the generators of an ApplicationSet make of a deploy repository's folders, and its template filled in.

Read are lists, directories of Git, and matrices of the two:
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators/
Of Go's templates fields are filled in, and an `if` that compares one with a word. What else there is stays `{{…}}`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model_gitops.core import document

# What a text may name, as it is written between the braces, and its value.
Parameters = dict[str, str]

_FIELD = r"(?:\(\s*)?(?P<field>\.[\w.]+|index \.path\.segments \d+)(?:\s*\))?"
_IF = re.compile(
    r"\{\{-?\s*if (?P<sign>eq|ne) " + _FIELD + r'\s+"(?P<word>[^"{}]*)"\s*-?\}\}'
    r"(?P<then>[^{}]*)(?:\{\{-?\s*else\s*-?\}\}(?P<otherwise>[^{}]*))?\{\{-?\s*end\s*-?\}\}"
)
_NAMED = re.compile(r"\{\{-?\s*(?P<field>[^{}]*?)\s*-?\}\}")
_MOST = 1000


def parameters(
    spec: Mapping[str, Any], is_here: Callable[[str], bool], folders: Sequence[str]
) -> list[Parameters] | None:
    """Return the parameters of each Application that the generators of an ApplicationSet make.

    `is_here` tells the address of this repository, `folders` are all that it has. Of another repository nobody
    here knows the folders: its Applications are one, with the folder left open. None where a generator is of
    a kind that is not read, or makes too many.
    """
    is_go = spec.get("goTemplate") is True
    found: list[Parameters] = []
    generators = document.sequence(spec.get("generators"))
    for one in generators:
        made = _made(document.mapping(one), {}, is_go, is_here, folders)
        if made is None or len(found) + len(made) > _MOST:
            return None
        found += made
    return found if generators else None


def filled_in(value: Any, given: Parameters) -> Any:
    """Return a document with its parameters; what they do not say stays."""
    if isinstance(value, Mapping):
        return {key: filled_in(one, given) for key, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, given) for one in value]
    if not isinstance(value, str) or "{{" not in value:
        return value

    def chosen(found: re.Match[str]) -> str:
        if found["field"] not in given:
            return found[0]
        is_equal = given[found["field"]] == found["word"]
        return found["then"] if is_equal == (found["sign"] == "eq") else found["otherwise"] or ""

    named = _NAMED.sub(lambda found: given.get(found["field"], found[0]), value)
    return _IF.sub(chosen, named)


def _made(
    generator: Mapping[str, Any],
    before: Parameters,
    is_go: bool,
    is_here: Callable[[str], bool],
    folders: Sequence[str],
) -> list[Parameters] | None:
    """Return what a generator makes beside the parameters of the one `before` it in a matrix."""
    kinds = [key for key in generator if key not in ("selector", "template")]
    own = document.mapping(generator.get(kinds[0])) if len(kinds) == 1 else {}
    if len(kinds) != 1 or "selector" in generator or "template" in own:
        return None
    if kinds == ["list"] and "elementsYaml" not in own:
        elements = document.sequence(filled_in(own.get("elements"), before))
        return [before | _flat(document.mapping(one), is_go) for one in elements]
    if kinds == ["git"] and not {"files", "pathParamPrefix", "values"} & own.keys():
        url, places = filled_in([own.get("repoURL"), own.get("directories")], before)
        if not is_here(str(url or "")):
            return [before]
        return [before | _of_folder(one, is_go) for one in _matching(places, folders)]
    both = document.sequence(own.get("generators"))
    if kinds == ["matrix"] and len(both) == 2:
        found: list[Parameters] = []
        first, second = map(document.mapping, both)
        outer = _made(first, before, is_go, is_here, folders)
        if outer is None:
            return None
        for one in outer:
            made = _made(second, one, is_go, is_here, folders)
            if made is None or len(found) + len(made) > _MOST:
                return None
            found += made
        return found
    return None


def _flat(element: Mapping[str, Any], is_go: bool, above: str = "") -> Parameters:
    found: Parameters = {}
    for key, value in element.items():
        name = f"{above}.{key}" if above or is_go else str(key)
        if isinstance(value, Mapping):
            found |= _flat(value, is_go, name)
        elif isinstance(value, str | int | float):
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _of_folder(path: str, is_go: bool) -> Parameters:
    segments, base = path.split("/"), posixpath.basename(path)
    plain = re.sub(r"[^a-z0-9.-]+", "-", base.lower())
    if is_go:
        named = {".path.path": path, ".path.basename": base, ".path.basenameNormalized": plain}
        return named | {f"index .path.segments {n}": one for n, one in enumerate(segments)}
    named = {"path": path, "path.basename": base, "path.basenameNormalized": plain}
    return named | {f"path[{n}]": one for n, one in enumerate(segments)}


def _matching(places: Any, folders: Sequence[str]) -> list[str]:
    """Return the folders that the entries of `directories` name; one that is excluded stays out."""
    entries = [document.mapping(one) for one in document.sequence(places)]
    patterns = [
        (_pattern(str(one.get("path") or "")), one.get("exclude") is True) for one in entries
    ]

    def named(folder: str, excluded: bool) -> bool:
        return any(one.fullmatch(folder) for one, out in patterns if out is excluded)

    visible = (one for one in folders if not re.search(r"(^|/)\.", one))
    return [one for one in visible if named(one, False) and not named(one, True)]


def _pattern(glob: str) -> re.Pattern[str]:
    """Return a path's pattern as Argo CD reads it: `*` and `?` stop at a slash."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"([*?])", glob.strip("/"))
    return re.compile("".join(signs.get(one) or re.escape(one) for one in parts))
