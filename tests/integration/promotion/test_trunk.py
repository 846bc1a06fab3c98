"""`flow: trunk`: one branch; a later environment takes by hand what the one before it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from promotion_world import PROMOTION, Flow
from world import DEPLOY, HASHES, MODEL, TOKEN, fingerprint, merge

DIGEST, OTHER = (f"sha256:{one * 64}" for one in "12")
TRUNK: dict[str, Any] = PROMOTION | {
    "flow": "trunk",
    "environments": [
        {"name": "dev", "branch": "main"},
        {"name": "staging", "deploy": "pull-request"},
        {"name": "production", "deploy": "pull-request"},
    ],
}


def trailers(commit: str, model: str = "better", version: str = "v0.0.1") -> str:
    return (
        f"Model: diabetes@{version}\nModel-Hash: {HASHES[model]}\nSource-Repository: {MODEL}\n"
        f"Image-Fingerprint: {fingerprint(model)}\nSource-Commit: {commit}"
    )


@pytest.fixture
def trunk(flow: Flow) -> Flow:
    """The better model runs in dev; main has moved on since, with a worse one that is not deployed."""
    files = flow.files("better", 60) | {"promotion.yaml": json.dumps(TRUNK)}
    commit = flow.change("main", files)
    flow.deploy("dev", commit, DIGEST, trailers=trailers(commit))
    flow.change("main", flow.files("worse", 5))
    return flow


def by_hand(flow: Flow) -> None:
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("main"))
    flow.event("workflow_dispatch", ref="refs/heads/main")
    flow.env |= {"GITHUB_SHA": flow.sha("main"), "GITHUB_REF": "refs/heads/main"}


def promote(flow: Flow, environment: str) -> dict[str, str]:
    """What promote-environment.yml of templates/trunk does, step by step."""
    by_hand(flow)
    found = flow.outputs("check-promotion", environment=environment)
    judged = flow.outputs(
        "gate-metrics", environment=environment, candidate=found["promote-commit"]
    )
    assert judged["passed"] == "true"
    told = flow.run(
        "bump-kustomize-tag", repository=DEPLOY, path=found["deploy-path"], mode=found["deploy-mode"],
        token=TOKEN, images=f"{found['overlay-entry']}={found['promote-image']}",
        trailers=f"Model: {found['model']}@{found['promote-version']}\nModel-Hash: {found['model-hash']}\n"
        f"Image-Fingerprint: {found['promote-fingerprint']}\nSource-Commit: {found['promote-commit']}",
    )  # fmt: skip
    assert told.code == 0, told.log
    return found


def test_a_later_environment_takes_what_the_one_before_it_runs(trunk: Flow) -> None:
    flow = trunk
    runs = flow.work.run("rev-parse", "origin/main~1").strip()
    for name in ("staging", "production"):
        found = promote(flow, name)
        assert (found["environment"], found["deploy-path"]) == (name, f"overlays/{name}")
        assert found["promote-image"].endswith(f"@{DIGEST}")
        # Not what is at the tip of the trunk, which nobody has deployed.
        assert (found["model-hash"], found["promote-commit"]) == (HASHES["better"], runs)
        (pull,) = flow.waiting()
        merge(flow, DEPLOY, pull.head_ref, "main", approve=False)
    # Again: nothing to do.
    promote(flow, "production")
    assert flow.waiting() == []
    _, told = flow.status()
    states = {one["name"]: one["version"] for one in told["environments"]}
    assert states == {"dev": "v0.0.1", "staging": "v0.0.1", "production": "v0.0.1"}
    # The trunk has moved on, which says nothing of an environment that a person promotes to.
    behind = {
        one["name"]: any("main is at" in each["problem"] for each in one["problems"])
        for one in told["environments"]
    }
    assert behind == {"dev": True, "staging": False, "production": False}, told


def test_nothing_passes_over_an_environment_or_the_gate(trunk: Flow) -> None:
    flow = trunk
    by_hand(flow)
    told = flow.run("check-promotion", environment="production", token=TOKEN)
    assert (told.code, "staging runs nothing yet" in told.log) == (3, True), told.log
    promote(flow, "staging")
    (pull,) = flow.waiting()
    merge(flow, DEPLOY, pull.head_ref, "main", approve=False)
    # dev takes the worse one: the gate holds it against what staging runs.
    worse = flow.sha("main")
    flow.deploy(
        "dev", worse, OTHER, trailers=trailers(worse, "worse", "v0.0.2"), model_hash=HASHES["worse"]
    )
    by_hand(flow)
    found = flow.outputs("check-promotion", environment="staging")
    assert (found["model-hash"], found["promote-commit"]) == (HASHES["worse"], worse)
    told = flow.run("gate-metrics", environment="staging", candidate=worse, token=TOKEN)
    assert (told.code, "0.111 is worse than 0.455" in told.log) == (3, True), told.log


def test_the_trunk_itself_promotes_to_the_first_environment(trunk: Flow) -> None:
    flow = trunk
    flow.push("main")
    assert flow.outputs("check-promotion")["environment"] == "dev"
    flow.change("experiment/a", {"x": "1"})
    flow.pull_request("experiment/a", "main")
    assert flow.outputs("check-promotion")["environment"] == "dev"
    told = flow.run("check-promotion", environment="staging", token=TOKEN)
    assert (told.code, "a pull request into main promotes to dev" in told.log) == (2, True)
    # A branch that is no environment's promotes nothing, whatever its own rules say.
    by_hand(flow)
    flow.env["GITHUB_REF"] = "refs/heads/experiment/a"
    assert flow.run("check-promotion", environment="staging", token=TOKEN).code == 3


@pytest.mark.parametrize("name", ["dev", "nope"])
def test_only_later_environments_are_promoted_by_hand(trunk: Flow, name: str) -> None:
    by_hand(trunk)
    told = trunk.run("check-promotion", environment=name, token=TOKEN)
    assert (told.code, "promotions by hand are those to staging, production" in told.log) == (
        2,
        True,
    )


def test_a_pull_request_into_an_environment_says_how_it_is_promoted(trunk: Flow) -> None:
    by_hand(trunk)
    told = trunk.run("check-promotion", base_ref="live", head_ref="main")
    assert told.code == 3
    assert "with `flow: trunk` there is only main" in told.log
    assert "run promote-environment.yml" in told.log
