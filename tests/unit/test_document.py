"""YAML from strangers: what is refused, and the place that is named."""

from __future__ import annotations

import random
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from model_gitops.adapters import promotion_file
from model_gitops.core import document
from model_gitops.errors import InputError

MEND = "correct that line"


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ("a: [", "line 1, column 5: expected the node content, but found '<stream end>'", MEND),
        ("a: b\nc: d: e", "line 2, column 5: mapping values are not allowed here", MEND),
        ("a: 1\na: 2", 'line 2, column 1: found duplicate key "a" with value "2" (original value: "1")',
         MEND),
        ("!x 1", "line 1, column 1: could not determine a constructor for the tag '!x'", MEND),
        # What ruamel says of a scalar that is not what its tag, or its look, says.
        ("!!bool x", "KeyError('x')", ""),
        ("!!int x", "invalid literal for int() with base 10: 'x'", ""),
        ("2001-99-99", "month must be in 1..12", ""),
        ("a: \x01", "unacceptable character #x0001: special characters are not allowed\n"
         '  in "<unicode string>", position 3', ""),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_told_with_its_place(text: str, said: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        document.load_yaml(text, source="x.yaml")
    assert caught.value.message == f"x.yaml is not valid YAML: {said}"
    assert caught.value.fix == fix


def test_yaml_is_read_as_plain_data() -> None:
    text = "a: [1, 1.5, yes, null, true]\n'b': {c: &x [d]}\ne: *x\n"
    assert document.load_yaml(text, source="x") == {
        "a": [1, 1.5, "yes", None, True],
        "b": {"c": ["d"]},
        "e": ["d"],
    }
    assert document.load_yaml("", source="x") is None


def test_a_text_has_a_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LARGEST_YAML", 10)
    assert document.load_yaml("a: 3456789", source="x.yaml") == {"a": 3456789}
    with pytest.raises(InputError) as caught:
        document.load_yaml("a: 34567890", source="x.yaml")
    assert caught.value.message == "x.yaml has 11 characters: more than 10"


@pytest.mark.parametrize(
    ("text", "nodes"),
    [("[x, x, {a: x, b: x}]", 6), ("[&a [x, x], *a]", 7), ("{a: &a {b: x}, c: *a, d: 1}", 6)],
)
def test_nodes_are_counted_with_aliases_followed(
    text: str, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MOST_NODES", nodes)
    document.load_yaml(text, source="x.yaml")
    monkeypatch.setattr(document, "MOST_NODES", nodes - 1)
    with pytest.raises(InputError) as caught:
        document.load_yaml(text, source="x.yaml")
    assert caught.value.message == "x.yaml is too large or too deep when its aliases are followed"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_data_has_a_deepest(opening: str, closing: str) -> None:
    document.load_yaml(opening * 200 + "x" + closing * 200, source="x")
    with pytest.raises(InputError, match="too deep"):
        document.load_yaml(opening * 201 + "x" + closing * 201, source="x")


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "a": {
            "type": "array",
            "description": "a list of mappings",
            "items": {"additionalProperties": False, "properties": {"b": {"type": "integer"}}},
        },
        "c": {"minimum": 3},
        "d": {"additionalProperties": False},
        "e": {
            "additionalProperties": False,
            "properties": {
                "mode": {"enum": ["push", "pull"], "examples": ["pull"]},
                "list": {
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"examples": ["y"]}},
                    },
                    "examples": [[{"name": "x", "on": True}]],
                },
            },
        },
    },
}
SEE = "see the schema, promotion.schema.json"


@pytest.mark.parametrize(
    ("data", "message", "fix"),
    [
        ([1], "at the top: it is [1], and it must be a mapping (keys with values)", SEE),
        ({"x": 1}, "at the top: there is no key `x`",
         "use one of: a, c, d, e"),
        ({"a": 3}, "at a: it is 3, and it must be a list", "a list of mappings"),
        ({"a": [{"b": "q"}]}, "at a[0].b: it is \"q\", and it must be a whole number", SEE),
        ({"a": [{}, {"z": 1}]}, "at a[1]: there is no key `z`",
         "use one of: b"),
        ({"c": 1}, "at c: 1 is less than the minimum of 3", SEE),
        ({"d": {"y": 1}}, "at d: there is no key `y`", SEE),
        ({"e": {"mode": "on"}}, "at e.mode: 'on' is not one of ['push', 'pull']",
         "mode: pull or push"),
        ({"e": {"list": [7]}}, "at e.list[0]: it is 7, and it must be a mapping (keys with values)",
         "list: [{name: x, on: true}]"),
        ({"e": {"list": [{}]}}, "at e.list[0]: `name` is missing", "name: y"),
        ({"e": {"liste": 1}}, "at e: there is no key `liste`",
         "list: [{name: x, on: true}]. The keys are: mode, list"),
        ({"a": "y" * 600}, f'at a: it is "{"y" * 199}, and it must be a list', "a list of mappings"),
    ],
)  # fmt: skip
def test_data_that_breaks_a_rule_is_told_with_place_and_rule(
    data: Any, message: str, fix: str
) -> None:
    document.validate({"a": [{"b": 1}], "c": 3}, SCHEMA, source="x.yaml")
    with pytest.raises(InputError) as caught:
        document.validate(data, SCHEMA, source="x.yaml")
    assert (caught.value.message, caught.value.fix) == (f"x.yaml, {message}", fix)


def test_a_schema_that_takes_nothing() -> None:
    with pytest.raises(InputError) as caught:
        document.validate({}, False, source="x")
    assert caught.value.message == "x, at the top: False schema does not allow {}"
    assert caught.value.fix == SEE


PAGES = sorted((Path(__file__).parents[2] / "templates").glob("**/promotion.yaml"))
ODD = (
    *("", " ", "x", "x" * 600, "a/b", "{environment}", "main", "10m", "5%", "/x", "a\nb", "push"),
    *(0, 1, -1, 3, 3.0, 1e9, 0.5, float("nan"), float("inf"), True, False, None, date(2026, 1, 1)),
    *(
        [],
        ["x"],
        [1],
        ["x", "x"],
        {},
        {"x": 1},
        {1: 2},
        {"": ""},
        {"requests": []},
        {"name": "dev"},
    ),
)


def places(data: Any) -> list[tuple[Any, Any]]:
    """Return each container of `data` with each of its keys."""
    if not isinstance(data, dict | list):
        return []
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    return [(data, key) for key in keys] + [one for key in keys for one in places(data[key])]


def read(page: Path) -> Any:
    return document.load_yaml(page.read_text("utf-8"), source=page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_right_page_is_right_at_first_sight(page: Path) -> None:
    schema = promotion_file.promotion_schema()
    assert document.surely_holds(read(page), schema, schema)


@pytest.mark.parametrize("rule", ["promotion.yaml", "keywords"])
def test_what_is_right_at_first_sight_is_right(rule: str) -> None:
    """Whatever stands where, nothing passes that jsonschema would refuse."""
    draw = random.Random(7)
    schema = promotion_file.promotion_schema()
    pages = [read(page) for page in PAGES]
    if rule == "keywords":
        schema = {"properties": {str(n): one for n, one in enumerate(KEYWORDS)}}
        pages = [{str(n): None for n in range(len(KEYWORDS))}]
    judge, right, wrong = jsonschema.Draft202012Validator(schema), 0, 0
    for _ in range(1000):
        data = deepcopy(draw.choice(pages))
        if rule == "keywords":
            data = {key: deepcopy(draw.choice(ODD)) for key in draw.sample(list(data), 1)}
        else:
            for _ in range(draw.choice((1, 1, 2))):
                holder, key = draw.choice(places(data))
                if isinstance(holder, dict) and draw.random() < 0.2:
                    key = draw.choice(("x", "env", "url", 3, "name", "verify", "load"))
                holder[key] = deepcopy(draw.choice(ODD))
        try:
            valid = judge.is_valid(data)
        except TypeError:  # a key that is no text
            valid = False
        if document.surely_holds(data, schema, schema):
            assert valid, data
            right += 1
        wrong += not valid
    assert right > 20
    assert wrong > 100


KEYWORDS = (
    {"not": {"const": 1}}, {"not": {"const": True}}, {"not": {"type": "string"}}, {"const": 1}, {"const": ["x"]},
    {"enum": ["x", 1, None]}, {"type": "integer"}, {"type": ["number", "null"]}, {"minimum": 1}, {"maximum": 1},
    {"exclusiveMinimum": 0}, {"multipleOf": 3}, {"uniqueItems": True}, {"items": {"type": "string"}},
    {"additionalProperties": {"type": "string"}}, {"patternProperties": {"x": False}, "additionalProperties": True},
    {"propertyNames": {"pattern": "."}}, {"anyOf": [{"type": "null"}, {"minLength": 2}]}, {"oneOf": [True, True]},
    {"maxProperties": 0}, {"minProperties": 1}, {"minItems": 1}, {"maxItems": 1}, {"required": ["x"]}, True, False,
)  # fmt: skip
