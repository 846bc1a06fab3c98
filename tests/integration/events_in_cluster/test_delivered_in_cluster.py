"""The Workflow of templates/deploy/events does what deploy.yml does, and believes a webhook no more than it must."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cluster import Cluster, run_deploy_yml
from promotion_world import Flow
from world import DEPLOY, HASHES, MODEL, READER, TOKEN

from model_gitops.adapters.git import Git

NOTHING = "0" * 40
OTHER = "sha256:" + "2" * 64


@pytest.fixture
def cluster(deployed: Flow, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "cluster", deployed)


def deploy_repository(flow: Flow) -> Git:
    return Git(flow.top / f"{DEPLOY.replace('/', '-')}.git")


def model_repository(flow: Flow) -> Git:
    return Git(flow.top / f"{MODEL.replace('/', '-')}.git")


def merged_into_staging(flow: Flow) -> tuple[str, str]:
    """Merge main into staging; return the branch's commits before and after."""
    before, after = flow.sha("staging"), flow.sha("main")
    flow.work.run("push", "--quiet", "origin", f"{after}:refs/heads/staging")
    return before, after


def last_commit(flow: Flow) -> tuple[str, str]:
    """The deploy repository's last commit: its message and its diff."""
    git = deploy_repository(flow)
    return git.run("log", "-1", "--format=%B", "main"), git.run("diff", "main~1", "main")


def tags(flow: Flow) -> set[str]:
    return set(model_repository(flow).run("tag", "--list").split())


def test_the_same_deployment_as_by_deploy_yml(cluster: Cluster, deployed: Flow) -> None:
    before, after = merged_into_staging(deployed)
    start, had = deploy_repository(deployed).run("rev-parse", "main").strip(), tags(deployed)
    deployed.push("staging")
    run_deploy_yml(deployed, {"DEPLOY_READ_TOKEN": READER, "DEPLOY_TOKEN": TOKEN})
    by_workflow, stages = last_commit(deployed), tags(deployed) - had
    assert stages == {"diabetes#staging#1", "diabetes@v0.0.1"}
    assert "Source-Commit: " + after in by_workflow[0]
    # The same again, from the webhook.
    deploy_repository(deployed).run("update-ref", "refs/heads/main", start)
    model_repository(deployed).run("tag", "--delete", *stages)
    deployed.work.run("tag", "--delete", *stages)
    pods = cluster.deliver("refs/heads/staging", before, after)
    assert [one.code for one in pods] == [0, 0], pods[-1].log
    assert last_commit(deployed) == by_workflow
    assert tags(deployed) - had == stages
    said = json.dumps([(one.log, one.out) for one in pods])
    assert not [one for one in (TOKEN, READER) if re.search(rf"\b{one}\b", said)]
    # GitHub delivers it a second time: all is done already.
    tip = deploy_repository(deployed).run("rev-parse", "main")
    again = cluster.deliver("refs/heads/staging", before, after)
    assert [one.code for one in again] == [0, 0]
    assert deploy_repository(deployed).run("rev-parse", "main") == tip
    assert tags(deployed) - had == stages


def test_a_commit_that_the_branch_does_not_have(cluster: Cluster, deployed: Flow) -> None:
    """A forged body: a commit of another branch, one that nobody has, another repository's words."""
    before = deployed.sha("staging")
    evil = deployed.change("experiment/evil", {"m": "x"}, "main")
    tip = deploy_repository(deployed).run("rev-parse", "main")
    for commit in (evil, "b" * 40):
        (pod,) = cluster.deliver("refs/heads/staging", before, commit)
        assert pod.code == 3
        assert (
            f"the branch staging of {deployed.forge.url}/{MODEL} has no commit {commit}" in pod.log
        )
    assert not cluster.calls.exists(), "no command ran"
    assert deploy_repository(deployed).run("rev-parse", "main") == tip


def test_what_was_not_taken_from_the_environment_before(cluster: Cluster, deployed: Flow) -> None:
    """The branch has the commit, and no hop brought it: the same refusal as on GitHub."""
    before = deployed.sha("staging")
    head = deployed.change("staging", deployed.files("worse", 5), "main")
    (pod,) = cluster.deliver("refs/heads/staging", before, head)
    assert pod.code == 3, pod.log
    assert cluster.calls.read_text().split() == ["check-promotion"]


def test_a_push_that_is_replayed_later(cluster: Cluster, deployed: Flow) -> None:
    """What the environment before runs by now decides, not what the webhook says was pushed."""
    before, after = merged_into_staging(deployed)
    files = deployed.files("worse", 5)
    deployed.deploy(
        "dev",
        deployed.change("main", files, "main"),
        OTHER,
        model_hash=HASHES["worse"],
        version="v0.0.2",
    )
    tip = deploy_repository(deployed).run("rev-parse", "main")
    (pod,) = cluster.deliver("refs/heads/staging", before, after)
    assert pod.code == 3, pod.log
    assert deploy_repository(deployed).run("rev-parse", "main") == tip


def test_the_push_that_makes_a_branch_deploys_nothing(cluster: Cluster, deployed: Flow) -> None:
    _, after = merged_into_staging(deployed)
    (pod,) = cluster.deliver("refs/heads/staging", NOTHING, after)
    assert (pod.code, pod.out["state"]) == (0, "nothing"), pod.log


@pytest.mark.parametrize(
    ("ref", "before", "commit", "says"),
    [
        ("refs/tags/v1", "a" * 40, "a" * 40, "is no branch"),
        ("refs/heads/--upload-pack=x", "a" * 40, "a" * 40, "is no branch"),
        ("refs/heads/a..b", "a" * 40, "a" * 40, "is no branch"),
        ("refs/heads/main", "a" * 40, "--all", "is no commit"),
        ("refs/heads/main", "HEAD", "a" * 40, "is no commit"),
        ("from the event", "a" * 40, "a" * 40, "is no branch"),
    ],
)
def test_words_that_no_push_has(
    cluster: Cluster, ref: str, before: str, commit: str, says: str
) -> None:
    for part in ("build", "deploy", "smoke"):
        pod = cluster.pod(part, ref, before, commit)
        assert (pod.code, says in pod.log) == (2, True), pod.log
