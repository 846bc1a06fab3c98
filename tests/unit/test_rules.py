"""What a change does to promotion.yaml is told key by key."""

from __future__ import annotations

from model_gitops.core.flow.rules import Change, changes, table

OLD = {
    "model": "m",
    "deploy": {"repository": "acme/d", "retries": 1},
    "environments": [{"name": "dev", "branch": "main"}, {"name": "production"}],
    "gate": [{"metric": "m.json:r2", "minimum": 0.1}],
    "tags": ["a", 5],
}


def test_the_same_rules_are_no_change() -> None:
    assert changes(OLD, OLD) == ()
    assert table(()) == ""


def test_each_change_has_its_key() -> None:
    new = {
        "deploy": {"repository": "eve/d", "retries": 1, "path": "o"},
        "environments": [{"name": "production"}, {"name": "dev", "branch": "other"}],
        "gate": [],
        "tags": ["a", 6, 7],
        "model": "m",
    }
    assert changes(OLD, new) == (
        Change("deploy.repository", "acme/d", "eve/d"),
        Change("environments", "dev, production", "production, dev"),
        Change("environments[dev].branch", "main", "other"),
        Change("gate", "m.json:r2", ""),
        Change("gate[m.json:r2].metric", "m.json:r2", ""),
        Change("gate[m.json:r2].minimum", "0.1", ""),
        Change("tags", "0, 1", "0, 1, 2"),
        Change("tags[1]", "5", "6"),
        Change("deploy.path", "", "o"),
        Change("tags[2]", "", "7"),
    )


def test_what_was_no_mapping_is_one_value() -> None:
    assert changes("a", "b") == (Change("", "a", "b"),)
    assert changes({1: "a"}, {1: None}) == (Change("1", "a", "None"),)


def test_the_table_shows_each_as_code() -> None:
    found = [Change("gate", "a|b", ""), Change("x" * 400, "1" * 400, "2" * 400)]
    lines = table(found).splitlines()
    assert lines[:3] == [
        "| rule | now | after the merge |",
        "|---|---|---|",
        "| `gate` | `a b` | – |",
    ]
    assert len(lines) == 4
    assert "x" * 290 in lines[3]
    assert "x" * 301 not in lines[3]
    for one in "12":
        assert one * 290 in lines[3]
        assert one * 301 not in lines[3]
    assert table(found).endswith("|\n")


def test_two_rules_of_one_metric_are_two() -> None:
    def gate(least: float) -> object:
        return {
            "gate": [{"metric": "m:r2", "minimum": least}, {"metric": "m:r2", "measured": True}]
        }

    (found,) = changes(gate(0.4), gate(-9))
    assert (found.key, found.before, found.after) == ("gate[m:r2].minimum", "0.4", "-9")
