"""hold.yml of the templates, run by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from model_gitops_local.flow import DEPLOY, Flow

pytestmark = pytest.mark.slow

FILE = "overlays/production/hold.yaml"
# What a person types is no shell, no expression and no workflow command.
REASON = "p95 $(touch pwned) `too` ${{ github.token }} ::error::high"


def test_an_environment_is_held_and_released_by_hand(new_flow: Callable[[], Flow]) -> None:
    flow = new_flow()
    bare = flow.bare(DEPLOY)
    asked = {"environment": "production", "config": "promotion.yaml"}
    run = flow.dispatched("hold.yml", **asked, operation="hold", reason=REASON, until="2h")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    held = run.outputs["Hold it, or release it"]
    assert (held["operation"], held["environment"]) == ("held", "production")
    text = bare.file_at("main", FILE) or ""
    assert f'until: "{held["until"]}"' in text
    assert REASON in text and run.errors == []

    run = flow.dispatched("hold.yml", **asked, operation="hold", reason="", until="")
    assert run.status != 0 and bare.file_at("main", FILE) == text
    assert any("`reason` is empty" in one for one in run.errors)

    run = flow.dispatched("hold.yml", **asked, operation="release", reason="", until="")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert run.outputs["Hold it, or release it"]["operation"] == "released"
    assert bare.file_at("main", FILE) is None
