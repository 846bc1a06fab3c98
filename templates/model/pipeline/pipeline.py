"""The training pipeline for Kubeflow Pipelines: fetch, preprocess, train, test, propose.

Its steps are the images of components/, the same that Argo Workflows runs. `build` makes the
pipeline of exactly these images: compile.py does, with the digests of the deploy repository.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from images import NAME
from kfp import dsl, kubernetes
from kfp.dsl import Dataset, Input, Metrics, Model, Output, OutputPath

STEP = (Path(__file__).parent / "step.py").read_text()
PYTHON = "/opt/venv/bin/python"
# Mounted from Secrets; a key that a Secret does not have is not given.
SECRETS = {"MODEL_GITOPS_TOKEN": "token", "MODEL_GITOPS_REMOTE_CONFIG": "remote-config"}
# Three tries of each step: a node goes, a registry does not answer.
RETRIES = {"num_retries": 2, "backoff_duration": "30s", "backoff_factor": 2.0}
HOUR = 3600  # seconds


def build(
    images: Mapping[str, str], *, name: str, repository: str, commit: str, folder: str
) -> Any:
    """Return the pipeline `name` of `images` (step → image); the rest: parameters' defaults."""

    def container(step: str, program: str, *arguments: Any, metrics: Any = "-") -> Any:
        shown = [PYTHON, f"/app/components/{step}/{program}.py", *arguments]
        return dsl.ContainerSpec(
            image=images[step], command=[PYTHON, "-c", STEP], args=["{{$}}", metrics, *shown]
        )

    @dsl.container_component
    def fetch(
        repository: str, commit: str, folder: str,
        params: Output[dsl.Artifact], labelled: Output[Dataset], fetched: OutputPath(str),
    ):  # fmt: skip
        """Take parameters and labelled data of a commit."""
        return container(
            "deploy", "deploy_component", "fetch",
            "--repository", repository, "--revision", commit, "--folder", folder,
            "--params", params.path, "--labelled", labelled.path, "--commit", fetched,
        )  # fmt: skip

    @dsl.container_component
    def preprocess(
        params: Input[dsl.Artifact], labelled: Input[Dataset],
        train_set: Output[Dataset], test_set: Output[Dataset], made_from: Output[dsl.Artifact],
    ):  # fmt: skip
        """Write the training and the test set."""
        return container(
            "preprocess", "preprocess_component",
            "--params-file", params.path, "--labelled", labelled.path,
            "--train", train_set.path, "--test", test_set.path, "--made-from", made_from.path,
        )  # fmt: skip

    @dsl.container_component
    def train(
        params: Input[dsl.Artifact], train_set: Input[Dataset],
        model: Output[Model], curve: Output[dsl.Artifact], made_from: Output[dsl.Artifact],
    ):  # fmt: skip
        """Fit the model, and write it as ONNX."""
        return container(
            "train", "train_component",
            "--params-file", params.path, "--train", train_set.path,
            "--model", model.path, "--curve", curve.path, "--made-from", made_from.path,
        )  # fmt: skip

    @dsl.container_component
    def test(
        test_set: Input[Dataset], model: Input[Model],
        metrics: Output[Metrics], predictions: Output[dsl.Artifact],
        made_from: Output[dsl.Artifact],
    ):  # fmt: skip
        """Measure the model on the test set."""
        return container(
            "test", "measure_component",
            "--test", test_set.path, "--model", model.path,
            "--metrics", metrics.path, "--predictions", predictions.path,
            "--made-from", made_from.path,
            metrics=metrics.path,
        )  # fmt: skip

    @dsl.container_component
    def propose_model(
        repository: str, folder: str, reason: str,
        train_set: Input[Dataset], test_set: Input[Dataset],
        model: Input[Model], curve: Input[dsl.Artifact],
        metrics: Input[Metrics], predictions: Input[dsl.Artifact],
        by_preprocess: Input[dsl.Artifact], by_train: Input[dsl.Artifact],
        by_test: Input[dsl.Artifact], result: Output[dsl.Artifact],
    ):  # fmt: skip
        """Bring the outputs to Git: DVC remote, retraining branch, pull request."""
        return container(
            "deploy", "deploy_component", "propose",
            "--repository", repository, "--folder", folder, "--reason", reason,
            "--train", train_set.path, "--test", test_set.path,
            "--model", model.path, "--curve", curve.path,
            "--metrics", metrics.path, "--predictions", predictions.path,
            "--made-from", by_preprocess.path, "--made-from", by_train.path,
            "--made-from", by_test.path, "--result", result.path,
        )  # fmt: skip

    @dsl.pipeline(name=name, description=f"Trains {NAME}, and proposes the model to Git")
    def training(
        repository: str = repository, commit: str = commit, folder: str = folder,
        propose: bool = True,
    ):  # fmt: skip
        """Train on one commit.

        Args:
            repository: Where the model's code, parameters and data come from.
            commit: What is fetched; a full hash, as fetched files are cached by it.
            folder: Where promotion.yaml is in it.
            propose: Whether a pull request proposes the model.
        """
        data = fetch(repository=repository, commit=commit, folder=folder)
        _runs(data, secret=f"{NAME}-training-read")
        sets = preprocess(params=data.outputs["params"], labelled=data.outputs["labelled"])
        _runs(sets)
        fitted = train(params=data.outputs["params"], train_set=sets.outputs["train_set"])
        _runs(fitted, cpu="2", memory="2G")
        tested = test(test_set=sets.outputs["test_set"], model=fitted.outputs["model"])
        _runs(tested)
        with dsl.If(propose == True, "propose"):  # noqa: E712 (kfp reads it)
            proposed = propose_model(
                repository=repository, folder=folder,
                reason=f"Kubeflow run {dsl.PIPELINE_JOB_ID_PLACEHOLDER}",
                train_set=sets.outputs["train_set"], test_set=sets.outputs["test_set"],
                model=fitted.outputs["model"], curve=fitted.outputs["curve"],
                metrics=tested.outputs["metrics"], predictions=tested.outputs["predictions"],
                by_preprocess=sets.outputs["made_from"], by_train=fitted.outputs["made_from"],
                by_test=tested.outputs["made_from"],
            )  # fmt: skip
            # What Git has may have changed since: it is asked each time.
            _runs(proposed, secret=f"{NAME}-training-write", caching=False)

    return training


def _runs(
    task: Any, *, cpu: str = "1", memory: str = "1G", secret: str = "", caching: bool = True
) -> None:
    """Say how a task runs. Cached is what the same image made of the same inputs."""
    task.set_caching_options(caching)
    task.set_retry(**RETRIES)
    task.set_cpu_request("250m").set_cpu_limit(cpu)
    task.set_memory_request("512M").set_memory_limit(memory)
    kubernetes.set_timeout(task, HOUR)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    # As in the images. The rest of restricted Pod Security is set by Kubeflow itself.
    kubernetes.set_security_context(
        task, run_as_user=10001, run_as_group=10001, run_as_non_root=True
    )
    if secret:
        kubernetes.use_secret_as_volume(task, secret, mount_path="/secrets", optional=True)
        for variable, key in SECRETS.items():
            task.set_env_variable(f"{variable}_FILE", f"/secrets/{key}")
