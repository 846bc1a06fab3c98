"""Requests to S3 that botocore does not send itself: signed as by botocore, and only plain answers are taken."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from model_gitops.adapters import s3_requests
from model_gitops.adapters.s3_requests import Another, Line, NotPlain, Signed

BASE = "https://s3.example.org:9000/bucket/odd%20pr%C3%A9fix~/files/md5/"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"


@pytest.mark.parametrize("token", [None, "t0k/en+="])
def test_each_is_signed_as_botocore_signs_it(token: str | None) -> None:
    credentials = Credentials("reader", "s3cr3t/val+ue", token)
    signed = Signed(BASE, "eu-central-1", credentials)
    for key in ("00/11", "ab/cdef.dir", "ab/cdef"):
        said = signed.request(key).decode()
        first, *lines, _, _ = said.split("\r\n")
        assert first == f"GET /bucket/odd%20pr%C3%A9fix~/files/md5/{key} HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines)
        assert headers.pop("Host") == "s3.example.org:9000"
        assert headers.pop("Accept-Encoding") == "identity"
        assert headers == by_botocore(credentials, key, headers["X-Amz-Date"])
        assert "s3cr3t" not in said


def by_botocore(credentials: Credentials, key: str, date: str) -> dict[str, str]:
    request = AWSRequest("GET", BASE + key)
    auth = S3SigV4Auth(credentials.get_frozen_credentials(), "s3", "eu-central-1")
    request.context["timestamp"] = date
    auth._modify_request_before_signing(request)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    return dict(request.headers.items())


def test_new_credentials_and_a_new_second_are_signed_by_botocore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, made = 1000.0, []
    monkeypatch.setattr(s3_requests, "time", lambda: now)
    real = S3SigV4Auth.add_auth

    def add_auth(self: Any, request: Any) -> None:
        made.append(self.credentials.access_key)
        real(self, request)

    monkeypatch.setattr(S3SigV4Auth, "add_auth", add_auth)
    credentials = Credentials("first", "secret")
    signed = Signed(BASE, "us-east-1", credentials)
    for key in ("a", "b", "c"):
        signed.request(key)
    now = 1001.0
    signed.request("d")
    credentials.access_key = "second"
    assert b"Credential=second/" in signed.request("e")
    assert made == ["first", "first", "second"]


def test_what_could_break_a_request_is_not_sent() -> None:
    for credentials, key in (
        (Credentials("a", "b", "c\r\nX: y"), "k"),
        (Credentials("a", "b"), "k y"),
    ):
        with pytest.raises(NotPlain):
            Signed(BASE, "us-east-1", credentials).request(key)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        yield one


class Server:
    """Sends given pieces, whatever it is asked, and then closes or waits."""

    def __enter__(self) -> Server:
        self.ours, self.theirs = socket.socketpair()
        self.threads: list[threading.Thread] = []
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.threads:
            one.join(10)
        self.ours.close()
        self.theirs.close()

    def line(self, pieces: Sequence[bytes], *, ends: bool = False) -> Line:
        def answer() -> None:
            self.theirs.recv(1000)
            for one in pieces:
                self.theirs.sendall(one)
            if ends:
                self.theirs.shutdown(socket.SHUT_RDWR)

        self.threads.append(threading.Thread(target=answer, daemon=True))
        self.threads[-1].start()
        connection = http.client.HTTPConnection("localhost", timeout=10)
        self.ours.settimeout(10)
        connection.sock = self.ours
        connection.connect = lambda: None  # type: ignore[method-assign]
        return Line(connection)


def all_of(line: Line, size: int = 2) -> bytes:
    found, buffer = b"", memoryview(bytearray(size))
    while more := line.readinto(buffer):
        found += buffer[:more]
    return found


@pytest.mark.parametrize("whole", [False, True], ids=["by-bytes", "at-once"])
@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"", True),
        (b"connection: keep-alive\r\nX-Odd:\r\nX-Odd: \x80\r\n", True),
        (b"CONNECTION:Close\r\n", False),
    ],
)
def test_an_object_is_read_to_its_end(
    server: Server, head: bytes, stays: bool, whole: bool
) -> None:
    sent = PLAIN + head + b"\r\nhello"
    line = server.line([sent] if whole else [sent[n : n + 1] for n in range(len(sent))])
    line.ask(b"GET")
    assert all_of(line) == b"hello"
    line.close()
    assert line.is_open == stays


def test_an_object_of_no_bytes_and_one_that_is_left(server: Server) -> None:
    line = server.line([b"HTTP/1.1 200\r\nContent-Length:0\r\n\r\n"])
    line.ask(b"GET")
    assert all_of(line) == b""
    line.close()
    assert line.is_open
    server.threads.pop().join(10)
    line = server.line([PLAIN + b"\r\nhe"])
    line.ask(b"GET")
    line.close()
    assert not line.is_open


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        PLAIN + b"Content-Length: 6\r\n\r\nhello",
        PLAIN + b" folded: 1\r\n\r\nhello",
        PLAIN + b"Content-Length : 6\r\n\r\nhello",
        PLAIN + b"no colon\r\n\r\nhello",
        PLAIN + b"\r\nhello, more",
    ],
)
def test_an_answer_that_is_not_plain_is_left_to_botocore(server: Server, answer: bytes) -> None:
    with pytest.raises(NotPlain):
        server.line([answer]).ask(b"GET")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Moved\r\nLocation: http://elsewhere/\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    ],
)
def test_another_answer_is_no_object(server: Server, answer: bytes) -> None:
    with pytest.raises(Another):
        server.line([answer]).ask(b"GET")


def test_a_connection_that_ends_is_a_fault(server: Server) -> None:
    line = server.line([PLAIN + b"\r\nhel"], ends=True)
    line.ask(b"GET")
    with pytest.raises(ConnectionError):
        all_of(line)
    server.threads.pop().join(10)
    with pytest.raises(OSError):
        line.ask(b"GET")
