"""A real Kubernetes without nodes: etcd, kube-apiserver, its controllers, those of Argo Rollouts and Argo Workflows.

Nothing runs in it. What a kubelet would say of a pod, `Kubelet` says: each is ready at once, but those of an
image that never gets ready.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
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

from model_gitops.core.verify.kubeconfig import Kubeconfig
from model_gitops_local import toolchain

TOOLS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "rollouts-controller", "workflow-controller",
)  # fmt: skip
CONTROLLERS = (
    "deployment-controller", "replicaset-controller", "namespace-controller", "serviceaccount-controller",
    "serviceaccount-token-controller", "endpointslice-controller", "garbage-collector-controller",
)  # fmt: skip


# The pods of Argo Workflows are run by others: workflow_pods.
WORKFLOWS = {"labelSelector": "!workflows.argoproj.io/workflow"}


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def running_status() -> dict[str, Any]:
    """Return what a kubelet says of a pod that is ready."""
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now()}
        for kind in ("Ready", "ContainersReady")
    ]
    return {"phase": "Running", "conditions": conditions, "startTime": now()}


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


class Cluster:
    """The API of a cluster, as an administrator asks it."""

    def __init__(self, address: str, token: str, authority: Path) -> None:
        self.address, self.authority = address, authority
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.verify = str(authority)
        self._session.trust_env = False  # no proxy, and no other bundle of authorities
        # Each once its definitions are there.
        self.start_rollouts: Callable[[], None] = lambda: None
        self.start_workflows: Callable[[], None] = lambda: None
        self.never_ready: set[str] = set()  # images
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.address + path, timeout=600, **options)

    def path(self, manifest: dict[str, Any]) -> str:
        """Return where the API has a manifest; it says itself what a kind is called there."""
        api = manifest["apiVersion"]
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        kinds = self._plurals.setdefault(api, {})
        if manifest["kind"] not in kinds:
            answer = self.ask("GET", root)
            assert answer.ok, f"{api} is not served: {answer.text}"
            for one in answer.json()["resources"]:
                if "/" not in one["name"]:
                    kinds[one["kind"]] = (one["name"], one["namespaced"])
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
        for _ in range(20):
            answer = self.ask(
                "PATCH",
                self.path(manifest),
                params=options | ({"dryRun": "All"} if dry else {}),
                data=json.dumps(manifest),
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
            # A large definition on a loaded machine takes longer than the half minute that the server gives it.
            if answer.status_code != 504:
                break
        return answer

    def get(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Return a thing as it is now, or {} where there is none."""
        answer = self.ask("GET", self.path(manifest))
        assert answer.ok or answer.status_code == 404, answer.text
        found: dict[str, Any] = answer.json() if answer.ok else {}
        return found

    def with_token(self, token: str) -> Cluster:
        """Return the API as another account asks it."""
        return Cluster(self.address, token, self.authority)

    def account(self, namespace: str, name: str, rules: list[dict[str, Any]]) -> Kubeconfig:
        """Make a service account that may do what a role's rules say, and return its kubeconfig."""
        rbac = "rbac.authorization.k8s.io"
        metadata = {"name": name, "namespace": namespace}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
        binding = {
            "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount"} | metadata],
        }  # fmt: skip
        for one in (account, role, binding):
            answer = self.apply(one)
            assert answer.ok, answer.text
        authority = self.authority.read_text("utf-8")
        return Kubeconfig(self.address, namespace, authority, self.token_of(namespace, name))

    def token_of(self, namespace: str, account: str) -> str:
        """Return a new token of a service account."""
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer = self.ask("POST", path, json=wanted)
        assert answer.ok, answer.text
        token: str = answer.json()["status"]["token"]
        return token

    def token_of_secret(self, namespace: str, name: str) -> str:
        """Return the token that the cluster wrote into a Secret."""
        answer = self.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        assert answer.ok, answer.text
        return base64.b64decode(answer.json()["data"]["token"]).decode()

    def revision(self) -> str:
        """Return the number of the newest change in the cluster."""
        found: str = self.ask("GET", "/api/v1/namespaces").json()["metadata"]["resourceVersion"]
        return found

    def history(self, manifest: dict[str, Any], since: str) -> list[dict[str, Any]]:
        """Return each state that a thing had from a revision on until now: none is missed, however slow we are."""
        last = self.get(manifest)["metadata"]["resourceVersion"]
        if int(last) <= int(since):
            return []
        path, _, name = self.path(manifest).rpartition("/")
        params = {"watch": "1", "resourceVersion": since, "fieldSelector": f"metadata.name={name}"}
        found: list[dict[str, Any]] = []
        with self.ask("GET", path, params=params, stream=True) as answer:
            assert answer.ok, answer.text
            for line in answer.iter_lines():
                event = json.loads(line)
                assert event["type"] in ("ADDED", "MODIFIED"), event
                found.append(event["object"])
                if found[-1]["metadata"]["resourceVersion"] == last:
                    break
        return found


class Kubelet(threading.Thread):
    """Says of each pod that it runs and is ready, but of those whose image is `never_ready`."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.3):
            with contextlib.suppress(requests.RequestException):
                for pod in self.cluster.ask("GET", "/api/v1/pods", params=WORKFLOWS).json()[
                    "items"
                ]:
                    self._tell(pod)

    def _tell(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self.cluster.ask("DELETE", path, json={"gracePeriodSeconds": 0})
        elif pod["status"].get("phase") != "Running" and not self.cluster.never_ready & {
            one["image"] for one in pod["spec"]["containers"]
        }:
            status = running_status()
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

    def start(name: str, *words: str, **env: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            command = [tools[name], *words]
            started.append(
                subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=os.environ | env)
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
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--cert-dir={folder}", f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
            "--etcd-compaction-interval=0", "--watch-cache=false",  # `history` looks back
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
            f"--controllers={','.join(CONTROLLERS)}", f"--service-account-private-key-file={key}",
        )  # fmt: skip
        kubelet = Kubelet(cluster)
        kubelet.start()
        cluster.start_rollouts = lambda: start(
            "rollouts-controller", f"--kubeconfig={config}", "--leader-elect=false",
            f"--metricsPort={free_port()}", f"--healthzPort={free_port()}",
        )  # fmt: skip
        cluster.start_workflows = lambda: start(
            "workflow-controller", f"--kubeconfig={config}", "--namespace=argo",
            f"--executor-image=quay.io/argoproj/argoexec:{toolchain.TOOLS['workflow-controller'].version}",
            LEADER_ELECTION_DISABLE="true",
            DEFAULT_REQUEUE_TIME="1s",  # in place of ten, after each step
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
    done: Any, started: list[subprocess.Popen[bytes]], folder: Path, seconds: float = 900
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
