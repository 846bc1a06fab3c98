from __future__ import annotations

from model_gitops.core.flow import squash
from model_gitops.core.flow.squash import Squash

TARGET = [("hotfix", "t3"), ("copy", "t1"), ("older", "t0")]


def test_the_newest_commit_with_the_content_of_another_counts() -> None:
    assert squash.find(TARGET, {"t1": "original", "t0": "first"}) == Squash(
        "copy", "original", ("hotfix",)
    )
    assert squash.find(TARGET[1:], {"t1": "original"}) == Squash("copy", "original")
    assert squash.find(TARGET, {"t9": "original"}) is None
    assert squash.find([], {"t1": "original"}) is None


def test_the_repair_is_typed_as_it_is_written() -> None:
    plain = squash.repair(Squash("copy", "original"), "main", "staging", "main")
    assert plain == (
        "git fetch origin && git switch --no-track -C join-staging origin/main && git merge -s ours"
        " --no-edit origin/staging && git push origin join-staging; open a pull request from"
        " join-staging into main, and merge it with a merge commit"
    )
    later = squash.repair(Squash("copy", "original", ("a" * 40,)), "staging", "env/p $x", "main")
    assert later == (
        "git fetch origin && git switch --no-track -C 'join-env-p $x' origin/main && git merge --no-edit"
        " 'origin/env/p $x' && git push origin 'join-env-p $x' (solve its conflicts, and keep what"
        " aaaaaaaaaaaa brought); open a pull request from 'join-env-p $x' into main, and merge it with a"
        " merge commit; then promote main as always"
    )
