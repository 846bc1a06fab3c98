"""Shapes of public DVC projects, written anew: their structure, with small data and programs of our own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promotion_world import Flow, read_outputs
from world import DEPLOY, MODEL, READER, TOKEN, Told, push_image

from model_gitops.adapters import process
from model_gitops.adapters.git import Git

BRANCHES = {"dev": "main", "production": "production"}
IGNORED = "/tmp\n/cache\n/config.local\n"


def dvc(folder: Path, *words: str) -> None:
    """Run DVC as at a prompt, in this process: a start of its own takes a second each time."""
    from dvc.cli import main

    with contextlib.chdir(folder):
        assert main([*words, "--quiet"]) == 0, words


@dataclass(frozen=True)
class Shape:
    """A project: its files, how its data came into DVC, and one experiment.

    `folder` is where promotion.yaml and the DVC project's own `dvc.yaml` are, `root` where `dvc init`
    was run. `data` are files; `added` is what is `dvc add`ed, `imported` what is `dvc import`ed.
    `scores` are the metric before and after the experiment and the change, as the gate shows them,
    `report` rows that the report must have, and `data_of` and `code_of` what the model is made of.
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
    folder: str = ""
    root: str = ""


class Project(Flow):
    """A shape in a repository on the forge, its objects in a folder, and the jobs of its workflows."""

    shape: Shape
    jobs: int = 0

    @property
    def config(self) -> str:
        return "/".join(filter(None, (self.shape.folder, "promotion.yaml")))

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.top.name.lower()}/model"

    @property
    def here(self) -> Path:
        """The folder of the developer's checkout that has dvc.yaml."""
        return self.work.directory / self.shape.folder

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
        self.write(shape.files)
        root = work.directory / shape.root
        root.mkdir(parents=True, exist_ok=True)
        dvc(root, "init", *(["--subdir"] if shape.root else []))
        dvc(root, "remote", "add", "--default", "storage", str(self.top / "storage"))
        self.write(shape.data)
        if shape.imported:
            self.make_registry(shape.imported)
        for path in shape.added:
            dvc((work.directory / path).parent, "add", Path(path).name)
        self.write({self.config: json.dumps(self.promotion())})
        self.train("main")
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
        """Reproduce, commit what is to be committed, push data and Git."""
        dvc(self.here, "repro")
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
        return self.well("check-promotion", job, config=self.config, token=READER)

    def deploy(self) -> Path:
        """What deploy.yml does for a push to main; return the job's checkout."""
        commit = self.sha("main")
        self.push("main")
        job = self.job(commit)
        checked = self.check_promotion(job)
        assert checked["has-model"] == "true"
        model_hash = checked["model-hash"]
        pulled = self.well("dvc-pull-model", job, model=self.shape.model)
        assert pulled["hash"] == model_hash
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
        found = self.well(action, job, json="true", config=self.config, **tokens, **inputs)
        return json.loads(found["json"])


# --- the shapes -----------------------------------------------------------------------------------

TUTORIAL = Shape(
    name="the tutorial's pipeline",
    model="text-classification",
    metric="eval/metrics.json:avg_prec.test",
    files={
        "dvc.yaml": """\
artifacts:
  posts:
    path: data/posts.xml
    type: dataset
    desc: Questions, each with its tags
  text-classification:
    path: model.pkl
    desc: Does a question deserve the tag?
    type: model
    labels: [nlp, classification]
stages:
  prepare:
    cmd: python3 src/prepare.py data/posts.xml
    deps: [data/posts.xml, src/prepare.py]
    params: [prepare.seed, prepare.split]
    outs: [data/prepared]
  featurize:
    cmd: python3 src/featurize.py data/prepared data/features
    deps: [data/prepared, src/featurize.py]
    params: [featurize.ngrams]
    outs: [data/features]
  train:
    cmd: python3 src/train.py data/features model.pkl
    deps: [data/features, src/train.py]
    params: [train.n_est]
    outs: [model.pkl]
  evaluate:
    cmd: python3 src/evaluate.py model.pkl data/features
    deps: [data/features, model.pkl, src/evaluate.py]
    outs: [eval]
metrics: [eval/metrics.json]
plots:
  - ROC:
      template: simple
      x: fpr
      y: {eval/plots/roc/train.json: tpr, eval/plots/roc/test.json: tpr}
  - eval/plots/images/importance.svg
""",
        "params.yaml": "prepare:\n  split: 0.20\n  seed: 7\nfeaturize: {ngrams: 1}\ntrain:\n  n_est: 10\n",
        "src/prepare.py": """\
import pathlib, sys
out = pathlib.Path("data/prepared"); out.mkdir(parents=True, exist_ok=True)
rows = pathlib.Path(sys.argv[1]).read_text().splitlines()
(out / "train.tsv").write_text("\\n".join(rows[::2]) + "\\n")
(out / "test.tsv").write_text("\\n".join(rows[1::2]) + "\\n")
""",
        "src/featurize.py": """\
import pathlib, shutil, sys
shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)
(pathlib.Path(sys.argv[2]) / "words.txt").write_text(pathlib.Path("params.yaml").read_text())
""",
        "src/train.py": """\
import pathlib, re, sys
n = re.search(r"n_est: (\\d+)", pathlib.Path("params.yaml").read_text())[1]
pathlib.Path(sys.argv[2]).write_text(f"forest of {n}\\n")
""",
        "src/evaluate.py": """\
import json, pathlib, re, sys
n = int(re.search(r"\\d+", pathlib.Path(sys.argv[1]).read_text())[0])
out = pathlib.Path("eval"); (out / "plots/roc").mkdir(parents=True, exist_ok=True)
(out / "plots/images").mkdir(exist_ok=True)
score = 1 - 1 / n
(out / "metrics.json").write_text(json.dumps({"avg_prec": {"train": 1.0, "test": score}}))
for part in ("train", "test"):
    points = [{"fpr": x / 5, "tpr": (x / 5) ** (1 / n)} for x in range(6)]
    (out / f"plots/roc/{part}.json").write_text(json.dumps({"roc": points}))
(out / "plots/images/importance.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
""",
    },
    imported="data/posts.xml",
    scores=("0.9", "0.98", "+0.08 ▲"),
    report=("| train.n\\_est | 10 | 50 |", "| avg\\_prec.train | 1 | 1 | = |"),
    data_of=("data/features", "data/posts.xml", "data/prepared"),
    code_of=("src/featurize.py", "src/prepare.py", "src/train.py"),
    experiment={
        "params.yaml": "prepare:\n  split: 0.20\n  seed: 7\nfeaturize: {ngrams: 1}\ntrain:\n  n_est: 50\n"
    },
)


DVCLIVE = Shape(
    name="dvclive's layout",
    model="pool-segmentation",
    metric="results/evaluate/metrics.json:dice",
    files={
        "dvc.yaml": """\
params:
- results/train/params.yaml
metrics:
- results/train/metrics.json
- results/evaluate/metrics.json
plots:
- results/train/plots/metrics:
    x: step
- results/evaluate/plots/images
artifacts:
  pool-segmentation:
    path: models/model.pkl
    type: model
    desc: Finds the pools in
      a picture.
    labels: [cv]
stages:
  data_split:
    cmd: python3 src/data_split.py
    deps: [data/pool_data, src/data_split.py]
    params: [base, data_split]
    outs: [data/test_data, data/train_data]
  train:
    cmd: python3 src/train.py
    deps: [data/train_data, src/train.py]
    params: [base, train]
    outs: [models/model.pkl, models/model.pth, results/train]
  evaluate:
    cmd: python3 src/evaluate.py
    deps: [data/test_data, models/model.pkl, src/evaluate.py]
    params: [base, evaluate]
    outs: [results/evaluate]
  package:
    cmd: cp models/model.pth served.pth && tar -cf model.tar.gz served.pth && rm
      served.pth
    deps: [models/model.pth]
    outs: [model.tar.gz]
""",
        "params.yaml": """\
base: {random_seed: 42}
data_split:
  test_regions:
    - REGION_1
train:
  arch: net_x2
  valid_pct: 0.1
  fine_tune_args: {epochs: 8, base_lr: 1e-2}
evaluate: {n_samples_to_save: 2}
""",
        "src/data_split.py": """\
import pathlib, shutil
for part, region in (("test", "REGION_1"), ("train", "REGION_2")):
    out = pathlib.Path(f"data/{part}_data"); shutil.rmtree(out, ignore_errors=True); out.mkdir()
    for one in pathlib.Path("data/pool_data").glob(f"{region}*"):
        shutil.copy(one, out)
""",
        "src/train.py": """\
import json, pathlib, re
epochs = int(re.search(r"epochs: (\\d+)", pathlib.Path("params.yaml").read_text())[1])
live = pathlib.Path("results/train"); (live / "plots/metrics/train").mkdir(parents=True, exist_ok=True)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.pkl").write_text(f"net of {epochs}")
pathlib.Path("models/model.pth").write_text(f"weights of {epochs}")
rows = [f"{step}\\t{1 / (step + 1)}" for step in range(epochs)]
(live / "plots/metrics/train/loss.tsv").write_text("\\n".join(["step\\tloss", *rows]) + "\\n")
(live / "metrics.json").write_text(json.dumps({"train": {"loss": 1 / epochs}, "step": epochs - 1}))
(live / "params.yaml").write_text(f"n_epoch: {epochs}\\nopt: adam\\n")
""",
        "src/evaluate.py": """\
import base64, json, pathlib, re
epochs = int(re.search(r"\\d+", pathlib.Path("models/model.pkl").read_text())[0])
live = pathlib.Path("results/evaluate"); (live / "plots/images").mkdir(parents=True, exist_ok=True)
(live / "metrics.json").write_text(json.dumps({"dice": 1 - 1 / epochs}))
png = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
for region in ("REGION_1-a", "REGION_1-b"):
    (live / f"plots/images/{region}.png").write_bytes(png)
""",
    },
    data={f"data/pool_data/REGION_{r}-{n}.txt": f"{r} {n}\n" for r in (1, 2) for n in "ab"},
    added=("data/pool_data",),
    scores=("0.875", "0.9375", "+0.0625 ▲"),
    report=(
        "| results/train/metrics.json:train.loss | 0.125 | 0.0625 | -0.0625 |",
        "| params.yaml:train.fine\\_tune\\_args.epochs | 8 | 16 |",
        "| results/train/params.yaml:n\\_epoch | 8 | 16 |",
    ),
    data_of=("data/pool_data", "data/train_data"),
    code_of=("src/data_split.py", "src/train.py"),
    experiment={
        "params.yaml": """\
base: {random_seed: 42}
data_split:
  test_regions:
    - REGION_1
train:
  arch: net_x2
  valid_pct: 0.1
  fine_tune_args: {epochs: 16, base_lr: 1e-2}
evaluate: {n_samples_to_save: 2}
"""
    },
)
