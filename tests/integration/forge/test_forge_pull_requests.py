"""The stand-in for GitHub, driven by real clients: PyGithub, git, and plain HTTP.

Every exchange of these tests is checked against GitHub's own OpenAPI description.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import github
import pytest

from model_gitops.adapters import process
from model_gitops.adapters.git import Git, token_credentials
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge, pulls
from model_gitops_local.forge.api.dispatch import ROUTES
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.limits import Limits
from model_gitops_local.forge.openapi import OpenApi, load, strict_forge

BOT, USER, READER, OTHER = "bot-secret", "user-secret", "reader-secret", "other-secret"
NAME = "acme/diabetes"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Work:
    """A clone that commits and pushes straight to the bare repository."""

    def __init__(self, bare: Path, folder: Path) -> None:
        self.bare = bare
        self.folder = folder
        process.run(["git", "clone", "--quiet", bare, folder])
        self.git = Git(folder)

    def commit(self, branch: str, files: dict[str, str], message: str = "change") -> str:
        """Commit on a branch, made from where the clone stands if new, and push."""
        if self.git.completed("switch", "--quiet", branch, check=False).returncode:
            self.git.run("switch", "--quiet", "-c", branch)
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", message, env=IDENTITY)
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "git" / "model.git"
    path.parent.mkdir()
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path])
    return path


@pytest.fixture
def work(bare: Path, tmp_path: Path) -> Work:
    made = Work(bare, tmp_path / "work")
    made.commit("main", {"README.md": "hello\n", "src/train.py": "a\nb\nc\n"}, "first")
    made.commit("lr", {"src/train.py": "a\nB\nc\n"}, "better learning rate")
    made.git.run("switch", "--quiet", "main")
    return made


@pytest.fixture
def forge(tmp_path: Path, bare: Path, work: Work) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(NAME, bare)
        made.add_token(BOT, "github-actions[bot]")
        made.add_token(USER, "ada")
        made.add_token(READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"})
        made.add_token(OTHER, "eve", repositories=["acme/other"])
        yield made


def client(forge: Forge, secret: str = BOT) -> github.Github:
    return github.Github(
        base_url=forge.api_url,
        auth=github.Auth.Token(secret),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


def repo(forge: Forge, secret: str = BOT) -> Any:
    return client(forge, secret).get_repo(NAME)


def ask(
    forge: Forge, method: str, path: str, body: Any = None, secret: str | None = BOT
) -> tuple[int, Any, Any]:
    """Return status, JSON and headers of one request to the API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(forge.api_url + path, data, method=method)
    if secret:
        request.add_header("Authorization", f"Bearer {secret}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def open_pull(forge: Forge, head: str = "lr", base: str = "main", secret: str = BOT) -> Any:
    return repo(forge, secret).create_pull(base=base, head=head, title="Better", body="See below")


# PyGithub, the client that the actions use.


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


def test_comments_are_made_found_changed_and_removed(forge: Forge) -> None:
    issue = open_pull(forge).as_issue()
    comments = [issue.create_comment(f"comment {number}") for number in range(35)]
    listed = list(issue.get_comments())
    assert [item.id for item in listed] == [item.id for item in comments]
    comments[0].edit("changed")
    comments[1].delete()
    bodies = [item.body for item in repo(forge).get_pull(1).get_issue_comments()]
    assert bodies[:2] == ["changed", "comment 2"]
    assert len(bodies) == 34
    with pytest.raises(github.UnknownObjectException):
        issue.get_comment(comments[1].id)


def test_commit_comments(forge: Forge, bare: Path) -> None:
    sha = Bare(bare).branch("lr")
    commit = repo(forge).get_commit(sha)
    comment = commit.create_comment("report")
    comment.edit("report 2")
    assert [item.body for item in commit.get_comments()] == ["report 2"]
    assert [item.commit_id for item in repo(forge).get_comments()] == [sha]
    comment.delete()
    assert list(commit.get_comments()) == []


def test_statuses(forge: Forge, bare: Path) -> None:
    commit = repo(forge).get_commit("lr")
    assert commit.get_combined_status().state == "pending"
    commit.create_status("success", context="gate", description="not worse")
    commit.create_status("failure", context="test", target_url="https://example.com/1")
    assert commit.get_combined_status().state == "failure"
    commit.create_status("success", context="test")
    assert commit.get_combined_status().state == "success"
    assert len(list(commit.get_statuses())) == 3


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


def test_git_data(forge: Forge, bare: Path) -> None:
    made = repo(forge)
    assert (made.default_branch, made.private) == ("main", True)
    assert {item.name for item in made.get_branches()} == {"main", "lr"}
    head = made.get_branch("lr").commit.sha
    assert made.get_git_ref("heads/lr").object.sha == head
    made.create_git_ref("refs/heads/a/b", head)
    assert {item.ref for item in made.get_git_matching_refs("heads/a/")} == {"refs/heads/a/b"}
    assert made.get_branch("a/b").commit.sha == head
    made.get_git_ref("heads/a/b").delete()
    assert Bare(bare).branch("a/b") is None
    compared = made.compare("main", "lr")
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 1, 0)
    assert [item.filename for item in compared.files] == ["src/train.py"]
    assert made.compare("lr", "main").status == "behind"
    assert made.get_contents("README.md").decoded_content == b"hello\n"
    assert made.get_contents("src/train.py", ref="lr").decoded_content == b"a\nB\nc\n"
    assert [item.path for item in made.get_contents("src")] == ["src/train.py"]
    commit = made.get_commit("lr")
    assert (commit.stats.additions, commit.files[0].status) == (1, "modified")
    assert [item.commit.message for item in made.get_commits(path="README.md")] == ["first"]


def test_issues(forge: Forge) -> None:
    issue = repo(forge).create_issue("Drift", body="r2 fell", labels=["drift"])
    issue.edit(state="closed")
    assert [item.title for item in repo(forge).get_issues(state="closed")] == ["Drift"]
    assert list(repo(forge).get_pulls()) == []
    assert open_pull(forge).number == 2


def test_who_am_i(forge: Forge) -> None:
    assert client(forge, USER).get_user().login == "ada"
    with pytest.raises(github.GithubException) as error:
        _ = client(forge).get_user().login
    assert error.value.status == 403
    assert client(forge).get_user("deploy[bot]").type == "Bot"
    assert client(forge).get_rate_limit().resources.core.limit == 5000


# The ways to merge, and what stops a merge.


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


# Refusals, in GitHub's words.


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


def test_bodies_have_a_limit(forge: Forge, bare: Path) -> None:
    open_pull(forge)
    sha = Bare(bare).branch("lr")
    for path in ("/issues/1/comments", f"/commits/{sha}/comments"):
        assert ask(forge, "POST", f"/repos/{NAME}{path}", {"body": "é" * 65536})[0] == 201
        status, body, _ = ask(forge, "POST", f"/repos/{NAME}{path}", {"body": "é" * 65537})
        assert status == 422
        assert "65536" in body["errors"][0]["message"]
        assert ask(forge, "POST", f"/repos/{NAME}{path}", {"body": " "})[0] == 422


def test_tokens_and_permissions(forge: Forge) -> None:
    open_pull(forge)
    path = f"/repos/{NAME}/issues/1/comments"
    assert ask(forge, "GET", path, secret=None)[0] == 404
    assert ask(forge, "GET", path, secret=OTHER)[0] == 404
    status, body, _ = ask(forge, "GET", path, secret="wrong")
    assert (status, body["message"]) == (401, "Bad credentials")
    assert ask(forge, "GET", path, secret=READER)[0] == 200
    status, body, _ = ask(forge, "POST", path, {"body": "x"}, secret=READER)
    assert (status, body["message"]) == (403, "Resource not accessible by integration")
    merge = ask(forge, "PUT", f"/repos/{NAME}/pulls/1/merge", {}, secret=READER)
    assert merge[0] == 403
    forge.state.repositories[NAME].private = False
    assert ask(forge, "GET", path, secret=None)[0] == 200
    assert ask(forge, "POST", path, {"body": "x"}, secret=None)[0] == 401
    assert ask(forge, "POST", path, {"body": "x"}, secret=OTHER)[0] == 403


def test_what_is_not_there(forge: Forge) -> None:
    for path in ("/repos/acme/none", f"/repos/{NAME}/pulls/9", f"/repos/{NAME}/x", "/graphql"):
        status, body, headers = ask(forge, "GET", path)
        assert (status, body["message"], body["status"]) == (404, "Not Found", "404")
        assert headers["X-GitHub-Request-Id"]
    assert ask(forge, "GET", f"/repos/{NAME}/commits/{'0' * 40}")[0] == 422


def test_pages_and_etags(forge: Forge) -> None:
    open_pull(forge)
    for number in range(5):
        ask(forge, "POST", f"/repos/{NAME}/issues/1/comments", {"body": str(number)})
    path = f"/repos/{NAME}/issues/1/comments?per_page=2&page=2"
    _, items, headers = ask(forge, "GET", path)
    assert [item["body"] for item in items] == ["2", "3"]
    links = dict(re.findall(r'<[^>]*[?&]page=(\d+)[^>]*>; rel="(\w+)"', headers["Link"]))
    assert links == {"1": "first", "3": "last"}  # prev is 1 too, next is 3 too
    request = urllib.request.Request(
        forge.api_url + path,
        headers={"Authorization": f"token {BOT}", "If-None-Match": headers["ETag"]},
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 304


def test_rate_limits(forge: Forge) -> None:
    path = f"/repos/{NAME}/issues"
    forge.limits = Limits(hourly=3, clock=lambda: 1000.0)
    assert ask(forge, "GET", path)[2]["X-RateLimit-Remaining"] == "2"
    for _ in range(2):
        assert ask(forge, "GET", path)[0] == 200
    status, body, headers = ask(forge, "GET", path)
    assert (status, headers["X-RateLimit-Remaining"]) == (403, "0")
    assert body["message"].startswith("API rate limit exceeded for installation ID ")
    # Asking what is left is free; another account has a share of its own.
    status, body, _ = ask(forge, "GET", "/rate_limit")
    assert (status, body["rate"]) == (200, {"limit": 3, "used": 3, "remaining": 0, "reset": 4600})
    assert ask(forge, "GET", path, secret=USER)[0] == 200


def test_our_client_waits_out_the_secondary_limit(forge: Forge) -> None:
    pull = open_pull(forge)
    forge.limits = Limits(content=1, window=1)
    api = GitHub(NAME, BOT, api_url=forge.api_url)
    for number in range(3):
        api.create_comment(pull.number, str(number))
    assert [one.body for one in api.list_comments(pull.number)] == ["0", "1", "2"]
    refused = [entry for entry in forge.requests() if entry["status"] == 403]
    assert refused
    assert {entry["method"] for entry in refused} == {"POST"}


def test_permissions_that_would_do_are_told(forge: Forge) -> None:
    open_pull(forge)
    path = f"/repos/{NAME}/issues/1/comments"
    _, _, headers = ask(forge, "POST", path, {"body": "x"}, secret=READER)
    assert headers["X-Accepted-GitHub-Permissions"] == "issues=write; pull_requests=write"


def test_artifacts_of_a_run(forge: Forge, tmp_path: Path) -> None:
    pull = open_pull(forge)
    file = tmp_path / "report.zip"
    file.write_bytes(b"an archive")
    run = forge.add_run(NAME, "fork", pull.number, "success", {"report": file})
    event = forge.event("workflow_run", NAME, run)
    assert OpenApi().errors(event, "/components/schemas/webhook-workflow-run-completed") == []
    assert event["workflow_run"]["head_sha"] == pull.head.sha

    listed = f"/repos/{NAME}/actions/runs/{run}/artifacts"
    status, body, _ = ask(forge, "GET", f"{listed}?name=report&per_page=100")
    assert (status, body["total_count"]) == (200, 1)
    assert ask(forge, "GET", f"{listed}?name=other")[1]["artifacts"] == []
    assert ask(forge, "GET", listed, secret=READER)[0] == 403
    assert ask(forge, "GET", f"/repos/{NAME}/actions/runs/1/artifacts")[0] == 404
    # The storage behind the redirect refuses whoever sends it a token of GitHub's.
    address = body["artifacts"][0]["archive_download_url"]
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(
            urllib.request.Request(address, headers={"Authorization": f"Bearer {BOT}"})
        )
    assert error.value.code == 400
    with urllib.request.urlopen(error.value.url) as answer:
        assert answer.read() == b"an archive"


# Git over HTTP.


def git(forge: Forge, secret: str, *args: str, cwd: Path) -> process.Completed:
    env = {**token_credentials(forge.url, secret).env, **IDENTITY}
    return process.run(["git", *args], cwd=cwd, env=env, check=False)


def test_clone_and_push(forge: Forge, bare: Path, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"
    assert git(forge, BOT, "clone", "--quiet", url, "clone", cwd=tmp_path).returncode == 0
    clone = tmp_path / "clone"
    big = os.urandom(3_000_000)  # past http.postBuffer: sent in chunks
    (clone / "model.bin").write_bytes(big)
    git(forge, BOT, "add", "model.bin", cwd=clone)
    git(forge, BOT, "commit", "--quiet", "-m", "model", cwd=clone)
    open_pull(forge)
    pushed = git(forge, BOT, "push", "origin", "HEAD:lr", "--force", cwd=clone)
    assert pushed.returncode == 0, pushed.stderr
    assert Bare(bare).blob("lr:model.bin") == big
    assert Bare(bare).object("refs/pull/1/head") == Bare(bare).branch("lr")
    refused = git(forge, BOT, "push", "origin", "HEAD:refs/pull/1/head", cwd=clone)
    assert refused.returncode != 0
    shallow = git(
        forge,
        READER,
        "clone",
        "--quiet",
        "--depth=1",
        "--filter=blob:none",
        "--sparse",
        f"{forge.url}/{NAME}",
        "shallow",
        cwd=tmp_path,
    )
    assert shallow.returncode == 0, shallow.stderr
    assert (tmp_path / "shallow" / "README.md").exists()


def test_git_needs_rights(forge: Forge, work: Work, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"

    def status(secret: str, *args: str) -> str:
        done = git(forge, secret, *args, cwd=work.folder)
        assert done.returncode != 0
        return done.stderr

    before = work.git.run("ls-remote", str(work.bare))
    assert "could not read Username" in status("", "ls-remote", url)
    assert "could not read Username" in status("wrong", "ls-remote", url)
    assert "not found" in status(OTHER, "ls-remote", url)
    assert "403" in status(READER, "push", url, "HEAD:refs/heads/new")
    forge.state.repositories[NAME].private = False
    assert git(forge, "", "ls-remote", url, cwd=tmp_path).returncode == 0
    assert "could not read Username" in status("", "push", url, "HEAD:refs/heads/new")
    assert work.git.run("ls-remote", str(work.bare)) == before
    assert SECRETS.isdisjoint(re.findall(r"[\w-]+", forge.log_file.read_text()))


SECRETS = {BOT, USER, READER, OTHER}


def test_concurrent_pushes_one_wins(forge: Forge, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"

    def push(number: int) -> bool:
        folder = tmp_path / f"clone{number}"
        git(forge, BOT, "clone", "--quiet", url, str(folder), cwd=tmp_path)
        git(forge, BOT, "commit", "--allow-empty", "-m", f"{number}", cwd=folder)
        return git(forge, BOT, "push", "origin", "HEAD:main", cwd=folder).returncode == 0

    folder = tmp_path / "first"
    git(forge, BOT, "clone", "--quiet", url, str(folder), cwd=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(push, range(4)))
    assert any(results)
    commits = Bare(Path(forge.state.repositories[NAME].path)).commits("main")
    assert len(commits) == 1 + sum(results)


# What tests ask for on purpose.


def test_faults(forge: Forge) -> None:
    open_pull(forge)
    path = f"/repos/{NAME}/issues/1/comments"
    forge.fail_next("POST", r"/issues/\d+/comments", 503, headers={"Retry-After": "1"}, times=2)
    for _ in range(2):
        status, _, headers = ask(forge, "POST", path, {"body": "x"})
        assert (status, headers["Retry-After"]) == (503, "1")
    assert ask(forge, "GET", path)[1] == []
    forge.drop_next("POST", "/comments", when="after")
    with pytest.raises((http.client.HTTPException, urllib.error.URLError, ConnectionError)):
        ask(forge, "POST", path, {"body": "kept"})
    assert [item["body"] for item in ask(forge, "GET", path)[1]] == ["kept"]
    forge.drop_next("POST", "/comments")
    with pytest.raises((http.client.HTTPException, urllib.error.URLError, ConnectionError)):
        ask(forge, "POST", path, {"body": "lost"})
    assert len(ask(forge, "GET", path)[1]) == 1
    forge.delay_next("GET", "/comments", 0.2)
    start = time.monotonic()
    ask(forge, "GET", path)
    assert time.monotonic() - start >= 0.2


def test_git_push_whose_answer_is_lost(forge: Forge, bare: Path, work: Work) -> None:
    forge.drop_next("POST", "/git-receive-pack", when="after")
    url = f"{forge.url}/{NAME}.git"
    assert git(forge, BOT, "push", url, "HEAD:refs/heads/late", cwd=work.folder).returncode != 0
    assert Bare(bare).branch("late") == Bare(bare).branch("main")


# Events, restarts, pages.


@pytest.mark.parametrize("action", ["opened", "synchronize", "closed"])
def test_pull_request_events(forge: Forge, action: str) -> None:
    pull = open_pull(forge)
    if action == "closed":
        pull.merge()
    event = forge.event("pull_request", NAME, 1, action=action)
    assert OpenApi().errors(event, f"/components/schemas/webhook-pull-request-{action}") == []
    assert event["pull_request"]["head"]["sha"] == pull.head.sha
    assert event["pull_request"]["head"]["repo"]["full_name"] == NAME
    assert event["pull_request"]["merged"] is (action == "closed")


def test_push_events(forge: Forge, bare: Path, work: Work) -> None:
    old, new = Bare(bare).branch("main"), Bare(bare).branch("lr")
    event = forge.event("push", NAME, branch="lr", sender="ada")
    assert OpenApi().errors(event, "/components/schemas/webhook-push") == []
    assert (event["ref"], event["before"], event["after"]) == ("refs/heads/lr", old, new)
    assert event["head_commit"]["modified"] == ["src/train.py"]
    first = forge.event("push", NAME, branch="main")
    assert first["created"]
    url = f"{forge.url}/_forge/event?kind=push&repository={NAME}&branch=lr&sender=ada"
    with urllib.request.urlopen(url) as answer:
        assert json.load(answer) == event


def test_restart_keeps_everything_but_tokens(tmp_path: Path, bare: Path, work: Work) -> None:
    root = tmp_path / "kept"
    with strict_forge(root) as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(BOT, "github-actions[bot]")
        issue = open_pull(forge).as_issue()
        comment = issue.create_comment("<!-- marker --> report")
        issue.add_to_labels("x")
        repo(forge).get_commit("lr").create_comment("on a commit")
    assert BOT not in (root / "forge.json").read_text()
    with strict_forge(root) as forge:
        forge.add_token(BOT, "github-actions[bot]")
        found = repo(forge).get_pull(1)
        assert [item.id for item in found.get_issue_comments()] == [comment.id]
        assert [item.name for item in found.labels] == ["x"]
        assert [item.body for item in repo(forge).get_commit("lr").get_comments()] == [
            "on a commit"
        ]
        assert repo(forge).create_issue("next").number == 2


def test_as_a_process_of_its_own(tmp_path: Path, bare: Path, work: Work) -> None:
    args = [sys.executable, "-m", "model_gitops_local.forge", f"--root={tmp_path / 'own'}"]
    args += [f"--repository={NAME}={bare}", "--token=github-actions[bot]=FORGE_TOKEN"]
    env = {**os.environ, "FORGE_TOKEN": BOT, "PYTHONPATH": "scripts"}
    with subprocess.Popen(args, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        try:
            made = github.Github(base_url=f"{url}/api/v3", auth=github.Auth.Token(BOT))
            pull = made.get_repo(NAME).create_pull(base="main", head="lr", title="t")
            assert pull.merge().merged
        finally:
            child.terminate()
        assert child.wait(10) == 0


def test_files_and_pages(forge: Forge, work: Work) -> None:
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    (work.folder / "plot.png").write_bytes(picture)
    work.commit("reports/a", {"page.html": "<script>alert(1)</script>"})
    pull = open_pull(forge)
    pull.create_issue_comment("| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>alert(1)</script>")

    def get(path: str) -> tuple[str, bytes]:
        with urllib.request.urlopen(f"{forge.url}{path}") as answer:
            return answer.headers["Content-Type"], answer.read()

    assert get(f"/{NAME}/raw/reports/a/plot.png") == ("image/png", picture)
    assert get(f"/{NAME}/blob/reports/a/plot.png?raw=true") == ("image/png", picture)
    assert get(f"/{NAME}/raw/reports/a/page.html")[0].startswith("text/plain")
    kind, page = get(f"/{NAME}/pull/1")
    assert kind.startswith("text/html")
    assert b"Better" in page
    assert b"<td>1</td>" in page
    assert b"Better" in get(f"/{NAME}")[1]
    assert b"diabetes" in get("/")[1]
    assert b"better learning rate" in get(f"/{NAME}/commit/{pull.head.sha}")[1]
    for missing in (f"/{NAME}/raw/main/nope", "/x/y", f"/{NAME}/pull/77", f"/{NAME}/commit/--help"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(missing)
        assert error.value.code == 404


def test_hostile_names(forge: Forge, work: Work, bare: Path) -> None:
    branch = 'a"b$(touch${IFS}pwned)`id`;é&#'
    work.commit(branch, {'a "b" $(x).txt': "1\n"}, 'x"; touch pwned')
    pull = open_pull(forge, branch)
    assert pull.head.ref == branch
    assert [item.filename for item in pull.get_files()] == ['a "b" $(x).txt']
    assert repo(forge).get_branch(branch).commit.sha == pull.head.sha
    assert pull.merge().merged
    assert ask(forge, "GET", f"/repos/{NAME}/commits/--output=pwned")[0] == 422
    assert ask(forge, "GET", f"/repos/{NAME}/contents/README.md?ref=--output=pwned")[0] == 404
    assert not list(work.bare.rglob("pwned*"))


def test_every_route_is_github_s() -> None:
    paths = load()["paths"]
    unknown = [r for r in ROUTES if r.method.lower() not in paths.get(r.template, {})]
    assert unknown == []


def test_the_check_finds_what_is_wrong(forge: Forge) -> None:
    route = next(r for r in ROUTES if r.handler.__name__ == "create_comment")
    from model_gitops_local.forge.api.answers import Answer

    checker = OpenApi()
    good = ask(forge, "POST", f"/repos/{NAME}/issues", {"title": "t"})[1]
    number = good["number"]
    path = f"/repos/{NAME}/issues/{number}/comments"
    comment = ask(forge, "POST", path, {"body": "x"})[1]
    assert checker.check(route, {}, b'{"body": "x"}', Answer(201, comment)) == []
    assert checker.check(route, {}, b'{"body": 1}', Answer(201, comment))
    assert checker.check(route, {"page": "1"}, b'{"body": "x"}', Answer(201, comment))
    assert checker.check(route, {}, b'{"body": "x"}', Answer(200, comment))
    del comment["user"]
    assert checker.check(route, {}, b'{"body": "x"}', Answer(201, comment))
