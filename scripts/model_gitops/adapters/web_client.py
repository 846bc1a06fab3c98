"""One request to a web server, with an end: of its time, of its answer's size, and without redirects.

By the standard library: no client of an extra bounds the whole of a request, and a proxy of the environment
must not stand between us and a service of the own network.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from model_gitops.core.deploy.location import is_loopback
from model_gitops.errors import InputError

# What a service or an API answers is less; the rest is not read.
LARGEST_ANSWER = 16 * 1024 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server answered: status, body, the headers in lowercase, and after how many seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float

    @property
    def retry_after(self) -> float:
        """How many seconds the server asks to wait; 0 where it does not, or names a date."""
        said = self.headers.get("retry-after", "")
        return float(said) if said.isascii() and said.isdecimal() and len(said) < 6 else 0.0


class NoAnswer(Exception):
    """No whole answer came; the text says why, and holds neither header nor body."""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    seconds: float = 30.0,
    largest: int = LARGEST_ANSWER,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request on a connection of its own, and return the answer, whatever its status.

    All of it takes `seconds` at most, however slowly the server sends; the body has `largest` bytes at
    most. A redirect is an answer as any other. Raises NoAnswer.
    """
    parts = urlsplit(url)
    began = time.monotonic()
    try:
        port = parts.port
    except ValueError as error:
        raise NoAnswer("its port is no number") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAnswer("it is no http or https address")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        trusted = context or ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            parts.hostname, port, timeout=seconds, context=trusted
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, port, timeout=seconds)
    over = threading.Event()

    def cut() -> None:
        over.set()
        if (open_socket := connection.sock) is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    # A time limit of a socket is one of each read: a server that sends a byte a second has no end.
    limit = threading.Timer(seconds, cut)
    limit.daemon = True
    limit.start()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        read = bytearray()
        while chunk := answer.read(_CHUNK):
            read += chunk
            if len(read) > largest:
                raise NoAnswer(f"its answer has more than {largest} bytes")
        if over.is_set():
            raise NoAnswer(f"no whole answer in {seconds:g} s")
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, bytes(read), found, time.monotonic() - began)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if over.is_set() or isinstance(error, TimeoutError):
            raise NoAnswer(f"no whole answer in {seconds:g} s") from error
        raise NoAnswer(_reason(error)) from error
    finally:
        limit.cancel()
        connection.close()


def check_secret(url: str, name: str, secret: str) -> None:
    """Refuse to send the `secret` input `name` in clear text, or one that no header can hold.

    Raises InputError; its text does not hold the secret.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.netloc):
        raise InputError(
            f"input `{name}` would be sent in clear text to {parts.netloc}",
            fix=f"give an address with https://{parts.netloc}",
        )
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InputError(
            f"input `{name}` holds a space, a line break or a character that no token has",
            fix="set the secret again, without a line break at its end",
        )


def _reason(error: Exception) -> str:
    """Return what went wrong in few words: no address, and nothing that the server sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason'})"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer ends too early"
    return "its answer is no HTTP"
