"""GitHub's rule sets: what one says, and the one that says what is wanted.

The fields are those of `POST /repos/{owner}/{repo}/rulesets` in GitHub's description of its API. What is in
a rule set of ours beside these settings is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_gitops.core.protection import checks, names
from model_gitops.core.protection.settings import Subject, Value

Json = dict[str, Any]
METHODS = frozenset({"merge", "squash", "rebase"})
_PULL_REQUEST = {
    names.APPROVALS: "required_approving_review_count",
    names.CODE_OWNERS: "require_code_owner_review",
    names.DISMISS_STALE: "dismiss_stale_reviews_on_push",
    names.LAST_PUSH: "require_last_push_approval",
}
# What a rule of pull requests must say, and says where nobody asked for more.
_OPEN_PULL_REQUEST: Json = {
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_approving_review_count": 0,
    "required_review_thread_resolution": False,
}
_ACTORS = {"Integration": "app", "Team": "team", "User": "user", "RepositoryRole": "role"}
_GROUPS = {"DeployKey": "deploy keys", "OrganizationAdmin": "organization admins"}


def name_of(subject: Subject) -> str:
    """Return the name of our rule set for a subject."""
    return names.TAG_RULESET if subject.kind == "tags" else f"{names.PREFIX}{subject.name}"


def ref_of(subject: Subject) -> str:
    """Return the ref that a branch's rule set is for."""
    return f"refs/heads/{subject.name.removesuffix(names.PUSH_RULESET_END)}"


def _target(subject: Subject) -> str:
    return "tag" if subject.kind == "tags" else "branch"


def values(ruleset: Mapping[str, Any], subject: Subject, app: int | None) -> dict[str, Value]:
    """Return the settings that a rule set makes. `app` is the number of GitHub Actions, if known.

    Who may bypass it is shown to those alone who may change it.
    """
    rules = {one["type"]: one.get("parameters") or {} for one in ruleset.get("rules") or ()}
    refs = (ruleset.get("conditions") or {}).get("ref_name") or {}
    include, exclude = set(refs.get("include") or ()), set(refs.get("exclude") or ())
    is_active = ruleset.get("enforcement") == "active" and ruleset.get("target") == _target(subject)
    found: dict[str, Value] = {names.NO_DELETION: "deletion" in rules}
    actors = ruleset.get("bypass_actors")
    if actors is not None:
        found[names.BYPASS] = frozenset(map(actor_name, actors))
    if subject.kind == "tags":
        return found | {
            names.IN_FORCE: is_active and not exclude,
            names.TAG_PATTERNS: frozenset(include),
            names.NO_MOVE: "update" in rules,
        }
    pull_request = rules.get("pull_request")
    said = pull_request or _OPEN_PULL_REQUEST
    required = rules.get("required_status_checks") or {}
    found |= {name: said.get(key, False) for name, key in _PULL_REQUEST.items()}
    return found | {
        names.IN_FORCE: is_active and bool({ref_of(subject), "~ALL"} & include) and not exclude,
        names.PULL_REQUESTS: pull_request is not None,
        names.METHODS: frozenset(said.get("allowed_merge_methods") or METHODS),
        names.CHECKS: checks.shown(
            (
                (one["context"], one.get("integration_id"))
                for one in required.get("required_status_checks") or ()
            ),
            app,
        ),
        names.BEHIND: bool(required.get("strict_required_status_checks_policy", False)),
        names.CREATION: bool(required.get("do_not_enforce_on_create", False)),
        names.LINEAR: "required_linear_history" in rules,
        names.NO_FORCE: "non_fast_forward" in rules,
    }


def body(
    subject: Subject,
    wanted: Mapping[str, Value],
    ruleset: Mapping[str, Any] | None,
    app: int | None,
) -> Json:
    """Return the rule set to send: `ruleset` as it is, where it is, with the wanted settings in it."""
    old = ruleset or {}
    rules: dict[str, Json] = {one["type"]: dict(one) for one in old.get("rules") or ()}
    refs = (old.get("conditions") or {}).get("ref_name") or {}
    include = set(refs.get("include") or ())
    switches = {names.NO_DELETION: ["deletion"], names.NO_FORCE: ["non_fast_forward"]}
    if subject.kind == "tags":
        switches = {names.NO_DELETION: ["deletion"], names.NO_MOVE: ["update", "non_fast_forward"]}
        patterns = wanted.get(names.TAG_PATTERNS)
        include |= patterns if isinstance(patterns, frozenset) else set()
    else:
        include.add(ref_of(subject))
    for name, types in switches.items():
        for kind in types if wanted.get(name) else ():
            rules.setdefault(kind, {"type": kind})
    if wanted.get(names.LINEAR) is False:
        rules.pop("required_linear_history", None)
    if wanted.get(names.PULL_REQUESTS):
        rule = rules.get("pull_request") or {"type": "pull_request"}
        said = _OPEN_PULL_REQUEST | (rule.get("parameters") or {})
        said |= {key: wanted[name] for name, key in _PULL_REQUEST.items() if name in wanted}
        methods = wanted.get(names.METHODS)
        if isinstance(methods, frozenset):
            said["allowed_merge_methods"] = sorted(methods)
        rules["pull_request"] = rule | {"parameters": said}
    _require_checks(rules, wanted, app)
    return {
        "name": name_of(subject),
        "target": _target(subject),
        "enforcement": "active",
        "bypass_actors": _bypass(old.get("bypass_actors") or [], wanted.get(names.BYPASS)),
        "conditions": {"ref_name": {"include": sorted(include), "exclude": []}},
        "rules": list(rules.values()),
    }


def _require_checks(rules: dict[str, Json], wanted: Mapping[str, Value], app: int | None) -> None:
    rule = rules.get("required_status_checks") or {"type": "required_status_checks"}
    said = dict(rule.get("parameters") or {})
    required = wanted.get(names.CHECKS)
    if isinstance(required, frozenset) and required:
        said["required_status_checks"] = [
            {"context": context} | ({} if number is None else {"integration_id": number})
            for context, number in checks.meant(required, app)
        ]
    if not said.get("required_status_checks"):
        # GitHub takes no rule without a check.
        rules.pop("required_status_checks", None)
        return
    strict = wanted.get(names.BEHIND, said.get("strict_required_status_checks_policy", False))
    said["strict_required_status_checks_policy"] = strict
    if wanted.get(names.CREATION):
        said["do_not_enforce_on_create"] = True
    rules["required_status_checks"] = rule | {"parameters": said}


def actor_name(actor: Mapping[str, Any]) -> str:
    """Return one who may bypass as `app 123`, `deploy keys` or `role 5`."""
    kind = str(actor["actor_type"])
    return _GROUPS.get(kind) or f"{_ACTORS.get(kind, kind)} {actor.get('actor_id')}"


def actor(name: str) -> Json:
    """Return the entry of one who may bypass, by its name."""
    for kind, word in _GROUPS.items():
        if name == word:
            return {"actor_type": kind, "actor_id": None, "bypass_mode": "always"}
    word, _, number = name.partition(" ")
    kind = next(kind for kind, one in _ACTORS.items() if one == word)
    return {"actor_type": kind, "actor_id": int(number), "bypass_mode": "always"}


def _bypass(old: list[Json], wanted: Value | None) -> list[Json]:
    if not isinstance(wanted, frozenset):
        return old
    kept = [one for one in old if actor_name(one) in wanted]
    return kept + [actor(name) for name in sorted(wanted - {actor_name(one) for one in kept})]
