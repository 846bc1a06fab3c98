"""The commands of the pages on the first hour are run as they stand there, one after the other."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from model_gitops.__main__ import main

ROOT = Path(__file__).parents[2]
# How a page starts us; the path and the address are another matter.
START = re.compile(r"(?:\S*scripts/run\.sh|uvx --from \S+ model-gitops|model-gitops) (?=(\w+))")
FILES = {
    "dvc.yaml": "artifacts:\n  churn: {path: churn.pkl, type: model}\nstages:\n  train:\n    cmd: python train.py\n"
    "    deps: [train.py]\n    outs: [churn.pkl]\n    metrics: [{metrics.json: {cache: false}}]\n",
    "dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py\n    outs:\n    - path: churn.pkl\n"
    "      md5: f97c5d29941bfb1b2fdab0874906ab82\n      size: 3\n",
    "metrics.json": '{"accuracy": 0.9}\n',
    "train.py": "",
    ".dvc/config": "['remote \"store\"']\n    url = ../../store\n[core]\n    remote = store\n",
}


def typed(page: str) -> list[list[str]]:
    """Return the words of each of our commands in a page's blocks, from the command's name on."""
    text = (ROOT / page).read_text("utf-8")
    blocks = re.findall(r"(?ms)^ *```(?:console|sh)\n(.*?)^ *```$", text)
    lines = re.findall(r"(?m)^ *(?:\$ )?(.+)$", "".join(blocks))
    return [
        shlex.split(line[found.end() :], comments=True)
        for line in lines
        if (found := START.match(line))
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a DVC repository of `newco`, in which one stands."""
    folder = tmp_path / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for words in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["remote", "add", "origin", "https://github.com/newco/churn.git"],
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "Start"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def test_the_commands_of_the_first_hour_make_and_update_two_repositories(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    init, *updates = typed("docs/first-hour.md")
    assert init in typed("README.md")
    assert main(init) == 0
    assert {"churn", "churn-deploy"} <= {one.name for one in project.parent.iterdir()}
    assert [one[0] for one in updates] == ["update", "update"]
    for words in updates:
        capfd.readouterr()
        assert main(words) == 0
        assert "Nothing to do" in capfd.readouterr().out


def test_the_commands_of_adopt_bring_a_project_in(project: Path) -> None:
    commands = [one for one in typed("docs/adopt.md") if one[0] == "adopt"]
    assert [one[1:2] for one in commands] == [["--dry-run"], ["--yes"], ["--image"]]
    assert main(commands[0]) == 0
    assert not (project / "promotion.yaml").exists()
    assert main([*commands[2], "--dry-run"]) == 0
    assert main(commands[1]) == 0
    assert (project / "promotion.yaml").is_file()
    assert [one for one in typed("docs/commands.md") if one[0] == "adopt"] == [
        ["adopt", "--dry-run"],
        ["adopt", "--yes"],
    ]


def test_doctor_answers_where_the_pages_say_to_type_it(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (words,) = typed("docs/doctor.md")
    assert words in typed("docs/commands.md")
    assert main(words) == 3  # there is no promotion.yaml
    assert "promotion" in capfd.readouterr().out
