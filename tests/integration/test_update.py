"""`update`: what later templates change comes in as a merge, and what was changed here stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.core.scaffold import record

ROOT = Path(__file__).parents[2]
WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org")
EARLIER, LATER = "v0.8.0", "v0.9.0"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *WHO, *words], check=True, capture_output=True, text=True
    ).stdout.rstrip("\n")


def commit(folder: Path, message: str = "Change") -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of model-gitops with two releases of its templates."""
    folder = tmp_path_factory.mktemp("ours") / "model-gitops"
    model = folder / "templates/model"
    shutil.copytree(
        ROOT / "templates/model", model, ignore=shutil.ignore_patterns(".venv", "__pycache__")
    )
    (model / "logo.png").write_bytes(b"\x89PNG\0\xffdiabetes 1")
    (model / "old.txt").write_text("of diabetes\n")
    git(folder.parent, "init", "--quiet", folder.name)
    commit(folder)
    git(folder, "tag", EARLIER)
    replace(model / "Makefile", "help:  ## Show this.", "help:  ## Show what diabetes can do.")
    replace(
        model / ".github/workflows/deploy.yml",
        "branches: [main, staging, production]",
        "branches: [main, staging, production] # each",
    )
    replace(model / "params.yaml", "epochs: 10 ", "epochs: 20 ")
    replace(model / "tests/smoke.py", "SAMPLE = 100", "SAMPLE = 120")
    (model / "logo.png").write_bytes(b"\x89PNG\0\xffdiabetes 2")
    (model / "src/diabetes/explain.py").write_text('"""Explain diabetes."""\n')
    (model / "run.sh").write_text("#!/bin/sh\n")
    (model / "run.sh").chmod(0o755)
    (model / "old.txt").unlink()
    (model / "src/diabetes/evaluate.py").rename(model / "src/diabetes/measure.py")
    commit(folder)
    git(folder, "tag", LATER)
    return folder


@pytest.fixture
def made(ours: Path, tmp_path: Path) -> Path:
    """A repository as `init` of the earlier release would have made it, with other names."""
    folder = tmp_path / "churn"
    assert main(["init", "--name", "my-churn", "--owner", "newco", "--to", str(folder), "--branches", "trunk,live"]) == 0  # fmt: skip
    kept = record.parse((folder / record.FILE).read_text("utf-8"))
    (folder / record.FILE).write_text(
        record.Record(kept.template, EARLIER, kept.answers).text(), "utf-8"
    )
    (folder / "logo.png").write_bytes(b"\x89PNG\0\xffdiabetes 1")
    (folder / "old.txt").write_text("of my-churn\n")
    commit(folder)
    return folder


@pytest.fixture
def update(
    ours: Path, made: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def run(*words: str, version: str = LATER) -> tuple[int, str]:
        capfd.readouterr()
        code = main(["update", str(made), "--source", str(ours), "--version", version, *words])
        told = capfd.readouterr()
        return code, told.out + told.err

    return run


Update = Callable[..., tuple[int, str]]


def test_what_the_template_changed_comes_in_and_what_we_changed_stays(
    made: Path, update: Update
) -> None:
    replace(made / "params.yaml", "alpha: 0.1 ", "alpha: 0.3 ")
    replace(made / "Makefile", "push: env", "# ours\npush: env")
    (made / "src/my_churn/ours.py").write_text("x = 1\n")
    (made / "tests/smoke.py").unlink()
    git(made, "mv", "src/my_churn/train.py", "src/my_churn/fit.py")
    replace(made / record.FILE, "answers:", "# ours\nanswers:")
    commit(made)
    head = git(made, "rev-parse", "HEAD")

    code, said = update("--dry-run")
    assert code == 0, said
    assert '+"""Explain my-churn."""' in said
    assert git(made, "status", "--porcelain") == ""

    code, said = update()
    assert code == 0, said
    assert "git diff --cached" in said
    assert "tests/smoke.py was deleted here" in said
    assert git(made, "rev-parse", "HEAD") == head
    assert sorted(git(made, "status", "--porcelain").splitlines()) == [
        "A  run.sh",
        "A  src/my_churn/explain.py",
        "D  old.txt",
        "M  .github/workflows/deploy.yml",
        "M  .model-gitops.yaml",
        "M  Makefile",
        "M  logo.png",
        "M  params.yaml",
        "R  src/my_churn/evaluate.py -> src/my_churn/measure.py",
    ]
    assert "branches: [trunk, live] # each" in (made / ".github/workflows/deploy.yml").read_text()
    assert "Show what my-churn can do." in (made / "Makefile").read_text()
    assert "# ours\npush: env" in (made / "Makefile").read_text()
    assert "alpha: 0.3 " in (made / "params.yaml").read_text()
    assert (made / "logo.png").read_bytes().endswith(b"diabetes 2")
    assert (made / "run.sh").stat().st_mode & 0o100
    text = (made / record.FILE).read_text("utf-8")
    assert "# ours\n" in text
    commit(made)

    # What came in is not brought in again.
    code, said = update()
    assert (code, "Nothing to do" in said) == (0, True)
    assert git(made, "status", "--porcelain") == ""


def test_a_conflict_has_marks_and_names_and_is_never_0(made: Path, update: Update) -> None:
    replace(made / "params.yaml", "epochs: 10 ", "epochs: 30 ")
    (made / "logo.png").write_bytes(b"\x89PNG\0\xffours")
    commit(made)
    assert update("--dry-run")[0] == 3
    assert git(made, "status", "--porcelain") == ""
    code, said = update()
    assert code == 3
    assert "changed the same lines: logo.png, params.yaml" in said
    assert "git reset --hard" in said
    marked = (made / "params.yaml").read_text()
    assert "<<<<<<< this repository\n  epochs: 30 " in marked
    assert ">>>>>>> the model template at " in marked
    assert git(made, "diff", "--name-only", "--diff-filter=U").split() == [
        "logo.png",
        "params.yaml",
    ]
    # Git lets nobody commit it as it is, and the way back is what it said.
    assert subprocess.run(["git", "-C", made, "commit", "-m", "x"], check=False, capture_output=True).returncode  # fmt: skip
    assert update()[0] == 2
    git(made, "reset", "--quiet", "--hard")
    assert git(made, "status", "--porcelain") == ""


def test_a_sparse_checkout_without_executable_bits_is_merged_whole(
    made: Path, update: Update
) -> None:
    replace(made / "params.yaml", "epochs: 10 ", "epochs: 30 ")
    git(made, "rm", "--quiet", "tests/smoke.py")
    replace(made / "old.txt", "of", "ours of")
    commit(made)
    git(made, "config", "core.fileMode", "false")
    git(made, "sparse-checkout", "set", "--no-cone", "/src/", f"/{record.FILE}")
    assert not (made / "params.yaml").exists()
    code, said = update()
    assert code == 3
    assert "changed the same lines: old.txt (the template deletes it), params.yaml\n" in said
    assert "<<<<<<< this repository\n  epochs: 30 " in (made / "params.yaml").read_text()
    assert (made / "src/my_churn/measure.py").is_file()
    assert not (made / "Makefile").exists()
    assert git(made, "ls-files", "--stage", "run.sh").startswith("100755 ")


def test_what_it_can_t_work_on_is_refused_and_stays(
    made: Path, update: Update, tmp_path: Path
) -> None:
    (made / "notes").write_text("x")
    code, said = update()
    assert (code, "not committed: notes" in said, "git stash" in said) == (2, True, True)
    (made / "notes").unlink()
    # A file that Git ignores, where the template has one now.
    (made / ".git/info/exclude").write_text("run.sh\n")
    (made / "run.sh").write_text("mine")
    code, said = update()
    assert (code, "the template has run.sh now" in said) == (2, True)
    assert ((made / "run.sh").read_text(), git(made, "status", "--porcelain")) == ("mine", "")
    (made / "run.sh").unlink()
    code, said = update(version="v7.7.7")
    assert (code, "input `version` is 'v7.7.7'" in said) == (2, True)
    code, said = update(version="..")
    assert (code, "input `version` is '..'" in said) == (2, True)
    # The source is asked once, and not again for minutes.
    code, said = update("--source", str(tmp_path / "nowhere"))
    assert (code, "input `source` is" in said) == (2, True)
    code, said = update("--source", str(tmp_path))
    assert (code, "it is no Git repository" in said) == (2, True)
    code, said = update("--source", "http://127.0.0.1:1/x.git")
    assert (code, "does not answer: " in said, "--source: the URL" in said) == (4, True, True)
    # Below the top its workflows would not be its own; elsewhere there is nothing to update.
    assert main(["update", str(made / "src")]) == 2
    shutil.copytree(made, tmp_path / "mono/churn", ignore=shutil.ignore_patterns(".git"))
    git(tmp_path, "init", "--quiet", "mono")
    commit(tmp_path / "mono")
    assert main(["update", str(tmp_path / "mono/churn")]) == 2
    replace(made / record.FILE, "template: model", "template: other")
    commit(made)
    assert update()[0] == 2
    assert git(made, "status", "--porcelain") == ""


def test_one_that_is_killed_before_its_end_has_touched_nothing(
    made: Path, ours: Path, tmp_path: Path, update: Update
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-I", ROOT / "scripts", "update", made, "--source", ours, "--version", LATER],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip
    end = time.monotonic() + 60
    while not any(temporary.glob("model-gitops-render-*/files")) and time.monotonic() < end:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert git(made, "status", "--porcelain") == ""
    assert update()[0] == 0
    assert (made / "src/my_churn/explain.py").is_file()


def test_the_version_that_runs_is_where_it_goes_without_another_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """From a clone of ours, and without a network: the recorded commit is in that clone."""
    for template in ("model", "deploy"):
        folder = tmp_path / f"churn{'-deploy' if template == 'deploy' else ''}"
        if template == "model":
            assert main(["init", "--name", "churn", "--owner", "newco", "--to", str(folder)]) == 0
        assert main(["update", str(folder)]) == 0
        assert "Nothing to do" in capfd.readouterr().out
