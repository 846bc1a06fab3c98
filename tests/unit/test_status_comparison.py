"""The incumbent beside the candidate, where there is little to say of one of them."""

from __future__ import annotations

from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import status
from model_gitops.core.lineage.status import Candidate, Status

PROMOTION = Promotion("m", "r.example/m", (Environment("dev", "main"),))
NEW = Candidate("exp", "c" * 40, "v0.0.1", "a" * 32, f"r.example/m:t@sha256:{'b' * 64}")


def rows(table: str) -> dict[str, tuple[str, str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {row[0]: (row[1], row[2]) for row in cells if len(row) == 3}


def test_where_nothing_runs_only_the_candidate_is_shown() -> None:
    shown = rows(status.comparison(Status("dev", "main"), NEW, PROMOTION))
    assert shown["version"] == ("–", "v0.0.1")
    assert shown["image"] == ("–", f"`{'b' * 12}`")
    assert shown["by"] == ("–", "`exp`")
    assert not {"since", "in sync"} & set(shown)


def test_an_overlay_that_can_not_be_read_is_said_with_what_to_do() -> None:
    broken = Status("dev", "main", problem="no such folder", fix="git revert HEAD")
    table = status.comparison(broken, NEW, PROMOTION)
    assert rows(table)["in sync"][0] == "❌"
    assert "no such folder" in table
    assert "`git revert HEAD`" in table


def test_what_could_not_be_asked_is_noted() -> None:
    table = status.comparison(Status("dev", "main"), NEW, PROMOTION, ["registry: no answer"])
    assert table.rstrip().endswith("❔ registry: no answer")
