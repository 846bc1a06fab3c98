"""Kubeflow Pipelines: a compiled package, and its runs, as API v2beta1 has them.

https://github.com/kubeflow/pipelines/blob/2.17.0/backend/api/v2beta1/swagger/run.swagger.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_gitops.core.document import load_yaml, mapping, sequence
from model_gitops.core.line import plain, shortened
from model_gitops.core.training.runs import Offer, Run, State, Step
from model_gitops.errors import InputError

# V2beta1RuntimeState. A run that was cancelled says nothing of its images.
_STATES = {
    "": State.WAITS,
    "RUNTIME_STATE_UNSPECIFIED": State.WAITS,
    "PENDING": State.WAITS,
    "SUCCEEDED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "SKIPPED": State.ERROR,
    "CANCELED": State.ERROR,
}
_MOST_STEPS = 50
_FIX = "make pipeline IMAGES=FOLDER, with the folder of the training overlay"


@dataclass(frozen=True)
class Package:
    """A compiled pipeline: its specification, and what it says of Kubernetes (empty where nothing)."""

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]

    @property
    def offer(self) -> Offer:
        """What a run of it is made of."""
        parameters = {
            name: _text(mapping(one).get("defaultValue")) for name, one in self._inputs.items()
        }
        return Offer(images_of(self.spec), parameters, is_fixed=True)

    @property
    def _inputs(self) -> Mapping[str, Any]:
        root = mapping(self.spec.get("root"))
        return mapping(mapping(root.get("inputDefinitions")).get("parameters"))

    def submission(
        self, name: str, experiment: str, parameters: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the body that starts a run (v2beta1Run). Raises InputError for a value of another type."""
        return {
            "experiment_id": experiment,
            "display_name": name,
            # As kfp's own client hands both over.
            "pipeline_spec": {"pipeline_spec": self.spec, "platform_spec": self.platform}
            if self.platform
            else self.spec,
            "runtime_config": {
                "parameters": {key: self._typed(key, value) for key, value in parameters.items()}
            },
        }

    def _typed(self, name: str, text: str) -> Any:
        kind = str(mapping(self._inputs.get(name)).get("parameterType") or "STRING")
        if kind == "STRING":
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, bool) == (kind == "BOOLEAN") and isinstance(value, _TYPES[kind]):
            return value
        raise InputError.of(
            "parameters", f"{name}={text}", f"the pipeline takes a {kind} here, written as JSON",
            fix=f"parameters: {name}={_EXAMPLES[kind]}",
        )  # fmt: skip


_TYPES: dict[str, tuple[type, ...]] = {
    "BOOLEAN": (bool,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "LIST": (list,),
    "STRUCT": (dict,),
}
_EXAMPLES = {
    "BOOLEAN": "false",
    "NUMBER_INTEGER": "10",
    "NUMBER_DOUBLE": "0.1",
    "LIST": "[1]",
    "STRUCT": '{"a": 1}',
}


def package_of(text: str, source: str) -> Package:
    """Return the package that compile.py wrote. Raises InputError for other text."""
    documents = [load_yaml(one, source=source) for one in re.split(r"(?m)^---$", text)]
    spec = mapping(documents[0])
    if len(documents) > 2 or not images_of(spec):
        raise InputError.of(
            "kubeflow-package", source, "it is no compiled pipeline with container images", fix=_FIX
        )
    return Package(spec, mapping(documents[1]) if len(documents) == 2 else {})


def images_of(spec: Any) -> tuple[str, ...]:
    """Return the images of a pipeline's executors; the specification may have Kubernetes' beside it."""
    found = mapping(spec)
    found = mapping(found.get("pipeline_spec") or found)
    executors = mapping(mapping(found.get("deploymentSpec")).get("executors"))
    images = (mapping(mapping(one).get("container")).get("image") for one in executors.values())
    return tuple(dict.fromkeys(str(one) for one in images if one))


def run_of(answer: Any, url: str = "") -> Run:
    """Return the run that a v2beta1Run is; of a list it has no steps."""
    found = mapping(answer)
    error = mapping(found.get("error"))
    spec = mapping(found.get("pipeline_spec"))
    details = sequence(mapping(found.get("run_details")).get("task_details"))
    return Run(
        name=str(found.get("display_name") or ""),
        state=_STATES.get(str(found.get("state") or ""), State.RUNS),
        images=images_of(spec),
        started=str(found.get("created_at") or ""),
        message=_words(error.get("message") or found.get("state") or ""),
        url=url,
        steps=tuple(_steps(details, _tasks(spec)))[:_MOST_STEPS],
    )


def first_of(answers: Sequence[Any]) -> Any:
    """Return, of runs of one name, the one that counts for all: Kubeflow lets two have the same."""
    return min(
        (mapping(one) for one in answers),
        key=lambda one: (str(one.get("created_at") or "~"), str(one.get("run_id"))),
    )


def _tasks(spec: Any) -> set[str]:
    """Return the names of a pipeline's tasks that run a container."""
    found = mapping(spec)
    found = mapping(found.get("pipeline_spec") or found)
    components = mapping(found.get("components"))
    names = set()
    for one in (found.get("root"), *components.values()):
        for name, task in mapping(mapping(mapping(one).get("dag")).get("tasks")).items():
            reference = mapping(mapping(task).get("componentRef"))
            component = components.get(str(reference.get("name")))
            if mapping(component).get("executorLabel"):
                names.add(name)
    return names


def _steps(details: Sequence[Any], tasks: set[str]) -> Iterator[Step]:
    """Yield the tasks of a run; Kubeflow's own pods stand among them."""
    own = [one for one in map(mapping, details) if one.get("display_name") in tasks]
    for one in sorted(own, key=lambda task: str(task.get("start_time") or "~")):
        state = str(one.get("state") or "PENDING")
        said = [
            one.get("error"),
            *(mapping(h).get("error") for h in sequence(one.get("state_history"))),
        ]
        messages = [mapping(error).get("message") for error in said if error]
        yield Step(
            _words(one["display_name"]), _words(state),
            _words(next((m for m in messages if m), "")), has_failed=state == "FAILED",
        )  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _words(text: Any) -> str:
    return shortened(plain(str(text)), 300)
