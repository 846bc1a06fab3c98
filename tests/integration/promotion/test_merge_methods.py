"""Promotions that were squashed or rebased: found by their content, and mended as the message says."""

from __future__ import annotations

import re
import subprocess

import pytest
from promotion_world import DIGEST, Flow
from world import HASHES, READER, api

from model_gitops.adapters.git import Git


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
    clone = Git(flow.top / "by-hand")
    if not clone.directory.exists():
        flow.clone("acme/diabetes", "by-hand")
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
    # Done again, it is mended again, where the branch of the first time is still there.
    flow.change("main", flow.files("better", 60))
    merge(flow, "main", "staging", method)
    flow.change("main", flow.files("worse", 5))
    code, log = check(flow, "main", "staging")
    assert code == 3, log
    merge(flow, follow(flow, log), "main", "merge")
    assert check(flow, "main", "staging")[0] == 0


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


@pytest.mark.parametrize("depth", [1, 2])
def test_an_empty_commit_is_no_squash_in_a_shallow_checkout_either(
    flow_with_main: Flow, depth: int
) -> None:
    flow = flow_with_main
    start = flow.sha("main")
    flow.work.run("push", "--quiet", "--force", "origin", f"{start}:refs/heads/staging")
    flow.work.run("checkout", "--quiet", "--detach", start)
    for _ in range(depth):
        flow.work.run("commit", "--quiet", "--allow-empty", "-m", "The first promotion")
    flow.work.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    flow.pull_request("main", "staging")
    shallow = Git(flow.top / "shallow")
    flow.clone("acme/diabetes", "shallow")
    shallow.run("fetch", "--quiet", f"--depth={depth}", "origin", "main")
    shallow.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
    told = flow.run("check-promotion", shallow.directory, token=READER)
    assert told.code == 0, told.log
    assert "squash" not in told.log


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


@pytest.mark.parametrize("depth", [[], ["--depth=1"]])
def test_a_squash_is_told_where_the_merge_of_the_pull_request_is_checked_out(
    flow_with_main: Flow, depth: list[str]
) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", "squash")
    flow.change("main", {"other.txt": "x\n"})
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("staging"))
    flow.work.run("merge", "--quiet", "--no-ff", "-m", "Merge", flow.sha("main"))
    # As actions/checkout finds it under refs/pull/1/merge, which this server does not take.
    flow.work.run("push", "--quiet", "origin", "HEAD:refs/heads/pull-1-merge")
    flow.pull_request("main", "staging")
    clone = Git(flow.top / "merge")
    flow.clone("acme/diabetes", "merge")
    clone.run("fetch", "--quiet", *depth, "origin", "pull-1-merge")
    clone.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
    flow.env["GITHUB_SHA"] = clone.commit_of("HEAD") or ""
    told = flow.run("check-promotion", clone.directory, token=READER)
    # With one commit there is no history to compare: the push told it.
    assert (told.code, "warning: staging has" in told.log) == (0, not depth)


def test_a_revert_on_both_that_main_takes_back_is_told_and_mended(flow_with_main: Flow) -> None:
    flow = flow_with_main
    merge(flow, "main", "staging", "merge")
    better = flow.change("main", flow.files("better", 60))
    merge(flow, "main", "staging", "merge")
    for branch, parent in (("staging", ["-m", "1"]), ("main", [])):
        flow.work.run("checkout", "--quiet", "--detach", flow.sha(branch))
        flow.work.run("revert", "--no-edit", *parent, flow.sha(branch))
        flow.work.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    flow.change("main", flow.files("better", 60))
    # Git alone would keep what staging reverted, and see no conflict.
    code, log = check(flow, "main", "staging")
    assert (code, "or reverted on both" in log) == (0, True)
    merge(flow, follow(flow, log), "main", "merge")
    code, log = check(flow, "main", "staging")
    assert (code, "or reverted on both" in log) == (0, False)
    merge(flow, "main", "staging", "merge")
    assert tree(flow, "staging") == flow.work.run("rev-parse", f"{better}^{{tree}}").strip()


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
