"""Whether a repository is on a server: one predicate, for tokens, the API and pull requests."""

from __future__ import annotations

import pytest

from model_gitops.core.deploy.location import locate, same_server


@pytest.mark.parametrize(
    ("repository", "server", "expected"),
    [
        ("https://github.com/a/b", "https://github.com", True),
        ("https://GitHub.com:443/a/b.git", "https://github.com", True),
        ("https://github.com/a/b", "https://GITHUB.COM:443/", True),
        ("https://git.example/gitea/a/b", "https://git.example/gitea", True),
        ("git@GitHub.com:a/b.git", "https://github.com", True),
        ("ssh://git@git.example:2222/a/b", "https://git.example:8443", True),
        ("http://127.0.0.1:3000/a/b", "http://127.0.0.1:3000", True),
        ("http://127.0.0.1:3001/a/b", "http://127.0.0.1:3000", False),
        ("https://git.example:8443/a/b", "https://git.example", False),
        ("https://github.com.evil.example/a/b", "https://github.com", False),
        ("git@evil.example:a/b", "https://github.com", False),
        ("/srv/git/b.git", "https://github.com", False),
        ("file:///srv/git/b.git", "https://github.com", False),
    ],
)
def test_the_usual_port_and_the_letter_case_do_not_count(
    repository: str, server: str, expected: bool
) -> None:
    location = locate(repository, server_url=server)
    assert same_server(location, server) is expected
