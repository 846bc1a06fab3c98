"""Every other resource of the API, its refusals, pages and limits; and the check against GitHub's."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import github
import pytest
from forge_clients import BOT, NAME, OTHER, READER, USER, ask, client, open_pull, repo

from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge
from model_gitops_local.forge.api.dispatch import ROUTES
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.limits import Limits
from model_gitops_local.forge.openapi import OpenApi, load


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
    assert [item.number for item in repo(forge).get_issues(creator="github-actions[bot]")] == [1]
    assert list(repo(forge).get_issues(creator="ada")) == []
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
