"""What reaches a later environment's branch must be what the environment before it runs."""

from __future__ import annotations

import json

import pytest
from promotion_world import DIGEST, PROMOTION, Flow
from world import HASHES, READER, fingerprint, merge, rewrite


def refused(flow: Flow, says: str, **inputs: str) -> None:
    told = flow.run("check-promotion", **{"token": READER, **inputs})
    assert told.code == 3, told.log
    assert says in told.log


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_what_dev_runs_is_taken_over_whatever_the_merge_was(deployed: Flow, way: str) -> None:
    flow = deployed
    commit = flow.sha("main")
    if way == "merge":
        merge(flow, "acme/diabetes", "main", "staging", approve=False)
    elif way == "squash":
        flow.change("staging", flow.files("better", 60), "staging")
    else:
        flow.work.run("checkout", "--quiet", "--detach", flow.sha("staging"))
        flow.work.run("cherry-pick", "--no-commit", commit)
        flow.commit(flow.work, {}, "staging", "Rebased")
    flow.push("staging")
    found = flow.outputs("check-promotion")
    assert found["environment"] == "staging"
    assert found["promote-image"] == f"{flow.image}:{commit}@{DIGEST}"
    assert (found["promote-version"], found["has-model"]) == ("v0.0.1", "true")
    assert found["assign-stage"] == "true"
    # Nothing is pulled or built for it, so its deploy commit has these from here.
    assert found["model-hash"] == HASHES["better"]
    assert (found["promote-fingerprint"], found["promote-sha256"]) == (fingerprint("better"), "")


def test_a_model_that_only_dev_has_does_not_reach_production(deployed: Flow) -> None:
    deployed.change("production", deployed.files("better", 60), "production")
    deployed.push("production")
    refused(deployed, "staging runs nothing yet")


def test_an_image_that_was_set_by_hand_is_not_taken_over(deployed: Flow) -> None:
    other = "sha256:" + "2" * 64
    rewrite(deployed, lambda text: text.replace(DIGEST, other), "dev")
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    refused(deployed, "was set by no deployment")


def test_an_image_of_another_name_is_not_taken_over(deployed: Flow) -> None:
    deployed.set_rules(image="registry.example/acme/other")
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    refused(deployed, "does not run the image of promotion.yaml, registry.example/acme/other")


def test_a_pull_request_only_hears_of_it(deployed: Flow) -> None:
    flow = deployed
    flow.pull_request("main", "staging")
    assert flow.outputs("check-promotion")["promote-image"].endswith(f"@{DIGEST}")
    flow.change("main", flow.files("worse", 5))
    flow.pull_request("main", "staging")
    assert flow.outputs("check-promotion")["promote-image"] == ""
    # Nobody who is asked: the merge decides, with a token.
    told = flow.run("check-promotion", token="")
    assert told.code == 0
    assert "can't be said now" in told.log


def test_a_push_that_nobody_can_check_is_no_promotion(deployed: Flow) -> None:
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    told = deployed.run("check-promotion", token="wrong")
    assert told.code in (2, 4), told.log


def test_a_repository_without_a_model_is_no_error(flow: Flow) -> None:
    flow.push("staging")
    found = flow.outputs("check-promotion")
    assert (found["has-model"], found["promote-image"]) == ("false", "")


def test_without_a_deploy_repository_nobody_can_tell(flow: Flow) -> None:
    rules = {key: value for key, value in PROMOTION.items() if key != "deploy"}
    flow.change("staging", flow.files("better", 60) | {"promotion.yaml": json.dumps(rules)})
    flow.push("staging")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 0, told.log
    assert "this hop is not checked" in told.log


def test_what_devs_deploy_commit_says_goes_on(flow: Flow) -> None:
    commit = flow.change("main", flow.files("better", 60))
    said = {"Image-Fingerprint": "4" * 40, "Model-SHA256": "5" * 64}
    trailers = {"Model": "diabetes@v0.0.1", "Model-Hash": HASHES["better"], **said}
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    told = flow.deploy("dev", commit, DIGEST, trailers=f"{lines}\nSource-Commit: {commit}")
    assert told.code == 0, told.log
    flow.change("staging", flow.files("better", 60), "staging")
    flow.push("staging")
    found = flow.outputs("check-promotion")
    assert (found["promote-fingerprint"], found["promote-sha256"]) == tuple(said.values())
