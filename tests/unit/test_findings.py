"""The form of `findings/`: what its README promises of each script."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def head(script: Path) -> list[str]:
    """Return the comment that `script` begins with, without its marks."""
    lines = script.read_text().splitlines()[1:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return [line.removeprefix("#").removeprefix(" ") for line in lines[:end]]


def test_the_table_lists_every_script_and_no_other() -> None:
    rows = re.findall(
        r"^\| \[(\S+)\]\((\S+)\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    assert rows == [(script.stem, script.name) for script in SCRIPTS]
    assert 1 <= len(rows) <= 10


def test_the_table_gives_the_version_that_is_installed() -> None:
    table = dict(
        re.findall(r"^\| \[(\S+)\]\S+ \| (.+?) \|", (FOLDER / "README.md").read_text(), re.M)
    )
    for script in SCRIPTS:
        version = re.search(r"\d+\.\d+\.\d+", table[script.stem])
        assert version and re.search(rf"(==|@v){re.escape(version[0])}\b", script.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_stands_alone_and_names_no_host(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert "http" not in text
    assert "model_gitops" not in text
    assert "\nset -euo pipefail\n" in text
    assert "work=$(mktemp -d)\ntrap 'rm -rf \"${work}\"' EXIT\n" in text
    assert 'export HOME="${work}" TMPDIR="${work}"' in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_head_states_what_the_script_checks(script: Path) -> None:
    lines = head(script)
    assert re.match(r"\S.* \d+\.\d+\.\d+.*: .", lines[0])
    labels = ("Expected: ", "Happens: ", "Versions: ", "Seen on 2")
    starts = [n for label in labels for n, line in enumerate(lines) if line.startswith(label)]
    assert len(starts) == len(labels) and starts == sorted(starts)
    seen = lines[starts[-1] + 1 :]
    assert seen and all(line.startswith("  ") for line in seen)
    # Read before any `cd`; the last command is the comparison: its exit status is the script's.
    commands = script.read_text().splitlines()[1 + len(lines) :]
    assert commands[2].startswith("stated=$(sed -n 's/^#   //p' \"$0\")")
    assert commands[-1] == 'diff <(echo "${stated}") "${work}/seen"'
