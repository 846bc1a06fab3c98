"""What the APIs that are waited for have in common: their address, their answers, and TLS as a kubeconfig has it."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from model_gitops import runner
from model_gitops.adapters import scratch, web_client
from model_gitops.core.line import plain, shortened
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.errors import InputError

_MOST_ASKED_PAUSE = 60.0
_TRANSIENT = (408, 429, *range(500, 600))
# Faults of a request that the same one need not have a moment later: 410 is a page of a list that is too old.
_PASSING = (408, 409, 410, 425, 429)


class Denied(Exception):
    """The system refuses to say, and asking again will not change that."""


class Later(web_client.NoAnswer):
    """The system asks to come back after `pause` seconds."""

    def __init__(self, said: str, pause: float) -> None:
        super().__init__(said)
        self.pause = pause


def mapping(answer: web_client.Answer) -> Any:
    """Return the mapping that an answer holds. Raises Denied and NoAnswer for any other."""
    if answer.status == 401:
        raise Denied("it refuses the token (401): it is wrong, or has expired")
    if answer.status in _TRANSIENT:
        raise Later(f"it answers {answer.status}", min(answer.retry_after, _MOST_ASKED_PAUSE))
    if answer.status not in (200, 201):
        raise web_client.NoAnswer(f"it answers {answer.status}, and a redirect is not followed"
                                  if 300 <= answer.status < 400 else f"it answers {answer.status}")  # fmt: skip
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise web_client.NoAnswer("its answer is no JSON") from error
    if not isinstance(found, dict):
        raise web_client.NoAnswer("its answer is no mapping")
    return found


def asked(
    url: str, token: str, context: ssl.SSLContext | None, seconds: float, body: Any = None
) -> web_client.Answer:
    """Send one request with a bearer token: GET, or POST of a `body`. Raises web_client.NoAnswer."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is None:
        return web_client.ask(url, headers=headers, seconds=seconds, context=context)
    headers["Content-Type"] = "application/json"
    sent = json.dumps(body).encode()
    return web_client.ask(
        url, method="POST", headers=headers, body=sent, seconds=seconds, context=context
    )


def accepted(answer: web_client.Answer, what: str) -> Any:
    """Return the mapping that an answer about `what` holds. Raises Denied for a request that is at fault.

    A redirect leads to a page for people to sign in on, or to another address than was given.
    """
    if 300 <= answer.status < 400:
        raise Denied(
            f"it answers by a redirect ({answer.status}), which is not followed: its address is another one, or a"
            " person is to sign in there"
        )
    if 400 <= answer.status < 500 and answer.status not in (401, *_PASSING):
        raise Denied(f"it refuses {what} ({answer.status}{message_of(answer)})")
    return mapping(answer)


def message_of(answer: web_client.Answer) -> str:
    """Return `: MESSAGE` of an error as grpc-gateway and Kubernetes have it; empty for others."""
    try:
        found = json.loads(answer.body)
        text = str(found.get("message") or "") if isinstance(found, dict) else ""
    except (ValueError, RecursionError):
        text = ""
    return f": {shortened(plain(text), 300)}" if text else ""


def trusted(authority: str, name: str) -> ssl.SSLContext | None:
    """Return TLS with the certificates of the input `name`; None for the usual ones. Raises InputError."""
    try:
        return ssl.create_default_context(cadata=authority) if authority else None
    except (ssl.SSLError, ValueError) as error:
        raise InputError(
            f"input `{name}` is no certificate in PEM",
            fix=f"{name}: the lines from -----BEGIN CERTIFICATE----- on",
        ) from error


def address(url: str, name: str, example: str) -> str:
    """Return an http or https address without a slash at its end. Raises InputError."""
    rest = url.partition("://")[2]
    try:
        is_host = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        is_host = False
    if (
        not url.startswith(("https://", "http://"))
        or not is_host
        or any(c in rest for c in " @?#\\")
    ):
        raise InputError.of(
            name, url, "it is no address of a server: scheme, host, and a path perhaps",
            fix=f"{name}: {example}",
        )  # fmt: skip
    return url.rstrip("/")


def trusting(config: Kubeconfig) -> ssl.SSLContext | None:
    """Return TLS with the certificates of a kubeconfig; None for http. Raises InputError where they are none."""
    if config.server.startswith("http://"):
        return None
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
    return context
