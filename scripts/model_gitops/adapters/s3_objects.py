"""Objects of a DVC remote on S3, read by botocore, which DVC's own client is made of.

botocore's client finds address, region and credentials, and fetches the first object. The others are asked
for as it asked for that one, by `s3_requests`: the client spends many times as long on a small object.
Whatever is not answered by the object is asked for by the client again.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import Event, Lock, local
from typing import Any
from urllib.parse import urlsplit

from model_gitops.adapters import python_packages, s3_requests
from model_gitops.adapters.objects import NotSure

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/([a-z0-9-]+)/s3/aws4_request,")
_MOST_AT_ONCE = 16


class Bucket:
    """The objects under a URL `s3://bucket/prefix`; `options` are DVC's, of `plain_config.S3`."""

    def __init__(self, url: str, options: Mapping[str, str], shown: str) -> None:
        self.shown = shown
        self.at_once = min(_MOST_AT_ONCE, 4 * (os.cpu_count() or 1))  # as DVC has it
        self._bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
        self._prefix = f"{prefix}/files/md5" if prefix else "files/md5"
        self._options, self._lock = options, Lock()
        self._client: Any = None
        self._get: Callable[[str], Any] | None = None

    def open(self, md5: str) -> AbstractContextManager[_Body]:
        """Open an object. Raises NotSure for whatever botocore says: DVC may know better."""
        try:
            return _opened(self._body(self._key(md5)))
        except Exception as error:
            raise NotSure(_kind(error)) from error

    def has(self, md5: str) -> bool:
        """Whether S3 says that the object is there; False for whatever else botocore says."""
        try:
            with self._lock:
                self._connected().head_object(Bucket=self._bucket, Key=self._key(md5))
        except Exception:
            return False
        return True

    def _key(self, md5: str) -> str:
        return f"{self._prefix}/{md5[:2]}/{md5[2:]}"

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _client(self._options, self.at_once)
        return self._client

    def _body(self, key: str) -> Any:
        with self._lock:
            self._connected()
            if self._get is None:
                return self._first(key)
        # By the client again where it may have more to do: a fault that passes, other credentials.
        return self._get(key) or self._client.get_object(Bucket=self._bucket, Key=key)["Body"]

    def _first(self, key: str) -> Any:
        sent: list[Any] = []

        def remember(request: Any, **_: Any) -> None:
            sent.append(request)

        events = self._client.meta.events
        events.register_last("before-send.s3.GetObject", remember)
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        events.unregister("before-send.s3.GetObject", remember)
        self._get = _same_way(self._client, sent[-1], key)
        return body


class _Body:
    """What is read of an object."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into `buffer`; return how many bytes, 0 at the end. Raises NotSure."""
        try:
            return int(self._raw.readinto(buffer) or 0)
        except Exception as error:
            raise NotSure(_kind(error)) from error


def _kind(error: Exception) -> str:
    """Return what may be said of an error: its text may have an address with a password in it."""
    return f"S3's client says {type(error).__name__}"


@contextmanager
def _opened(raw: Any) -> Iterator[_Body]:
    try:
        yield _Body(raw)
    finally:
        raw.close()


def _client(options: Mapping[str, str], at_once: int) -> Any:
    """Return botocore's client for S3, with what DVC gives its own."""
    python_packages.ensure_extra("direct-s3", module="botocore", package="botocore")
    import botocore.session
    from botocore.config import Config

    session = botocore.session.Session(profile=options.get("profile"))
    return session.create_client(
        "s3",
        region_name=options.get("region"),
        endpoint_url=options.get("endpointurl"),
        aws_access_key_id=options.get("access_key_id"),
        aws_secret_access_key=options.get("secret_access_key"),
        aws_session_token=options.get("session_token"),
        config=Config(max_pool_connections=at_once),
    )


def _same_way(client: Any, sent: Any, key: str) -> Callable[[str], Any]:
    """Return what asks for an object as `client` asked for that of `key` with the request `sent`.

    It returns None for any answer but the object, and where such requests are not plain ones: unsigned,
    signed in another way, or by a proxy.
    """
    said = sent.headers.get("Authorization", b"")
    scope = _SIGNED.match(said.decode() if isinstance(said, bytes) else said)
    connect = _connector(client, sent.url)
    if scope is None or connect is None or not sent.url.endswith(f"/{key}"):
        return lambda _: None
    signed = s3_requests.Signed(
        sent.url.removesuffix(key), scope[1], client._request_signer._credentials
    )
    own, not_plain = local(), Event()

    def get(wanted: str) -> Any:
        if not_plain.is_set():
            return None
        line = getattr(own, "line", None)
        try:
            request = signed.request(wanted)
            if line is None or not line.is_open:
                line = own.line = s3_requests.Line(connect())
            line.ask(request)
        except s3_requests.NotPlain:
            # So are the others, which need not be asked for twice.
            not_plain.set()
        except (OSError, s3_requests.Another):
            # A connection that the server closed meanwhile, among others: a new one for the next object.
            pass
        else:
            return line
        if line is not None:
            line.end()
        return None

    return get


def _connector(client: Any, url: str) -> Callable[[], http.client.HTTPConnection] | None:
    """Return what connects to the server of `url`, trusting whom `client` trusts; None by a proxy."""
    from botocore.httpsession import DEFAULT_TIMEOUT, get_cert_path

    told, session = urlsplit(url), client._endpoint.http_session
    if session._proxy_config.proxy_url_for(url) or not told.hostname:
        return None
    where = (told.hostname, told.port)
    if told.scheme == "http":
        return partial(http.client.HTTPConnection, *where, timeout=DEFAULT_TIMEOUT)
    if not (authorities := get_cert_path(session._verify)):
        return None
    context = ssl.create_default_context(cafile=authorities)
    return partial(http.client.HTTPSConnection, *where, timeout=DEFAULT_TIMEOUT, context=context)
