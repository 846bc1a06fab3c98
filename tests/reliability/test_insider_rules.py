"""Ways around the rules and the gate that an attacker found after they stood: none leads on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from promotion_world import DIGEST, PROMOTION, Flow, copy_of, deployed, flow
from world import DEPLOY, HASHES, READER, Told, md5

from model_gitops.adapters import project_files
from model_gitops.core.dvc import artifacts
from model_gitops.errors import InputError

__all__ = ["copy_of", "deployed", "flow"]

ENVIRONMENTS = PROMOTION["environments"]


def rules(**changes: object) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def link(flow: Flow, name: str, target: str, files: dict[str, str], branch: str) -> None:
    """Commit `files`, and `name` as a symbolic link."""
    flow.work.run("checkout", "--quiet", "--detach", flow.sha("main"))
    place = flow.work.directory / name
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    flow.commit(flow.work, files, branch)


def test_a_linked_promotion_yaml_brings_no_rules_of_its_own(deployed: Flow) -> None:
    own = json.dumps(PROMOTION | {"environments": ENVIRONMENTS[::-1], "gate": []})
    files = deployed.files("worse", 5) | {"own.yaml": own}
    link(deployed, "promotion.yaml", "own.yaml", files, "experiment/eve")
    deployed.pull_request("experiment/eve", "production")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3, told.log
    deployed.pull_request("experiment/eve", "main")
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3
    assert "0.111 is worse than 0.455" in told.log


def test_a_push_is_held_to_the_rules_before_it(deployed: Flow) -> None:
    turned = rules(environments=ENVIRONMENTS[::-1])
    deployed.change("production", deployed.files("worse", 5) | turned, "production")
    deployed.push("production")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3
    assert "staging runs nothing yet" in told.log


def test_a_push_takes_over_no_overlay_of_another_environment(deployed: Flow) -> None:
    first, second, third = ENVIRONMENTS
    swapped = [
        first | {"path": "overlays/production"},
        second,
        third | {"path": "overlays/elsewhere"},
    ]
    deployed.change("main", rules(environments=swapped))
    deployed.push("main")
    told = deployed.run("check-promotion", token=READER)
    assert told.code == 3
    assert "the overlay overlays/production, which was production's before it" in told.log


def judge(flow: Flow, files: dict[str, str]) -> Told:
    flow.change("experiment/eve", files)
    flow.pull_request("experiment/eve", "main")
    return flow.run("gate-metrics", token=READER)


def without_the_stage(files: dict[str, str], lock: Any) -> None:
    del lock["stages"]["evaluate"]


def without_a_hash(files: dict[str, str], lock: Any) -> None:
    del lock["stages"]["evaluate"]["outs"][0]["md5"]


def under_another_name(files: dict[str, str], lock: Any) -> None:
    files["dvc.yaml"] = files["dvc.yaml"].replace("evaluate:", "measure:")


def without_the_model(files: dict[str, str], lock: Any) -> None:
    out = {"path": "metrics.json", "hash": "md5", "md5": md5(files["metrics.json"]), "size": 1}
    lock["stages"]["evaluate"] = {"cmd": "x", "outs": [out]}
    files["dvc.yaml"] = files["dvc.yaml"].replace(
        "{cmd: x, deps: [m.bin], metrics", "{cmd: x, metrics"
    )


def by_predictions_of_another_model(files: dict[str, str], lock: Any) -> None:
    made = {"path": "pred.csv", "hash": "md5", "md5": md5("pred"), "size": 1}
    model = {"path": "m.bin", "hash": "md5", "md5": HASHES["better"], "size": 1}
    out = {"path": "metrics.json", "hash": "md5", "md5": md5(files["metrics.json"]), "size": 1}
    lock["stages"]["predict"] = {"cmd": "x", "deps": [model], "outs": [made]}
    lock["stages"]["evaluate"] = {"cmd": "x", "deps": [made], "outs": [out]}
    files["dvc.yaml"] = files["dvc.yaml"].replace(
        "evaluate: {cmd: x, deps: [m.bin]",
        "predict: {cmd: x, deps: [m.bin], outs: [pred.csv]}\n  evaluate: {cmd: x, deps: [pred.csv]",
    )


def as_a_pointer_of_git_lfs(files: dict[str, str], lock: Any) -> None:
    files["metrics.json"] = '{"version https://git-lfs.github.com/spec/v1": 1, "r2": 0.99}'


@pytest.mark.parametrize(
    "change",
    [
        without_the_stage, without_a_hash, under_another_name, without_the_model,
        by_predictions_of_another_model, as_a_pointer_of_git_lfs,
    ],
)  # fmt: skip
def test_metrics_that_no_run_on_this_model_wrote_are_refused(
    deployed: Flow, change: Callable[[dict[str, str], Any], None]
) -> None:
    files = deployed.files("worse", 5) | {"metrics.json": '{"r2": 0.99}'}
    lock = json.loads(files["dvc.lock"])
    change(files, lock)
    told = judge(deployed, files | {"dvc.lock": json.dumps(lock)})
    assert told.code == 3, told.log


def test_a_links_text_is_no_metrics_file(deployed: Flow) -> None:
    files = {k: v for k, v in deployed.files("worse", 5).items() if k != "metrics.json"}
    link(deployed, "metrics.json", '{"r2": 0.99}', files, "experiment/eve")
    deployed.pull_request("experiment/eve", "main")
    assert deployed.run("gate-metrics", token=READER).code in (2, 3)


def test_a_links_text_is_no_lock(deployed: Flow) -> None:
    text = f"{{stages: {{train: {{outs: [{{path: m.bin, hash: md5, md5: {HASHES['better']}}}]}}}}}}"
    files = {k: v for k, v in deployed.files("worse", 5).items() if k != "dvc.lock"}
    link(deployed, "dvc.lock", text, files, "main")
    read = project_files.at(deployed.work, deployed.sha("main"))
    assert "dvc.lock" not in read
    with pytest.raises(InputError, match=r"no dvc\.lock and no \.dvc file"):
        artifacts.find("diabetes", read)


def test_a_reverted_deploy_commit_is_the_deployment_that_it_brings_back(deployed: Flow) -> None:
    commit = deployed.change("main", deployed.files("worse", 5))
    more = {"version": "v0.0.2", "model_hash": HASHES["worse"]}
    deployed.deploy("dev", commit, "sha256:" + "2" * 64, **more)
    git = deployed.clone(DEPLOY, "revert")
    git.run("pull", "--quiet", "origin", "main")
    git.run("revert", "--no-edit", "HEAD")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    told = judge(deployed, deployed.files("worse", 5))
    assert told.code == 3
    assert "0.111 is worse than 0.455" in told.log
    deployed.change("staging", deployed.files("better", 60), "staging")
    deployed.push("staging")
    assert deployed.outputs("check-promotion")["promote-image"].endswith(f"@{DIGEST}")


@pytest.mark.parametrize("name", ["promotion.yaml", "smoke.yaml", "Dockerfile"])
def test_a_link_to_a_file_of_the_machine_is_not_shown(deployed: Flow, name: str) -> None:
    secret = deployed.top / "git-credentials"
    secret.write_text("https://ada:canary-3141@example.org\n", encoding="utf-8")
    place = deployed.work.directory / name
    place.unlink(missing_ok=True)
    place.symlink_to(secret)
    if name == "promotion.yaml":
        told = deployed.run("check-promotion", base_ref="main")
    else:
        told = deployed.run(
            "build-push-image", image="registry.example/a/b", tag="x", smoke_test="smoke.yaml"
        )
    assert told.code == 2
    assert "canary" not in told.log + told.answer


def test_tags_that_anybody_may_push_stop_no_assignment(deployed: Flow) -> None:
    work = deployed.work
    commit = deployed.sha("main")
    assert deployed.run("gto-register-stage", model="diabetes").code == 0
    work.run("checkout", "--quiet", "--orphan", "empty")
    work.run("commit", "--quiet", "--allow-empty", "-m", "empty")
    for name in ("diabetes@v7.0.0", "diabetes@v8.0.0", "diabetes#junk#1"):
        work.run("tag", "--annotate", "-m", name, name)
        work.run("push", "--quiet", "origin", name)
    work.run("checkout", "--quiet", "--detach", "--force", commit)
    told = deployed.run("gto-register-stage", model="diabetes", stage="dev")
    assert told.code == 0, told.log
