"""A kubeconfig: which server, and with what it is asked. Programs that it names are not run."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import document
from model_gitops.errors import InputError

_SOURCE = "input `kubeconfig`"
_FIX = (
    "a kubeconfig with `certificate-authority-data`, and a user with `token`, or with"
    " `client-certificate-data` and `client-key-data`: docs/verifying.md shows one"
)


@dataclass(frozen=True)
class Kubeconfig:
    """What the current context says. Certificates and the key are PEM; empty where there is none."""

    server: str
    namespace: str
    authority: str
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


def read(text: str) -> Kubeconfig:
    """Read a kubeconfig's current context. Raises InputError, whose text holds none of its values.

    `exec` and `auth-provider` run programs, paths name files of a machine, and
    `insecure-skip-tls-verify` would give the token to whoever answers: they are refused.
    https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
    """
    try:
        found = document.mapping(document.load_yaml(text, source=_SOURCE))
    except InputError as error:
        # What YAML's reader says may quote the line, which may be the token.
        raise InputError(f"{_SOURCE} is no YAML", fix=_FIX) from error
    context = _named(found, "contexts", found.get("current-context"), "context")
    cluster = _named(found, "clusters", context.get("cluster"), "cluster")
    user = _named(found, "users", context.get("user"), "user")
    if cluster.get("insecure-skip-tls-verify"):
        raise InputError(
            f"{_SOURCE} has `insecure-skip-tls-verify`: the token would go to whoever answers",
            fix=_FIX,
        )
    for key in (
        "exec",
        "auth-provider",
        "tokenFile",
        "client-certificate",
        "client-key",
        "username",
    ):
        if key in user:
            raise InputError(f"{_SOURCE}: its user has `{key}`, which is not used here", fix=_FIX)
    if "certificate-authority" in cluster:
        raise InputError(
            f"{_SOURCE}: `certificate-authority` is a path of another machine", fix=_FIX
        )
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise InputError(f"{_SOURCE}: its cluster has no `server` with https://", fix=_FIX)
    certificate, key = _pem(user, "client-certificate-data"), _pem(user, "client-key-data")
    if bool(certificate) != bool(key):
        raise InputError(
            f"{_SOURCE}: its user has only one of `client-certificate-data` and `client-key-data`",
            fix=_FIX,
        )
    return Kubeconfig(
        server.rstrip("/"),
        str(context.get("namespace") or ""),
        _pem(cluster, "certificate-authority-data"),
        str(user.get("token") or ""),
        certificate,
        key,
    )


def _named(found: Mapping[str, Any], kind: str, name: Any, key: str) -> Mapping[str, Any]:
    for one in document.sequence(found.get(kind)):
        entry = document.mapping(one)
        if entry.get("name") == name and name:
            return document.mapping(entry.get(key))
    raise InputError(f"{_SOURCE}: its current context has no {key} under `{kind}`", fix=_FIX)


def _pem(entry: Mapping[str, Any], key: str) -> str:
    """Return what `key` holds in base64 as PEM; empty where it is left out."""
    value = entry.get(key)
    if not value:
        return ""
    try:
        return base64.b64decode(str(value), validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{_SOURCE}: `{key}` is no PEM in base64", fix=_FIX) from error
