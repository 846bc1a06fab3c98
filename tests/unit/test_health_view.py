"""The health of a pipeline as people see it: Markdown, text and picture."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from model_gitops.core.health import picture, view
from model_gitops.core.health.deliveries import Deployment, Measures
from model_gitops.core.health.runs import Expected, Problem, Run, Watched
from model_gitops.core.health.view import Flow, Health

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
EVIL = "</text><script>alert(1)</script> | `x` @ada ::error::\x1b[2J"
RUN = Run(7, "https://forge.example/7", "push", EVIL, "completed", "failure", NOW)
WATCHED = Watched(
    Expected("w/deploy.yml", "deploy", ("1 2 * * *",), ("push",)), "active", None, (RUN,)
)
AT = int((NOW - timedelta(hours=2)).timestamp())
MEASURES = Measures("dev", 90, (Deployment("c", AT, taken_back=AT + 60),), 3600, 60, failed=1)
HEALTH = Health(
    NOW, 90, (WATCHED,), (Problem(EVIL, EVIL, EVIL, "javascript:alert(1)"),),
    (Flow(EVIL, (MEASURES,)), Flow("other", problem=EVIL)), (EVIL,),
)  # fmt: skip


def test_strangers_text_is_no_markup() -> None:
    # In a code span nothing is markup.
    shown = re.sub(r"`[^`]*`", "", view.markdown(HEALTH))
    assert [one for one in ("<script", "javascript", "@ada") if one in shown] == []
    assert "\x1b" not in view.text(HEALTH)
    drawn = picture.svg(HEALTH)
    tree = ElementTree.fromstring(drawn)
    assert {one.tag.rpartition("}")[2] for one in tree.iter()} == {
        "svg", "style", "rect", "text", "circle", "title",
    }  # fmt: skip


def test_the_measures_are_shown() -> None:
    shown = view.markdown(HEALTH)
    assert "| dev | 1 | 0.1 | 1 h | 1 (100%) | 1 min |" in shown
    well = replace(HEALTH, problems=(), flows=(Flow("m", (Measures("dev", 90),)),))
    assert "| dev | 0 | 0.0 | – | – | – |" in view.markdown(well)
    assert view.sentence(well) == "the pipeline is well"


def test_a_young_project_has_a_time_line_of_hours() -> None:
    drawn = picture.svg(HEALTH)
    assert "2026-11-30 12:00" in drawn
    old = replace(MEASURES, deployments=(Deployment("c", AT - 80 * 86400),))
    assert "2026-11-30 12:00" not in picture.svg(
        replace(HEALTH, watched=(), flows=(Flow("m", (old,)),))
    )
