"""open-retraining on GitHub and on Gitea: one branch, one issue, one pull request, whatever runs twice or is killed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from retraining_names import BOT, EVE, NAME, PERSON

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.actions import open_retraining
from model_gitops.adapters import github_client, process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core.report import kept
from model_gitops_local.forge import Forge

PROMOTION = {
    "model": "m", "image": "ghcr.io/acme/m",
    "environments": [{"name": "dev", "branch": "main"}, {"name": "production", "branch": "production"}],
}  # fmt: skip
STAGE = {"cmd": "true", "deps": [], "outs": [{"path": "m.bin", "md5": "a" * 32}]}
TABLE = (
    "| | metric | dev | candidate | change | rule |\n|---|---|---:|---:|---:|---|\n"
    "| ❌ | eval/metrics.json:r2 | 0.5 | 0.4 | -0.1 ▼ | 0.4 is worse than 0.5 by 0.1, 0 is tolerated |\n"
)
DAY = "2026-11-30"
BRANCH = f"retrain/{DAY}"


def lock(**stages: str) -> str:
    """A dvc.lock with stages by name; the text is the stage's MD5."""
    lines = ["schema: '2.0'", "stages:"]
    for name, text in stages.items():
        lines += [f"  {name}:", "    cmd: 'true'", "    outs:", f"    - path: {name}.bin"]
        lines += ["      hash: md5", f"      md5: {text * 32}", "      size: 1"]
    return "\n".join(lines) + "\n"


@dataclass
class World:
    """A clone of the repository as a job has it, and the server."""

    forge: Forge
    git: Git
    temporary: Path
    set: Callable[[str, str], None]

    def commit(self, branch: str, files: dict[str, str], start: str = "") -> str:
        self.git.run("fetch", "--quiet", "origin")
        if start:
            self.git.run("checkout", "--quiet", "-B", branch, f"origin/{start}")
        for name, text in files.items():
            path = self.git.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", f"change {sorted(files)}")
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()

    def run(
        self, operation: str, *, expect: int = 0, token: str = BOT, **inputs: str
    ) -> dict[str, str]:
        output = self.temporary / "output"
        output.unlink(missing_ok=True)
        for one, _ in options.inputs_of(open_retraining.command).values():
            os.environ.pop(options.variable(one.name), None)
        given = {"operation": operation, "token": token, "date": DAY, **inputs}
        for name, value in given.items():
            self.set(options.variable(name.replace("_", "-")), value)
        assert main(["open-retraining"]) == expect
        text = output.read_text("utf-8") if output.exists() else ""
        found = re.finditer(r"^([\w-]+)<<(end-\w+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
        return {one[1]: one[3] for one in found}

    def retrain(self, **files: str) -> dict[str, str]:
        """What job one does: start, new files, push."""
        started = self.run("start")
        self.commit(started["branch"], files or {"dvc.lock": lock(train="b")})
        self.git.run("checkout", "--quiet", "--detach", "origin/main")
        return started

    @property
    def issues(self) -> list[Any]:
        found = self.forge.state.repositories[NAME].issues
        return [one for one in found if not one.pull]

    @property
    def pulls(self) -> list[Any]:
        return [one for one in self.forge.state.repositories[NAME].issues if one.pull]

    def comments(self, number: int) -> list[str]:
        found = self.forge.state.repositories[NAME].comments
        return [one.body for one in found if one.number == number]


@pytest.fixture
def world(server: Forge, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    temporary = tmp_path / "runner"
    temporary.mkdir()
    process.run(["git", "clone", "--quiet", bare, tmp_path / "work"])
    made = World(server, Git(tmp_path / "work"), temporary, monkeypatch.setenv)
    made.git.run("checkout", "--quiet", "-b", "main")
    made.commit("main", {"promotion.yaml": json.dumps(PROMOTION), "dvc.lock": lock(train="a")})
    monkeypatch.chdir(tmp_path / "work")
    for name, value in {
        "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(temporary), "GITHUB_REPOSITORY": NAME,
        "GITHUB_SERVER_URL": server.url, "GITHUB_API_URL": server.api_url, "GITHUB_RUN_ID": "41",
        "GITHUB_OUTPUT": str(temporary / "output"),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    if server.api_prefix.endswith("v1"):
        monkeypatch.setenv("GITEA_ACTIONS", "true")
    return made


def test_drift_is_one_issue_one_branch_and_one_pull_request(world: World) -> None:
    assert world.retrain()["operation"] == "created"
    first = world.run("open", branch=BRANCH, drift="true", reason="bmi drifted", outcome="success")
    assert (first["operation"], first["branch"]) == ("opened", BRANCH)
    (issue,), (pull,) = world.issues, world.pulls
    assert issue.title == "Retrain m: its data has drifted"
    assert "**bmi drifted** ([report](" in issue.body
    assert first["pull-request"] in issue.body
    assert (pull.pull.head, pull.pull.base) == (BRANCH, "main")
    assert f"Closes #{issue.number}" in pull.body
    again = world.run("open", branch=BRANCH, drift="true", reason="bmi drifted", outcome="success")
    assert again == {**first, "operation": "none"}
    # Another week: the same pull request gets the new data, on the same branch.
    later = world.run("start", date="2026-12-07")
    assert (later["operation"], later["branch"]) == ("continued", BRANCH)
    world.commit(BRANCH, {"dvc.lock": lock(train="c")})
    told = world.run("open", branch=BRANCH, drift="true", reason="bmi and bp drifted")
    assert (told["operation"], told["pull-request"]) == ("updated", first["pull-request"])
    assert "bmi and bp drifted" in world.pulls[0].body
    assert (len(world.issues), len(world.pulls)) == (1, 1)
    # Merged: nothing is left to do, by hand or by the next drift.
    GitHub(NAME, PERSON, api_url=world.forge.api_url)
    world.git.run("push", "--quiet", "origin", f"origin/{BRANCH}:refs/heads/main")
    world.forge.state.repositories[NAME].issue(pull.number).state = "closed"
    done = world.run("open", outcome="success")
    assert done["operation"] == "closed"
    assert world.issues[0].state == "closed"
    assert world.run("open", outcome="success")["operation"] == "none"


def test_what_the_gate_found_is_said_once(world: World) -> None:
    assert world.run("judge", gate="failure", gate_table=TABLE)["operation"] == "none"
    world.retrain()
    world.run("open", branch=BRANCH, drift="true", reason="bmi drifted")
    number = world.issues[0].number
    for expected in ("commented", "none"):
        told = world.run("judge", gate="failure", gate_table=TABLE)
        assert told["operation"] == expected
    (said,) = world.comments(number)
    assert "is not better: the gate refuses it, and nothing is promoted" in said
    assert "0.4 is worse than 0.5" in said
    assert world.run("judge", gate="cancelled")["operation"] == "none"
    assert world.run("judge", gate="success", gate_table="@all")["operation"] == "commented"
    assert "passes the gate" in world.comments(number)[1]
    assert "@all" not in world.comments(number)[1]


def test_what_somebody_closed_is_not_proposed_again(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    given = {"drift": "true", "reason": "bmi drifted"}
    world.retrain()
    first = world.run("open", branch=BRANCH, **given)
    world.pulls[0].state = "closed"
    # The same day, with and without newer data; twice is as once.
    for model, expected in (("b", "updated"), ("b", "none"), ("c", "none")):
        assert world.run("start")["branch"] == BRANCH
        world.commit(BRANCH, {"dvc.lock": lock(train=model)})
        told = world.run("open", branch=BRANCH, **given)
        assert (told["operation"], told["pull-request"]) == (expected, first["pull-request"])
    assert f"Somebody closed {first['pull-request']} without a merge" in world.issues[0].body
    assert "reopen it" in capfd.readouterr().out
    # The issue closed too: none is opened for what was declined, on the next day neither. Nobody saw `c`.
    world.issues[0].state = "closed"
    assert world.run("open", branch=BRANCH, **given)["operation"] == "none"
    for day, model, expected in (("2026-12-01", "b", "none"), ("2026-12-02", "c", "opened")):
        started = world.run("start", date=day)
        assert (started["operation"], started["branch"]) == ("created", f"retrain/{day}")
        world.commit(started["branch"], {"dvc.lock": lock(train=model)})
        assert world.run("open", branch=started["branch"], **given)["operation"] == expected
    assert [one.state for one in world.pulls] == ["closed", "open"]


def test_the_drift_is_gone(world: World) -> None:
    world.retrain()
    world.run("open", branch=BRANCH, drift="true", reason="bmi drifted")
    assert world.run("open", drift="false")["operation"] == "closed"
    assert "The drift is gone" in world.comments(world.issues[0].number)[0]
    assert world.run("open", drift="false")["operation"] == "none"


def test_nothing_new_is_a_normal_end(world: World) -> None:
    started = world.run("start")
    assert world.run("open", branch=started["branch"], outcome="success")["operation"] == "none"
    assert world.issues == []
    # Drift without a labelled row is told, once.
    for expected in ("opened", "none"):
        told = world.run("open", drift="true", reason="bmi drifted", outcome="success")
        assert told["operation"] == expected
    assert "There is nothing to retrain with" in world.issues[0].body
    told = world.run("open", drift="true", reason="bmi drifted", outcome="failure")
    assert told["operation"] == "updated"
    assert "The training did not end well** (failure)" in world.issues[0].body
    assert world.pulls == []


def test_the_base_is_merged_in_and_dvc_lock_by_stages(world: World) -> None:
    world.commit("main", {"dvc.lock": lock(clean="a", train="a"), "eval.json": "1\n"})
    world.retrain(**{"dvc.lock": lock(clean="a", train="b"), "data.csv.dvc": "b\n"})
    world.run("open", branch=BRANCH, reason="bmi drifted")
    files = {"dvc.lock": lock(clean="c", train="a"), "data.csv.dvc": "c\n", "new.txt": "x\n"}
    main_tip = world.commit("main", files, start="main")
    assert world.run("start", date="2026-12-07")["operation"] == "merged"
    assert world.git.is_ancestor(main_tip, "HEAD")
    text = (world.git.directory / "dvc.lock").read_text()
    assert text == lock(clean="c", train="b")
    assert (world.git.directory / "data.csv.dvc").read_text() == "c\n"
    assert world.git.run("status", "--porcelain") == ""


def test_what_people_wrote_is_not_merged_by_us(world: World) -> None:
    world.commit("main", {"train.py": "a\n"})
    world.retrain(**{"train.py": "b\n"})
    world.run("open", branch=BRANCH, reason="bmi drifted")
    tip = world.git.run("rev-parse", f"origin/{BRANCH}")
    world.commit("main", {"train.py": "c\n"}, start="main")
    world.run("start", expect=3)
    assert world.git.run("status", "--porcelain") == ""
    assert world.git.run("rev-parse", "HEAD") == tip


def test_a_stranger_s_issue_and_a_fork_s_branch_are_not_ours(world: World) -> None:
    world.forge.state.repositories[NAME].issues.clear()
    GitHub(NAME, EVE, api_url=world.forge.api_url)
    from model_gitops.adapters.issues import Issues

    eve = Issues(NAME, EVE, api_url=world.forge.api_url)
    eve.create("Retrain m", kept.marked("x", "retrain m"))
    world.retrain()
    world.run("open", branch=BRANCH, reason="bmi drifted")
    assert [one.author for one in world.issues if one.author != "eve"] != []
    assert world.issues[0].body == kept.marked("x", "retrain m")
    # A pull request from a branch of another name is left alone, whatever it says.
    world.pulls[0].state = "closed"
    world.commit("retrain/evil", {"x": "y"}, start="main")
    GitHub(NAME, EVE, api_url=world.forge.api_url).open_pull_request(
        head="retrain/evil", base="main", title="Retrain m", body=kept.mark("retrain m")
    )
    assert world.run("start", date="2026-12-07")["branch"] == "retrain/2026-12-07"


def test_hostile_words_of_the_drift_stay_words(world: World) -> None:
    world.retrain()
    hostile = (
        "@team <!-- model-gitops:retrain m --> ![x](http://evil/x.png) [a](javascript:x) #1 <img src=x>\n"
        "## heading\n::set-output name=branch::x " + "long " * 2000
    )
    world.run("open", branch=BRANCH, drift="true", reason=hostile)
    world.run("open", branch=BRANCH, drift="true", reason=hostile)
    for body in (world.issues[0].body, world.pulls[0].body):
        assert len(body) < 6000
        assert "@team" not in body
        assert "<img" not in body
        assert "\n## heading" not in body
        assert "![x](" not in body
        assert body.count("<!--") == 1
    assert len(world.issues) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {"operation": "go"}, {"drift": "yes"}, {"gate": "ok"}, {"outcome": "x"}, {"date": "30.11.2026"},
        {"date": "2026-13-01"}, {"branch": "main"}, {"branch": "retrain/../x"}, {"base": "other"},
        {"url": "javascript:alert(1)"}, {"url": "https://x/) [a"}, {"token": ""},
    ],
)  # fmt: skip
def test_wrong_inputs_change_nothing(world: World, inputs: dict[str, str]) -> None:
    given = {"reason": "x", **inputs}
    world.run(given.pop("operation", "open"), expect=2, **given)
    assert world.issues == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/issues$"), ("POST", "/pulls$"), ("PATCH", r"/issues/\d+$")],
)
def test_killed_or_cut_off_anywhere_the_next_run_ends_with_one_of_each(
    world: World, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.retrain()
    # Nobody is there any more who would ask again.
    monkeypatch.setattr(github_client, "PATIENT", github_client.Patience(attempts=0))
    world.forge.drop_next(method, path, when="after", times=9)
    world.run("open", branch=BRANCH, drift="true", reason="bmi drifted", expect=4)
    world.forge.faults.clear()
    world.run("open", branch=BRANCH, drift="true", reason="bmi drifted")
    open_issues = [one for one in world.issues if one.state == "open"]
    open_pulls = [one for one in world.pulls if one.state == "open"]
    assert (len(open_issues), len(open_pulls)) == (1, 1)
    assert f"/{open_pulls[0].number}" in open_issues[0].body
    assert (
        world.run("open", branch=BRANCH, drift="true", reason="bmi drifted")["operation"] == "none"
    )


def test_a_token_that_may_not_open_pull_requests_is_said_in_the_issue(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.retrain()
    world.forge.fail_next("POST", "/pulls$", 403, body={"message": "not permitted to create"})
    world.run("open", branch=BRANCH, drift="true", reason="bmi drifted", expect=4)
    assert "the pull request could not be opened**" in world.issues[0].body
    told = world.run("open", branch=BRANCH, drift="true", reason="bmi drifted")
    assert told["operation"] == "opened"
    assert "No checks run on the pull request" in capfd.readouterr().out
    assert "could not" not in world.issues[0].body


def test_a_token_of_its_own_that_may_only_push_leaves_it_to_the_other(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.forge.add_token("pusher", "pusher[bot]", {"contents": "write"})
    world.retrain()
    told = world.run("open", branch=BRANCH, reason="bmi drifted", pull_request_token="pusher")
    assert told["operation"] == "opened"
    assert "pull-requests: write" in capfd.readouterr().out
    world.forge.state.repositories[NAME].issues.remove(world.pulls[0])
    world.forge.add_token("opener", "opener[bot]", {"contents": "write", "pull-requests": "write"})
    told = world.run("open", branch=BRANCH, reason="bmi drifted", pull_request_token="opener")
    assert [one.author for one in world.pulls][-1] == "opener[bot]"
    assert "No checks run" not in capfd.readouterr().out
