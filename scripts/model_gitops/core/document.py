"""YAML from strangers: parsed once, within limits, with the place of what is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any

from model_gitops.errors import InputError

# Of any file of a project that is read whole.
LARGEST = 16 * 1024 * 1024
# A promotion.yaml has 1 kB, a dvc.lock of a large project 1 MB. This much takes a minute or two.
LARGEST_YAML = 4 * 1024 * 1024
# An alias that is used again and again makes gigabytes of a few lines ("billion laughs").
MOST_NODES = 1_000_000

# Git LFS keeps such a text in place of a file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER_START = b"version https://git-lfs.github.com/spec/"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n?"
)
_LARGEST_POINTER = 1024


def is_lfs_pointer(data: bytes) -> bool:
    """Whether `data` is what Git LFS keeps in place of a file."""
    return data.startswith(_POINTER_START) and len(data) < _LARGEST_POINTER


def lfs_object(data: bytes) -> tuple[str, int] | None:
    """Return the SHA-256 and size of the file that a pointer of Git LFS stands for; None for none."""
    found = _POINTER.fullmatch(data) if is_lfs_pointer(data) else None
    return (found[1].decode(), int(found[2])) if found else None


def refuse_pointer(text: str, source: str) -> None:
    """Refuse a pointer of Git LFS where the file itself is meant. Raises InputError."""
    if is_lfs_pointer(text.encode("utf-8", errors="replace")):
        raise InputError(
            f"{source} is here only a pointer of Git LFS, not the file itself",
            fix="`lfs: true` in the inputs of actions/checkout; by hand: git lfs pull. For another commit"
            " than the checkout's: git lfs fetch origin COMMIT",
        )


def load_yaml(text: str, *, source: str) -> Any:
    """Return the data of the one YAML document in `text`: YAML 1.2, plain types only.

    Raises InputError, naming `source` and the line, for text that is no YAML, too large, or larger
    still when its aliases are followed, and for a pointer of Git LFS.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > LARGEST_YAML:
        raise InputError(f"{source} has {len(text)} characters: more than {LARGEST_YAML}")
    refuse_pointer(text, source)
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise InputError(
            f"{source} is not valid YAML:{place} {error.problem}", fix="correct that line"
        ) from error
    except (
        YAMLError, ValueError, RecursionError, LookupError, TypeError, AttributeError, OverflowError,
    ) as error:  # fmt: skip
        # The last four are ruamel's for a scalar that is not what its tag says: `!!bool x`.
        said = error if isinstance(error, YAMLError | ValueError) else repr(error)
        raise InputError(f"{source} is not valid YAML: {said}") from error
    _count(data, source)
    return data


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value of loaded YAML as a mapping: an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """Return a value of loaded YAML as a list: an empty one where it is none."""
    return value if isinstance(value, list) else []


def validate(data: Any, schema: Any, *, source: str) -> None:
    """Hold `data` against a JSON Schema. Raises InputError with the place, value and rule."""
    if surely_holds(data, schema, schema):
        return
    import jsonschema  # its import takes longer than the rest of a short step

    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(data)
    )
    if error is None:
        return
    place = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path
    )
    raise InputError(
        f"{source}, at {place.lstrip('.') or 'the top'}: {_problem(error)[:500]}",
        fix=_fix(error, schema) or "see the schema, promotion.schema.json",
    )


# What says nothing of the data, as a reader's examples.
_SILENT = frozenset(("$schema", "$id", "$defs", "title", "description", "examples", "default"))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "object": (dict,), "array": (list,), "boolean": (bool,), "integer": (int,),
    "number": (int, float), "null": (NoneType,),
}  # fmt: skip


def surely_holds(data: Any, rule: Any, schema: Any) -> bool:
    """Whether `data` is right by `rule`, a part of `schema`, at first sight.

    False also where it can't be told here: of a keyword or a type of value that is not known.
    """
    if isinstance(rule, bool):
        return rule
    kind = type(data)
    if kind not in _ANY:
        return False
    # A NaN is in no order, and a key that is no text is more than JSON has.
    if (kind is float and math.isnan(data)) or (
        kind is dict and any(type(k) is not str for k in data)
    ):
        return False

    def holds(word: str, wanted: Any) -> bool:
        if word in _ABOUT:
            kinds, judge = _ABOUT[word]
            return kind not in kinds or judge(data, wanted)
        return _holds(data, word, wanted, rule, schema)

    return all(word in _SILENT or holds(word, wanted) for word, wanted in rule.items())


def _holds(data: Any, word: str, wanted: Any, rule: Any, schema: Any) -> bool:
    """Whether one keyword of a rule holds, of those with rules in them; False for one that is not known."""
    parts: Iterable[tuple[Any, Any]]
    match word:
        case "$ref":
            parts = [(data, schema["$defs"].get(wanted.removeprefix("#/$defs/"), False))]
        case "anyOf":
            return any(surely_holds(data, one, schema) for one in wanted)
        case "items":
            parts = [(one, wanted) for one in sequence(data)]
        case "propertyNames":
            parts = [(one, wanted) for one in mapping(data)]
        case "properties":
            parts = [(data[key], one) for key, one in wanted.items() if key in mapping(data)]
        case "additionalProperties":
            known = rule.get("properties", {})
            parts = [(one, wanted) for key, one in mapping(data).items() if key not in known]
        case _:
            return False
    return all(surely_holds(part, one, schema) for part, one in parts)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one; never of lists and mappings, whose parts count too."""
    return type(one) is type(other) and type(one) not in (list, dict) and bool(one == other)


def _is_not(data: Any, rule: Any) -> bool:
    """Whether `data` is not what `rule` says: of a number it is open what is the same, 1 and 1.0 are."""
    plain = list(rule) == ["const"] and type(rule["const"]) in (bool, str)
    return plain and not _same(data, rule["const"])


def _is_kind(data: Any, wanted: Any) -> bool:
    return any(type(data) in _KINDS[one] for one in ([wanted] if type(wanted) is str else wanted))


_ANY = (str, dict, list, bool, int, float, NoneType)
# The keyword → the values that it says something of, and whether it is so.
_ABOUT: Mapping[str, tuple[tuple[type, ...], Callable[[Any, Any], bool]]] = {
    "type": (_ANY, _is_kind),
    "const": (_ANY, _same),
    "enum": (_ANY, lambda data, wanted: any(_same(data, one) for one in wanted)),
    "not": (_ANY, _is_not),
    "pattern": ((str,), lambda data, wanted: re.search(wanted, data) is not None),
    "minLength": ((str,), lambda data, wanted: len(data) >= wanted),
    "maxLength": ((str,), lambda data, wanted: len(data) <= wanted),
    "minItems": ((list,), lambda data, wanted: len(data) >= wanted),
    "maxItems": ((list,), lambda data, wanted: len(data) <= wanted),
    "minProperties": ((dict,), lambda data, wanted: len(data) >= wanted),
    "maxProperties": ((dict,), lambda data, wanted: len(data) <= wanted),
    "required": ((dict,), lambda data, wanted: all(one in data for one in wanted)),
    "minimum": ((int, float), lambda data, wanted: data >= wanted),
    "maximum": ((int, float), lambda data, wanted: data <= wanted),
    "exclusiveMinimum": ((int, float), lambda data, wanted: data > wanted),
}


# A schema's pattern that refuses a text of blanks.
_NOT_BLANK = r"\S"
# JSON Schema's types, as a person who writes YAML calls them.
_TYPES = {
    "string": "text", "object": "a mapping (keys with values)", "array": "a list", "boolean": "true or false",
    "integer": "a whole number", "number": "a number", "null": "null",
}  # fmt: skip


def _problem(error: Any) -> str:
    """Return in words what is wrong; for rules that say it well themselves, their own."""
    found = error.instance
    value = json.dumps(found, ensure_ascii=False) if isinstance(found, str) else flow(found)
    shown = "it is empty" if found is None else f"it is {value[:200]}"
    if error.validator == "type":
        is_number = isinstance(found, int | float) and error.validator_value == "string"
        return f"{shown}, and it must be {_types(error.schema)}" + (
            ": write it in quotes" if is_number else ""
        )
    if error.validator == "pattern" and error.validator_value == _NOT_BLANK:
        return "it has only blanks"
    if error.validator == "anyOf":
        return f"{shown}, and it must be {' or '.join(map(_types, error.validator_value))}"
    if error.validator == "minLength" and not error.instance:
        return "it is an empty text"
    if error.validator == "maxLength":
        return f"it has {len(error.instance)} characters, and at most {error.validator_value} are allowed"
    if error.validator == "required":
        missing = [one for one in error.validator_value if one not in error.instance]
        return f"{', '.join(f'`{one}`' for one in missing)} is missing"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        wrong = [f"`{one}`" for one in error.instance if one not in known]
        return f"there is no key {', '.join(wrong)}"
    return str(error.message)


def _types(rule: Any) -> str:
    """Return which values a schema takes, in words."""
    if "const" in rule or "enum" in rule:
        return " or ".join(map(flow, rule.get("enum", [rule.get("const")])))
    types = rule.get("type", [])
    return " or ".join(
        _TYPES.get(one, one) for one in ([types] if isinstance(types, str) else types)
    )


def _fix(error: Any, schema: Any) -> str:
    """Return a line to type for an error of `schema`, from the `examples` of the key that is wrong."""
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and known:
        from difflib import get_close_matches  # only a wrong name needs it

        wrong = [str(key) for key in error.instance if key not in known]
        close = [one for key in wrong for one in get_close_matches(key, known, n=1)]
        if close:
            return f"{_typed(close[0], known[close[0]])}. The keys are: {', '.join(known)}"
        return f"use one of: {', '.join(known)}"
    if error.validator == "required":
        missing = next(one for one in error.validator_value if one not in error.instance)
        return _typed(missing, known.get(missing, {}))
    key, rule = _key_of(error.absolute_path, schema)
    if not rule.get("examples"):
        return str(rule.get("description", ""))
    others = [flow(one) for one in rule.get("enum", ()) if one != rule["examples"][0]]
    return " or ".join([_typed(key, rule) if key else flow(rule["examples"][0]), *others])


def _key_of(path: Iterable[str | int], schema: Any) -> tuple[str, Any]:
    """Return the last key on the way to a value, and what the schema says of it."""
    key = ""
    told = rule = schema if isinstance(schema, dict) else {}
    for step in path:
        rule = whole(rule, schema)
        if isinstance(step, str):
            known = rule.get("properties", {}).get(step)
            rule = known or rule.get("additionalProperties") or {}
            # A name that the writer chose has no example of its own: its mapping has.
            if known or rule.get("examples"):
                key, told = step, rule
        else:
            rule = rule.get("items") or {}
    return key, told


def whole(rule: Any, schema: Any) -> Any:
    """Return a rule together with the one under `$defs` of `schema` that it refers to, if any."""
    name = str(rule.get("$ref", "")).removeprefix("#/$defs/")
    return {**schema["$defs"][name], **rule} if name else rule


def _typed(key: str, rule: Any) -> str:
    """Return the line `key: value` with the first example of a schema."""
    examples = rule.get("examples") or ["…"]
    return f"{key}: {flow(examples[0])}"


def flow(one: Any) -> str:
    """Return data from a schema as YAML on one line."""
    if isinstance(one, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in one.items()) + "}"
    if isinstance(one, list):
        return f"[{', '.join(map(flow, one))}]"
    if isinstance(one, bool | None):
        return {True: "true", False: "false", None: "null"}[one]
    return str(one)


def _count(data: Any, source: str) -> None:
    """Walk the data as a reader would, aliases followed, and stop where it is too much."""
    waiting, seen = [(data, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES or depth > 200:
            raise InputError(f"{source} is too large or too deep when its aliases are followed")
        if isinstance(node, dict):
            waiting.extend((value, depth + 1) for value in node.values())
        elif isinstance(node, list):
            waiting.extend((value, depth + 1) for value in node)


def compose(text: str) -> Any:
    """Return the nodes of the one YAML document in `text`, with their places; of what `load_yaml` took."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def entries(node: Any) -> list[tuple[str, Any, Any]]:
    """Return (name, node that begins it, node that it is) of a mapping's keys, or of a list's `name`s."""
    if isinstance(node.value, str):
        return []
    if node.id == "mapping":
        return [(str(key.value), key, value) for key, value in node.value]
    return [
        (name, one, one)
        for one in node.value
        for name in [{key: value.value for key, _, value in entries(one)}.get("name", "")]
    ]
