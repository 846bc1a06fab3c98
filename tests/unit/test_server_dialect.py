"""In what Gitea's API differs from GitHub's, and how its address is found."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from model_gitops import runner
from model_gitops.adapters import github_client
from model_gitops.adapters.github import GitHub
from model_gitops.adapters.server_dialect import GITEA, GITHUB, dialect_of


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("https://api.github.com", GITHUB),
        ("https://ghe.example/api/v3", GITHUB),
        ("https://git.example/api/v1", GITEA),
        ("https://git.example/below/api/v1/", GITEA),
        ("https://api.v1.example/api/v3", GITHUB),
    ],
)
def test_the_dialect_is_that_of_the_address(url: str, dialect: object) -> None:
    assert dialect_of(url) is dialect


def test_permissions_have_the_servers_own_names() -> None:
    assert GITHUB.permission("comments: write") == "pull-requests: write"
    assert GITHUB.permission("contents: write") == "contents: write"
    assert GITEA.permission("comments: write") == "write:issue"
    assert GITEA.permission("contents: write") == "write:repository"


def test_a_dismissed_review_keeps_its_state_on_gitea() -> None:
    assert GITEA.verdict({"state": "APPROVED", "dismissed": True}) == "DISMISSED"
    assert GITEA.verdict({"state": "APPROVED", "dismissed": False}) == "APPROVED"


def test_a_review_that_gitea_does_not_count_says_nothing() -> None:
    """Whoever may read may write one; and who was asked again has not answered yet."""
    assert GITEA.verdict({"state": "APPROVED", "official": False}) == ""
    assert GITEA.verdict({"state": "REQUEST_CHANGES", "official": False}) == ""
    assert GITEA.verdict({"state": "APPROVED", "official": True}) == "APPROVED"
    assert GITHUB.verdict({"state": "APPROVED"}) == "APPROVED"
    assert GITHUB.verdict({"state": "APPROVED"}) == "APPROVED"


class Answer:
    def __init__(self, status: int, content: Any) -> None:
        self.status_code, self.content = status, content

    def json(self) -> Any:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (Answer(200, {"version": "1.26.0"}), "v1"),
        (Answer(403, {"message": "Only signed in user is allowed to call APIs."}), "v1"),
        (Answer(404, {"message": "Not Found"}), "v3"),
        (Answer(200, ValueError("a page")), "v3"),
        (Answer(302, ValueError("")), "v3"),
        (requests.ConnectionError("no"), "v3"),
    ],
)
def test_a_server_is_asked_where_its_api_is_without_a_token(
    monkeypatch: pytest.MonkeyPatch, answer: Any, version: str
) -> None:
    asked = []

    def get(url: str, **given: Any) -> Answer:
        asked.append((url, given.get("headers"), given.get("auth"), given["allow_redirects"]))
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(requests, "get", get)
    assert github_client.find_api("https://h/git") == f"https://h/git/api/{version}"
    assert asked == [("https://h/git/api/v1/version", None, None, False)]


def test_a_token_for_another_server_never_goes_to_githubs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example/")
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    monkeypatch.setattr(github_client, "find_api", lambda server: f"{server}/api/v1")
    context = runner.context()
    assert (context.server_url, context.api_url) == ("https://git.example", "")
    assert context.run_url.startswith("https://git.example/")
    assert GitHub("a/b", "secret").dialect is GITEA
    monkeypatch.delenv("GITHUB_SERVER_URL")
    assert runner.context().api_url == "https://api.github.com"
