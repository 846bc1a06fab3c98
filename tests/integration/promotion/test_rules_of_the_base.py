"""A pull request's own promotion.yaml judges nothing: the base's does."""

from __future__ import annotations

import json

from promotion_world import PROMOTION, Flow
from world import READER


def rules(**changes: object) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def test_the_rules_that_change_are_said_and_count_after_the_merge(flow: Flow) -> None:
    moved = rules(
        deploy={"repository": "eve/x", "path": "evil/{environment}"}, image="evil.example/x"
    )
    flow.change("experiment/eve", moved)
    flow.pull_request("experiment/eve", "main")
    found = flow.outputs("check-promotion")
    assert found["image"] == PROMOTION["image"]
    assert found["deploy-repository"] == PROMOTION["deploy"]["repository"]
    assert found["deploy-path"] == "overlays/dev"
    assert found["rules-changed"] == "true"
    assert "| `image` | `registry.example/acme/diabetes` | `evil.example/x` |" in found["rules"]
    assert "| `deploy.path` | – | `evil/{environment}` |" in found["rules"]
    # Merged, they are the branch's own.
    flow.work.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    flow.push("main")
    found = flow.outputs("check-promotion")
    assert (found["image"], found["deploy-path"]) == ("evil.example/x", "evil/dev")
    assert (found["rules-changed"], found["rules"]) == ("false", "")


def test_a_change_that_leaves_the_rules_alone_says_nothing_of_them(flow: Flow) -> None:
    flow.change("experiment/a", {"train.py": "x"})
    flow.pull_request("experiment/a", "main")
    found = flow.outputs("check-promotion")
    assert (found["rules-changed"], found["rules"]) == ("false", "")
    assert (found["has-model"], found["promote-image"]) == ("false", "")
    assert (found["push-candidates"], found["assign-stage"]) == ("true", "false")


def test_the_newest_rules_of_the_base_count_not_those_of_the_event(flow: Flow) -> None:
    flow.change("experiment/a", {"train.py": "x"})
    flow.pull_request("experiment/a", "main")
    flow.set_rules(image="registry.example/acme/other")
    flow.pull_request_checked_out("experiment/a")
    assert flow.outputs("check-promotion")["image"] == "registry.example/acme/other"


def test_a_base_that_has_no_rules_yet_takes_the_first_ones(flow: Flow) -> None:
    flow.work.run("rm", "--quiet", "promotion.yaml")
    flow.commit(flow.work, {}, "main", "Start again")
    flow.change("experiment/a", rules())
    flow.pull_request("experiment/a", "main")
    found = flow.outputs("check-promotion")
    assert found["environment"] == "dev"
    assert found["rules-changed"] == "true"
    assert "| `model` | – | `diabetes` |" in found["rules"]


def test_rules_of_the_base_that_are_broken_are_named(flow: Flow) -> None:
    flow.change("main", {"promotion.yaml": "model: diabetes\n"})
    flow.change("experiment/a", rules())
    flow.pull_request("experiment/a", "main")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2
    assert "promotion.yaml of main" in told.log


def test_the_gate_is_the_bases(flow: Flow) -> None:
    for branch in ("main", "staging", "production"):
        flow.change(branch, flow.files("better", 60), branch)
    flow.deploy("dev", flow.sha("main"), "sha256:" + "1" * 64)
    flow.change("experiment/worse", flow.files("worse", 5) | rules(gate=[]))
    flow.pull_request("experiment/worse", "main")
    told = flow.run("gate-metrics", token=READER)
    assert told.code == 3
    assert "0.111 is worse than 0.455" in told.log


def test_the_early_stage_is_said_by_the_rules_of_the_base(flow: Flow) -> None:
    flow.set_rules(**{"stage-on": "pull_request", "push-candidates": False})
    flow.change("experiment/a", {"train.py": "x"} | rules())
    flow.pull_request("experiment/a", "main")
    found = flow.outputs("check-promotion")
    assert (found["assign-stage"], found["push-candidates"]) == ("true", "false")


def test_a_new_environment_between_two_others_is_told_the_way(flow: Flow) -> None:
    more = [*PROMOTION["environments"]]
    more.insert(2, {"name": "qa", "branch": "qa"})
    new = rules(environments=more)
    flow.change("qa", new, "staging")
    flow.pull_request("qa", "production")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 3
    assert "would allow it, and counts once it is on production" in told.log
    assert (
        "reach 'production' first, by a pull request from 'staging' into 'production'" in told.log
    )
    # That one is allowed, as it says, and then the first is.
    flow.change("staging", new, "staging")
    flow.pull_request("staging", "production")
    assert flow.run("check-promotion", token=READER).code == 0
    flow.change("production", new, "production")
    flow.pull_request("qa", "production")
    assert flow.run("check-promotion", token=READER).code == 0
    # A branch that was made before its environment was.
    flow.change("qa", {"x": "1"}, "main")
    flow.pull_request("staging", "qa")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 3
    assert "The promotion.yaml of this change has 'qa', and qa's own does not" in told.log
    assert "create 'qa' from a commit whose promotion.yaml has it" in told.log
