"""Waits until an environment runs the image that its overlay pins, and says why where it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from model_gitops import runner
from model_gitops.adapters import json_api, web_client
from model_gitops.core import duration
from model_gitops.core.verify import rollout, running
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.core.verify.running import Seen, State
from model_gitops.core.verify.target import Target

_ASK_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_SAY_SECONDS = 30.0
# A roll-out answers with the old and the new image in turn: so many answers in a row must agree. A canary does so
# for long: once both were seen, five of the new alone may be chance.
_ANSWERS, _ANSWERS_OF_TWO = 5, 50
_PAGE, _MOST_PAGES = 500, 20


class Source(Protocol):
    """A system that knows what an environment runs."""

    name: str

    def look(self, target: Target, seconds: float) -> Seen:
        """Ask once, for at most so many seconds. Raises Denied, and NoAnswer for a fault that may pass."""


@dataclass(frozen=True)
class Arrival:
    """How the wait ended: what was seen last, by which system, after how many seconds."""

    seen: Seen
    by: str
    seconds: float


class ArgoCD:
    """Argo CD's API server at `server`, asked for one Application with a token that may `get` it."""

    name = "Argo CD"

    def __init__(self, server: str, token: str, application: str) -> None:
        """Ask nothing yet. Raises InputError for an address or a token that can't be used."""
        self._server = json_api.address(server, "argocd-server", "https://argocd.example.com")
        web_client.check_secret(self._server, "argocd-token", token)
        self._token, self._application, self._asked = token, application, False

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look."""
        # The first one makes Argo CD read Git now, and not after its three minutes.
        refresh = "" if self._asked else "?refresh=normal"
        url = f"{self._server}/api/v1/applications/{quote(self._application, safe='')}{refresh}"
        self._asked = True
        answer = web_client.ask(
            url, headers={"Authorization": f"Bearer {self._token}"}, seconds=seconds
        )
        if answer.status in (403, 404):
            raise json_api.Denied(
                f"it shows no Application {self._application} ({answer.status}): it is not there, or the token"
                " may not `get` it"
            )
        found = json_api.mapping(answer)
        live = [self._live(one, seconds) for one in rollout.listed(found)]
        return running.of_argocd(found, target, rollout.of_rollouts(live, target))

    def _live(self, resource: Mapping[str, str], seconds: float) -> Any:
        """Return a resource of the Application as it is in the cluster; empty where it is not shown."""
        query = urlencode({"namespace": resource["namespace"], "resourceName": resource["name"],
                           "group": resource["group"], "version": resource["version"], "kind": resource["kind"]})  # fmt: skip
        url = f"{self._server}/api/v1/applications/{quote(self._application, safe='')}/resource?{query}"
        answer = web_client.ask(
            url, headers={"Authorization": f"Bearer {self._token}"}, seconds=seconds
        )
        if answer.status in (400, 403, 404):  # 400: it is not in the cluster yet
            return {}
        try:
            return json.loads(str(json_api.mapping(answer).get("manifest") or "{}"))
        except (ValueError, RecursionError) as error:
            raise web_client.NoAnswer("its answer is no JSON") from error


class Kubernetes:
    """Kubernetes' API, asked for one namespace as a kubeconfig says: its Pods, and what else may own them.

    A user who may not list Rollouts or InferenceServices, or a cluster that knows none, is asked for Pods alone.
    """

    name = "Kubernetes"

    def __init__(self, config: Kubeconfig, namespace: str) -> None:
        """Ask nothing yet. Raises InputError for an address, a token or certificates that can't be used."""
        self._config, self._namespace = config, namespace
        self._context = json_api.trusting(config)
        self._refused: dict[str, int] = {}
        web_client.check_secret(config.server, "kubeconfig", config.token)

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look."""
        deadline = time.monotonic() + seconds
        path = f"/api/v1/namespaces/{quote(self._namespace, safe='')}/pods"
        pods = self._list(path, deadline)
        if pods is None:
            raise json_api.Denied(
                f"it does not list the Pods of the namespace {self._namespace} ({self._refused[path]}): the"
                " kubeconfig's user may not `list` them"
            )
        seen = running.of_pods(pods, target)
        for kind, judge in (
            (rollout.ROLLOUTS, rollout.of_rollouts),
            (rollout.INFERENCE_SERVICES, rollout.of_inference_services),
        ):
            group, version, plural = kind
            path = f"/apis/{group}/{version}/namespaces/{quote(self._namespace, safe='')}/{plural}"
            if said := judge(self._list(path, deadline) or (), target):
                return rollout.with_pods(said, seen)
        return seen

    def _list(self, path: str, deadline: float) -> list[Any] | None:
        """Return all resources of a kind; None where they may not be listed, or are not known."""
        if path in self._refused:
            return None
        found: list[Any] = []
        more = ""
        for _ in range(_MOST_PAGES):
            query = urlencode({"limit": _PAGE, **({"continue": more} if more else {})})
            token = self._config.token
            answer = web_client.ask(
                f"{self._config.server}{path}?{query}",
                headers={"Accept": "application/json"}
                | ({"Authorization": f"Bearer {token}"} if token else {}),
                seconds=max(deadline - time.monotonic(), 0.1),
                context=self._context,
            )
            if answer.status in (403, 404):
                self._refused[path] = answer.status
                return None
            page = json_api.mapping(answer)
            found += page.get("items") or []
            more = str((page.get("metadata") or {}).get("continue") or "")
            if not more:
                break
        return found


class Service:
    """The service itself, by its `/version`."""

    name = "the service"

    def __init__(self, url: str) -> None:
        """Ask nothing yet."""
        self._url = json_api.address(url, "url", "https://churn.dev.example.com")
        self._saw_new = self._saw_two = False
        self._agreeing = 0

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look, by several answers on connections of their own."""
        deadline = time.monotonic() + seconds
        # A slow service has not given enough of them by then: the next look goes on.
        agreeing, self._agreeing = self._agreeing, 0
        while True:
            left = max(deadline - time.monotonic(), 0.1)
            answer = web_client.ask(f"{self._url}/version", seconds=left, largest=64 * 1024)
            if answer.status == 404:
                return Seen(State.UNKNOWN, "it has no /version, so it can't say what it runs (404)")
            seen = running.of_version(json_api.mapping(answer), target)
            if seen.state is not State.RUNS:
                self._saw_two = self._saw_two or (self._saw_new and seen.state is State.WAITS)
                two = f": two versions answer, {agreeing} times the new one" if agreeing else ""
                return replace(seen, said=f"{seen.said}{two}")
            self._saw_new = True
            agreeing += 1
            wanted = _ANSWERS_OF_TWO if self._saw_two else _ANSWERS
            if agreeing >= wanted:
                return seen
            if time.monotonic() >= deadline:
                self._agreeing = agreeing
                return Seen(State.WAITS, f"{seen.said}, in {agreeing} of {wanted} answers so far")


def wait(source: Source, target: Target, timeout: float) -> Arrival:
    """Ask `source` until the deployment runs, for at most `timeout` seconds; say what changes.

    What is broken is waited for too: a registry that is slow looks the same at first.
    """
    began = time.monotonic()
    pause, told, told_at = _FIRST_PAUSE, "", began
    while True:
        elapsed = time.monotonic() - began
        asked_pause = 0.0
        try:
            seen = source.look(target, max(min(_ASK_SECONDS, timeout - elapsed), 1.0))
        except json_api.Denied as error:
            return Arrival(Seen(State.UNKNOWN, str(error)), source.name, elapsed)
        except web_client.NoAnswer as error:
            seen = Seen(State.UNKNOWN, str(error))
            asked_pause = error.pause if isinstance(error, json_api.Later) else 0.0
        now = time.monotonic()
        elapsed = now - began
        if seen.said != told or now - told_at >= _SAY_SECONDS:
            runner.say(f"{duration.words(elapsed)}: {source.name}: {seen.said}")
            told, told_at = seen.said, now
        if seen.state is State.RUNS or seen.is_final or elapsed >= timeout:
            return Arrival(seen, source.name, elapsed)
        time.sleep(min(max(pause, asked_pause), max(timeout - elapsed, 0.0)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
