"""Rollbacks at once, beside promotions, killed, and without a network: as if one came after the other.

The long form (`MODEL_GITOPS_RELIABILITY=full`) has 20 rollbacks at once and kills around every git command.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from faults import DEPLOY, SERVER_FAULTS, SHORT, TOKEN, commits, tag_names
from kills import FULL, SCRIPTS, Step, left_behind, moments, repository

from model_gitops.actions import rollback
from model_gitops.actions.rollback import stage
from model_gitops.adapters import process
from model_gitops.adapters.deploy_store import DeployStore
from model_gitops.adapters.git import Git
from model_gitops.adapters.github_client import HURRIED
from model_gitops.core import retry
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops.options import variable
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

pytestmark = pytest.mark.usefixtures("clean_environment")

AT_ONCE = 20 if FULL else 4
OVERLAY = "overlays/dev"
FIRST, SECOND, THIRD = (f"sha256:{digit * 64}" for digit in "123")
Numbers = Callable[[str], None]


@dataclass
class Team:
    """A deploy repository that runs v0.0.2 over v0.0.1, and the model's, which has three versions."""

    folder: Path
    deploy: Git
    model: Git
    shas: tuple[str, ...]

    def step(self, **more: str) -> Step:
        inputs = {"environment": "dev", "reason": "p95 too high", **more}
        return Step(self.folder, self.model.directory, "rollback", inputs)

    def promote(self, number: int) -> process.Completed:
        """Run the deploy job of a version."""
        sha = self.shas[number - 1]
        given = {
            "repository": str(self.folder / "deploy.git"),
            "path": OVERLAY,
            "images": f"m=ghcr.io/acme/m:{sha}@sha256:{str(number) * 64}",
            "trailers": trailers(number, sha),
        }
        env = {variable(name): value for name, value in given.items()} | {"GITHUB_OUTPUT": ""}
        words = [sys.executable, "-I", SCRIPTS, "bump-kustomize-tag"]
        return process.run(words, cwd=self.model.directory, env=env, check=False)

    def file(self, name: str) -> str:
        return Git(self.folder / "deploy.git").file_at("main", f"{OVERLAY}/{name}") or ""

    def digest(self) -> str:
        return re.findall(r"digest: (\S+)", self.file("kustomization.yaml"))[0]

    def stages(self) -> list[str]:
        """The versions that the stage's tags name, in their order."""
        git = Git(self.folder / "model.git")
        names = [one for one in tag_names(git) if "#" in one]
        ordered = sorted(names, key=lambda one: int(one.rpartition("#")[2]))
        at = {git.commit_of(f"m@v0.0.{number}"): f"v0.0.{number}" for number in (1, 2, 3)}
        return [at[git.commit_of(one)] for one in ordered]

    def messages(self) -> list[str]:
        return Git(self.folder / "deploy.git").run("log", "-z", "--format=%B", "main").split("\0")


def trailers(number: int, sha: str) -> str:
    return f"Model: m@v0.0.{number}\nSource-Repository: acme/m\nSource-Commit: {sha}"


def kustomization(number: int, sha: str) -> str:
    digest = f"sha256:{str(number) * 64}"
    return f"images:\n- name: m # ours\n  newName: ghcr.io/acme/m\n  newTag: {sha}\n  digest: {digest}\n"


def team(folder: Path, where: str = "") -> Team:
    """Make both repositories; `where` is what promotion.yaml calls the deploy repository."""
    folder.mkdir(exist_ok=True)
    promotion = {
        "model": "m",
        "image": "ghcr.io/acme/m",
        "deploy": {"repository": where or str(folder / "deploy.git")},
        "environments": [{"name": "dev", "branch": "main"}],
    }
    model = repository(folder, "model", {"promotion.yaml": json.dumps(promotion)})
    shas = []
    for number in (1, 2, 3):
        (model.directory / "number").write_text(str(number))
        model.run("add", "--all")
        model.run("commit", "--quiet", "-m", f"v0.0.{number}")
        # GTO orders by the second.
        env = {"GIT_COMMITTER_DATE": f"{1700000000 + number} +0000"}
        model.run("tag", "--annotate", "-m", "x", f"m@v0.0.{number}", env=env)
        if number < 3:
            model.run("tag", "--annotate", "-m", "x", f"m#dev#{number}", env=env)
        shas.append(model.run("rev-parse", "HEAD").strip())
    model.run("push", "--quiet", "origin", "HEAD:refs/heads/main", "--tags")
    path = f"{OVERLAY}/kustomization.yaml"
    deploy = repository(folder, "deploy", {path: kustomization(1, shas[0])})
    deploy.run("commit", "--quiet", "--amend", "-m",
               f"Deploy\n\n{trailers(1, shas[0])}\nImage-Digest: {FIRST}")  # fmt: skip
    (deploy.directory / path).write_text(kustomization(2, shas[1]))
    deploy.run("commit", "--quiet", "--all", "-m",
               f"Deploy\n\n{trailers(2, shas[1])}\nImage-Digest: {SECOND}")  # fmt: skip
    deploy.run("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    return Team(folder, deploy, model, tuple(shas))


def run_at_once(one: Team, count: int) -> list[dict[str, str]]:
    """Roll back in so many processes, each with a clone of its own; return the outputs of each."""

    def run(number: int) -> dict[str, str]:
        place, output = one.folder / f"job{number}", one.folder / f"output{number}"
        env = {
            variable("environment"): "dev",
            variable("reason"): f"job {number}",
            "GITHUB_OUTPUT": str(output),
        }
        words = [sys.executable, "-I", SCRIPTS, "rollback"]
        done = process.run(words, cwd=place, env=env, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        text = output.read_text("utf-8")
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n?\2$", text, re.MULTILINE | re.DOTALL)
        return {name: value for name, _, value in found}

    for number in range(count):
        process.run(
            ["git", "clone", "--quiet", one.folder / "model.git", one.folder / f"job{number}"]
        )
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_rollbacks_at_once_one_goes_back_and_the_others_find_it_done(
    tmp_path: Path, numbers: Numbers
) -> None:
    one = team(tmp_path / "team")
    done = run_at_once(one, AT_ONCE)
    operations = Counter(each["operation"] for each in done)
    numbers(f"races: {AT_ONCE} rollbacks at once, {operations['pushed']} went back, "
            f"{AT_ONCE - operations['pushed']} found it done")  # fmt: skip
    assert operations["pushed"] == 1
    # Who comes between overlay and stage assigns the stage.
    assert set(operations) <= {"pushed", "none", "assigned"}
    assert {each["version"] for each in done} == {"v0.0.1"}
    assert (one.digest(), commits(one.folder)) == (FIRST, 3)
    assert one.stages() == ["v0.0.1", "v0.0.2", "v0.0.1"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, others: Callable[[], list[str]]) -> list[str]:
    """Let `others` act once between the rollback's decision and its first push; return what they said."""
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    real, said = DeployStore.push, list[str]()

    def push(store: DeployStore, commit: str, branch: str, *, expected: str | None = None) -> None:
        if not said:
            said.extend(others())
        real(store, commit, branch, expected=expected)

    monkeypatch.setattr(DeployStore, "push", push)
    return said


def test_a_promotion_that_lands_meanwhile_is_taken_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the rollback's decision and its push: who asked saw v0.0.2, which is no way back."""
    one = team(tmp_path / "team")
    landed = meanwhile(monkeypatch, lambda: [one.promote(3).stdout])
    code, outputs = one.step().run(monkeypatch)
    assert "operation=pushed" in landed[0]
    assert (code, outputs["operation"], outputs["version"], outputs["from"]) == (
        0, "pushed", "v0.0.1", "v0.0.3",
    )  # fmt: skip
    assert (one.digest(), commits(one.folder)) == (FIRST, 4)
    said = read_trailers(one.messages()[0])
    assert said["rollback-from"] == [one.shas[2]]
    # Neither of the two comes back by a late run.
    for number in (2, 3):
        assert "operation=superseded" in one.promote(number).stdout
    assert one.stages()[-1] == "v0.0.1"


def test_a_rollback_of_another_that_lands_meanwhile_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one saw the promotion between, so it went back to another version: two would be one too many."""
    one = team(tmp_path / "team")
    landed = meanwhile(
        monkeypatch, lambda: [one.promote(3).stdout, run_at_once(one, 1)[0]["version"]]
    )
    code, outputs = one.step().run(monkeypatch)
    assert "operation=pushed" in landed[0]
    assert landed[1] == "v0.0.2"
    assert (code, outputs["operation"], outputs["version"]) == (0, "none", "v0.0.2")
    assert (one.digest(), commits(one.folder)) == (SECOND, 4)


def test_a_promotion_after_the_rollback_waits_for_the_release(tmp_path: Path) -> None:
    one = team(tmp_path / "team")
    run_at_once(one, 1)
    refused = one.promote(3)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "takes no promotion" in refused.stderr
    assert "p95" in refused.stderr or "job 0" in refused.stderr
    assert one.digest() == FIRST
    one.deploy.run("pull", "--quiet", "origin", "main")
    one.deploy.run("rm", "--quiet", f"{OVERLAY}/hold.yaml")
    one.deploy.run("commit", "--quiet", "-m", "Release")
    one.deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert "operation=pushed" in one.promote(3).stdout
    assert one.digest() == THIRD


def test_rollbacks_and_a_promotion_at_once_end_in_one_order_or_the_other(
    tmp_path: Path, numbers: Numbers
) -> None:
    rounds = 10 if FULL else 2
    first = 0
    for number in range(rounds):
        one = team(tmp_path / f"team{number}")
        with ThreadPoolExecutor(2) as pool:
            promoted = pool.submit(one.promote, 3)
            back = pool.submit(run_at_once, one, 2)
            bump, done = promoted.result(), back.result()
        assert bump.returncode in (0, 3), bump.stderr
        first += bump.returncode == 0
        assert one.file("hold.yaml") != ""
        # Promoted first: what ran before it comes back, whichever that was. Else it is refused.
        assert one.digest() in ((FIRST, SECOND) if bump.returncode == 0 else (FIRST,))
        assert commits(one.folder) == 2 + 1 + (bump.returncode == 0)
        assert Counter(each["operation"] for each in done)["pushed"] == 1
    numbers(f"races: {rounds} promotions beside two rollbacks, {first} were first and taken back")


def test_a_killed_rollback_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    times = moments(team(tmp_path / "whole").step().killed_at(""))
    assert len(times) >= 8
    for moment in times:
        one = team(tmp_path / moment)
        step = one.step()
        step.killed_at(moment)
        went_back = one.digest() == FIRST
        assert one.digest() in (FIRST, SECOND)
        # The image and its hold are one commit, and the stage never says it first.
        assert (one.file("hold.yaml") != "") == went_back, moment
        assert went_back or one.stages() == ["v0.0.1", "v0.0.2"], moment
        was_assigned = one.stages()[-1] == "v0.0.1"
        code, outputs = step.run(monkeypatch)
        expected = "pushed" if not went_back else "none" if was_assigned else "assigned"
        assert (code, outputs["operation"], outputs["version"]) == (0, expected, "v0.0.1"), moment
        assert (one.digest(), commits(one.folder)) == (FIRST, 3), (
            f"doubled after a kill at {moment}"
        )
        assert one.stages() == ["v0.0.1", "v0.0.2", "v0.0.1"]
        assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += len(times)


@pytest.mark.parametrize("kind", SERVER_FAULTS if FULL else SHORT)
def test_a_rollback_survives_its_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    one = team(tmp_path / "team", where=DEPLOY)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    with strict_forge(tmp_path / "forge") as forge:
        served(one, forge, monkeypatch)
        for method, path in (
            ("GET", "info/refs"),
            ("POST", "upload-pack"),
            ("POST", "receive-pack"),
        ):
            SERVER_FAULTS[kind](forge, method, path, 2)
        code, outputs = one.step(token=TOKEN).run(monkeypatch)
        assert forge.faults == []
    # The answer to the push may be lost: then the second attempt finds it done.
    assert (code, outputs["version"]) == (0, "v0.0.1")
    assert outputs["operation"] in ("pushed", "none", "assigned")
    assert (one.digest(), commits(one.folder)) == (FIRST, 3)
    assert one.stages() == ["v0.0.1", "v0.0.2", "v0.0.1"]
    survived["of servers"] += 6


def test_a_network_that_is_gone_is_exit_4_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    one = team(tmp_path / "team", where=DEPLOY)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    monkeypatch.setenv("GITHUB_SERVER_URL", "http://127.0.0.1:1")
    step = one.step(token=TOKEN)
    assert step.run(monkeypatch) == (4, {})
    assert "Failed to connect to 127.0.0.1 port 1" in capfd.readouterr().err
    assert one.digest() == SECOND
    assert left_behind(step) == set()


def test_a_model_server_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It takes the connection, and says nothing: neither verifications nor the stage wait for it."""
    one = team(tmp_path / "team")
    monkeypatch.setattr(stage, "_ANSWERS_WITHIN", 1.0)
    monkeypatch.setattr(rollback, "HURRIED", replace(HURRIED, seconds=1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        one.model.run("remote", "set-url", "origin", f"{url}/acme/m.git")
        monkeypatch.setenv("GITHUB_SERVER_URL", url)
        monkeypatch.setenv("GITHUB_API_URL", f"{url}/api/v3")
        started = time.monotonic()
        code, outputs = one.step(source_token=TOKEN).run(monkeypatch)
        took = time.monotonic() - started
    said = capfd.readouterr()
    assert (code, outputs["operation"], one.digest()) == (0, "pushed", FIRST)
    assert "which verifications failed can't be asked" in said.out + said.err
    assert "the tag of its stage is missing" in said.out + said.err
    assert took < 20, took


def served(one: Team, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    forge.add_repository(DEPLOY, one.folder / "deploy.git")
    forge.add_token(TOKEN, "github-actions[bot]")
    monkeypatch.setenv("GITHUB_SERVER_URL", forge.url)
    monkeypatch.setenv("GITHUB_API_URL", forge.api_url)
