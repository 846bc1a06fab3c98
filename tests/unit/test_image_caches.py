"""Which caches of a build a runner can use."""

from __future__ import annotations

import pytest

from model_gitops.core.image import caches

GIVEN = [
    "type=gha,scope=refs/heads/main",
    "mode=max, type=gha",
    '"type=gha","scope=a,b"',
    "TYPE=gha",
    "type=registry,ref=r.example/cache",
    "type=local,src=type=ghastly",
    'type=local,"src=a,type=gha"',
    "",
]
NO_TOKEN = (
    "this step has no ACTIONS_RUNTIME_TOKEN, with ACTIONS_RESULTS_URL or ACTIONS_CACHE_URL, which GitHub gives"
    " to JavaScript actions only. How a step before this one hands them on: https://github.com/model-gitops/"
    "model-gitops/blob/main/docs/images.md#a-cache-that-no-branch-can-poison"
)
SHARED = "this server has one cache for all branches, so any branch could write what main reads"
ENGINES_OWN = "the engine's own builder writes none; make one: docker buildx create --use"


def test_only_githubs_cache_is_left_out() -> None:
    assert caches.usable(GIVEN, "no token") == GIVEN[4:]
    assert caches.usable(GIVEN, "") == GIVEN


@pytest.mark.parametrize(
    ("has_token", "is_shared", "is_engines_own", "says"),
    [
        (True, False, False, ""),
        (False, False, False, NO_TOKEN),
        (False, True, True, NO_TOKEN),
        (True, True, False, SHARED),
        (True, True, True, SHARED),
        (True, False, True, ENGINES_OWN),
    ],
)
def test_why_githubs_cache_can_not_be_used(
    has_token: bool, is_shared: bool, is_engines_own: bool, says: str
) -> None:
    why = caches.why_unusable(
        has_token=has_token, is_shared=is_shared, is_engines_own=is_engines_own
    )
    assert why == says
