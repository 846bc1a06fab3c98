"""What promotion.yaml and the workflows ask of a repository's settings, and in what these differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import promotion_file
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.protection import (
    checks,
    classic,
    gitea,
    names,
    rulesets,
    settings,
    table,
    wanted,
    workflows,
)  # fmt: skip
from model_gitops.core.protection.settings import Compare, Setting, Subject, difference
from model_gitops.core.protection.wanted import Asked, Facts

STAGING = Subject("branch", "staging")
FLOW = """
model: churn
image: registry.example/churn
deploy: {repository: acme/churn-deploy}
approvals: 2
environments:
  - {name: dev, branch: main, approvals: 0}
  - {name: staging, branch: staging}
  - {name: production, branch: production, deploy: pull-request}
"""
PROMOTE = """
on:
  pull_request: {branches: [main, "stag*"]}
jobs:
  lint: {steps: [{run: ruff check}]}
  test: {name: Test, steps: [{run: pytest}]}
  made: {steps: [{run: make env check}]}
  gate: {name: "Gate, build", steps: [{uses: model-gitops/model-gitops/actions/gate-metrics@v0}]}
  report: {needs: [gate], steps: [{uses: model-gitops/model-gitops/actions/cml-report@v0}]}
"""
DEPLOYS = """
on: {push: {branches: [main]}}
jobs:
  check: {steps: [{run: "${{ secrets.READ }} ${{ secrets.BOTH || github.token }}"}]}
  deploy:
    environment: dev
    steps: [{with: {token: "${{ secrets.DEPLOY_TOKEN }}", key: "${{ secrets.DEPLOY_KEY }}", c: "${{ secrets.COSIGN_KEY }}",
      p: "${{ secrets.BOTH }}", g: "${{ secrets.GITHUB_TOKEN }}"}}]
"""


def flow(text: str = FLOW) -> Promotion:
    return promotion_file.parse_text(text, source="promotion.yaml")


def facts(**more: Any) -> Facts:
    loaded = workflows.load({"promote.yml": PROMOTE, "deploy.yml": DEPLOYS})
    branches = frozenset({"main", "staging", "production"})
    return Facts("acme/churn", "rulesets", "main", branches, loaded, has_code_owners=True, **more)


def test_approvals_are_the_environments_own_and_one_at_least() -> None:
    desired = wanted.model_repository(flow(), facts())
    approvals = {
        one.subject.name: one.wanted for one in desired.settings if one.name == names.APPROVALS
    }
    assert approvals == {"main": 1, "staging": 2, "production": 2}


@pytest.mark.parametrize(
    ("verify", "knows_apps", "staging", "production"),
    [
        ("", True, set(), set()),
        ("verify: {}", True, {"model-gitops/dev"}, {"model-gitops/staging"}),
        ("verify: {writer: 'app:x'}", True, {f"model-gitops/dev{names.ANY_APP}"}, {f"model-gitops/staging{names.ANY_APP}"}),
        ("verify: {writer: 'app:x'}", False, {"model-gitops/dev"}, {"model-gitops/staging"}),
    ],
)  # fmt: skip
def test_the_verification_of_the_environment_before_is_required(
    verify: str, knows_apps: bool, staging: set[str], production: set[str]
) -> None:
    desired = wanted.model_repository(flow(FLOW + verify), facts(knows_apps=knows_apps))
    found: dict[str, set[str]] = {
        one.subject.name: {check for check in one.wanted if "model-gitops/" in check}
        for one in desired.settings
        if one.name == names.CHECKS and isinstance(one.wanted, frozenset)
    }
    assert found == {"main": set(), "staging": staging, "production": production}


def test_of_several_models_no_verification_is_required() -> None:
    """A pull request of another model alone would wait for it for ever."""
    parsed = promotion_file.parse_text(
        f"{FLOW}verify: {{}}", source="promotion.yaml", folder="models/a"
    )
    desired = wanted.model_repository(parsed, facts())
    assert "model-gitops/" not in str(desired.settings)


def test_only_jobs_that_judge_or_test_are_required_and_only_for_their_branches() -> None:
    loaded = facts().workflows
    assert workflows.required_checks(loaded, "main").names == {"Test", "made", "Gate, build"}
    assert workflows.required_checks(loaded, "staging").names == {"Test", "made", "Gate, build"}
    assert not workflows.required_checks(loaded, "production").names
    every = workflows.required_checks(loaded, "main", every_job=True).names
    assert every == {"lint", "Test", "made", "Gate, build", "report"}


@pytest.mark.parametrize(
    ("on", "job", "said"),
    [
        ("{pull_request: {paths: [models/a/**]}}", "{steps: []}", "some paths only"),
        ("{pull_request: {types: [closed]}}", "{steps: []}", "each new commit"),
        ("pull_request", "{uses: ./.github/workflows/x.yml}", "called workflow"),
        ("[push, pull_request]", "{strategy: {matrix: {model: [a]}}}", "matrix"),
        ("{pull_request: }", "{name: 'Test ${{ matrix.model }}'}", "matrix"),
    ],
)
def test_a_check_that_may_never_come_is_told_and_not_required(on: str, job: str, said: str) -> None:
    loaded = workflows.load({"w.yml": f"on: {on}\njobs: {{test: {job}}}"})
    found = workflows.required_checks(loaded, "main")
    assert not found.names
    assert said in found.notes[0]


@pytest.mark.parametrize(
    ("filters", "branch", "fits"),
    [
        ("branches: [release/*]", "release/1", True),
        ("branches: [release/*]", "release/1/a", False),
        ("branches: ['release/**']", "release/1/a", True),
        ("branches: ['**', '!main']", "main", False),
        ("branches: main", "main", True),
        ("branches: ['+[x']", "+[x", True),
        ("branches-ignore: [main]", "main", False),
        ("branches: ['release/[0-9]']", "release/3", True),
        ("branches-ignore: [main]", "staging", True),
        ("branches-ignore: ['**', '!main']", "main", True),
    ],
)
def test_a_workflow_is_for_the_branches_that_its_filters_let_through(
    filters: str, branch: str, fits: bool
) -> None:
    loaded = workflows.load({"w.yml": f"on: {{pull_request: {{{filters}}}}}\njobs: {{test: {{}}}}"})
    assert bool(workflows.required_checks(loaded, branch).names) is fits


def test_secrets_of_environments_are_those_that_no_other_job_names() -> None:
    loaded = facts().workflows
    assert workflows.environment_secrets(loaded) == {"DEPLOY_TOKEN", "DEPLOY_KEY", "COSIGN_KEY"}
    there = {"": frozenset({"COSIGN_KEY", "BOTH"}), "dev": frozenset({"DEPLOY_KEY"}),
             "production": frozenset({"DEPLOY_KEY"}), "organization": frozenset({"DEPLOY_KEY"})}  # fmt: skip
    todos = wanted.model_repository(flow(), facts(secrets=there)).todos
    assert [(str(one.subject), one.is_loose) for one in todos] == [
        ("repository", True), ("repository", True), ("environment staging", False),
        ("environment production", False),  # a deploy key opens no pull request
    ]  # fmt: skip
    assert todos[0].command == "gh secret delete COSIGN_KEY --repo acme/churn"


def test_what_renames_left_behind_is_told_and_nothing_else_is() -> None:
    left = facts(
        rulesets=frozenset(
            {"model-gitops: old", "model-gitops: main", "model-gitops: tags", "own"}
        ),
        environments=frozenset({"dev", "prod"}),
    )
    notes = wanted.model_repository(flow(), left).notes
    assert [one for one in notes if "left over" in one or "has not" in one] == [
        "left over: rule set 'model-gitops: old', of a branch that is no environment's",
        "GitHub environments that promotion.yaml has not: prod",
    ]


def test_without_a_known_deployer_the_deploy_repository_still_takes_its_pushes() -> None:
    loose = wanted.deploy_repository(flow(), facts())
    assert {one.name for one in loose.settings if one.subject.kind == "branch"} == {
        names.IN_FORCE, names.NO_FORCE, names.NO_DELETION,
    }  # fmt: skip
    assert "--deployer" in loose.todos[0].command
    by_pull_request = flow(FLOW.replace("branch: main,", "branch: main, deploy: pull-request,")
                           .replace("branch: staging}", "branch: staging, deploy: pull-request}"))  # fmt: skip
    closed = wanted.deploy_repository(by_pull_request, facts())
    assert closed.of(Subject("branch", "main"))[names.BYPASS].wanted == frozenset()
    assert not closed.todos


@pytest.mark.parametrize(
    ("compare", "want", "found", "becomes", "looser"),
    [
        (Compare.AT_LEAST, 1, 0, 1, True),
        (Compare.AT_LEAST, 1, 3, 3, False),
        (Compare.AT_LEAST, True, False, True, True),
        (Compare.INCLUDES, frozenset("a"), frozenset("b"), frozenset("ab"), True),
        (Compare.INCLUDES, frozenset("a"), frozenset("ab"), frozenset("ab"), False),
        (Compare.WITHIN, frozenset(), frozenset("a"), frozenset(), True),
        (Compare.EXACTLY, frozenset("a"), frozenset("ab"), frozenset("a"), True),
        (Compare.EXACTLY, frozenset("ab"), frozenset("a"), frozenset("ab"), False),
        (Compare.EXACTLY, False, True, False, False),
    ],
)
def test_a_stricter_value_stays_and_a_looser_one_is_named(
    compare: Compare, want: Any, found: Any, becomes: Any, looser: bool
) -> None:
    desired = settings.Desired("a/b", (Setting(STAGING, "it", want, compare),))
    changes = difference(desired, {STAGING: {"it": found}})
    assert [one.wanted for one in changes] == ([becomes] if becomes != found else [])
    assert [one.loosened for one in changes] == ([looser] if becomes != found else [])
    assert [one.wanted for one in difference(desired, {})] == [want]
    assert difference(desired, {STAGING: {}}) == []
    assert len(settings.unseen(desired, {STAGING: {}})) == 1


RULESETS: list[dict[str, Any] | None] = [
    None,
    {"id": 1, "name": "x", "enforcement": "disabled"},
    {"enforcement": "active", "rules": [{"type": "required_linear_history"}, {"type": "update"}],
     "conditions": {"ref_name": {"include": ["~ALL"], "exclude": ["refs/heads/s"]}},
     "bypass_actors": [{"actor_type": "DeployKey", "actor_id": None, "bypass_mode": "always"}]},
    {"enforcement": "evaluate", "rules": [
        {"type": "pull_request", "parameters": {
            "required_approving_review_count": 5, "allowed_merge_methods": ["squash"],
            "required_reviewers": []}},
        {"type": "required_status_checks", "parameters": {
            "strict_required_status_checks_policy": True, "do_not_enforce_on_create": True,
            "required_status_checks": [{"context": "Test"}, {"context": "ci", "integration_id": 9}]}}]},
]  # fmt: skip


@pytest.mark.parametrize("old", RULESETS)
@pytest.mark.parametrize("app", [None, 15368])
def test_a_rule_set_says_what_is_wanted_whatever_it_said_before(
    old: dict[str, Any] | None, app: int | None
) -> None:
    desired = wanted.model_repository(
        flow(), facts(knows_apps=app is not None), Asked(frozenset({"ci/build"}))
    )
    tags = next(one for one in desired.subjects if one.kind == "tags")
    for subject in (STAGING, tags):
        found = {} if old is None else {subject: rulesets.values(old, subject, app)}
        new = rulesets.body(subject, settings.result(desired, subject, found), old, app)
        own = replace(desired, settings=tuple(desired.of(subject).values()))
        assert difference(own, {subject: rulesets.values(new, subject, app)}) == []
        kept = {one["type"] for one in (old or {}).get("rules", ())} - {"required_linear_history"}
        assert kept <= {one["type"] for one in new["rules"]}


CLASSIC: list[dict[str, Any] | None] = [
    None,
    {},
    {"allow_force_pushes": {"enabled": True}, "required_status_checks": {"contexts": ["old"], "checks": []}},
    {"enforce_admins": {"enabled": True}, "required_pull_request_reviews": {
        "required_approving_review_count": 4,
        "bypass_pull_request_allowances": {"users": [{"login": "eve"}], "teams": [], "apps": []}}},
]  # fmt: skip


@pytest.mark.parametrize("old", CLASSIC)
def test_a_classic_protection_says_what_is_wanted_whatever_it_said_before(
    old: dict[str, Any] | None,
) -> None:
    desired = wanted.model_repository(flow(), replace(facts(), mechanism="classic"))
    own = replace(desired, settings=tuple(desired.of(STAGING).values()))
    found = {} if old is None else {STAGING: classic.values(old, None)}
    sent = classic.body(settings.result(own, STAGING, found), old, None)
    assert {
        "required_status_checks",
        "enforce_admins",
        "required_pull_request_reviews",
        "restrictions",
    } <= set(sent)
    # As the server answers: switches as objects.
    answer = {
        key: {"enabled": value} if isinstance(value, bool) else value for key, value in sent.items()
    }
    assert difference(own, {STAGING: classic.values(answer, None)}) == []


@pytest.mark.parametrize(
    "old", [None, {"enable_push": True}, {"status_check_contexts": ["x"], "required_approvals": 9}]
)
def test_a_rule_of_gitea_says_what_is_wanted_whatever_it_said_before(
    old: dict[str, Any] | None,
) -> None:
    desired = wanted.model_repository(flow(), replace(facts(), mechanism="gitea"))
    own = replace(desired, settings=tuple(desired.of(STAGING).values()))
    found = {} if old is None else {STAGING: gitea.values(old)}
    sent = gitea.body("staging", settings.result(own, STAGING, found), is_new=old is None)
    assert difference(own, {STAGING: gitea.values({**(old or {}), **sent})}) == []


def test_a_check_of_any_app_is_not_the_one_of_a_workflow() -> None:
    found = checks.shown([("Test", None), ("ci", 9), ("Gate", 15368)], 15368)
    assert found == {"Test (of any app)", "ci (of app 9)", "Gate"}
    assert checks.meant(found | {"Test"}, 15368) == [("Gate", 15368), ("Test", 15368), ("ci", 9)]


def test_what_differs_is_shown_by_subject() -> None:
    desired = wanted.model_repository(flow(), facts())
    shown = table.text(desired, difference(desired, {}), [])
    assert "branch main: not protected yet" in shown
    loosened = {STAGING: dict.fromkeys(desired.of(STAGING), True) | {names.APPROVALS: 0}}
    changes = [
        one
        for one in difference(desired, loosened)
        if one.setting == names.APPROVALS and one.subject == STAGING
    ]
    assert "approvals  0 → 2" in table.text(desired, changes, [])
    assert "| branch staging | approvals | 0 | 2 |" in table.summary(desired, changes, [])
    assert "nothing to change" in table.text(desired, [], [])
    hidden = [Setting(STAGING, names.BYPASS, frozenset())]
    assert "branch staging: who may bypass" in table.summary(desired, [], hidden)


def test_the_templates_ask_for_the_four_checks_that_the_security_page_names() -> None:
    folder = Path(__file__).parents[2] / "templates/model/.github/workflows"
    loaded = workflows.load({one.name: one.read_text("utf-8") for one in folder.glob("*.yml")})
    assert len(workflows.required_checks(loaded, "staging").names) == 4
    assert not workflows.required_checks(loaded, "staging").notes
    assert not workflows.opens_pull_requests(loaded)
    for script, opens in (("gh pr create", True), ("# no gh pr create\necho ok", False)):
        text = f"jobs: {{a: {{steps: [{{run: {json.dumps(script)}}}]}}}} # gh pr create"
        assert workflows.opens_pull_requests(workflows.load({"a.yml": text})) is opens
