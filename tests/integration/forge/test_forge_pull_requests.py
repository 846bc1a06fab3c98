"""Pull requests, from opening to each way to merge, by PyGithub and plain HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import github
import pytest
from forge_clients import NAME, USER, Work, ask, open_pull, repo

from model_gitops.adapters import process
from model_gitops_local.forge import Forge, pulls
from model_gitops_local.forge.bare import Bare


def test_pull_request_from_opening_to_merge(forge: Forge, bare: Path) -> None:
    before = Bare(bare).branch("main")
    pull = open_pull(forge)
    assert (pull.number, pull.state, pull.mergeable, pull.commits) == (1, "open", True, 1)
    assert (pull.additions, pull.deletions, pull.changed_files) == (1, 1, 1)
    assert (pull.head.ref, pull.base.ref, pull.base.sha) == ("lr", "main", before)
    assert pull.user.login == "github-actions[bot]"
    assert pull.user.type == "Bot"
    found = list(repo(forge).get_pulls(state="open", head="acme:lr", base="main"))
    assert [item.number for item in found] == [1]
    assert list(repo(forge).get_pulls(head="acme:other")) == []
    pull.edit(title="Much better", body="New")
    assert repo(forge).get_pull(1).title == "Much better"
    assert [item.filename for item in pull.get_files()] == ["src/train.py"]
    assert [item.commit.message for item in pull.get_commits()] == ["better learning rate"]

    done = pull.merge(sha=pull.head.sha)

    assert done.merged
    assert Bare(bare).branch("main") == done.sha
    commit = Bare(bare).commit(done.sha)
    assert commit.parents == (before, pull.head.sha)
    assert commit.message == "Merge pull request #1 from acme/lr\n\nMuch better"
    merged = repo(forge).get_pull(1)
    assert (merged.merged, merged.state, merged.merge_commit_sha) == (True, "closed", done.sha)
    assert merged.is_merged()
    assert [item.number for item in repo(forge).get_commit(done.sha).get_pulls()] == [1]


def test_reviews_and_labels(forge: Forge) -> None:
    pull = open_pull(forge)
    with pytest.raises(github.GithubException) as error:
        pull.create_review(event="APPROVE")
    assert error.value.status == 422
    repo(forge, USER).get_pull(1).create_review(event="APPROVE", body="fine")
    assert [(item.user.login, item.state) for item in pull.get_reviews()] == [("ada", "APPROVED")]
    pull.add_to_labels("model", "staging")
    pull.remove_from_labels("model")
    assert [item.name for item in pull.get_labels()] == ["staging"]
    assert [item.number for item in repo(forge).get_issues(labels=["staging"])] == [1]


def test_opening_is_refused_like_on_github(forge: Forge) -> None:
    path = f"/repos/{NAME}/pulls"

    def errors(body: dict[str, str]) -> Any:
        status, answer, _ = ask(forge, "POST", path, body)
        assert (status, answer["message"]) == (422, "Validation Failed")
        return answer["errors"][0]

    new = {"title": "t", "head": "lr", "base": "main"}
    assert errors({**new, "head": "nope"})["field"] == "head"
    assert errors({**new, "head": "lr^"})["field"] == "head"
    assert errors({**new, "base": "nope"})["field"] == "base"
    assert errors({**new, "title": ""})["field"] == "title"
    assert errors({**new, "head": "main"})["message"] == "No commits between main and main"
    assert ask(forge, "POST", path, new)[0] == 201
    assert errors(new)["message"] == "A pull request already exists for acme:lr."


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_merge_methods(forge: Forge, work: Work, bare: Path, method: str) -> None:
    work.commit("lr", {"new.txt": "n\n"}, "second")
    work.git.run("switch", "--quiet", "main")
    base = work.commit("main", {"other.txt": "o\n"}, "meanwhile")
    pull = open_pull(forge)
    sha = pull.merge(merge_method=method).sha
    made = Bare(bare)
    assert made.branch("main") == sha
    messages = [commit.message for commit in made.commits(f"{base}..{sha}")]
    if method == "squash":
        expected = "Better (#1)\n\n* better learning rate\n\n* second"
        assert messages == [expected]
    else:
        assert messages == ["second", "better learning rate"]
        assert made.commits(sha, limit=1)[0].author.name == "Ada"
    paths = {entry[4] for entry in made.entries(sha, "")}
    assert paths == {"README.md", "src", "new.txt", "other.txt"}
    assert made.blob(f"{sha}:src/train.py") == b"a\nB\nc\n"


def test_conflict_is_not_mergeable(forge: Forge, work: Work, bare: Path) -> None:
    before = work.commit("main", {"src/train.py": "a\nX\nc\n"})
    pull = open_pull(forge)
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    for method in ("merge", "squash", "rebase"):
        status, body, _ = ask(
            forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {"merge_method": method}
        )
        assert (status, body["message"]) == (405, "Pull Request is not mergeable")
    assert Bare(bare).branch("main") == before


def test_merge_of_another_head_is_refused(forge: Forge, work: Work) -> None:
    old = open_pull(forge).head.sha
    new = work.commit("lr", {"x": "1"})
    status, body, _ = ask(forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {"sha": old})
    assert status == 409
    assert body["message"].startswith("Head branch was modified")
    assert repo(forge).get_pull(1).head.sha == new
    assert ask(forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {"sha": new})[0] == 200
    assert ask(forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {})[0] == 405


def test_merge_loses_to_a_push(forge: Forge, work: Work, bare: Path) -> None:
    open_pull(forge)
    theirs = work.commit("main", {"other.txt": "o\n"})
    issue = forge.state.repositories[NAME].issues[0]
    with pytest.raises(LookupError):  # what the API answers by 405, "Base branch was modified"
        pulls.merge(Bare(bare), issue, "ada", "merge", title=None, message=None)
    assert (Bare(bare).branch("main"), issue.state) == (theirs, "open")
    assert ask(forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {})[0] == 200


def test_base_can_be_changed_and_a_closed_one_reopened(forge: Forge, work: Work) -> None:
    work.git.run("push", "--quiet", "origin", "HEAD:refs/heads/staging")
    pull = open_pull(forge)
    pull.edit(base="staging", state="closed")
    assert (pull.base.ref, pull.state, pull.merged) == ("staging", "closed", False)
    pull.edit(state="open")
    assert pull.merge().merged
    with pytest.raises(github.GithubException) as error:
        pull.edit(state="open")
    assert error.value.status == 422
    assert [item.number for item in repo(forge).get_pulls(state="all", base="staging")] == [1]
    assert list(repo(forge).get_pulls(state="all", base="main")) == []


def test_pull_request_follows_its_branches(forge: Forge, work: Work, bare: Path) -> None:
    head = open_pull(forge).head.sha
    assert Bare(bare).object("refs/pull/1/head") == head
    trial = Bare(bare).object("refs/pull/1/merge")
    assert trial == repo(forge).get_pull(1).merge_commit_sha
    work.git.run("push", "--quiet", "origin", f"{head}:refs/heads/main")  # merged by hand
    pull = repo(forge).get_pull(1)
    assert (pull.merged, pull.state) == (True, "closed")
    work.commit("gone", {"y": "1"})
    number = open_pull(forge, "gone").number
    work.git.run("push", "--quiet", "origin", ":gone")
    pull = repo(forge).get_pull(number)
    assert (pull.merged, pull.state) == (False, "closed")


def test_fork(forge: Forge, work: Work, bare: Path, tmp_path: Path) -> None:
    fork = tmp_path / "git" / "fork.git"
    process.run(["git", "clone", "--quiet", "--bare", bare, fork])
    head = Work(fork, tmp_path / "forked").commit("patch", {"z": "1"}, "from outside")
    forge.add_repository("eve/diabetes", fork, fork_of=NAME)
    pull = open_pull(forge, "eve:patch")
    assert (pull.head.repo.full_name, pull.head.repo.fork) == ("eve/diabetes", True)
    assert pull.merge().merged
    assert Bare(bare).is_ancestor(head, "main")
