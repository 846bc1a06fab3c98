"""promotion.yaml of a project that is not the template: its commands, image, stages and folders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.core import document
from model_gitops.core.flow import commands, promotion, training
from model_gitops.core.flow.building import Build
from model_gitops.errors import InputError

DIGEST = f"sha256:{'0a' * 32}"
ENVIRONMENTS = [{"name": "dev", "branch": "main"}, {"name": "live", "branch": "live"}]


def load(folder: str = "", **given: Any) -> promotion.Promotion:
    data = {"model": "m", "image": "ghcr.io/a/m", "environments": ENVIRONMENTS, **given}
    document.validate(data, promotion_schema(), source="p.yaml")
    return promotion.parse(data, source="p.yaml", folder=folder)


def refusal(**given: Any) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        load(**given)
    return caught.value.message, caught.value.fix


def test_an_image_that_is_built_here_says_how() -> None:
    assert load().build == Build()
    assert load("churn").build == Build(dockerfile="churn/Dockerfile", context="churn")
    found = load(
        "churn",
        image={
            "name": "ghcr.io/a/m",
            "context": "serving",
            "target": "serve",
            "smoke-test": "smoke.yaml",
            "build-contexts": {"model": "models", "base": "docker-image://debian"},
        },
    )
    assert found.image == "ghcr.io/a/m"
    assert found.build == Build(
        dockerfile="churn/serving/Dockerfile",
        context="churn/serving",
        target="serve",
        smoke_test="churn/smoke.yaml",
        contexts={"model": "churn/models", "base": "docker-image://debian"},
    )
    assert load(image={"name": "ghcr.io/a/m", "smoke-test": False}).build.smoke_test == ""


def test_an_image_that_is_built_elsewhere_has_a_digest() -> None:
    found = load(image={"name": "ghcr.io/a/m", "build": False, "digest": DIGEST, "tag": "v7"})
    assert found.build.elsewhere == f"ghcr.io/a/m:v7@{DIGEST}"
    assert load().build.elsewhere == ""


@pytest.mark.parametrize(
    ("image", "said", "fix"),
    [
        ({"build": False}, "no digest", "digest: sha256:…"),
        ({"digest": DIGEST}, "has a digest, and is built by the workflows", "build: false"),
        ({"tag": "v1"}, "has a tag, and is built by the workflows", "leave out `tag`"),
        ({"build": False, "digest": DIGEST, "target": "x"}, "`target` says how", "`target`"),
        ({"context": "../x"}, "leads out of the repository", "give a path inside"),
        ({"build-contexts": {"a": "oci-layout:///etc"}}, "leads out of the", "give a path inside"),
        ({"build-contexts": {"a": "/etc"}}, "leads out of the", "give a path inside"),
        ({"digest": "sha256:0"}, "at image.digest", "digest: sha256:2c26"),
        ({"name": "ghcr.io/a/m:v1"}, "holds a tag or digest", "image: ghcr.io/a/m "),
        ({"name": "ghcr.io/A/m"}, "is lowercase letters", "image: ghcr.io/a/m"),
        ({"dockerfile": "../x"}, "leads out of the repository", "dockerfile: Dockerfile"),
        ({"context": "https://h/a.git"}, "it is an address", "`build-contexts`"),
        ({"target": "a b"}, "no stage of a Dockerfile", "target: serve"),
        ({"smoke-test": True}, "it is true, and it must be text or false", "tests/smoke.yaml"),
        ({"build": "false"}, 'it is "false", and it must be true or false', "build: false"),
        ({"tag": 1.1}, "it must be text: write it in quotes", "tag: v1.2.3"),
        ({"build-contexts": {"a": 3}}, "a: it is 3", "build-contexts: {model: models}"),
    ],
)
def test_an_image_that_says_what_can_not_be(image: Any, said: str, fix: str) -> None:
    message, mend = refusal(image={"name": "ghcr.io/a/m", **image})
    assert said in message
    assert fix in mend


def test_a_stage_may_have_another_name_than_its_environment() -> None:
    found = load(environments=[{**ENVIRONMENTS[0], "stage": "eu/dev"}, ENVIRONMENTS[1]])
    assert [one.stage for one in found.environments] == ["eu/dev", "live"]
    assert refusal(environments=[{**ENVIRONMENTS[0], "stage": "eu.dev"}])[1] == "stage: eu-dev"
    twice = refusal(environments=[{**ENVIRONMENTS[0], "stage": "live"}, ENVIRONMENTS[1]])
    assert "two environments have the same stage" in twice[0]


def test_an_overlay_is_in_the_model_s_folder() -> None:
    deploy = {"repository": "a/d", "path": "apps/{model}/{environment}"}
    overlays = [one.overlay for one in load("churn", deploy=deploy).environments]
    assert overlays == ["apps/m/dev", "apps/m/live"]


@pytest.mark.parametrize(
    ("line", "said", "fix"),
    [
        ("a\nb\n", "`commands.test` is written as a block", "test: a && b (or a script"),
        ("a\n", "is written as a block", "test: a"),
        ("  ", "it has only blanks", "test: python -m pytest"),
        (["a"], "it is [a], and it must be text or false or null", "test: python -m pytest"),
        ("a" * 4001, "it has 4001 characters", "test: python -m pytest"),
    ],
)
def test_a_command_is_one_line(line: Any, said: str, fix: str) -> None:
    message, mend = refusal(commands={"test": line})
    assert said in message
    assert mend.startswith(fix)


@pytest.mark.parametrize("path", ["/o/{environment}", "../{environment}"])
def test_an_overlay_is_in_the_deploy_repository(path: str) -> None:
    assert refusal(deploy={"repository": "a/d", "path": path})[1].endswith("{environment}")


def test_a_command_is_the_project_s_own_or_a_target_of_its_makefile() -> None:
    said = load(commands={"test": " pytest -q ", "smoke": False, "env": None}).commands
    makefile = (
        "check lint: env\n\truff check\nreproduce::\n\tdvc repro\npush := x\n.PHONY: commit\n"
    )
    planned = [commands.plan(name, said, commands.read(makefile)) for name in commands.NAMES]
    assert {one.name: one.line for one in planned if one.line} == {
        "check": "make check",
        "test": "pytest -q",
        "reproduce": "make reproduce",
    }
    skipped = {one.name: one.skipped for one in planned if one.skipped}
    assert set(skipped) == {"env", "smoke", "push", "commit"}
    assert skipped["smoke"] == "promotion.yaml says `smoke: false`"
    assert "no target" in skipped["push"]
    assert "nor a Makefile" in commands.plan("check", {}, None).skipped


def examples(rule: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name, one in rule.get("properties", {}).items():
        yield f"{place}.{name}", one, promotion_schema()
        yield from examples(one, f"{place}.{name}")
    if "items" in rule:
        yield from examples(rule["items"], f"{place}[]")
    if "verify" in rule.get("$defs", {}):
        yield from examples(rule["$defs"]["verify"], ".verify")


@pytest.mark.parametrize(
    ("place", "rule", "schema"), list(examples(promotion_schema())), ids=lambda one: str(one)[:40]
)
def test_each_key_has_an_example_that_the_schema_takes(place: str, rule: Any, schema: Any) -> None:
    assert rule["description"]
    checked = {**rule, "$defs": schema["$defs"]}
    for one in rule["examples"]:
        jsonschema.validate(one, checked, jsonschema.Draft202012Validator)


def test_a_repository_without_training_has_none_and_its_components_have_defaults() -> None:
    assert load().training is None
    found = load("churn").components
    assert found.folder_of("train") == "churn/components/train"
    assert found.context_of("train") == "churn"
    assert found.image_of("train") == "ghcr.io/a/m-train"
    assert found.entry("train") == "m-train"
    assert found.environments == ("live",)
    assert found.overlay("live") == "training/overlays/live"
    assert (found.workflow, found.namespace_in("live")) == ("m-training", "m-training-live")
    assert load("churn", training={}).training == found


def test_training_says_where_its_components_and_overlays_are() -> None:
    found = load(
        "churn",
        training={
            "components": "steps",
            "context": "steps/{component}",
            "image": "ghcr.io/b/{model}/{component}",
            "path": "{model}/{environment}/training",
            "environments": ["dev", "live"],
            "engine": "kubeflow",
            "namespace": "kf-{environment}",
        },
    ).training
    assert found is not None
    assert found.folder_of("train") == found.context_of("train") == "churn/steps/train"
    assert found.image_of("train") == "ghcr.io/b/m/train"
    assert [found.overlay(one) for one in found.environments] == [
        "m/dev/training",
        "m/live/training",
    ]
    assert [found.before(one) for one in found.environments] == ["", "dev"]
    assert found.namespace_in("dev") == "kf-dev"
    assert refusal_of(found, "Train").message == (
        "input `component` is 'Train': its image would be ghcr.io/b/m/Train, and no registry takes such a name"
    )


def refusal_of(found: training.Training, component: str) -> InputError:
    with pytest.raises(InputError) as caught:
        found.image_of(component)
    return caught.value


@pytest.mark.parametrize(
    ("entry", "said", "fix"),
    [
        ({"components": "../x"}, "leads out of the repository", "give a path inside"),
        ({"context": "../{component}"}, "leads out of the repository", "give a path inside"),
        ({"context": "{environment}"}, "{model}, {component}", "context: ."),
        ({"image": "ghcr.io/a/m"}, "it has no {component}", "{model}-{component}"),
        ({"image": "ghcr.io/A/{component}"}, "is lowercase letters", "image: ghcr.io"),
        ({"image": "ghcr.io/a/{component}:v1"}, "holds a tag or digest", "image: ghcr.io"),
        ({"path": "../{environment}"}, "no folder of the deploy repository", "path: training"),
        ({"path": "t", "environments": ["dev", "live"]}, "would have the same", "path: training"),
        ({"path": "overlays/{environment}"}, "serves from this overlay", "path: training"),
        ({"environments": ["live", "dev"]}, "in this order", "environments: [dev, live]"),
        ({"environments": ["live", "live"]}, "each once", "environments: [live]"),
        ({"environments": ["qa"]}, "some of dev, live", "environments: [live]"),
        ({"workflow": "Train_it"}, "a name in Kubernetes", "workflow: {model}-training"),
        ({"namespace": "-{environment}"}, "a name in Kubernetes", "namespace: {model}"),
        ({"engine": "airflow"}, "at training.engine", "engine: kubeflow"),
        ({"enviroments": ["live"]}, "enviroments", ""),
    ],
)
def test_training_that_says_what_can_not_be(entry: Any, said: str, fix: str) -> None:
    message, mend = refusal(training=entry)
    assert said in message
    assert fix in mend
