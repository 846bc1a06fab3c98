"""Promotions that were squashed or rebased: found by their content, and mended as the message says."""

from __future__ import annotations

import re
import subprocess

import pytest
from promotion_world import Flow
from world import HASHES, READER, api

from model_gitops.adapters.git import Git

DIGEST = "sha256:" + "1" * 64


def merge(flow: Flow, head: str, base: str, method: str) -> str:
    ada = api("acme/diabetes", flow)
    pull = ada.create_pull(base=base, head=head, title=f"{head} into {base}", body="")
    return str(ada.get_pull(pull.number).merge(merge_method=method).sha)


@pytest.fixture
def flow_with_main(flow: Flow) -> Flow:
    """The worse model on main, by two commits, and the branches of the later environments behind it."""
    flow.change("main", flow.files("worse", 5))
    flow.change("main", {"notes.txt": "one\n"})
    return flow


def check(flow: Flow, head: str, base: str) -> tuple[int, str]:
    flow.pull_request(head, base)
    told = flow.run("check-promotion", token=READER)
    return told.code, told.log


def follow(flow: Flow, log: str) -> str:
    """Type what the message says, in a fresh clone; return the branch that was pushed."""
    commands = re.search(r"(?:Fix|To join both): (git .*?)(?: \(solve|;)", log)
    assert commands, log
    clone = flow.clone("acme/diabetes", "by-hand")
    clone.run("fetch", "--quiet", "origin")
    done = subprocess.run(
        ["bash", "-ec", commands[1]],
        cwd=clone.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pushed = re.search(r"git push origin (\S+)$", commands[1])
    assert pushed
    return pushed[1]


def tree(flow: Flow, branch: str) -> str:
    return flow.work.run("rev-parse", f"{flow.sha(branch)}^{{tree}}").strip()


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_a_squashed_promotion_is_found_and_mended_by_its_fix(
    flow_with_main: Flow, method: str
) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", method)
    flow.change("main", flow.files("better", 60))
    better = tree(flow, "main")

    code, log = check(flow, "main", "staging")
    assert code == 3, log
    assert "it was merged by a squash or a rebase" in log
    assert "and so this one has conflicts that nobody made" in log
    branch = follow(flow, log)
    assert branch == "join-staging"
    assert tree(flow, branch) == better

    code, log = check(flow, branch, "main")
    assert code == 0, log
    merge(flow, branch, "main", "merge")
    assert tree(flow, "main") == better
    code, log = check(flow, "main", "staging")
    assert code == 0, log
    assert "squash" not in log
    merge(flow, "main", "staging", "merge")
    assert tree(flow, "staging") == better
    # The next one needs nothing.
    flow.change("main", flow.files("worse", 7))
    code, log = check(flow, "main", "staging")
    assert (code, "squash" in log) == (0, False)
    merge(flow, "main", "staging", "merge")
    assert tree(flow, "staging") == tree(flow, "main")


@pytest.mark.parametrize("depth", [[], ["--depth=1"]])
def test_the_push_of_a_squash_warns_and_that_of_a_merge_does_not(
    flow_with_main: Flow, depth: list[str]
) -> None:
    flow = flow_with_main
    flow.deploy("dev", flow.sha("main"), DIGEST, model_hash=HASHES["worse"])
    flow.assign("", flow.sha("main"))

    def push() -> str:
        before = flow.work.commit_of(f"{flow.sha('staging')}~1") or ""
        shallow = Git(flow.top / "shallow")
        subprocess.run(["rm", "-rf", shallow.directory], check=True)
        flow.clone("acme/diabetes", "shallow")
        shallow.run("fetch", "--quiet", *depth, "origin", "staging")
        shallow.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        flow.event("push", before=before)
        flow.env |= {"GITHUB_SHA": flow.sha("staging"), "GITHUB_REF": "refs/heads/staging"}
        told = flow.run("check-promotion", shallow.directory, token=READER)
        assert told.code == 0, told.log
        return told.log

    merge(flow, "main", "staging", "merge")
    assert "squash" not in push()
    flow.change("main", {"notes.txt": "two\n"})
    merge(flow, "main", "staging", "squash")
    log = push()
    assert "warning: staging has" in log
    assert "A promotion into staging needs a merge commit" in log
    assert "git merge -s ours --no-edit origin/staging" in log


def test_where_nothing_conflicts_a_squash_is_only_told(flow_with_main: Flow) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", "squash")
    flow.change("main", {"other.txt": "x\n"})
    code, log = check(flow, "main", "staging")
    assert code == 0
    assert "warning: staging has" in log
    # A merge commit joins both: there is nothing to tell any more.
    merge(flow, "main", "staging", "merge")
    flow.change("main", flow.files("better", 60))
    code, log = check(flow, "main", "staging")
    assert (code, "squash" in log) == (0, False)


def test_what_only_the_later_branch_has_is_not_thrown_away(flow_with_main: Flow) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", "squash")
    hotfix = flow.change("staging", {"hotfix.txt": "keep me\n"}, "staging")
    flow.change("main", {"notes.txt": "two\n"})
    code, log = check(flow, "main", "staging")
    assert code == 3, log
    assert "-s ours" not in log
    assert f"keep what {hotfix[:12]} brought" in log


def test_a_squash_into_production_is_mended_through_all_environments(flow_with_main: Flow) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", "merge")
    merge(flow, "staging", "production", "squash")
    flow.change("main", flow.files("better", 60))
    merge(flow, "main", "staging", "merge")
    code, log = check(flow, "staging", "production")
    assert code == 3, log
    assert "then promote main as always" in log
    better = tree(flow, "main")
    branch = follow(flow, log)
    assert check(flow, branch, "main")[0] == 0
    merge(flow, branch, "main", "merge")
    for head, base in (("main", "staging"), ("staging", "production")):
        code, log = check(flow, head, base)
        assert (code, "squash" in log) == (0, False)
        merge(flow, head, base, "merge")
        assert tree(flow, base) == better
