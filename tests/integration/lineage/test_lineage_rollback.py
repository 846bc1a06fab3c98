"""A rollback, however somebody made it, is right: said, green, and undone by no advice or late run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from world import (
    DEPLOY,
    HASHES,
    MODEL,
    READER,
    TOKEN,
    Told,
    World,
    api,
    links,
    push_image,
    schema,
)

from model_gitops.adapters.git import Git
from model_gitops.core.deploy.trailers import read_trailers

pytestmark = pytest.mark.docker

REASON = "Predictions are too high."
ENVIRONMENTS = {"dev": "main", "production": "production"}


@dataclass
class Bad:
    """The second version, as it was deployed: what a rollback takes back."""

    world: World
    environment: str
    commit: str
    digest: str
    older: str
    older_digest: str

    def deploy(self) -> Told:
        return self.world.deploy(
            self.environment, self.commit, self.digest,
            merged=False, model_hash=HASHES["worse"], version="v0.0.2",
        )  # fmt: skip


@pytest.fixture
def bad(world: World, request: pytest.FixtureRequest) -> Bad:
    """Deploy a second version to dev, by a push, or to production, by a merged pull request."""
    branch = ENVIRONMENTS[request.param]
    older = world.work.commit_of(f"origin/{branch}") or ""
    older_digest = deployed_digest(world, request.param)
    world.work.run("checkout", "--quiet", "-B", "edit", f"origin/{branch}")
    commit = world.commit(world.work, world.files("worse", 5), branch)
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.assign(request.param, commit)
    one = Bad(world, request.param, commit, digest, older, older_digest)
    one.deploy()
    for pull in world.waiting():
        api(DEPLOY, world).get_pull(pull.number).merge(merge_method="merge")
    assert deployed_digest(world, request.param) == digest != older_digest
    return one


def deployed_digest(world: World, environment: str) -> str:
    """The digest in an environment's overlay, as Git has it."""
    path = f"overlays/{environment}/kustomization.yaml"
    text = Git(world.top / "deploy.git").file_at("main", path) or ""
    return re.findall(r"digest: (\S+)", text)[0]


def view_of(bad: Bad) -> tuple[Any, str, Told]:
    """What status says of the environment: as JSON, and as text."""
    bad.world.work.run("fetch", "--quiet", "origin")
    told, view = bad.world.status(check="true")
    jsonschema.validate(view, schema("status"), format_checker=jsonschema.FormatChecker())
    (row,) = (one for one in view["environments"] if one["name"] == bad.environment)
    shown = bad.world.run("status", token=READER, source_token=READER).answer
    return row, shown, told


def edit(world: World) -> Git:
    """A clone of the deploy repository, for a person."""
    git = world.clone(DEPLOY, "edit")
    git.run("pull", "--quiet", "origin", "main")
    return git


def revert(bad: Bad, *, what: str = "HEAD", push_to: str = "main") -> Git:
    git = edit(bad.world)
    is_merge = len(git.run("rev-list", "--parents", "-1", what).split()) > 2
    git.run("revert", "--no-edit", *(["-m", "1"] if is_merge else []), what)
    message = git.run("log", "-1", "--format=%B").strip()
    git.run("commit", "--quiet", "--amend", "-m", f"{message}\n\n{REASON}")
    git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{push_to}")
    return git


def by_revert(bad: Bad) -> None:
    shutil.rmtree(revert(bad).directory)


def by_the_button(bad: Bad, method: str) -> None:
    """GitHub's Revert: a branch with the revert, and a pull request that says so."""
    git = revert(bad, push_to="revert-8-deploy")
    title = git.run("log", "-1", "--format=%s").strip()
    shutil.rmtree(git.directory)
    ada = api(DEPLOY, bad.world)
    body = f"Reverts {DEPLOY}#8\n\n{REASON}"
    pull = ada.create_pull(base="main", head="revert-8-deploy", title=title, body=body)
    # As `Default to pull request title and description` of the repository's settings does it.
    more = {"commit_title": f"{title} (#{pull.number})", "commit_message": body}
    pull.merge(merge_method=method, **(more if method == "squash" else {}))


def by_hand(bad: Bad) -> None:
    """With our action and no more than what is needed; HEAD is whatever a person has there."""
    world = bad.world
    world.work.run("checkout", "--quiet", "--detach", "origin/main")
    told = world.run(
        "bump-kustomize-tag", repository=DEPLOY, path=f"overlays/{bad.environment}", token=TOKEN,
        images=f"diabetes={world.image}:{bad.older}@{bad.older_digest}",
        trailers="Rollback: true", message=f"Go back to v0.0.1\n\n{REASON}",
    )  # fmt: skip
    assert "operation=pushed" in told.answer, told.log


WAYS: dict[str, Callable[[Bad], None]] = {
    "git revert": by_revert,
    "the button, squashed": lambda bad: by_the_button(bad, "squash"),
    "the button, merged": lambda bad: by_the_button(bad, "merge"),
    "Rollback: true": by_hand,
}


PLAYED = [
    ("dev", "git revert"),
    ("production", "git revert"),
    ("dev", "the button, merged"),
    ("production", "the button, squashed"),
    ("production", "Rollback: true"),
]


@pytest.mark.parametrize(("bad", "way"), PLAYED, indirect=["bad"])
def test_a_rollback_is_right_however_it_was_made(bad: Bad, way: str) -> None:
    world, environment = bad.world, bad.environment
    WAYS[way](bad)
    row, shown, told = view_of(bad)
    assert told.code == 0, told.log
    assert (row["version"], row["digest"], row["source_commit"]) == (
        "v0.0.1", bad.older_digest, bad.older,
    )  # fmt: skip
    assert (row["in_sync"], row["problems"], row["stage_version"]) == (True, [], "v0.0.2")
    said = [one for one in row["waiting"] if one.startswith("rolled back from v0.0.2 by ")]
    assert len(said) == 1, row["waiting"]
    assert REASON in said[0]
    assert f"ℹ {environment}: rolled back from v0.0.2 by " in shown
    # No word that undoes it, and the one that ends what is left.
    command = (
        f"model-gitops gto-register-stage --model diabetes --version v0.0.1 --stage {environment}"
    )
    assert command in shown
    assert "gh run list" not in shown
    assert "v0.0.2 of" not in " ".join(row["waiting"])
    told, found = world.trace(environment)
    assert told.code == 0, told.log
    states = links(found)
    assert states["overlay → rollback"] == "verified"
    pending = {name for name, state in states.items() if state == "pending"}
    assert pending == {"branch → source commit", "stage → version"}
    assert set(states.values()) <= {"verified", "pending", "unknown"}

    # The stage follows: stages.yml gives what is unassigned to gto-register-stage.
    assert row_of(world, environment) == {
        "model": "diabetes", "stage": environment, "environment": environment, "version": "v0.0.1",
    }  # fmt: skip
    done = world.run("gto-register-stage", model="diabetes", version="v0.0.1", stage=environment)
    assert done.code == 0, done.log
    row, shown, told = view_of(bad)
    assert (told.code, row["stage_version"], row["in_sync"]) == (0, "v0.0.1", True)
    assert command not in shown
    assert row_of(world, environment) is None


def row_of(world: World, environment: str) -> Any:
    """What the output `unassigned` says of the environment."""
    file = world.top / "outputs"
    file.unlink(missing_ok=True)
    world.env["GITHUB_OUTPUT"] = str(file)
    world.status()
    del world.env["GITHUB_OUTPUT"]
    _, _, rest = file.read_text("utf-8").partition("unassigned<<")
    rows = [one for one in json.loads(rest.splitlines()[1]) if one["stage"] == environment]
    return rows[0] if rows else None


@pytest.mark.parametrize("bad", ["dev", "production"], indirect=True)
def test_a_late_run_of_what_was_taken_back_changes_nothing(bad: Bad) -> None:
    by_revert(bad)
    before = Git(bad.world.top / "deploy.git").run("rev-parse", "main")
    told = bad.deploy()
    assert "operation=superseded" in told.answer, told.log
    assert Git(bad.world.top / "deploy.git").run("rev-parse", "main") == before
    assert bad.world.waiting() == []


@pytest.mark.parametrize("bad", ["production"], indirect=True)
def test_the_next_promotion_ends_a_rollback(bad: Bad) -> None:
    world, environment = bad.world, bad.environment
    by_revert(bad)
    world.work.run("checkout", "--quiet", "-B", "edit", f"origin/{ENVIRONMENTS[environment]}")
    files = {"readme": "mended\n", **world.files("better", 61)}
    commit = world.commit(world.work, files, ENVIRONMENTS[environment])
    # Before it is deployed the branch has something newer, and that is no advice against a rollback.
    _, found = world.trace(environment)
    assert links(found)["branch → source commit"] in ("pending", "broken")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "better"), salt="3")
    world.deploy(environment, commit, digest, merged=False)
    for pull in world.waiting():
        api(DEPLOY, world).get_pull(pull.number).merge(merge_method="merge")
    row, shown, _ = view_of(bad)
    assert (row["source_commit"], row["digest"]) == (commit, digest)
    assert "rolled back" not in shown


@pytest.mark.parametrize("bad", ["dev"], indirect=True)
def test_a_revert_of_the_revert_is_a_deployment_again(bad: Bad) -> None:
    by_revert(bad)
    by_revert(bad)
    row, shown, _ = view_of(bad)
    assert (row["version"], row["digest"]) == ("v0.0.2", bad.digest)
    assert "rolled back" not in shown
    assert not any("deploy commit" in one["problem"].split(":")[0] for one in row["problems"]), row


def test_a_revert_of_the_first_deployment_leaves_nothing(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    _, found = world.trace("production")
    world.deploy("empty", commit, found["image"]["digest"], merged=False)
    (pull,) = world.waiting()
    api(DEPLOY, world).get_pull(pull.number).merge(merge_method="merge")
    world.assign("empty", commit)
    by_revert(Bad(world, "empty", commit, "", "", ""))
    told, view = world.status(check="true")
    assert told.code == 0, told.log
    empty = view["environments"][-1]
    assert (empty["version"], empty["image"], empty["in_sync"]) == (None, None, True)
    said = " ".join(empty["waiting"])
    assert f"rolled back from v0.0.1 by Ada: {REASON}" in said
    assert "gto deprecate diabetes v0.0.1 empty" in said
    # A late run of it is none, as of every deployment that was taken back; a revert of the revert is one.
    told = world.deploy("empty", commit, found["image"]["digest"], merged=False)
    assert ("operation=superseded" in told.answer, world.waiting()) == (True, []), told.log
    by_revert(Bad(world, "empty", commit, "", "", ""))
    _, view = world.status()
    empty = view["environments"][-1]
    assert (empty["version"], empty["digest"]) == ("v0.0.1", found["image"]["digest"])
    assert "rolled back" not in " ".join(empty["waiting"])


@pytest.mark.parametrize("bad", ["production"], indirect=True)
def test_what_the_trailers_of_a_rollback_leave_out_is_known(bad: Bad) -> None:
    """HEAD is no source of an older image, whatever the job's context says."""
    by_hand(bad)
    message = Git(bad.world.top / "deploy.git").run("log", "-1", "--format=%B", "main")
    assert "model" not in read_trailers(message)
    told, found = bad.world.trace(bad.environment)
    assert (told.code, found["version"]["name"]) == (0, "v0.0.1"), told.log
    assert found["source"]["commit"] == bad.older
    assert found["deployment"]["trailers"]["source-repository"] == [MODEL]


@pytest.mark.parametrize("bad", ["dev", "production"], indirect=True)
def test_our_own_rollback_leaves_nothing_to_do(bad: Bad) -> None:
    """Overlay, hold and stage at once: status, trace-model and the audit show no ✗, and no ?."""
    world, environment = bad.world, bad.environment
    world.work.run("fetch", "--quiet", "origin")
    world.work.run("checkout", "--quiet", "--detach", f"origin/{ENVIRONMENTS[environment]}")
    inputs = {"environment": environment, "reason": REASON, "token": TOKEN}
    told = world.run("rollback", **inputs)
    assert told.code == 0, told.log
    for pull in world.waiting():
        api(DEPLOY, world).get_pull(pull.number).merge(merge_method="merge")
        assert "operation=assigned" in world.run("rollback", **inputs).answer
    row, shown, told = view_of(bad)
    assert told.code == 0, told.log
    assert (row["version"], row["digest"], row["source_commit"], row["stage_version"]) == (
        "v0.0.1", bad.older_digest, bad.older, "v0.0.1",
    )  # fmt: skip
    assert (row["in_sync"], row["problems"]) == (True, [])
    assert f"ℹ {environment}: rolled back from v0.0.2 by Ada: {REASON}" in shown
    told, found = world.trace(environment)
    assert told.code == 0, told.log
    states = links(found)
    assert states["overlay → rollback"] == states["stage → version"] == "verified"
    assert "broken" not in states.values(), states
    # The deploy job of what was taken back, again.
    assert "operation=superseded" in bad.deploy().answer
