"""promote.yml and deploy.yml as they run, beside the same steps by plain tools in one script."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import ROOT, TOOLS, Sample, expect, figures, folders, run, sample
from benchmarks.tools import tool, versions

_SHARED = {
    "size": "",
    "peer": "one script: `gto show`, `dvc metrics diff`, `dvc pull`, `dvc status`, `docker buildx build`, a container, `docker push`, three `dvc … diff`s and a comment; then `dvc pull`, `gto register`, the same with the image, `kustomize edit`, commit, `gto assign`",
    "tools": ("dvc", "gto", "docker", "kustomize", "git"),
    "targets": (Target(Kind.SHARE, 1.0), Target(Kind.SHARE, 1.0, "cpu")),
    "floor": "The image is built and tested twice, at the pull request and at the merge.",
}
WARM = Row(
    name="flow-steps",
    work="promote.yml and deploy.yml of a merge into the first environment, under act: all steps that are ours, their tools installed before",
    means="Time is each step's as act says it, with act's own part of it; CPU time is of the actions alone. We also judge the hop, run or leave out the project's own commands, record fingerprint, trailers and approvals, tell what runs, draw the plots as pictures and find the version that a merge would make; the script does none of that.",
    slower="Checkouts are on neither side. The daemons' work (BuildKit, engine, registry) is in both times, and in no CPU time.",
    **_SHARED,  # type: ignore[arg-type]
)
COLD = Row(
    name="flow-steps-cold",
    work="the same on machines that have no tool of it yet: each job begins with nothing",
    means="As above, and what a job needs is installed in it: ours by run.sh, the script's DVC and GTO by `pip install` from the same index, three times. Docker, kustomize and the builder are there on both sides.",
    slower="The time depends on the package index, for both.",
    **_SHARED,  # type: ignore[arg-type]
)
RUNS = 3

_WRAPPER = """\
#!/usr/bin/env bash
# Runs the run.sh that is measured, and notes what it took.
result=$(mktemp @FOLDER@/XXXXXX)
@SPENT@ "${result}" 3600 bash "$(dirname "${BASH_SOURCE[0]}")/../itself/run.sh" "$@"
exit "$(sed -E 's/.*"code": (-?[0-9]+).*/\\1/' "${result}")"
"""
_SERVE = """\
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"predictions": [1], "version": os.environ["MODEL_VERSION"]})
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
HTTPServer(("", 8080), Handler).serve_forever()
"""
_FILES = {
    "dvc.yaml": "artifacts:\n  diabetes: {path: models/diabetes.onnx, type: model}\n"
    "params: [params.yaml]\n"
    "stages:\n  evaluate:\n    cmd: python3 evaluate.py\n    deps: [models/diabetes.onnx]\n"
    "    metrics: [eval/metrics.json: {cache: false}]\n"
    "plots:\n  - eval/curve.csv: {x: epoch, y: loss}\n",
    "Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY serve.py /app/\n"
    "COPY --chmod=444 --from=model diabetes.onnx /app/\n"
    "ARG MODEL_VERSION=\nENV MODEL_VERSION=${MODEL_VERSION}\nEXPOSE 8080\n"
    'CMD ["python3", "/app/serve.py"]\n',
    "serve.py": _SERVE,
    "tests/smoke.yaml": "port: 8080\nhealth: /readyz\n"
    "requests:\n  - path: /predict\n    json: {rows: [[1, 2]]}\n    expect: {body-contains: predictions}\n",
    ".dockerignore": "*\n!serve.py\n",
    "promotion.yaml": "model: diabetes\nimage: @IMAGE@\n"
    "deploy:\n  repository: acme/diabetes-deploy\n  path: overlays/{environment}\n"
    "environments:\n  - {name: dev, branch: main}\n  - {name: staging, branch: staging}\n"
    "  - {name: production, branch: production, deploy: pull-request}\n"
    "gate:\n  - {metric: eval/metrics.json:r2, better: higher, tolerance: 0.01, measured: when-changed}\n",
}


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """With all tools installed before."""
    return {
        WARM.name: [_measure(folder, size, cold=False) for size, folder in folders(work, sizes)]
    }


def measure_cold(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """With no tool installed before, in any job."""
    return {COLD.name: [_measure(folder, size, cold=True) for size, folder in folders(work, sizes)]}


def _measure(work: Path, size: int, *, cold: bool) -> Point:
    sys.path.insert(0, str(ROOT / "scripts"))
    from model_gitops_local import machine
    from model_gitops_local.flow import Flow
    from model_gitops_local.parts import parts_of

    before = dict(os.environ)
    flows: list[Any] = []
    try:
        here = machine.start(work / "machine", ("act", "kustomize"))
        os.environ.update(machine.environment(here))
        parts = parts_of(here, work / "actions")
        times = work / "times"
        times.mkdir()
        _wrap(parts.actions / "scripts" / "run.sh", times)
        # "" is no store: then each job of act makes its environments in its own RUNNER_TEMP.
        given = {**parts.environment, **({"MODEL_GITOPS_STORE": ""} if cold else {})}
        for side in ("ours", "peer"):
            theirs = replace(
                parts,
                environment=parts.environment if side == "peer" else given,
                registry=f"{parts.registry}/{side}",
            )
            flow = Flow(work / side, theirs)
            flows.append(flow)
            flow.create_repositories(change=partial(_project, flow))
            # What runs before: both sides begin with the same. The push that makes a branch deploys nothing.
            _merge(flow, _propose(flow, work, 0))
            _succeed(flow.pushed("main", "deploy.yml"))
            _deployed(flow, "v0.0.1")
        samples: dict[str, list[Sample]] = {"peer": [], "ours": []}
        for number in range(1, RUNS + 1):
            samples["peer"].append(_by_script(flows[1], work, number, cold=cold))
            samples["ours"].append(_by_act(flows[0], work, times, number))
            told = ", ".join(f"{name} {some[-1].wall:.1f} s" for name, some in samples.items())
            print(f"  run {number}: {told}", file=sys.stderr)
        return Point(size, figures(samples["ours"]), figures(samples["peer"]))
    finally:
        for flow in flows:
            flow.stop()
        os.environ.clear()
        os.environ.update(before)
        machine.remove(work / "machine")


def _wrap(script: Path, times: Path) -> None:
    """Let run.sh of the copied actions note in the folder `times` what it took."""
    script.parent.rename(script.parent.with_name("itself"))
    script.parent.mkdir()
    spent = f"{sys.executable} -I -S {ROOT / 'benchmarks/spent.py'}"
    script.write_text(_WRAPPER.replace("@FOLDER@", str(times)).replace("@SPENT@", spent))
    script.chmod(0o755)


def _project(flow: Any, folder: Path) -> None:
    """Make of the template's folder a small project, which trains nothing and has no commands."""
    for one in folder.iterdir():
        if one.name not in (".git", ".github", ".dvc", ".gitignore", ".dvcignore"):
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    image = f"{flow.parts.registry}/acme/diabetes"
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("@IMAGE@", image))
    _model(folder, 0.5)


def _model(folder: Path, quality: float) -> None:
    """Give the project another model, 5 MB, and push its data."""
    (folder / "models").mkdir(exist_ok=True)
    (folder / "eval").mkdir(exist_ok=True)
    (folder / "models/diabetes.onnx").write_bytes(os.urandom(5_000_000))
    (folder / "eval/metrics.json").write_text(json.dumps({"r2": quality, "rmse": 1 - quality}))
    (folder / "params.yaml").write_text(f"epochs: {int(quality * 1000)}\n")
    lines = [f"{n},{80 / (1 + n * quality)}" for n in range(60)]
    (folder / "eval/curve.csv").write_text("\n".join(["epoch,loss", *lines]) + "\n")
    dvc = str(TOOLS / "dvc")
    run([dvc, "add", "--quiet", "models/diabetes.onnx"], folder)
    run([dvc, "commit", "--quiet", "--force", "evaluate"], folder)
    run([dvc, "push", "--quiet"], folder)


def _propose(flow: Any, work: Path, number: int) -> int:
    """Push a branch with a better model, and open its pull request, with nothing kept for its builds."""
    branch = f"experiment/{number}"
    flow.commit(branch, lambda folder: _model(folder, 0.6 + number / 100), f"Try {number}")
    run(["docker", "buildx", "prune", "--all", "--force"], work)
    return int(flow.open_pull_request(branch, "main", f"Try {number}"))


def _merge(flow: Any, number: int) -> None:
    flow.approve(number)
    flow.merge(number)


def _succeed(done: Any) -> None:
    expect(done.status == 0, f"{done.workflow} to pass: {done.failed_step}\n{done.log[-3000:]}")


def _by_act(flow: Any, work: Path, times: Path, number: int) -> Sample:
    """Run both workflows, and return what our own steps took."""
    pull = _propose(flow, work, number)
    for old in times.iterdir():
        old.unlink()
    wall = 0.0
    of: dict[str, set[str]] = {}

    def on_step(job: str, step: str, result: str, seconds: float) -> None:
        nonlocal wall
        wall += seconds if step in of["now"] else 0

    before, flow.on_step = flow.on_step, on_step
    try:
        for workflow in ("promote.yml", "deploy.yml"):
            of["now"] = _own_steps(ROOT / "templates/model/.github/workflows" / workflow)
            # A runner gets the actions anew for each job, without what Python made of them.
            for compiled in list((flow.parts.actions / "itself").resolve().rglob("__pycache__")):
                shutil.rmtree(compiled)
            if workflow == "deploy.yml":
                _merge(flow, pull)
            _succeed(
                flow.proposed(pull)
                if workflow == "promote.yml"
                else flow.pushed("main", "deploy.yml")
            )
    finally:
        flow.on_step = before
    said = [json.loads(one.read_text()) for one in times.iterdir()]
    expect(len(said) > 10, f"more than ten actions, not {len(said)}")
    _deployed(flow, f"v0.0.{number + 1}")
    return Sample(
        wall, sum(one["cpu"] for one in said), max(one["memory"] for one in said), ended=True
    )


def _own_steps(workflow: Path) -> set[str]:
    """Return the names of a workflow's steps that use an action of ours."""
    found = re.findall(
        r"^ +- name: (.*)\n(?:(?! +- ).*\n)*? +uses: model-gitops/model-gitops/actions/",
        workflow.read_text("utf-8"),
        flags=re.M,
    )
    return set(found)


def _by_script(flow: Any, work: Path, number: int, *, cold: bool) -> Sample:
    """Run the script for both, and return what it took."""
    pull = _propose(flow, work, number)
    shutil.rmtree(work / "cold", ignore_errors=True)
    bare = flow.bare(flow.model)
    header = flow.clone(flow.deploy, "main", work / "look", actor="DEPLOY_TOKEN").run(
        "config", "--get", f"http.{flow.forge.url}/.extraheader"
    )
    here = versions(("dvc", "gto"))
    path = [str(Path(tool("kustomize")).parent), *([] if cold else [str(TOOLS)])]
    given = {
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        "IMAGE": f"{flow.parts.registry}/acme/diabetes",
        "BASE_IMAGE": flow.parts.base_image,
        "DEPLOY_URL": f"{flow.forge.url}/{flow.deploy}.git",
        "DEPLOY_HEADER": header.strip(),
        "API": flow.forge.api_url,
        "TOKEN": flow.tokens["GITHUB_TOKEN"],
        "NUMBER": str(pull),
        "COLD": str(work / "cold") if cold else "",
        "DVC": here["dvc"],
        "GTO": here["gto"],
        "DVC_NO_ANALYTICS": "1",
        "GIT_COMMITTER_NAME": "bench",
        "GIT_COMMITTER_EMAIL": "bench@example.com",
        "GIT_AUTHOR_NAME": "bench",
        "GIT_AUTHOR_EMAIL": "bench@example.com",
    }
    words = ["env", *(f"{name}={value}" for name, value in given.items())]
    words += ["bash", str(ROOT / "benchmarks/flow_steps.sh")]

    def part(name: str, at: str) -> Sample:
        checkout = flow.clone(flow.model, at, work / "script" / name, actor="GITHUB_TOKEN")
        return sample([([*words, name], checkout.directory)])

    head = bare.run("rev-parse", f"refs/heads/experiment/{number}").strip()
    first = part("promote", head)
    _merge(flow, pull)
    second = part("deploy", "main")
    _deployed(flow, f"v0.0.{number + 1}")
    return Sample(
        first.wall + second.wall,
        first.cpu + second.cpu,
        max(first.memory, second.memory),
        first.ended and second.ended,
    )


def _deployed(flow: Any, version: str) -> None:
    """End the benchmark if dev does not run the version, or its stage does not say so."""
    tags = flow.bare(flow.model).run("for-each-ref", "--format=%(refname:short)", "refs/tags")
    expect(f"diabetes@{version}\n" in tags, f"the tag diabetes@{version} in {tags}")
    expect("diabetes#dev#" in tags, f"a stage's tag in {tags}")
    overlay = flow.bare(flow.deploy).run("show", "main:overlays/dev/kustomization.yaml")
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", overlay)
    expect(digest is not None, f"a digest in {overlay}")
