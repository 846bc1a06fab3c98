"""An experiment whose training gives another model each time: one content, one version."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from model_gitops_local.flow import MODEL, Flow

BRANCH = "experiment/other-each-time"


def train_otherwise(folder: Path) -> None:
    """Let each training give another model, as one on a GPU does."""
    file = folder / "src" / "diabetes" / "train.py"
    text = file.read_text("utf-8").replace("import sys\n", "import sys\nimport uuid\n")
    marked = text.replace('"target": target}', '"target": target, "run": uuid.uuid4().hex}')
    assert text != marked
    file.write_text(marked, "utf-8")


def test_neither_the_commit_back_nor_a_run_again_makes_a_second_version(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()

    def versions() -> list[str]:
        return flow.bare(MODEL).run("tag", "--list", "diabetes@*").split()

    def trained() -> int:
        newest = max((flow.root / "runs").glob("*.log"))
        return len(re.findall(r"Running stage 'train'", newest.read_text("utf-8")))

    pushed = flow.commit(BRANCH, train_otherwise, "Train otherwise")
    event = flow.forge.event("push", MODEL, branch=BRANCH, sender="ada")
    first = flow.pushed(BRANCH, "experiment.yml")
    assert first.status == 0, (first.failed_step, first.errors, first.log[-3000:])
    assert (trained(), versions()) == (1, ["diabetes@v0.0.1"])
    made = flow.bare(MODEL).run("rev-parse", f"refs/heads/{BRANCH}").strip()
    assert flow.bare(MODEL).run("rev-parse", f"{made}^").strip() == pushed
    # A run cache there would speak for runs that other branches have yet to do.
    assert [one.name for one in (flow.root / "remote").iterdir()] == ["files"]

    # What an App's token pushed starts a run of its own.
    back = flow.pushed(BRANCH, "experiment.yml")
    assert back.status == 0, (back.failed_step, back.errors, back.log[-3000:])
    assert (trained(), versions()) == (0, ["diabetes@v0.0.1"])
    assert back.outputs["Register the model version"]["operation"] == "none"

    # Somebody presses "Re-run all jobs" on the first one.
    again = flow.run_again("experiment.yml", event, pushed)
    assert again.status == 0, (again.failed_step, again.errors, again.log[-3000:])
    assert (trained(), versions()) == (0, ["diabetes@v0.0.1"])
    assert again.outputs["Register the model version"]["version"] == "v0.0.1"
    assert flow.bare(MODEL).run("rev-parse", f"refs/heads/{BRANCH}").strip() == made

    # The branch has moved on meanwhile: said before anything is trained.
    flow.commit(BRANCH, lambda folder: (folder / "notes.md").write_text("x\n") and None, "Note")
    late = flow.run_again("experiment.yml", event, pushed)
    assert late.failed_step == "Take what an earlier run of this commit committed"
    assert late.errors == [
        f"{BRANCH} has moved on: the run of its newer commit reproduces that one"
    ]
    assert (trained(), versions()) == (0, ["diabetes@v0.0.1"])
