"""Gitea's and Forgejo's branch protection: what a rule says, and what to send.

The fields are those of `BranchProtection` and `EditBranchProtectionOption` in Gitea's description of its
API. A rule forbids the branch's deletion by being there. What is not sent stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_gitops.core.protection import names
from model_gitops.core.protection.settings import Value

Json = dict[str, Any]
_SWITCHES = {
    names.CODE_OWNERS: "block_on_official_review_requests",
    names.DISMISS_STALE: "dismiss_stale_approvals",
    names.BEHIND: "block_on_outdated_branch",
}
_PATHS = {
    names.OPEN_PATHS: "unprotected_file_patterns",
    names.REVIEWED_PATHS: "protected_file_patterns",
}
# Of the whole repository.
_METHODS = {
    "merge": "allow_merge_commits",
    "rebase": "allow_rebase",
    "rebase-merge": "allow_rebase_explicit",
    "squash": "allow_squash_merge",
    "fast-forward": "allow_fast_forward_only_merge",
}


def values(rule: Mapping[str, Any]) -> dict[str, Value]:
    """Return the settings that a branch's rule makes."""
    pushes = bool(rule.get("enable_push"))
    limited = bool(rule.get("enable_push_whitelist"))
    bypass = {f"user {one}" for one in rule.get("push_whitelist_usernames") or () if limited}
    bypass |= {f"team {one}" for one in rule.get("push_whitelist_teams") or () if limited}
    if limited and rule.get("push_whitelist_deploy_keys"):
        bypass.add("deploy keys")
    bypass = bypass if pushes else set()
    if not rule.get("block_admin_merge_override"):
        bypass.add("admins")
    contexts = rule.get("status_check_contexts") or () if rule.get("enable_status_check") else ()
    found: dict[str, Value] = {name: bool(rule.get(key)) for name, key in _SWITCHES.items()}
    return found | {
        names.PULL_REQUESTS: not pushes or limited,
        names.APPROVALS: int(rule.get("required_approvals") or 0),
        names.CHECKS: frozenset(contexts),
        names.NO_FORCE: not rule.get("enable_force_push"),
        names.NO_DELETION: True,
        names.BYPASS: frozenset(bypass),
        **{name: _split(rule.get(key)) for name, key in _PATHS.items()},
    }


def body(branch: str, wanted: Mapping[str, Value], *, is_new: bool) -> Json:
    """Return what to send for a branch's rule."""
    sent: Json = {key: wanted[name] for name, key in _SWITCHES.items() if name in wanted}
    if is_new:
        sent["rule_name"] = branch
    if names.APPROVALS in wanted:
        sent["required_approvals"] = wanted[names.APPROVALS]
    required = wanted.get(names.CHECKS)
    if isinstance(required, frozenset) and required:
        sent |= {"enable_status_check": True, "status_check_contexts": sorted(required)}
    if wanted.get(names.NO_FORCE):
        sent["enable_force_push"] = False
    bypass = wanted.get(names.BYPASS)
    if isinstance(bypass, frozenset):
        people = {word: sorted(one.partition(" ")[2] for one in bypass if one.startswith(f"{word} "))
                  for word in ("user", "team")}  # fmt: skip
        sent |= {
            "enable_push": bool(bypass),
            "enable_push_whitelist": bool(bypass),
            "push_whitelist_usernames": people["user"],
            "push_whitelist_teams": people["team"],
            "push_whitelist_deploy_keys": "deploy keys" in bypass,
            "block_admin_merge_override": True,
        }
    elif is_new:
        # A new rule lets nobody push, where nothing else is said.
        sent["enable_push"] = True
    for name, key in _PATHS.items():
        patterns = wanted.get(name)
        if isinstance(patterns, frozenset):
            sent[key] = ";".join(sorted(patterns))
    return sent


def methods(repository: Mapping[str, Any]) -> frozenset[str]:
    """Return the merge methods that a repository allows."""
    return frozenset(name for name, key in _METHODS.items() if repository.get(key))


def methods_body(wanted: frozenset[str]) -> Json:
    """Return the change of a repository that allows these merge methods alone."""
    sent: Json = {key: name in wanted for name, key in _METHODS.items()}
    return sent | {"default_merge_style": "merge"}


def _split(patterns: object) -> frozenset[str]:
    return frozenset(one.strip() for one in str(patterns or "").split(";") if one.strip())
