"""The README's table of servers, where the code can hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops import runner
from model_gitops.adapters import github
from model_gitops.adapters.server_dialect import GITEA
from model_gitops_local.forge.gitea import description

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SECTION = README.split("## What works where")[1].split("\n## ")[0]
ROWS = {
    cells[0]: cells[1:]
    for line in SECTION.splitlines()
    if line.startswith("| ")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}


def test_the_scopes_are_those_that_a_refusal_names() -> None:
    assert {GITEA.permission(f"{name}: write") for name in ("comments", "contents")} == {
        "write:issue",
        "write:repository",
    }
    assert GITEA.permission("pull-requests: write") == "write:repository"
    assert GITEA.permission("pull-requests: read") == "read:repository"
    for scope in ("write:issue", "write:repository", "read:repository", "read:user"):
        assert f"`{scope}`" in SECTION


def test_the_version_and_the_limit_are_those_of_the_code() -> None:
    assert f"| Gitea {description.VERSION}, Forgejo |" in SECTION
    most = github._MOST_PULLS_PAGES * GITEA.largest_page
    assert (
        f"the last {most} pull requests" in ROWS["who approved, in `status` and `trace-model`"][2]
    )


def test_a_forks_report_is_not_uploaded_where_that_is_refused() -> None:
    fork = (ROOT / "templates/model/.github/workflows/fork.yml").read_text("utf-8")
    upload = fork.split("actions/upload-artifact@")[1]
    assert "if: \"!endsWith(github.api_url, '/api/v1')\"" in upload.split("with:")[0]
    row = ROWS["the report of a fork's change as a comment"]
    assert "`actions/upload-artifact` v7" in row[1]
    assert "fork.yml" in row[2]
    assert "# v7." in upload.splitlines()[0]


def test_the_summary_is_where_the_table_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("GITEA_ACTIONS", "FORGEJO_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    runner.write_summary("### one\n")
    assert capfd.readouterr() == ("", "")
    assert runner.summary_place() == "in the step's summary"
    for name in ("GITEA_ACTIONS", "FORGEJO_ACTIONS"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "true")
            runner.write_summary("### two\n::error::no command\n")
            said = capfd.readouterr()
            assert said.out == "::group::Summary\n::endgroup::\n"
            assert said.err.startswith("### two\n\u200b::error::")
            assert runner.summary_place() == "in the log of this step"
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert runner.summary_place() == "in the file that the output `report` names"
    assert file.read_text("utf-8").startswith("### one\n### two\n")
    assert ROWS["summary of a step"][2] == "printed to the step's log"
