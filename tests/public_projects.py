"""A DVC project in a repository on the forge, and the jobs of its workflows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promotion_world import Flow, read_outputs
from world import DEPLOY, MODEL, READER, TOKEN, Told, push_image

from model_gitops.adapters import process
from model_gitops.adapters.git import Git

BRANCHES = {"dev": "main", "production": "production"}


def dvc(folder: Path, *words: str) -> None:
    """Run DVC as at a prompt, in this process: a start of its own takes a second each time."""
    from dvc.cli import main

    with contextlib.chdir(folder):
        assert main([*words, "--quiet"]) == 0, words


@dataclass(frozen=True)
class Shape:
    """A project: its files, how its data came into DVC, and one experiment.

    `rules` is where promotion.yaml is, `root` where `dvc init` was run. `data` are files; `added` is what is `dvc add`ed, `imported` what is `dvc import`ed.
    `scores` are the metric before and after the experiment and the change, as the gate shows them,
    `report` rows that the report must have, and `data_of` and `code_of` what the model is made of.
    `era` is the version of DVC that wrote it first.
    """

    name: str
    model: str
    metric: str
    files: Mapping[str, str]
    experiment: Mapping[str, str]
    data: Mapping[str, str] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    imported: str = ""
    scores: tuple[str, str, str] = ("", "", "")
    report: tuple[str, ...] = ()
    data_of: tuple[str, ...] = ()
    code_of: tuple[str, ...] = ()
    rules: str = "promotion.yaml"
    root: str = ""
    era: int = 3


class Project(Flow):
    """A shape in a repository on the forge, its objects in a folder, and the jobs of its workflows."""

    shape: Shape
    jobs: int = 0

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.top.name.lower()}/model"

    def found(self, shape: Shape) -> None:
        """Make the repository: `dvc init`, data, the pipeline, the first training, and push all."""
        self.shape = shape
        overlays = {
            f"overlays/{name}/kustomization.yaml": "images:\n- name: model\n"
            f"  newName: {self.image}\n  newTag: none\n"
            for name in BRANCHES
        }
        self.commit(self.clone(DEPLOY, "deploy"), overlays, "main")
        work = self.clone(MODEL, "work")
        # The push that creates an environment's branch deploys nothing.
        self.commit(work, {"README.md": f"{shape.name}\n"}, "main")
        self.write(shape.files)
        root = work.directory / shape.root
        root.mkdir(parents=True, exist_ok=True)
        dvc(root, "init", *(["--subdir"] if shape.root else []))
        dvc(root, "remote", "add", "--default", "storage", str(self.top / "storage"))
        self.write(shape.data)
        if shape.imported:
            self.make_registry(shape.imported)
        self.write({self.shape.rules: json.dumps(self.promotion())})
        self.train("main")
        if shape.era == 2:
            self.age()
        self.work.run("push", "--quiet", "origin", "HEAD:refs/heads/production")

    def make_registry(self, name: str) -> None:
        """Make a repository of data sets beside ours, and take one of its files over as `name`."""
        registry = self.top / "registry"
        process.run(["git", "init", "--quiet", registry])
        git = Git(registry)
        git.run("config", "user.name", "Ada")
        git.run("config", "user.email", "ada@example.com")
        dvc(registry, "init")
        dvc(registry, "remote", "add", "--default", "storage", str(self.top / "registry-storage"))
        (registry / "get-started").mkdir()
        (registry / "get-started/raw.xml").write_text(
            "".join(f"<row Id='{number}'/>\n" for number in range(12)), encoding="utf-8"
        )
        dvc(registry / "get-started", "add", "raw.xml")
        dvc(registry, "push")
        git.run("add", "--all")
        git.run("commit", "--quiet", "-m", "Data")
        place = self.work.directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        dvc(place.parent, "import", str(registry), "get-started/raw.xml", "--out", place.name)

    def age(self) -> None:
        """Make of what DVC 3 wrote what DVC 2 had written: other places, and line ends do not count."""
        work, renamed = self.work.directory, dict[str, str]()
        for store in (work / ".dvc/cache", self.top / "storage"):
            files = [file for file in (store / "files/md5").rglob("*") if file.is_file()]
            # The lists of folders come last: they name the files.
            for file in sorted(files, key=lambda file: file.suffix == ".dir"):
                data = file.read_bytes()
                for old, new in renamed.items():
                    data = data.replace(old.encode(), new.encode())
                md5 = hashlib.md5(data.replace(b"\r\n", b"\n")).hexdigest() + file.suffix
                renamed[file.parent.name + file.name] = md5
                place = store / md5[:2] / md5[2:]
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(data)
            shutil.rmtree(store / "files")
        for file in (*work.rglob("dvc.lock"), *work.rglob("*.dvc")):
            if file.is_file():
                text = re.sub(r"(?m)^ +hash: md5\n", "", file.read_text("utf-8"))
                for old, new in renamed.items():
                    text = text.replace(old, new)
                file.write_text(text, encoding="utf-8")
        shutil.rmtree(work / ".dvc/tmp")
        dvc(work, "status")
        self.commit(self.work, {}, "main")

    def promotion(self) -> dict[str, Any]:
        return {
            "model": self.shape.model,
            "image": self.image,
            "deploy": {"repository": DEPLOY},
            "environments": [{"name": name, "branch": branch} for name, branch in BRANCHES.items()],
            "gate": [{"metric": self.shape.metric, "better": "higher"}],
        }

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.work.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())

    def train(self, branch: str) -> str:
        """Track what changed, reproduce, push data, and commit and push the rest."""
        for path in self.shape.added:
            dvc((self.work.directory / path).parent, "add", Path(path).name)
        dvc(self.work.directory / self.shape.root, "repro", "--all-pipelines")
        dvc(self.work.directory / self.shape.root, "push")
        return self.commit(self.work, {}, branch)

    def job(self, commit: str) -> Path:
        """A fresh checkout without DVC's cache, as a job has it; return the project's folder."""
        self.jobs += 1
        git = self.clone(MODEL, f"job-{self.jobs}")
        git.run("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git.run("checkout", "--quiet", "--detach", commit)
        return git.directory

    def step(self, action: str, cwd: Path, **inputs: str) -> tuple[Told, dict[str, str]]:
        """Run an action as a step; return what it told, and its outputs."""
        file = self.top / "outputs"
        file.unlink(missing_ok=True)
        self.env["GITHUB_OUTPUT"] = str(file)
        summary = self.top / "summary"
        summary.unlink(missing_ok=True)
        self.env["GITHUB_STEP_SUMMARY"] = str(summary)
        told = self.run(action, cwd=cwd, **inputs)
        return told, read_outputs(file.read_text("utf-8")) if file.exists() else {}

    def publish(self, commit: str, model_hash: str) -> str:
        """Push a stand-in for the image with the model, as build-push-image labels one."""
        return push_image(
            self.registry,
            self.image.partition("/")[2],
            commit,
            {
                "io.model-gitops.model.name": self.shape.model,
                "io.model-gitops.model.hash": model_hash,
                "org.opencontainers.image.revision": commit,
            },
        )

    def well(self, action: str, cwd: Path, **inputs: str) -> dict[str, str]:
        """Run a step that ends well; return its outputs."""
        told, outputs = self.step(action, cwd, **inputs)
        assert told.code == 0, (action, told.log)
        return outputs

    def check_promotion(self, job: Path) -> dict[str, str]:
        return self.well("check-promotion", job, config=self.shape.rules, token=READER)

    def deploy(self) -> Path:
        """What deploy.yml does for a push to main; return the job's checkout."""
        commit = self.sha("main")
        self.push("main")
        job = self.job(commit)
        checked = self.check_promotion(job)
        assert checked["has-model"] == "true"
        model_hash = checked["model-hash"]
        digest = self.publish(commit, model_hash)
        registered = self.well("gto-register-stage", job, model=self.shape.model, stage="dev")
        assert registered["operation"] == "registered-and-assigned"
        bumped = self.well(
            "bump-kustomize-tag",
            job,
            repository=DEPLOY,
            path="overlays/dev",
            token=TOKEN,
            images=f"model={self.image}:{commit}@{digest}",
            trailers=f"Model: {self.shape.model}@{registered['version']}\n"
            f"Model-Hash: {model_hash}\n"
            f"Source-Repository: {MODEL}\nSource-Commit: {commit}",
        )
        assert bumped["operation"] == "pushed"
        return job

    def experiment(self) -> Path:
        """Push an experiment's branch, and open a job of its pull request: return its checkout."""
        self.work.run("checkout", "--quiet", "--detach", self.sha("main"))
        self.write(self.shape.experiment)
        self.train("experiment/a")
        self.pull_request("experiment/a", "main")
        return self.job(self.sha("experiment/a"))

    def looked_at(self, action: str, job: Path, **inputs: str) -> Any:
        """Run status or trace-model, which end well; return what they put out as JSON."""
        tokens = {"token": READER, "source_token": READER}
        found = self.well(action, job, json="true", config=self.shape.rules, **tokens, **inputs)
        return json.loads(found["json"])
