"""On which server a repository is: its host, and the path that a server may have everything below."""

from __future__ import annotations

import pytest

from model_gitops.core.deploy import location
from model_gitops.core.deploy.location import locate


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/srv/d", "https://github.com"),
        ("https://GitHub.com/a/b", "https://github.com"),
        ("git@github.com:a/b.git", "https://github.com"),
        ("https://ghe:8443/a/b", "https://ghe:8443"),
        ("http://127.0.0.1:3/a/b", "http://127.0.0.1:3"),
        ("https://h/git/a/b.git", "https://h/git"),
        ("ssh://git@ghe:22/a/b", "https://ghe"),
    ],
)
def test_a_persons_server_is_that_of_the_clone(url: str, expected: str) -> None:
    origin = locate(url, server_url="https://x")
    assert location.server_of(origin, server_url="https://github.com") == expected


@pytest.mark.parametrize(
    ("url", "server", "expected"),
    [
        ("https://h/a/b", "https://h", True),
        ("https://H:443/a/b/", "https://h", True),
        ("https://h/git/a/b", "https://h/git", True),
        ("https://h/git/a/b", "https://h", False),
        ("https://h/a/b", "https://h/git", False),
        ("https://h/other/a/b", "https://h/git", False),
        ("https://i/a/b", "https://h", False),
        ("git@h:a/b", "https://h/git", True),
        ("ssh://git@h:2222/a/b", "https://h:3000", True),
        ("git@i:a/b", "https://h", False),
        ("/srv/a/b", "https://h", False),
        ("a/b", "https://h/git", True),
    ],
)
def test_whether_a_repository_is_on_a_server(url: str, server: str, expected: bool) -> None:
    assert location.is_on(locate(url, server_url=server), server) is expected
