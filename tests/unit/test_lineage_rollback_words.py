"""What a rollback is called, in the links, the stage, the page and the view, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chain import COMMIT, DEPLOYED, HASH, HEAD, IMAGE, OTHER, TIP, WHOLE

from model_gitops.core.deploy.trailers import Origin
from model_gitops.core.lineage import report, stages, status
from model_gitops.core.lineage.facts import Trace, WentBack
from model_gitops.core.lineage.link import Link
from model_gitops.core.lineage.links import check
from model_gitops.core.lineage.status import Status

BACK = WentBack(
    replace(IMAGE, tag=TIP, digest=OTHER), "v2.0.0", Origin("acme/m", TIP), "Ada", "too slow", "e" * 40
)  # fmt: skip
SAID = "rolled back from v2.0.0 by Ada: too slow"
TRACED = replace(
    WHOLE,
    deployed=replace(DEPLOYED, back=BACK),
    held="v2.0.0",
    held_since=DEPLOYED.since - 60,
)
ASSIGN = "model-gitops gto-register-stage --model m --version v1.0.0 --stage staging"


def link_of(trace: Trace, *ends: str) -> Link:
    (found,) = (one for one in check(trace) if one.ends == ends)
    return found


def test_the_rollback_is_a_link_that_says_who_and_why() -> None:
    link = link_of(TRACED, "overlay", "rollback")
    assert (link.state, link.right) == ("verified", f"commit {'e' * 12} says so: {SAID}")
    assert not any(one.ends == ("overlay", "rollback") for one in check(WHOLE))
    assert ("rollback", f"{SAID}, commit {'e' * 40}") in report.facts(TRACED)
    assert f'["rollback<br>{"e" * 12}"]' in report.mermaid(TRACED, check(TRACED))


@pytest.mark.parametrize("since", [-60, 60])
def test_the_stage_of_what_was_taken_back_waits_however_new_its_tag_is(since: int) -> None:
    trace = replace(TRACED, held_since=DEPLOYED.since + since)
    link = link_of(trace, "stage", "version")
    assert (link.state, link.left) == ("pending", "m#staging holds v2.0.0")
    assert link.right == "m@v1.0.0 is deployed again, by a rollback"
    assert link.fix == f"{ASSIGN}; or wait for stages.yml, which does the same at its next run"
    assert stages.due(trace) == stages.unassigned(trace, check(trace)) == "v1.0.0"


def test_a_stage_that_somebody_gave_another_version_since_is_broken_without_bad_advice() -> None:
    trace = replace(TRACED, held="v3.0.0", held_since=DEPLOYED.since + 60)
    link = link_of(trace, "stage", "version")
    assert (link.state, link.fix) == ("broken", ASSIGN)
    assert stages.due(trace) == ""
    # Without a rollback nobody can say which side is right.
    plain = replace(trace, deployed=DEPLOYED)
    assert link_of(plain, "stage", "version").fix.startswith(
        f"{ASSIGN}, if what is deployed is right"
    )


def test_a_rollback_to_what_no_deployment_set_is_advised_to_deploy_it_as_one() -> None:
    deployed = replace(DEPLOYED, back=BACK, trailers={})
    fix = link_of(replace(TRACED, deployed=deployed), "overlay", "deploy commit").fix
    assert fix == (
        "revert the edit of overlays/staging/kustomization.yaml, or bump the image with"
        " bump-kustomize-tag and the trailer `Rollback: true`"
    )


BEFORE = Status(
    "dev", "main", trace=replace(WHOLE, environment="dev", deployed=replace(DEPLOYED, image=BACK.image),
    version=replace(WHOLE.version, version="v2.0.0")),  # type: ignore[type-var]
)  # fmt: skip
NOW = Status("staging", "staging", trace=TRACED, links=check(TRACED))


def test_the_view_says_it_and_asks_for_nothing_that_undoes_it() -> None:
    from chain import FLOW

    assert NOW.in_sync
    shown = status.text("m", [NOW])
    assert f"ℹ staging: {SAID} (commit {'e' * 12})\n" in shown
    assert f"ℹ staging: stage → version: m#staging holds v2.0.0, and m@v1.0.0 is deployed again, by a rollback\n  To do: {ASSIGN}; or wait" in shown  # fmt: skip
    page = status.markdown("m", [NOW])
    assert f"- ℹ️ **staging**: {SAID} " in page
    assert f"  What to run: `{ASSIGN}; or wait for stages.yml" in page
    waiting = status.document("m", [NOW])["environments"][0]["waiting"]
    assert waiting[0] == f"{SAID} (commit {'e' * 12})"
    # What the environment before runs was taken back here: it does not wait.
    assert status.waiting(FLOW, [BEFORE, NOW]) == [(), ()]
    gone = replace(NOW, trace=replace(TRACED, deployed=DEPLOYED))
    assert status.waiting(FLOW, [BEFORE, gone])[1] == ("v2.0.0 of dev (main → staging)",)


def test_what_runs_nothing_may_have_something_to_say() -> None:
    new = Status("new", "n", said=("r sets x, and promotion.yaml says image: y",))
    assert "ℹ new: r sets x, and promotion.yaml says image: y\n" in status.text("m", [new])
    assert new.in_sync
    assert status.document("m", [new])["environments"][0]["waiting"] == list(new.said)


def test_a_reason_that_several_links_have_is_said_once() -> None:
    said = [{"pull request": "why", "registry": "else"}, {"open pull requests": "why"}, {"pull request": "why"}]  # fmt: skip
    assert status.notes(said) == ["pull request, open pull requests: why", "registry: else"]
    assert status.notes([]) == []


def test_the_commit_that_was_taken_back_is_where_the_branch_may_be() -> None:
    assert HASH
    assert HEAD != COMMIT
    origin = replace(DEPLOYED, back=BACK).origin
    assert origin == Origin("acme/m", COMMIT, TIP)
