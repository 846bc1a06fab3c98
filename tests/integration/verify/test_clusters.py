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


ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/churn-dev/rollouts"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/churn-dev/inferenceservices"


def a_rollout(digest: str, phase: str, **status: Any) -> Any:
    """As Argo Rollouts 1.9 writes it, at a pause unless `status` says otherwise."""
    said = {
        "currentStepIndex": 1,
        "currentPodHash": "n",
        "stableRS": "o",
        "observedGeneration": "1",
    }
    containers = [{"name": "serve", "image": f"{IMAGE}:v0.0.1@{digest}"}]
    return {
        "metadata": {"name": "churn", "namespace": "churn-dev", "generation": 1},
        "spec": {
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
            "template": {"spec": {"containers": containers}},
        },
        "status": {**said, "phase": phase, **status},
    }


ABORTED = 'RolloutAborted: Rollout aborted update to revision 2: Metric "errors" assessed Failed'
OLD_AND_NEW = [pod(DIGEST, ready=True), pod(OTHER, ready=True)]


def test_kubernetes_is_asked_through_a_canary(site: Site, server: Server) -> None:
    """Pods of the version before, which stay for a while, are not waited for."""
    steps = [
        a_rollout(OTHER, "Healthy", stableRS="n"),
        a_rollout(DIGEST, "Paused", pauseConditions=[{"reason": "CanaryPauseStep"}]),
    ]
    end = a_rollout(DIGEST, "Healthy", stableRS="n")
    server.answers[PODS] = lambda _: (200, {"items": OLD_AND_NEW})
    server.answers[ROLLOUTS] = lambda _: (200, {"items": [steps.pop(0) if steps else end]})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="30s")
    assert told.code == 0, told.log
    assert f"the Rollout churn asks for {IMAGE}:v0.0.1@{OTHER}" in told.log
    assert "canary at 20 %, step 2 of 2 (pause), paused" in told.log
    assert "1 run another image" in told.log
    assert "is its stable version (Kubernetes" in told.report["checks"][0]["measured"]


def test_an_aborted_canary_fails_at_once_by_its_analysis(site: Site, server: Server) -> None:
    found = a_rollout(DIGEST, "Degraded", message=ABORTED, abort=True)
    server.answers[PODS] = lambda _: (200, {"items": [pod(OTHER, ready=True)]})
    server.answers[ROLLOUTS] = lambda _: (200, {"items": [found]})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="10m")
    assert (told.code, told.outputs["verdict"]) == (3, "failure"), told.log
    assert ABORTED in told.outputs["reason"]
    assert site.statuses(told.outputs["commit"])[0][0] == "failure"
    assert len([path for path, _ in server.asked if path.startswith(ROLLOUTS)]) == 1


def test_a_canary_that_a_person_must_promote_is_no_failure(site: Site, server: Server) -> None:
    found = a_rollout(DIGEST, "Paused", pauseConditions=[{"reason": "CanaryPauseStep"}])
    server.answers[PODS] = lambda _: (200, {"items": OLD_AND_NEW})
    server.answers[ROLLOUTS] = lambda _: (200, {"items": [found]})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="1s")
    assert (told.code, told.outputs["verdict"]) == (4, "error"), told.log
    typed = "kubectl argo rollouts promote churn --namespace churn-dev"
    assert typed in told.outputs["reason"]


def test_a_user_that_may_list_pods_alone(site: Site, server: Server) -> None:
    pods = [OLD_AND_NEW, OLD_AND_NEW[:1]]
    server.answers[PODS] = lambda _: (200, {"items": pods.pop(0) if len(pods) > 1 else pods[0]})
    server.answers[ROLLOUTS] = lambda _: (403, {"kind": "Status", "reason": "Forbidden"})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="30s")
    assert told.code == 0, told.log
    paths = [path.partition("?")[0] for path, _ in server.asked]
    assert [paths.count(one) for one in (PODS, ROLLOUTS, SERVICES)] == [2, 1, 1]


def test_an_inference_service_that_is_not_ready(site: Site, server: Server) -> None:
    image = f"{IMAGE}:v0.0.1@{DIGEST}"
    ready = {"type": "Ready", "status": "False", "reason": "Predictor ingress not created"}
    found = {
        "metadata": {"name": "churn", "generation": 1},
        "spec": {"predictor": {"containers": [{"image": image}]}},
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }
    server.answers[PODS] = lambda _: (200, {"items": [pod(DIGEST, ready=True)]})
    server.answers[SERVICES] = lambda _: (200, {"items": [found]})
    told = site.run(kubeconfig=kubeconfig(server.url), timeout="1s")
    assert (told.code, "Predictor ingress not created" in told.outputs["reason"]) == (4, True)
    ready["status"] = "True"
    assert site.run(kubeconfig=kubeconfig(server.url)).code == 0


def test_argocd_shows_the_rollout_of_its_application(site: Site, server: Server) -> None:
    found = application(OTHER, "Degraded")
    key = {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout", "namespace": "n"}
    found["status"]["resources"] = [{**key, "name": "churn"}]
    live = a_rollout(DIGEST, "Degraded", message=ABORTED, abort=True)
    answers = [(400, {"message": "not found as part of application churn-dev"})]
    server.answers[PATH] = lambda _: (200, found)
    server.answers[f"{PATH}/resource"] = lambda _: (
        answers.pop() if answers else (200, {"manifest": json.dumps(live)})
    )
    told = site.run(**argo(server), timeout="30s")
    assert (told.code, ABORTED in told.outputs["reason"]) == (3, True), told.log
    assert "Synced, Degraded" in told.log
    asked = server.asked[-1][0]
    for word in ("resourceName=churn", "namespace=n", "kind=Rollout", "version=v1alpha1"):
        assert word in asked
    assert {authorization for _, authorization in server.asked} == {f"Bearer {SECRET}"}
