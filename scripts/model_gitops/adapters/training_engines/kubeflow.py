"""Kubeflow Pipelines, by its API v2beta1.

Its runs are those of one experiment, which is called as the environment's namespace.
https://www.kubeflow.org/docs/components/pipelines/reference/api/kubeflow-pipeline-api-spec/
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from model_gitops.adapters import json_api, web_client
from model_gitops.core.document import mapping
from model_gitops.core.training import kubeflow
from model_gitops.core.training.kubeflow import Package
from model_gitops.core.training.runs import Offer, Run

_PAGE, _MOST_PAGES = 100, 10


class Kubeflow:
    """Kubeflow Pipelines at `server`, which runs `package` in `namespace`."""

    name = "Kubeflow Pipelines"

    def __init__(
        self, server: str, token: str, authority: str, namespace: str, package: Package | None
    ) -> None:
        """Ask nothing yet; without a `package` nothing can be started.

        `authority` is PEM, empty for the usual ones. Raises InputError for an address, a token or certificates
        that can't be used.
        """
        self._server = json_api.address(server, "kubeflow-server", "https://kubeflow.example.com")
        web_client.check_secret(self._server, "kubeflow-token", token)
        self._token, self._namespace, self._package = token, namespace, package
        self._context = json_api.trusted(authority, "kubeflow-authority")
        self._experiment = ""

    def offer(self, seconds: float) -> Offer:
        """As Engine.offer: what the package has, which nothing changes any more."""
        return self._package.offer if self._package else Offer((), is_fixed=True)

    def runs(self, seconds: float) -> Sequence[Run]:
        """As Engine.runs."""
        return [self._run(one) for one in self._listed(seconds)]

    def look(self, name: str, seconds: float) -> Run | None:
        """As Engine.look. Who may start runs ends what a caller that was killed left beside this one."""
        end = time.monotonic() + seconds
        others: list[Any] = []
        found = self._listed(seconds, name, others)
        if self._package is not None:
            self._end(others, end)
        if not found:
            return None
        path = f"runs/{quote(str(found[0].get('run_id')), safe='')}"
        return self._run(self._get(path, max(end - time.monotonic(), 0.1)))

    def start(self, name: str, parameters: Mapping[str, str], seconds: float) -> Run:
        """As Engine.start. Of runs that were started at once the first goes on, and the others are ended."""
        end = time.monotonic() + seconds
        # Names are not unique, so one look is before and one after.
        found = self._listed(seconds, name)
        if found:
            return self._run(found[0])
        experiment = self._open_experiment(max(end - time.monotonic(), 0.1))
        if self._package is None:
            raise json_api.Denied("no compiled pipeline is given")
        body = self._package.submission(name, experiment, parameters)
        self._get("runs", max(end - time.monotonic(), 0.1), body)
        others: list[Any] = []
        found = self._listed(max(end - time.monotonic(), 0.1), name, others)
        self._end(others, end)
        if not found:
            raise web_client.NoAnswer(f"the run {name} was started, and is not in the list yet")
        return self._run(found[0])

    def _end(self, runs: Sequence[Any], end: float) -> None:
        """End those that go on, as well as that can be done until `end`."""
        for one in runs:
            if not self._run(one).state.has_ended and one.get("state") != "CANCELING":
                with suppress(json_api.Denied, web_client.NoAnswer):
                    path = f"runs/{quote(str(one.get('run_id')), safe='')}:terminate"
                    self._get(path, max(end - time.monotonic(), 0.1), {})

    def _listed(
        self, seconds: float, name: str = "", others: list[Any] | None = None
    ) -> Sequence[Any]:
        """Return the runs, or those of one name, one a name; `others` gets the rest."""
        end = time.monotonic() + seconds
        experiment = self._find_experiment(seconds)
        if not experiment:
            return []
        query = {
            "experiment_id": experiment, "page_size": _PAGE, "sort_by": "created_at desc",
            **({"filter": _equals("display_name", name)} if name else {}),
        }  # fmt: skip
        named: dict[str, list[Any]] = {}
        for one in self._pages("runs", query, end):
            named.setdefault(str(one.get("display_name")), []).append(one)
        first = [kubeflow.first_of(runs) for runs in named.values()]
        if others is not None:
            others += [one for runs in named.values() for one in runs if one not in first]
        return first

    def _find_experiment(self, seconds: float) -> str:
        """Return the experiment's ID; empty where there is none yet."""
        if not self._experiment:
            query = {
                "namespace": self._namespace, "page_size": _PAGE,
                "filter": _equals("display_name", self._namespace),
            }  # fmt: skip
            end = time.monotonic() + seconds
            for one in self._pages("experiments", query, end):
                self._experiment = str(one.get("experiment_id") or "")
        return self._experiment

    def _open_experiment(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        if not self._find_experiment(seconds):
            body = {"display_name": self._namespace, "namespace": self._namespace}
            answer = self._ask("experiments", max(end - time.monotonic(), 0.1), body)
            # Another caller was first, or we were, and did not hear the answer.
            if answer.status != 409:
                self._experiment = str(self._read(answer).get("experiment_id") or "")
        found = self._find_experiment(max(end - time.monotonic(), 0.1))
        if not found:
            raise web_client.NoAnswer(f"the experiment {self._namespace} is there, and not listed")
        return found

    def _pages(self, path: str, query: Mapping[str, Any], end: float) -> Sequence[Any]:
        found: list[Any] = []
        more = ""
        for _ in range(_MOST_PAGES):
            asked = urlencode({**query, **({"page_token": more} if more else {})})
            page = self._get(f"{path}?{asked}", max(end - time.monotonic(), 0.1))
            found += [mapping(one) for one in page.get(path) or []]
            more = str(page.get("next_page_token") or "")
            if not more:
                break
        return found

    def _run(self, answer: Any) -> Run:
        run_id = quote(str(mapping(answer).get("run_id") or ""), safe="")
        return kubeflow.run_of(answer, f"{self._server}/#/runs/details/{run_id}")

    def _get(self, path: str, seconds: float, body: Any = None) -> Mapping[str, Any]:
        return self._read(self._ask(path, seconds, body))

    def _ask(self, path: str, seconds: float, body: Any = None) -> web_client.Answer:
        return json_api.asked(
            f"{self._server}/apis/v2beta1/{path}", self._token, self._context, seconds, body
        )

    def _read(self, answer: web_client.Answer) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json_api.accepted(answer, f"the namespace {self._namespace}")
        return found


def _equals(key: str, value: str) -> str:
    """Return a filter as the API reads it (v2beta1Filter)."""
    return json.dumps({"predicates": [{"key": key, "operation": "EQUALS", "string_value": value}]})
