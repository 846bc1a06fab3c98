"""A verification with canaries for secrets, and one that is killed between `pending` and its verdict."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kills import Step
from spy import Spy
from verify_site import (
    DIGEST,
    IMAGE,
    MODEL,
    READER,
    WRITER,
    Server,
    Site,
    github_description,
    made,
    server,
)

from model_gitops.actions.verify_deployment import statuses
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import OpenApi

__all__ = ["github_description", "server"]

pytestmark = pytest.mark.usefixtures("clean_environment")

CLUSTER, WRONG, KEY = "canary-cluster-9b31", "canary-wrong-77ab", "canary-key-5d1f0c9e"
APPLICATION, PODS = "/api/v1/applications/churn-dev", "/api/v1/namespaces/churn-dev/pods"
REPORT = '{"requests": 9, "failures": 0, "seconds": 1, "p50": 1, "p95": 1, "p99": 1}'


@pytest.fixture
def site(tmp_path: Path, github_description: OpenApi) -> Iterator[Site]:
    """What the stand-in for the forge keeps is its own, and not searched: it knows the tokens."""
    top = tmp_path / "site"
    top.mkdir()
    with Forge(tmp_path / "forge", validator=github_description) as forge, made(top, forge) as one:
        yield one


def workflow(site: Site, **more: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": site.forge.url,
        "GITHUB_API_URL": site.forge.api_url,
        "GITHUB_REPOSITORY": MODEL,
        "GITHUB_RUN_ID": "41",
        **more,
    }


def commit(site: Site) -> str:
    """The commit that was deployed."""
    return site.work.run("rev-list", "--max-parents=0", "HEAD").strip()


def kubeconfig(url: str, token: str) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
    )


def running(server: Server) -> None:
    """Let Argo CD and Kubernetes say that the image runs, to who has the canary."""
    image = f"{IMAGE}:v0.0.1@{DIGEST}"
    health = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
    application = {"status": {**health, "summary": {"images": [image]}}}
    container = {"name": "serve", "image": image}
    status = {"phase": "Running", "containerStatuses": [{"name": "serve", "ready": True}]}
    pod = {"metadata": {"name": "churn-1"}, "spec": {"containers": [container]}, "status": status}
    for path, answer in ((APPLICATION, application), (PODS, {"items": [pod]})):
        server.answers[path] = lambda request, answer=answer: (
            (200, answer)
            if request.headers.get("Authorization") == f"Bearer {CLUSTER}"
            else (401, {"message": "no"})
        )


def test_the_secrets_of_a_verification(
    tmp_path: Path, site: Site, server: Server, numbers: Callable[[str], None]
) -> None:
    """Five secrets: each goes to its own server, and to neither service nor load test."""
    running(server)
    load = {"users": 1, "rate": 1, "time": "1s", "warm-up": "0s"}
    line = f"env >seen; echo '{REPORT}' >$LOAD_REPORT"
    verify = {"url": site.service.url, "timeout": "2s", "load": load}
    rules = site.promotion(verify=verify, commands={"load": line})
    site.commit(site.work, {"promotion.yaml": json.dumps(rules)}, "A load test")
    spy = Spy(site.top, [READER, WRITER, CLUSTER, WRONG, KEY])
    spy.env, spy.use = workflow(site), {READER: "git", WRONG: "git"}
    given = {"environment": "dev", "again": "true", "token": READER, "source_token": WRITER}
    argo = {"argocd_server": server.url, "argocd_token": CLUSTER}
    for asked in (argo, {"kubeconfig": kubeconfig(server.url, CLUSTER)}):
        done = spy.run("verify-deployment", site.work.directory, **given, **asked)
        assert (done.code, "success" in done.outputs) == (0, True), done.log
        seen = (site.work.directory / "seen").read_text("utf-8")
        assert "LOAD_USERS=1" in seen, "the load test was run, and its environment searched"
    assert {token for _, token in server.asked} == {f"Bearer {CLUSTER}"}
    assert {token for _, token in site.service.asked} == {""}
    refused: list[dict[str, str]] = [
        {"token": WRONG},
        {"source_token": WRONG},
        {**argo, "argocd_token": WRONG},
        {"kubeconfig": kubeconfig(server.url, WRONG)},
    ]
    for wrong in refused:
        failed = spy.run("verify-deployment", site.work.directory, **{**given, **wrong})
        assert failed.code == 4, failed.log
    malformed = {"kubeconfig": kubeconfig(server.url, f"{WRONG}\n")}
    assert spy.run("verify-deployment", site.work.directory, **given, **malformed).code == 2
    by_key = {**rules, "deploy": {"repository": f"ssh://git@git.example{site.top}/deploy.git"}}
    site.commit(site.work, {"promotion.yaml": json.dumps(by_key)}, "By a deploy key")
    spy.wrap("ssh", 'while [ $# -gt 1 ]; do shift; done; exec sh -c "$1"')
    key = {"token": "", "ssh_key": f"-----BEGIN KEY-----\n{KEY}\n-----END KEY-----"}
    done = spy.run("verify-deployment", site.work.directory, **{**given, **key})
    assert done.code == 0, done.log
    said = site.statuses(commit(site))
    assert {one[0] for one in said} == {"pending", "success", "error"}
    spy.search(json.dumps(said).encode(), "the statuses")
    numbers(
        "secrets: token, ssh-key, source-token, argocd-token and kubeconfig of verify-deployment: 9 planted, 0 found"
    )


@pytest.mark.parametrize("path", ["/version", "/predict", "/statuses"])
def test_a_killed_verification_is_completed_by_a_rerun(
    path: str,
    tmp_path: Path,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    survived: Counter[str],
) -> None:
    """Killed while it waits, while it checks, and as it writes its verdict: `pending` is no answer."""
    inputs = {"environment": "dev", "token": READER, "source-token": WRITER}
    place = tmp_path / "step"
    place.mkdir()
    step = Step(place, site.work.directory, "verify-deployment", inputs, workflow(site))

    def arrange(kill: Callable[[], None]) -> None:
        asked = "/predict" if path == "/statuses" else path
        before = site.service.answers[asked]

        def answer(request: Any) -> Any:
            if path == "/statuses":  # the next one that is written is the verdict
                site.forge.drop_next("POST", path, when="before", then=kill)
            else:
                kill()
            return before(request)

        site.service.answers[asked] = answer

    answers = dict(site.service.answers)
    step.killed_by(arrange)
    site.service.answers = answers
    states = [one[0] for one in site.statuses(commit(site))]
    assert states == ["pending"]
    # The next hop demands a success: see check-promotion. Who comes by itself leaves a run at work alone.
    step.runner |= {"GITHUB_EVENT_NAME": "schedule"}
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"], outputs["verdict"]) == (0, "none", "")
    # A person's rerun goes on, and so does any run when nobody can be at work any more.
    if path == "/version":
        del step.runner["GITHUB_EVENT_NAME"]
    else:
        monkeypatch.setattr(statuses, "_ABANDONED_SECONDS", 0)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"], outputs["verdict"]) == (0, "verified", "success")
    assert [one[0] for one in site.statuses(commit(site))] == ["success", "pending", "pending"]
    assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += 1
