"""Registering and assigning, against a bare remote, with GTO itself as the judge."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gto import api
from moments import next_moment

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core import retry
from model_gitops.options import variable

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def md5(letter: str) -> str:
    return letter * 32


class Work:
    """A clone, its bare remote, and the action run in the clone."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.git = Git(directory)
        self._monkeypatch = monkeypatch

    def commit(self, model_hash: str, *, name: str = "m", folder: str = "") -> str:
        """Commit a project whose model has this hash, push it, and return the commit."""
        base = self.git.directory / folder
        base.mkdir(exist_ok=True)
        (base / "dvc.yaml").write_text(
            "stages:\n  train: {cmd: x, outs: [model.bin]}\n"
            f"artifacts:\n  {name}: {{path: model.bin, type: model}}\n"
        )
        (base / "dvc.lock").write_text(
            "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n"
            f"    - {{path: model.bin, hash: md5, md5: {model_hash}, size: 5}}\n"
        )
        self.git.run("add", ".")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "Train", env=next_moment())
        self.git.run("push", "--quiet", "origin", "HEAD")
        return self.git.run("rev-parse", "HEAD").strip()

    def register(self, **inputs: str) -> tuple[int, dict[str, str]]:
        """Run the action in this process; return the exit code and the outputs."""
        output = self.git.directory.parent / "output"
        output.unlink(missing_ok=True)
        with self._monkeypatch.context() as patch:
            patch.chdir(self.git.directory)
            patch.setenv("GITHUB_OUTPUT", str(output))
            for name, value in {"model": "m", **inputs}.items():
                patch.setenv(variable(name), value)
            code = main(["gto-register-stage"])
        text = output.read_text() if output.exists() else ""
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
        return code, {name: value for name, _, value in found}

    @property
    def remote_tags(self) -> dict[str, str]:
        """The remote's tags: name → tagged commit; a lightweight tag would miss."""
        listing = self.git.run("ls-remote", "--tags", "origin").splitlines()
        pairs = (line.split("\trefs/tags/") for line in listing)
        return {name.removesuffix("^{}"): value for value, name in pairs if name.endswith("^{}")}

    @property
    def local_tags(self) -> list[str]:
        return self.git.run("tag").splitlines()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    bare = tmp_path / "remote.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    return bare


def clone(remote: Path, to: Path, *options: str) -> Git:
    process.run(["git", "clone", "--quiet", *options, remote.as_uri(), to])
    git = Git(to)
    git.run("config", "user.name", "Somebody")
    git.run("config", "user.email", "somebody@example.org")
    return git


@pytest.fixture
def work(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(clone(remote, tmp_path / "work").directory, monkeypatch)


def shown(work: Work) -> dict[str, dict[str, object]]:
    return dict(api.show(str(work.git.directory)))


def test_a_model_is_registered_and_assigned_as_gto_does_it(work: Work) -> None:
    commit = work.commit(md5("a"))
    code, outputs = work.register(stage="dev")
    assert code == 0
    assert outputs == {
        "version": "v0.0.1",
        "version-tag": "m@v0.0.1",
        "stage-tag": "m#dev#1",
        "previous-version": "",
        "operation": "registered-and-assigned",
    }
    assert work.remote_tags == {"m@v0.0.1": commit, "m#dev#1": commit}
    assert shown(work)["m"]["version"] == "v0.0.1"
    assert shown(work)["m"]["stage"] == {"dev": "v0.0.1"}
    message = work.git.run("for-each-ref", "--format=%(contents)", "refs/tags").strip()
    assert "Registering artifact m version v0.0.1" in message
    assert "Assigning stage dev to artifact m version v0.0.1" in message


def test_the_second_run_changes_nothing(work: Work) -> None:
    work.commit(md5("a"))
    assert work.register(stage="dev")[1]["operation"] == "registered-and-assigned"
    before = work.git.run("ls-remote", "origin")
    code, outputs = work.register(stage="dev")
    assert code == 0
    assert outputs["operation"] == "none"
    assert outputs["stage-tag"] == "m#dev#1"
    assert work.git.run("ls-remote", "origin") == before


def test_the_same_model_on_a_merge_commit_is_the_same_version(work: Work) -> None:
    first = work.commit(md5("a"))
    work.register(stage="dev")
    work.git.run("checkout", "--quiet", "-b", "side")
    work.git.run("commit", "--quiet", "--allow-empty", "-m", "Other")
    work.git.run("checkout", "--quiet", "main")
    work.git.run("merge", "--quiet", "--no-ff", "-m", "Merge", "side")
    _, outputs = work.register(stage="staging")
    assert (outputs["version"], outputs["operation"]) == ("v0.0.1", "assigned")
    assert work.remote_tags["m#staging#2"] == first
    assert shown(work)["m"]["stage"] == {"dev": "v0.0.1", "staging": "v0.0.1"}


@pytest.mark.parametrize(("folder", "model"), [("", "m"), ("sub", "sub:m")])
def test_the_same_model_is_found_where_its_versions_commit_changed_something_else(
    work: Work, folder: str, model: str
) -> None:
    work.commit(md5("a"), folder=folder)
    lock = work.git.directory / folder / "dvc.lock"
    # Git names a file once for all who have its content.
    (work.git.directory / "a-copy").write_bytes(lock.read_bytes())
    work.commit(md5("a"), folder=folder)
    assert work.register(model=model)[1]["operation"] == "registered"
    (work.git.directory / "other").write_text("x", "utf-8")
    work.commit(md5("a"), folder=folder)
    _, outputs = work.register(model=model, stage="staging")
    assert (outputs["version"], outputs["operation"]) == ("v0.0.1", "assigned")


def test_versions_bumps_and_a_rollback(work: Work) -> None:
    work.commit(md5("a"))
    work.register(stage="prod")
    work.commit(md5("b"))
    _, outputs = work.register(stage="prod", bump="minor")
    assert (outputs["version"], outputs["previous-version"]) == ("v0.1.0", "v0.0.1")
    # All within one second: the later assignment must hold all the same.
    assert shown(work)["m"]["stage"] == {"prod": "v0.1.0"}
    _, outputs = work.register(stage="prod", version="v0.0.1")
    assert (outputs["operation"], outputs["previous-version"]) == ("assigned", "v0.1.0")
    assert shown(work)["m"]["stage"] == {"prod": "v0.0.1"}
    _, outputs = work.register(stage="prod")
    assert (outputs["version"], outputs["operation"]) == ("v0.1.0", "assigned")


@pytest.mark.parametrize("options", [("--depth=1",), ("--no-tags",), ("--depth=1", "--no-tags")])
def test_a_checkout_without_history_or_tags_is_completed(
    work: Work, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str]
) -> None:
    first = work.commit(md5("a"))
    work.register()
    work.commit(md5("b"))
    work.register()
    work.commit(md5("a"))
    poor = Work(clone(remote, tmp_path / "poor", *options).directory, monkeypatch)
    _, outputs = poor.register(stage="dev")
    assert (outputs["version"], outputs["operation"]) == ("v0.0.1", "assigned")
    assert poor.remote_tags["m#dev#1"] == first


def test_tags_that_were_never_pushed_say_nothing(work: Work) -> None:
    """A job that died between its tag and its push left one behind."""
    work.commit(md5("a"))
    work.git.run("tag", "--annotate", "-m", "x", "m@v0.0.1")
    second = work.commit(md5("b"))
    _, outputs = work.register()
    assert (outputs["version"], outputs["operation"]) == ("v0.0.1", "registered")
    assert work.remote_tags == {"m@v0.0.1": second}
    assert work.git.commit_of("m@v0.0.1") == second


def test_without_push_the_tags_stay_here(work: Work) -> None:
    work.commit(md5("a"))
    assert work.register(stage="dev", push="false")[1]["operation"] == "registered-and-assigned"
    assert work.remote_tags == {}
    assert work.local_tags == ["m#dev#1", "m@v0.0.1"]
    assert work.register(stage="dev", push="false")[1]["operation"] == "none"


def test_a_push_that_fails_leaves_no_tag(work: Work, remote: Path) -> None:
    work.commit(md5("a"))
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'you may not' >&2\nexit 1\n")
    hook.chmod(0o755)
    assert work.register(stage="dev")[0] == 4
    assert work.local_tags == []
    assert work.remote_tags == {}


def test_a_tag_in_the_way_is_no_race(
    work: Work, remote: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work.commit(md5("a"), name="m/x")
    Git(remote).run("update-ref", "refs/tags/m", "HEAD")
    assert work.register(model="m/x", stage="dev")[0] == 4
    assert "give another name, or remove that ref" in capfd.readouterr().err


def test_no_hook_of_the_checkout_runs_before_a_push(work: Work) -> None:
    work.commit(md5("a"))
    hook = work.git.directory / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert work.register(stage="dev")[0] == 0


def test_a_lock_that_stays_here_does_not_undo_what_was_pushed(
    work: Work, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    work.commit(md5("a"))
    lock = work.git.directory / ".git/refs/tags/m@v0.0.1.lock"
    lock.touch()
    code, outputs = work.register()
    assert (code, outputs["operation"]) == (0, "registered")
    assert "does not take them" in capfd.readouterr().err
    assert lock.exists()
    assert work.local_tags == []
    lock.unlink()
    assert work.register()[1]["operation"] == "none"
    assert work.local_tags == ["m@v0.0.1"]


def test_clones_that_race_agree(
    work: Work, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four jobs, two commits: each commit one version, each stage tag its own number."""
    work.commit(md5("a"))
    first = work.git.run("rev-parse", "HEAD").strip()
    second = work.commit(md5("b"))
    jobs = [(tmp_path / f"job{n}", first if n % 2 else second, f"s{n}") for n in range(4)]
    for folder, commit, _ in jobs:
        clone(remote, folder).run("checkout", "--quiet", commit)

    def run(job: tuple[Path, str, str]) -> process.Completed:
        words = [sys.executable, "-I", SCRIPTS, "gto-register-stage", "--model", "m", "--stage"]
        return process.run([*words, job[2]], cwd=job[0], check=False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, jobs))
    assert [one.returncode for one in done] == [0, 0, 0, 0], [one.stderr for one in done]
    tags = work.remote_tags
    assert {tags[name] for name in ("m@v0.0.1", "m@v0.0.2")} == {first, second}
    assert len(tags) == 6
    numbers = sorted(name.rsplit("#", 1)[1] for name in tags if "#" in name)
    assert numbers == ["1", "2", "3", "4"]
    judge = Work(clone(remote, tmp_path / "judge").directory, monkeypatch)
    at = {commit: name.partition("@")[2] for name, commit in tags.items() if "@" in name}
    assert shown(judge)["m"]["stage"] == {stage: at[commit] for _, commit, stage in jobs}
    for folder, _, _ in jobs:
        assert set(Git(folder).run("tag").split()) <= set(tags)


def test_a_subfolders_model(work: Work) -> None:
    commit = work.commit(md5("a"), folder="sub")
    _, outputs = work.register(model="sub:m", stage="dev")
    assert outputs["version-tag"] == "sub=m@v0.0.1"
    assert work.remote_tags == {"sub=m@v0.0.1": commit, "sub=m#dev#1": commit}
    assert shown(work)["sub:m"]["stage"] == {"dev": "v0.0.1"}


def test_another_revision_is_registered(work: Work) -> None:
    first = work.commit(md5("a"))
    work.commit(md5("b"))
    assert work.register(revision="HEAD~1")[1]["version"] == "v0.0.1"
    assert work.remote_tags == {"m@v0.0.1": first}


def test_without_an_identity_the_bot_writes(
    work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work.commit(md5("a"))
    work.git.run("config", "--unset", "user.name")
    work.git.run("config", "--unset", "user.email")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert work.register()[0] == 0
    tagger = work.git.run("for-each-ref", "--format=%(taggername) %(taggeremail)", "refs/tags")
    assert tagger.startswith("model-gitops[bot] <")


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ({"model": "nope"}, 2, "artifacts that there are: 'm'"),
        ({"model": "model.bin"}, 2, "GTO takes letters"),
        ({"model": 'a"b$(touch pwned)`id`'}, 2, "GTO takes letters"),
        ({"model": "--help"}, 2, "GTO takes letters"),
        ({"stage": "a b"}, 2, "input `stage`"),
        ({"version": "1.0.0"}, 2, "version: v1.2.3"),
        ({"version": "v0.0.1"}, 2, "with another model"),
        ({"version": "v0.0.9", "revision": "HEAD~1"}, 2, "is registered as v0.0.1"),
        ({"bump": "huge"}, 2, "bump: patch"),
        ({"revision": "gone"}, 2, "no such commit"),
        ({"revision": "--all"}, 2, "no such commit"),
        ({"remote": "nowhere"}, 2, "no such remote"),
        ({"push": "yes"}, 2, "push: true"),
    ],
)
def test_bad_input_changes_nothing(
    work: Work, capfd: pytest.CaptureFixture[str], inputs: dict[str, str], code: int, words: str
) -> None:
    work.commit(md5("a"))
    work.register(stage="dev")
    work.commit(md5("b"))
    before = work.git.run("ls-remote", "origin"), work.local_tags
    assert work.register(**inputs)[0] == code
    assert words in capfd.readouterr().err
    assert (work.git.run("ls-remote", "origin"), work.local_tags) == before
    assert not (work.git.directory / "pwned").exists()


def message_of(work: Work, tag: str) -> str:
    return work.git.run("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}").rstrip("\n")


MODEL = b"the model"
REGISTERING = "Registering artifact m version v0.0.1"
RECORD = (
    f"Model-Hash: {hashlib.md5(MODEL).hexdigest()}\n"
    f"Model-SHA256: {hashlib.sha256(MODEL).hexdigest()}"
)


def test_a_new_version_records_the_sha256_of_its_model(work: Work) -> None:
    work.commit(hashlib.md5(MODEL).hexdigest())
    (work.git.directory / "model.bin").write_bytes(MODEL)
    assert work.register(stage="dev")[0] == 0
    assert message_of(work, "m@v0.0.1") == f"{REGISTERING}\n\n{RECORD}"
    assert message_of(work, "m#dev#1") == "Assigning stage dev to artifact m version v0.0.1"
    assert shown(work)["m"]["version"] == "v0.0.1"
    assert shown(work)["m"]["stage"] == {"dev": "v0.0.1"}


@pytest.mark.parametrize("there", [b"another file", None])
def test_of_a_file_that_is_not_the_model_nothing_is_recorded(
    work: Work, there: bytes | None
) -> None:
    work.commit(hashlib.md5(MODEL).hexdigest())
    if there is not None:
        (work.git.directory / "model.bin").write_bytes(there)
    assert work.register()[0] == 0
    assert message_of(work, "m@v0.0.1") == REGISTERING
    # The file comes later: a version that exists is not changed.
    (work.git.directory / "model.bin").write_bytes(MODEL)
    before = work.git.run("ls-remote", "origin")
    for inputs in ({}, {"sha256": hashlib.sha256(MODEL).hexdigest()}):
        assert work.register(**inputs)[1]["operation"] == "none"
    assert work.git.run("ls-remote", "origin") == before


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_sha256_and_a_message_may_be_given(work: Work, end: str) -> None:
    work.commit(hashlib.md5(MODEL).hexdigest())
    hostile = RECORD.replace("\n", end)
    given = hashlib.sha256(MODEL).hexdigest()
    assert work.register(sha256=given, message=f"Because{end}{end}{hostile}")[0] == 0
    set_in = RECORD.replace("Model-", " Model-")
    assert message_of(work, "m@v0.0.1") == f"Because\n\n{set_in}\n\n{RECORD}"
    assert shown(work)["m"]["version"] == "v0.0.1"


def test_another_models_sha256_is_another_matter(work: Work) -> None:
    """What is refused for a twin is fine for a model of another MD5."""
    for number in (1, 2):
        content = MODEL * number
        work.commit(hashlib.md5(content).hexdigest())
        (work.git.directory / "model.bin").write_bytes(content)
        assert work.register()[1]["version"] == f"v0.0.{number}"
        assert hashlib.sha256(content).hexdigest() in message_of(work, f"m@v0.0.{number}")


def test_gtos_list_of_stages_is_kept(work: Work, capfd: pytest.CaptureFixture[str]) -> None:
    (work.git.directory / ".gto").write_text("stages: [dev, prod]\n")
    work.commit(md5("a"))
    assert work.register(stage="test")[0] == 2
    assert "allows only: dev, prod" in capfd.readouterr().err
    assert work.register(stage="prod")[0] == 0
