"""An image that somebody plants in a registry: all labels of the right one, and another content."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Sequence
from typing import Any

from model_gitops.errors import ExternalError

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_KINDS = f"{_INDEX}, {_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"


def plant(address: str, name: str, reference: str, tags: Sequence[str]) -> str:
    """Copy the image `name:reference` of the registry at `address` under `tags`, its content changed.

    It keeps every label, those of the content's fingerprint and the smoke test too, and starts a
    program with one variable more. Whoever may push to the registry can do this. Returns its digest.
    Raises ExternalError where the registry refuses.
    """
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        place = f"/v2/{name}"
        manifest = _json(connection, f"{place}/manifests/{reference}")
        for child in manifest.get("manifests", []):
            if child["platform"]["os"] != "unknown":  # that one is an attestation
                manifest = _json(connection, f"{place}/manifests/{child['digest']}")
                break
        config = _json(connection, f"{place}/blobs/{manifest['config']['digest']}")
        config["config"]["Env"] = [*config["config"].get("Env", []), "PLANTED=by mallory"]
        blob = json.dumps(config).encode()
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        where = _ask(connection, "POST", f"{place}/blobs/uploads/").headers["Location"]
        joint = "&" if "?" in where else "?"
        _ask(connection, "PUT", f"{where}{joint}digest={digest}", blob)
        manifest["config"] |= {"digest": digest, "size": len(blob)}
        kind, text = manifest.get("mediaType", _MANIFEST), json.dumps(manifest).encode()
        for tag in tags:
            _ask(connection, "PUT", f"{place}/manifests/{tag}", text, kind)
        return f"sha256:{hashlib.sha256(text).hexdigest()}"
    finally:
        connection.close()


def _json(connection: http.client.HTTPConnection, path: str) -> Any:
    return json.loads(_ask(connection, "GET", path).body)


class _Answer:
    def __init__(self, headers: Any, body: bytes) -> None:
        self.headers = headers
        self.body = body


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    kind: str = "application/octet-stream",
) -> _Answer:
    connection.request(method, path, body, {"Content-Type": kind, "Accept": _KINDS})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise ExternalError(f"the registry answers {answer.status} to {method} {path}")
    return _Answer(answer.headers, text)
