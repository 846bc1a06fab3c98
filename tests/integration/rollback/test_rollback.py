"""A rollback as a step: overlay, hold and stage at once; a second one changes nothing."""

from __future__ import annotations

from rollbacks import FIRST, SECOND, Incident

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
