"""The workflows for several models: the same steps as for one, each for its own model, one check for all."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from model_gitops.core.protection import workflows
from model_gitops_local import docs, several_models

FOLDER = several_models.ROOT / several_models.FOLDER
ONE = several_models.ROOT / "templates/model/.github/workflows"
NAMES = sorted(several_models.WORKFLOWS)
RIGHTS = {"read": 1, "write": 2}


def load(place: Any) -> Any:
    return YAML(typ="safe").load(place)


def test_the_files_are_what_the_templates_make_of_them() -> None:
    found = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert found == several_models.files(), "make docs"


@pytest.mark.parametrize("name", NAMES)
def test_the_jobs_are_those_for_one_model(name: str) -> None:
    """The same jobs, rights, steps and inputs, and `config` in each step that reads the flow."""
    one, called = load(ONE / f"{name}.yml")["jobs"], load(FOLDER / f"{name}-model.yml")["jobs"]
    assert list(called) == list(one)
    for job, content in called.items():
        rest = {key: value for key, value in content.items() if key != "steps"}
        if "uses" in rest and one[job]["with"] != rest["with"]:
            assert rest["with"].pop("config") == "${{ inputs.config }}"
        assert rest == {key: value for key, value in one[job].items() if key != "steps"}
        if name == "fork" and job == "report":
            assert len(content["steps"]) == len(one[job]["steps"]) - 3
        for step, ours in zip(content.get("steps", ()), one[job].get("steps", ()), strict=False):
            given = dict(step.get("with", {}))
            config = given.pop("config", None)
            if "actions/notify@" in step.get("uses", "") and "model" not in ours["with"]:
                assert given.pop("model") == "${{ inputs.config }}"
            assert given == ours.get("with", {})
            assert {**step, "with": 0} == {**ours, "with": 0}
            action = step.get("uses", "").partition("actions/")[2].partition("@")[0]
            if "model-gitops/" in step.get("uses", "") and "model" not in step.get("with", {}):
                inputs = docs.metadata(several_models.ROOT / "actions" / action)["inputs"]
                assert config == ("${{ inputs.config }}" if "config" in inputs else None), step


@pytest.mark.parametrize("name", NAMES)
def test_the_caller_hands_on_the_model_and_no_more_rights_than_the_jobs_take(name: str) -> None:
    found, called = load(FOLDER / f"{name}.yml"), load(FOLDER / f"{name}-model.yml")
    assert (found.get("on") or found[True]) == (
        load(ONE / f"{name}.yml").get("on") or load(ONE / f"{name}.yml")[True]
    )
    model = found["jobs"]["model"]
    assert model["uses"] == f"./.github/workflows/{name}-model.yml"
    assert model["with"] == {"config": "${{ matrix.config }}"}
    needed: dict[str, str] = {}
    for job in called["jobs"].values():
        for right, level in job["permissions"].items():
            needed[right] = max(level, needed.get(right, "read"), key=RIGHTS.__getitem__)
    assert model["permissions"] == needed
    assert ("secrets" in model) == (name != "fork")


def test_a_waiting_deployment_is_replaced_by_none_of_another_model() -> None:
    found = load(FOLDER / "deploy.yml")
    group = found["jobs"]["model"]["concurrency"]
    assert group == {
        "group": "deploy-${{ github.ref }}-${{ matrix.config }}",
        "cancel-in-progress": False,
    }
    assert found["concurrency"]["group"] == "deploy-${{ github.sha }}"


def test_one_check_is_required_whichever_models_are_touched() -> None:
    files = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    models = {"Check every changed model", "Check every changed model of a fork"}
    for branch, more in (("main", {"Check every component"}), ("staging", set[str]())):
        found = workflows.required_checks(workflows.load(files), branch).names
        assert found == models | more


@pytest.mark.parametrize("name", ["promote", "fork"])
def test_the_required_check_can_not_be_skipped_by_a_failure(name: str) -> None:
    jobs = load(FOLDER / f"{name}.yml")["jobs"]
    assert jobs["models"]["needs"] == ["changed", "model"]
    # The same condition as where it starts: for a fork's pull request one of the two workflows judges.
    assert jobs["models"]["if"] == f"always() && {jobs['changed']['if']}"
