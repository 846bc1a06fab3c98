"""The order of the first hour: no first push of an environment's branch deploys what nobody judged."""

from __future__ import annotations

import pytest
from promotion_world import DIGEST, Flow
from world import ENVIRONMENTS, HASHES, READER


def created(flow: Flow, branch: str, **event: object) -> dict[str, str]:
    """The outputs for the push that created `branch`, and the log as `log`."""
    flow.push(branch)
    flow.event("push", **{"before": "0" * 40, "created": True, **event})
    told = flow.run("check-promotion", token=READER)
    assert told.code == 0, told.log
    return flow.outputs("check-promotion") | {"log": told.log}


@pytest.mark.parametrize("branch", ENVIRONMENTS.values())
def test_the_first_push_of_a_branch_deploys_nothing_and_says_why(flow: Flow, branch: str) -> None:
    flow.change("main", flow.files("better", 60))
    flow.work.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
    found = created(flow, branch)
    assert found["new-branch"] == "true"
    # Whatever workflow asks for one of these: there is nothing to build, to take over or to assign.
    assert (found["has-model"], found["model-hash"]) == ("false", "")
    assert (found["promote-image"], found["assign-stage"]) == ("", "false")
    before = {"main": "a branch of your own", "staging": "main", "production": "staging"}[branch]
    assert (
        "the push that creates an environment's branch deploys nothing, as nobody judged what"
        f" {branch} starts from." in found["log"]
    )
    assert f"the next pull request from {before} into {branch} that is merged" in found["log"]


def test_what_dev_runs_already_is_not_deployed_by_a_new_branch_either(flow: Flow) -> None:
    commit = flow.change("main", flow.files("better", 60))
    flow.deploy("dev", commit, DIGEST)
    flow.work.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/staging")
    found = created(flow, "staging")
    assert (found["has-model"], found["promote-image"]) == ("false", "")
    # What is merged into it later is deployed.
    flow.change("staging", {"notes.txt": "x"}, "staging")
    flow.push("staging")
    found = flow.outputs("check-promotion")
    assert (found["has-model"], found["new-branch"]) == ("true", "false")
    assert found["promote-image"].endswith(DIGEST)


def test_a_branch_from_another_state_is_neither_deployed_nor_red(flow: Flow) -> None:
    flow.deploy("dev", flow.change("main", flow.files("better", 60)), DIGEST)
    flow.change("production", flow.files("worse", 5), "main")
    assert created(flow, "production")["has-model"] == "false"


def test_the_first_push_of_main_without_a_model_is_no_error(flow: Flow) -> None:
    found = created(flow, "main")
    assert (found["has-model"], found["new-branch"]) == ("false", "true")


def test_a_pull_request_of_a_new_branch_is_judged(flow: Flow) -> None:
    flow.change("experiment/new", flow.files("better", 60))
    flow.push("experiment/new")
    flow.event("push", before="0" * 40, created=True)
    found = flow.outputs("check-promotion", **{"base-ref": "main", "head-ref": "experiment/new"})
    assert (found["new-branch"], found["model-hash"]) == ("false", HASHES["better"])
