"""The caches of a build: `type=gha` gets what buildx needs, or one notice says what to do."""

from __future__ import annotations

import pytest
from actions_cache import ActionsCache, token
from image_project import DOCKERFILE, Project

pytestmark = pytest.mark.docker
SCOPE = "refs/heads/main"
GHA = {"cache_from": f"type=gha,scope={SCOPE}", "cache_to": f"type=gha,scope={SCOPE},mode=max"}
LEFT_OUT = "the cache of type=gha is left out: "


def test_githubs_cache_is_written_and_read(project: Project, buildkit: str) -> None:
    project.write("Dockerfile", DOCKERFILE + "RUN echo cached >/cached\n")
    given = token(SCOPE)
    with ActionsCache().serving() as cache:
        project.env |= {"ACTIONS_CACHE_URL": cache.address, "ACTIONS_RUNTIME_TOKEN": given}
        first = project.run(tag="one", **GHA)
        assert first.status == 0, first.log
        assert f"index-{SCOPE}" in "".join(cache.kept), list(cache.kept)
        assert (cache.tokens - {""}, cache.reads) == ({given}, 0)
        assert [key for key, content in cache.kept.items() if not content] == []
        second = project.run(tag="two", reuse="false", **GHA)
        assert second.status == 0, second.log
        assert cache.reads > 0
    assert "importing cache manifest from gha:" in second.log
    assert LEFT_OUT not in first.log + second.log
    assert given not in first.log + second.log


@pytest.mark.parametrize(
    "environment",
    [{}, {"ACTIONS_RUNTIME_TOKEN": "x"}, {"ACTIONS_RESULTS_URL": "http://127.0.0.1:1/"}],
    ids=["nothing", "no-address", "no-token"],
)
def test_where_a_step_has_no_cache_one_notice_says_what_to_do(
    project: Project, buildkit: str, environment: dict[str, str]
) -> None:
    project.env |= {**environment, "GITHUB_ACTIONS": "true"}
    result = project.run(tag="t", **GHA)
    assert result.status == 0, result.log
    (notice,) = [line for line in result.log.splitlines() if LEFT_OUT in line]
    assert notice.startswith(f"::notice::{LEFT_OUT}this step has no ACTIONS_RUNTIME_TOKEN")
    assert notice.endswith("/docs/images.md#a-cache-that-no-branch-can-poison")
    assert "importing cache manifest" not in result.log


@pytest.mark.parametrize("asked", ['"type=gha","scope=a"', "Type=gha", "scope=a,type=gha"])
def test_it_is_known_however_it_is_written(project: Project, buildkit: str, asked: str) -> None:
    """As buildx reads it: what is not known is neither left out nor given the token."""
    result = project.run(tag="t", push="false", cache_from=asked)
    assert result.log.count(LEFT_OUT) == 1, result.log
    with ActionsCache().serving() as cache:
        given = token(SCOPE)
        project.env |= {"ACTIONS_CACHE_URL": cache.address, "ACTIONS_RUNTIME_TOKEN": given}
        result = project.run(tag="t", push="false", cache_from=asked)
    assert result.status == 0, result.log
    assert cache.tokens - {""} == {given}


def test_no_notice_where_no_such_cache_is_asked_for(project: Project, buildkit: str) -> None:
    assert LEFT_OUT not in project.run(tag="t", push="false").log
