"""Argo Workflows: by the API of Argo Server, or by Kubernetes' where nothing else can be reached.

Both have the same resources. A run is one of the CronWorkflow, started now and not by its schedule.
https://argo-workflows.readthedocs.io/en/latest/rest-api/
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from model_gitops.adapters import json_api, web_client
from model_gitops.core.training import argo
from model_gitops.core.training.runs import Offer, Run
from model_gitops.core.verify.kubeconfig import Kubeconfig

_PAGE, _MOST_PAGES = 100, 10
_ALREADY_THERE = 409


class _Argo(ABC):
    """What both APIs have in common; `workflow` is the name of the CronWorkflow."""

    name: str

    def __init__(self, namespace: str, workflow: str) -> None:
        self._namespace, self._workflow = namespace, workflow

    @abstractmethod
    def _path(self, kind: str, name: str = "") -> str:
        """Return where a resource is, or all of a kind: `workflow`, `cron-workflow`, `workflow-template`."""

    @abstractmethod
    def _query(self, selector: str, limit: int, more: str) -> Mapping[str, Any]:
        """Return what a list is limited by."""

    @abstractmethod
    def _ask(self, path: str, seconds: float, body: Any = None) -> web_client.Answer:
        """Send one request."""

    @abstractmethod
    def _submit(
        self, name: str, parameters: Mapping[str, str], seconds: float
    ) -> web_client.Answer:
        """Ask for a new run."""

    def _url(self, name: str) -> str:
        """Return a run's page; empty where there is none."""
        return ""

    def offer(self, seconds: float) -> Offer:
        """As Engine.offer."""
        end = time.monotonic() + seconds
        cron = self._get("cron-workflow", self._workflow, seconds)
        named = argo.template_of(cron)
        left = max(end - time.monotonic(), 0.1)
        return argo.offer_of(cron, self._get("workflow-template", named, left) if named else None)

    def runs(self, seconds: float) -> Sequence[Run]:
        """As Engine.runs."""
        end = time.monotonic() + seconds
        found: list[Run] = []
        more = ""
        for _ in range(_MOST_PAGES):
            query = self._query(f"{argo.LABEL}={self._workflow}", _PAGE, more)
            path = f"{self._path('workflow')}?{urlencode(query)}"
            answer = self._ask(path, max(end - time.monotonic(), 0.1))
            page = json_api.accepted(answer, f"to list the runs of the namespace {self._namespace}")
            # Both APIs say null for an empty list.
            found += [self._run(one) for one in page.get("items") or []]
            more = str((page.get("metadata") or {}).get("continue") or "")
            if not more:
                break
        return found

    def look(self, name: str, seconds: float) -> Run | None:
        """As Engine.look."""
        answer = self._ask(self._path("workflow", name), seconds)
        return None if answer.status == 404 else self._run(json_api.accepted(answer, name))

    def start(self, name: str, parameters: Mapping[str, str], seconds: float) -> Run:
        """As Engine.start."""
        end = time.monotonic() + seconds
        answer = self._submit(name, parameters, seconds)
        if answer.status == _ALREADY_THERE:
            # Another caller was first, or we were, and did not hear the answer.
            found = self.look(name, max(end - time.monotonic(), 0.1))
            if found is not None:
                return found
            raise web_client.NoAnswer(f"the run {name} is there, and a moment later it is not")
        return self._run(json_api.accepted(answer, name))

    def _run(self, workflow: Any) -> Run:
        run = argo.run_of(workflow)
        return argo.run_of(workflow, self._url(run.name))

    def _get(self, kind: str, name: str, seconds: float) -> Any:
        answer = self._ask(self._path(kind, name), seconds)
        if answer.status == 404:
            raise json_api.Denied(
                f"the namespace {self._namespace} has no {kind} {name}: Argo CD has not synced it, or"
                " `workflow` or `namespace` in promotion.yaml is another"
            )
        return json_api.accepted(answer, name)


class ArgoServer(_Argo):
    """Argo Server at `server`, asked with a token of a ServiceAccount; `authority` is PEM, empty for the usual ones."""

    name = "Argo Server"

    def __init__(
        self, server: str, token: str, authority: str, namespace: str, workflow: str
    ) -> None:
        """Ask nothing yet. Raises InputError for an address, a token or certificates that can't be used."""
        super().__init__(namespace, workflow)
        self._server = json_api.address(server, "argo-server", "https://argo.example.com")
        web_client.check_secret(self._server, "argo-token", token)
        self._token = token
        self._context = json_api.trusted(authority, "argo-authority")

    def _path(self, kind: str, name: str = "") -> str:
        return f"/api/v1/{kind}s/{_quoted(self._namespace)}" + (f"/{_quoted(name)}" if name else "")

    def _query(self, selector: str, limit: int, more: str) -> Mapping[str, Any]:
        return {
            "listOptions.labelSelector": selector,
            "listOptions.limit": limit,
            "fields": argo.FIELDS,
            **({"listOptions.continue": more} if more else {}),
        }

    def _submit(
        self, name: str, parameters: Mapping[str, str], seconds: float
    ) -> web_client.Answer:
        body = argo.submission(self._workflow, self._namespace, name, parameters)
        return self._ask(f"{self._path('workflow')}/submit", seconds, body)

    def _ask(self, path: str, seconds: float, body: Any = None) -> web_client.Answer:
        return json_api.asked(f"{self._server}{path}", self._token, self._context, seconds, body)

    def _url(self, name: str) -> str:
        return f"{self._server}/workflows/{_quoted(self._namespace)}/{_quoted(name)}"


class ArgoKubernetes(_Argo):
    """Kubernetes' API, asked for Argo's resources as a kubeconfig says."""

    name = "Kubernetes"

    def __init__(self, config: Kubeconfig, namespace: str, workflow: str) -> None:
        """Ask nothing yet. Raises InputError for an address, a token or certificates that can't be used."""
        super().__init__(namespace, workflow)
        web_client.check_secret(config.server, "kubeconfig", config.token)
        self._config, self._context = config, json_api.trusting(config)

    def _path(self, kind: str, name: str = "") -> str:
        place = f"/apis/{argo.API_VERSION}/namespaces/{_quoted(self._namespace)}"
        return f"{place}/{kind.replace('-', '')}s" + (f"/{_quoted(name)}" if name else "")

    def _query(self, selector: str, limit: int, more: str) -> Mapping[str, Any]:
        return {"labelSelector": selector, "limit": limit} | ({"continue": more} if more else {})

    def _submit(
        self, name: str, parameters: Mapping[str, str], seconds: float
    ) -> web_client.Answer:
        end = time.monotonic() + seconds
        cron = self._get("cron-workflow", self._workflow, seconds)
        body = argo.workflow_of(cron, self._namespace, name, parameters)
        return self._ask(self._path("workflow"), max(end - time.monotonic(), 0.1), body)

    def _ask(self, path: str, seconds: float, body: Any = None) -> web_client.Answer:
        return json_api.asked(
            f"{self._config.server}{path}", self._config.token, self._context, seconds, body
        )


def _quoted(name: str) -> str:
    return quote(name, safe="")
