"""A model, its evaluation, its remotes and the deploy repository, for compare-models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.cli import main as dvc_main

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core.flow import measured
from model_gitops.options import variable

SCRIPTS = Path(__file__).parents[3] / "scripts"
IMAGE = "registry.example/acme/m"

# A model is the slope of a line; the test set is measured with it, group by group.
EVALUATE = """\
import json, os, pathlib
model = json.loads(pathlib.Path("models/m.json").read_text())["slope"]
rows = [line.split(",") for line in pathlib.Path("data/test.csv").read_text().split()[1:]]
errors = [abs(float(y) - model * float(x)) for x, y, _ in rows]
out = pathlib.Path("eval")
out.mkdir(exist_ok=True)
(out / "metrics.json").write_text(json.dumps({"mae": round(sum(errors) / len(errors), 6)}))
lines = [f"{y},{model * float(x):.6f},{group}" for x, y, group in rows]
(out / "predictions.csv").write_text("\\n".join(["actual,predicted,group", *lines]) + "\\n")
print("evaluated slope", model)
"""
DVC_YAML: dict[str, Any] = {
    "stages": {
        "train": {"cmd": "true", "deps": ["train.py"], "outs": ["models/m.json"]},
        "evaluate": {
            "cmd": f"{sys.executable} ${{script}}",
            "deps": ["evaluate.py", "data/test.csv", "models/m.json"],
            "metrics": [{"eval/metrics.json": {"cache": False}}],
            "outs": [{"eval/predictions.csv": {"cache": False}}],
        },
    },
    "artifacts": {"m": {"path": "models/m.json", "type": "model"}},
}
RULES: dict[str, Any] = {
    "model": "m",
    "image": IMAGE,
    "environments": [{"name": "dev", "branch": "main"}],
    "gate": [{"metric": "eval/metrics.json:mae", "better": "lower", "measured": True}],
    "compare": {"predictions": "eval/predictions.csv", "slices": "group"},
}
METRIC = "eval/metrics.json:mae"


def data(noise: float) -> str:
    """A test set of y = 2x, and a group that lies above it; `noise` makes it a harder one."""
    rows = [
        f"{x},{2 * x + noise * (x % 7 - 3) + 3 * (x % 4 == 0):g},{'old' if x % 4 == 0 else 'young'}"
        for x in range(1, 81)
    ]
    return "\n".join(["x,y,group", *rows]) + "\n"


@dataclass
class Told:
    """An action that ended."""

    code: int
    outputs: dict[str, str]
    log: str
    summary: str

    @property
    def measured(self) -> measured.Measured:
        assert self.code == 0, self.log
        return measured.parse(self.outputs["measured"])

    @property
    def difference(self) -> measured.Difference:
        return self.measured.differences[METRIC]


@dataclass
class Project:
    """The checkout of a job, its Git remote, its DVC remote, and the deploy repository."""

    top: Path
    rules: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)

    @property
    def git(self) -> Git:
        return Git(self.top / "work")

    @property
    def temporary(self) -> Path:
        return self.top / "temporary"

    def change(
        self, branch: str, *, slope: float | None = None, noise: float | None = None,
        files: Mapping[str, str | bytes] | None = None, rules: Mapping[str, Any] | None = None,
        start: str = "main", test: str | None = None,
    ) -> str:  # fmt: skip
        """Commit on `branch`, which starts at the server's `start`; DVC writes the lock, and pushes."""
        git, work = self.git, self.top / "work"
        if git.run("ls-remote", "origin").strip():
            git.run("fetch", "--quiet", "origin")
            git.run("checkout", "--quiet", "--detach", f"origin/{start}")
        written: dict[str, str | bytes] = dict(files or {})
        if rules is not None:
            written["promotion.yaml"] = json.dumps(self.rules | rules)
        for name, content in written.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content.encode() if isinstance(content, str) else content)
        for name in ("data/test.csv", "models/m.json"):
            (work / name).parent.mkdir(exist_ok=True)
        if noise is not None or test is not None:
            text = data(noise or 0) if test is None else test
            (work / "data/test.csv").write_text(text)
            dvc(work, "add", "data/test.csv")
        else:
            dvc(work, "checkout", "--force", "data/test.csv.dvc")
        if slope is not None:
            (work / "models" / "m.json").write_text(json.dumps({"slope": slope}))
        elif not any(name.startswith("models/") for name in written):
            dvc(work, "checkout", "--force", "train")
        dvc(work, "commit", "--force", "train")
        dvc(work, "repro", "--single-item", "--force", "evaluate")
        dvc(work, "push")
        git.run("add", "--all")
        git.run("commit", "--quiet", "--message", f"Change {branch}")
        git.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return git.run("rev-parse", "HEAD").strip()

    def plain(self, commit: str) -> float:
        """The number that the commit's own metrics file says."""
        return float(json.loads(self.git.run("show", f"{commit}:eval/metrics.json"))["mae"])

    def deploy(self, commit: str, hash: str = "") -> None:
        """Let dev run the model of `commit`, as bump-kustomize-tag writes it."""
        lock = self.git.run("show", f"{commit}:dvc.lock")
        own = re.findall(r"path: models/m\.json\s+hash: md5\s+md5: (\w+)", lock)[0]
        git = Git(self.top / "deploy")
        digest = "sha256:" + git.run("rev-list", "--count", "HEAD").strip() * 64
        file = git.directory / "overlays" / "dev" / "kustomization.yaml"
        file.write_text(f"images:\n- name: {IMAGE}\n  newTag: {commit}\n  digest: {digest}\n")
        trailers = {
            "Model": "m@v0.0.1", "Model-Hash": hash or own, "Image-Digest": digest,
            "Source-Repository": "acme/m", "Source-Commit": commit,
        }  # fmt: skip
        text = "\n".join(f"{key}: {value}" for key, value in trailers.items())
        git.run("commit", "--quiet", "--all", "--message", f"Deploy\n\n{text}")
        git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")

    def start(self, **inputs: str) -> subprocess.Popen[str]:
        for name in ("output", "summary"):
            (self.top / name).unlink(missing_ok=True)
        own = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
        runner = {
            "GITHUB_OUTPUT": str(self.top / "output"),
            "GITHUB_STEP_SUMMARY": str(self.top / "summary"),
            "RUNNER_TEMP": str(self.temporary),
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-u", SCRIPTS, "compare-models"],
            cwd=self.top / "work", env=process.environment({**runner, **self.env, **own}),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, **inputs: str) -> Told:
        ran = self.start(**{"base_ref": "main", **inputs})
        log, _ = ran.communicate(timeout=300)
        output, summary = (
            file.read_text() if (file := self.top / name).exists() else ""
            for name in ("output", "summary")
        )
        found = re.findall(r"^([a-z-]+)<<(\S+)\n(.*?)\n\2$", output, re.MULTILINE | re.DOTALL)
        return Told(ran.returncode, {name: value for name, _, value in found}, log, summary)

    def tip(self, branch: str = "main") -> str:
        """The commit that the server's branch is at."""
        return self.git.run("ls-remote", "origin", f"refs/heads/{branch}").split()[0]

    def left(self) -> list[str]:
        """What is left of the work tree of the base."""
        linked = self.git.run("worktree", "list", "--porcelain").count("worktree ") - 1
        return [*(path.name for path in self.temporary.iterdir()), *["linked"] * linked]


def dvc(directory: Path, *words: str) -> None:
    """Run DVC in this process: starting it takes longer than what it does here."""
    assert dvc_main(["--cd", str(directory), *words, "--quiet"]) == 0
