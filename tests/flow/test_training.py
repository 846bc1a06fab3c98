"""New images train by components.yml, under act, and only what trained well is proposed to production."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeflow_world import kfp_python, stand_in
from small_components import NAMES, jobs, overlay, small, well, write
from training_site import Argo, ArgoServer, built, digest

from model_gitops.core.deploy.trailers import read_trailers
from model_gitops_local.flow import DEPLOY, MODEL, PERSON, Flow

__all__ = ["kfp_python"]

pytestmark = [pytest.mark.docker, pytest.mark.slow]

STAGING, PRODUCTION = "training/overlays/staging", "training/overlays/production"
CONTEXT = "model-gitops/training-staging"


def deployed(flow: Flow) -> None:
    """Let staging have an image of each component, as the bump of an earlier run set them."""
    commit = flow.bare(MODEL).commit_of("refs/heads/main")
    git = flow.clone(DEPLOY, "main", flow.root / "new" / "deploy")
    file = git.directory / STAGING / "kustomization.yaml"
    text = file.read_text("utf-8").replace("ghcr.io/", f"{flow.parts.registry}/")
    for name in NAMES:
        text = re.sub(
            rf"(diabetes-{name}\n +newTag: ).*", rf"\g<1>{commit}\n    digest: {digest(name)}", text
        )
    file.write_text(text, "utf-8")
    digests = "\n".join(f"Image-Digest: {digest(name)}" for name in NAMES)
    message = f"Train\n\n{digests}\nSource-Repository: {MODEL}\nSource-Commit: {commit}\n"
    git.run("commit", "--quiet", "--all", "--message", message, env=PERSON)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")


class Cluster:
    """Argo CD and Argo Workflows: what the deploy repository has is applied at each look."""

    def __init__(self, flow: Flow) -> None:
        self.argo = Argo()
        self.server = ArgoServer(self.argo)
        self._flow, self._tip = flow, ""
        self.argo.on_request = self.sync

    def sync(self) -> None:
        tip = self._flow.bare(DEPLOY).commit_of("refs/heads/main") or ""
        if tip != self._tip:
            git = self._flow.clone(DEPLOY, "main", self._flow.root / "new" / "argo-cd")
            self.argo.apply(built(git.directory / STAGING))
            self._tip = tip


@pytest.fixture
def flow(new_flow: Callable[[], Flow]) -> Flow:
    """A flow whose staging trains with four images, of components that are built in a second."""
    made = new_flow()
    made.commit("main", small, "Small components")
    deployed(made)
    return made


def pushed(flow: Flow, message: str, files: Mapping[str, str]) -> tuple[str, Any]:
    """Change files on main, and play the push."""
    commit = flow.commit("main", write(files), message)
    return commit, flow.pushed("main", "components.yml")


def statuses(flow: Flow, commit: str) -> list[tuple[str, str]]:
    """The statuses of a commit, oldest first: state and description."""
    repository = flow.forge.state.find(MODEL)
    assert repository is not None
    found = [one for one in repository.statuses if one.sha == commit]
    assert {one.context for one in found} <= {CONTEXT}
    return [(one.state, one.description or "") for one in found]


def images(flow: Flow, revision: str, place: str) -> dict[str, str]:
    """What an overlay sets: component → digest."""
    text = flow.bare(DEPLOY).file_at(revision, f"{place}/kustomization.yaml") or ""
    return {one["name"].removeprefix("diabetes-"): one.get("digest", "") for one in yaml.safe_load(text)["images"]}  # fmt: skip


def proposals(flow: Flow) -> dict[int, str]:
    """The open pull requests of the deploy repository: number → commit."""
    return {
        number: flow.bare(DEPLOY).run("rev-parse", f"refs/pull/{number}/head").strip()
        for number in flow.open_pulls(DEPLOY)
    }


def test_two_new_images_train_and_what_trained_well_is_proposed(flow: Flow) -> None:
    cluster = Cluster(flow)
    argo = cluster.argo
    flow.variables["ARGO_SERVER"] = cluster.server.url
    # Of no use to a model that trains on Argo.
    flow.variables["KUBEFLOW_SERVER"] = "http://127.0.0.1:9"

    # Two builds, one commit, one diff of four lines; then they train, and are proposed.
    deploy, before = flow.bare(DEPLOY), overlay(flow)
    commit, run = pushed(flow, "Change what two share", {"src/shared.txt": "2\n"})
    well(run)
    assert [one.rpartition("/")[2] for one in jobs(run, "Build components")] == ["preprocess", "train"]  # fmt: skip
    assert (
        deploy.run("diff", "--numstat", "main~1", "main") == f"4\t4\t{STAGING}/kustomization.yaml\n"
    )
    after = overlay(flow)
    assert {name for name in NAMES if after[name] != before[name]} == {"preprocess", "train"}
    assert after["train"][0] == after["preprocess"][0] == commit
    said = read_trailers(deploy.run("log", "-1", "--format=%B", "main"))
    assert said["source-commit"] == [commit]
    assert said["image-digest"] == [after["preprocess"][1], after["train"][1]]
    assert len(said["image-fingerprint"]) == 2
    trained = images(flow, "main", STAGING)
    (started,) = argo.started
    assert f"revision={commit}" in started["submitOptions"]["parameters"]
    name = started["submitOptions"]["name"]
    key = name.removeprefix("diabetes-training-")
    assert statuses(flow, commit) == [
        ("pending", f"images {key} train"),
        ("success", f"images {key} trained well"),
    ]
    ((number, head),) = proposals(flow).items()
    assert images(flow, head, PRODUCTION) == trained
    assert deploy.run("diff", "--name-only", "main", head).split() == [
        f"{PRODUCTION}/kustomization.yaml"
    ]
    assert f"Source-Commit: {commit}" in deploy.run("log", "-1", "--format=%B", head)
    assert argo.tokens == {f"Bearer {flow.tokens['ARGO_TOKEN']}"}
    assert flow.tokens["ARGO_TOKEN"] not in run.log

    # What fails is set in staging, and goes no further.
    argo.outcome = "Failed"
    commit, run = pushed(flow, "Change one", {"components/test/own.txt": "2\n"})
    assert run.status != 0
    assert images(flow, "main", STAGING) != trained
    assert any("train: OOMKilled (exit code 137)" in one for one in run.errors), run.errors
    assert [state for state, _ in statuses(flow, commit)] == ["pending", "failure"]
    assert proposals(flow) == {number: head}
    results = {step: result for _, step, result in run.steps}
    assert results["Which images have trained well?"] == "failure"
    assert results["Is it a fault that nothing is proposed?"] == "failure"
    assert "Propose them in the deploy repository" not in results
    assert argo.violations == []
    cluster.server.stop()


def on_kubeflow(folder: Path) -> None:
    """Train on Kubeflow from now on, with another image of one component."""
    file = folder / "promotion.yaml"
    engine = "  components: components\n  engine: kubeflow\n"
    text, count = re.subn(r"(?m)^  components: components.*\n", engine, file.read_text("utf-8"))
    assert count == 1
    file.write_text(text, "utf-8")
    (folder / "components" / "test" / "own.txt").write_text("2\n", "utf-8")


def test_a_new_image_trains_on_kubeflow_by_its_digest(flow: Flow, kfp_python: Path) -> None:
    with stand_in(kfp_python, flow.tokens["KUBEFLOW_TOKEN"]) as kubeflow:
        # Nobody is asked there: the model does not train on Argo.
        flow.variables |= {"ARGO_SERVER": "http://127.0.0.1:9", "KUBEFLOW_SERVER": kubeflow.url}
        commit = flow.commit("main", on_kubeflow, "Train on Kubeflow")
        run = well(flow.pushed("main", "components.yml"))
        (body,) = kubeflow.control()["bodies"]
    trained = images(flow, "main", STAGING)
    executors = body["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]
    assert {one["container"]["image"].rpartition("@")[2] for one in executors.values()} == set(trained.values())  # fmt: skip
    assert body["runtime_config"]["parameters"]["propose"] is False
    key = body["display_name"].rpartition("-")[2]
    assert statuses(flow, commit) == [
        ("pending", f"images {key} train"),
        ("success", f"images {key} trained well"),
    ]
    ((_, head),) = proposals(flow).items()
    assert images(flow, head, PRODUCTION) == trained
    for secret in ("KUBEFLOW_TOKEN", "DEPLOY_READ_TOKEN", "DEPLOY_TOKEN"):
        assert flow.tokens[secret] not in run.log
