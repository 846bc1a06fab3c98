"""`merge-lock` as Git's merge driver: real merges, rebases and cherry-picks, read by DVC itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "templates" / "model"
DRIVER = shlex.join([sys.executable, "-I", str(ROOT / "scripts"), "merge-lock"])
# Three stages, each with a parameter of its own; `report` reads what `train` makes.
PIPELINE = """\
stages:
  clean:
    cmd: cp raw.txt clean.txt && cat params.yaml | grep ^clean >> clean.txt
    deps: [raw.txt]
    params: [clean]
    outs: [clean.txt]
  train:
    cmd: grep ^train params.yaml > model.txt
    params: [train]
    outs: [model.txt]
  report:
    cmd: cp model.txt report.txt
    deps: [model.txt]
    outs: [report.txt]
"""


class Clone:
    """A DVC project under Git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GIT_", "PYTHON"))
        } | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            **{
                f"GIT_{role}_{what}": "ada@example.org"
                for role in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            "GIT_EDITOR": "true",
        }

    def try_run(self, *args: str) -> tuple[int, str]:
        done = subprocess.run(
            args, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def run(self, *args: str) -> str:
        status, said = self.try_run(*args)
        assert status == 0, (args, said)
        return said

    def commit(self, message: str = "x") -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, "utf-8")

    @property
    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text("utf-8")

    def param(self, name: str, value: int) -> None:
        file = self.folder / "params.yaml"
        file.write_text(re.sub(rf"(?m)^{name}: .*$", f"{name}: {value}", file.read_text()))

    def branch(self, name: str, **params: int) -> None:
        """Make a branch from main that runs the pipeline with other parameters."""
        self.run("git", "checkout", "--quiet", "-b", name, "main")
        for key, value in params.items():
            self.param(key, value)
        self.run("dvc", "repro", "--quiet")
        self.commit(name)

    def unmerged(self) -> list[str]:
        return sorted(
            {line.split("\t")[1] for line in self.run("git", "ls-files", "--unmerged").splitlines()}
        )


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("merge") / "origin")
    made.folder.mkdir()
    made.run("git", "init", "--quiet", "--initial-branch=main")
    made.run("dvc", "init", "--quiet")
    made.write(".gitattributes", (TEMPLATE / ".gitattributes").read_text("utf-8"))
    made.write("raw.txt", "raw\n")
    # Far from one another, so that Git itself merges the parameters.
    made.write("params.yaml", "clean: 0\n" + "#\n" * 9 + "train: 0\n")
    made.write("dvc.yaml", PIPELINE)
    made.run("dvc", "repro", "--quiet")
    made.commit("Start")
    made.branch("clean", clean=1)
    made.branch("train", train=1)
    made.branch("train-otherwise", train=2)
    return made


@pytest.fixture
def clone(origin: Clone, tmp_path: Path) -> Clone:
    """A clone with the driver, and the cache of the origin."""
    made = Clone(tmp_path / "clone")
    origin.run("git", "clone", "--quiet", str(origin.folder), str(made.folder))
    made.run("git", "config", "merge.dvc-lock.driver", f"{DRIVER} %O %A %B %P")
    made.run("dvc", "cache", "dir", "--local", str(origin.folder / ".dvc" / "cache"))
    made.run("git", "checkout", "--quiet", "-B", "main", "origin/main")
    return made


def up_to_date(clone: Clone) -> None:
    """DVC reads the file, and finds nothing to do."""
    clone.run("dvc", "checkout", "--quiet")
    assert clone.run("dvc", "status").strip() == "Data and pipelines are up to date."
    # As DVC writes it itself: it would write the same.
    before = clone.lock
    clone.run("dvc", "commit", "--quiet", "--force")
    assert clone.lock == before


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick", "squash"])
def test_stages_of_two_experiments_are_merged(clone: Clone, how: str) -> None:
    clone.run("git", "checkout", "--quiet", "-B", "work", "origin/train")
    command = {
        "merge": ["merge", "--quiet", "--no-edit", "origin/clean"],
        "rebase": ["rebase", "--quiet", "origin/clean"],
        "cherry-pick": ["cherry-pick", "origin/clean"],
        "squash": ["merge", "--squash", "--quiet", "origin/clean"],
    }[how]
    clone.run("git", *command)
    assert clone.unmerged() == []
    assert re.findall(r"(?m)^        (clean|train): (\d)$", clone.lock) == [
        ("clean", "1"),
        ("train", "1"),
    ]
    up_to_date(clone)


def test_the_same_change_on_both_sides_is_no_conflict(clone: Clone) -> None:
    clone.branch("again", train=1)
    clone.run("git", "merge", "--quiet", "--no-edit", "origin/train")
    up_to_date(clone)


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick"])
def test_a_stage_that_both_changed_is_refused_and_the_advice_works(clone: Clone, how: str) -> None:
    clone.run("git", "checkout", "--quiet", "-B", "work", "origin/train")
    words = {"merge": ["merge", "--no-edit"], "rebase": ["rebase"], "cherry-pick": ["cherry-pick"]}[
        how
    ]
    status, said = clone.try_run("git", *words, "origin/train-otherwise")
    assert status == 1, said
    assert "error: both sides changed train, report in dvc.lock: left out there" in said
    assert clone.unmerged() == ["dvc.lock", "params.yaml"]
    assert "Merge conflict in dvc.lock" in said
    fix = re.findall(r"(?m)^Fix: solve the conflicts of other files first; then (.+)$", said)[0]
    assert fix == "dvc repro train report && git add dvc.lock"

    clone.write("params.yaml", "clean: 0\n" + "#\n" * 9 + "train: 3\n")
    clone.run("git", "add", "params.yaml")
    clone.run("bash", "-euc", fix)
    clone.run("git", words[0], "--continue")
    assert clone.unmerged() == []
    assert "train: 3\n" in clone.lock
    up_to_date(clone)


def test_a_stage_that_one_side_removed_and_the_other_changed(clone: Clone) -> None:
    """dvc.yaml is merged without it, so no stage of that name can be run."""
    clone.run("git", "checkout", "--quiet", "-B", "gone", "main")
    clone.run("dvc", "remove", "--quiet", "report")
    clone.commit("gone")
    status, said = clone.try_run("git", "merge", "--no-edit", "origin/train")
    assert (status, clone.unmerged()) == (1, ["dvc.lock"]), said
    assert "both sides changed report in dvc.lock (one side removed report): left out there" in said
    fix = re.findall(r"(?m)^Fix: solve the conflicts of other files first; then (.+)$", said)[0]
    assert fix == "dvc repro && git add dvc.lock"
    clone.run("bash", "-euc", fix)
    clone.run("git", "merge", "--continue")
    assert re.findall(r"(?m)^  (\w+):$", clone.lock) == ["clean", "train"]
    up_to_date(clone)


def test_a_lock_in_a_subfolder_is_named_by_its_path(clone: Clone) -> None:
    def start(folder: str) -> None:
        clone.run("git", "checkout", "--quiet", "main")
        (clone.folder / folder).mkdir()
        for name in ("dvc.yaml", "params.yaml", "raw.txt"):
            clone.write(f"{folder}/{name}", (clone.folder / name).read_text())
        clone.run("dvc", "repro", "--quiet", f"{folder}/dvc.yaml")
        clone.commit("sub")

    start("sub one")
    for name, value in (("one", 1), ("two", 2)):
        clone.run("git", "checkout", "--quiet", "-b", name, "main")
        clone.write("sub one/params.yaml", f"clean: 0\ntrain: {value}\n")
        clone.run("dvc", "repro", "--quiet", "sub one/dvc.yaml")
        clone.commit(name)
    status, said = clone.try_run("git", "merge", "one")
    assert status == 1
    assert (
        "Fix: solve the conflicts of other files first; then dvc repro 'sub one/dvc.yaml:train'"
        in said
    )
    assert said.count("git add 'sub one/dvc.lock'") == 1
    clone.write("sub one/params.yaml", "clean: 0\ntrain: 3\n")
    clone.run("git", "merge", "--abort")
    # Typed where the merge was: in the folder.
    _, said = clone.try_run("git", "-C", "sub one", "merge", "one")
    clone.write("sub one/params.yaml", "clean: 0\ntrain: 3\n")
    fix = re.findall(r"first; then (.+)$", said, re.M)[0]
    clone.run("bash", "-euc", f"cd 'sub one'; {fix}")
    clone.run("git", "add", "--all")
    assert clone.unmerged() == []


def test_both_sides_start_a_pipeline(clone: Clone) -> None:
    """No common file: a stage that both have alike is taken."""
    clone.run("git", "checkout", "--quiet", "--orphan", "one")
    clone.commit("one")
    clone.run("git", "checkout", "--quiet", "--orphan", "two")
    clone.param("train", 1)
    clone.run("dvc", "repro", "--quiet")
    clone.commit("two")
    status, said = clone.try_run("git", "merge", "--allow-unrelated-histories", "one")
    assert status == 1
    assert "both sides changed train, report in dvc.lock" in said
    assert re.findall(r"(?m)^  (\w+):$", clone.lock) == ["clean"]


def test_a_file_that_is_no_lock_gets_gits_own_marks(clone: Clone) -> None:
    for name, text in (("one", "a\n"), ("two", "- b\n")):
        clone.run("git", "checkout", "--quiet", "-b", name, "main")
        clone.write("dvc.lock", text)
        clone.commit(name)
    status, said = clone.try_run("git", "merge", "one")
    assert status == 1
    assert "error: our dvc.lock is not as DVC 2 and 3 write it" in said
    assert clone.unmerged() == ["dvc.lock"]
    assert re.findall(r"(?m)^(<<<<<<< ours|- b|a|>>>>>>> theirs)$", clone.lock) == [
        "<<<<<<< ours", "- b", "a", ">>>>>>> theirs",
    ]  # fmt: skip


def test_words_that_are_missing_are_named(clone: Clone) -> None:
    status, said = clone.try_run(*shlex.split(DRIVER), "base", "ours")
    assert status == 2
    assert said.startswith("error: Missing argument 'THEIRS'.\nFix: ")
    assert said.endswith(" merge-lock --help\n")


def test_a_clone_without_the_driver_does_as_git_does(clone: Clone) -> None:
    clone.run("git", "config", "--unset", "merge.dvc-lock.driver")
    clone.run("git", "checkout", "--quiet", "-B", "work", "origin/train")
    status, said = clone.try_run("git", "merge", "--no-edit", "origin/train-otherwise")
    assert (status, "Merge conflict in dvc.lock" in said) == (1, True)
    assert "<<<<<<< HEAD\n" in clone.lock


def test_the_templates_make_target_sets_it_up(clone: Clone) -> None:
    """By run.sh of a checkout, which makes the environment that the command needs."""
    command = f"MODEL_GITOPS={shlex.quote(str(ROOT / 'scripts' / 'run.sh'))}"
    clone.run("git", "config", "--unset", "merge.dvc-lock.driver")
    clone.write("Makefile", (TEMPLATE / "Makefile").read_text("utf-8"))
    clone.run("make", "merges", command)
    clone.run("git", "checkout", "--quiet", "-B", "work", "origin/train")
    clone.run("git", "merge", "--quiet", "--no-edit", "origin/clean")
    up_to_date(clone)
