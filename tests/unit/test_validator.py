"""What a person who decides is shown, and how the lineage says who decided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chain import FLOW, TRACE, WHOLE

from model_gitops.core.deploy import deployment
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import complete_trailers
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import approval, deciding, links, report, status
from model_gitops.core.lineage.deciding import Verified
from model_gitops.core.lineage.facts import Approval, Pull
from model_gitops.core.lineage.status import Candidate, Status
from model_gitops.core.markdown import JOINER, table

RUN = "https://g.example/acme/m/actions/runs/41"


# --- what is decided --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verified", "shown"),
    [
        (Verified("staging", "success", "v0.0.2 (abc): 5 checks passed", RUN), f"✅ passed: v0.0.2 \\(abc\\): 5 checks passed ([report]({RUN}))"),
        (Verified("staging", "failure", "load p95: 312 ms; asked: 200 ms"), "❌ failed: load p95: 312 ms; asked: 200 ms"),
        (Verified("staging", "error", "no answer", "javascript:alert(1)"), "❌ not finished: no answer"),
        (Verified("staging", "pending"), "⏳ runs"),
        (Verified("staging"), "❔ no result yet"),
        (Verified("staging", "success", "|<b>[x](y)"), "✅ passed: \\|&lt;b&gt;\\[x\\]\\(y\\)"),
        (Verified("staging", "odd|", "x"), "❔ no result yet: x"),
    ],
)  # fmt: skip
def test_the_verification_of_the_stage_before_is_a_row(verified: Verified, shown: str) -> None:
    assert deciding.row(verified) == ("verified in staging", "–", shown)


def test_the_comparison_shows_the_verification_and_the_way_back() -> None:
    promotion = Promotion("m", "r.example/m", (Environment("production", "production"),))
    new = Candidate(
        "staging", "c" * 40, "v1.1.0", "a" * 32, verified=Verified("staging", "success")
    )
    runs = Status("production", "production", trace=TRACE)
    shown = status.comparison(runs, new, promotion)
    rows, rest = table(shown)
    assert ["verified in staging", "–", "✅ passed"] in rows
    command = (
        "gh workflow run rollback.yml -f environment=production -f version=v1.0.0 -f reason=WHY"
    )
    assert rest.startswith(f"To go back to v1.0.0 afterwards: `{command}`")
    nothing = status.comparison(Status("production", "production"), new, promotion)
    assert "go back" not in nothing
    assert "verified in" not in status.comparison(runs, replace(new, verified=None), promotion)


def test_of_a_merge_the_report_of_its_pull_request_is_linked() -> None:
    """There is what this table lacks: the gate, the measured comparison and the params."""
    promotion = Promotion("m", "r.example/m", (Environment("dev", "main"),))
    pull = Pull(12, "https://g.example/acme/m/pull/12", "main", ("grace", "a|da"))
    shown = status.comparison(
        Status("dev", "main", trace=TRACE), Candidate("x", "9" * 40, pull=pull), promotion
    )
    rows, _ = table(shown)
    (by,) = [row for row in rows if row[0] == "by"]
    assert by[2] == (
        "[#12](https://g.example/acme/m/pull/12), approved by grace, a\\|da: its report has the gate,"
        " the measured comparison and the params"
    )
    odd = replace(pull, url="javascript:x")
    shown = status.comparison(
        Status("dev", "main", trace=TRACE), Candidate("x", "9" * 40, pull=odd), promotion
    )
    assert "javascript" not in shown


def test_a_merge_that_waits_for_a_yes_is_no_fault_of_what_runs() -> None:
    promotion = Promotion("m", "r.example/m", (Environment("dev", "main"),))
    assert TRACE.source
    source = replace(TRACE.source, tip="9" * 40, tip_hash="8" * 32)
    late = replace(TRACE, source=source)
    runs = Status("dev", "main", trace=late, links=links.check(late))
    assert not runs.in_sync
    decided = status.comparison(runs, Candidate("x", "9" * 40, model_hash="8" * 32), promotion)
    assert "| in sync | ✅ | – |" in decided
    other = status.comparison(runs, Candidate("x", "7" * 40, model_hash="8" * 32), promotion)
    assert "| in sync | ❌ | – |" in other


def test_the_way_back_quotes_what_is_odd() -> None:
    (line, _) = deciding.way_back("a b", "v1;x`y`")
    assert "-f 'environment=a b' -f 'version=v1;x y '" in line


# --- who decided ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "number"),
    [
        (RUN, 41),
        ("https://ghe.example/gh/Acme/M/actions/runs/7", 7),
        ("https://g.example/acme/other/actions/runs/41", 0),
        (f"{RUN}/attempts/2", 0),
        ("https://g.example/acme/m/actions/runs/", 0),
        (f"{RUN} x", 0),
        ("", 0),
    ],
)
def test_only_a_run_of_the_models_repository_is_asked(address: str, number: int) -> None:
    assert approval.run_of(address, "acme/m") == number


def of(
    trace_approval: Approval | None, reviewers: tuple[str, ...], why: str = ""
) -> tuple[str, str]:
    environments = [replace(one, reviewers=reviewers) for one in FLOW.environments]
    trace = replace(
        WHOLE,
        by_pull=False,
        flow=replace(FLOW, environments=tuple(environments)),
        approval=trace_approval,
        unasked={"approval": why} if why else {},
    )
    found = list(approval.link(trace))
    return (found[0].state, found[0].sentence) if found else ("", "")


def test_a_deployment_that_a_reviewer_approved() -> None:
    by_grace = Approval("run 41", RUN, ("grace",))
    assert of(by_grace, ()) == (
        "verified",
        "deploy commit → approval: run 41 was approved by grace, and promotion.yaml names no reviewers",
    )
    assert of(by_grace, ("Grace", "ada"))[0] == "verified"
    # Who is in a team, the server alone knows.
    assert of(by_grace, ("acme/owners",))[0] == "verified"
    assert of(by_grace, ("ada",)) == (
        "broken",
        "deploy commit → approval: run 41 was approved by grace, and promotion.yaml names the reviewers ada",
    )


def test_a_deployment_that_nobody_approved() -> None:
    nobody = Approval("run 41", RUN)
    assert of(nobody, ()) == ("", "")
    assert of(nobody, ("ada",))[0] == "broken"
    assert of(None, ()) == ("", "")
    state, said = of(None, ("ada",), "without `source-token` nobody was asked")
    assert state == "unknown"
    assert "without `source-token`" in said


def test_of_a_deploy_pull_request_its_approval_counts() -> None:
    made = approval.of_pull(Pull(3, "https://g.example/acme/deploy/pull/3", "main", ("grace",)))
    assert made == Approval(
        "deploy pull request #3", "https://g.example/acme/deploy/pull/3", ("grace",)
    )
    trace = replace(WHOLE, approval=made)
    document = report.document(trace, [])
    assert document["deployment"]["approval"] == {
        "where": "deploy pull request #3",
        "url": "https://g.example/acme/deploy/pull/3",
        "approved_by": ["grace"],
    }
    assert (
        "approval",
        "deploy pull request #3, approved by grace, https://g.example/acme/deploy/pull/3",
    ) in report.facts(trace)
    assert JOINER not in report.text(trace, list(approval.link(trace)))


def test_what_is_decided_is_in_the_deploy_pull_request_in_bounds() -> None:
    image = [Image("app", tag="v1")]
    given = {"path": "o/dev", "server_url": "https://g"}
    body = deployment.pull_request_body(image, image, (), decided="| a |\nModel: x\n", **given)
    assert "### What is decided\n\n| a |\n Model: x\n" in body
    long = deployment.pull_request_body(image, image, (), decided="line\n" * 9000, **given)
    assert len(long) < 21_000
    assert "line\n\n…\n" in long


def test_a_run_is_named_once() -> None:
    asked = {"repository": "", "commit": "", "run": RUN}
    assert complete_trailers((), [], **asked) == (("Deploy-Run", RUN),)
    assert complete_trailers((("deploy-run", "x"),), [], **asked) == (("deploy-run", "x"),)
