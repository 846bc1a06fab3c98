"""`init`: two repositories that work as they are, or none at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import template_files
from model_gitops.core.scaffold import answers, record, render
from model_gitops_local import toolchain

ROOT = Path(__file__).parents[2]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def init(*words: str | Path) -> int:
    return main(["init", "--name", "churn", "--owner", "newco", *map(str, words)])


def test_both_repositories_have_one_commit_and_nothing_of_the_example(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, deploy = tmp_path / "A", tmp_path / "B"
    assert init("--to", model, "--deploy", deploy) == 0
    said = capfd.readouterr().out
    for folder in (model, deploy):
        assert git(folder, "status", "--porcelain", "--ignored") == ""
        assert git(folder, "rev-list", "--count", "--all") == "1"
        for path, content in snapshot(folder).items():
            text = re.sub(rb"load_diabetes", b"", content)
            assert not re.search(rb"diabetes|acme", text, re.IGNORECASE) or path.startswith(
                ".git/"
            ), path
    assert git(model, "branch", "--format=%(refname:short)").split() == [
        "main",
        "production",
        "staging",
    ]
    assert git(deploy, "branch", "--format=%(refname:short)").split() == ["main"]
    kept = record.parse((model / record.FILE).read_text("utf-8"))
    assert (kept.template, kept.version) == ("model", template_files.version())
    # What it says to type next can be typed.
    assert f"make -C {model} reproduce" in said
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    (push,) = re.findall(rf"git -C {re.escape(str(model))} push origin (.*)", said)
    git(model, "push", "--quiet", str(remote), *push.split())
    assert git(remote, "branch", "--format=%(refname:short)").split() == [
        "main",
        "production",
        "staging",
    ]

    before = snapshot(model) | snapshot(deploy)
    assert init("--to", model, "--deploy", deploy) == 2
    error = capfd.readouterr().err
    assert f"input `to` is '{model}': it is there already, and not empty" in error
    assert snapshot(model) | snapshot(deploy) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A", "B", "remote.git"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "A", "--name", "Churn"], "--name churn"),
        (["--to", "A", "--branches", "main,main"], "main is there twice"),
        (["--to", "A", "--deploy", "A/B"], "one repository would lie in the other"),
        (["--to", "A", "--deploy", "A"], "one repository would lie in the other"),
        (["--to", "full"], "it is there already, and not empty"),
        (["--to", "file"], "it is a file"),
        (["--to", "/"], "it is there already, and not empty"),
        (["--to", "clone"], "it is a Git repository already, without a file"),
        (["--to", "A", "--deploy", "full"], "it is there already, and not empty"),
        (["--to", "file/A"], "file is a file"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "clone/.git").mkdir(parents=True)
    assert init(*words) == 2
    assert said in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", "file", "full"]


def test_without_a_terminal_what_is_missing_is_told_as_a_whole_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "scripts", "init", "--owner", "newco"],
        check=False, capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert "input `name` is missing" in done.stderr
    (fix,) = re.findall(r"Fix: (.*)", done.stderr)
    # The command is what it says: it works when it is typed.
    words = fix.split()
    assert words[1:] == ["init", "--name", "churn", "--owner", "newco", "--to", "churn"]
    assert Path(words[0]) == ROOT / "scripts/run.sh"
    monkeypatch.chdir(tmp_path)
    assert main(words[1:]) == 0
    assert (tmp_path / "churn-deploy/argocd/dev.yaml").is_file()


def test_a_person_in_a_terminal_is_asked(tmp_path: Path) -> None:
    """With a real terminal: three questions, again after a wrong answer, the folder with a proposal."""
    done = subprocess.run(
        ["script", "--quiet", "--return", "--command",
         f"{sys.executable} -I {ROOT / 'scripts'} init", tmp_path / "typescript"],
        check=False, capture_output=True, text=True, cwd=tmp_path, input="Churn\nchurn\nnewco\n\n", timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("The model's name") == 2
    assert "Fix: --name churn" in done.stdout
    assert (tmp_path / "churn/src/churn/train.py").is_file()


def test_an_empty_folder_that_one_stands_in_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert init("--to", ".") == 0
    assert Path("promotion.yaml").is_file()
    assert git(tmp_path / "here", "status", "--porcelain") == ""
    assert (tmp_path / "here-deploy/argocd/dev.yaml").is_file()
    assert init("--to", tmp_path / "there/deep", "--deploy", "../there/deploy") == 0
    assert (tmp_path / "there/deploy/argocd/dev.yaml").is_file()
    # As in --to=~/churn, where the shell leaves it.
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert init("--to", "~/churn") == 0
    assert (tmp_path / "home/churn-deploy/argocd/dev.yaml").is_file()


def test_a_name_that_git_does_not_know_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [one for one in os.environ if re.match(r"GIT_(AUTHOR|COMMITTER)|EMAIL", one)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert init("--to", tmp_path / "A") == 0
    assert "git commit --amend --no-edit --reset-author" in capfd.readouterr().err
    assert git(tmp_path / "A", "log", "-1", "--format=%an") == "model-gitops[bot]"


def test_one_that_was_stopped_between_the_two_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert init("--to", tmp_path / "A") == 0
    deploy = git(tmp_path / "A-deploy", "rev-parse", "HEAD")
    (tmp_path / "A").rename(tmp_path / "gone")
    assert init("--to", tmp_path / "A") == 0
    assert git(tmp_path / "A-deploy", "rev-parse", "HEAD") == deploy
    assert (tmp_path / "A/promotion.yaml").is_file()
    # Of other names it is another repository: refused, and nothing is made.
    (tmp_path / "A").rename(tmp_path / "gone-too")
    capfd.readouterr()
    assert init("--to", tmp_path / "A", "--branches", "main,production") == 2
    assert "input `deploy`" in capfd.readouterr().err
    assert not (tmp_path / "A").exists()


def test_a_kill_leaves_nothing_half(tmp_path: Path) -> None:
    command = [sys.executable, "-I", ROOT / "scripts", "init", "--name", "churn", "--owner", "newco", "--to", tmp_path / "A"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not any(tmp_path.glob(".model-gitops-new-*/repository/.git")) and time.monotonic() < end:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "A").exists()
    assert init("--to", tmp_path / "A") == 0
    # What the killed one left is gone too.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A", "A-deploy"]


def test_the_workflows_are_valid_with_other_branches(tmp_path: Path) -> None:
    assert init("--to", tmp_path / "A", "--branches", "trunk,release/live") == 0
    for folder in (tmp_path / "A", tmp_path / "A-deploy"):
        workflows = sorted((folder / ".github/workflows").glob("*.yml"))
        done = subprocess.run(
            [toolchain.ensure("actionlint"), *workflows],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_longest_names_pass_the_project_s_own_lint(tmp_path: Path) -> None:
    """A longer name makes longer lines: `make check` must pass all the same."""
    for name in ("a", "x" * 43):
        found = answers.new(name=name, owner="newco", branches=render.BRANCHES)
        for path, file in render.render(template_files.read("model"), found).items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
        for words in (["check"], ["format", "--check"]):
            done = subprocess.run(
                ["ruff", *words, "--no-cache", "src", "tests"],
                check=False, cwd=tmp_path / name, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
