"""run-training killed at its requests: the next one goes on where it was, and starts no second training.

The long form (`MODEL_GITOPS_RELIABILITY=full`) kills before and after every request to the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kills import FULL, Step, left_behind
from training_site import SECRET, TrainingSite, image_lines, training
from verify_site import MODEL, READER, WRITER, github_description

__all__ = ["github_description", "training"]

pytestmark = pytest.mark.usefixtures("clean_environment")


def step_of(site: TrainingSite, folder: Path) -> Step:
    inputs = {
        "environment": "staging", "argo-server": site.server.url, "argo-token": SECRET, "timeout": "60s",
        "token": READER, "source-token": WRITER,
    }  # fmt: skip
    forge = site.site.forge
    runner = {
        "GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url, "GITHUB_REPOSITORY": MODEL,
        "GITHUB_RUN_ID": "7",
    }  # fmt: skip
    folder.mkdir()
    return Step(folder, site.site.work.directory, "run-training", inputs, runner)


def new_images(site: TrainingSite, word: str) -> None:
    told = site.bump(image_lines(word))
    assert told.outputs["operation"] == "pushed", told.log
    site.sync()


def test_a_killed_training_goes_on_and_is_started_once(
    training: TrainingSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    survived: Counter[str],
) -> None:
    argo, ordinary = training.argo, training.argo.answer

    def cut_at(number: int, side: str) -> Callable[[Callable[[], None]], None]:
        asked = 0

        def arrange(kill: Callable[[], None]) -> None:
            def answer(method: str, target: str, body: Any) -> tuple[int, Any]:
                nonlocal asked
                asked += 1
                if (asked, side) == (number, "before"):
                    kill()
                    return 500, {}
                found = ordinary(method, target, body)
                if (asked, side) == (number, "after"):
                    kill()
                return found

            monkeypatch.setattr(argo, "answer", answer)

        return arrange

    new_images(training, "whole")
    step = step_of(training, tmp_path / "whole")
    assert step.run(monkeypatch)[1]["operation"] == "started"
    methods = [method for method, _ in argo.asked]
    start = methods.index("POST") + 1
    chosen = range(1, len(methods) + 1) if FULL else (start, len(methods))
    times = [(number, side) for number in chosen for side in ("before", "after")]
    for number, side in times:
        moment = f"{number}-{side}"
        new_images(training, moment)
        before = len(argo.started)
        step = step_of(training, tmp_path / moment)
        step.killed_by(cut_at(number, side))
        monkeypatch.setattr(argo, "answer", ordinary)
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["state"]) == (0, "success"), moment
        assert len(argo.started) - before == 1, f"a second training after a kill at {moment}"
        was_there = number > start or (number, side) == (start, "after")
        assert outputs["operation"] == ("found" if was_there else "started"), moment
        assert training.statuses()[0][0] == "success"
        assert left_behind(step) == set(), "the killed step's files are still there"
    survived["kills"] += len(times)
