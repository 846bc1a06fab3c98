"""Who may only push a branch, a tag or an image moves no environment: each way that was tried.

Row 1 (a planted image) is in test_insider_images.py, rows 9 and 11 (what a job leaves behind for the
next, and what an install may bring) are in test_insider_store.py: these need other real parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from promotion_world import DIGEST, PROMOTION, Flow, copy_of, deployed, flow
from ruamel.yaml import YAML
from world import DEPLOY, HASHES, READER

__all__ = ["copy_of", "deployed", "flow"]

ROOT = Path(__file__).parents[2]


def rules(**changes: object) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def test_row_2_a_pull_request_brings_its_own_rules(deployed: Flow) -> None:
    """It lists production first, and has no gate."""
    turned = rules(environments=PROMOTION["environments"][::-1], gate=[])
    deployed.change("experiment/eve", deployed.files("worse", 5) | turned)
    deployed.pull_request("experiment/eve", "production")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3
    assert "production takes changes only from branch 'staging'" in told.log
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3
    assert "0.111 is worse than 0.455" in told.log


def test_row_3_a_pull_request_into_main_names_productions_overlay(deployed: Flow) -> None:
    moved = rules(deploy={"repository": DEPLOY, "path": "overlays/production"})
    deployed.change("experiment/eve", moved)
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 2
    assert "every environment would have the same overlay" in told.log
    # Each environment by its own path: then no two have one.
    twice = [one | {"path": "overlays/production"} for one in PROMOTION["environments"]]
    deployed.change("experiment/eve", rules(environments=twice))
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 2
    assert "two environments have the same path" in told.log
    # A path of one's own for dev counts after the merge, which reviewers of promotion.yaml decide.
    own = [PROMOTION["environments"][0] | {"path": "overlays/x"}, *PROMOTION["environments"][1:]]
    deployed.change("experiment/eve", rules(environments=own))
    deployed.pull_request("experiment/eve", "main")
    found = deployed.outputs("check-promotion")
    assert (found["deploy-path"], found["rules-changed"]) == ("overlays/dev", "true")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_row_4_the_token_goes_to_the_server_that_it_is_for(deployed: Flow, scheme: str) -> None:
    """Also where the rules themselves, once merged, name another one."""
    other = f"{scheme}://another.example/acme/deploy"
    deployed.set_rules(deploy={"repository": other})
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    for action, inputs in (
        ("check-promotion", {}),
        ("gate-metrics", {}),
        ("status", {}),
        ("trace-model", {"subject": "dev"}),
        (
            "bump-kustomize-tag",
            {"repository": other, "path": "overlays/dev", "images": f"diabetes=x:y@{DIGEST}"},
        ),
    ):
        told = deployed.run(action, token=READER, **inputs)
        assert told.code == 2, (action, told.log)
        assert "is sent to no other server" in told.log
        assert READER not in told.log


def test_row_5_a_test_of_the_branch_rewrites_the_metrics(deployed: Flow) -> None:
    deployed.change("experiment/eve", deployed.files("worse", 5))
    deployed.pull_request("experiment/eve", "main")
    (deployed.work.directory / "metrics.json").write_text('{"r2": 0.99}', encoding="utf-8")
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3
    assert "0.111 is worse than 0.455" in told.log


def test_row_6_metrics_are_committed_by_hand(deployed: Flow) -> None:
    deployed.change("experiment/eve", deployed.files("worse", 5) | {"metrics.json": '{"r2": 0.99}'})
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3
    assert "can't judge this candidate" in told.log
    assert "stage evaluate has metrics.json with hash" in told.log


@pytest.mark.parametrize("tag", ["diabetes#dev#9", "diabetes@deprecated"])
def test_row_7_tags_choose_no_champion(deployed: Flow, tag: str) -> None:
    """A stage on an empty commit, a model withdrawn, and two versions on one commit."""
    work = deployed.work
    work.run("checkout", "--quiet", "--orphan", "empty")
    work.run("rm", "--quiet", "-r", "--force", ".")
    work.run("commit", "--quiet", "--allow-empty", "-m", "empty")
    for name in ("diabetes@v0.0.9", "diabetes@v0.0.8", tag):
        work.run("tag", "--annotate", "-m", name, name)
        work.run("push", "--quiet", "origin", name)
    deployed.change("experiment/eve", deployed.files("worse", 5))
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3, told.log
    assert "0.111 is worse than 0.455" in told.log
    # And no workflow stops for it.
    assert deployed.run("check-promotion", token=READER).code == 0


def test_row_8_the_base_is_changed_after_the_checks(deployed: Flow) -> None:
    """Nothing runs again on a changed base, but what is pushed must be what staging runs."""
    deployed.change("production", deployed.files("worse", 5), "production")
    deployed.push("production")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3
    assert "staging runs nothing yet" in told.log
    deployed.change("staging", deployed.files("worse", 5), "staging")
    deployed.push("staging")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3
    assert f"the hash {HASHES['worse']}, and dev runs diabetes v0.0.1" in told.log
    # It is what dev runs that is promoted, whatever else main has.
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    assert deployed.outputs("check-promotion")["promote-image"].endswith(f"@{DIGEST}")


@pytest.mark.parametrize(
    "file", ["/proc/self/environ", "/etc/hostname", "link", "../event.json", ".git/config"]
)
def test_row_10_the_smoke_test_sends_a_file_of_the_runner(deployed: Flow, file: str) -> None:
    top = deployed.work.directory
    (top / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (top / "link").symlink_to("/proc/self/environ")
    (top.parent / "event.json").touch()
    told = deployed.run(
        "build-push-image",
        image="registry.example/acme/diabetes",
        tag="x",
        smoke_test=f"request: {{body-file: '{file}'}}",
    )
    assert told.code == 2, told.log
    assert "is no file of the workspace" in told.log


def jobs() -> Iterator[tuple[str, Any]]:
    for file in sorted(ROOT.glob("templates/*/.github/workflows/*.yml")):
        for name, job in YAML(typ="safe").load(file)["jobs"].items():
            yield f"{file.name}: {name}", job


def test_row_12_what_writes_the_deploy_repository_is_a_secret_of_environments() -> None:
    """A job that names it runs in a GitHub environment, whose branches its owner chose."""
    seen = [name for name, job in jobs() if _secrets(job) & {"DEPLOY_TOKEN", "DEPLOY_KEY"}]
    without = [name for name, job in jobs() if name in seen and "environment" not in job]
    assert seen
    assert without == []


def _secrets(job: Any) -> set[str]:
    text = json.dumps(job)
    return {name for name in ("DEPLOY_TOKEN", "DEPLOY_KEY") if f"secrets.{name}" in text}
