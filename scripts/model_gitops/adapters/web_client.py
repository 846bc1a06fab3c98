"""One request to a web server, with an end: of its time, of its answer's size, and without redirects.

By the standard library: no client of an extra bounds the whole of a request, and a proxy of the environment
must not stand between us and a service of the own network.
"""

from __future__ import annotations

import http.client
import select
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


class Conversation:
    """Requests to one server, one after the other, on one connection where the server keeps it.

    Raises NoAnswer for an address that is none.
    """

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise NoAnswer("its port is no number") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoAnswer("it is no http or https address")
        # What stands before each path that is asked for.
        self.prefix = parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            trusted = context or ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(parts.hostname, port, context=trusted)
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port)

    def ask(
        self,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float = 30.0,
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """Send one request for `target`, a path from the server's top, and return the answer, whatever its status.

        All of it takes `seconds` at most, however slowly the server sends; the body has `largest` bytes at
        most. A redirect is an answer as any other. The answer's `seconds` are without those of the
        connection. Raises NoAnswer.
        """
        connection, over = self._connection, threading.Event()
        connection.timeout = seconds
        opened: list[socket.socket] = []

        def cut() -> None:
            over.set()
            for one in opened:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        # A time limit of a socket is one of each read: a server that sends a byte a second has no end.
        limit = threading.Timer(seconds, cut)
        limit.daemon = True
        limit.start()
        whole = False
        try:
            if connection.sock is not None and _was_closed(connection.sock):
                connection.close()
            if connection.sock is None:
                connection.connect()
            # The connection forgets its socket where the answer's end is the connection's.
            opened += [connection.sock]
            began = time.monotonic()
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            read = bytearray()
            while chunk := answer.read(_CHUNK):
                read += chunk
                if len(read) > largest:
                    raise NoAnswer(f"its answer has more than {largest} bytes")
            if over.is_set():
                raise NoAnswer(f"no whole answer in {seconds:g} s")
            whole = True
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, bytes(read), found, time.monotonic() - began)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if over.is_set() or isinstance(error, TimeoutError):
                raise NoAnswer(f"no whole answer in {seconds:g} s") from error
            raise NoAnswer(_reason(error)) from error
        finally:
            limit.cancel()
            if not whole:
                self.close()

    def close(self) -> None:
        """End the connection. The next request opens another."""
        self._connection.close()


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

    As `Conversation.ask`. Raises NoAnswer.
    """
    conversation = Conversation(url, context=context)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    alone = {"Connection": "close", **(headers or {})}
    try:
        return conversation.ask(
            target, method=method, headers=alone, body=body, seconds=seconds, largest=largest
        )
    finally:
        conversation.close()


def _was_closed(kept: socket.socket) -> bool:
    """Whether the server has ended a connection that was kept: there is something to read, an end for the most."""
    return bool(select.select([kept], [], [], 0)[0])


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
