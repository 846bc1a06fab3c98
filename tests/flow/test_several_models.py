"""Two models in one repository, by the workflows of templates/several-models: one moves, the other stays."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_gitops_local import act, toolchain
from model_gitops_local.flow import DEPLOY, MODEL, PERSON, Flow
from model_gitops_local.parts import Parts, copy_actions

MODELS = ("churn", "fraud")
DVC = f"{sys.executable} -m dvc"
# Two environments are enough; nothing is built: the image is one that was built elsewhere.
FILES = {
    "dvc.yaml": """\
stages:
  train:
    cmd: cp train.txt m.bin && cp score.json metrics.json
    deps: [train.txt, score.json]
    outs: [m.bin]
    metrics: [metrics.json: {{cache: false}}]
artifacts: {{{name}: {{path: m.bin, type: model}}}}
""",
    "train.txt": "{name} 0\n",
    "score.json": '{{"r2": 0.5}}\n',
    ".gitignore": "/m.bin\n",
}


def rules(name: str, digest: str) -> str:
    return json.dumps(
        {
            "model": name,
            "image": {"name": f"registry.example/acme/{name}", "build": False, "digest": digest},
            "deploy": {"repository": DEPLOY, "path": "{model}/overlays/{environment}"},
            "environments": [
                {"name": "dev", "branch": "main"},
                {"name": "staging", "branch": "staging"},
            ],
            "gate": [{"metric": "metrics.json:r2", "better": "higher"}],
            "commands": {
                "env": False, "check": False, "smoke": False, "test": "grep -q . train.txt",
                "reproduce": f"{DVC} repro", "push": f"{DVC} push",
            },
        }
    )  # fmt: skip


def digest(name: str, number: int) -> str:
    return f"sha256:{name.encode().hex():0<60}{number:04}"


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    """Both repositories; no engine and no registry are needed."""
    tools = toolchain.ensure_all(("act", "kustomize"))
    folders = [*(str(tool.parent) for tool in tools.values()), os.environ["PATH"]]
    environment = {"PATH": os.pathsep.join(folders), "DVC_NO_ANALYTICS": "1"}
    actions = copy_actions(tmp_path / "actions")
    flow = Flow(tmp_path, Parts(tools["act"], actions, environment, "registry.example", ""))
    overlays = {
        f"{name}/overlays/{environment}/kustomization.yaml": f"images:\n- name: {name}\n"
        f"  newName: registry.example/acme/{name}\n  newTag: not-deployed-yet\n"
        for name in MODELS
        for environment in ("dev", "staging")
    }
    project = {
        f"{name}/{file}": text.format(name=name) for name in MODELS for file, text in FILES.items()
    }
    project |= {f"{name}/promotion.yaml": rules(name, digest(name, 0)) for name in MODELS}
    project[".dvc/config"] = (
        f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path}/remote\n"
    )
    project["README.md"] = "Two models\n"
    for repository, files in ((MODEL, project), (DEPLOY, overlays)):
        bare = flow.bare(repository)
        bare.directory.mkdir(parents=True)
        bare.run("init", "--quiet", "--bare", "--initial-branch", "main")
        flow.forge.add_repository(repository, bare.directory)
        clone = flow.clone(repository, "main", flow.root / "new" / "start")
        for file, text in files.items():
            place = clone.directory / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        if repository == MODEL:
            shutil.copytree(
                act.ROOT / "templates/several-models", clone.directory, dirs_exist_ok=True
            )
        clone.run("add", "--all")
        clone.run("commit", "--quiet", "--message", "Start", env=PERSON)
        clone.run("push", "--quiet", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/staging")
        shutil.rmtree(clone.directory)
    yield flow
    flow.stop()


def jobs(run: act.Run) -> set[str]:
    return {job for job, _, _ in run.steps}


def well(run: act.Run) -> act.Run:
    assert run.status == 0, (run.failed_step, run.errors, run.log[-5000:])
    return run


def tags(flow: Flow) -> set[str]:
    return set(flow.bare(MODEL).run("tag", "--list").split())


def overlays(flow: Flow) -> dict[str, str]:
    """What each overlay sets: folder → digest."""
    found = {}
    for name in MODELS:
        for environment in ("dev", "staging"):
            folder = f"{name}/overlays/{environment}"
            text = flow.bare(DEPLOY).file_at("main", f"{folder}/kustomization.yaml") or ""
            found[folder] = text.rpartition("digest: ")[2].strip() if "digest" in text else ""
    return found


def improve(name: str) -> Any:
    def change(folder: Path) -> None:
        (folder / name / "train.txt").write_text(f"{name} 1\n", "utf-8")
        (folder / name / "promotion.yaml").write_text(rules(name, digest(name, 1)), "utf-8")

    return change


@pytest.mark.slow
def test_only_what_is_changed_runs_and_moves(flow: Flow) -> None:
    expected, known = overlays(flow), set[str]()
    for name, other in (MODELS, MODELS[::-1]):
        branch = f"experiment/{name}"
        flow.commit(branch, improve(name), f"Improve {name}")
        run = well(flow.pushed(branch, "experiment.yml"))
        assert not any(other in job for job in jobs(run)), jobs(run)
        known |= {f"{name}={name}@v0.0.1"}
        assert tags(flow) == known

        number = flow.open_pull_request(branch, "main", f"Improve {name}")
        run = well(flow.proposed(number))
        assert any(name in job for job in jobs(run))
        assert not any(other in job for job in jobs(run))
        (comment,) = flow.comments(number)
        assert f"Promotion: {name}" in comment.splitlines()[0]
        assert tags(flow) == known

        flow.merge(number)
        run = well(flow.pushed("main", "deploy.yml"))
        assert not any(other in job for job in jobs(run))
        known |= {f"{name}={name}#dev#1"}
        expected[f"{name}/overlays/dev"] = digest(name, 1)
        assert (tags(flow), overlays(flow)) == (known, expected)

    # A promotion of both, in one pull request: a comment each.
    number = flow.open_pull_request("main", "staging", "Promote both")
    run = well(flow.proposed(number))
    assert all(any(name in job for job in jobs(run)) for name in MODELS)
    titles = sorted(comment.splitlines()[0] for comment in flow.comments(number))
    assert [name in title for name, title in zip(MODELS, titles, strict=True)] == [True, True]
    flow.merge(number)
    well(flow.pushed("staging", "deploy.yml"))
    for name in MODELS:
        expected[f"{name}/overlays/staging"] = digest(name, 1)
        known |= {f"{name}={name}#staging#2"}  # GTO counts a model's assignments
    assert (tags(flow), overlays(flow)) == (known, expected)

    # A change of none: the required check is there, passes, and says so.
    flow.commit(
        "experiment/words", lambda at: (at / "README.md").write_text("x\n") and None, "Words"
    )
    run = well(flow.proposed(flow.open_pull_request("experiment/words", "main", "Words")))
    assert [job.rpartition("/")[2] for job in sorted(jobs(run))] == [
        "Check every changed model", "Which models are touched?"
    ]  # fmt: skip
    assert "No model is touched" in run.log
    assert (tags(flow), overlays(flow)) == (known, expected)
