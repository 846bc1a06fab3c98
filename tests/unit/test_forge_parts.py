"""The parts of the forge that need no Git, no network and no process."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops_local.forge.api.answers import ApiError, check_length, invalid, paginate
from model_gitops_local.forge.api.dispatch import ROUTES, Api
from model_gitops_local.forge.limits import Limits
from model_gitops_local.forge.pages import render
from model_gitops_local.forge.server import Forge
from model_gitops_local.forge.shapes import Shapes
from model_gitops_local.forge.state import Comment, Issue, Pull, State, Token, account_id


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        ({"contents": "write"}, ("contents", "read"), True),
        ({"contents": "read"}, ("contents", "write"), False),
        ({"pull-requests": "write"}, ("pull_requests", "write"), True),
        ({"contents": "none"}, ("contents", "read"), False),
        ({}, ("issues", "read"), False),
        ({}, ("metadata", "read"), True),
    ],
)
def test_permissions(granted: dict[str, str], asked: tuple[str, str], expected: bool) -> None:
    assert Token("x[bot]", granted).allows(*asked) is expected


def test_token_repositories_and_kinds() -> None:
    token = Token("deploy[bot]", repositories=frozenset({"acme/Deploy"}))
    assert token.reaches("Acme/deploy")
    assert not token.reaches("acme/model")
    assert token.is_app
    assert not Token("ada").is_app
    with pytest.raises(ValueError, match="admin"):
        Token("x", {"contents": "admin"})


def test_account_numbers_never_change() -> None:
    assert account_id("github-actions[bot]") == 41898282
    assert account_id("ada") == account_id("ada") != account_id("eve")


@pytest.mark.parametrize(
    ("query", "expected", "relations"),
    [
        ({}, list(range(30)), ["next", "last"]),
        ({"page": "2"}, list(range(30, 45)), ["prev", "first"]),
        ({"per_page": "20", "page": "2"}, list(range(20, 40)), ["prev", "next", "last", "first"]),
        ({"per_page": "1000"}, list(range(45)), []),
        ({"page": "9"}, [], ["prev", "first"]),
        ({"page": "x", "per_page": "-3"}, [0], ["next", "last"]),
    ],
)
def test_pages(query: dict[str, str], expected: list[int], relations: list[str]) -> None:
    items, headers = paginate(query, list(range(45)), "http://x/y")
    assert items == expected
    assert [
        part.split('rel="')[1][:-1] for part in headers.get("Link", "").split(", ") if part
    ] == (relations)


def test_last_page_follows_the_query() -> None:
    _, headers = paginate({"state": "all", "per_page": "20"}, list(range(45)), "http://x/y")
    assert '<http://x/y?state=all&per_page=20&page=3>; rel="last"' in headers["Link"]


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/commits/a/b/status", "/commits/{ref}/status", {"ref": "a/b"}),
        ("/commits/feature/x", "/commits/{ref}", {"ref": "feature/x"}),
        ("/branches/a/b", "/branches/{branch}", {"branch": "a/b"}),
        ("/issues/comments/7", "/issues/comments/{comment_id}", {"comment_id": "7"}),
        ("/issues/7", "/issues/{issue_number}", {"issue_number": "7"}),
        ("/statuses/abc", "/commits/{ref}/statuses", {"ref": "abc"}),
        ("/contents/a b/c.png", "/contents/{path}", {"path": "a b/c.png"}),
    ],
)
def test_routes(tmp_path: Path, path: str, template: str, params: dict[str, str]) -> None:
    api = Api(State(tmp_path / "forge.json"), Shapes("http://x"))
    matched = api.match("GET", f"/repos/acme/m{path}")
    assert matched is not None
    assert matched[0].template == f"/repos/{{owner}}/{{repo}}{template}"
    assert {key: matched[1][key] for key in params} == params


def test_no_operation_twice_and_every_need_is_known() -> None:
    operations = [(route.method, route.template) for route in ROUTES]
    assert len(operations) == len(set(operations))
    for route in ROUTES:
        for need in route.needs:
            permission, _, level = need.partition(":")
            assert permission in {
                "metadata", "actions", "administration", "contents", "environments", "issues",
                "pull_requests", "secrets", "statuses",
            }  # fmt: skip
            assert level in {"read", "write"}
        if route.method != "GET" and "comments" not in route.template:
            assert any(need.endswith(":write") for need in route.needs), route


def test_errors_have_github_s_form() -> None:
    answer = invalid("PullRequest", "custom", message="No commits between a and b").answer
    assert answer.status == 422
    assert answer.body["message"] == "Validation Failed"
    assert answer.body["errors"] == [
        {"resource": "PullRequest", "code": "custom", "message": "No commits between a and b"}
    ]
    assert check_length("x" * 65536, "IssueComment")
    with pytest.raises(ApiError):
        check_length("x" * 65537, "IssueComment")


def test_state_comes_back_whole(tmp_path: Path) -> None:
    file = tmp_path / "forge.json"
    state = State(file)
    repository = state.add("Acme/Model", tmp_path / "m.git", private=True, fork_of=None)
    pull = Pull("lr", "main", "Acme/Model", "1" * 40, "2" * 40)
    repository.issues.append(Issue(1, state.new_id(), "t", None, "ada", "now", "now", pull=pull))
    repository.comments.append(Comment(state.new_id(), "b", "ada", "now", "now", number=1))
    state.save()
    again = State(file)
    assert again.repositories == state.repositories
    assert again.find("acme/MODEL") is not None
    assert again.new_id() == state.new_id()
    kept = again.add("acme/model", tmp_path / "moved.git", private=False, fork_of=None)
    assert (len(kept.issues), kept.path) == (1, str(tmp_path / "moved.git"))


def test_names_of_repositories_are_checked(tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    for name in ("acme", "acme/a/b", "acme/../x", "acme/a b"):
        with pytest.raises(ValueError, match="owner/name"):
            forge.add_repository(name, tmp_path)


def test_faults_are_used_up(tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    forge.fail_next("POST", r"/comments$", 502, times=2)
    assert forge.take_fault("GET", "/x/comments") is None
    assert forge.take_fault("POST", "/x/comments/1") is None
    assert [bool(forge.take_fault("POST", "/x/comments")) for _ in range(3)] == [True, True, False]


def test_comments_are_rendered() -> None:
    assert "<td>1</td>" in render("| a |\n|---|\n| 1 |")


def test_limits_are_counted_by_account_and_forgotten_in_time() -> None:
    time = [1000.0]
    limits = Limits(hourly=3, anonymous=1, content=1, window=60, clock=lambda: time[0])
    assert limits.admit("ada", "GET") is None
    assert limits.admit("ada", "POST") is None
    refused = limits.admit("ada", "POST")
    assert refused is not None
    assert "secondary rate limit" in refused.body["message"]
    assert (refused.status, refused.headers["Retry-After"]) == (403, "61")
    # Another account is not touched; reading more than the hour's share is refused in other words.
    assert limits.admit("eve", "POST") is None
    refused = limits.admit("ada", "GET")
    assert refused is not None
    assert refused.body["message"].startswith("API rate limit exceeded for user ID ")
    assert limits.headers("ada")["X-RateLimit-Remaining"] == "0"
    assert limits.headers("ada")["X-RateLimit-Reset"] == "4600"
    assert limits.admit("", "GET") is None
    assert limits.admit("", "GET") is not None
    time[0] += 3601
    assert limits.admit("ada", "POST") is None
    assert limits.shape("ada") == {"limit": 3, "used": 1, "remaining": 2, "reset": 8201}
