"""A repository that is not from our templates, on a forge, whose workflows use single actions."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_gitops_local import act, docs
from model_gitops_local.forge import Forge
from model_gitops_local.parts import Parts

MODEL, DEPLOY = "acme/diabetes", "acme/diabetes-deploy"
ODD = 'models/it\'s a "model" $(touch pwned).bin'
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"fine")
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
# Its number is the model's, of the data's length.
EVALUATE = """
import json, pathlib
model = pathlib.Path("models")
(weights,) = model.glob("*.bin")
score = float(weights.read_text()) / len(pathlib.Path("data.csv").read_text())
pathlib.Path("metrics.json").write_text(json.dumps({"r2": score}))
"""
PROMOTION = """
model: diabetes
image: {image}
deploy: {{repository: acme/diabetes-deploy}}
environments:
  - {{name: dev, branch: main, path: overlays/dev}}
  - {{name: production, branch: production, path: overlays/production}}
gate:
  - {{metric: metrics.json:r2, better: higher, measured: true}}
compare: {{allow-pickle: true}} # who may push may run code in that job: it holds nothing
commands: {{env: touch set-up, check: test -e set-up, test: "true", smoke: false}}
"""
TOKENS = {
    "GITHUB_TOKEN": ("github-actions[bot]", MODEL),
    "DEPLOY_TOKEN": ("deployer[bot]", DEPLOY),
    "DEPLOY_READ_TOKEN": ("auditor[bot]", DEPLOY),
}


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Project:
    """A repository on a forge, with a deploy repository, and a pull request of a better model."""

    def __init__(self, root: Path, parts: Parts) -> None:
        self.root, self.parts, self.runs = root, parts, 0
        self.folder, self.bare = root / "project", root / "project.git"
        self.deploy = root / "deploy.git"
        self.registry = f"{parts.registry}/{root.name}/"
        self.forge = Forge(root / "forge")
        self.forge.start()
        for name, bare in ((MODEL, self.bare), (DEPLOY, self.deploy)):
            bare.mkdir()
            git(bare, "init", "-q", "--bare", "-b", "main")
            self.forge.add_repository(name, bare)
        for token, (login, repository) in TOKENS.items():
            self.forge.add_token(token, login, repositories=[repository])
        self.forge.add_token("ada", "ada")
        self._fill()
        self._propose()

    def _fill(self) -> None:
        self.folder.mkdir()
        git(self.folder, "init", "-q", "-b", "main")
        git(self.folder, "remote", "add", "origin", str(self.bare))
        git(self.folder, "commit", "-q", "--allow-empty", "-m", "Start")
        git(self.folder, "push", "-q", "origin", "main")
        git(self.folder, "switch", "-qc", "first")
        self._dvc("init")
        self._dvc("remote", "add", "-d", "store", str(self.root / "a remote"))
        files = {
            ODD: "1",
            "data.csv": "12",
            "server.py": SERVER,
            # As a tool for data drift leaves them: no sign, then two bad weeks.
            **{
                f"monitoring/2026-W{week}.json": json.dumps(
                    {"drift": drift, "columns": ["length"] if drift else []}
                )
                for week, drift in ((45, False), (46, True), (47, True))
            },
            "evaluate.py": EVALUATE,
            "promotion.yaml": PROMOTION.format(image=f"{self.registry}acme/diabetes"),
            "Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY server.py /\nCOPY --from=model . /model/\n"
            'CMD ["python3", "/server.py"]\n',
        }
        for name, text in files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text, "utf-8")
        evaluate = {
            "cmd": "python3 evaluate.py",
            "deps": ["evaluate.py", "data.csv", ODD],
            "metrics": [{"metrics.json": {"cache": False}}],
        }
        pipeline = {
            "stages": {"evaluate": evaluate},
            "artifacts": {"diabetes": {"path": ODD, "type": "model"}},
        }
        (self.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline), "utf-8")
        self._publish("first", "A first model")
        clone = self.root / "deploy"
        git(self.root, "clone", "-q", str(self.deploy), str(clone))
        for name in ("dev", "production"):
            overlay = clone / "overlays" / name
            overlay.mkdir(parents=True)
            text = f"images:\n  - name: diabetes # keep me\n    newName: {self.registry}acme/diabetes\n    newTag: none\n"
            (overlay / "kustomization.yaml").write_text(text, "utf-8")
        git(clone, "add", "--all")
        git(clone, "commit", "-qm", "Deploy")
        git(clone, "push", "-q", "origin", "HEAD:main")

    def _propose(self) -> None:
        """Merge pull request 1, of the first model, and open pull request 2: a better one, and a component."""
        from github import Auth, Github

        auth = Auth.Token("ada")
        server = Github(auth=auth, base_url=self.forge.api_url, retry=None).get_repo(MODEL)
        server.create_pull(base="main", head="first", title="A first model").merge()
        git(self.folder, "switch", "-q", "main")
        git(self.folder, "pull", "-q", "origin", "main")
        git(self.folder, "switch", "-qc", "better")
        (self.folder / ODD).write_text("1.5", "utf-8")
        component = self.folder / "components" / "train" / "Dockerfile"
        component.parent.mkdir(parents=True)
        component.write_text("ARG BASE\nFROM ${BASE}\nCOPY data.csv /\n", "utf-8")
        self._publish("better", "A better model")
        server.create_pull(base="main", head="better", title="A better model")

    def _publish(self, branch: str, message: str) -> None:
        self._dvc("add", ODD)
        self._dvc("repro")
        self._dvc("push")
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "-qm", message)
        git(self.folder, "push", "-q", "origin", branch)

    def _dvc(self, *args: str) -> None:
        subprocess.run(["dvc", *args, "-q"], cwd=self.folder, check=True)

    def event(self, workflow: Mapping[Any, Any], inputs: Mapping[str, str]) -> tuple[str, Any]:
        """Return the kind and the payload of the first event that a workflow is for."""
        kind = next(iter(workflow[True]))  # `on:` to YAML
        if kind == "pull_request":
            return kind, self.forge.event(kind, MODEL, 2, action="opened", sender="ada")
        if kind == "workflow_dispatch":
            repository = self.forge.event("schedule", MODEL)["repository"]
            return kind, {
                "inputs": dict(inputs),
                "ref": "refs/heads/main",
                "repository": repository,
            }
        branch = {"branch": "main", "sender": "ada"} if kind == "push" else {}
        return kind, self.forge.event(kind, MODEL, **branch)

    def run(
        self,
        text: str,
        inputs: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> act.Run:
        """Run a workflow in a fresh clone of what its event is of."""
        self.runs += 1
        workflow = yaml.safe_load(text)
        kind, event = self.event(workflow, inputs or {})
        checkout = self.root / f"checkout-{self.runs}"
        branch = "better" if kind == "pull_request" else "main"
        git(self.root, "clone", "-q", "-b", branch, str(self.bare), str(checkout))
        file = checkout / ".github" / "workflows" / "theirs.yml"
        file.parent.mkdir(parents=True)
        file.write_text(text.replace("ghcr.io/", self.registry), "utf-8")
        try:
            return act.run_workflow(
                self.parts.act,
                "theirs.yml",
                kind,
                event,
                checkout=checkout,
                env={
                    **self.parts.environment,
                    "GITHUB_SERVER_URL": self.forge.url,
                    "GITHUB_API_URL": self.forge.api_url,
                    "GITHUB_REPOSITORY": MODEL,
                },
                process_env=self.parts.environment,
                secrets={**{name: name for name in TOKENS}, **(secrets or {})},
                variables={
                    "BUILD_ARGS": f"BASE={self.parts.base_image}",
                    **(variables or {}),
                },
                actions=self.parts.actions,
                log=self.root / f"run-{self.runs}.log",
            )
        finally:
            shutil.rmtree(checkout)

    def example(self, action: str, **inputs: str) -> dict[str, dict[str, str]]:
        """Run the example of an action, which must succeed, and return the outputs of its steps."""
        run = self.run(docs.example(action).read_text("utf-8"), inputs)
        assert run.status == 0, (run.errors, run.log[-3000:])
        return run.outputs

    def refs(self) -> str:
        return git(self.bare, "for-each-ref") + git(self.deploy, "for-each-ref")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Iterator[Project]:
    """The project, with its first model in dev: built, deployed and registered by the examples."""
    made = Project(tmp_path_factory.mktemp("odd"), parts)
    try:
        built = made.example("build-push-image")["Build, smoke-test and push the image"]
        assert built["operation"] == "built"
        made.image = built["image"]
        deployed = made.example("bump-kustomize-tag", image=built["image"], version="v0.0.1")
        assert deployed["Set the image"]["operation"] == "pushed"
        registered = made.example("gto-register-stage")["Register the version"]
        assert (registered["operation"], registered["version-tag"]) == (
            "registered-and-assigned",
            "diabetes@v0.0.1",
        )
        yield made
    finally:
        made.forge.stop()
    assert not list(made.root.rglob("pwned"))
