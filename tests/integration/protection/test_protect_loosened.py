"""Each setting that somebody loosens is named by `protect --check`, and set again by the next run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from protect_world import DEPLOY, MODEL, guard, rule, runner

from model_gitops_local.forge import Forge
from model_gitops_local.forge.state import account_id


def _loosen_rule(kind: str, **parameters: Any) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        rule(forge, "model-gitops: staging", kind)["parameters"] |= parameters

    return loosen


def _drop_rule(ruleset: str, kind: str) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        found = next(one for one in guard(forge).rulesets if one["name"] == ruleset)
        found["rules"] = [one for one in found["rules"] if one["type"] != kind]

    return loosen


def _edit_ruleset(ruleset: str, **fields: Any) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        next(one for one in guard(forge).rulesets if one["name"] == ruleset).update(fields)

    return loosen


def _drop_check(forge: Forge) -> None:
    parameters = rule(forge, "model-gitops: staging", "required_status_checks")["parameters"]
    parameters["required_status_checks"].pop(0)


def _any_app(forge: Forge) -> None:
    parameters = rule(forge, "model-gitops: staging", "required_status_checks")["parameters"]
    del parameters["required_status_checks"][0]["integration_id"]


def _edit_environment(**fields: Any) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        guard(forge).environments["production"].update(fields)

    return loosen


def add_policy(kind: str) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        policies = guard(forge).environments["production"]["policies"]
        policies.append({"id": 7 if kind == "tag" else 8, "name": "experiment/*", "type": kind})

    return loosen


def _remove(ruleset: str, repository: str = MODEL) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        kept = [one for one in guard(forge, repository).rulesets if one["name"] != ruleset]
        guard(forge, repository).rulesets = kept

    return loosen


def _bypass(
    repository: str, ruleset: str, actor_type: str = "RepositoryRole"
) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        found = next(one for one in guard(forge, repository).rulesets if one["name"] == ruleset)
        actor = {"actor_type": actor_type, "actor_id": 5, "bypass_mode": "always"}
        found["bypass_actors"].append(actor)

    return loosen


def _workflow(**fields: Any) -> Callable[[Forge], None]:
    return lambda forge: guard(forge).workflow.update(fields)


LOOSENED: dict[str, tuple[Callable[[Forge], None], str]] = {
    "disabled": (
        _edit_ruleset("model-gitops: staging", enforcement="disabled"),
        "branch staging: rule set is in force for it",
    ),
    "only evaluated": (
        _edit_ruleset("model-gitops: staging", enforcement="evaluate"),
        "branch staging: rule set is in force for it",
    ),
    "for another branch": (
        _edit_ruleset(
            "model-gitops: staging",
            conditions={"ref_name": {"include": ["refs/heads/other"], "exclude": []}},
        ),
        "branch staging: rule set is in force for it",
    ),
    "for tags": (
        _edit_ruleset("model-gitops: staging", target="tag"),
        "branch staging: rule set is in force for it",
    ),
    "tags: for branches": (
        _edit_ruleset("model-gitops: tags", target="branch"), "releases: rule set is in force for it",
    ),
    "excluded": (
        _edit_ruleset(
            "model-gitops: staging",
            conditions={"ref_name": {"include": ["refs/heads/staging"], "exclude": ["refs/heads/s*"]}},
        ),
        "branch staging: rule set is in force for it",
    ),
    "removed": (_remove("model-gitops: production"), "branch production: approvals is not set"),
    "pushes": (_drop_rule("model-gitops: staging", "pull_request"), "changes by pull request only"),
    "approvals": (
        _loosen_rule("pull_request", required_approving_review_count=0), "approvals is 0, not 1",
    ),
    "code owners": (
        _loosen_rule("pull_request", require_code_owner_review=False), "review by code owners",
    ),
    "stale": (
        _loosen_rule("pull_request", dismiss_stale_reviews_on_push=False), "a push dismisses approvals",
    ),
    "last push": (
        _loosen_rule("pull_request", require_last_push_approval=False),
        "somebody else approves the last push",
    ),
    "squash": (
        _loosen_rule("pull_request", allowed_merge_methods=["merge", "squash"]),
        "merge methods is merge, squash, not merge",
    ),
    "a check": (_drop_check, "branch staging: required checks"),
    "a check of any app": (_any_app, "(of any app)"),
    "all checks": (
        _drop_rule("model-gitops: staging", "required_status_checks"), "required checks is none",
    ),
    "force": (
        _drop_rule("model-gitops: staging", "non_fast_forward"), "force pushes are blocked is no",
    ),
    "deletion": (_drop_rule("model-gitops: staging", "deletion"), "deletion is blocked is no"),
    "bypass": (_bypass(MODEL, "model-gitops: staging"), "who may bypass is role 5, not none"),
    "tags move": (_drop_rule("model-gitops: tags", "update"), "moving is blocked is no"),
    "tags go": (_drop_rule("model-gitops: tags", "deletion"), "deletion is blocked is no"),
    "tags' pattern": (
        _edit_ruleset(
            "model-gitops: tags", conditions={"ref_name": {"include": ["refs/tags/v*"], "exclude": []}}
        ),
        "patterns is refs/tags/v*, not",
    ),
    "a tag left out": (
        _edit_ruleset(
            "model-gitops: tags",
            conditions={"ref_name": {"include": ["~ALL"], "exclude": ["refs/tags/x@v1"]}},
        ),
        "rule set is in force for it",
    ),
    "any branch deploys": (
        _edit_environment(deployment_branch_policy=None, policies=[]),
        "environment production: branches that may deploy is any branch, not production",
    ),
    "each protected branch deploys": (
        _edit_environment(
            deployment_branch_policy={"protected_branches": True, "custom_branch_policies": False}
        ),
        "environment production: branches that may deploy is each protected branch",
    ),
    "another branch deploys": (add_policy("branch"), "experiment/*, production, not production"),
    "a tag deploys": (add_policy("tag"), "production, tag experiment/*, not production"),
    "no environment": (
        lambda forge: guard(forge).environments.clear(), "environment dev: branches that may deploy",
    ),
    "a token that writes": (
        _workflow(default_workflow_permissions="write"), "workflows' token reads by default is no",
    ),
    "workflows that approve": (
        _workflow(can_approve_pull_request_reviews=True),
        "workflows may create and approve pull requests is yes, not no",
    ),
    "no merge commits": (
        lambda forge: guard(forge).merge.update(allow_merge_commit=False),
        "merge commits are allowed is no",
    ),
    "a secret for each branch": (
        lambda forge: guard(forge).secrets.update({"": ["DEPLOY_TOKEN"]}),
        "secret DEPLOY_TOKEN is the repository's",
    ),
    "deploy: bypass": (
        _bypass(DEPLOY, "model-gitops: main"), "diabetes-deploy, branch main: who may bypass is role 5",
    ),
    "deploy: a second deployer": (
        _bypass(DEPLOY, "model-gitops: main, by pull request"), "by pull request: who may bypass",
    ),
    "deploy: a second app": (
        _bypass(DEPLOY, "model-gitops: main, by pull request", actor_type="Integration"),
        "diabetes-deploy, may be pushed to by app 286751, app 5",
    ),
    "deploy: removed": (
        _remove("model-gitops: main", DEPLOY), "diabetes-deploy, branch main: force pushes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOSENED)
def test_a_check_names_what_was_loosened(
    name: str, settled: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loosen, told = LOOSENED[name]
    loosen(settled)
    code, said = runner(settled, monkeypatch, capsys)("--check")
    assert code == 3
    assert told in said.rpartition("not what promotion.yaml wants")[2]


def test_what_was_loosened_is_set_again_and_what_is_stricter_stays(
    settled: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(settled, monkeypatch, capsys)
    own = next(one for one in guard(settled).rulesets if one["name"] == "model-gitops: main")
    pulls = next(one for one in own["rules"] if one["type"] == "pull_request")["parameters"]
    pulls |= {"required_approving_review_count": 3, "required_review_thread_resolution": True}
    own["rules"].append({"type": "required_signatures"})
    foreign = {
        "id": 5, "name": "ours", "target": "branch", "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~ALL"], "exclude": []}}, "rules": [],
    }  # fmt: skip
    guard(settled).rulesets.append(foreign)
    guard(settled).environments["production"] |= {
        "wait_timer": 30, "prevent_self_review": True,
        "reviewers": [{"type": "User", "id": account_id("bob"), "name": "bob"}],
    }  # fmt: skip
    assert run("--check")[0] == 0  # stricter is no difference

    skipped = (
        "a secret for each branch",
        "deploy: a second deployer",
        "deploy: a second app",
        "removed",
        "no environment",
    )
    for name, (loosen, _) in LOOSENED.items():
        if name not in skipped and "environment production" not in LOOSENED[name][1]:
            with contextlib.suppress(KeyError, StopIteration, IndexError):
                loosen(settled)
    add_policy("tag")(settled)
    pulls["require_code_owner_review"] = False
    assert run("--check")[0] == 3
    code, said = run("--yes")
    assert code == 0, said
    assert run("--check")[0] == 0
    own = next(one for one in guard(settled).rulesets if one["name"] == "model-gitops: main")
    kept = next(one for one in own["rules"] if one["type"] == "pull_request")["parameters"]
    assert kept["required_approving_review_count"] == 3
    assert kept["required_review_thread_resolution"] is True
    assert {"type": "required_signatures"} in own["rules"]
    assert foreign in guard(settled).rulesets
    production = guard(settled).environments["production"]
    assert (production["wait_timer"], production["prevent_self_review"]) == (30, True)
    assert [one["name"] for one in production["reviewers"]] == ["bob"]
