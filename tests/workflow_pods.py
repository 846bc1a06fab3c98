"""What a kubelet and Argo's own container do for the pods of a Workflow, where no node runs them.

The Workflow's controller is real, and so is each pod that it makes. A pod ends well at once, and hands on what its
template says that it hands on. It is handed on with the token that Argo's container of that pod has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from real_cluster import Cluster, now, running_status

ARGO = "argoproj.io/v1alpha1"
LABEL = "workflows.argoproj.io"
ADDRESS = "10.1.2.3"  # of each pod that serves
FINAL = ("Succeeded", "Failed", "Error")


class Pods:
    """The pods of one Workflow, in the order in which they came."""

    def __init__(
        self, cluster: Cluster, workflow: dict[str, Any], values: dict[str, dict[str, str]]
    ) -> None:
        """`values`: what a template's output parameters are, by its name; else `given`."""
        self.cluster, self.workflow, self.values = cluster, workflow, values
        self.made: list[dict[str, Any]] = []

    @property
    def templates(self) -> list[str]:
        return [str(template(one)["name"]) for one in self.made]

    def play(self) -> dict[str, Any]:
        """Return the Workflow once it ended."""
        limit = time.monotonic() + 300
        done: set[str] = set()
        while True:
            found = self.cluster.get(self.workflow)
            if found.get("status", {}).get("phase") in FINAL:
                return found
            metadata = self.workflow["metadata"]
            pods = self.cluster.ask(
                "GET",
                f"/api/v1/namespaces/{metadata['namespace']}/pods",
                params={"labelSelector": f"{LABEL}/workflow={metadata['name']}"},
            ).json()["items"]
            for pod in sorted(pods, key=lambda one: int(one["metadata"]["resourceVersion"])):
                if pod["metadata"]["uid"] not in done:
                    done.add(pod["metadata"]["uid"])
                    self.made.append(pod)
                    self._run(pod)
            assert time.monotonic() < limit, (found.get("status"), self.templates)
            time.sleep(0.2)

    def _run(self, pod: dict[str, Any]) -> None:
        path = self.cluster.path({"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]})
        if template(pod).get("daemon"):
            state, status = {"running": {"startedAt": now()}}, running_status()
            status |= {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
        else:
            self._hand_on(pod)
            state = {"terminated": {"exitCode": 0, "startedAt": now(), "finishedAt": now()}}
            status = {"phase": "Succeeded", "startTime": now()}
        ready = status["phase"] == "Running"
        status["containerStatuses"] = [
            {"name": one["name"], "image": one["image"], "imageID": "", "ready": ready, "restartCount": 0}
            | {"state": state}
            for one in pod["spec"]["containers"]
        ]  # fmt: skip
        answer = self.cluster.ask(
            "PATCH", f"{path}/status", data=json.dumps({"status": status}),
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )  # fmt: skip
        assert answer.ok, answer.text

    def _hand_on(self, pod: dict[str, Any]) -> None:
        """Write what the pod gives out, as Argo's container does."""
        metadata, own = pod["metadata"], template(pod)
        outputs = own.get("outputs", {})
        values = self.values.get(own["name"], {})
        given = {
            "parameters": [
                {"name": one["name"], "value": values.get(one["name"], "given")}
                for one in outputs.get("parameters", [])
            ],
            "artifacts": [
                {"name": one["name"], "path": one["path"], "s3": {"key": f"{metadata['name']}/{one['name']}"}}
                for one in outputs.get("artifacts", [])
            ],
        }  # fmt: skip
        result = {
            "apiVersion": ARGO,
            "kind": "WorkflowTaskResult",
            "metadata": {
                "name": metadata["annotations"][f"{LABEL}/node-id"],
                "namespace": metadata["namespace"],
                "labels": {
                    f"{LABEL}/workflow": self.workflow["metadata"]["name"],
                    f"{LABEL}/report-outputs-completed": "true",
                },
            },
            "outputs": given | {"exitCode": "0"},
        }
        path = self.cluster.path(result).rpartition("/")[0]
        answer = self.cluster.with_token(self._token(pod)).ask("POST", path, json=result)
        assert answer.ok, answer.text

    def _token(self, pod: dict[str, Any]) -> str:
        """Return the token that is mounted in Argo's container: a Secret's, else the one of the pod's account."""
        (wait,) = (one for one in pod["spec"]["containers"] if one["name"] == "wait")
        mounted = {
            one["name"] for one in wait["volumeMounts"] if "serviceaccount" in one["mountPath"]
        }
        (volume,) = (one for one in pod["spec"]["volumes"] if one["name"] in mounted)
        namespace = pod["metadata"]["namespace"]
        if "secret" in volume:
            return self.cluster.token_of_secret(namespace, volume["secret"]["secretName"])
        return self.cluster.token_of(namespace, pod["spec"]["serviceAccountName"])


def template(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the template that the pod is of, as Argo's container reads it."""
    (init,) = (one for one in pod["spec"]["initContainers"] if one["name"] == "init")
    (text,) = (one["value"] for one in init["env"] if one["name"] == "ARGO_TEMPLATE")
    found: dict[str, Any] = json.loads(text)
    return found


def submitted(cluster: Cluster, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Make a Workflow."""
    metadata = {"name": name, "namespace": namespace}
    workflow = {"apiVersion": ARGO, "kind": "Workflow", "metadata": metadata, "spec": spec}
    answer = cluster.ask("POST", cluster.path(workflow).rpartition("/")[0], json=workflow)
    assert answer.ok, answer.text
    return workflow


def until(done: Callable[[], Any], what: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it. Fails with what there is instead."""
    limit = time.monotonic() + 180
    while not (found := done()):
        assert time.monotonic() < limit, what()
        time.sleep(0.2)
    return found
