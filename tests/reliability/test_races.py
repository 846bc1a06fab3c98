"""Many writers at once, each a process of its own with its own clone: every one lands, none is lost.

The long form (`MODEL_GITOPS_RELIABILITY=full`) has 50 bumps and 20 registrations.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gto import api as gto

from model_gitops.adapters import process
from model_gitops.adapters.git import Git, LostRace, until_won
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.core.deploy import kustomization
from model_gitops.errors import RaceError
from model_gitops.options import variable
from model_gitops_local.forge import Forge
from model_gitops_local.forge.faults import Fault
from model_gitops_local.forge.openapi import strict_forge

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
BUMPS, REGISTRATIONS, REPORTS = (50, 20, 8) if FULL else (12, 6, 3)
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEPLOY, MODEL, TOKEN = "acme/deploy", "acme/model", "writer-secret-token"
OVERLAY = "overlays/dev"

Numbers = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One step of one workflow run: where it runs, and its inputs."""

    cwd: Path
    inputs: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)


def start_together(action: str, jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Run `action` in one process a job, all at once; return the outputs of each."""

    def run(number: int) -> dict[str, str]:
        job = jobs[number]
        output = job.cwd.parent / f"output-{action}-{number}"
        variables = {variable(name): value for name, value in job.inputs.items()}
        done = process.run(
            [sys.executable, "-I", SCRIPTS, action],
            cwd=job.cwd,
            env={**variables, **job.environment, "GITHUB_OUTPUT": str(output)},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        text = output.read_text("utf-8")
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n?\2$", text, re.MULTILINE | re.DOTALL)
        return {name: value for name, _, value in found}

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, range(len(jobs))))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)


def repository(folder: Path, name: str) -> Git:
    """Make a bare repository and a clone of it."""
    bare = folder / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    return clone(bare, folder / name)


def clone(bare: Path, to: Path) -> Git:
    process.run(["git", "clone", "--quiet", bare.as_uri(), to])
    git = Git(to)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    return git


def commit(git: Git, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = git.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git.run("add", "--all")
    git.run("commit", "--quiet", "--allow-empty", "-m", "change")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    return git.run("rev-parse", "HEAD").strip()


def history(bare: Path) -> list[str]:
    """The commits of main, newest first; raises if one has two parents."""
    lines = Git(bare).run("rev-list", "--parents", "main").splitlines()
    assert all(len(line.split()) <= 2 for line in lines), "history is not linear"
    return [line.split()[0] for line in lines]


def bump_jobs(folder: Path, images: Sequence[str], **more: str) -> list[Job]:
    jobs = []
    for number, image in enumerate(images):
        place = folder / f"job{number}"
        place.mkdir()
        inputs = {"repository": str(folder / "deploy.git"), "path": OVERLAY, "images": image}
        jobs.append(Job(place, inputs | more))
    return jobs


def test_bumps_of_different_images_all_land(tmp_path: Path, numbers: Numbers) -> None:
    names = [f"app{number}" for number in range(BUMPS)]
    text = "# ours\nimages:\n" + "".join(f"- name: {n}\n  newTag: v1 # {n}\n" for n in names)
    commit(repository(tmp_path, "deploy"), {f"{OVERLAY}/kustomization.yaml": text})
    done = start_together("bump-kustomize-tag", bump_jobs(tmp_path, [f"{n}=:v2" for n in names]))
    bare = tmp_path / "deploy.git"
    landed = Counter(one["operation"] for one in done)
    numbers(f"races: {BUMPS} bumps of different images tried, {landed['pushed']} landed, "
            f"{BUMPS - landed['pushed']} lost")  # fmt: skip
    assert landed == {"pushed": BUMPS}
    assert Git(bare).file_at("main", f"{OVERLAY}/kustomization.yaml") == text.replace("v1", "v2")
    commits = history(bare)
    assert len(commits) == BUMPS + 1
    assert {one["commit"] for one in done} == set(commits[:-1])


def test_bumps_of_one_image_end_with_the_newest(tmp_path: Path, numbers: Numbers) -> None:
    """One run for each commit of the model repository: whoever is late, the last commit is kept."""
    source = repository(tmp_path, "model")
    shas = [commit(source, {"model.py": f"{number}\n"}) for number in range(BUMPS)]
    text = "images:\n- name: app\n  newTag: v0\n"
    commit(repository(tmp_path, "deploy"), {f"{OVERLAY}/kustomization.yaml": text})
    jobs = [
        Job(
            source.directory,
            {
                "repository": str(tmp_path / "deploy.git"),
                "path": OVERLAY,
                "images": f"app=:{sha}@sha256:{number:064x}",
                "trailers": f"Source-Repository: {MODEL}\nSource-Commit: {sha}",
            },
        )
        for number, sha in enumerate(shas)
    ]
    done = start_together("bump-kustomize-tag", jobs)
    landed = Counter(one["operation"] for one in done)
    lost = BUMPS - landed["pushed"] - landed["superseded"]
    numbers(f"races: {BUMPS} bumps of one image tried, {landed['pushed']} landed, "
            f"{landed['superseded']} superseded, {lost} lost")  # fmt: skip
    assert lost == 0
    assert done[-1]["operation"] == "pushed"
    bare = tmp_path / "deploy.git"
    final = Git(bare).file_at("main", f"{OVERLAY}/kustomization.yaml")
    assert final is not None
    (image,) = kustomization.read(final, source="final")
    assert (image.tag, image.digest) == (shas[-1], f"sha256:{BUMPS - 1:064x}")
    # Each deploy commit is of a later source commit than the one before.
    deployed = []
    for one in history(bare)[:-1]:
        message = Git(bare).run("log", "-1", "--format=%B", one)
        found = re.search(r"^Source-Commit: (\w+)$", message, re.MULTILINE)
        assert found is not None
        deployed.append(shas.index(found[1]))
    assert deployed == sorted(deployed, reverse=True)
    assert len(deployed) == landed["pushed"]


def model_files(names: Sequence[str], version: int) -> dict[str, str]:
    artifacts = "".join(f"  {name}: {{path: {name}.bin, type: model}}\n" for name in names)
    outs = "".join(
        f"    - {{path: {name}.bin, hash: md5, md5: a{version:031x}, size: 5}}\n" for name in names
    )
    return {
        "dvc.yaml": "stages:\n  train:\n    cmd: x\n    outs:\n"
        + "".join(f"    - {name}.bin\n" for name in names)
        + f"artifacts:\n{artifacts}",
        "dvc.lock": f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n{outs}",
    }


def tags_of(git: Git) -> dict[str, str]:
    """Tags of a repository: name → kind of object."""
    listing = git.run("for-each-ref", "--format=%(refname:strip=2) %(objecttype)", "refs/tags")
    return dict(line.split(" ") for line in listing.splitlines())


@pytest.mark.parametrize("same", [True, False], ids=["one-model", "different-models"])
def test_registrations_are_dense_and_unique(tmp_path: Path, numbers: Numbers, same: bool) -> None:
    """Each run registers the model of its own commit, and puts it into a stage of its own."""
    names = ["m"] if same else [f"m{number}" for number in range(REGISTRATIONS)]
    source = repository(tmp_path, "model")
    shas = [commit(source, model_files(names, version)) for version in range(REGISTRATIONS)]
    jobs = []
    for number, sha in enumerate(shas):
        git = clone(tmp_path / "model.git", tmp_path / f"job{number}")
        git.run("checkout", "--quiet", sha)
        model = names[0] if same else names[number]
        jobs.append(Job(git.directory, {"model": model, "stage": f"s{number}"}))
    done = start_together("gto-register-stage", jobs)
    what = "one model" if same else "different models"
    landed = sum(one["operation"] == "registered-and-assigned" for one in done)
    numbers(f"races: {REGISTRATIONS} registrations of {what} tried, {landed} landed, "
            f"{REGISTRATIONS - landed} lost")  # fmt: skip
    assert landed == REGISTRATIONS

    tags = tags_of(Git(tmp_path / "model.git"))
    assert set(tags.values()) == {"tag"}
    count = range(1, REGISTRATIONS + 1)
    if same:
        expected = {f"m@v0.0.{n}" for n in count}
        assert sorted(int(one["stage-tag"].rsplit("#", 1)[1]) for one in done) == list(count)
    else:
        expected = {f"{name}@v0.0.1" for name in names}
    assert {one["version-tag"] for one in done} == expected
    assert set(tags) == expected | {one["stage-tag"] for one in done}
    for job in jobs:
        assert set(tags_of(Git(job.cwd))) <= set(tags), "an orphan tag is left in a checkout"
    shown = gto.show(str(clone(tmp_path / "model.git", tmp_path / "judge").directory))
    for job, one in zip(jobs, done, strict=True):
        assert shown[job.inputs["model"]]["stage"][job.inputs["stage"]] == one["version"]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        made.add_token(TOKEN, "github-actions[bot]")
        yield made


def test_reports_of_one_title_are_one_comment(
    tmp_path: Path, forge: Forge, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = repository(tmp_path, "model")
    commit(source, {"readme": "1\n"})
    source.run("push", "--quiet", "origin", "HEAD:refs/heads/better")
    forge.add_repository(MODEL, tmp_path / "model.git")
    head = commit_on(source, "better")
    api = GitHub(MODEL, TOKEN, api_url=forge.api_url)
    pull = api.open_pull_request(head="better", base="main", title="Better", body="")
    event = tmp_path / "event.json"
    event.write_text(json.dumps(forge.event("pull_request", MODEL, pull.number)))
    jobs = []
    for number in range(REPORTS):
        git = clone(tmp_path / "model.git", tmp_path / f"job{number}")
        git.run("checkout", "--quiet", head)
        (git.directory / "body.md").write_text(f"Report of job {number}.\n")
        environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": MODEL,
            "GITHUB_SERVER_URL": forge.url,
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "RUNNER_TEMP": str(git.directory.parent / f"temporary{number}"),
        }
        Path(environment["RUNNER_TEMP"]).mkdir()
        jobs.append(Job(git.directory, {"body": "body.md", "token": TOKEN}, environment))
    # Nobody's comment is written before all of them have seen that there is none yet.
    together = threading.Barrier(REPORTS)
    real = Forge.take_fault

    def hold(self: Forge, method: str, path: str) -> Fault | None:
        if method == "POST" and re.search(r"/issues/\d+/comments$", path):
            with suppress(threading.BrokenBarrierError):
                together.wait(25)
        return real(self, method, path)

    monkeypatch.setattr(Forge, "take_fault", hold)
    done = start_together("cml-report", jobs)
    comments = api.list_comments(pull.number)
    numbers(f"races: {REPORTS} reports of one title tried, {len(comments)} comment(s)")
    assert len(comments) == 1
    created = [
        one for one in forge.requests()
        if one["method"] == "POST" and one["path"].endswith("/comments") and one["status"] == 201
    ]  # fmt: skip
    assert len(created) > 1, "there was no race"
    assert {one["operation"] for one in done} <= {"created", "updated"}
    assert {one["url"] for one in done} == {comments[0].url}
    assert re.search(r"Report of job \d+\.", comments[0].body)
    assert forge.violations == []


def commit_on(git: Git, branch: str) -> str:
    """Add a commit to `branch` and return it."""
    git.run("switch", "--quiet", "-c", branch)
    git.run("commit", "--quiet", "--allow-empty", "-m", "better")
    git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return git.run("rev-parse", "HEAD").strip()


def test_a_race_that_is_never_won_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Race, "pause", lambda race, took, jitter: 0.0)
    monkeypatch.setattr(retry, "RACE_SECONDS", 0.0)
    tried = []

    def attempt() -> None:
        tried.append(1)
        raise LostRace("somebody")

    with pytest.raises(RaceError, match="10 times in a row"):
        until_won(attempt, "a push")
    assert len(tried) == retry.ATTEMPTS
