"""GitHub's API is not asked with what can't be sent."""

from __future__ import annotations

import pytest
import requests

from model_gitops.adapters.github import ApiError, GitHub
from model_gitops.errors import InputError


@pytest.mark.parametrize("token", ["canary-1\n", "canary 1", "canary-é", "canary-\u200b"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InputError, match="`token` holds") as caught:
        GitHub("acme/m", token, api_url="http://127.0.0.1:9")
    assert "canary" not in str(caught.value)


def test_a_server_that_fails_while_we_ask_who_we_are_is_no_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise requests.exceptions.RetryError("too many 502 error responses")

    monkeypatch.setattr("github.Requester.Requester.requestJsonAndCheck", fails)

    with pytest.raises(ApiError, match="ask who the token is: too many 502"):
        GitHub("acme/m", "canary", api_url="http://127.0.0.1:9").login()
