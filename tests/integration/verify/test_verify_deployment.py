"""verify-deployment: against a real small service, and a forge that keeps the commit status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from verify_site import OTHER, Site, good, slow


def head(site: Site) -> str:
    return site.work.run("rev-parse", "HEAD").strip()


def test_what_runs_and_answers_is_verified_once(site: Site) -> None:
    told = site.run()
    assert told.code == 0, told.log
    assert (told.outputs["verdict"], told.outputs["operation"]) == ("success", "verified")
    assert told.outputs["commit"] == head(site)
    assert [one["passed"] for one in told.report["checks"]] == [True, True, True]
    assert "| the deployed image runs | in 3 s | it says sha256:1a2b1a2b1a2b" in told.summary
    assert site.statuses(head(site)) == [
        ("success", "v0.0.1 (sha256:1a2b1a2b1a2b): 3 checks passed", "1"),
        ("pending", "v0.0.1 is verified (sha256:1a2b1a2b1a2b)", "1"),
    ]
    again = site.run()
    assert (again.code, again.outputs["operation"], again.outputs["verdict"]) == (
        0,
        "none",
        "success",
    )
    assert "was verified before: v0.0.1" in again.log
    assert len(site.statuses(head(site))) == 2
    asked = len(site.service.asked)
    assert site.run(again="true").outputs["operation"] == "verified"
    assert len(site.service.asked) > asked
    assert len(site.statuses(head(site))) == 4


BROKEN: dict[str, tuple[str, Any, str]] = {
    "wrong": ("/predict", lambda _: (200, {"y": 3}), "$.y is 3, not 2"),
    "five hundred": ("/predict", lambda _: (500, b"<script>"), "the status is 500, not 200"),
    "no JSON": ("/predict", lambda _: (200, b"\xff\x00\x1b[2J"), "the body is not JSON"),
    "cut": ("/predict", lambda _: None, "no answer: it closed the connection without an answer"),
    "unhealthy": ("/healthz", lambda _: (503, b""), "not healthy after 1 s: status 503"),
    "redirect": ("/predict", lambda _: (302, b"", {"Location": "/other"}), "the status is 302"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_service_that_answers_wrongly_fails_with_what_was_measured(site: Site, name: str) -> None:
    path, answer, said = BROKEN[name]
    site.service.answers[path] = answer
    if name == "unhealthy":
        smoke = site.work.directory / "tests" / "smoke.yaml"
        site.commit(site.work, {"tests/smoke.yaml": smoke.read_text().replace("5", "1")})
    told = site.run()
    assert told.code == 3, told.log
    assert said in told.outputs["reason"]
    assert "failed its verification" in told.log
    commit = told.outputs["commit"]
    ((state, description, _), *_) = site.statuses(commit)
    assert state == "failure"
    assert said[:20] in description
    assert description.endswith("(sha256:1a2b1a2b1a2b)")
    assert len(description) <= 140
    assert "✗" in told.summary
    assert "<script>" not in told.summary
    assert told.outputs["rollback"] == "false"
    good(site.service)
    assert site.run().outputs["verdict"] == "success", "a failure is verified again by who asks"


def test_a_service_that_is_too_slow_has_no_answer(site: Site) -> None:
    site.service.answers["/predict"] = slow(3, lambda _: (200, {"y": 2}))
    smoke = (site.work.directory / "tests" / "smoke.yaml").read_text().replace("5", "1")
    site.commit(site.work, {"tests/smoke.yaml": smoke})
    told = site.run()
    assert told.code == 3
    assert "no answer: no whole answer in 1 s" in told.outputs["reason"]


def test_an_answer_without_an_end_is_cut(site: Site) -> None:
    def drip(request: Any) -> Any:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                request.wfile.write(b"x")
                request.wfile.flush()
                slow(0.2, lambda _: None)(request)
        except OSError:
            return None

    smoke = (site.work.directory / "tests" / "smoke.yaml").read_text().replace("5", "1")
    site.commit(site.work, {"tests/smoke.yaml": smoke})
    site.service.answers["/predict"] = drip
    told = site.run()
    assert (told.code, "no whole answer in 1 s" in told.outputs["reason"]) == (3, True)


def test_the_old_image_still_runs_and_that_is_no_failure(site: Site) -> None:
    """A sync by hand may not have been made yet: nobody must roll back for that."""
    good(site.service, OTHER)
    site.rules(timeout="1s", **{"on-failure": "rollback"})
    told = site.run()
    assert told.code == 4, told.log
    assert told.outputs["verdict"] == "error"
    assert told.outputs["rollback"] == "false"
    assert "it says sha256:9f8e9f8e9f8e, not sha256:1a2b1a2b1a2b" in told.outputs["reason"]
    ((state, description, _), *_) = site.statuses(told.outputs["commit"])
    assert state == "error"
    assert description.startswith("the service does not say that v0.0.1 runs")
    assert all(path == "/version" for path, _ in site.service.asked), "nothing else was tested"


def test_the_image_comes_while_it_is_waited_for(site: Site) -> None:
    """In a roll-out old and new answer in turn: one right answer is not enough."""
    new = site.service.answers["/version"]
    good(site.service, OTHER)
    old, count = site.service.answers["/version"], iter(range(100))
    site.service.answers["/version"] = lambda request: (
        new(request) if (n := next(count)) in (0, 2) or n > 5 else old(request)
    )
    told = site.run(timeout="20s")
    assert told.code == 0, told.log
    assert told.log.count("the service: it says") >= 2
    assert "two versions answer, 1 times the new one" in told.log
    # Five of the new one in a row may be chance, where a canary has most of the requests.
    assert next(count) >= 50


def test_the_service_says_by_its_model_what_it_can_not_say_by_a_digest(site: Site) -> None:
    said = {"name": "churn", "version": "v0.0.1", "hash": "b" * 32, "digest": None}
    site.service.answers["/version"] = lambda _: (200, said)
    assert site.run().code == 0
    said["hash"] = "c" * 32
    told = site.run(again="true", timeout="1s")
    assert (told.code, "its hash is not that of v0.0.1" in told.outputs["reason"]) == (4, True)


def test_on_failure_rollback_is_told_to_the_workflow(site: Site) -> None:
    site.rules(**{"on-failure": "rollback"})
    site.service.answers["/predict"] = lambda _: (200, {"y": 3})
    told = site.run()
    assert (told.code, told.outputs["rollback"]) == (3, "true")


UNREADABLE = {
    "[]": "input `checked` is no mapping",
    "x": "input `checked` is no JSON",
    "{" * 9000: "input `checked` is no JSON",
    "x" * 120_000: "input `checked` has more than 100000 bytes",
    json.dumps({"rows": [{}] * 300}): "input `checked` has more than 200 rows",
    '{"rows": "x"}': "asks for `integration`, and no result of it is there",
}


def test_the_parts_of_three_jobs_are_the_same_as_one_call(site: Site) -> None:
    waited = site.run(part="wait")
    assert (waited.code, waited.outputs["check"]) == (0, "true"), waited.log
    checked = site.run(
        part="check", environment="", results=waited.outputs["results"], token="", source_token=""
    )
    assert checked.code == 0, checked.log
    parts = {"part": "record", "results": waited.outputs["results"]}
    told = site.run(**parts, checked=checked.outputs["results"])
    assert (told.code, told.outputs["verdict"]) == (0, "success"), told.log
    # A branch's code ran in the job that checks: what is not there was not checked.
    told = site.run(**parts)
    assert told.code == 4
    assert told.outputs["reason"] == "the job that checks ended without a result"
    told = site.run(**parts, checked='{"rows": [{"check": "x", "passed": "yes"}]}')
    assert told.code == 3
    site.rules(integration="tests/smoke.yaml", **{"on-failure": "rollback"})
    waited = site.run(part="wait", again="true")
    told = site.run(part="record", results=waited.outputs["results"], checked='{"rows": []}')
    assert told.code == 4
    assert "asks for `integration`, and no result of it is there" in told.outputs["reason"]
    for hostile, said in UNREADABLE.items():
        told = site.run(part="record", results=waited.outputs["results"], checked=hostile)
        assert (told.code, told.outputs["verdict"]) == (4, "error"), told.log
        assert said in told.outputs["reason"]
        ((state, description, _), *_) = site.statuses(told.outputs["commit"])
        assert (state, said in description) == ("error", True), "it would stay pending"
        assert told.outputs["rollback"] == "false"
    for hostile in ("[]", "{}", json.dumps({"target": {}, "asked": {"x": 1}})):
        told = site.run(part="check", results=hostile)
        assert told.code == 2, told.log


def test_a_job_that_checks_fails_where_a_check_does(site: Site) -> None:
    site.service.answers["/predict"] = lambda _: (200, {"y": 3})
    waited = site.run(part="wait")
    checked = site.run(part="check", results=waited.outputs["results"])
    assert checked.code == 3
    assert "the checks failed: integration 1: POST /predict: $.y is 3, not 2" in checked.log
    told = site.run(
        part="record", results=waited.outputs["results"], checked=checked.outputs["results"]
    )
    assert (told.code, told.outputs["verdict"]) == (3, "failure")


def test_a_later_commit_that_deployed_nothing_gets_the_status_too(site: Site) -> None:
    """It is the head of the next pull request, of which the status is demanded."""
    deployed = head(site)
    later = site.commit(site.work, {"README.md": "more"})
    event = {"ref": "refs/heads/main", "before": deployed, "after": later}
    file = site.top / "event.json"
    file.write_text(json.dumps(event))
    push = {
        "GITHUB_EVENT_NAME": "push", "GITHUB_SHA": later, "GITHUB_REF": "refs/heads/main",
        "GITHUB_EVENT_PATH": str(file),
    }  # fmt: skip
    assert site.run().code == 0
    assert site.statuses(later) == []
    told = site.run(env=push)
    assert (told.code, told.outputs["operation"]) == (0, "none"), told.log
    assert [state for state, *_ in site.statuses(later)] == ["success"]
    # With another model it is another deployment's, which is not there yet.
    text = f"outs:\n- {{path: m.bin, hash: md5, md5: {'d' * 32}}}\n"
    other = site.commit(site.work, {"m.bin.dvc": text})
    assert site.run(env={**push, "GITHUB_SHA": other}).code == 0
    assert site.statuses(other) == []


# stages.yml starts by workflow_dispatch, with `again: false`.
@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_a_run_that_nobody_started_leaves_a_failure_alone(site: Site, event: str) -> None:
    site.service.answers["/predict"] = lambda _: (200, {"y": 3})
    schedule = {
        "GITHUB_EVENT_NAME": event,
        "GITHUB_SHA": head(site),
        "GITHUB_REF": "refs/heads/main",
    }
    assert site.run(env=schedule).code == 3
    told = site.run(env=schedule)
    assert (told.code, told.outputs["operation"], told.outputs["verdict"]) == (0, "none", "failure")
    good(site.service)
    waited = site.run(part="wait")
    assert waited.outputs["check"] == "true"
    told = site.run(env=schedule)
    assert (told.code, "a verification is at work" in told.log) == (0, True)
    assert told.outputs["operation"] == "none"
    told = site.run(env=schedule, again="true")
    assert (told.code, told.outputs["verdict"]) == (0, "success")


def test_nothing_asked_and_nobody_to_ask(site: Site) -> None:
    site.commit(site.work, {"promotion.yaml": json.dumps(site.promotion(verify={}))})
    told = site.run()
    assert told.code == 2
    assert "nobody can be asked what dev runs" in told.log
    rules = site.promotion()
    del rules["verify"]
    site.commit(site.work, {"promotion.yaml": json.dumps(rules)})
    told = site.run()
    assert (told.code, told.outputs["operation"]) == (0, "none")
    assert "asks for no verification of dev" in told.log
    told = site.run(environment="test")
    assert (told.code, "no such environment; it has dev, production" in told.log) == (2, True)


def test_the_rules_are_those_of_the_environments_branch(site: Site) -> None:
    """A checkout that has others changes nothing."""
    rules = site.promotion()
    del rules["verify"]
    (site.work.directory / "promotion.yaml").write_text(json.dumps(rules))
    assert site.run().outputs["verdict"] == "success"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"part": "half"}, "none of all, wait, check, record"),
        ({"environment": ""}, "`environment` is empty"),
        ({"part": "record"}, "`results` is empty"),
        ({"timeout": "soon"}, "no length of time"),
        ({"argocd_server": "https://argo.example"}, "`argocd-token` is not"),
        ({"argocd_token": "x"}, "`argocd-server` is not"),
        ({"argocd_server": "http://argo.example", "argocd_token": "x"}, "in clear text to argo.example"),
        ({"argocd_server": "https://u:p@argo.example", "argocd_token": "x"}, "no address of a server"),
        ({"argocd_server": "https://argo.example", "argocd_token": "a b"}, "character that no token has"),
        ({"kubeconfig": "a: [b"}, "is no YAML"),
        ({"url": "ftp://x"}, "no address of a server"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(site: Site, inputs: dict[str, str], said: str) -> None:
    told = site.run(**inputs)
    assert (told.code, said in told.log) == (2, True), told.log
    assert site.statuses(head(site)) == []


def test_a_status_that_can_not_be_written_is_told_after_the_report(site: Site) -> None:
    waited = site.run(part="wait", source_token="")
    checked = site.run(part="check", results=waited.outputs["results"])
    parts = {"results": waited.outputs["results"], "checked": checked.outputs["results"]}
    told = site.run(part="record", source_token=TOKEN_OF_NOBODY, **parts)
    assert told.code == 4
    assert told.outputs["verdict"] == "success"
    assert "the token is wrong or has expired" in told.log


TOKEN_OF_NOBODY = "nobody"
