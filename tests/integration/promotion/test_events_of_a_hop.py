"""Which rules judge a change, and how strictly, by each event that may ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
from promotion_world import DIGEST, PROMOTION, Flow
from world import MODEL, READER


def closed(flow: Flow, head: str, base: str, commits: int = 1, **more: Any) -> None:
    """The job of a merged pull request, what became of it being at the tip of `base`."""
    flow.pull_request(head, base)
    found = json.loads((flow.top / "event.json").read_text("utf-8"))["pull_request"]
    found |= {"merged": True, "state": "closed", "merge_commit_sha": flow.sha(base)}
    flow.event("pull_request", action="closed", pull_request=found | {"commits": commits} | more)
    flow.work.run("checkout", "--quiet", "--detach", flow.sha(base))
    flow.env |= {"GITHUB_SHA": flow.sha(base), "GITHUB_REF": f"refs/heads/{base}"}


def test_a_merged_pull_request_is_judged_as_a_push(deployed: Flow) -> None:
    """W1: what dev does not run is no promotion, though the pull request's run only heard of it."""
    flow = deployed
    flow.change("main", flow.files("worse", 5))
    flow.change("staging", flow.files("worse", 5), "staging")
    closed(flow, "main", "staging")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 3, told.log
    flow.change("staging", flow.files("better", 60), "staging")
    closed(flow, "main", "staging")
    found = flow.outputs("check-promotion")
    assert found["promote-image"].endswith(f"@{DIGEST}")
    assert found["assign-stage"] == "true"


@pytest.mark.parametrize("commits", [1, 2])
def test_rules_that_a_merged_pull_request_rewrites_do_not_excuse_it(
    deployed: Flow, commits: int
) -> None:
    """After a squash the rules before are one commit back, after a rebase as many as it has."""
    flow = deployed
    lax = {**PROMOTION, "environments": list(PROMOTION["environments"])[2:]}
    files = flow.files("worse", 5) | {"promotion.yaml": json.dumps(lax)}
    flow.change("main", files)
    names = list(files)
    if commits == 2:
        flow.change("production", {"promotion.yaml": files["promotion.yaml"]}, "production")
        names.remove("promotion.yaml")
    flow.change("production", {name: files[name] for name in names}, "production")
    closed(flow, "main", "production", commits)
    told = flow.run("check-promotion", token=READER)
    assert told.code == 3, told.log
    assert "staging runs nothing yet" in told.log


def test_the_head_in_the_place_of_what_was_merged_is_refused(deployed: Flow) -> None:
    """Gitea's default for this event."""
    flow = deployed
    flow.change("staging", flow.files("better", 60), "staging")
    closed(flow, "main", "staging")
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("main"))
    flow.env["GITHUB_SHA"] = flow.sha("main")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2, told.log
    assert "ref: ${{ github.event.pull_request.merge_commit_sha }}" in told.log


def test_a_merge_group_is_judged_by_its_bases_rules_and_assigns_nothing(deployed: Flow) -> None:
    flow = deployed
    strict = [{"metric": "metrics.json:r2", "better": "higher", "minimum": 0.99}]
    flow.set_rules(gate=strict)
    own = {"promotion.yaml": json.dumps(PROMOTION | {"gate": []})}
    flow.change("queue", flow.files("better", 60) | own, "staging")
    group = {
        "head_sha": flow.sha("queue"),
        "head_ref": "refs/heads/gh-readonly-queue/staging/pr-1-x",
        "base_ref": "refs/heads/staging",
        "base_sha": flow.sha("staging"),
    }
    flow.event("merge_group", action="checks_requested", merge_group=group)
    ref = "refs/heads/gh-readonly-queue/staging/pr-1-x"
    flow.env |= {"GITHUB_SHA": flow.sha("queue"), "GITHUB_REF": ref}
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("queue"))
    found = flow.outputs("check-promotion")
    assert found["environment"] == "staging"
    assert found["assign-stage"] == "false"
    assert found["promote-image"].endswith(f"@{DIGEST}")
    assert found["rules-changed"] == "true"
    told = flow.run("gate-metrics", token=READER)
    assert told.code == 3, told.log
    assert "the gate refuses this candidate" in told.log


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("issue_comment", {"issue": {"number": 1, "pull_request": {"url": "x"}}}),
        ("workflow_run", {"workflow_run": {"event": "pull_request", "pull_requests": []}}),
        ("status", {"sha": "HEAD"}),
    ],
)
def test_a_change_whose_base_nobody_names_is_not_judged_by_its_own_rules(
    deployed: Flow, name: str, event: dict[str, Any]
) -> None:
    """Chat-ops: with the head checked out its own promotion.yaml would say what is good enough."""
    flow = deployed
    head = flow.change("idea", {"promotion.yaml": json.dumps(PROMOTION | {"gate": []})})
    for value in event.values():
        if isinstance(value, dict):
            value["head_sha"] = head
    flow.event(name, **event)
    flow.env |= {"GITHUB_SHA": flow.sha("main"), "GITHUB_REF": "refs/heads/main"}
    for action in ("gate-metrics", "check-promotion"):
        told = flow.run(action, token=READER)
        assert told.code == 2, (action, told.log)
        assert f"the event `{name}` does not say into which branch" in told.log
    # An input names it.
    found = flow.outputs("check-promotion", base_ref="main", head_ref="idea")
    assert found["rules-changed"] == "true"


def run_of(flow: Flow, branch: str, commit: str = "", **more: Any) -> None:
    run = {"event": "push", "head_sha": commit or flow.sha(branch), "head_branch": branch}
    flow.event("workflow_run", workflow_run=run | more)
    flow.env |= {"GITHUB_SHA": flow.sha("main"), "GITHUB_REF": "refs/heads/main"}


def test_after_a_run_on_staging_it_is_staging_that_is_meant(deployed: Flow) -> None:
    flow = deployed
    flow.change("staging", flow.files("better", 60), "staging")
    run_of(flow, "staging")
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("main"))
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2, told.log
    assert "Fix: give actions/checkout `ref: ${{ github.event.workflow_run.head_sha }}`" in told.log
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("staging"))
    assert flow.outputs("check-promotion")["environment"] == "staging"
    # A tag of that name may have been what ran.
    flow.work.run("push", "--quiet", "origin", "HEAD:refs/tags/staging")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2, told.log
    assert "'staging' is a tag too" in told.log


def lax(branch: str) -> dict[str, str]:
    """A promotion.yaml that lets anything of `branch` into production."""
    environments = [{"name": "production", "branch": branch}]
    return {"promotion.yaml": json.dumps(PROMOTION | {"gate": [], "environments": environments})}


@pytest.mark.parametrize("called", ["idea", "production"])
def test_what_anybody_pushed_is_not_judged_by_its_own_rules_after_its_run(
    deployed: Flow, called: str
) -> None:
    """A job after another workflow has what the default branch may have: its own word is not enough.

    A run of a tag that is gone by now has its name in the place of a branch's.
    """
    flow = deployed
    head = flow.change("idea", flow.files("worse", 5) | lax(called))
    run_of(flow, called, head)
    for action in ("check-promotion", "gate-metrics", "compare-models"):
        told = flow.run(action, token=READER)
        assert told.code == 2, (action, told.log)
        if called == "idea":
            assert "'idea' is no environment's branch in promotion.yaml of the default" in told.log
        else:
            assert f"{head[:12]} is not on the branch 'production'" in told.log
    told = flow.run("check-promotion", token=READER, base_ref=called)
    assert told.code == 2, told.log


def test_an_older_commit_of_the_branch_that_ran_is_on_it(deployed: Flow) -> None:
    flow = deployed
    head = flow.change("staging", flow.files("better", 60), "staging")
    flow.change("staging", {"README.md": "newer"}, "staging")
    run_of(flow, "staging", head)
    clone = flow.clone(MODEL, "shallow")
    clone.run("fetch", "--quiet", "--depth=1", "origin", head)
    clone.run("checkout", "--quiet", "--detach", head)
    told = flow.run("check-promotion", cwd=clone.directory, token=READER)
    assert told.code == 0, told.log


def test_a_run_on_main_is_of_main_also_while_its_promotion_is_proposed(deployed: Flow) -> None:
    """The server lists each open pull request from the branch that was pushed."""
    flow = deployed
    side = {"repo": {"id": 7}}
    pull = {"number": 5, "head": {"ref": "main"} | side, "base": {"ref": "staging"} | side}
    run_of(flow, "main", pull_requests=[pull])
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("main"))
    assert flow.outputs("check-promotion")["deploy-path"] == "overlays/dev"


@pytest.mark.parametrize("name", ["repository_dispatch", "workflow_dispatch"])
def test_what_was_checked_out_on_purpose_is_judged_by_the_branch_of_the_run(
    deployed: Flow, name: str
) -> None:
    """A command in a comment, handed on: its head has a promotion.yaml of its own."""
    flow = deployed
    flow.change("idea", flow.files("worse", 5) | lax("main"))
    flow.event(name, client_payload={"ref": "idea"})
    flow.env |= {"GITHUB_SHA": flow.sha("main"), "GITHUB_REF": "refs/heads/main"}
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("idea"))
    told = flow.run("gate-metrics", token=READER)
    assert told.code == 3, told.log
    assert "0.111 is worse than 0.455" in told.log
    assert flow.outputs("check-promotion")["environment"] == "dev"
    # What the branch had once has the rules that it had.
    flow.work.run("checkout", "--quiet", "--detach", f"{flow.sha('main')}~1")
    told = flow.run("check-promotion", token=READER)
    assert "judges the change" not in told.log
    assert told.code == 0, told.log


def test_the_base_that_an_input_names_has_the_rules_for_a_change(deployed: Flow) -> None:
    """`base-ref: ${{ github.base_ref }}` says what the event says, and no more."""
    flow = deployed
    flow.change("idea", flow.files("worse", 5) | lax("main"))
    flow.pull_request("idea", "main")
    found = flow.outputs("check-promotion", base_ref="main")
    assert (found["environment"], found["rules-changed"]) == ("dev", "true")
    assert found["assign-stage"] == "false"
    # Of another branch that it may not come from.
    told = flow.run("check-promotion", token=READER, base_ref="production")
    assert told.code == 3, told.log
    # A comment on it names no base.
    flow.event("issue_comment", issue={"number": 1, "pull_request": {"url": "x"}})
    assert flow.outputs("check-promotion", base_ref="main")["environment"] == "dev"


@pytest.mark.parametrize(
    ("name", "ref", "event"),
    [
        ("push", "refs/tags/main", {}),
        ("release", "refs/tags/v1", {"release": {"target_commitish": "main"}}),
        ("delete", "refs/heads/main", {"ref": "x", "ref_type": "branch"}),
    ],
)
def test_a_tag_is_of_no_branch(flow: Flow, name: str, ref: str, event: dict[str, Any]) -> None:
    flow.event(name, **event)
    flow.env |= {"GITHUB_SHA": flow.sha("main"), "GITHUB_REF": ref}
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2, told.log
    assert "Fix: give `base-ref`, for example main" in told.log
