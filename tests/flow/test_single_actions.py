"""Workflows that somebody else wrote: one action each, nothing else of this project."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_gitops_local import act
from model_gitops_local.flow import Parts
from model_gitops_local.forge import Forge

ODD = 'models/it\'s a "model" $(touch pwned).bin'
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"fine")
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
PROMOTION = """
model: odd
image: {image}
environments:
  - {{name: dev, branch: main}}
  - {{name: production, branch: production}}
gate:
  - {{metric: metrics.json:r2, better: higher}}
"""
# For the image alone: the other actions are run without a deploy repository.
DEPLOYED = """
model: odd
image: {image}
deploy: {{repository: them/deploy}}
environments:
  - {{name: dev, branch: main, path: app}}
"""


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Project:
    """A repository that is not from our templates, on a forge, with a deploy repository."""

    def __init__(self, root: Path, parts: Parts) -> None:
        self.root, self.parts, self.runs = root, parts, 0
        self.folder, self.bare = root / "project", root / "project.git"
        self.deploy = root / "deploy.git"
        self.image = f"{parts.registry}/{root.name}/odd"
        self.forge = Forge(root / "forge")
        self.forge.start()
        for name, bare in (("them/odd-project", self.bare), ("them/deploy", self.deploy)):
            bare.mkdir()
            git(bare, "init", "-q", "--bare", "-b", "main")
            self.forge.add_repository(name, bare)
        self.forge.add_token("job-token", "github-actions[bot]", repositories=["them/odd-project"])
        self.forge.add_token("deploy-token", "deployer[bot]", repositories=["them/deploy"])
        self._fill()

    def _fill(self) -> None:
        self.folder.mkdir()
        git(self.folder, "init", "-q", "-b", "main")
        git(self.folder, "remote", "add", "origin", str(self.bare))
        subprocess.run(["dvc", "init", "-q"], cwd=self.folder, check=True)
        remote = self.root / "a remote"
        subprocess.run(
            ["dvc", "remote", "add", "-q", "-d", "store", remote], cwd=self.folder, check=True
        )
        model = self.folder / ODD
        model.parent.mkdir()
        model.write_bytes(b"weights")
        subprocess.run(["dvc", "add", "-q", ODD], cwd=self.folder, check=True)
        subprocess.run(["dvc", "push", "-q"], cwd=self.folder, check=True)
        (self.folder / "dvc.yaml").write_text(
            yaml.safe_dump({"artifacts": {"odd": {"path": ODD, "type": "model"}}}), "utf-8"
        )
        (self.folder / "metrics.json").write_text('{"r2": 0.5}', "utf-8")
        (self.folder / "promotion.yaml").write_text(PROMOTION.format(image=self.image), "utf-8")
        (self.folder / "deployed.yaml").write_text(DEPLOYED.format(image=self.image), "utf-8")
        (self.folder / "server.py").write_text(SERVER, "utf-8")
        (self.folder / "Dockerfile").write_text(
            'ARG BASE\nFROM ${BASE}\nCOPY server.py /\nCMD ["python3", "/server.py"]\n', "utf-8"
        )
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "-qm", "A project")
        git(self.folder, "push", "-q", "origin", "main")
        clone = self.root / "deploy"
        git(self.root, "clone", "-q", str(self.deploy), str(clone))
        (clone / "app").mkdir()
        (clone / "app" / "kustomization.yaml").write_text(
            "images:\n  - name: odd # keep me\n    newTag: v0\n", "utf-8"
        )
        git(clone, "add", "--all")
        git(clone, "commit", "-qm", "Deploy")
        git(clone, "push", "-q", "origin", "HEAD:main")

    def run(
        self, action: str, inputs: Mapping[str, str], event: Mapping[str, Any] | None = None
    ) -> act.Run:
        """Run a one-step workflow in a fresh copy of the repository."""
        self.runs += 1
        checkout = self.root / f"checkout-{self.runs}"
        git(self.root, "clone", "-q", str(self.bare), str(checkout))
        workflow = checkout / ".github" / "workflows" / "theirs.yml"
        workflow.parent.mkdir(parents=True)
        step = {
            "name": "it",
            "uses": f"model-gitops/model-gitops/actions/{action}@v0",
            "with": dict(inputs),
        }
        job = {"runs-on": "ubuntu-latest", "steps": [{"uses": "actions/checkout@v7"}, step]}
        workflow.write_text(yaml.safe_dump({"on": "push", "jobs": {"job": job}}), "utf-8")
        sha = git(checkout, "rev-parse", "HEAD")
        push = {"ref": "refs/heads/main", "before": "0" * 40, "after": sha}
        payload = event or {**push, "repository": {"full_name": "them/odd-project"}}
        return act.run_workflow(
            self.parts.act,
            "theirs.yml",
            "push",
            payload,
            checkout=checkout,
            env={
                **self.parts.environment,
                "GITHUB_SERVER_URL": self.forge.url,
                "GITHUB_API_URL": self.forge.api_url,
                "GITHUB_REPOSITORY": "them/odd-project",
            },
            process_env=self.parts.environment,
            secrets={"GITHUB_TOKEN": "job-token", "DEPLOY_TOKEN": "deploy-token"},
            variables={},
            actions=self.parts.actions,
            log=self.root / f"run-{self.runs}.log",
        )

    def outputs(self, action: str, **inputs: str) -> dict[str, str]:
        """Run an action that must succeed, and return its outputs."""
        run = self.run(action, {name.replace("_", "-"): value for name, value in inputs.items()})
        assert run.status == 0, (run.errors, run.log[-2000:])
        return run.outputs["it"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("odd"), parts)
    yield made
    made.forge.stop()
    assert not list(made.root.rglob("pwned"))


def test_check_promotion(project: Project) -> None:
    outputs = project.outputs("check-promotion")
    assert (outputs["environment"], outputs["model"], outputs["deploy-mode"]) == (
        "dev",
        "odd",
        "push",
    )


def test_check_promotion_refuses(project: Project) -> None:
    run = project.run("check-promotion", {"base-ref": "production", "head-ref": "feature"})
    assert run.status != 0
    assert "takes changes only from branch 'main'" in run.errors[0]


def test_dvc_pull_model_with_an_odd_path(project: Project) -> None:
    outputs = project.outputs("dvc-pull-model", model="odd")
    assert outputs["path"] == ODD
    assert outputs["size"] == "7"
    assert project.outputs("dvc-pull-model", model=ODD)["hash"] == outputs["hash"]


def test_gate_metrics(project: Project) -> None:
    assert project.outputs("gate-metrics", baseline="HEAD")["passed"] == "true"


def test_gto_register_stage_twice(project: Project) -> None:
    first = project.outputs("gto-register-stage", model="odd", stage="dev")
    assert first["operation"] == "registered-and-assigned"
    assert first["version-tag"] == "odd@v0.0.1"
    second = project.outputs("gto-register-stage", model="odd", stage="dev")
    assert second["operation"] == "none"
    assert second["version"] == "v0.0.1"
    assert git(project.bare, "tag").split() == ["odd#dev#1", "odd@v0.0.1"]


def test_build_push_image_and_bump_twice(project: Project) -> None:
    inputs = {
        "image": project.image,
        "build_args": f"BASE={project.parts.base_image}",
        "smoke_test": '{"port": 8080, "requests": [{"path": "/", "expect": {"status": 200}}]}',
        "config": "deployed.yaml",
        "token": "${{ secrets.DEPLOY_TOKEN }}",
    }
    first = project.outputs("build-push-image", **inputs)
    assert first["operation"] == "built"
    assert first["tag"] == git(project.bare, "rev-parse", "main")
    bump = {
        "repository": "them/deploy",
        "path": "app",
        "images": f"odd={first['image']}",
        "token": "${{ secrets.DEPLOY_TOKEN }}",
        "trailers": f"Image-Fingerprint: {first['fingerprint']}",
    }
    assert project.outputs("bump-kustomize-tag", **bump)["operation"] == "pushed"
    assert project.outputs("bump-kustomize-tag", **bump)["operation"] == "none"
    text = git(project.deploy, "show", "main:app/kustomization.yaml")
    assert "- name: odd # keep me" in text
    assert first["digest"] in text
    second = project.outputs("build-push-image", **inputs)
    assert (second["operation"], second["digest"]) == ("reused", first["digest"])


def test_cml_report_comments_on_the_commit_once(project: Project) -> None:
    first = project.outputs("cml-report", base="HEAD")
    second = project.outputs("cml-report", base="HEAD")
    assert (first["operation"], second["operation"]) == ("created", "none")
    assert second["url"] == first["url"]


@pytest.mark.parametrize(
    ("action", "inputs", "says"),
    [
        ("dvc-pull-model", {"model": "no such model"}, "odd"),
        ("gto-register-stage", {"model": "no-such-model"}, "odd"),
        ("bump-kustomize-tag", {"repository": "them/deploy", "path": "app", "images": "old=x:1", "token": "${{ secrets.DEPLOY_TOKEN }}"}, "odd"),
        ("bump-kustomize-tag", {"repository": "them/deploy", "path": "nowhere", "images": "odd=x:1", "token": "${{ secrets.DEPLOY_TOKEN }}"}, "nowhere"),
        ("build-push-image", {"image": "Upper/Case"}, "upper/case"),
        ("gate-metrics", {"baseline": "no-such-revision"}, "no-such-revision"),
    ],
)  # fmt: skip
def test_wrong_inputs_say_what_to_do_and_change_nothing(
    project: Project, action: str, inputs: dict[str, str], says: str
) -> None:
    def refs() -> str:
        return git(project.bare, "for-each-ref") + git(project.deploy, "for-each-ref")

    before = refs()
    run = project.run(action, inputs)
    assert run.status != 0
    assert "exitcode '2'" in run.log or "exit status 2" in run.log, run.log[-800:]
    assert any(says in text and "Fix:" in text for text in run.errors), run.errors
    assert refs() == before
