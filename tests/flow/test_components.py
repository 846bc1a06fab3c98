"""components.yml of the template, played by act: the merge builds what is missing, and one commit sets it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from model_gitops.core.deploy.trailers import read_trailers
from model_gitops_local.act import Run
from model_gitops_local.flow import DEPLOY, MODEL, Flow

NAMES = ("deploy", "preprocess", "test", "train")
OVERLAY = "training/overlays/staging/kustomization.yaml"
# Two of four use the shared file.
USES = {
    "preprocess": "src/shared.txt",
    "train": "src/shared.txt",
    "test": "own.txt",
    "deploy": "own.txt",
}


def small(folder: Path) -> None:
    """Replace the components by some that are built in a second, and need no environment for their tests."""
    shutil.rmtree(folder / "components", ignore_errors=True)
    for name, used in USES.items():
        place = folder / "components" / name
        place.mkdir(parents=True)
        path = used if "/" in used else f"components/{name}/{used}"
        (place / "own.txt").write_text(f"{name}\n", "utf-8")
        (place / "Dockerfile").write_text(f"FROM scratch\nCOPY {path} /\n", "utf-8")
        (place / "Dockerfile.dockerignore").write_text(f"*\n!{path}\n", "utf-8")
    (folder / "src" / "shared.txt").write_text("1\n", "utf-8")
    with (folder / "promotion.yaml").open("a", encoding="utf-8") as rules:
        rules.write('commands: {component: "grep -q . components/$COMPONENT/own.txt"}\n')


def write(files: Mapping[str, str]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path, text in files.items():
            (folder / path).write_text(text, "utf-8")

    return change


def well(run: Run) -> Run:
    assert run.status == 0, (run.failed_step, run.errors, run.log[-5000:])
    return run


def jobs(run: Run, word: str) -> list[str]:
    """Return the names of the jobs that start with a word, less the numbers that act gives those of a matrix."""
    names = {job.partition("/")[2].strip() for job, _, _ in run.steps}
    return sorted(re.sub(r"-\d+$", "", one) for one in names if one.startswith(word))


def overlay(flow: Flow) -> dict[str, tuple[str, str]]:
    """What each entry sets: component → (tag, digest)."""
    text = flow.bare(DEPLOY).file_at("main", OVERLAY) or ""
    found = re.findall(
        r"- name: diabetes-(\w+)\n +newName: .*\n +newTag: (.*)\n(?: +digest: (.*)\n)?", text
    )
    return {name: (tag, digest) for name, tag, digest in found}


@pytest.mark.docker
@pytest.mark.slow
def test_what_is_missing_is_built_and_set_by_one_commit(
    new_flow: Callable[[], Flow], tmp_path: Path
) -> None:
    flow = new_flow()
    deploy = flow.bare(DEPLOY)
    start = deploy.commit_of("refs/heads/main")

    # A pull request tests and rehearses: nothing is deployed, and nothing held.
    flow.commit("experiment/small", small, "Small components")
    number = flow.open_pull_request("experiment/small", "main", "Small components")
    run = well(flow.proposed(number, "components.yml"))
    assert len(jobs(run, "Test components")) == len(jobs(run, "Rehearse components")) == 4
    assert jobs(run, "Check") == ["Check every component"]
    assert not jobs(run, "Build")
    assert not jobs(run, "Set")
    for name in ("DEPLOY_TOKEN", "DEPLOY_READ_TOKEN", "REGISTRY_PASSWORD"):
        assert flow.tokens[name] not in run.log

    # The first merge builds all, whatever it changed.
    first = flow.merge(number)
    run = well(flow.pushed("main", "components.yml"))
    assert len(jobs(run, "Build components")) == 4
    assert not jobs(run, "Rehearse")
    assert {name: tag for name, (tag, _) in overlay(flow).items()} == dict.fromkeys(NAMES, first)
    assert deploy.commit_of("refs/heads/main~1") == start, "one commit"
    assert deploy.run("diff", "--name-only", "main~1", "main").split() == [OVERLAY]

    # A shared file: two builds, one commit, one diff of four lines.
    before = overlay(flow)
    second = flow.commit("main", write({"src/shared.txt": "2\n"}), "Change what two share")
    event = flow.forge.event("push", MODEL, branch="main", sender="ada")
    run = well(flow.pushed("main", "components.yml"))
    assert [job.rpartition("/")[2] for job in jobs(run, "Build components")] == [
        "preprocess",
        "train",
    ]
    assert deploy.run("diff", "--numstat", "main~1", "main") == f"4\t4\t{OVERLAY}\n"
    after = overlay(flow)
    assert {name for name in NAMES if after[name] != before[name]} == {"preprocess", "train"}
    assert after["train"][0] == after["preprocess"][0] == second
    said = read_trailers(deploy.run("log", "-1", "--format=%B", "main"))
    assert said["source-commit"] == [second]
    assert said["image-digest"] == [after["preprocess"][1], after["train"][1]]
    assert len(said["image-fingerprint"]) == 2

    # The same push again: nothing is built, nothing is set.
    tip = deploy.commit_of("refs/heads/main")
    run = well(flow.run_again("components.yml", event, second))
    assert json.loads(run.outputs["What is to be built?"]["components"]) == []
    assert not jobs(run, "Build")
    assert deploy.commit_of("refs/heads/main") == tip
