from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_gitops import runner
from model_gitops.errors import InputError


def parse_outputs(text: str) -> dict[str, str]:
    """Read GITHUB_OUTPUT as the runner does: `name<<delimiter`, lines, delimiter."""
    found, lines = {}, text.split("\n")
    while lines and lines[0]:
        name, _, delimiter = lines.pop(0).partition("<<")
        end = lines.index(delimiter)
        found[name] = "\n".join(lines[:end])
        lines = lines[end + 1 :]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(blacklist_characters="\r", blacklist_categories=["Cs"])))
def test_any_value_comes_back_as_it_was(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "output"
    file.unlink(missing_ok=True)
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    runner.write_outputs({"path": value, "after": "x"})
    assert parse_outputs(file.read_text("utf-8")) == {"path": value, "after": "x"}


def test_asking_whether_outputs_can_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    runner.check_outputs()
    assert list(tmp_path.iterdir()) == []
    file.write_text("before=kept\n")
    runner.check_outputs()
    assert file.read_text() == "before=kept\n"


def test_annotations_escape_what_would_end_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    runner.error("100%\n::set-output name=a::b", title="a,b:c")
    assert capsys.readouterr().out == "::error title=a%2Cb%3Ac::100%25%0A::set-output name=a::b\n"


def test_progress_cannot_be_a_workflow_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    runner.say(
        "fine\n  ::add-mask::x\r::stop-commands::y\n##[group]z\nx ##[add-mask]y ##[error]\r\n"
        "#\x1b[0m#[add-mask]z\n\x00::add-mask::\n####[[add-mask]z"
    )
    lines = capsys.readouterr().err.split("\n")
    assert [command_in(line) for line in lines] == [""] * len(lines)
    assert command_in("x ##[add-mask]y") == command_in("  ::add-mask::x") == "add-mask"


@pytest.mark.parametrize("in_workflow", ["true", ""])
def test_text_from_outside_cannot_steer_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_workflow: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", in_workflow)
    for tell in (runner.say, runner.error, runner.warning, runner.notice):
        tell("a\tb \x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\x9b2J\x08end")
        shown = "".join(capsys.readouterr())
        assert shown.endswith("a\tb red2Jend\n")


def command_in(line: str) -> str:
    """Return the command that the runner finds in a line of the log, or nothing.

    As in TryParseV2 and TryParse: https://github.com/actions/runner, Runner.Common/ActionCommand.cs.
    """
    known = ("add-mask", "stop-commands", "group", "error")
    if line.lstrip().startswith("::"):
        found = line.lstrip()[2:].partition("::")
    else:
        start = line.find("##[")
        found = line[start + 3 :].partition("]") if start >= 0 else ("", "", "")
    name = found[0].split(" ")[0] if found[1] else ""
    return name if name in known else ""


def test_summaries_append_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    runner.write_summary("one")
    runner.write_summary("two")
    runner.write_summary("x" * runner.SUMMARY_LIMIT)
    assert file.read_text("utf-8") == "one\ntwo\n"


def test_the_context_means_the_head_of_a_pull_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = tmp_path / "event.json"
    head = {"ref": "experiment/a", "sha": "a" * 40}
    event.write_text(json.dumps({"pull_request": {"head": head, "base": {"ref": "main"}}}), "utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    monkeypatch.setenv("GITHUB_SHA", "b" * 40)
    monkeypatch.setenv("GITHUB_REF", "refs/pull/1/merge")
    context = runner.context()
    assert (context.base_ref, context.head_ref, context.head_sha) == (
        "main",
        "experiment/a",
        "a" * 40,
    )


def test_the_context_of_a_push(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setenv("GITHUB_SHA", "b" * 40)
    monkeypatch.setenv("GITHUB_REF", "refs/heads/feature/x")
    context = runner.context()
    assert (context.base_ref, context.head_ref, context.head_sha) == ("feature/x", "", "b" * 40)


def test_a_broken_event_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = tmp_path / "event.json"
    event.write_text("{", "utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    with pytest.raises(InputError, match=r"event\.json"):
        runner.context()
