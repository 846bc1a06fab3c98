"""What the workflows are told of the image: how it is built and tested, or which one it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from promotion_world import PROMOTION, Flow

DIGEST = f"sha256:{'3c' * 32}"
ELSEWHERE = {"name": PROMOTION["image"], "build": False, "digest": DIGEST, "tag": "v7"}
SMOKE = {"tests/smoke.yaml": "http: {}\n"}


def rules(**changes: object) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def image(**more: Any) -> dict[str, str]:
    return rules(image={"name": PROMOTION["image"], **more})


@pytest.fixture
def trained(flow: Flow) -> Flow:
    """A model on main, and a smoke test."""
    flow.change("main", flow.files("better", 60) | SMOKE)
    return flow


def proposed(flow: Flow, files: dict[str, str]) -> dict[str, str]:
    flow.change("experiment/a", files)
    flow.pull_request("experiment/a", "main")
    return flow.outputs("check-promotion")


def test_without_a_word_of_it_the_image_is_built_as_always(trained: Flow) -> None:
    found = proposed(trained, {"train.py": "x"})
    assert (found["dockerfile"], found["context"], found["target"]) == ("Dockerfile", ".", "")
    assert found["smoke-test"] == "tests/smoke.yaml"
    assert (found["promote-image"], found["built-elsewhere"]) == ("", "false")


def test_a_change_is_built_as_it_says_itself(trained: Flow) -> None:
    said = {"dockerfile": "docker/file", "context": "docker", "target": "serve"}
    found = proposed(
        trained, image(**said, **{"smoke-test": "ci/s.yaml", "build-contexts": {"model": "out"}})
    )
    assert {name: found[name] for name in said} == said
    assert (found["smoke-test"], found["build-contexts"]) == ("ci/s.yaml", "model=out")
    assert "`image.target`" in found["rules"]


@pytest.mark.parametrize("dropped", [{"smoke-test": False}, {}])
def test_a_change_can_not_drop_the_test_of_its_base(trained: Flow, dropped: Any) -> None:
    trained.work.run("checkout", "--quiet", "--detach", trained.sha("main"))
    trained.work.run("rm", "--quiet", "tests/smoke.yaml")
    trained.commit(trained.work, image(**dropped), "experiment/a")
    trained.pull_request("experiment/a", "main")
    # build-push-image then says that the file is not there.
    assert trained.outputs("check-promotion")["smoke-test"] == "tests/smoke.yaml"
    # After the merge its own word counts.
    trained.work.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    trained.push("main")
    assert trained.outputs("check-promotion")["smoke-test"] == ""


def test_a_project_without_a_smoke_test_is_told_so(flow: Flow) -> None:
    flow.change("experiment/a", flow.files("better", 60))
    flow.pull_request("experiment/a", "main")
    told = flow.run("check-promotion")
    assert "the image is not tested: there is no tests/smoke.yaml" in told.log


def test_an_image_that_others_build_is_taken_by_the_first_environment(trained: Flow) -> None:
    found = proposed(trained, rules(image=ELSEWHERE))
    wanted = f"{PROMOTION['image']}:v7@{DIGEST}"
    assert (found["promote-image"], found["built-elsewhere"]) == (wanted, "true")
    assert {found[name] for name in ("dockerfile", "context", "smoke-test", "build-contexts")} == {
        ""
    }
    assert (found["promote-version"], found["promote-fingerprint"]) == ("", "")
    trained.work.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    trained.push("main")
    assert trained.outputs("check-promotion")["promote-image"] == wanted
    # A later environment takes what the one before it runs, and no other.
    commit = trained.sha("main")
    trained.deploy("dev", commit, DIGEST)
    trained.change("staging", trained.files("better", 60) | rules(image=ELSEWHERE), "staging")
    trained.push("staging")
    found = trained.outputs("check-promotion")
    assert found["promote-image"] == f"{PROMOTION['image']}:{commit}@{DIGEST}"
    assert found["built-elsewhere"] == "false"


def test_a_stage_of_another_name_is_the_one_that_is_put_out(trained: Flow) -> None:
    stages = [{**one, "stage": f"eu/{one['name']}"} for one in PROMOTION["environments"]]
    trained.change("main", rules(environments=stages))
    trained.assign("eu/dev", trained.sha("main"))
    trained.push("main")
    found = trained.outputs("check-promotion")
    assert (found["environment"], found["stage"]) == ("dev", "eu/dev")
    assert found["incumbent"] == "v0.0.1"
