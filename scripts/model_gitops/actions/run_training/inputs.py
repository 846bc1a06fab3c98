"""The inputs, checked before anything is asked or written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import duration
from model_gitops.core.verify import kubeconfig as kube
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.errors import InputError
from model_gitops.options import lines

OPERATIONS = ("run", "check")
_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Inputs:
    """The inputs. `timeout` is in seconds."""

    environment: str
    operation: str
    again: bool
    timeout: float
    parameters: Mapping[str, str]
    argo_server: str
    argo_authority: str
    kubeflow_server: str
    kubeflow_authority: str
    kubeflow_package: str
    namespace: str
    writer: str
    config: str
    deploy_branch: str
    known_hosts: str
    argo_token: str = field(repr=False)
    kubeflow_token: str = field(repr=False)
    kubernetes: Kubeconfig | None = field(repr=False)
    token: str = field(repr=False)
    ssh_key: str = field(repr=False)
    source_token: str = field(repr=False)

    @classmethod
    def of(
        cls, *, operation: str, timeout: str, parameters: str, kubeconfig: str, **rest: Any
    ) -> Inputs:
        """Check the values as they were given. Raises InputError."""
        if operation not in OPERATIONS:
            raise InputError.of(
                "operation", operation, "it is neither `run` nor `check`", fix="operation: run"
            )
        if not rest["environment"]:
            raise InputError("input `environment` is empty", fix="environment: staging")
        for engine in ("argo", "kubeflow"):
            if bool(rest[f"{engine}_server"]) != bool(rest[f"{engine}_token"]):
                here = rest[f"{engine}_server"]
                given, missing = ("server", "token") if here else ("token", "server")
                raise InputError(
                    f"input `{engine}-{given}` is given, and `{engine}-{missing}` is not",
                    fix="give both, or leave both out"
                    + (
                        f": {engine}-token: ${{{{ secrets.{engine.upper()}_TOKEN }}}}"
                        if here
                        else ""
                    ),
                )
        if rest["argo_server"] and kubeconfig:
            raise InputError(
                "inputs `argo-server` and `kubeconfig` are both given; one of them is asked",
                fix="leave one of them out",
            )
        return cls(
            operation=operation,
            timeout=duration.seconds(timeout, "timeout"),
            parameters=_parameters(parameters),
            kubernetes=kube.read(kubeconfig) if kubeconfig else None,
            **rest,
        )


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines(text):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not _PARAMETER.fullmatch(name):
            raise InputError.of(
                "parameters", line, "it is not `name=value`", fix="parameters: propose=false"
            )
        if name in found:
            raise InputError.of(
                "parameters", line, f"{name} is given twice", fix="leave one line out"
            )
        found[name] = value.strip()
    return found
