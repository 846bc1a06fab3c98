"""A small DVC project in a repository on the stand-in for GitHub, and the action as a step of it."""

from __future__ import annotations

import json
import os
import random
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from moments import next_moment

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.actions import cml_report
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge

BOT, READER, EVE = "bot-secret-token", "reader-secret-token", "eve-secret-token"
NAME = "acme/diabetes"
PNG = b"\x89PNG\r\n\x1a\n"
DVC_YAML = """\
metrics:
  - eval/metrics.json
params:
  - params.yaml
plots:
  - Learning curve:
      x: epoch
      y:
        eval/curve.csv: [training, validation]
  - Predicted against actual:
      template: scatter
      x: actual
      y:
        eval/predictions.csv: predicted
"""
PROMOTION = """\
model: diabetes
image: ghcr.io/acme/diabetes
environments:
  - {name: dev, branch: main}
  - {name: production, branch: production}
gate:
  - {metric: eval/metrics.json:r2, better: higher}
  - {metric: eval/metrics.json:error.rmse, better: lower}
"""


def project(quality: float, **extra: str) -> dict[str, str]:
    """Return a small DVC project whose model is the better the higher `quality` is."""
    chance = random.Random(1)
    curve = [f"{i},{80 / (1 + i * quality)},{85 / (1 + i * quality) + 2}" for i in range(60)]
    points = [(a, a + chance.gauss(0, 6 / quality)) for a in range(30, 300, 5)]
    metrics = {"r2": 0.4 + quality, "error": {"rmse": 60 + quality}, "size": 3}
    return {
        ".dvc/config": "",
        ".dvc/.gitignore": "/tmp\n/cache\n/config.local\n",
        "dvc.yaml": DVC_YAML,
        "promotion.yaml": PROMOTION,
        "params.yaml": f"train:\n  epochs: {int(1000 * quality)}\n  rate: 0.1\n",
        "eval/metrics.json": json.dumps(metrics),
        "eval/curve.csv": "\n".join(["epoch,training,validation", *curve]) + "\n",
        "eval/predictions.csv": "\n".join(["actual,predicted", *(f"{a},{p}" for a, p in points)])
        + "\n",
        **extra,
    }


@dataclass
class Flow:
    """A clone with a candidate checked out, the forge, and an open pull request."""

    forge: Forge
    git: Git
    bare: Path
    temporary: Path
    number: int
    set: Callable[[str, str], None]

    def commit(self, branch: str, files: dict[str, str]) -> str:
        if self.git.completed("switch", "--quiet", branch, check=False).returncode:
            self.git.run("switch", "--quiet", "-c", branch)
        for name, text in files.items():
            path = self.git.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "change", env=next_moment())
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()

    def on_pull_request(self) -> None:
        self._event("pull_request", self.forge.event("pull_request", NAME, self.number))

    def on_push(self, branch: str) -> None:
        after = self.git.run("rev-parse", "HEAD").strip()
        event = self.forge.event("push", NAME, branch=branch, before=after, after=after)
        self._event("push", event)
        self.set("GITHUB_REF", f"refs/heads/{branch}")
        self.set("GITHUB_SHA", after)

    def _event(self, kind: str, event: object) -> None:
        path = self.temporary / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        self.set("GITHUB_EVENT_PATH", str(path))
        self.set("GITHUB_EVENT_NAME", kind)

    def run(self, *, token: str = BOT, expect: int = 0, **inputs: str) -> dict[str, str]:
        """Run the action, as a step with `inputs`; return its outputs and its summary."""
        for name in ("output", "summary"):
            file = self.temporary / name
            file.unlink(missing_ok=True)
            self.set(f"GITHUB_{'STEP_' if name == 'summary' else ''}{name.upper()}", str(file))
        for one, _ in options.inputs_of(cml_report.command).values():
            os.environ.pop(options.variable(one.name), None)
        for name, value in inputs.items():
            self.set(options.variable(name), value)
        self.set(options.variable("token"), token)
        assert main(["cml-report"]) == expect
        outputs = {}
        if (self.temporary / "output").exists():
            text = (self.temporary / "output").read_text("utf-8")
            for found in re.finditer(r"^([\w-]+)<<(end-\w+)\n(.*?)\n\2$", text, re.M | re.S):
                outputs[found[1]] = found[3]
        summary = self.temporary / "summary"
        outputs["summary"] = summary.read_text("utf-8") if summary.exists() else ""
        return outputs

    def comments(self, place: int | str = 0) -> list[str]:
        api = GitHub(NAME, BOT, api_url=self.forge.api_url)
        return [one.body for one in api.list_comments(place or self.number)]

    def get(self, url: str, token: str = BOT) -> bytes:
        assert urlsplit(url).hostname == "127.0.0.1"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content


def pictures_in(markdown: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)
