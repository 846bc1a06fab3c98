"""GitHub's older branch protection: what it says, and what to send so that nothing else is reset.

The fields are those of `PUT /repos/{owner}/{repo}/branches/{branch}/protection`, which resets what it is not
given. Its answer names people and teams by whole objects, and the request by their logins and slugs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_gitops.core.protection import checks, names
from model_gitops.core.protection.settings import Value

Json = dict[str, Any]
_REVIEWS = {
    names.APPROVALS: "required_approving_review_count",
    names.CODE_OWNERS: "require_code_owner_reviews",
    names.DISMISS_STALE: "dismiss_stale_reviews",
    names.LAST_PUSH: "require_last_push_approval",
}
# Switches that the request has as true or false, and the answer as {"enabled": …}.
_KEPT = (
    "required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations",
    "required_conversation_resolution", "lock_branch", "allow_fork_syncing",
)  # fmt: skip
_WORDS = {"users": ("user", "login"), "teams": ("team", "slug"), "apps": ("app", "slug")}


def values(protection: Mapping[str, Any], app: int | None) -> dict[str, Value]:
    """Return the settings that a branch's protection makes."""
    reviews = protection.get("required_pull_request_reviews")
    required = protection.get("required_status_checks") or {}
    bypass = {
        f"{_WORDS[kind][0]} {one}"
        for kind, listed in _people((reviews or {}).get("bypass_pull_request_allowances")).items()
        for one in listed
    }
    if not _on(protection, "enforce_admins"):
        bypass.add("admins")
    return {name: (reviews or {}).get(key, 0) for name, key in _REVIEWS.items()} | {
        names.PULL_REQUESTS: reviews is not None,
        names.CHECKS: checks.shown(_checks(required), app),
        names.BEHIND: bool(required.get("strict", False)),
        names.LINEAR: _on(protection, "required_linear_history"),
        names.NO_FORCE: not _on(protection, "allow_force_pushes"),
        names.NO_DELETION: not _on(protection, "allow_deletions"),
        names.BYPASS: frozenset(bypass),
    }


def body(
    wanted: Mapping[str, Value], protection: Mapping[str, Any] | None, app: int | None
) -> Json:
    """Return the whole protection to send: `protection` as it is, with the wanted settings in it."""
    old = protection or {}
    sent: Json = {name: _on(old, name) for name in _KEPT}
    if wanted.get(names.NO_FORCE):
        sent["allow_force_pushes"] = False
    if wanted.get(names.NO_DELETION):
        sent["allow_deletions"] = False
    if wanted.get(names.LINEAR) is False:
        sent["required_linear_history"] = False
    bypass = wanted.get(names.BYPASS)
    sent["enforce_admins"] = isinstance(bypass, frozenset) or _on(old, "enforce_admins")
    sent["required_status_checks"] = _required(wanted, old.get("required_status_checks"), app)
    sent["required_pull_request_reviews"] = _reviews(
        wanted, old.get("required_pull_request_reviews"), bypass
    )
    limits = old.get("restrictions")
    sent["restrictions"] = None if limits is None else _people(limits)
    return sent


def _required(wanted: Mapping[str, Value], old: Json | None, app: int | None) -> Json | None:
    listed = wanted.get(names.CHECKS)
    required = checks.meant(listed, app) if isinstance(listed, frozenset) else _checks(old or {})
    if not required:
        return None
    return {
        "strict": bool(wanted.get(names.BEHIND, (old or {}).get("strict", False))),
        # Deprecated and required: where `checks` says something, GitHub looks at that alone.
        "contexts": [],
        "checks": [
            {"context": name, "app_id": -1 if number is None else number}
            for name, number in required
        ],
    }


def _reviews(wanted: Mapping[str, Value], old: Json | None, bypass: Value | None) -> Json | None:
    if old is None and not wanted.get(names.PULL_REQUESTS):
        return None
    said = {key: (old or {}).get(key, 0 if name == names.APPROVALS else False)
            for name, key in _REVIEWS.items()}  # fmt: skip
    said |= {key: wanted[name] for name, key in _REVIEWS.items() if name in wanted}
    for field in ("dismissal_restrictions", "bypass_pull_request_allowances"):
        if (old or {}).get(field) is not None:
            said[field] = _people((old or {})[field])
    if isinstance(bypass, frozenset) and (bypass or "bypass_pull_request_allowances" in said):
        said["bypass_pull_request_allowances"] = {
            kind: sorted(one.partition(" ")[2] for one in bypass if one.partition(" ")[0] == word)
            for kind, (word, _) in _WORDS.items()
        }
    return said


def _checks(required: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    known = [(str(one["context"]), one.get("app_id")) for one in required.get("checks") or ()]
    seen = {name for name, _ in known}
    return known + [(str(one), None) for one in required.get("contexts") or () if one not in seen]


def _people(listed: Mapping[str, Any] | None) -> dict[str, list[str]]:
    return {
        kind: [str(one[key]) for one in (listed or {}).get(kind) or ()]
        for kind, (_, key) in _WORDS.items()
    }


def _on(protection: Mapping[str, Any], name: str) -> bool:
    return bool((protection.get(name) or {}).get("enabled", False))
