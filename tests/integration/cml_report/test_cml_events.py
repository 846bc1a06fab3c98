"""Where a report goes, and what it compares, by the event."""

from __future__ import annotations

import pytest
from report_flow import NAME, Flow, project

from model_gitops.adapters.github import GitHub


def of_main(flow: Flow) -> str:
    """The runner's own words where an event is of the default branch; return main's commit."""
    main = flow.git.run("rev-parse", "origin/main").strip()
    flow.set("GITHUB_SHA", main)
    flow.set("GITHUB_REF", "refs/heads/main")
    return main


def comment_of(flow: Flow) -> None:
    issue = {"number": flow.number, "pull_request": {"url": "x"}}
    flow._event("issue_comment", {"action": "created", "issue": issue, "comment": {"body": "/x"}})


def test_a_command_in_a_comment_reports_on_the_pull_request(flow: Flow) -> None:
    """W10: the head is checked out, and the event names main's commit alone."""
    main = of_main(flow)
    comment_of(flow)
    done = flow.run()
    assert done["operation"] == "created"
    assert f"/pull/{flow.number}#" in done["url"]
    (body,) = flow.comments()
    assert "compared with main." in body
    assert flow.git.run("rev-parse", "better").strip()[:10] in body
    assert main[:10] not in body
    assert flow.comments(main) == []


def test_main_in_the_place_of_the_pull_request_is_no_report(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    main = of_main(flow)
    comment_of(flow)
    flow.git.run("checkout", "--quiet", "--detach", main)
    flow.run(expect=2)
    told = "".join(capfd.readouterr())
    assert "ref: refs/pull/${{ github.event.issue.number }}/head" in told
    assert flow.comments() == []
    # Somebody who wants just that says so.
    assert flow.run(target=f"pr/{flow.number}")["operation"] == "created"


def test_a_comment_on_an_issue_is_about_what_is_checked_out(flow: Flow) -> None:
    main = of_main(flow)
    flow._event("issue_comment", {"issue": {"number": 99}})
    flow.git.run("checkout", "--quiet", "--detach", main)
    flow.run()
    assert len(flow.comments(main)) == 1
    assert flow.comments() == []


def test_a_merge_group_is_compared_with_its_base_and_gets_the_report_at_its_commit(
    flow: Flow,
) -> None:
    # A promotion from main is open too: what is queued for main is not of it.
    flow.git.run("push", "--quiet", "origin", "origin/main:refs/heads/production")
    flow.git.run("switch", "--quiet", "main")
    flow.commit("main", {"more": "1"})
    flow.git.run("switch", "--quiet", "better")
    api = GitHub(NAME, "bot-secret-token", api_url=flow.forge.api_url)
    other = api.open_pull_request(head="main", base="production", title="Promote", body="")
    head = flow.git.run("rev-parse", "origin/better").strip()
    ref = "refs/heads/gh-readonly-queue/main/pr-1-x"
    group = {"head_sha": head, "head_ref": ref, "base_ref": "refs/heads/main"}
    flow._event("merge_group", {"merge_group": group})
    flow.set("GITHUB_SHA", head)
    flow.set("GITHUB_REF", ref)
    flow.run()
    (body,) = flow.comments(head)
    assert "compared with main." in body
    assert (flow.comments(), flow.comments(other.number)) == ([], [])


def test_a_merged_pull_request_is_compared_with_what_was_there_before(flow: Flow) -> None:
    head = flow.git.run("rev-parse", "better").strip()
    flow.git.run("switch", "--quiet", "main")
    merged = flow.commit("main", project(0.1))
    flow.set("GITHUB_SHA", merged)
    flow.set("GITHUB_REF", "refs/heads/main")
    sides = {"head": {"ref": "better", "sha": head}, "base": {"ref": "main", "sha": merged}}
    done = {"merged": True, "state": "closed", "merge_commit_sha": merged}
    flow._event("pull_request", {"pull_request": {"number": flow.number, **sides, **done}})
    flow.run()
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert merged[:10] in body


def test_after_a_forks_run_the_pull_request_is_found_by_its_head(flow: Flow) -> None:
    of_main(flow)
    head = flow.git.run("rev-parse", "better").strip()
    run = {"event": "pull_request", "head_sha": head, "head_branch": "main", "pull_requests": []}
    flow._event("workflow_run", {"workflow_run": run})
    flow.run()
    assert len(flow.comments()) == 1


def test_what_was_deleted_gets_no_comment(flow: Flow) -> None:
    main = of_main(flow)
    flow._event("delete", {"ref": "x", "ref_type": "branch"})
    flow.git.run("checkout", "--quiet", "--detach", main)
    done = flow.run()
    assert (done["operation"], done["url"]) == ("none", "")
    assert "the event delete names no commit to comment on" in done["summary"]
    assert flow.comments(main) == []


def test_an_expression_compares_with_what_git_says_here(flow: Flow) -> None:
    """W2: two local commits; the server's default branch has a HEAD~1 of its own."""
    flow.commit("main", project(0.2))
    flow.git.run("remote", "set-head", "origin", "main")
    flow.git.run("switch", "--quiet", "better")
    for quality in (0.3, 0.4):
        files = project(quality)
        for name, text in files.items():
            (flow.git.directory / name).write_text(text, "utf-8")
        flow.git.run("commit", "--quiet", "--all", "-m", "local")
    flow.run(base="HEAD~1", plots="false")
    (body,) = flow.comments()
    assert "compared with HEAD\\~1." in body
    assert "| r2 | 0.7 |" in body
    # A branch is the server's, without what is not pushed.
    flow.git.run("branch", "--force", "main", "HEAD")
    flow.run(base="main", plots="false")
    (body,) = flow.comments()
    assert "| r2 | 0.6 |" in body
