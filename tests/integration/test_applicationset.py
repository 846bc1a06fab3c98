"""The ApplicationSet of the deploy template makes the Applications that are in its `argocd/`, and builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_templates import rendered, renderer
from manifest_checks import problems

from model_gitops.adapters import process
from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"
__all__ = ["renderer"]
FILE = TEMPLATE / "applicationset" / "applicationset.yaml"


def applicationset() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text("utf-8")))


def children(renderer: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """The Applications, as Argo CD makes them of a checkout: generators, template, patch."""
    spec = applicationset()["spec"]
    (generator,) = spec["generators"]
    listed, found = generator["matrix"]["generators"]
    for element in listed["list"]["elements"]:
        for pattern in found["git"]["directories"]:
            for place in sorted(folder.glob(pattern["path"])):
                path = str(place.relative_to(folder))
                params = {
                    **element,
                    "path": {"path": path, "basename": place.name, "segments": path.split("/")},
                }
                yield child(renderer, spec, params)


def child(renderer: Path, spec: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    # Each text of the template is a template of its own.
    template, patch = rendered(
        renderer, [yaml.safe_dump(spec["template"], width=10000), spec["templatePatch"]], params
    )
    return merged(yaml.safe_load(template), yaml.safe_load(patch))


def merged(one: Any, patch: Any) -> Any:
    """A merge patch: https://datatracker.ietf.org/doc/html/rfc7396."""
    if not isinstance(patch, dict) or not isinstance(one, dict):
        return patch
    return {**one, **{key: merged(one.get(key), value) for key, value in patch.items()}}


def by_hand() -> dict[str, dict[str, Any]]:
    """The Applications in argocd/, by their names."""
    found = {}
    for file in (TEMPLATE / "argocd").rglob("*.yaml"):
        for one in yaml.safe_load_all(file.read_text("utf-8")):
            if one["kind"] == "Application":
                found[one["metadata"]["name"]] = one
    return found


def test_its_children_are_the_applications_in_argocd(renderer: Path) -> None:
    made = {one["metadata"]["name"]: one for one in children(renderer, TEMPLATE)}
    wanted = by_hand()
    assert sorted(made) == sorted(wanted)
    assert len(made) == 5
    for name, one in made.items():
        assert one["spec"] == wanted[name]["spec"], name
        written = wanted[name]["metadata"]
        for key in ("annotations", "labels"):
            assert written.get(key) in (None, one["metadata"][key]), name
        # What it deployed stays when an Application of an ApplicationSet goes: no finalizer removes it.
        assert "finalizers" not in one["metadata"]
        assert problems({**{key: wanted[name][key] for key in ("apiVersion", "kind")}, **one}) == []


def test_each_childs_path_builds(renderer: Path) -> None:
    kustomize = toolchain.ensure("kustomize")
    for one in children(renderer, TEMPLATE):
        path = TEMPLATE / one["spec"]["source"]["path"]
        assert "kind:" in process.run([kustomize, "build", path]).stdout


def test_the_last_environment_waits_for_a_person(renderer: Path) -> None:
    steps = applicationset()["spec"]["strategy"]["rollingSync"]["steps"]
    for one in children(renderer, TEMPLATE):
        environment = one["metadata"]["labels"]["environment"]
        (step,) = (step for step in steps if environment in step["matchExpressions"][0]["values"])
        by_a_person = environment == "production"
        assert ("automated" not in one["spec"]["syncPolicy"]) is by_a_person
        assert (step.get("maxUpdate") == 0) is by_a_person


def test_another_overlay_has_its_application(renderer: Path, tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE / "overlays", tmp_path / "overlays")
    shutil.copytree(TEMPLATE / "overlays" / "dev", tmp_path / "overlays" / "dev-eu")
    made = {one["metadata"]["name"]: one for one in children(renderer, tmp_path)}
    assert sorted(made) == [
        "diabetes-dev",
        "diabetes-dev-eu",
        "diabetes-production",
        "diabetes-staging",
    ]
    assert made["diabetes-dev-eu"]["spec"]["source"]["path"] == "overlays/dev-eu"


def test_a_name_that_no_generator_gives_is_an_error(renderer: Path) -> None:
    spec = applicationset()["spec"]
    path = {"path": "overlays/dev", "basename": "dev", "segments": ["overlays", "dev"]}
    with pytest.raises(process.ProcessError, match='map has no entry for key "repository"'):
        child(renderer, spec, {"model": "diabetes", "path": path})


def test_it_keeps_what_runs() -> None:
    found = applicationset()
    assert problems(found) == []
    policy = found["spec"]["syncPolicy"]
    assert policy == {"applicationsSync": "create-update", "preserveResourcesOnDeletion": True}
    found["spec"]["syncPolicy"]["preserveResources"] = True
    assert "preserveResources" in problems(found)[0]


def notifications() -> dict[str, str]:
    text = (TEMPLATE / "argocd-settings" / "notifications.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text)["data"])


def test_a_notification_starts_verify_yml(renderer: Path) -> None:
    data = notifications()
    (trigger,) = yaml.safe_load(data["trigger.model-gitops-deployed"])
    (name,) = trigger["send"]
    (service, sent) = next(iter(yaml.safe_load(data[f"template.{name}"])["webhook"].items()))
    to = yaml.safe_load(data[f"service.webhook.{service}"])
    assert "$model-repository-token" in to["headers"][0]["value"], "a reference, not a token"
    assert to["url"] + sent["path"] == (
        "https://api.github.com/repos/acme/diabetes/actions/workflows/verify.yml/dispatches"
    )
    workflow = TEMPLATE.parent / "model" / ".github" / "workflows" / "verify.yml"
    # YAML 1.1 reads `on` as true.
    inputs = yaml.safe_load(workflow.read_text("utf-8"))[True]["workflow_dispatch"]["inputs"]
    for one in by_hand().values():
        if "labels" not in one["metadata"]:
            continue
        body = json.loads(rendered(renderer, [sent["body"]], {"app": one})[0])
        assert body["ref"] == "refs/heads/main"
        assert set(body["inputs"]) <= set(inputs)
        assert body["inputs"]["environment"] in inputs["environment"]["options"]
