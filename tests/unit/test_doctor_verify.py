"""Whether a workflow does the verifications that promotion.yaml asks for, as doctor sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from model_gitops.core.doctor import verifying, workflows
from model_gitops.core.doctor.finding import Finding
from model_gitops.core.flow import promotion

TEMPLATES = Path(__file__).parents[2] / "templates"
VERIFY: dict[str, Any] = {"url": "https://example.com"}


def judged(documents: dict[str, Any], environment: Any = None, **more: Any) -> Finding:
    said = {"name": "dev", "branch": "main", **(environment or {})}
    rules = {"model": "m", "image": "ghcr.io/a/m", "environments": [said], "verify": VERIFY, **more}
    one = promotion.parse(rules)
    return verifying.workflows(workflows.read_all(documents), [one], one)


def template(name: str) -> dict[str, Any]:
    folder = TEMPLATES / name / ".github" / "workflows"
    yaml = YAML(typ="safe")
    return {f".github/workflows/{one.name}": yaml.load(one) for one in folder.glob("*.yml")}


def using(on: str, action: str, **job: Any) -> dict[str, Any]:
    step = {"uses": f"model-gitops/model-gitops/actions/{action}@v0"}
    return {"on": on, "jobs": {"j": {**job, "steps": [step]}}}


@pytest.mark.parametrize("name", ["model", "several-models"])
def test_the_templates_verify_what_they_deploy(name: str) -> None:
    found = judged(template(name))
    assert (found.ok, found.found) == (True, ".github/workflows/deploy.yml: dev")


@pytest.mark.parametrize(
    ("name", "file"), [("model", "deploy.yml"), ("several-models", "deploy-model.yml")]
)
def test_a_deployment_that_nobody_verifies_and_the_job_that_does(name: str, file: str) -> None:
    documents = template(name)
    path = f".github/workflows/{file}"
    del documents[path]["jobs"]["verify"]
    found = judged(documents)
    assert found.ok is False
    assert found.found == f"{path} deploys to dev, and has no workflow verify it"
    place, _, job = found.fix.partition(": ")
    assert place == f"in {path}, under jobs"
    documents[path]["jobs"] |= YAML(typ="safe").load(job)
    assert judged(documents).ok is True
    assert documents[path]["jobs"]["verify"]["needs"] == ["check", "deploy"]
    # What is deployed by a pull request is verified after its merge.
    assert judged(documents, {"deploy": "pull-request"}).ok is True


def test_without_a_workflow_nobody_writes_the_status() -> None:
    documents = template("model")
    del documents[".github/workflows/verify.yml"]
    found = judged(documents)
    assert found.ok is False
    assert "waits for a status that nobody writes" in found.found
    assert found.fix.startswith("copy verify.yml, and rollback.yml")
    assert judged(documents, {"verify": False}).found == "promotion.yaml asks for no verification"


@pytest.mark.parametrize("event", ["push", "workflow_run"])
def test_a_workflow_of_ones_own_that_follows_a_deployment_will_do(event: str) -> None:
    deploys = using("push", "bump-kustomize-tag")
    assert judged({"d.yml": deploys, "v.yml": using(event, "verify-deployment")}).ok is True
    late = judged({"d.yml": deploys, "v.yml": using("schedule", "verify-deployment")})
    assert late.ok is False
    assert late.fix.startswith("in d.yml, under jobs: verify: {needs: [j], ")
    assert 'with: {environment: "dev"}' in late.fix


def test_what_a_workflow_of_another_repository_does_nobody_can_say() -> None:
    jobs = {"c": {"uses": "acme/shared/.github/workflows/verify.yml@v1"}}
    found = judged(
        {"d.yml": using("push", "bump-kustomize-tag"), "c.yml": {"on": "push", "jobs": jobs}}
    )
    assert (found.ok, "acme/shared" in found.found) == (None, True)


def test_workflows_that_call_each_other_have_an_end() -> None:
    jobs = {"c": {"uses": "./a.yml"}}
    found = workflows.read_all(
        {"a.yml": {"on": "push", "jobs": jobs}, "b.yml": using("push", "status")}
    )
    assert [one.path for one in found] == ["b.yml"]
