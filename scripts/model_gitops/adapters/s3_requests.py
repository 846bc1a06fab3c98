"""Requests like one that botocore signed, and their answers, for a small part of the time that its client takes.

Only what is quite plain is done here. For all else there is an error, and the client is asked again.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
from dataclasses import dataclass
from time import time
from typing import Any
from urllib.parse import urlsplit

_LONGEST_HEAD = 64 * 1024
_WORDS, _PATH = re.compile(r"[\x20-\x7e]*"), re.compile(r"/[\x21-\x7e]*")
_NAME, _LENGTH = re.compile(rb"[!-9;-~]+"), re.compile(rb"[0-9]{1,18}")
_HEEDED = (b"connection", b"content-length", b"transfer-encoding")


class NotPlain(ValueError):
    """A request or an answer that takes more than is done here."""


class Another(Exception):
    """An answer that is not the object."""


@dataclass(frozen=True)
class _Second:
    """What the requests of one second share; `head` ends where the signature begins."""

    time: int
    credentials: Any
    key: bytes
    to_sign: str
    canonical: str
    head: str

    def signature(self, path: str) -> str:
        canonical = hashlib.sha256(f"GET\n{path}\n{self.canonical}".encode()).hexdigest()
        return hmac.digest(self.key, f"{self.to_sign}\n{canonical}".encode(), "sha256").hex()


class Signed:
    """GET requests for the keys below the URL `base`, signed for `region` with botocore's `credentials`.

    botocore signs one each second, and again with new credentials. The others have all but their path and
    signature from it.
    """

    def __init__(self, base: str, region: str, credentials: Any) -> None:
        self._base, self._region, self._credentials = base, region, credentials
        self._path = urlsplit(base).path
        self._second: _Second | None = None

    def request(self, key: str) -> bytes:
        """Return the request for `key`, whole. Raises NotPlain."""
        path, credentials = self._path + key, self._credentials.get_frozen_credentials()
        second = self._second
        if second is None or second.time != int(time()) or second.credentials != credentials:
            second = self._second = self._by_botocore(key, credentials)
        if not _PATH.fullmatch(path):
            raise NotPlain("an odd path")
        return f"GET {path}{second.head}{second.signature(path)}\r\n\r\n".encode()

    def _by_botocore(self, key: str, credentials: Any) -> _Second:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        request, now = AWSRequest("GET", self._base + key), int(time())
        by = S3SigV4Auth(credentials, "s3", self._region)
        by.add_auth(request)
        signed = str(request.headers["Authorization"])
        del request.headers["Authorization"]
        method, path, canonical = by.canonical_request(request).split("\n", 2)
        told = {"Host": by.headers_to_sign(request)["host"], "Accept-Encoding": "identity"}
        told |= {name: str(value) for name, value in request.headers.items()}
        told["Authorization"] = signed[:-64]
        lines = [f"{name}: {value}" for name, value in told.items()]
        secret = f"AWS4{credentials.secret_key}".encode()
        for part in by.credential_scope(request).split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        made = _Second(
            time=now,
            credentials=credentials,
            key=secret,
            to_sign=by.string_to_sign(request, "").rpartition("\n")[0],
            canonical=canonical,
            head=" HTTP/1.1\r\n" + "\r\n".join(lines),
        )
        # What botocore itself signs must be signed here alike, or it has more to say of a request.
        if (method, signed[-64:]) != ("GET", made.signature(path)) or path != self._path + key:
            raise NotPlain("a request that botocore signs in another way")
        if not all(_WORDS.fullmatch(line) for line in lines):
            raise NotPlain("odd headers")
        return made


class Line:
    """A connection that is kept, with one request on its way; an answer is read from it until its end.

    Everything raises OSError for a fault of the connection, which is of no more use then.
    """

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()
        self._connection, self._socket = connection, connection.sock
        self._came = bytearray(_LONGEST_HEAD)
        self._view = memoryview(self._came)
        self._held = self._view[:0]  # what came of an object with its head
        self._left = 0  # bytes of the object that were not read yet
        self._is_last = False
        self.is_open = True

    def ask(self, request: bytes) -> None:
        """Send a request, and read its answer up to the object. Raises Another, and NotPlain for an odd one."""
        self._socket.sendall(request)
        size, end = 0, -1
        while end < 0:
            if size == len(self._came):
                raise Another("a long head")
            if not (more := self._socket.recv_into(self._view[size:])):
                raise ConnectionError("closed")
            size += more
            end = self._came.find(b"\r\n\r\n", max(0, size - more - 3), size)
        self._is_last, self._left = _told(bytes(self._view[:end]))
        self._held = self._view[end + 4 : size]
        if len(self._held) > self._left:
            raise NotPlain("more than was told")

    def readinto(self, buffer: memoryview, /) -> int:
        """Read on; 0 at the end of the object."""
        if self._held:
            size = min(len(self._held), len(buffer))
            buffer[:size] = self._held[:size]
            self._held = self._held[size:]
        elif self._left:
            size = self._socket.recv_into(buffer[: self._left])
            if not size:
                raise ConnectionError("closed")
        else:
            return 0
        self._left -= size
        return size

    def close(self) -> None:
        """Be done with an answer: the connection is kept where it is at an end."""
        if self._left or self._is_last:
            self.end()

    def end(self) -> None:
        """Close the connection."""
        self.is_open = False
        self._connection.close()


def _told(head: bytes) -> tuple[bool, int]:
    """Return whether the answer is the last of its connection, and the size of its object in bytes."""
    first, *lines = head.split(b"\r\n")
    version, _, status = first.partition(b" ")
    if status.partition(b" ")[0] != b"200":
        raise Another("no object")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        # A line that goes on from the one before begins with a space, which no name has.
        if not colon or not _NAME.fullmatch(name) or (name in fields and name in _HEEDED):
            raise NotPlain("an odd head")
        fields[name] = value.strip()
    length = fields.get(b"content-length", b"")
    if version != b"HTTP/1.1" or b"transfer-encoding" in fields or not _LENGTH.fullmatch(length):
        raise NotPlain("an answer that does not tell its length")
    return b"close" in fields.get(b"connection", b"").lower(), int(length)
