"""Kubeflow's words: a compiled package, what a run of it is told, and what its runs say."""

from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.training import kubeflow
from model_gitops.core.training.kubeflow import package_of
from model_gitops.core.training.runs import State
from model_gitops.errors import InputError

# As kfp 2.17 compiles it, less what nothing here reads.
SPEC = """
components:
  comp-fetch: {executorLabel: exec-fetch}
  comp-train: {executorLabel: exec-train}
  comp-group:
    dag: {tasks: {train: {componentRef: {name: comp-train}}}}
deploymentSpec:
  executors:
    exec-fetch: {container: {image: 'h.example/m-deploy@sha256:aa'}}
    exec-propose: {container: {image: 'h.example/m-deploy@sha256:aa'}}
    exec-train: {container: {image: 'h.example/m-train@sha256:bb'}}
    exec-importer: {importer: {}}
pipelineInfo: {name: m-training}
root:
  dag:
    tasks:
      fetch: {componentRef: {name: comp-fetch}}
      group-1: {componentRef: {name: comp-group}}
  inputDefinitions:
    parameters:
      commit: {parameterType: STRING}
      propose: {defaultValue: true, parameterType: BOOLEAN}
      rounds: {defaultValue: 3.0, parameterType: NUMBER_INTEGER}
      rate: {parameterType: NUMBER_DOUBLE}
      names: {parameterType: LIST}
      more: {parameterType: STRUCT}
"""
PLATFORM = "platforms: {kubernetes: {deploymentSpec: {}}}\n"
IMAGES = ("h.example/m-deploy@sha256:aa", "h.example/m-train@sha256:bb")


def task(name: str, state: str, *, at: str = "", **more: Any) -> dict[str, Any]:
    return {"display_name": name, "state": state, "start_time": at, **more}


def answer(state: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A v2beta1Run, as it is asked for alone."""
    return {
        "run_id": "r1", "display_name": "m-training-0123456789ab", "state": state,
        "created_at": "2026-11-30T10:00:00Z", "pipeline_spec": kubeflow.package_of(SPEC, "x").spec,
        "run_details": {"task_details": list(tasks)}, **more,
    }  # fmt: skip


def test_a_package_says_its_images_and_parameters_once() -> None:
    offer = package_of(SPEC, "pipeline.yaml").offer
    assert (offer.images, offer.is_fixed) == (IMAGES, True)
    assert offer.parameters == {
        "commit": "", "propose": "true", "rounds": "3.0", "rate": "", "names": "", "more": "",
    }  # fmt: skip


def test_what_kubernetes_is_told_goes_along_where_there_is_any() -> None:
    alone = package_of(SPEC, "p").submission("n", "e1", {})
    both = package_of(f"{SPEC}---\n{PLATFORM}", "p").submission("n", "e1", {})
    assert alone["pipeline_spec"] == both["pipeline_spec"]["pipeline_spec"]
    assert both["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"] == {
        "deploymentSpec": {}
    }
    assert (alone["display_name"], alone["experiment_id"]) == ("n", "e1")
    # A line of three dashes in a text is no second document.
    assert package_of(SPEC.replace("m-training}", 'm, description: "a --- b"}'), "p").platform == {}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("commit", "1e3", "1e3"),  # a text stays one, whatever it looks like
        ("commit", "", ""),
        ("propose", "false", False),
        ("rounds", "10", 10),
        ("rate", "0.1", 0.1),
        ("rate", "1", 1),
        ("names", '["a"]', ["a"]),
        ("more", '{"a": 1}', {"a": 1}),
        ("of-nobody", "x", "x"),
    ],
)
def test_a_value_has_the_type_of_its_parameter(name: str, text: str, value: Any) -> None:
    body = package_of(SPEC, "p").submission("n", "e", {name: text})
    given = body["runtime_config"]["parameters"][name]
    assert (given, type(given)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "example"),
    [
        ("propose", "False", "propose=false"),
        ("propose", "0", "propose=false"),
        ("propose", '"true"', "propose=false"),
        ("rounds", "true", "rounds=10"),
        ("rounds", "1.5", "rounds=10"),
        ("rounds", "", "rounds=10"),
        ("rate", "false", "rate=0.1"),
        ("rate", "fast", "rate=0.1"),
        ("names", '{"a": 1}', "names=[1]"),
        ("more", "[1]", 'more={"a": 1}'),
        ("more", "[" * 5000, 'more={"a": 1}'),
    ],
)
def test_a_value_of_another_type_is_refused_with_an_example(
    name: str, text: str, example: str
) -> None:
    with pytest.raises(InputError, match="written as JSON") as refused:
        package_of(SPEC, "p").submission("n", "e", {name: text})
    assert refused.value.fix == f"parameters: {example}"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: 1\n", SPEC.replace("container", "other"), f"{SPEC}---\na: 1\n---\nb: 1\n"],
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no compiled pipeline with container images"):
        package_of(text, "pipeline.yaml")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("", State.WAITS),
        ("RUNTIME_STATE_UNSPECIFIED", State.WAITS),
        ("PENDING", State.WAITS),
        ("RUNNING", State.RUNS),
        ("PAUSED", State.RUNS),
        ("CANCELING", State.RUNS),
        ("A_LATER_WORD", State.RUNS),
        ("SUCCEEDED", State.SUCCEEDED),
        ("FAILED", State.FAILED),
        ("CANCELED", State.ERROR),
        ("SKIPPED", State.ERROR),
    ],
)
def test_the_states_of_a_run(said: str, state: State) -> None:
    run = kubeflow.run_of(answer(said), "https://k.example/r1")
    assert (run.state, run.images, run.url) == (state, IMAGES, "https://k.example/r1")


def test_a_runs_images_are_found_beside_kubernetes_part_too() -> None:
    spec = answer("RUNNING")["pipeline_spec"]
    both = {"pipeline_spec": spec, "platform_spec": {}}
    assert kubeflow.run_of(answer("RUNNING", pipeline_spec=both)).images == IMAGES
    # Of a list a server may leave it out.
    assert kubeflow.run_of({"display_name": "n"}).images == ()


def test_its_steps_are_the_tasks_and_not_kubeflows_own_pods() -> None:
    run = kubeflow.run_of(
        answer(
            "FAILED",
            task("root", "FAILED", error={"message": "1 task failed"}),
            task("train-driver", "SUCCEEDED", at="2"),
            task("train", "FAILED", at="2", state_history=[{}, {"error": {"message": "OOM\nKilled"}}]),
            task("fetch", "SUCCEEDED", at="1"),
            task("group-1", "FAILED", at="1"),
        )
    )  # fmt: skip
    assert [(one.name, one.state, one.has_failed) for one in run.steps] == [
        ("fetch", "SUCCEEDED", False),
        ("train", "FAILED", True),
    ]
    assert run.reason == "train: OOM Killed"


def test_why_a_run_ended_badly_where_no_task_says_it() -> None:
    assert kubeflow.run_of(answer("FAILED", error={"message": "no quota"})).reason == "no quota"
    assert kubeflow.run_of(answer("CANCELED")).reason == "CANCELED"


def test_of_runs_of_one_name_the_first_counts_for_each_caller() -> None:
    runs = [
        {"run_id": "b", "created_at": "2026-11-30T10:00:01Z"},
        {"run_id": "c", "created_at": "2026-11-30T10:00:00Z"},
        {"run_id": "a", "created_at": "2026-11-30T10:00:00Z"},
        {"run_id": "0"},  # one that the server has not dated yet
    ]
    for order in (runs, runs[::-1]):
        assert kubeflow.first_of(order)["run_id"] == "a"


@pytest.mark.parametrize("hostile", [None, [], "x", 3, {"run_details": {"task_details": [None, 1]}},
                                     {"pipeline_spec": {"deploymentSpec": {"executors": []}}},
                                     {"pipeline_spec": {"root": {"dag": {"tasks": {"a": 1}}}}},
                                     {"error": "x", "display_name": ["a"]}])  # fmt: skip
def test_an_answer_of_another_shape_is_a_run_of_nothing(hostile: Any) -> None:
    run = kubeflow.run_of(hostile)
    assert (run.images, run.state, list(run.steps)) == ((), State.WAITS, [])
