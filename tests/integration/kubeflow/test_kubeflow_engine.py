"""The engine of run-training for Kubeflow Pipelines, against the stand-in for its API."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubeflow_world import TOKEN, Server, images

from model_gitops.adapters import json_api, web_client
from model_gitops.adapters.training_engines.kubeflow import Kubeflow
from model_gitops.core.training.kubeflow import Package, package_of
from model_gitops.core.training.runs import State
from model_gitops.errors import InputError

pytestmark = pytest.mark.slow

NAME = "diabetes-training-0123456789ab"
CLIENT = """
import sys, kfp
client = kfp.Client(host=sys.argv[1], existing_token=sys.argv[2])
found = client.create_experiment("diabetes-training-staging", namespace="diabetes-training-staging")
client.run_pipeline(found.experiment_id, "by-kfp", sys.argv[3], params={"propose": False})
"""


@pytest.fixture(scope="module")
def loaded(package: Path) -> Package:
    return package_of(package.read_text(), "pipeline.yaml")


def engine_of(server: Server, loaded: Package, token: str = TOKEN) -> Kubeflow:
    return Kubeflow(server.url, token, "", "diabetes-training-staging", loaded)


@pytest.fixture
def engine(kubeflow: Server, loaded: Package) -> Kubeflow:
    return engine_of(kubeflow, loaded)


def test_it_offers_the_images_and_parameters_of_the_package(engine: Kubeflow) -> None:
    offer = engine.offer(10)
    assert set(offer.images) == set(images().values())
    assert offer.parameters["propose"] == "true"
    assert set(offer.parameters) == {"repository", "commit", "folder", "propose"}


def test_a_run_is_started_once_and_followed_to_its_end(
    engine: Kubeflow, kubeflow: Server, loaded: Package
) -> None:
    assert list(engine.runs(10)) == []
    assert engine.look(NAME, 10) is None
    started = engine.start(NAME, {"propose": "false"}, 10)
    assert (started.name, started.state) == (NAME, State.WAITS)
    assert started.url == f"{kubeflow.url}/#/runs/details/r2"
    assert set(started.images) == set(images().values())
    # Another caller, which knows nothing of the first.
    assert engine_of(kubeflow, loaded).start(NAME, {}, 10).url == started.url
    (listed,) = engine_of(kubeflow, loaded).runs(10)
    assert set(listed.images) == set(images().values())
    states = [engine.look(NAME, 10).state for _ in range(3)]  # type: ignore[union-attr]
    assert states == [State.RUNS, State.SUCCEEDED, State.SUCCEEDED]
    assert len(kubeflow.control()["runs"]) == 1


def test_a_failed_run_says_which_task_failed_and_not_which_pod_of_kubeflow(
    engine: Kubeflow, kubeflow: Server
) -> None:
    kubeflow.control(ends="FAILED")
    engine.start(NAME, {}, 10)
    run = None
    for _ in range(3):
        run = engine.look(NAME, 10)
    assert run is not None
    assert run.state is State.FAILED
    assert run.reason == "train: exit code 1"
    assert [one.name for one in run.steps] == ["fetch", "train"]


def test_our_request_is_that_of_kfps_own_client(
    engine: Kubeflow, kubeflow: Server, package: Path, kfp_python: Path
) -> None:
    command = [kfp_python, "-c", CLIENT, kubeflow.url, TOKEN, package]
    subprocess.run(command, check=True, capture_output=True)
    engine.start(NAME, {"propose": "false"}, 10)
    theirs, ours = kubeflow.control()["bodies"]
    assert theirs.pop("display_name") == "by-kfp"
    assert ours.pop("display_name") == NAME
    assert ours == theirs


def test_of_runs_that_are_started_at_once_one_goes_on(kubeflow: Server, loaded: Package) -> None:
    def start(number: int) -> str:
        return engine_of(kubeflow, loaded).start(NAME, {}, 30).url

    with ThreadPoolExecutor(6) as pool:
        urls = set(pool.map(start, range(6)))
    made = kubeflow.control()["runs"]
    assert [one["state"] for one in made if one["state"] != "CANCELED"] == ["PENDING"]
    (counts,) = engine_of(kubeflow, loaded).runs(10)
    assert counts.state is State.WAITS
    assert urls == {counts.url}


def test_who_waits_ends_what_a_caller_that_was_killed_left(
    engine: Kubeflow, kubeflow: Server, loaded: Package
) -> None:
    first = engine.start(NAME, {}, 10)
    # Killed between its request and its look at what there is.
    experiment = kubeflow.control()["runs"][0]["experiment_id"]
    kubeflow.start(loaded.submission(NAME, experiment, {}))
    assert len(kubeflow.control()["runs"]) == 2
    # Who only looks ends nothing.
    reader = Kubeflow(kubeflow.url, TOKEN, "", "diabetes-training-staging", None)
    assert reader.look(NAME, 10).url == first.url  # type: ignore[union-attr]
    assert "CANCELED" not in {one["state"] for one in kubeflow.control()["runs"]}
    assert engine.look(NAME, 10).url == first.url  # type: ignore[union-attr]
    assert [one["state"] for one in kubeflow.control()["runs"]][1] == "CANCELED"


def test_every_page_of_runs_is_read(engine: Kubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_gitops.adapters.training_engines.kubeflow._PAGE", 5)
    for number in range(12):
        engine.start(f"{NAME}-{number}", {}, 10)
    assert len(engine.runs(10)) == 12
    assert engine.look(f"{NAME}-0", 10) is not None


def test_a_value_of_another_type_is_refused(engine: Kubeflow, kubeflow: Server) -> None:
    for text in ("no", "0", "False", '"false"'):
        with pytest.raises(InputError, match="BOOLEAN"):
            engine.start(NAME, {"propose": text}, 10)
    assert kubeflow.control()["runs"] == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_told_from_what_will_not(
    engine: Kubeflow, kubeflow: Server, loaded: Package, status: int
) -> None:
    kubeflow.control(faults=[status])
    with pytest.raises(web_client.NoAnswer, match=str(status)):
        engine.runs(10)
    assert list(engine.runs(10)) == []
    with pytest.raises(json_api.Denied, match="401"):
        engine_of(kubeflow, loaded, "wrong").runs(10)
    with pytest.raises(InputError, match="kubeflow-token"):
        Kubeflow("http://kubeflow.example.com", TOKEN, "", "ns", loaded)


@pytest.mark.parametrize(
    "text", ["", "a: 1\n", "- 1\n", "deploymentSpec: {executors: 3}\n", "a: 1\n---\nb: 2\n---\n"]
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        package_of(text, "pipeline.yaml")
