"""The caches of a build: which of those that were asked for this runner can use."""

from __future__ import annotations

import csv
from collections.abc import Sequence

_HOW = "https://github.com/model-gitops/model-gitops/blob/main/docs/images.md#a-cache-that-no-branch-can-poison"


def is_actions_cache(value: str) -> bool:
    """Whether a `cache-from` or `cache-to` of buildx is GitHub's cache, `type=gha`."""
    # A line of CSV, keys in any case: as buildx reads it.
    fields = next(csv.reader([value.strip()]), [])
    pairs = (field.strip().partition("=") for field in fields)
    return any((key.lower(), kind) == ("type", "gha") for key, _, kind in pairs)


def usable(values: Sequence[str], unusable: str) -> list[str]:
    """Return the caches without GitHub's, where `unusable` says why that one can't be used."""
    return [one for one in values if not (unusable and is_actions_cache(one))]


def why_unusable(*, has_token: bool, is_shared: bool, is_engines_own: bool) -> str:
    """Return why GitHub's cache can't be used here; an empty string where it can.

    `has_token`: the step has the cache's token and address. `is_shared`: the server keeps no branch's cache apart
    from another's. `is_engines_own`: the builder is the engine's own, which writes no such cache.
    """
    if not has_token:
        return (
            "this step has no ACTIONS_RUNTIME_TOKEN, with ACTIONS_RESULTS_URL or ACTIONS_CACHE_URL, which"
            f" GitHub gives to JavaScript actions only. How a step before this one hands them on: {_HOW}"
        )
    if is_shared:
        return (
            "this server has one cache for all branches, so any branch could write what main reads"
        )
    if is_engines_own:
        return "the engine's own builder writes none; make one: docker buildx create --use"
    return ""
