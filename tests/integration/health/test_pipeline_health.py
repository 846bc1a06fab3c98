"""pipeline-health: which workflows do not run as their files say, and what Git tells of deliveries."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import jsonschema
import pytest
from health_world import BOT, MODEL, SCRIPTS, Told, World

from model_gitops.adapters.issues import Issues

HOUR = 3600


def checked(told: Told) -> Told:
    schema = json.loads((SCRIPTS / "model_gitops" / "health.schema.json").read_text("utf-8"))
    jsonschema.validate(told.answer, schema, format_checker=jsonschema.FormatChecker())
    ElementTree.fromstring(told.picture)
    return told


def requests(world: World) -> list[str]:
    file = world.forge.log_file
    return file.read_text("utf-8").splitlines() if file.exists() else []


def issues(world: World) -> Issues:
    return Issues(MODEL, BOT, api_url=world.forge.api_url)


def test_a_pipeline_that_is_well(world: World) -> None:
    world.well()
    told = checked(world.run(issue="true", check="true"))
    assert told.code == 0, told.log
    assert told.answer["healthy"] is True
    assert [one["file"] for one in told.answer["workflows"]] == ["audit.yml", "deploy.yml"]
    audit = told.answer["workflows"][0]
    assert (audit["takes"], audit["waits"], len(audit["runs"])) == (120, 30, 3)
    assert "operation<<" in told.outputs
    assert issues(world).open_ones() == []
    assert "✅ The pipeline is well" in told.summary
    assert "| 2 min | 30 s |" in told.summary


def test_one_issue_is_opened_updated_and_closed(world: World) -> None:
    world.well()
    number = world.ran("audit.yml", 1, "failure")
    told = checked(world.run(issue="true"))
    assert told.code == 0, told.log
    (issue,) = issues(world).open_ones()
    assert issue.title == "The pipeline is not well: audit.yml"
    assert "its last run on main ended as failure" in issue.body
    assert f"/actions/runs/{number}" in issue.body
    assert f"gh run view {number} --log-failed" in issue.body
    # Run again: nothing new.
    again = world.run(issue="true")
    assert re.search(r"operation<<(\S+)\nnone\n\1", again.outputs), again.outputs
    world.ran("deploy.yml", 1, "failure", event="push")
    world.run(issue="true")
    assert "deploy.yml" in issues(world).open_ones()[0].title
    world.ran("audit.yml", 0.5)
    world.ran("deploy.yml", 0.5, event="push")
    told = world.run(issue="true", check="true")
    assert told.code == 0, told.log
    assert issues(world).open_ones() == []


def test_a_schedule_that_does_not_run_ends_the_step(world: World) -> None:
    world.ran("audit.yml", 80)
    told = checked(world.run(check="true"))
    assert told.code == 3
    assert "audit.yml did not run by its schedule since" in told.log
    world.forge.add_workflow(MODEL, "audit.yml", state="disabled_inactivity")
    told = checked(world.run(check="true"))
    assert "for 60 days nothing happened in the repository" in told.log
    assert "gh workflow enable audit.yml" in told.log
    assert checked(world.run(check="true", ignore="audit.yml")).code == 0


def test_a_schedule_behind_many_other_runs_is_found(world: World) -> None:
    files = {
        ".github/workflows/audit.yml": "on: {push: , schedule: [{cron: '23 4 * * *'}]}\njobs: {a: {}}\n"
    }
    world.commit(files, 200)
    world.ran("audit.yml", 6)
    for _ in range(100):
        world.ran("audit.yml", 1, event="push", branch="main")
    assert checked(world.run(check="true")).code == 0


def test_few_requests_are_made(world: World) -> None:
    world.well()
    for hours in range(60, 160):
        world.ran("audit.yml", hours)
    before = len(requests(world))
    told = world.run()
    assert "requests for the runs of 2 workflows" in told.log
    # Workflows, runs of each of two, and the jobs of at most five runs of each; and Git's own.
    asked = requests(world)[before:]
    api = [one for one in asked if "/actions/" in one]
    assert len(api) == 1 + 2 + 5 + 1


def test_deliveries_from_git_alone(world: World) -> None:
    world.well()
    first = world.commit({"a": "1"}, 300)
    world.deployed("dev", "a", 299, first)
    second = world.commit({"a": "2"}, 210)
    third = world.commit({"a": "3"}, 202)
    world.deployed("dev", "b", 200, third)
    assert second
    world.deployed("dev", "a", 197, first, f"Rollback: true\nRollback-From: {third}\n")
    # Production takes it by a pull request, which is merged an hour later.
    world.deployed("production", "a", 150, first, branch="model-gitops/production")
    world.merge("model-gitops/production", 149)
    told = checked(world.run(since="30d"))
    assert told.code == 0, told.log
    (flow,) = told.answer["models"]
    dev, production = flow["environments"]
    assert (dev["deployments"], dev["failed"], dev["change_failure_rate"]) == (2, 1, 0.5)
    # Of 1, 2 and 10 hours.
    assert dev["lead_time"] == 2 * HOUR
    assert dev["time_to_restore"] == 3 * HOUR
    assert (production["deployments"], production["lead_time"]) == (1, 151 * HOUR)
    assert production["time_to_restore"] is None
    # Only what landed in the time that is asked for.
    (flow,) = world.run(since="160h").answer["models"]
    assert [one["deployments"] for one in flow["environments"]] == [0, 1]


def test_a_long_history_takes_few_requests(world: World) -> None:
    world.well()
    source = world.commit({"a": "1"}, 390)
    for number in range(120):
        world.deployed("dev", "abcdef"[number % 6], 380 - number, source)
    before = len(requests(world))
    told = checked(world.run())
    (flow,) = told.answer["models"]
    assert flow["environments"][0]["deployments"] == 120
    asked = requests(world)[before:]
    assert len([one for one in asked if "git-upload-pack" in one]) < 25


def test_where_nobody_may_look(world: World) -> None:
    world.well()
    told = checked(world.run(source_token=""))
    assert told.code == 0
    assert told.answer["notes"] == ["workflow runs: without `source-token` nobody was asked"]
    world.forge.add_token("reader", "reader[bot]", {"contents": "read"})
    told = checked(world.run(source_token="reader"))
    assert "actions: read" in told.log + told.answer["notes"][0] or "403" in told.answer["notes"][0]
    # A deploy repository that can't be read hides nothing of the workflows.
    world.ran("audit.yml", 1, "failure")
    told = checked(world.run(token="", check="true"))
    assert told.code == 3
    assert told.answer["models"][0]["problem"]


def test_gitea(gitea: World) -> None:
    gitea.well()
    told = checked(gitea.run(issue="true"))
    assert told.code == 0, told.log
    assert told.answer["healthy"] is True, told.answer["problems"]
    gitea.ran("audit.yml", 1, "failure")
    told = checked(gitea.run(issue="true"))
    assert [one["workflow"] for one in told.answer["problems"]] == ["audit.yml"]
    assert len(issues(gitea).open_ones()) == 1


EVIL = "<img src=x>\n::error::x @ada | `a` [x](javascript:alert(1)) </script>"


def test_names_of_strangers_are_text(world: World) -> None:
    world.well()
    odd = "a<b>\"&'$(touch$IFS/pwned)|@ada"
    world.work.run("push", "--quiet", "origin", f"HEAD:refs/heads/{odd}")
    world.ran("deploy.yml", 1, "failure", event="push", branch=odd)
    world.commit(
        {".github/workflows/evil.yml": "name: " + json.dumps(EVIL) + "\non: push\njobs: {a: {}}\n",
         ".github/workflows/broken.yml": "a: [\n"}, 10,
    )  # fmt: skip
    told = checked(world.run())
    assert told.answer["problems"][0]["workflow"] == "broken.yml"
    assert "<b>" not in told.summary
    assert "<b>" not in told.picture
    assert "evil.yml" in "".join(ElementTree.fromstring(told.picture).itertext())
    assert not re.search(r"(?m)^::error::x", told.log)
    assert not list(world.top.rglob("pwned"))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"since": "soon"}, "it is no length of time"),
        ({"since": "5m"}, "it is shorter than an hour"),
        ({"config": "nowhere"}, "no such file"),
        ({"issue": "true", "source_token": ""}, "`source-token` is empty"),
    ],
)
def test_wrong_inputs(world: World, inputs: dict[str, str], said: str) -> None:
    told = world.run(**inputs)
    assert told.code == 2
    assert said in told.log
