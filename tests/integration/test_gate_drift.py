"""gate-drift as a step runs it: files in, outputs and a summary out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from model_gitops.__main__ import main


class Step:
    """Runs the action in a folder, as a runner starts it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        (folder / "work").mkdir()
        patch.chdir(folder / "work")
        patch.setenv("GITHUB_ACTIONS", "true")

    def write(self, name: str, data: Any) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data), encoding="utf-8")

    def run(self, **inputs: str) -> tuple[int, dict[str, str], str]:
        output, summary = self.folder / "output", self.folder / "summary"
        for path in (output, summary):
            path.unlink(missing_ok=True)
        self.patch.setenv("GITHUB_OUTPUT", str(output))
        self.patch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        code = main(
            ["gate-drift", *(f"--{key.replace('_', '-')}={value}" for key, value in inputs.items())]
        )
        text = output.read_text("utf-8") if output.exists() else ""
        found = re.findall(r"(?ms)^([\w-]+)<<(end-\w+)\n(.*?)\n\2$", text)
        return code, {name: value for name, _, value in found}, summary.read_text() if summary.exists() else ""  # fmt: skip


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    return Step(tmp_path, monkeypatch)


def ours(*drifts: bool) -> dict[str, Any]:
    return {
        "windows": [
            {"window": f"2026-W4{number}", "rows": 500, "drift": drift, "columns": {"bmi": {"drift": drift}}}
            for number, drift in enumerate(drifts)
        ]
    }  # fmt: skip


def test_one_bad_week_does_nothing_and_two_are_drift(step: Step) -> None:
    step.write("monitor/drift.json", ours(False, True))
    code, outputs, summary = step.run()
    assert (code, outputs["drift"], outputs["columns"]) == (0, "false", '["bmi"]')
    assert "### Drift gate: no alarm" in summary

    step.write("monitor/drift.json", ours(False, True, False, True))
    code, outputs, summary = step.run()
    assert code == 0
    assert outputs["drift"] == "true"
    assert json.loads(outputs["windows"]) == ["2026-W41", "2026-W43"]
    assert outputs["summary"].startswith("Drift: 2 of the last 4 windows drift")
    assert "○ ● ○ ●" in summary
    assert outputs["table"].strip() in summary
    # Again: nothing else is said.
    assert step.run() == (code, outputs, summary)


def test_drift_ends_the_step_only_where_that_is_asked_for(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    step.write("monitor/drift.json", ours(True, True))
    code, outputs, _ = step.run(check="true")
    assert (code, outputs["drift"]) == (3, "true")
    assert "::error" in capsys.readouterr().out
    step.write("monitor/drift.json", ours(True, False))
    assert step.run(check="true")[0] == 0


def test_a_file_for_each_week_in_the_order_of_their_names(step: Step) -> None:
    for week, drift in (("W09", True), ("W10", True), ("W08", False)):
        step.write(f"weeks/2026-{week}.json", {"drift": drift})
    _, outputs, _ = step.run(file="weeks/*.json", rule="2 of 2 windows")
    assert json.loads(outputs["windows"]) == ["2026-W09", "2026-W10"]
    _, outputs, _ = step.run(file="weeks/2026-W10.json\nweeks/2026-W08.json", rule="1 of 1")
    assert (outputs["drift"], outputs["windows"]) == ("false", "[]")


def test_of_several_models_files_are_in_the_models_folder(step: Step) -> None:
    step.write("models/a/monitor/drift.json", ours(True, True))
    for config in ("models/a/promotion.yaml", "models/a"):
        assert step.run(config=config)[1]["drift"] == "true"
        assert step.run(config=config, file="monitor/*.json")[1]["drift"] == "true"


def test_too_few_windows_and_none_are_no_alarm_and_it_says_so(step: Step) -> None:
    step.write("monitor/drift.json", {"windows": []})
    for inputs in ({}, {"file": "weeks/*.json"}):
        code, outputs, summary = step.run(**inputs)
        assert (code, outputs["drift"], outputs["table"]) == (0, "false", "")
        assert "there is no window yet" in summary
    step.write("monitor/drift.json", ours(True))
    code, outputs, _ = step.run()
    assert "1 window can be judged, and the rule is 2 of 5 windows" in outputs["summary"]
    assert (code, outputs["drift"]) == (0, "false")


def test_a_gate_that_can_judge_no_window_warns(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a service with few requests would be watched by nobody, and look well."""
    step.write("monitor/drift.json", ours(False, True, True))
    assert step.run(minimum_rows="501")[1]["drift"] == "false"
    assert "::warning title=Drift::No alarm: 0 windows can be judged" in capsys.readouterr().out
    step.run(minimum_rows="500", rule="3 of 3")
    assert "::notice title=Drift::No alarm: 2 of the last 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"file": "nowhere.json"}, "No such file"),
        ({"file": ""}, "input `file` is empty"),
        ({"file": "."}, "it can't be read"),
        ({"file": "link.json"}, "leads out of the checkout"),
        ({"file": "../*.json"}, "a pattern is within the checkout"),
        ({"file": "**/*.json"}, "a pattern is within the checkout"),
        ({"drift": "no.such"}, "none of 1 windows says at `no.such` whether it drifted"),
        ({"minimum_rows": "many"}, "it is no whole number"),
        ({"rule": "some"}, "it is no rule"),
    ],
)
def test_wrong_inputs_say_what_to_do(
    step: Step, inputs: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step.write("monitor/drift.json", ours(True))
    step.write("../outside.json", ours(True))
    Path("link.json").symlink_to("../outside.json")
    code, outputs, _ = step.run(**inputs)
    told = capsys.readouterr()
    assert (code, outputs) == (2, {})
    assert says in told.out + told.err
