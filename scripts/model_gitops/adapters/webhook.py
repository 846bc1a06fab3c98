"""One signed JSON POST, tried again where that can help, and never sent elsewhere."""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from model_gitops.core.deploy.location import is_loopback

ATTEMPTS = 3
_PATIENCE_SECONDS = 10.0
_TRY_AGAIN = frozenset([408, 425, 429, *range(500, 600)])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature is for one address: another one is told as an answer."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(url: str, body: bytes, sign: Callable[[int], Mapping[str, str]], end: float) -> str:
    """Send `body` to `url`, with the headers that `sign` gives for a time; return why it was not taken.

    Empty where it was (status 2xx). It is tried three times in all, and not beyond `end`, a moment of
    `time.monotonic`. What is returned holds no part of the address.
    """
    handlers: list[Any] = [_NoRedirect()]
    if is_loopback(urlsplit(url).netloc):
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy's loopback is another one
    opener = urllib.request.build_opener(*handlers)
    why = "there was no time to ask it"
    for attempt in range(ATTEMPTS):
        left = end - time.monotonic()
        if left <= 0:
            break
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "model-gitops",
            **sign(int(time.time())),
        }
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310
        why, again, asked = _once(opener, request, min(left, _PATIENCE_SECONDS))
        if not again:
            break
        pause = max(asked, (1.0 + random.random()) * 0.5 * 2**attempt)  # noqa: S311
        if attempt + 1 == ATTEMPTS or time.monotonic() + pause >= end:
            break
        time.sleep(pause)
    return why


def _once(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float
) -> tuple[str, bool, float]:
    """Return why the receiver did not take it, whether to ask again, and after how long it wants that."""
    try:
        with opener.open(request, timeout=seconds):
            return "", False, 0.0
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            return f"it answers {error.code}: a redirect is not followed", False, 0.0
        after = str(error.headers.get("Retry-After", ""))
        wait = float(after) if after.isdecimal() and len(after) < 6 else 0.0
        return f"it answers {error.code}", error.code in _TRY_AGAIN, wait
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return _cause(reason, seconds), not isinstance(reason, ssl.SSLCertVerificationError), 0.0


def _cause(reason: object, seconds: float) -> str:
    """Say what was wrong with the connection: an error's own text may hold the address."""
    if isinstance(reason, TimeoutError):
        return f"it did not answer in {seconds:.0f} s"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "its certificate can't be verified"
    if isinstance(reason, ssl.SSLError):
        return "it does not speak TLS as it must"
    if isinstance(reason, ConnectionRefusedError):
        return "it refuses the connection"
    if isinstance(reason, socket.gaierror):
        return "its name can't be resolved"
    return f"the connection failed ({type(reason).__name__})"
