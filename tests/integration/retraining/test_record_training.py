"""fetch-training and record-training: what an engine trained reaches Git as `dvc repro` would have written it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from retraining_names import BOT, NAME

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops_local.forge import Forge

GITHUB = pytest.mark.parametrize("server", ["github"], indirect=True)
DAY = "2026-11-30"
BRANCH = f"retrain/{DAY}"
PROMOTION = {
    "model": "m", "image": "ghcr.io/acme/m",
    "environments": [{"name": "dev", "branch": "main"}, {"name": "production", "branch": "production"}],
}  # fmt: skip
PIPELINE = """\
stages:
  prepare:
    cmd: sort data/labelled.csv > data/train.csv
    deps: [prepare.py, data/labelled.csv]
    params: [prepare]
    outs: [data/train.csv]
  train:
    cmd: cp data/train.csv m.bin
    deps: [train.py, data/train.csv]
    params: [train.epochs]
    outs: [m.bin]
  evaluate:
    cmd: mkdir -p eval && wc -l < m.bin > eval/metrics.json
    deps: [m.bin]
    metrics:
      - eval/metrics.json: {cache: false}
artifacts:
  m: {path: m.bin, type: model}
"""
FILES = {
    "promotion.yaml": json.dumps(PROMOTION),
    "dvc.yaml": PIPELINE,
    "params.yaml": "prepare: {seed: 1}\ntrain: {epochs: 10}\n",
    "prepare.py": "prepare\n",
    "train.py": "train\n",
    "data/labelled.csv": "b\na\n",
    ".gitignore": "/data/train.csv\n/m.bin\n",
}
# Each ends the process at once, after one of the writes, as kill -9 does.
_AFTER = """
import os
from model_gitops.adapters import {module}
real = {module}.{name}
def killed(*given):
    {before}
    os._exit(9)
{module}.{name} = killed
"""
KILLS = {
    "data pushed": _AFTER.format(
        module="training_repository", name="Data.push", before="real(*given)"
    ),
    "branch pushed": _AFTER.format(module="retraining_proposal", name="propose", before="pass"),
    "pull request opened": _AFTER.format(
        module="retraining_proposal", name="propose", before="real(*given)"
    ),
}
SCRIPTS = Path(__file__).parents[3] / "scripts"
OUTPUTS = ("data/train.csv", "m.bin", "eval/metrics.json")


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


@dataclass
class World:
    """The server, a person's clone at `folder` of it, and a training's outputs in `out`."""

    forge: Forge
    top: Path
    env: dict[str, str]
    folder: str = ""
    records: list[Path] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.top / "work"

    @property
    def git(self) -> Git:
        return Git(self.work)

    def dvc(self, *args: str, cwd: Path | None = None) -> str:
        place = (cwd or self.work) / self.folder
        return process.run([sys.executable, "-m", "dvc", *args], cwd=place, env=self.env).stdout

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        for name, text in files.items():
            path = self.work / self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "change")
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()

    def train(self) -> str:
        """What the engine does: the same commands, elsewhere, and a record a step. Returns repro's dvc.lock."""
        place = self.top / "engine"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.work, place)
        self.dvc("repro", "--quiet", cwd=place)
        project, out = place / self.folder, self.top / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for name in OUTPUTS:
            shutil.copyfile(project / name, out / name.replace("/", "-"))
        params = {"prepare": {"seed": 1}, "train": {"epochs": 10}}
        self.records = []
        for step, code, inputs, outputs in (
            ("preprocess", ["prepare.py"], ["data/labelled.csv"], ["data/train.csv"]),
            ("train", ["train.py"], ["data/train.csv"], ["m.bin"]),
            ("test", [], ["m.bin"], ["eval/metrics.json"]),
        ):
            record = {
                "step": step,
                "params": params,
                "code": {name: md5(project / name) for name in code},
                "inputs": {name: md5(project / name) for name in inputs},
                "outputs": {name: md5(project / name) for name in outputs},
            }
            self.records.append(out / f"{step}.json")
            self.records[-1].write_text(json.dumps(record))
        return (project / "dvc.lock").read_text("utf-8")

    def inputs(self, **more: str) -> dict[str, str]:
        return {
            "OUTPUTS": "\n".join(f"{name}={self.top}/out/{name.replace('/', '-')}" for name in OUTPUTS),
            "MADE_FROM": "\n".join(map(str, self.records)),
            "CONFIG": self.folder or "promotion.yaml",
            "DATE": DAY,
            "TOKEN": BOT,
            **more,
        }  # fmt: skip

    def run(self, command: str, *, kill: str = "", **inputs: str) -> process.Completed:
        """Start a command as the component does, in a process of its own; `kill` is code that ends it."""
        env = {**self.env, **{f"MODEL_GITOPS_{name}": one for name, one in inputs.items()}}
        start = f"import sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n{kill}\n"
        start += f"from model_gitops.__main__ import main\nsys.exit(main([{command!r}]))"
        return process.run([sys.executable, "-c", start], env=env, cwd=self.top, check=False)

    def record(self, *, expect: int = 0, kill: str = "", **more: str) -> dict[str, str]:
        done = self.run("record-training", kill=kill, **self.inputs(**more))
        assert done.returncode == expect, done.stderr
        told = dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line)
        return told | {"said": done.stderr}

    def branches(self) -> dict[str, str]:
        return self.git.remote_refs("origin", "refs/heads/retrain/*")

    @property
    def pulls(self) -> list[int]:
        found = self.forge.state.repositories[NAME].issues
        return [one.number for one in found if one.pull]


@pytest.fixture
def world(server: Forge, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    for name in [one for one in os.environ if one.startswith(("GITHUB_", "MODEL_GITOPS_"))]:
        monkeypatch.delenv(name)
    env = {
        "GITHUB_REPOSITORY": NAME, "GITHUB_SERVER_URL": server.url, "GITHUB_API_URL": server.api_url,
        "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if server.api_prefix.endswith("v1"):
        monkeypatch.setenv("GITEA_ACTIONS", "true")
    process.run(["git", "clone", "--quiet", bare, tmp_path / "work"])
    made = World(server, tmp_path, dict(os.environ))
    made.git.run("checkout", "--quiet", "-b", "main")
    made.dvc("init", "--quiet")
    made.dvc("remote", "add", "--quiet", "--default", "storage", str(tmp_path / "remote"))
    made.commit(FILES)
    return made


def test_the_lock_is_what_dvc_repro_writes_and_a_second_run_does_nothing(world: World) -> None:
    expected = world.train()
    told = world.record(URL="https://argo.example.com/run/1")
    assert (told["operation"], told["branch"]) == ("opened", BRANCH)
    assert told["pull-request"] and told["issue"]

    process.run(
        ["git", "clone", "--quiet", "--branch", BRANCH, world.top / "model.git", world.top / "new"]
    )
    new = world.top / "new"
    assert (new / "dvc.lock").read_text("utf-8") == expected
    assert (new / "eval/metrics.json").read_text("utf-8").strip() == "2"
    world.dvc("pull", "--quiet", cwd=new)
    assert (new / "m.bin").read_text("utf-8") == "a\nb\n"
    assert "up to date" in world.dvc("status", cwd=new)
    world.dvc("repro", "--quiet", cwd=new)
    assert Git(new).run("status", "--porcelain") == ""
    message = Git(new).run("log", "-1", "--format=%B")
    assert "Training-Run: https://argo.example.com/run/1" in message
    changed = Git(new).run("diff", "--name-only", "HEAD~1").split()
    assert sorted(changed) == ["dvc.lock", "eval/metrics.json"]

    before = world.branches()
    again = world.record(URL="https://argo.example.com/run/2")
    assert again["operation"] == "none"
    assert again["commit"] == told["commit"]
    assert (world.branches(), len(world.pulls)) == (before, 1)


@GITHUB
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train.py": "other\n"}, "other code made this: step 'train' ran 'train.py'"),
        ({"params.yaml": "prepare: {seed: 1}\ntrain: {epochs: 11}\n"}, "train.epochs = 10"),
        ({"data/labelled.csv": "b\na\nc\n"}, "did not read 'data/labelled.csv'"),
        ({"out": "tampered"}, "no record says that a step made what the stage 'train'"),
    ],
    ids=["code", "params", "data", "output"],
)
def test_what_the_target_branch_would_not_make_is_refused(
    world: World, change: dict[str, str], said: str
) -> None:
    world.train()
    if text := change.pop("out", ""):
        (world.top / "out/m.bin").write_text(text)
    world.commit(change)
    assert said in world.record(expect=3)["said"]
    assert (world.branches(), world.pulls) == ({}, [])
    assert not (world.top / "remote").exists(), "nothing is pushed that is refused"


@GITHUB
@pytest.mark.parametrize("where", KILLS)
def test_after_a_kill_the_next_run_ends_it(world: World, where: str) -> None:
    world.train()

    world.record(expect=9, kill=KILLS[where])
    told = world.record()
    assert told["operation"] == ("none" if where == "pull request opened" else "opened")
    assert list(world.branches()) == [f"refs/heads/{BRANCH}"]
    assert len(world.pulls) == 1
    count = world.git.run("ls-remote", "origin", f"refs/heads/{BRANCH}").split()[0]
    world.git.run("fetch", "--quiet", "origin")
    assert world.git.run("rev-list", "--count", f"origin/main..{count}").strip() == "1"


@GITHUB
def test_two_at_once_make_one_branch_and_one_pull_request(world: World) -> None:
    world.train()
    env = {**os.environ, **{f"MODEL_GITOPS_{name}": one for name, one in world.inputs().items()}}
    words = [sys.executable, "-I", Path(__file__).parents[3] / "scripts", "record-training"]
    both = [
        subprocess.Popen(
            words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert list(world.branches()) == [f"refs/heads/{BRANCH}"]
    assert len(world.pulls) == 1
    world.git.run("fetch", "--quiet", "origin")
    assert world.git.run("rev-list", "--count", f"origin/main..origin/{BRANCH}").strip() == "1"


@GITHUB
def test_what_main_has_already_and_what_somebody_declined_is_not_proposed(world: World) -> None:
    world.train()
    world.record()
    (number,) = world.pulls
    issue = next(one for one in world.forge.state.repositories[NAME].issues if one.number == number)
    issue.state = "closed"
    told = world.record(DATE="2026-12-01")
    assert "closed without a merge" in told["said"]
    assert told["commit"] == ""
    assert list(world.branches()) == [f"refs/heads/{BRANCH}"], (
        "no branch a day for what is declined"
    )

    world.git.run("fetch", "--quiet", "origin")
    world.git.run(
        "push", "--quiet", "origin", f"origin/{BRANCH}:refs/heads/main", f":refs/heads/{BRANCH}"
    )
    told = world.record(DATE="2026-12-02")
    assert (told["operation"], told["branch"], told["pull-request"]) == ("none", "", "")
    assert world.branches() == {}


@GITHUB
def test_a_model_in_a_folder_and_rows_that_dvc_keeps(world: World) -> None:
    world.git.run("rm", "--quiet", "-r", ".")
    world.folder = "models/m"
    (world.work / "models/m").mkdir(parents=True)
    world.dvc("init", "--quiet", "--subdir")
    world.dvc("remote", "add", "--quiet", "--default", "storage", str(world.top / "remote"))
    world.commit({**FILES, "data/labelled.csv": "b\na\nc\n"})
    world.git.run("rm", "--quiet", "--cached", "models/m/data/labelled.csv")
    world.dvc("add", "--quiet", "data/labelled.csv")
    world.dvc("push", "--quiet")
    commit = world.commit({})
    expected = world.train()

    out = world.top / "fetched"
    done = world.run(
        "fetch-training", FILES=f"params.yaml={out}/p\ndata/labelled.csv={out}/l", REVISION="main",
        CONFIG="models/m", COMMIT=f"{out}/c", TOKEN=BOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (out / "p").read_text() == FILES["params.yaml"]
    assert (out / "l").read_text() == "b\na\nc\n"
    assert (out / "c").read_text() == f"{commit}\n"

    told = world.record()
    assert (told["operation"], told["branch"]) == ("opened", f"retrain/models/m/{DAY}")
    world.git.run("fetch", "--quiet", "origin")
    lock = world.git.run("show", f"{told['commit']}:models/m/dvc.lock")
    assert lock == expected


@GITHUB
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"OUTPUTS": ""}, "input `outputs` is empty"),
        ({"OUTPUTS": "../m.bin=/etc/hostname"}, "it is no PATH=FILE"),
        ({"OUTPUTS": "m.bin=/no/file"}, "no such file"),
        ({"OUTPUTS": "train.py=/etc/hostname", "MADE_FROM": ""}, "no stage of dvc.yaml makes it"),
        ({"CONFIG": "nowhere"}, "the repository has no such file"),
        ({"BASE": "other"}, "the server has no such branch"),
        ({"MADE_FROM": "/etc/hostname"}, "it has no mapping 'params'"),
    ],
)
def test_wrong_inputs_are_told(
    world: World, given: dict[str, str], said: str
) -> None:  # fmt: skip
    (world.top / "out").mkdir()
    for name in OUTPUTS:
        (world.top / "out" / name.replace("/", "-")).write_text("x")
    assert said in world.record(expect=2, **given)["said"]
    assert world.branches() == {}


@GITHUB
def test_the_token_goes_to_no_other_server(world: World) -> None:
    (world.top / "out").mkdir()
    (world.top / "out/m.bin").write_text("x")
    world.env["GITHUB_SERVER_URL"] = "http://git.example.com"
    told = world.record(expect=2, OUTPUTS=f"m.bin={world.top}/out/m.bin")
    assert "in clear text" in told["said"]
    assert not re.search(BOT, told["said"])
