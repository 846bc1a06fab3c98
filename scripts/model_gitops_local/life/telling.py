"""How the story is told: its parts in order, each with its runs, pictures and how it ended."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from model_gitops.core import document, workflow
from model_gitops.errors import ExternalError
from model_gitops_local import act, demo_page
from model_gitops_local.demo import clock
from model_gitops_local.flow import DEPLOY, MODEL, Flow


@dataclass
class Telling:
    """The story's folder, the flow that it is about, and what happened."""

    folder: Path
    flow: Flow
    started: float = field(default_factory=time.monotonic)
    hops: list[demo_page.Hop] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    began: float = 0
    head: str = ""

    def draw(self, name: str, title: str, svg: str) -> None:
        """Keep a picture, and show it with what happens now."""
        file = self.folder / "pictures" / f"{name}.svg"
        file.parent.mkdir(exist_ok=True)
        file.write_text(svg, encoding="utf-8")
        self.hops[-1].pictures.append({"title": title, "file": self.relative(file)})

    def begin(self, title: str) -> None:
        """Begin a part of the story."""
        self.title(title)
        self.hops.append(demo_page.Hop(title))
        self.began = time.monotonic()

    def end(self, outcome: str, said: str = "", *, deployed: str = "") -> None:
        """Note how the part ended: with `deployed`, a commit of the deploy repository."""
        hop = self.hops[-1]
        hop.outcome, hop.said = outcome, said
        hop.seconds = time.monotonic() - self.began
        if deployed:
            hop.commit = deployed
            hop.diff = self.flow.bare(DEPLOY).run("show", "--format=%B", "--patch", deployed)
        say(f"{outcome}, in {demo_page.spell(hop.seconds)}: {said}")

    def expect_success(self, run: act.Run) -> None:
        """Keep a run. Raises ExternalError where it failed."""
        self.keep_run(run)
        if run.status:
            errors = "\n".join(run.errors) or run.log[-3000:]
            raise ExternalError(
                f"a workflow of the story failed at {run.failed_step!r}:\n{errors}",
                fix=f"read the newest log in {self.flow.root / 'runs'}",
            )

    def keep_run(self, run: act.Run, *, shown: bool = True) -> None:
        """Keep a run; without `shown` not as a part of what happens now."""
        log = self.relative(run.log_file)
        if shown:
            self.hops[-1].runs.append(
                {"workflow": run.workflow, "seconds": run.seconds, "log": log}
            )
        self.remember(run)
        say(f"  {run.workflow} took {demo_page.spell(run.seconds)}")

    def remember(self, run: act.Run) -> None:
        """Let the forge know of a run as GitHub would: act tells nobody."""
        text = self.flow.bare(MODEL).file_at("main", f".github/workflows/{run.workflow}") or ""
        data = document.load_yaml(text, source=run.workflow) or {}
        events = workflow.triggers(data)
        event = next(iter(events), "push")
        self.flow.forge.add_workflow(MODEL, run.workflow, name=str(data.get("name", "")))
        began = datetime.now(UTC) - timedelta(seconds=run.seconds)
        self.flow.forge.add_workflow_run(
            MODEL,
            run.workflow.removesuffix(".yml"),
            event=event,
            branch=self.head if run.workflow == "experiment.yml" else "main",
            created=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            conclusion="failure" if run.status else "success",
            took=round(run.seconds),
        )

    def relative(self, path: Path) -> str:
        """Return a path from the story's folder."""
        return path.resolve().relative_to(self.folder.resolve()).as_posix()

    def title(self, text: str) -> None:
        """Say what begins, and when."""
        say(f"\n[{clock(time.monotonic() - self.started)}] {text}")


def say(text: str) -> None:
    """Tell a person what happens."""
    print(text, file=sys.stderr, flush=True)
