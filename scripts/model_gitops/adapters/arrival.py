"""Waits until an environment runs the image that its overlay pins, and says why where it does not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from model_gitops import runner
from model_gitops.adapters import json_api, web_client
from model_gitops.core import duration
from model_gitops.core.verify import running
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.core.verify.running import Seen, State
from model_gitops.core.verify.target import Target

_ASK_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_SAY_SECONDS = 30.0
# A roll-out answers with the old and the new image in turn: so many answers in a row must agree.
_ANSWERS = 5
_PODS_PAGE, _MOST_PAGES = 500, 20


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
        return running.of_argocd(json_api.mapping(answer), target)


class Kubernetes:
    """Kubernetes' API, asked for the Pods of one namespace as a kubeconfig says."""

    name = "Kubernetes"

    def __init__(self, config: Kubeconfig, namespace: str) -> None:
        """Ask nothing yet. Raises InputError for an address, a token or certificates that can't be used."""
        self._config, self._namespace = config, namespace
        self._context = json_api.trusting(config)
        web_client.check_secret(config.server, "kubeconfig", config.token)

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look."""
        deadline = time.monotonic() + seconds
        pods: list[Any] = []
        more = ""
        for _ in range(_MOST_PAGES):
            query = urlencode({"limit": _PODS_PAGE, **({"continue": more} if more else {})})
            path = f"/api/v1/namespaces/{quote(self._namespace, safe='')}/pods?{query}"
            token = self._config.token
            answer = web_client.ask(
                f"{self._config.server}{path}",
                headers={"Accept": "application/json"}
                | ({"Authorization": f"Bearer {token}"} if token else {}),
                seconds=max(deadline - time.monotonic(), 0.1),
                context=self._context,
            )
            if answer.status in (403, 404):
                raise json_api.Denied(
                    f"it does not list the Pods of the namespace {self._namespace} ({answer.status}): the"
                    " kubeconfig's user may not `list` them"
                )
            found = json_api.mapping(answer)
            pods += found.get("items") or []
            more = str((found.get("metadata") or {}).get("continue") or "")
            if not more:
                break
        return running.of_pods(pods, target)


class Service:
    """The service itself, by its `/version`."""

    name = "the service"

    def __init__(self, url: str) -> None:
        """Ask nothing yet."""
        self._url = json_api.address(url, "url", "https://churn.dev.example.com")

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look, by several answers on connections of their own."""
        deadline = time.monotonic() + seconds
        seen = Seen(State.UNKNOWN, "it was not asked")
        for _ in range(_ANSWERS):
            left = max(deadline - time.monotonic(), 0.1)
            answer = web_client.ask(f"{self._url}/version", seconds=left, largest=64 * 1024)
            if answer.status == 404:
                return Seen(State.UNKNOWN, "it has no /version, so it can't say what it runs (404)")
            seen = running.of_version(json_api.mapping(answer), target)
            if seen.state is not State.RUNS:
                return seen
        return seen


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
        if seen.state is State.RUNS or elapsed >= timeout:
            return Arrival(seen, source.name, elapsed)
        time.sleep(min(max(pause, asked_pause), max(timeout - elapsed, 0.0)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
