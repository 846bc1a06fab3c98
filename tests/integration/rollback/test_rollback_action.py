"""A rollback as a step: overlay, hold and stage at once; a second one changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rollbacks import FIRST, SECOND, THIRD, Incident
from world import MODEL, TOKEN

from model_gitops.adapters import commit_statuses
from model_gitops.adapters.github_client import Client
from model_gitops.core.deploy import hold
from model_gitops.core.deploy.trailers import read_trailers


def test_the_last_good_version_comes_back_with_its_hold_in_one_commit(incident: Incident) -> None:
    before = incident.deploy_git.run("rev-parse", "main").strip()
    taken_back = incident.source("dev")
    done = incident.rollback("dev", reason="p95 too high")
    assert (done["operation"], done["version"], done["from"]) == ("pushed", "v0.0.1", "v0.0.2")
    assert done["image"].endswith(f"@{FIRST}")
    assert incident.digest("dev") == FIRST
    assert incident.deploy_git.run("rev-parse", "main~1").strip() == before
    assert incident.deploy_git.run("rev-parse", "main").strip() == done["commit"]
    held = hold.read(incident.overlay("dev", "hold.yaml"), source="hold.yaml")
    assert (held.reason, held.until) == ("rolled back from v0.0.2: p95 too high", None)
    said = read_trailers(incident.last_message())
    assert said["rollback"] == ["true"]
    assert said["rollback-from"] == [taken_back]
    assert said["rollback-version"] == ["v0.0.2"]
    assert said["rollback-reason"] == ["p95 too high"]
    assert said["model"] == ["diabetes@v0.0.1"]
    assert said["image-digest"] == [FIRST]
    assert incident.stage("dev") == "v0.0.1"
    # Only what must change was changed.
    assert "  newName: registry.example/acme/diabetes" in incident.overlay("dev")
    # Again: nothing.
    again = incident.rollback("dev", reason="p95 too high")
    assert (again["operation"], again["version"], again["from"]) == ("none", "v0.0.1", "v0.0.2")
    assert "went back" in again["log"] or "rolled back from v0.0.2" in again["log"]
    assert incident.deploy_git.run("rev-parse", "main").strip() == done["commit"]


def test_a_pull_request_where_the_environment_wants_one(incident: Incident) -> None:
    done = incident.rollback("production", reason="wrong answers")
    assert (done["operation"], done["version"]) == ("opened", "v0.0.1")
    assert incident.digest("production") == SECOND
    (pull,) = incident.waiting()
    assert done["pull-request"] == pull.url
    assert pull.title == "Roll back diabetes to v0.0.1 in production"
    assert "wrong answers" in pull.body
    again = incident.rollback("production", reason="wrong answers")
    assert again["operation"] == "none"
    assert incident.stage("production") == "v0.0.2"
    incident.merge_waiting()
    assert incident.digest("production") == FIRST
    assert "wrong answers" in incident.overlay("production", "hold.yaml")
    # The stage's tag is all that is missing: a rerun, or stages.yml, writes it.
    last = incident.rollback("production")
    assert (last["operation"], last["version"]) == ("assigned", "v0.0.1")
    assert incident.stage("production") == "v0.0.1"
    assert incident.rollback("production")["operation"] == "none"


def test_a_pull_request_where_the_branch_takes_no_push(incident: Incident) -> None:
    hook = incident.deploy_git.directory / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\ntest "$1" != refs/heads/main || { echo "GH006: Protected branch"; exit 1; }\n'
    )
    hook.chmod(0o755)
    done = incident.rollback("dev", reason="wrong answers")
    assert (done["operation"], done["version"]) == ("opened", "v0.0.1"), done["log"]
    assert "takes no push: a pull request is opened" in done["log"]
    assert incident.rollback("dev", reason="wrong answers")["operation"] == "none"
    hook.unlink()
    incident.merge_waiting()
    assert incident.digest("dev") == FIRST
    assert "wrong answers" in incident.overlay("dev", "hold.yaml")


def test_a_late_run_of_what_was_taken_back_is_superseded(incident: Incident) -> None:
    taken_back = incident.source("dev")
    done = incident.rollback("dev")
    told = incident.again("dev", 2, taken_back)
    assert "operation=superseded" in told.answer, told.log
    assert incident.deploy_git.run("rev-parse", "main").strip() == done["commit"]
    # By hand the environment is released; the next version then ends the rollback.
    incident.release("dev")
    incident.bring("dev", 3)
    assert incident.digest("dev") == THIRD
    assert "operation=superseded" in incident.again("dev", 2, taken_back).answer
    # And the last good version is the one before the rollback: not the one that was taken back.
    last = incident.rollback("dev", reason="again")
    assert (last["operation"], last["version"], last["from"]) == ("pushed", "v0.0.1", "v0.0.3")


def test_a_version_that_a_person_names(incident: Incident) -> None:
    incident.bring("dev", 3)
    refused = incident.rollback("dev", code=3, version="v0.0.9")
    assert "v0.0.9 was never deployed to dev; these were: v0.0.3, v0.0.2, v0.0.1" in refused["log"]
    assert "Fix: version: v0.0.3" in refused["log"]
    assert incident.rollback("dev", version="v0.0.3")["operation"] == "none"
    wrong = incident.rollback("dev", code=2, version="latest")
    assert "it is no version as GTO writes it" in wrong["log"]
    done = incident.rollback("dev", version="0.0.1")
    assert (done["operation"], done["version"]) == ("pushed", "v0.0.1")
    # What was taken back by it may be named too: a person decides.
    done = incident.rollback("dev", version="diabetes@v0.0.2")
    assert (done["operation"], done["version"], done["from"]) == ("pushed", "v0.0.2", "v0.0.1")
    assert incident.digest("dev") == SECOND
    assert incident.stage("dev") == "v0.0.2"
    # Still nothing older than what was seen comes back by a late run.
    assert read_trailers(incident.last_message())["rollback-from"] == [incident.sha("main")]


def test_nothing_to_go_back_to_is_refused(incident: Incident) -> None:
    nothing = incident.rollback("staging", code=3)
    assert "staging runs nothing: there is nothing to go back to" in nothing["log"]
    incident.bring("staging", 1)
    before = incident.deploy_git.run("rev-parse", "main")
    first = incident.rollback("staging", code=3)
    assert (
        "staging runs v0.0.1, its first deployment: there is nothing to go back to" in first["log"]
    )
    assert incident.deploy_git.run("rev-parse", "main") == before
    unknown = incident.rollback("prod", code=2)
    assert "it has dev, staging, production" in unknown["log"]


def test_a_plain_revert_is_known(incident: Incident) -> None:
    git = incident.clone_of_deploy()
    path = "overlays/dev/kustomization.yaml"
    newest = git.run("log", "-1", "--format=%H", "--", path).strip()
    git.run("revert", "--no-edit", newest)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert incident.digest("dev") == FIRST
    done = incident.rollback("dev", reason="p95")
    assert (done["operation"], done["version"], done["from"]) == ("assigned", "v0.0.1", "v0.0.2")
    assert incident.stage("dev") == "v0.0.1"
    # With the next version it is left out, as what a rollback took back.
    incident.bring("dev", 3)
    assert incident.rollback("dev")["version"] == "v0.0.1"


def test_the_server_of_the_model_is_away(incident: Incident) -> None:
    url = incident.work.run("config", "remote.origin.url").strip()
    incident.work.run("config", "remote.origin.url", url.replace("acme/diabetes", "acme/gone"))
    done = incident.rollback("dev", reason="p95")
    assert (done["operation"], incident.digest("dev")) == ("pushed", FIRST)
    assert "dev is rolled back, and the tag of its stage is missing" in done["log"]
    assert incident.stage("dev") == "v0.0.2"
    incident.work.run("config", "remote.origin.url", url)
    assert incident.rollback("dev")["operation"] == "assigned"
    assert incident.stage("dev") == "v0.0.1"


def test_a_version_whose_verification_failed_is_left_out(incident: Incident) -> None:
    incident.bring("dev", 3)
    second = incident.source_of("dev", SECOND)
    api = Client(MODEL, TOKEN, api_url=incident.forge.api_url)
    commit_statuses.write(
        api, second, "model-gitops/dev", "failure", "p95 300 ms, at most 200 ms", ""
    )
    commit_statuses.write(api, second, "model-gitops/staging", "success", "", "")
    without = incident.rollback("dev", source_token=TOKEN)
    assert without["version"] == "v0.0.1"
    assert "v0.0.2 is left out: its verification failed in dev" in without["log"]


PASSED = "v0.0.2 is passed over: its verification in dev came to no result, and v0.0.1 was verified"
TAKEN = "v0.0.2 comes back, and its verification in dev came to no result: no version before it was"


@pytest.mark.parametrize(
    ("first", "second", "back", "said"),
    [
        ("success", "error", "v0.0.1", PASSED),
        ("failure", "error", "v0.0.2", TAKEN),
        ("", "pending", "v0.0.2", TAKEN),
    ],
)
def test_a_version_of_which_nobody_could_say_is_better_than_none(
    incident: Incident, first: Any, second: Any, back: str, said: str
) -> None:
    incident.bring("dev", 3)
    api = Client(MODEL, TOKEN, api_url=incident.forge.api_url)
    for digest, known in ((FIRST, first), (SECOND, second)):
        if known:
            commit = incident.source_of("dev", digest)
            commit_statuses.write(api, commit, "model-gitops/dev", known, "", "")
    done = incident.rollback("dev", source_token=TOKEN)
    assert (done["operation"], done["version"]) == ("pushed", back)
    assert said in done["log"]


def test_where_nobody_says_which_verification_failed_each_version_counts(
    incident: Incident,
) -> None:
    incident.forge.fail_next("GET", "/statuses", 500, times=9)
    done = incident.rollback("dev", source_token=TOKEN)
    assert (done["operation"], done["version"]) == ("pushed", "v0.0.1")
    assert "which verifications failed can't be asked" in done["log"]


def test_a_run_that_is_started_again_takes_nothing_else_back(incident: Incident) -> None:
    incident.env |= {"GITHUB_RUN_ID": "41", "GITHUB_RUN_ATTEMPT": "1"}
    incident.rollback("dev")
    incident.release("dev")
    incident.bring("dev", 3)
    before = incident.deploy_git.run("rev-parse", "main")
    again = {"GITHUB_RUN_ID": "41", "GITHUB_RUN_ATTEMPT": "2"}
    incident.env |= again
    late = incident.rollback("dev")
    assert (late["operation"], late["version"]) == ("none", "v0.0.3")
    assert "this run has rolled it back before" in late["log"]
    assert incident.deploy_git.run("rev-parse", "main") == before
    assert incident.stage("dev") == "v0.0.3"


def test_what_was_deployed_meanwhile_is_not_taken_back(incident: Incident) -> None:
    """A verification takes its time: what failed it may have been replaced by what mends it."""
    incident.bring("dev", 3)
    before = incident.deploy_git.run("rev-parse", "main")
    late = incident.rollback("dev", if_image=f"registry.example/acme/diabetes@{SECOND}")
    assert (late["operation"], late["version"]) == ("none", "v0.0.3")
    assert "dev runs v0.0.3, and not the image that was to go" in late["log"]
    assert incident.deploy_git.run("rev-parse", "main") == before
    assert incident.stage("dev") == "v0.0.3"
    wrong = incident.rollback("dev", code=2, if_image="registry.example/acme/diabetes:v0.0.3")
    assert "it is no image with a digest" in wrong["log"]
    done = incident.rollback("dev", if_image=f"registry.example/acme/diabetes@{THIRD}")
    assert (done["operation"], done["version"]) == ("pushed", "v0.0.2")


def test_a_hold_that_is_there_is_not_shortened(incident: Incident) -> None:
    incident.bring("dev", 3)
    assert incident.rollback("dev", version="v0.0.2", until="2h")["operation"] == "pushed"
    first = hold.read(incident.overlay("dev", "hold.yaml"), source="")
    assert first.until is not None
    assert (first.until - first.since).total_seconds() == 7200
    incident.work.run("config", "user.name", "Grace")
    incident.rollback("dev", version="v0.0.1", until="1h", reason="worse")
    second = hold.read(incident.overlay("dev", "hold.yaml"), source="")
    assert (second.by, second.until) == ("Grace", first.until)
    assert second.reason == "rolled back from v0.0.2: worse; and Ada: rolled back from v0.0.3"
    assert (
        "neither a length of time nor a moment"
        in incident.rollback("dev", code=2, until="soon")["log"]
    )


def test_from_a_plain_clone_without_a_runner_or_a_token(incident: Incident) -> None:
    """In an incident: no GitHub, the deploy repository as git reaches it."""
    rules = json.loads((incident.work.directory / "promotion.yaml").read_text("utf-8"))
    rules["deploy"] = {"repository": str(incident.deploy_git.directory)}
    (incident.work.directory / "promotion.yaml").write_text(json.dumps(rules), "utf-8")
    incident.env = {}
    done = incident.rollback("dev", token="", reason="p95\ntoo\thigh")
    assert (done["operation"], done["version"]) == ("pushed", "v0.0.1")
    assert read_trailers(incident.last_message())["rollback-by"] == ["Ada"]
    assert "v0.0.1, rolled back from v0.0.2 by Ada: p95 too high" in done["log"]
    assert "is held" in done["log"]
    assert incident.stage("dev") == "v0.0.1"
