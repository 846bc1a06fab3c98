"""What runs, by stand-ins for Argo CD's and Kubernetes' API: their addresses, their words, their refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from verify_site import DIGEST, IMAGE, OTHER, Server, Site

SECRET = "s3cret-of-the-cluster"
PATH = "/api/v1/applications/churn-dev"
PODS = "/api/v1/namespaces/churn-dev/pods"


def application(digest: str, health: str = "Healthy") -> Any:
    """https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/"""
    return {
        "status": {
            "sync": {"status": "Synced"},
            "health": {"status": health},
            "summary": {"images": [f"{IMAGE}:v0.0.1@{digest}"]},
        }
    }


def pod(digest: str, **status: Any) -> Any:
    return {
        "metadata": {"name": "churn-1"},
        "spec": {"containers": [{"name": "serve", "image": f"{IMAGE}:v0.0.1@{digest}"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "serve", **status}]},
    }


def kubeconfig(server: str, namespace: str = "") -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": namespace}}],
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": SECRET}}],
        }
    )  # fmt: skip


def argo(server: Server, **more: str) -> dict[str, str]:
    return {"argocd_server": server.url, "argocd_token": SECRET, **more}


def test_argocd_is_asked_until_it_runs(site: Site, server: Server) -> None:
    answers = [
        (503, b"upstream"),
        (200, application(OTHER)),
        (200, application(DIGEST, "Progressing")),
    ]
    server.answers[PATH] = lambda _: answers.pop(0) if answers else (200, application(DIGEST))
    told = site.run(**argo(server), timeout="30s")
    assert told.code == 0, told.log
    for said in ("it answers 503", f"runs {IMAGE}:v0.0.1@{OTHER}", "Synced, Progressing"):
        assert f"Argo CD: {said}" in told.log or said in told.log
    assert server.asked[0][0].endswith("?refresh=normal")
    assert all(authorization == f"Bearer {SECRET}" for _, authorization in server.asked)
    assert all(not authorization for _, authorization in site.service.asked)
    assert SECRET not in told.log + told.summary + json.dumps(told.outputs)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refuses the token (401)"),
        (403, "shows no Application churn-dev (403)"),
        (404, "(404)"),
    ],
)
def test_a_refusal_of_argocd_is_not_waited_for(
    site: Site, server: Server, status: int, said: str
) -> None:
    server.answers[PATH] = lambda _: (status, {"error": "permission denied", "code": 7})
    told = site.run(**argo(server), timeout="60s")
    assert (told.code, said in told.outputs["reason"]) == (4, True), told.log
    assert len(server.asked) == 1


def test_a_degraded_application_is_a_failure(site: Site, server: Server) -> None:
    server.answers[PATH] = lambda _: (200, application(DIGEST, "Degraded"))
    told = site.run(**argo(server), timeout="1s")
    assert (told.code, told.outputs["verdict"]) == (3, "failure")
    assert "Degraded" in site.statuses(told.outputs["commit"])[0][1]


def test_a_redirect_gets_no_token(site: Site, server: Server) -> None:
    site.service.answers["/stolen"] = lambda _: (200, application(DIGEST))
    server.answers[PATH] = lambda _: (307, b"", {"Location": f"{site.service.url}/stolen"})
    told = site.run(**argo(server), timeout="1s")
    assert (told.code, "a redirect is not followed" in told.outputs["reason"]) == (4, True)
    assert site.service.asked == []


@pytest.mark.parametrize("body", [b"\x00\xff" * 99, b"[]", b"{" * 99999, b"null"])
def test_an_answer_that_is_none_is_waited_for_and_told(
    site: Site, server: Server, body: bytes
) -> None:
    server.answers[PATH] = lambda _: (200, body)
    told = site.run(**argo(server), timeout="1s")
    assert told.code == 4, told.log
    assert "its answer is no" in told.outputs["reason"]


def test_kubernetes_lists_pods_by_pages(site: Site, server: Server) -> None:
    def pages(request: Any) -> Any:
        if "continue=more" in request.path:
            return 200, {"metadata": {}, "items": [pod(DIGEST, ready=True)]}
        return 200, {"metadata": {"continue": "more"}, "items": [pod(DIGEST, ready=True)]}

    server.answers[PODS] = pages
    told = site.run(kubeconfig=kubeconfig(server.url))
    assert told.code == 0, told.log
    assert (
        "2 of 2 Pods are ready with sha256:1a2b1a2b1a2b (Kubernetes"
        in told.report["checks"][0]["measured"]
    )
    assert {authorization for _, authorization in server.asked} == {f"Bearer {SECRET}"}
    assert SECRET not in told.log + told.summary + json.dumps(told.outputs)


def test_an_image_that_can_not_be_pulled_is_a_failure_with_its_reason(
    site: Site, server: Server
) -> None:
    said = {"waiting": {"reason": "ImagePullBackOff", "message": "\x1b[2Jno such image"}}
    server.answers["/api/v1/namespaces/other/pods"] = lambda _: (
        200, {"items": [pod(DIGEST, ready=False, state=said)]},
    )  # fmt: skip
    told = site.run(kubeconfig=kubeconfig(server.url, "other"), timeout="1s")
    assert told.code == 3, told.log
    assert "1: ImagePullBackOff: [2Jno such image" in told.outputs["reason"]
    assert site.service.asked == []


def test_a_user_that_may_not_list_pods(site: Site, server: Server) -> None:
    server.answers[PODS] = lambda _: (403, {"kind": "Status", "reason": "Forbidden"})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="60s")
    assert (told.code, "may not `list` them" in told.outputs["reason"]) == (4, True), told.log
