"""The inputs, checked before anything is asked or written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import duration
from model_gitops.core.verify import kubeconfig as kube
from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops.errors import InputError

PARTS = ("all", "wait", "check", "record")


@dataclass(frozen=True)
class Inputs:
    """The inputs. `timeout` is in seconds, None where promotion.yaml's counts."""

    environment: str
    part: str
    again: bool
    url: str
    timeout: float | None
    argocd_server: str
    argocd_application: str
    namespace: str
    results: str
    checked: str
    config: str
    deploy_branch: str
    known_hosts: str
    argocd_token: str = field(repr=False)
    kubernetes: Kubeconfig | None = field(repr=False)
    token: str = field(repr=False)
    ssh_key: str = field(repr=False)
    source_token: str = field(repr=False)

    @classmethod
    def of(cls, *, part: str, timeout: str, kubeconfig: str, **rest: Any) -> Inputs:
        """Check the values as they were given. Raises InputError."""
        if part not in PARTS:
            raise InputError.of("part", part, f"it is none of {', '.join(PARTS)}", fix="part: all")
        if part in ("all", "wait") and not rest["environment"]:
            raise InputError("input `environment` is empty", fix="environment: dev")
        if part in ("check", "record") and not rest["results"]:
            raise InputError(
                f"input `results` is empty, and the part `{part}` goes on where `wait` ended",
                fix="results: ${{ needs.wait.outputs.results }}",
            )
        if bool(rest["argocd_server"]) != bool(rest["argocd_token"]):
            given, missing = ("server", "token") if rest["argocd_server"] else ("token", "server")
            raise InputError(
                f"input `argocd-{given}` is given, and `argocd-{missing}` is not",
                fix="give both, or leave both out"
                + (
                    ""
                    if missing == "server"
                    else ": argocd-token: ${{ secrets.ARGOCD_READ_TOKEN }}"
                ),
            )
        return cls(
            part=part,
            timeout=duration.seconds(timeout, "timeout") if timeout else None,
            kubernetes=kube.read(kubeconfig) if kubeconfig else None,
            **rest,
        )

    @property
    def held(self) -> list[str]:
        """Name the inputs with a secret that code beside us could read.

        The job's own token is none of them where only `check` is done: it may read, and no more.
        """
        secrets = {
            "token": self.token,
            "ssh-key": self.ssh_key,
            "argocd-token": self.argocd_token,
            "kubeconfig": self.kubernetes,
            "source-token": self.source_token if self.part == "all" else "",
        }
        return [name for name, value in secrets.items() if value]
