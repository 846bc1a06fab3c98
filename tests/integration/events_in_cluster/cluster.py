"""The pods of the WorkflowTemplate on this machine, and the steps of deploy.yml to compare them with."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from promotion_world import Flow
from world import MODEL, READER, TOKEN

from model_gitops.adapters import process
from model_gitops.errors import ExternalError

ROOT = Path(__file__).parents[3]
EVENTS = ROOT / "templates" / "deploy" / "events"
DEPLOY_YML = ROOT / "templates" / "model" / ".github" / "workflows" / "deploy.yml"


@dataclass
class Pod:
    """One run of the program that a pod of the Workflow is."""

    code: int
    log: str
    out: dict[str, str]


@dataclass
class Cluster:
    """What a pod finds in the cluster: secrets in files, and `model-gitops`."""

    top: Path
    flow: Flow
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secret("source/token", TOKEN)
        tool = self.top / "bin" / "model-gitops"
        tool.parent.mkdir(parents=True)
        scripts = shlex.quote(str(ROOT / "scripts"))
        tool.write_text(
            f'#!/bin/sh\necho "$1" >> {shlex.quote(str(self.calls))}\n'
            f'exec {shlex.quote(sys.executable)} -I {scripts} "$@"\n'
        )

    @property
    def calls(self) -> Path:
        return self.top / "calls"

    def secret(self, name: str, text: str) -> None:
        file = self.top / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def pod(self, part: str, ref: str, before: str, commit: str, **more: str) -> Pod:
        """Run a part as its pod does, with what the webhook said."""
        self.secret("deploy/token", TOKEN if part == "deploy" else READER)
        out = self.top / "out"
        env = {
            "PATH": os.environ["PATH"],
            "MODEL_GITOPS": f"/bin/sh {shlex.quote(str(self.top / 'bin' / 'model-gitops'))}",
            "HOME": str(self.top),
            "SECRETS": str(self.top / "secrets"),
            "OUT": str(out),
            "WORK": str(self.top / f"work-{part}"),
            "REPOSITORY": f"{self.flow.forge.url}/{MODEL}",
            "GITHUB_API_URL": self.flow.forge.api_url,
            "PUSHED_REF": ref,
            "PUSHED_BEFORE": before,
            "PUSHED_COMMIT": commit,
            **self.env,
            **more,
        }
        done = process.run(
            [sys.executable, "-I", EVENTS / "deliver.py", part],
            env=env, inherit=False, check=False, timeout=300,
        )  # fmt: skip
        found = {one.name: one.read_text("utf-8") for one in out.iterdir()} if out.exists() else {}
        return Pod(done.returncode, done.stdout + done.stderr, found)

    def deliver(self, ref: str, before: str, commit: str) -> list[Pod]:
        """What the Workflow does for an event that needs no image to be built."""
        first = self.pod("build", ref, before, commit)
        if first.code or first.out["state"] == "nothing":
            return [first]
        assert first.out["state"] == "promote", first.log
        return [first, self.pod("deploy", ref, before, commit, **built(first))]


def built(pod: Pod) -> dict[str, str]:
    """What the Workflow hands from its first pod to later ones."""
    names = ("image", "version", "sha256", "fingerprint")
    return {f"BUILT_{name.upper()}": pod.out[name] for name in names}


def run_deploy_yml(flow: Flow, secrets: Mapping[str, str]) -> None:
    """Run the steps of deploy.yml that are ours, each with the inputs that the workflow gives it."""
    jobs = yaml.safe_load(DEPLOY_YML.read_text("utf-8"))["jobs"]
    known: dict[str, dict[str, str]] = {"github.actor": {}}
    for name in ("check", "deploy"):
        for step in jobs[name]["steps"]:
            action = re.fullmatch(r"model-gitops/model-gitops/actions/(\S+)@v0", step["uses"])
            if not action or not value(step.get("if", "true"), known, secrets):
                continue
            given = {key: fill_in(str(text), known, secrets) for key, text in step["with"].items()}
            if action[1] in ("check-promotion", "status"):
                given["source-token"] = READER  # the input's default: the job's token
            try:
                found = flow.outputs(action[1], **given)
            except (AssertionError, ExternalError):
                assert step.get("continue-on-error")
                found = {}
            if "id" in step:
                known[f"steps.{step['id']}.outputs"] = found
        if name == "check":
            outputs = jobs[name]["outputs"]
            known["needs.check.outputs"] = {
                key: fill_in(text, known, secrets) for key, text in outputs.items()
            }


def fill_in(text: str, known: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """Fill in the expressions of a text, as far as deploy.yml uses them."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda one: str(value(one[1], known, secrets) or ""), text
    ).rstrip("\n")


def value(expression: str, known: Mapping[str, Any], secrets: Mapping[str, str]) -> Any:
    def look_up(path: re.Match[str]) -> str:
        place, _, name = path[0].rpartition(".")
        if path[0].endswith(".outcome"):
            return repr("success")
        return repr(
            secrets.get(name, "") if place == "secrets" else known.get(place, {}).get(name, "")
        )

    text = re.sub(r"\b(?:needs|steps|secrets|github|vars)(?:\.[\w-]+)+", look_up, expression)
    text = text.replace("always()", "True").replace("||", " or ").replace("&&", " and ")
    return eval(text.strip(), {"true": True})
