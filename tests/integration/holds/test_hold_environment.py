"""Hold an environment: what is written, who is refused and what passes, what status says of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from promotion_world import DIGEST, Flow
from world import DEPLOY, MODEL, READER, TOKEN, Told, schema

from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core.deploy import hold
from model_gitops.core.deploy.trailers import read_trailers

OTHER = "sha256:" + "2" * 64
WHY = "p95 too high"


def path(environment: str) -> str:
    return f"overlays/{environment}/hold.yaml"


def deploy_git(flow: Flow) -> Git:
    return Git(flow.top / "acme-deploy.git")


def text(flow: Flow, environment: str = "dev") -> str | None:
    return deploy_git(flow).file_at("main", path(environment))


def tip(flow: Flow) -> str:
    return deploy_git(flow).run("rev-parse", "main").strip()


def write(flow: Flow, content: str, environment: str = "dev") -> None:
    """A person's own commit."""
    deploy = Git(flow.top / "deploy")
    deploy.run("fetch", "--quiet", "origin")
    deploy.run("checkout", "--quiet", "--detach", "origin/main")
    flow.commit(deploy, {path(environment): content}, "main")


def holding(flow: Flow, environment: str = "dev", **inputs: str) -> dict[str, str]:
    given = {"environment": environment, "token": TOKEN, **inputs}
    if inputs.get("operation") != "release":
        given.setdefault("reason", WHY)
    return flow.outputs("hold-environment", **given)


def bump(flow: Flow, environment: str = "dev", **inputs: str) -> Told:
    """A deployment of a later commit."""
    commit = flow.change("main", {"notes.md": f"{len(inputs)} {environment}"}, "main")
    flow.work.run("checkout", "--quiet", "--detach", commit)
    lines = f"Source-Repository: {MODEL}\nSource-Commit: {commit}\n{inputs.pop('trailers', '')}"
    return flow.run(
        "bump-kustomize-tag", repository=DEPLOY, path=f"overlays/{environment}", token=TOKEN,
        images=f"diabetes={flow.image}:{commit}@{OTHER}", trailers=lines, **inputs,
    )  # fmt: skip


def test_it_is_held_by_one_commit_and_released_by_another(deployed: Flow) -> None:
    before, kustomization = tip(deployed), "overlays/dev/kustomization.yaml"
    deployed.env["GITHUB_RUN_ID"] = "7"
    deployed.event("workflow_dispatch", sender={"login": "grace"})
    done = holding(deployed, until="2h")
    assert (done["operation"], done["environment"], done["by"]) == ("held", "dev", "grace")
    assert (done["reason"], done["pull-request"]) == (WHY, "")
    assert deploy_git(deployed).run("rev-parse", "main~1").strip() == before
    assert done["commit"] == tip(deployed)
    found = hold.read(text(deployed) or "", source="")
    assert found.until is not None and done["until"] == found.until.isoformat()
    assert found.since is not None and found.until - found.since == timedelta(hours=2)
    assert found.run == f"{deployed.forge.url}/{MODEL}/actions/runs/7"
    changed = deploy_git(deployed).run("diff", "--name-only", before, "main").split()
    assert changed == [path("dev")]
    message = deploy_git(deployed).run("log", "-1", "--format=%B", "main")
    assert message.startswith(f"Hold dev: {WHY}\n")
    assert read_trailers(message)["hold-by"] == ["grace"]
    # A rerun of this run: nothing, and the same end.
    again = holding(deployed, until="2h")
    assert (again["operation"], again["until"]) == ("none", done["until"])
    assert tip(deployed) == done["commit"]
    released = holding(deployed, operation="release", reason="fixed")
    assert (released["operation"], released["until"]) == ("released", "")
    assert text(deployed) is None
    assert deploy_git(deployed).file_at("main", kustomization) is not None
    message = deploy_git(deployed).run("log", "-1", "--format=%B", "main")
    assert message.startswith("Release dev: fixed\n")
    assert holding(deployed, operation="release")["operation"] == "none"


def test_by_hand_it_is_who_git_knows(deployed: Flow) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"):
        deployed.env.pop(name, None)
    assert holding(deployed)["by"] == "Ada"


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"environment": "prod"}, "has no such environment; it has dev, staging, production"),
        ({"operation": "stop"}, "it is neither `hold` nor `release`"),
        ({"reason": " "}, "`reason` is empty"),
        ({"until": "tomorrow"}, "neither a length of time nor a moment"),
        ({"until": "2h", "operation": "release"}, "a release has no end"),
        ({"deploy_branch": "gone"}, "has no such branch"),
    ],
)
def test_what_is_wrong_is_refused(deployed: Flow, inputs: dict[str, str], problem: str) -> None:
    before = tip(deployed)
    given = {"environment": "dev", "reason": WHY, "token": TOKEN, **inputs}
    told = deployed.run("hold-environment", **given)
    assert told.code == 2 and problem in told.log, told.log
    assert tip(deployed) == before


class TestWhoIsRefused:
    def test_a_bump_and_a_rollback_passes(self, deployed: Flow) -> None:
        holding(deployed, until="2h")
        before = tip(deployed)
        told = bump(deployed)
        assert told.code == 3, told.log
        assert "overlays/dev takes no promotion: it is held by Ada since" in told.log
        assert f"UTC: {WHY}" in told.log
        assert "--operation release" in told.log
        assert tip(deployed) == before
        # What runs already is set already.
        running = deployed.deploy("dev", deployed.sha("main~1"), DIGEST)
        assert running.code == 0
        assert bump(deployed, trailers="Rollback: true").code == 0
        assert tip(deployed) != before
        assert text(deployed) is not None, "a rollback releases nothing"

    def test_a_bump_by_pull_request(self, deployed: Flow) -> None:
        holding(deployed)
        assert bump(deployed, mode="pull-request").code == 3
        assert deployed.waiting() == []

    def test_after_a_release_it_passes(self, deployed: Flow) -> None:
        holding(deployed)
        assert bump(deployed).code == 3
        holding(deployed, operation="release")
        assert bump(deployed).code == 0

    def test_a_hold_that_ran_out_releases_itself(self, deployed: Flow) -> None:
        past = datetime.now(UTC) - timedelta(minutes=1)
        write(deployed, hold.write(hold.Hold(WHY, "ada", past, past)))
        assert bump(deployed).code == 0
        assert text(deployed) is not None
        assert holding(deployed)["operation"] == "held"
        assert holding(deployed, operation="release")["operation"] == "released"

    @pytest.mark.parametrize("content", ["[", "until: 2h\n", "\N{ESCAPE}[2J::error::x", ""])
    def test_what_can_not_be_read_holds(self, deployed: Flow, content: str) -> None:
        write(deployed, content)
        told = bump(deployed)
        assert told.code == 3, told.log
        assert not any(line.startswith("::error::") for line in told.log.splitlines())
        assert (
            deployed.run(
                "hold-environment", environment="dev", operation="release", token=TOKEN
            ).code
            == 0
        )
        assert bump(deployed).code == 0

    def test_a_pull_request_and_a_merge(self, deployed: Flow) -> None:
        deployed.change("idea", {"notes.md": "idea"}, "main")
        deployed.pull_request("idea", "main")
        holding(deployed)
        told = deployed.run("check-promotion", token=READER)
        assert told.code == 3 and "dev takes no promotion: it is held by" in told.log, told.log
        # Who tells people knows a rule's no from a server that is away.
        assert "\nrefusal=dev takes no promotion: it is held by" in f"\n{told.answer}"
        deployed.push("main")
        told = deployed.run("check-promotion", token=READER)
        assert told.code == 3 and WHY in told.log, told.log
        # Another environment is not held.
        deployed.pull_request("main", "staging")
        assert deployed.run("check-promotion", token=READER).code == 0
        deployed.push("main")
        holding(deployed, operation="release")
        told = deployed.run("check-promotion", token=READER)
        assert told.code == 0 and "\nrefusal=\n" in told.answer, told.answer

    def test_who_can_not_ask_says_so_and_the_bump_asks_again(self, deployed: Flow) -> None:
        holding(deployed)
        deployed.push("main")
        told = deployed.run("check-promotion")
        assert told.code == 0, told.log
        assert "whether dev is held can't be said now" in told.log
        assert bump(deployed).code == 3

    def test_an_unknown_zone_and_closed_hours(self, deployed: Flow) -> None:
        def rules(promote: str) -> None:
            data = json.loads((deployed.work.directory / "promotion.yaml").read_text())
            data["environments"][0]["promote"] = promote
            deployed.change("main", {"promotion.yaml": json.dumps(data)}, "main")
            deployed.push("main")

        later = datetime.now(UTC) + timedelta(hours=2)
        rules(f"{later:%a} {later:%H}:00-{later:%H}:59 UTC")
        told = deployed.run("check-promotion", token=READER)
        assert told.code == 3, told.log
        assert f"it opens next: {later:%A %Y-%m-%d %H}:00 UTC" in told.log
        rules("Mon-Sun 00:00-24:00 UTC")
        assert deployed.run("check-promotion", token=READER).code == 0
        rules("Mon-Sun 00:00-24:00 Europe/Berlln")
        told = deployed.run("check-promotion", token=READER)
        assert told.code == 2 and "Fix: promote" not in told.log, told.log
        assert "refusal=" not in told.answer
        assert "there is no such zone" in told.log and "Europe/Berlin" in told.log


def test_status_shows_it_and_what_waits(deployed: Flow) -> None:
    holding(deployed, "staging", until="2h")
    told, found = deployed.status(password="x")
    assert told.code == 0, told.log
    jsonschema.validate(found, schema("status"))
    dev, staging, _ = found["environments"]
    assert dev["hold"] is None
    assert (staging["hold"]["reason"], staging["hold"]["by"]) == (WHY, "Ada")
    assert staging["waiting"] == ["v0.0.1 of dev (main → staging)"]
    assert staging["in_sync"] is True
    deployed.env.pop("GITHUB_OUTPUT", None)
    shown = deployed.run("status", token=READER, environment="staging").answer
    assert "ℹ staging: held by Ada since" in shown
    assert "Behind it waits: v0.0.1 of dev (main → staging)" in shown


@pytest.fixture
def protected(deployed: Flow) -> Flow:
    """The server takes no push to main but that of a merge, as a protected branch."""
    hook = deploy_git(deployed).directory / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nwhile read old new ref; do\n"
        '  [ "$ref" = refs/heads/main ] && echo "GH006: Protected branch update failed" && exit 1\n'
        "done\nexit 0\n"
    )
    hook.chmod(0o755)
    return deployed


class TestWhereNoPushIsTaken:
    def test_a_pull_request_is_opened_once(self, protected: Flow) -> None:
        before = tip(protected)
        done = holding(protected)
        assert done["operation"] == "proposed"
        assert tip(protected) == before
        (pull,) = protected.waiting()
        assert (pull.url, pull.title) == (done["pull-request"], f"Hold dev: {WHY}")
        again = holding(protected)
        assert (again["operation"], again["pull-request"]) == ("none", pull.url)
        assert [one.url for one in protected.waiting()] == [pull.url]
        # Another reason is another commit on the same branch.
        assert holding(protected, reason="freeze")["operation"] == "proposed"
        (pull,) = protected.waiting()
        assert pull.title == "Hold dev: freeze"
        head = deploy_git(protected).run("rev-parse", pull.head_ref).strip()
        assert "freeze" in (deploy_git(protected).file_at(head, path("dev")) or "")

    @pytest.mark.parametrize(
        ("operation", "before", "state"),
        [
            ("hold", "", "not held"),
            ("hold", "reason: freeze\n", "held as before"),
            ("hold", "until: 2020-01-01\n", "not held"),
            ("release", "reason: freeze\n", "still held"),
        ],
    )
    def test_what_it_is_until_the_merge(
        self,
        deployed: Flow,
        request: pytest.FixtureRequest,
        operation: str,
        before: str,
        state: str,
    ) -> None:
        if before:
            write(deployed, before)
        flow = request.getfixturevalue("protected")
        told = flow.run(
            "hold-environment", environment="dev", reason=WHY, operation=operation, token=TOKEN
        )
        assert told.code == 0, told.log
        assert f"warning: dev is {state} until this pull request is merged: http" in told.log

    def test_who_asks_for_the_contrary_hears_of_the_one_that_is_open(self, protected: Flow) -> None:
        url = holding(protected)["pull-request"]
        told = protected.run(
            "hold-environment", environment="dev", operation="release", token=TOKEN
        )
        assert told.code == 0
        assert f"this pull request would still change that, it was opened before: {url}" in told.log

    def test_without_a_token_the_error_says_what_to_do(self, protected: Flow) -> None:
        folder = protected.work.directory / "promotion.yaml"
        data = json.loads(folder.read_text())
        data["deploy"]["repository"] = str(deploy_git(protected).directory)
        folder.write_text(json.dumps(data))
        told = protected.run("hold-environment", environment="dev", reason=WHY)
        assert told.code == 4 and "does not take a push to main" in told.log, told.log


class TestAnOpenDeployPullRequest:
    """Its check was green before the hold: its branch is moved, so that it runs again."""

    def test_it_is_moved_onto_the_hold_and_onto_the_release(self, deployed: Flow) -> None:
        deployed.deploy("production", deployed.sha("main"), DIGEST, merged=False)
        (pull,) = deployed.waiting()
        api = GitHub(DEPLOY, TOKEN, api_url=deployed.forge.api_url)
        old = pull.head_sha
        done = holding(deployed, "production")
        moved = api.pull_request(pull.number)
        deploy = deploy_git(deployed)
        assert moved.head_sha != old
        assert deploy.run("rev-parse", f"{moved.head_sha}~1").strip() == done["commit"]
        for what in ("%B",):
            assert deploy.run("log", "-1", f"--format={what}", moved.head_sha) == deploy.run(
                "log", "-1", f"--format={what}", old
            )
        assert deploy.file_at(moved.head_sha, path("production")) is not None
        assert holding(deployed, "production")["operation"] == "none"
        assert api.pull_request(pull.number).head_sha == moved.head_sha
        # Other overlays have no part in it.
        holding(deployed, "dev")
        assert api.pull_request(pull.number).head_sha == moved.head_sha
        holding(deployed, "production", operation="release")
        released = api.pull_request(pull.number).head_sha
        assert deploy.file_at(released, path("production")) is None
        assert released != moved.head_sha

    def test_what_a_killed_run_left_is_done_by_the_next(self, deployed: Flow) -> None:
        deployed.deploy("production", deployed.sha("main"), DIGEST, merged=False)
        (pull,) = deployed.waiting()
        held = hold.Hold(WHY, "Ada", datetime.now(UTC))
        write(deployed, hold.write(held), "production")
        assert holding(deployed, "production")["operation"] == "none"
        (moved,) = deployed.waiting()
        assert moved.head_sha != pull.head_sha
        assert deploy_git(deployed).file_at(moved.head_sha, path("production")) is not None

    @pytest.mark.parametrize("kind", ["broken", "link", "protected"])
    def test_a_branch_that_can_not_be_moved_stops_no_hold(self, deployed: Flow, kind: str) -> None:
        """Anybody may push a branch of that name, and a server may take no push to it."""
        deployed.deploy("production", deployed.sha("main"), DIGEST, merged=False)
        (pull,) = deployed.waiting()
        clone = Git(deployed.top / "deploy")
        clone.run("fetch", "--quiet", "origin")
        clone.run("checkout", "--quiet", "--detach", "origin/main")
        file = clone.directory / "overlays/production/kustomization.yaml"
        file.unlink()
        if kind == "link":
            file.symlink_to("/etc/passwd")
        clone.run("commit", "--quiet", "--all", "-m", "x")
        name = "model-gitops/bump-overlays-production-a"  # before the other one
        if kind == "protected":
            hook = deploy_git(deployed).directory / "hooks" / "pre-receive"
            hook.parent.mkdir(exist_ok=True)
            hook.write_text("#!/bin/sh\nread old new ref; [ $ref = refs/heads/main ] || exit 1\n")
            hook.chmod(0o755)
            name = pull.head_ref
        else:
            clone.run("push", "--quiet", "origin", f"HEAD:refs/heads/{name}")
        told = deployed.run("hold-environment", environment="production", reason=WHY, token=TOKEN)
        assert told.code == 0, told.log
        assert f"an open deployment to production (branch {name}) do not run again" in told.log
        assert text(deployed, "production") is not None
        (moved,) = deployed.waiting()
        assert (moved.head_sha == pull.head_sha) is (kind == "protected")
