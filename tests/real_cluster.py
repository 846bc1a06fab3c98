"""A real Kubernetes without nodes: etcd, kube-apiserver, its controllers, and Argo Rollouts' controller.

Nothing runs in it. What a kubelet would say of a pod, `Kubelet` says: each is ready at once.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from model_gitops_local import toolchain

TOOLS = ("etcd", "kube-apiserver", "kube-controller-manager", "rollouts-controller")
CONTROLLERS = (
    "deployment,replicaset,namespace,serviceaccount,endpointslice,garbage-collector-controller"
)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


class Cluster:
    """The API of a cluster, as an administrator asks it."""

    def __init__(self, address: str, token: str, authority: Path) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.verify = str(authority)
        self.start_rollouts: Callable[[], None] = lambda: None  # once its definitions are there
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.address + path, timeout=60, **options)

    def path(self, manifest: dict[str, Any]) -> str:
        """Return where the API has a manifest; it says itself what a kind is called there."""
        api = manifest["apiVersion"]
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        kinds = self._plurals.get(api, {})
        if manifest["kind"] not in kinds:
            found = self.ask("GET", root).json()["resources"]
            kinds = {
                one["kind"]: (one["name"], one["namespaced"])
                for one in found
                if "/" not in one["name"]
            }
            self._plurals[api] = kinds
        plural, namespaced = kinds[manifest["kind"]]
        name = manifest["metadata"]["name"]
        namespace = manifest["metadata"].get("namespace", "default")
        return (
            f"{root}/namespaces/{namespace}/{plural}/{name}"
            if namespaced
            else f"{root}/{plural}/{name}"
        )

    def apply(self, manifest: dict[str, Any], *, dry: bool = False) -> requests.Response:
        """Apply on the server's side. An unknown field is an error."""
        options = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
        return self.ask(
            "PATCH",
            self.path(manifest),
            params=options | ({"dryRun": "All"} if dry else {}),
            data=json.dumps(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def get(self, manifest: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask("GET", self.path(manifest)).json()
        return answer


class Kubelet(threading.Thread):
    """Says of each pod that it runs and is ready."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.3):
            with contextlib.suppress(requests.RequestException):
                for pod in self.cluster.ask("GET", "/api/v1/pods").json().get("items", []):
                    self._tell(pod)

    def _tell(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self.cluster.ask("DELETE", path, json={"gracePeriodSeconds": 0})
        elif pod["status"].get("phase") != "Running":
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            ready = [
                {"type": kind, "status": "True", "lastTransitionTime": now}
                for kind in ("Ready", "ContainersReady")
            ]
            status = {"phase": "Running", "conditions": ready, "startTime": now}
            self.cluster.ask(
                "PATCH", f"{path}/status", data=json.dumps({"status": status}),
                headers={"Content-Type": "application/strategic-merge-patch+json"},
            )  # fmt: skip


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start all of it in a folder, which keeps the logs."""
    tools = toolchain.ensure_all(TOOLS)
    token = secrets.token_urlsafe()
    etcd, peer, port = free_port(), free_port(), free_port()
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", "utf-8")
    config = folder / "kubeconfig"
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            started.append(
                subprocess.Popen([tools[name], *words], stdout=log, stderr=log, cwd=folder)
            )

    try:
        start(
            "etcd", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--max-request-bytes=16777216", "--unsafe-no-fsync",
        )  # fmt: skip
        start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", f"--cert-dir={folder}", f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
        )  # fmt: skip
        cluster = Cluster(f"https://127.0.0.1:{port}", token, folder / "apiserver.crt")
        until(lambda: _is_ready(cluster), started, folder)
        user = {"name": "a", "user": {"token": token}}
        place = {"server": cluster.address, "certificate-authority": str(folder / "apiserver.crt")}
        context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
        config.write_text(
            yaml.safe_dump(
                {"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [user],
                 "clusters": [{"name": "a", "cluster": place}], "contexts": [context]}
            ),
            "utf-8",
        )  # fmt: skip
        start(
            "kube-controller-manager", f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0",
            f"--controllers={CONTROLLERS}",
        )  # fmt: skip
        kubelet = Kubelet(cluster)
        kubelet.start()
        cluster.start_rollouts = lambda: start(
            "rollouts-controller", f"--kubeconfig={config}", "--leader-elect=false",
            f"--metricsport={free_port()}", f"--healthzPort={free_port()}",
        )  # fmt: skip
        yield cluster
        kubelet.ended.set()
        kubelet.join(10)
    finally:
        for one in reversed(started):
            one.terminate()
        for one in reversed(started):
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(20)
            one.kill()


def _is_ready(cluster: Cluster) -> bool:
    with contextlib.suppress(requests.RequestException, OSError):
        return cluster.ask("GET", "/readyz").ok
    return False


def until(
    done: Any, started: list[subprocess.Popen[bytes]], folder: Path, seconds: float = 180
) -> None:
    """Wait until something is so. Fails with the end of each log where a program has ended."""
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit or any(one.poll() is not None for one in started):
            ends = {
                log.name: log.read_text("utf-8", "replace")[-2000:] for log in folder.glob("*.log")
            }
            raise AssertionError(f"it is not ready: {ends}")
        time.sleep(0.3)
