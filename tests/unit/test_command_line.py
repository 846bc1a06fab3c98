from __future__ import annotations

import importlib
import os
from typing import Any

import click
import pytest

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.actions import ACTIONS
from model_gitops.commands import COMMANDS, command_line
from model_gitops.errors import InputError


@pytest.mark.parametrize("name", [*ACTIONS, *COMMANDS])
def test_each_action_and_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert (ACTIONS | COMMANDS)[name] in capsys.readouterr().out


def test_a_misspelt_action_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate-metric"]) == 2
    assert "gate-metric" in capsys.readouterr().err


def test_the_flow_on_one_machine_is_no_part_of_the_installed_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["local", "demo"]) == 2
    assert "git clone" in capsys.readouterr().err
    assert main(["local", "--help"], local=lambda: click.Command("local", help="All of it")) == 0
    assert "All of it" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["True", "yes", "1", "TRUE "])
def test_a_boolean_is_exactly_true_or_false(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_GITOPS_PUSH", value)
    assert main(["gto-register-stage", "--model", "m"]) == 2
    assert "neither `true` nor `false`" in capsys.readouterr().err


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bump-kustomize-tag", "--token", "canary-3141"]) == 2
    output = capsys.readouterr()
    assert "MODEL_GITOPS_TOKEN" in output.err
    assert "canary-3141" not in output.err + output.out


def test_a_secret_that_was_read_is_in_no_environment_of_a_child(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_GITOPS_REMOTE_CONFIG", "secret_access_key=canary-3141")
    assert main(["dvc-pull-model", "--jobs", "none"]) == 2
    assert "canary-3141" not in capsys.readouterr().err
    assert "MODEL_GITOPS_REMOTE_CONFIG" not in os.environ


@pytest.mark.parametrize("value", ["a\0b", "a\x1b[31mb", "x" * 300_000])
def test_odd_text_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-promotion", "--config", value]) == 2
    assert "`config`" in capsys.readouterr().err


def test_text_that_is_no_utf_8_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_GITOPS_TOKEN", "canary-\udcff")
    assert main(["bump-kustomize-tag"]) == 2
    error = capsys.readouterr().err
    assert "`token` is not UTF-8" in error
    assert "canary" not in error


def test_a_bug_of_ours_is_one_sentence_and_a_folded_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError("oh")

    monkeypatch.setattr("model_gitops.runner.context", fail)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["check-promotion"]) == 1
    output = capsys.readouterr()
    assert "::group::traceback" in output.out
    assert (
        "::error title=check-promotion::this is a bug in model-gitops: KeyError: 'oh'" in output.out
    )
    assert "/issues" in output.out
    assert "Traceback (most recent call last)" in output.err


@pytest.mark.parametrize("words", [["run-command", "check"], ["init", "--nam", "x"]])
def test_a_word_too_many_is_told_with_where_to_look(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"{words[0]} --help" in capsys.readouterr().err.partition("\nFix: ")[2]


@pytest.mark.parametrize("value", [None, "", "true", "false", "a\nb", "True", "a\x1bb", "x\udcff"])
@pytest.mark.parametrize("name", ACTIONS)
def test_a_step_reads_its_inputs_as_click_does(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = importlib.import_module(f"model_gitops.actions.{name.replace('-', '_')}").command

    def read(how: Any) -> Any:
        for one, _ in options.inputs_of(function).values():
            if value is None:
                monkeypatch.delenv(options.variable(one.name), raising=False)
            else:
                monkeypatch.setenv(options.variable(one.name), value)
        try:
            found = how()
        except InputError as error:
            return str(error)
        left = [one for one, _ in options.inputs_of(function).values() if one.kind == "secret"]
        return found, [one for one in left if options.variable(one.name) in os.environ]

    by_click = click.Command(
        name, params=command_line.click_options(function), callback=lambda **given: given
    )
    assert read(lambda: options.from_environment(function)) == read(
        lambda: by_click.main([], standalone_mode=False)
    )
