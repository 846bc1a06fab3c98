"""The demo's page: the commands of its last box, and durations as a person says them."""

from __future__ import annotations

import shlex

import pytest

from model_gitops.__main__ import other_command
from model_gitops_local import demo_page


@pytest.mark.parametrize(
    "line", [line for _, text in demo_page.YOURS for line in text.splitlines()]
)
def test_what_a_person_is_told_to_type_is_a_command(line: str) -> None:
    assert line.startswith(f"{demo_page.FROM} ")
    name, *arguments = shlex.split(line.removeprefix(demo_page.FROM))
    # It parses, and is not run.
    assert other_command(name).make_context(name, arguments).command.name == name


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.95, "10 s"),
        (59.4, "59 s"),
        (59.5, "1 min 0 s"),
        (83, "1 min 23 s"),
        (3661, "61 min 1 s"),
    ],
)
def test_a_duration_for_a_person(seconds: float, said: str) -> None:
    assert demo_page.spell(seconds) == said


def test_what_an_environment_runs_in_words() -> None:
    view = {"name": "dev", "version": "v1", "metrics": {"m.json:r2": 0.45528}, "waiting": []}
    assert demo_page.in_words(view) == "dev now runs v1, r2 0.455"
    view = {"name": "dev", "version": None, "metrics": {}, "waiting": ["a", "b"]}
    assert demo_page.in_words(view) == "dev waits: a; b"


def test_the_pictures_of_a_report_are_those_beside_it() -> None:
    text = "![A \\\\(b)](x.assets/a.png) ![c](https://h/c.png) [d](x.assets/d.png)"
    (found,) = demo_page.pictures_of(text.replace("\\\\", "\\"), "x.assets")
    assert found == {"title": "A (b)", "file": "x.assets/a.png"}
