"""Waits until an environment runs the image that its overlay pins, and says why where it does not."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from model_gitops import runner
from model_gitops.adapters import scratch, web_client
from model_gitops.core import duration
from model_gitops.core.verify import running
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.core.verify.running import Seen, State
from model_gitops.core.verify.target import Target
from model_gitops.errors import InputError

_ASK_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_MOST_ASKED_PAUSE = 60.0
_SAY_SECONDS = 30.0
# A roll-out answers with the old and the new image in turn: so many answers in a row must agree.
_ANSWERS = 5
_PODS_PAGE, _MOST_PAGES = 500, 20
_TRANSIENT = (408, 429, *range(500, 600))


class Source(Protocol):
    """A system that knows what an environment runs."""

    name: str

    def look(self, target: Target, seconds: float) -> Seen:
        """Ask once, for at most so many seconds. Raises Denied, and NoAnswer for a fault that may pass."""


class Denied(Exception):
    """The system refuses to say, and asking again will not change that."""


class _Later(web_client.NoAnswer):
    """The system asks to come back after `pause` seconds."""

    def __init__(self, said: str, pause: float) -> None:
        super().__init__(said)
        self.pause = pause


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
        self._server = _address(server, "argocd-server", "https://argocd.example.com")
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
            raise Denied(
                f"it shows no Application {self._application} ({answer.status}): it is not there, or the token"
                " may not `get` it"
            )
        return running.of_argocd(_json(answer), target)


class Kubernetes:
    """Kubernetes' API, asked for the Pods of one namespace as a kubeconfig says."""

    name = "Kubernetes"

    def __init__(self, config: Kubeconfig, namespace: str, context: ssl.SSLContext | None) -> None:
        """Ask nothing yet. Raises InputError for an address or a token that can't be used."""
        self._config, self._namespace, self._context = config, namespace, context
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
                raise Denied(
                    f"it does not list the Pods of the namespace {self._namespace} ({answer.status}): the"
                    " kubeconfig's user may not `list` them"
                )
            found = _json(answer)
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
        self._url = _address(url, "url", "https://churn.dev.example.com")

    def look(self, target: Target, seconds: float) -> Seen:
        """As Source.look, by several answers on connections of their own."""
        deadline = time.monotonic() + seconds
        seen = Seen(State.UNKNOWN, "it was not asked")
        for _ in range(_ANSWERS):
            left = max(deadline - time.monotonic(), 0.1)
            answer = web_client.ask(f"{self._url}/version", seconds=left, largest=64 * 1024)
            if answer.status == 404:
                return Seen(State.UNKNOWN, "it has no /version, so it can't say what it runs (404)")
            seen = running.of_version(_json(answer), target)
            if seen.state is not State.RUNS:
                return seen
        return seen


@contextmanager
def kubernetes(config: Kubeconfig, namespace: str) -> Iterator[Kubernetes]:
    """Open Kubernetes' API with the certificates of a kubeconfig. Raises InputError where they are none."""
    if config.server.startswith("http://"):
        yield Kubernetes(config, namespace, None)
        return
    with scratch.folder("model-gitops-kube-", runner.temporary_folder()) as folder:
        try:
            context = ssl.create_default_context(cadata=config.authority or None)
            if config.certificate and config.key:
                # OpenSSL reads both from a file alone.
                pem = Path(folder) / "client.pem"
                pem.touch(mode=0o600)
                pem.write_text(f"{config.certificate}\n{config.key}\n", encoding="ascii")
                # Of a key with a passphrase OpenSSL would ask a person.
                context.load_cert_chain(pem, password=lambda: "")
                pem.unlink()
        except (OSError, ValueError) as error:
            raise InputError(
                "input `kubeconfig`: its certificates, or its key, are no PEM that OpenSSL takes without a passphrase",
                fix="write the file again: docs/verifying.md shows one",
            ) from error
        yield Kubernetes(config, namespace, context)


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
        except Denied as error:
            return Arrival(Seen(State.UNKNOWN, str(error)), source.name, elapsed)
        except web_client.NoAnswer as error:
            seen = Seen(State.UNKNOWN, str(error))
            asked_pause = error.pause if isinstance(error, _Later) else 0.0
        now = time.monotonic()
        elapsed = now - began
        if seen.said != told or now - told_at >= _SAY_SECONDS:
            runner.say(f"{duration.words(elapsed)}: {source.name}: {seen.said}")
            told, told_at = seen.said, now
        if seen.state is State.RUNS or elapsed >= timeout:
            return Arrival(seen, source.name, elapsed)
        time.sleep(min(max(pause, asked_pause), max(timeout - elapsed, 0.0)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _json(answer: web_client.Answer) -> Any:
    """Return the mapping that an answer holds. Raises Denied and NoAnswer for any other."""
    if answer.status == 401:
        raise Denied("it refuses the token (401): it is wrong, or has expired")
    if answer.status in _TRANSIENT:
        raise _Later(f"it answers {answer.status}", min(answer.retry_after, _MOST_ASKED_PAUSE))
    if answer.status != 200:
        raise web_client.NoAnswer(f"it answers {answer.status}, and a redirect is not followed"
                                  if 300 <= answer.status < 400 else f"it answers {answer.status}")  # fmt: skip
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise web_client.NoAnswer("its answer is no JSON") from error
    if not isinstance(found, dict):
        raise web_client.NoAnswer("its answer is no mapping")
    return found


def _address(url: str, name: str, example: str) -> str:
    """Return an http or https address without a slash at its end. Raises InputError."""
    rest = url.partition("://")[2]
    if not url.startswith(("https://", "http://")) or not rest or any(c in rest for c in " @?#\\"):
        raise InputError.of(
            name, url, "it is no address of a server: scheme, host, and a path perhaps",
            fix=f"{name}: {example}",
        )  # fmt: skip
    return url.rstrip("/")
