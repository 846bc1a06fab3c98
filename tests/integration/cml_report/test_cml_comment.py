"""cml-report: one comment, where it goes, and who may write it; with the stand-in for GitHub."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from report_flow import BOT, EVE, NAME, PNG, READER, Flow, pictures_in, project

from model_gitops.adapters import report_branch
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core.report import comment


def test_creates_then_leaves_then_updates_one_comment_with_pictures(flow: Flow) -> None:
    first = flow.run()
    assert first["operation"] == "created"
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert "| error.rmse | 60.05 | 60.1 | +0.05 ▼ |" in body
    assert "| size | 3 | 3 | = |" in body
    assert "| train.epochs | 50 | 100 |" in body
    assert "train.rate" not in body
    assert "## Model report: diabetes → dev" in body
    assert "**▲ 1 better ▼ 1 worse** of 3 metrics, compared with main." in body
    assert f"{flow.forge.url}/{NAME}/actions/runs/41" in body
    assert first["url"].startswith(f"{flow.forge.url}/{NAME}/pull/{flow.number}#")
    assert Path(first["report"]).read_text("utf-8") == body
    assert body.strip() in first["summary"]

    links = pictures_in(body)
    assert len(links) == 2
    for link in links:
        assert re.fullmatch(
            rf"{flow.forge.url}/{NAME}/raw/[0-9a-f]{{40}}/[0-9a-f]{{16}}\.png", link
        )
        content = flow.get(link)
        assert content.startswith(PNG)
        assert len(content) > 1000
        assets = Path(first["report"]).with_suffix(".assets")
        assert (assets / link.rsplit("/", 1)[1]).read_bytes() == content

    # Another run of the same candidate has nothing new to say, and adds nothing to the branch.
    flow.set("GITHUB_RUN_ID", "42")
    tip = flow.git.run("ls-remote", "origin", report_branch.BRANCH)
    again = flow.run()
    assert (again["operation"], again["url"]) == ("none", first["url"])
    assert flow.git.run("ls-remote", "origin", report_branch.BRANCH) == tip
    assert flow.comments() == [body]

    flow.commit("better", project(0.2))
    flow.on_pull_request()
    changed = flow.run()
    assert (changed["operation"], changed["url"]) == ("updated", first["url"])
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.6 | +0.15 ▲ |" in body
    assert all(flow.get(link).startswith(PNG) for link in [*links, *pictures_in(body)])
    # The branch only holds pictures; the checkout knows nothing of it.
    names = Git(flow.bare).run("ls-tree", "--name-only", f"refs/heads/{report_branch.BRANCH}")
    assert re.fullmatch(r"(([0-9a-f]{16}\.png|README\.md)\n)+", names)
    assert flow.git.run("status", "--porcelain") == ""


def test_two_titles_are_two_comments(flow: Flow) -> None:
    urls = {flow.run(title=title, plots="false")["url"] for title in ("Gate", "Gate --> x", "Gate")}
    assert len(urls) == 2
    assert len(flow.comments()) == 2
    assert [flow.run(title=t, plots="false")["operation"] for t in ("Gate", "Gate --> x")] == [
        "none"
    ] * 2


def test_the_comment_of_somebody_else_is_not_touched(flow: Flow) -> None:
    copy = f"I am the report\n\n{comment.mark('Model report')}"
    GitHub(NAME, EVE, api_url=flow.forge.api_url).create_comment(flow.number, copy)
    assert flow.run(plots="false")["operation"] == "created"
    assert flow.run(plots="false")["operation"] == "none"
    assert flow.comments()[0] == copy
    assert len(flow.comments()) == 2


def test_a_token_that_may_only_read_falls_back_to_the_summary(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    done = flow.run(token=READER)
    assert (done["operation"], done["url"]) == ("none", "")
    assert flow.comments() == []
    assert "No comment was written" in done["summary"]
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in done["summary"]
    assert "2 plots can't be shown here" in done["summary"].replace("\\", "")
    said = capfd.readouterr()
    assert "::notice::No comment was written" in said.out
    assert READER not in said.out.replace(f"::add-mask::{READER}", "") + said.err
    # The pictures can still be seen from the file.
    report = Path(done["report"])
    shown = pictures_in(report.read_text("utf-8"))
    assert len(shown) == 2
    assert all((report.parent / name).read_bytes().startswith(PNG) for name in shown)
    assert Git(flow.bare).run("for-each-ref", "refs/heads/model-gitops") == ""


def test_no_token_and_no_workflow_fall_back_too(flow: Flow) -> None:
    assert flow.run(token="", plots="false")["operation"] == "none"
    flow.set("GITHUB_REPOSITORY", "")
    assert flow.run(plots="false")["operation"] == "none"


def test_a_comment_may_be_allowed_where_pictures_are_not(flow: Flow) -> None:
    flow.forge.add_token(
        "commenter", "github-actions[bot]", {"contents": "read", "pull-requests": "write"}
    )
    assert flow.run(token="commenter")["operation"] == "created"
    (body,) = flow.comments()
    assert "contents: write" in body.replace("\\", "")
    assert pictures_in(body) == []


def test_a_push_reports_on_the_open_pull_request_else_on_the_commit(flow: Flow) -> None:
    flow.on_push("better")
    assert flow.run(plots="false")["operation"] == "created"
    assert len(flow.comments()) == 1
    commit = flow.commit("lonely", project(0.07))
    flow.on_push("lonely")
    done = flow.run(plots="false")
    assert done["operation"] == "created"
    assert "/commit/" in done["url"]
    (body,) = flow.comments(commit)
    assert "compared with main." in body
    assert flow.run(plots="false")["operation"] == "none"
    flow.commit("lonely", project(0.08))
    assert len(flow.comments()) == 1


@pytest.mark.parametrize("form", ["pr", "pr/{number}", "issue/{number}", "PR/{number}"])
def test_targets_of_a_pull_request(flow: Flow, form: str) -> None:
    assert flow.run(target=form.format(number=flow.number), plots="false")["operation"] == "created"
    assert len(flow.comments()) == 1


def test_target_commit(flow: Flow) -> None:
    head = flow.git.run("rev-parse", "HEAD").strip()
    assert flow.run(target="commit", plots="false")["operation"] == "created"
    assert flow.run(target=f"commit/{head[:12]}", plots="false")["operation"] == "none"
    assert len(flow.comments(head)) == 1
    assert flow.comments() == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"target": "pr/99"},
        {"target": "issue/99"},
        {"target": f"commit/{'1' * 40}"},
        {"target": "pr/x"},
        {"target": "merge"},
        {"base": "nowhere"},
        {"base": "--upload-pack=touch pwned"},
        {"body": "missing.md"},
        {"metrics": "../../etc/passwd"},
        {"publisher": "other"},
        {"publisher": "cml"},
        {"plots": "yes"},
    ],
)
def test_wrong_inputs_change_nothing(flow: Flow, inputs: dict[str, str]) -> None:
    flow.set("PATH", os.defpath)
    refs = Git(flow.bare).run("for-each-ref")
    flow.run(expect=2, **inputs)
    assert flow.comments() == []
    assert Git(flow.bare).run("for-each-ref") == refs
    assert not (flow.git.directory / "pwned").exists()


def test_publisher_cml(flow: Flow, fake_cml: Path) -> None:
    first = flow.run(publisher="cml", title="Nightly", plots="false")
    assert first["operation"] == "created"
    assert flow.run(publisher="cml", title="Nightly", plots="false")["operation"] == "none"
    flow.commit("better", project(0.25))
    flow.on_pull_request()
    last = flow.run(publisher="cml", title="Nightly", plots="false")
    assert (last["operation"], last["url"]) == ("updated", first["url"])
    assert len(flow.comments()) == 1
    created, updated = (json.loads(line) for line in fake_cml.read_text().splitlines())
    expected = [
        f"--target=pr/{flow.number}",
        "--watermark-title=Nightly",
        f"--repo={flow.forge.url}/{NAME}",
        "--publish=false",
        first["report"],
    ]
    assert created["argv"] == ["comment", "create", *expected]
    assert updated["argv"] == ["comment", "update", *expected]
    assert created["env"] == {"REPO_TOKEN": BOT}
