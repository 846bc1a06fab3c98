"""What doctor judges, each thing both ways, and what it says where nobody could ask."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from model_gitops.adapters.doctor import bounded
from model_gitops.adapters.doctor.bounded import Question
from model_gitops.adapters.doctor.questions import LANES
from model_gitops.adapters.terminal import Screen
from model_gitops.core.doctor import (
    building,
    checks,
    dvc_project,
    protecting,
    view,
    workflows,
)
from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.flow import promotion
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.protection import names
from model_gitops.core.protection.settings import Change, Setting, Subject, Todo
from model_gitops.errors import ExternalError, InputError

USES = "model-gitops/model-gitops/actions"


def flow(**more: Any) -> Promotion:
    environments = [{"name": name, "branch": name} for name in ("dev", "prod")]
    said = {"model": "m", "image": "ghcr.io/a/m", "environments": environments, **more}
    return promotion.parse(said)


# --- findings -----------------------------------------------------------------------------------------


def test_what_is_wrong_wins_over_what_could_not_be_asked() -> None:
    yes, no, unknown = Part(True, "a"), Part(False, "b", "mend b"), Part(None, "c", "ask c")
    assert joined("x", [yes, unknown, no]) == Finding("x", False, "b", "mend b")
    assert joined("x", [yes, unknown]) == Finding("x", None, "c", "ask c")
    assert joined("x", [yes, yes]) == Finding("x", True, "a")
    assert joined("x", [], nothing="none").ok is True


def test_each_check_of_the_table_is_asked_and_told_in_its_order() -> None:
    assert [name for lane in LANES for name, _ in lane] == [one.id for one in checks.CHECKS]


def test_a_line_has_the_mark_the_name_and_what_to_type() -> None:
    wrong = Finding("model", False, "it is not there", "git add x")
    assert view.line(wrong) == "✗ model  it is not there. Fix: git add x"
    assert view.line(wrong, colour=True).startswith("\x1b[31m✗\x1b[0m ")
    assert view.line(replace(wrong, fix="a:\nb")).splitlines() == [
        "✗ model  it is not there. Fix:", "    a:", "    b",
    ]  # fmt: skip
    assert view.line(Finding("m", None, "?")).startswith("– ")
    table = view.markdown([Finding("a", True, "x|y"), wrong])
    assert table.splitlines()[4].startswith("| ✗ | `model` |")
    assert "x\\|y" in table
    assert "1 in order, 1 to mend" in table


def test_a_check_that_hangs_or_breaks_holds_up_no_other() -> None:
    from threading import Event

    release = Event()

    def hang() -> Finding:
        release.wait(30)
        return Finding("late", True, "too late")

    def wrong() -> Finding:
        raise KeyError("oh")

    def outside() -> Finding:
        raise ExternalError("no answer", fix="wait")

    lanes = [
        [Question("late", hang), Question("after", lambda: Finding("after", True, "well"))],
        [Question("wrong", wrong), Question("outside", outside)],
    ]
    found = {one.check: one for one in bounded.ask(lanes, seconds=0.3, tell=lambda _: None)}
    release.set()
    assert found["late"].ok is None
    assert "no answer within" in found["late"].found
    assert found["after"].ok is True
    assert (found["wrong"].ok, "KeyError" in found["wrong"].found) == (None, True)
    assert found["outside"] == Finding("outside", None, "no answer", "wait")


# --- workflows ----------------------------------------------------------------------------------------


def step(action: str, **inputs: str) -> dict[str, Any]:
    return {"uses": f"{USES}/{action}@v0", "with": inputs}


def workflow(on: Any, *steps: Any, **job: Any) -> Any:
    return {"on": on, "permissions": {}, "jobs": {"j": {**job, "steps": list(steps)}}}


def branches(documents: Mapping[str, Any], **more: Any) -> Finding:
    one = flow(**more)
    return workflows.branches(workflows.read_all(documents), [one], one)


DEPLOYS = step("bump-kustomize-tag", token="${{ secrets.DEPLOY_TOKEN }}")
JUDGES = step("gate-metrics")
PULLS = workflow({"pull_request": {"branches": ["dev", "prod"]}}, JUDGES)


@pytest.mark.parametrize(
    ("filters", "ok"),
    [
        ({"branches": ["dev", "prod"]}, True),
        ({"branches": ["*"]}, True),
        ({"branches": ["d?v", "pro*"]}, False),  # `d?` is an optional d, as in GitHub's patterns
        ({"branches": ["**", "!prod"]}, False),
        ({"branches": ["**", "!x", "prod"]}, True),
        ({"branches-ignore": ["x/**"]}, True),
        ({"branches-ignore": ["pro*"]}, False),
        ({"tags": ["v*"]}, False),
        ({}, True),
        ({"branches": ["dev", "prod", "old"]}, False),
    ],
)
def test_the_branches_of_a_deployment(filters: dict[str, Any], ok: bool) -> None:
    found = branches({"d.yml": workflow({"push": filters}, DEPLOYS), "p.yml": PULLS})
    assert found.ok is ok
    # GitHub refuses a trigger that has both.
    instead = ", in place of branches-ignore" if "branches-ignore" in filters else ""
    assert ok or f"in d.yml, under on.push{instead}: branches: [dev, prod]" in found.fix


def test_a_workflow_that_calls_another_one_deploys_by_it() -> None:
    caller = {
        "on": {"push": {"branches": ["dev", "prod"]}},
        "jobs": {"c": {"uses": "./w/model.yml"}},
    }
    called = workflow({"workflow_call": {}}, DEPLOYS, environment="x")
    documents = {"w/d.yml": caller, "w/model.yml": called, "w/p.yml": PULLS}
    assert branches(documents).ok is True
    assert branches({"w/p.yml": PULLS, "w/model.yml": called}).found == "no workflow deploys a push"


def test_what_a_workflow_of_another_repository_does_nobody_can_say() -> None:
    on = {"push": {"branches-ignore": ["docs/**"]}}
    caller = {"on": on, "jobs": {"c": {"uses": "acme/shared/.github/workflows/d.yml@v1"}}}
    found = branches({"d.yml": caller, "p.yml": PULLS})
    assert found.ok is None
    assert "acme/shared/.github/workflows/d.yml@v1" in found.found
    deploys = workflow({"push": {"branches": ["dev"]}}, DEPLOYS)
    assert branches({"lint.yml": caller, "d.yml": deploys, "p.yml": PULLS}).ok is False


def test_an_experiment_is_no_environments_branch() -> None:
    ignores = {"push": {"branches-ignore": ["dev", "model-gitops/**"]}}
    documents = {
        "e.yml": workflow(ignores, step("gto-register-stage")),
        "d.yml": workflow({"push": {"branches": ["dev", "prod"]}}, DEPLOYS),
        "p.yml": PULLS,
    }
    found = branches(documents)
    assert found.fix == 'in e.yml, under on.push: branches-ignore: [dev, prod, "model-gitops/**"]'


def test_a_renamed_environment_is_renamed_where_a_step_names_it() -> None:
    documents = {
        "a.yml": workflow("schedule", step("trace-model", subject="production")),
        "d.yml": workflow("push", DEPLOYS),
        "p.yml": PULLS,
    }
    assert branches(documents).fix == "in a.yml, step trace-model: subject: prod"
    documents["a.yml"] = workflow("schedule", step("trace-model", subject="m@v1.0.0"))
    assert branches(documents).ok is True


def test_without_our_actions_there_is_nothing_to_judge() -> None:
    other = {"on": "push", "jobs": {"j": {"steps": [{"uses": "actions/checkout@v4"}]}}}
    assert branches({"x.yml": other, "y.yml": None, "z.yml": []}).fix == "model-gitops adopt"


def test_a_workflow_that_is_no_yaml_is_named() -> None:
    error = InputError("d.yml is not valid YAML: line 3", fix="correct that line")
    found = workflows.branches([], [], flow(), [error])
    assert found == Finding("workflow-branches", False, error.message, error.fix)


def test_who_reads_what_writes_the_deploy_repository() -> None:
    (bare,) = workflows.read_all({"d.yml": workflow("push", DEPLOYS)})
    assert workflows.secrets([bare]).ok is False
    (named,) = workflows.read_all({"d.yml": workflow("push", DEPLOYS, environment="dev")})
    assert workflows.secrets([named]).ok is True
    own = step("bump-kustomize-tag", token="${{ secrets['GITHUB_TOKEN'] }}")
    (plain,) = workflows.read_all({"d.yml": workflow("push", own)})
    assert workflows.secrets([plain]).ok is True


@pytest.mark.parametrize(
    ("job", "inputs", "image", "ok"),
    [
        ({}, {}, "ghcr.io/a/m", False),
        ({"permissions": {"packages": "write"}}, {}, "ghcr.io/a/m", True),
        ({"permissions": "write-all"}, {}, "ghcr.io/a/m", True),
        ({"permissions": {"packages": "read"}}, {}, "ghcr.io/a/m", False),
        ({}, {"push": "false"}, "ghcr.io/a/m", True),
        ({}, {"password": "${{ secrets.REGISTRY }}"}, "ghcr.io/a/m", True),
        ({}, {}, "registry.example/a/m", True),
    ],
)
def test_who_pushes_an_image(
    job: dict[str, Any], inputs: dict[str, str], image: str, ok: bool
) -> None:
    found = workflows.read_all(
        {"d.yml": workflow("push", step("build-push-image", **inputs), **job)}
    )
    assert workflows.packages(found, [flow(image=image)]).ok is ok


# --- the rest -----------------------------------------------------------------------------------------


def test_metrics() -> None:
    there = dvc_project.Measured("m.json:f1", "HEAD", True)
    gone = replace(there, is_there=False)
    unknown = replace(gone, problem="no network", unasked=True)
    assert dvc_project.metrics("metrics", [there], gated=True, trained=True).ok is True
    assert dvc_project.metrics("metrics", [there, gone], gated=True, trained=True).ok is False
    assert dvc_project.metrics("metrics", [there, unknown], gated=True, trained=True).ok is None
    assert dvc_project.metrics("metrics", [], gated=False, trained=True).ok is True
    assert dvc_project.metrics("metrics", [], gated=True, trained=False).ok is None
    at_champion = replace(gone, where="dev v1")
    found = dvc_project.metrics("champion-metrics", [at_champion], gated=True, trained=True)
    assert (found.ok, "new-metrics: allow" in found.fix) == (False, True)
    passes = dvc_project.metrics("c", [at_champion], gated=True, trained=True, new_pass=True)
    assert passes.ok is True


def test_remotes() -> None:
    assert dvc_project.remote("s", ["s"], needed=True).ok is True
    assert dvc_project.remote("", [], needed=False).ok is True
    assert dvc_project.remote("", [], needed=True).fix.startswith("dvc remote add --default")
    assert dvc_project.remote("", ["s"], needed=True).fix.startswith("dvc remote default s")
    assert dvc_project.remote("t", ["s"], needed=True).fix.startswith("dvc remote add t")


def test_base_images_and_buildx() -> None:
    there, gone = building.Base("a:1", True), building.Base("b:1", False)
    assert building.base_images([there]).ok is True
    assert building.base_images([there, gone]).ok is False
    assert building.base_images([building.Base("${BASE}", None)]).ok is None
    assert building.base_images(None).ok is True
    person = building.buildx("", "no buildx", "install", is_needed=True, is_on_runner=False)
    runner = building.buildx("", "no buildx", "install", is_needed=True, is_on_runner=True)
    assert (person.ok, runner.ok) == (None, False)
    assert building.buildx("docker", "", "", is_needed=True, is_on_runner=True).ok is True
    assert building.buildx("", "x", "", is_needed=False, is_on_runner=True).ok is True


BRANCH, TAGS, PROD = (
    Subject("branch", "dev"),
    Subject("tags", "all"),
    Subject("environment", "prod"),
)
WANTED = (
    Setting(BRANCH, names.PULL_REQUESTS, True),
    Setting(BRANCH, names.METHODS, frozenset({"merge"})),
    Setting(TAGS, names.NO_MOVE, True),
    Setting(PROD, names.DEPLOYS_FROM, frozenset({"prod"})),
    Setting(Subject("repository"), names.READ_TOKEN, True),
)
JUDGED = {
    names.PULL_REQUESTS: protecting.branches, names.METHODS: protecting.merge_methods,
    names.NO_MOVE: protecting.tags, names.DEPLOYS_FROM: protecting.environments,
    names.READ_TOKEN: protecting.actions,
}  # fmt: skip


@pytest.mark.parametrize("setting", WANTED, ids=lambda one: one.name)
def test_what_differs_on_the_server_is_one_checks_cross(setting: Setting) -> None:
    well = protecting.Protected("o/r", WANTED, (), ())
    change = Change("o/r", setting.subject, setting.name, None, setting.wanted, True)
    wrong, hidden = replace(well, changes=(change,)), replace(well, unseen=(setting,))
    for name, judge in JUDGED.items():
        assert judge(well).ok is True
        assert judge(wrong).ok is (name != setting.name)
        assert judge(hidden).ok is (None if name == setting.name else True)
    assert JUDGED[setting.name](wrong).fix == "model-gitops protect o/r"


def test_secrets_and_reviewers() -> None:
    well = protecting.Protected("o/r", WANTED, (), (), knows_secrets=True)
    loose = Todo(
        Subject("repository"), "secret DEPLOY_TOKEN is the repository's", "gh secret delete x", True
    )
    missing = Todo(PROD, "has no secret DEPLOY_TOKEN", "gh secret set x")
    found = replace(well, todos=(loose, missing))
    assert protecting.secrets(found, are_here=True).fix == "gh secret set x"
    assert protecting.secrets_scope(found, are_here=True).fix == "gh secret delete x"
    for judge in (protecting.secrets, protecting.secrets_scope):
        assert judge(well, are_here=True).ok is True
        assert judge(well, are_here=False).ok is None
        assert judge(replace(well, knows_secrets=False), are_here=True).ok is None
    one = flow()
    people = {PROD: {names.REVIEWERS: frozenset({"ada"})}}
    assert protecting.reviewers(replace(well, found=people), one).ok is True
    assert (
        protecting.reviewers(replace(well, found={PROD: {names.REVIEWERS: frozenset()}}), one).ok
        is False
    )
    assert protecting.reviewers(replace(well, found={PROD: {}}), one).ok is None
    assert protecting.reviewers(replace(well, found={}), one).ok is False
    assert protecting.reviewers(replace(well, wanted=WANTED[:1]), one).ok is None
    assert protecting.tags(replace(well, wanted=WANTED[:1])).ok is None
    gone = Todo(BRANCH, "is not there yet", "git push origin main:dev")
    assert protecting.branches(replace(well, todos=(gone,))).fix == "git push origin main:dev"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colours_and_a_line_that_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output, errors = Terminal(), Terminal()
    screen = Screen(output, errors)
    assert screen.has_colour
    screen.status("model")
    screen.print("✓ model")
    assert output.getvalue() == "✓ model\n"
    assert errors.getvalue() == "\r\x1b[K… model\r\x1b[K"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Screen(output, errors).has_colour
    plain = io.StringIO()
    pipe = Screen(plain, plain)
    pipe.status("model")
    assert (pipe.has_colour, plain.getvalue()) == (False, "")
