"""The cluster, with the definitions of each kind, and what is built of the deploy template."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import manifest_checks
import pytest
import yaml
from manifest_checks import TABLE
from real_cluster import Cluster, running
from stand_in_prometheus import Asked, answering

# Who may do what in a namespace that a person makes: all of the template's keep it, but where BuildKit runs.
RESTRICTED = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
# The schema of these is no CustomResourceDefinition; their project has loose ones beside it.
EVENTS = "manifests/base/crds"
# What the controller of Argo Workflows keeps in the cluster, besides what people write.
WORKFLOWS = ("github.com/argoproj/argo-workflows/v3", "manifests/base/crds/full")
# Where the controller of Argo Workflows reads how it is set up.
ARGO = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argo"}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "workflow-controller-configmap", "namespace": "argo"},
        "data": {"metricsConfig": "enabled: false\n"},
    },
]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """All that is built of the template, by the name of what was built."""
    folder = tmp_path_factory.mktemp("built")
    done = manifest_checks.build(folder)
    assert done.returncode == 0, done.stdout
    return {
        file.stem: [one for one in yaml.safe_load_all(file.read_text("utf-8")) if one]
        for file in sorted(folder.glob("*.yaml"))
    }


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, built: dict[str, list[dict[str, Any]]]
) -> Iterator[Cluster]:
    """A cluster that knows each kind, has the namespaces, and runs Argo Rollouts' controller."""
    with running(tmp_path_factory.mktemp("cluster")) as found:
        waiting = list(definitions())
        for definition in waiting:
            answer = found.apply(definition)
            assert answer.ok, answer.text[:2000]
        established(found, waiting)
        everything = [one for manifests in built.values() for one in manifests]
        for name in {one["metadata"].get("namespace") for one in everything} - {None}:
            labels = {} if name == "diabetes-build" else RESTRICTED
            space = {"name": name, "labels": labels}
            assert found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": space}).ok
        for one in ARGO:
            assert found.apply(one).ok
        found.start_rollouts()
        yield found


@pytest.fixture(scope="session")
def asked() -> Iterator[Asked]:
    """A Prometheus, and a service that is asked whether it is ready."""
    with answering() as found:
        yield found


def definitions() -> Iterator[dict[str, Any]]:
    """Yield the CustomResourceDefinition of each kind of the table."""
    from crd_schemas import Loader, fetch

    with mock.patch.dict(os.environ, manifest_checks.environment()):
        for one in TABLE["custom-resources"]:
            folder = fetch(f"{one['module']}@{one['version']}")
            files = {path for path in one["kinds"].values() if "#" not in path}
            if len(files) < len(set(one["kinds"].values())):
                files |= {
                    f"{EVENTS}/{file.name}" for file in (folder / EVENTS).glob("argoproj*.yaml")
                }
            if one["module"] == WORKFLOWS[0]:
                files |= {
                    f"{WORKFLOWS[1]}/{file.name}"
                    for file in (folder / WORKFLOWS[1]).glob("argo*.yaml")
                }
            for file in sorted(files):
                yield yaml.load((folder / file).read_text("utf-8"), Loader)


def established(cluster: Cluster, definitions: list[dict[str, Any]]) -> None:
    """Wait until the API serves each kind."""
    limit = time.monotonic() + 900
    for definition in definitions:
        while True:
            conditions = cluster.get(definition).get("status", {}).get("conditions", [])
            if any((one["type"], one["status"]) == ("Established", "True") for one in conditions):
                break
            name = definition["metadata"]["name"]
            assert time.monotonic() < limit, f"{name} is not established: {conditions}"
            time.sleep(0.2)
    groups = {
        (spec["group"], one["name"], spec["names"]["plural"])
        for spec in (one["spec"] for one in definitions)
        for one in spec["versions"]
        if one["served"]
    }
    for group, version, plural in groups:
        # What the API says it has comes a little later than the thing itself.
        while not cluster.ask("GET", f"/apis/{group}/{version}/{plural}").ok or plural not in {
            one["name"]
            for one in cluster.ask("GET", f"/apis/{group}/{version}").json().get("resources", [])
        }:
            assert time.monotonic() < limit, f"{group}/{version} {plural} is not served"
            time.sleep(0.2)
