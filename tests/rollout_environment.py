"""An environment of the deploy template that Argo Rollouts' own controller runs, in seconds in place of minutes."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from manifest_checks import TEMPLATE
from real_cluster import Cluster
from stand_in_prometheus import Asked

from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.verify import rollout
from model_gitops.core.verify.running import Seen
from model_gitops.core.verify.target import Target
from model_gitops_local import toolchain

NAME = "ghcr.io/acme/diabetes"
HASH = "rollouts-pod-template-hash"


@dataclass
class Carried:
    """One update: each state that the Rollout had, in its order, and what verify-deployment says of each."""

    rollouts: list[dict[str, Any]]
    target: Target
    since: str

    @property
    def states(self) -> list[dict[str, Any]]:
        """Return each status that is of the update."""
        found = [one["status"] for one in self.rollouts if "status" in one]
        return [one for one in found if one.get("currentPodHash") == found[-1]["currentPodHash"]]

    @property
    def said(self) -> list[Seen]:
        found = [rollout.of_rollouts([one], self.target) for one in self.rollouts]
        return [one for one in found if one]

    @property
    def last(self) -> dict[str, Any]:
        return self.states[-1]

    def at(self, step: int) -> list[dict[str, Any]]:
        """Return the states of a step in which nothing moved any more."""
        return [
            one
            for one in self.states
            if one.get("currentStepIndex") == step
            and one.get("readyReplicas") == one["replicas"] == one.get("availableReplicas")
        ]

    @property
    def steps(self) -> list[int]:
        """Return the steps in their order, each once for each time that it began."""
        seen = [one["currentStepIndex"] for one in self.states if "currentStepIndex" in one]
        return [step for at, step in enumerate(seen) if at == 0 or seen[at - 1] != step]


class Environment:
    """One overlay with a component, which a cluster runs: each deployment is a bump, a build, and what changed of it."""

    def __init__(
        self, cluster: Cluster, asked: Asked, folder: Path, overlay: str, component: str
    ) -> None:
        self.cluster, self.asked = cluster, asked
        self.root = shutil.copytree(TEMPLATE, folder / "deploy")
        self.overlay = self.root / "overlays" / overlay
        self.namespace = f"diabetes-{overlay}"
        self.impatient = False  # with pods that don't get ready
        self._applied: dict[str, dict[str, Any]] = {}
        file = self.overlay / "kustomization.yaml"
        text = file.read_text("utf-8") + f"components: [../../{component}]\n"
        file.write_text(text, "utf-8")

    def build(self, letter: str) -> list[dict[str, Any]]:
        """Return what the overlay is with the image whose digest is all this letter."""
        file = self.overlay / "kustomization.yaml"
        image = Image("diabetes", NAME, f"v{letter}", f"sha256:{letter * 64}")
        text = kustomization_edit.edit(file.read_text("utf-8"), [image], source="k")
        file.write_text(text, "utf-8")
        words = [toolchain.ensure("kustomize"), "build", self.overlay]
        text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return [self._hurried(one) for one in yaml.safe_load_all(text)]

    def _hurried(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["kind"] == "Rollout":
            for step in manifest["spec"]["strategy"].get("canary", {}).get("steps", []):
                if "pause" in step:
                    step["pause"] = {"duration": "1s"}
            if self.impatient:
                manifest["spec"]["progressDeadlineSeconds"] = 5
        if manifest["kind"] == "AnalysisTemplate":
            for argument in manifest["spec"]["args"]:
                if argument["name"] == "prometheus":
                    argument["value"] = self.asked.address
            for metric in manifest["spec"]["metrics"]:
                metric["interval"] = "1s"
                metric.pop("initialDelay", None)
                if web := metric["provider"].get("web"):
                    web["url"] = web["url"].replace("http:/", self.asked.address)
        return manifest

    def apply(self, manifests: list[dict[str, Any]]) -> None:
        """Apply what is not as it was applied before: so does Argo CD (`ApplyOutOfSyncOnly`)."""
        for one in manifests:
            path = self.cluster.path(one)
            if self._applied.get(path) != one:
                answer = self.cluster.apply(one)
                assert answer.ok, answer.text
                assert "Warning" not in answer.headers, answer.headers
                self._applied[path] = one

    def deploy(self, letter: str) -> Carried:
        """Carry an update until it rests: it is healthy, aborted, or waits for a person."""
        manifests = self.build(letter)
        (made,) = (one for one in manifests if one["kind"] == "Rollout")
        before = self.cluster.get(made).get("status", {})
        since = self.cluster.revision()
        self.apply(manifests)

        def rests() -> bool:
            now = self.cluster.get(made)
            status = now.get("status", {})
            new = status.get("currentPodHash") not in (None, before.get("currentPodHash"))
            seen = status.get("observedGeneration") == str(now["metadata"]["generation"])
            return new and seen and is_at_rest(status)

        self.until(rests, made)
        return Carried(self.cluster.history(made, since), target(letter), since)

    def until(self, done: Callable[[], bool], manifest: dict[str, Any]) -> None:
        limit = time.monotonic() + 300
        while not done():
            assert time.monotonic() < limit, self.cluster.get(manifest).get("status")
            time.sleep(0.2)

    def one(self, kind: str, name: str, api: str = "v1") -> dict[str, Any]:
        """Return the reference of a thing in the namespace."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": api, "kind": kind, "metadata": metadata}

    def rollout(self) -> dict[str, Any]:
        return self.one("Rollout", "diabetes", "argoproj.io/v1alpha1")

    def all(self, path: str, **labels: str) -> list[dict[str, Any]]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self.cluster.ask(
            "GET", path, params={"labelSelector": selector} if selector else {}
        )
        items: list[dict[str, Any]] = found.json()["items"]
        return items

    def pods(self, version: str) -> int:
        """Return how many pods a version has."""
        return len(self.all(f"/api/v1/namespaces/{self.namespace}/pods", **{HASH: version}))

    def analyses(self, version: str) -> list[dict[str, Any]]:
        """Return the AnalysisRuns of a version."""
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/analysisruns"
        return self.all(path, **{HASH: version})


def target(letter: str) -> Target:
    """Return what verify-deployment waits for."""
    return Target("", "diabetes", f"v{letter}", "", NAME, f"sha256:{letter * 64}", "")


def is_at_rest(status: dict[str, Any]) -> bool:
    paused = {one["reason"] for one in status.get("pauseConditions", [])}
    stable = status.get("stableRS")
    done = status["phase"] == "Healthy" and stable == status["currentPodHash"]
    aborted = status["phase"] == "Degraded" and status.get("abort", False)
    # That the stable version has all requests comes a little later.
    weight = status.get("canary", {}).get("weights", {}).get("canary", {}).get("weight")
    active = status.get("blueGreen", {}).get("activeSelector")
    returned = not weight and active in (None, stable)
    return bool(paused - {"CanaryPauseStep", "BlueGreenPause"}) or ((done or aborted) and returned)
