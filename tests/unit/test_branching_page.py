"""docs/branching.md: each shape is a whole promotion.yaml, and its table says what the rules say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.core import document
from model_gitops.core.flow import promotion
from model_gitops.errors import InputError, RefusedError

PAGE = (Path(__file__).parents[2] / "docs" / "branching.md").read_text("utf-8")
SHAPES = re.findall(r"(?ms)^## ([^\n]+)\n(?:(?!^## ).)*?^```yaml\n(.*?)^```$(.*?)(?=^## )", PAGE)
ROW = re.compile(r"(?m)^\| `([^`]+)` \| `([^`]+)` \| (✓ ([\w-]+)|✗) \|$")


def test_the_page_has_the_shapes() -> None:
    assert [name for name, _, _ in SHAPES] == [
        "Three environments", "Two environments", "One environment", "Other names",
        "Trunk-based work",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "rest"), SHAPES, ids=[one[0] for one in SHAPES])
def test_a_shape_allows_what_its_table_says(name: str, text: str, rest: str) -> None:
    data = document.load_yaml(text, source=name)
    document.validate(data, promotion_schema(), source=name)
    rules = promotion.parse(data, source=name)
    rows = ROW.findall(rest)
    merged = rules.environments[:1] if rules.is_trunk else rules.environments
    assert {environment.name for environment in merged} == {row[3] for row in rows} - {""}
    assert any(row[2] == "✗" for row in rows)
    for head, base, verdict, environment in rows:
        if verdict == "✗":
            with pytest.raises(RefusedError):
                rules.target(base, head)
        else:
            assert rules.target(base, head).name == environment


def test_a_hotfix_is_told_how_it_travels() -> None:
    rules = promotion.parse(document.load_yaml(SHAPES[0][1], source="x"))
    for head, base in (("hotfix/a", "production"), ("release/1.2", "staging")):
        with pytest.raises(RefusedError) as told:
            rules.target(base, head)
        assert "docs/branching.md" in told.value.fix
    with pytest.raises(RefusedError) as told:
        rules.target("staging", "experiment/a")
    assert "docs/branching.md" not in told.value.fix


def test_other_names_reach_stage_and_overlay() -> None:
    rules = promotion.parse(document.load_yaml(SHAPES[3][1], source="x"))
    assert [(one.stage, one.overlay) for one in rules.environments] == [
        ("dev", "apps/churn/test-eu"), ("prod", "clusters/eu/churn")
    ]  # fmt: skip


def test_a_trunk_has_one_branch_and_its_later_environments_are_promoted_by_hand() -> None:
    data = document.load_yaml(SHAPES[4][1], source="x")
    rules = promotion.parse(data)
    assert {one.branch for one in rules.environments} == {"main"}
    assert rules.by_hand("staging").deploy == "pull-request"
    for wrong in ("dev", "nope"):
        with pytest.raises(InputError, match="staging, production"):
            rules.by_hand(wrong)
    with pytest.raises(InputError, match="flow: trunk"):
        promotion.parse(document.load_yaml(SHAPES[0][1], source="x")).by_hand("staging")
    own = {"name": "staging", "branch": "staging"}
    with pytest.raises(InputError, match="first environment alone has a branch"):
        promotion.parse(data | {"environments": [data["environments"][0], own]})
    with pytest.raises(InputError, match="staging has no `branch`"):
        promotion.parse(data | {"flow": "branches"})
