"""compare-models with real Git and real DVC: two models, one test set, the base's evaluation."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dvc.cli import main as dvc_main

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core.flow import gate, measured
from model_gitops.core.flow.promotion import Rule
from model_gitops.options import variable

SCRIPTS = Path(__file__).parents[2] / "scripts"
IMAGE = "registry.example/acme/m"

# A model is the slope of a line; the test set is measured with it, group by group.
EVALUATE = """\
import json, os, pathlib
model = json.loads(pathlib.Path("models/m.json").read_text())["slope"]
rows = [line.split(",") for line in pathlib.Path("data/test.csv").read_text().split()[1:]]
errors = [abs(float(y) - model * float(x)) for x, y, _ in rows]
out = pathlib.Path("eval")
out.mkdir(exist_ok=True)
(out / "metrics.json").write_text(json.dumps({"mae": round(sum(errors) / len(errors), 6)}))
lines = [f"{y},{model * float(x):.6f},{group}" for x, y, group in rows]
(out / "predictions.csv").write_text("\\n".join(["actual,predicted,group", *lines]) + "\\n")
print("evaluated slope", model)
"""
SEES = (
    EVALUATE
    + """\
mine = [f"{k}={v}" for k, v in os.environ.items()]
pathlib.Path(os.environ["PATH"].split(":")[1], "seen").write_text("\\n".join(mine))
"""
)
DVC_YAML: dict[str, Any] = {
    "stages": {
        "train": {"cmd": "true", "deps": ["train.py"], "outs": ["models/m.json"]},
        "evaluate": {
            "cmd": f"{sys.executable} ${{script}}",
            "deps": ["evaluate.py", "data/test.csv", "models/m.json"],
            "metrics": [{"eval/metrics.json": {"cache": False}}],
            "outs": [{"eval/predictions.csv": {"cache": False}}],
        },
    },
    "artifacts": {"m": {"path": "models/m.json", "type": "model"}},
}
RULES: dict[str, Any] = {
    "model": "m",
    "image": IMAGE,
    "environments": [{"name": "dev", "branch": "main"}],
    "gate": [{"metric": "eval/metrics.json:mae", "better": "lower", "measured": True}],
    "compare": {"predictions": "eval/predictions.csv", "slices": "group"},
}
METRIC = "eval/metrics.json:mae"


def data(noise: float) -> str:
    """A test set of y = 2x, and a group that lies above it; `noise` makes it a harder one."""
    rows = [
        f"{x},{2 * x + noise * (x % 7 - 3) + 3 * (x % 4 == 0):g},{'old' if x % 4 == 0 else 'young'}"
        for x in range(1, 81)
    ]
    return "\n".join(["x,y,group", *rows]) + "\n"


@dataclass
class Told:
    """An action that ended."""

    code: int
    outputs: dict[str, str]
    log: str
    summary: str

    @property
    def measured(self) -> measured.Measured:
        assert self.code == 0, self.log
        return measured.parse(self.outputs["measured"])

    @property
    def difference(self) -> measured.Difference:
        return self.measured.differences[METRIC]


@dataclass
class Project:
    """The checkout of a job, its Git remote, its DVC remote, and the deploy repository."""

    top: Path
    rules: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)

    @property
    def git(self) -> Git:
        return Git(self.top / "work")

    @property
    def temporary(self) -> Path:
        return self.top / "temporary"

    def change(
        self, branch: str, *, slope: float | None = None, noise: float | None = None,
        files: Mapping[str, str | bytes] | None = None, rules: Mapping[str, Any] | None = None,
        start: str = "main",
    ) -> str:  # fmt: skip
        """Commit on `branch`, which starts at the server's `start`; DVC writes the lock, and pushes."""
        git, work = self.git, self.top / "work"
        if git.run("ls-remote", "origin").strip():
            git.run("fetch", "--quiet", "origin")
            git.run("checkout", "--quiet", "--detach", f"origin/{start}")
        written: dict[str, str | bytes] = dict(files or {})
        if rules is not None:
            written["promotion.yaml"] = json.dumps(self.rules | rules)
        for name, content in written.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content.encode() if isinstance(content, str) else content)
        for name in ("data/test.csv", "models/m.json"):
            (work / name).parent.mkdir(exist_ok=True)
        if noise is not None:
            (work / "data/test.csv").write_text(data(noise))
            dvc(work, "add", "data/test.csv")
        else:
            dvc(work, "checkout", "--force", "data/test.csv.dvc")
        if slope is not None:
            (work / "models" / "m.json").write_text(json.dumps({"slope": slope}))
        elif not any(name.startswith("models/") for name in written):
            dvc(work, "checkout", "--force", "train")
        dvc(work, "commit", "--force", "train")
        dvc(work, "repro", "--single-item", "--force", "evaluate")
        dvc(work, "push")
        git.run("add", "--all")
        git.run("commit", "--quiet", "--message", f"Change {branch}")
        git.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return git.run("rev-parse", "HEAD").strip()

    def plain(self, commit: str) -> float:
        """The number that the commit's own metrics file says."""
        return float(json.loads(self.git.run("show", f"{commit}:eval/metrics.json"))["mae"])

    def deploy(self, commit: str, hash: str = "") -> None:
        """Let dev run the model of `commit`, as bump-kustomize-tag writes it."""
        lock = self.git.run("show", f"{commit}:dvc.lock")
        own = re.findall(r"path: models/m\.json\s+hash: md5\s+md5: (\w+)", lock)[0]
        git = Git(self.top / "deploy")
        digest = "sha256:" + git.run("rev-list", "--count", "HEAD").strip() * 64
        file = git.directory / "overlays" / "dev" / "kustomization.yaml"
        file.write_text(f"images:\n- name: {IMAGE}\n  newTag: {commit}\n  digest: {digest}\n")
        trailers = {
            "Model": "m@v0.0.1", "Model-Hash": hash or own, "Image-Digest": digest,
            "Source-Repository": "acme/m", "Source-Commit": commit,
        }  # fmt: skip
        text = "\n".join(f"{key}: {value}" for key, value in trailers.items())
        git.run("commit", "--quiet", "--all", "--message", f"Deploy\n\n{text}")
        git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")

    def start(self, **inputs: str) -> subprocess.Popen[str]:
        for name in ("output", "summary"):
            (self.top / name).unlink(missing_ok=True)
        own = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
        runner = {
            "GITHUB_OUTPUT": str(self.top / "output"),
            "GITHUB_STEP_SUMMARY": str(self.top / "summary"),
            "RUNNER_TEMP": str(self.temporary),
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-u", SCRIPTS, "compare-models"],
            cwd=self.top / "work", env=process.environment({**runner, **self.env, **own}),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, **inputs: str) -> Told:
        ran = self.start(**{"base_ref": "main", **inputs})
        log, _ = ran.communicate(timeout=300)
        output, summary = (
            file.read_text() if (file := self.top / name).exists() else ""
            for name in ("output", "summary")
        )
        found = re.findall(r"^([a-z-]+)<<(\S+)\n(.*?)\n\2$", output, re.MULTILINE | re.DOTALL)
        return Told(ran.returncode, {name: value for name, _, value in found}, log, summary)

    def left(self) -> list[str]:
        """What is left of the work tree of the base."""
        linked = self.git.run("worktree", "list", "--porcelain").count("worktree ") - 1
        return [*(path.name for path in self.temporary.iterdir()), *["linked"] * linked]


def dvc(directory: Path, *words: str) -> None:
    """Run DVC in this process: starting it takes longer than what it does here."""
    assert dvc_main(["--cd", str(directory), *words, "--quiet"]) == 0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """main has a model of slope 1.5, which dev runs, and a test set without noise."""
    for name, folder in (("model.git", "work"), ("deploy.git", "deploy")):
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", tmp_path / name])
        process.run(["git", "clone", "--quiet", tmp_path / name, tmp_path / folder])
        git = Git(tmp_path / folder)
        git.run("config", "user.name", "Ada")
        git.run("config", "user.email", "ada@example.org")
    (tmp_path / "temporary").mkdir()
    overlay = tmp_path / "deploy" / "overlays" / "dev" / "kustomization.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(f"images:\n- name: {IMAGE}\n  newTag: not-deployed-yet\n")
    deploy = Git(tmp_path / "deploy")
    deploy.run("add", "--all")
    deploy.run("commit", "--quiet", "--message", "Start")
    deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    dvc(tmp_path / "work", "init")
    dvc(tmp_path / "work", "remote", "add", "--default", "store", str(tmp_path / "store"))
    rules = RULES | {"deploy": {"repository": str(tmp_path / "deploy.git")}}
    made = Project(tmp_path, rules, {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")})
    files = {
        "dvc.yaml": json.dumps(DVC_YAML), "params.yaml": "script: evaluate.py\n", "train.py": "",
        "evaluate.py": EVALUATE, "models/m.json": '{"slope": 1.5}',
    }  # fmt: skip
    first = made.change("main", noise=0, files=files, rules={})
    made.deploy(first)
    return made


def test_two_test_sets_mislead_and_one_does_not(project: Project) -> None:
    """The candidate is better, and its own test set harder: by the plain numbers it is worse."""
    champion = project.git.run("rev-parse", "origin/main").strip()
    candidate = project.change("experiment", slope=1.9, noise=40)
    rule = Rule("eval/metrics.json", "mae", "lower")
    plain = gate.judge(rule, project.plain(champion), project.plain(candidate), must_compare=True)
    assert "is worse than" in plain.reason
    told = project.run()
    found = told.difference
    assert found.champion == pytest.approx(project.plain(champion))
    assert found.candidate is not None and found.champion is not None
    assert found.candidate < found.champion < project.plain(candidate)
    assert gate.judge_measured(rule, found).passed
    assert told.measured.evaluation_commit == champion
    assert (told.measured.champion_commit, told.measured.candidate_commit) == (champion, candidate)

    # The other way round: a worse model on an easier test set looks better, and is not.
    project.change("main", noise=40)
    worse = project.change("experiment", slope=1.4, noise=0)
    harder = project.plain(project.git.run("rev-parse", "origin/main").strip())
    assert gate.judge(rule, harder, project.plain(worse), must_compare=True).passed
    found = project.run().difference
    assert not gate.judge_measured(rule, found).passed


def test_the_interval_and_the_slices(project: Project) -> None:
    project.change("experiment", slope=1.9)
    first = project.run()
    found = first.difference
    assert found.champion is not None and found.candidate is not None and found.interval
    assert found.interval[0] < found.candidate - found.champion < found.interval[1] < 0
    assert [(one.name, one.examples) for one in found.slices] == [("young", 60), ("old", 20)]
    assert gate.judge_measured(
        Rule("eval/metrics.json", "mae", "lower", measured=True, significant=True), found
    ).passed
    assert "worst of 2 slices" in first.outputs["table"]
    assert first.outputs["table"] in first.summary
    # Run again, it says the same.
    second = project.run()
    assert second.outputs == first.outputs
    assert project.left() == []
    assert project.git.run("status", "--porcelain") == ""


def test_the_branchs_own_evaluation_and_rules_are_not_run(project: Project) -> None:
    files = {
        "evaluate.py": EVALUATE + 'pathlib.Path("eval/metrics.json").write_text(\'{"mae": 0}\')\n',
        "params.yaml": "script: evaluate.py\nnew: 1\n",
    }
    lying = project.change("experiment", slope=1.0, files=files, rules={"compare": {}})
    assert project.plain(lying) == 0
    found = project.run().difference
    assert found.candidate is not None and found.champion is not None
    assert found.candidate > found.champion
    assert found.interval is not None


def test_the_evaluation_sees_no_secret(project: Project) -> None:
    project.change("main", files={"evaluate.py": SEES})
    project.change("experiment", slope=1.9)
    first_on_path = project.top / "programs"
    first_on_path.mkdir()
    secrets = {
        "GITHUB_TOKEN": "canary-1", "AWS_SECRET_ACCESS_KEY": "canary-2", "MY_PASSWORD": "canary-3",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-4", "HTTPS_PROXY": "http://u:canary-5@127.0.0.1:1",
        "PIP_INDEX_URL": "https://u:canary-6@example.org", "GITHUB_ENV": "canary-7",
    }  # fmt: skip
    project.env |= secrets | {"PATH": f"{first_on_path}:{os.environ['PATH']}"}
    setup = f"{sys.executable} -c \"import os; print('set up by', sorted(os.environ))\""
    told = project.run(setup=f"mkdir -p .venv/bin\n{setup}")
    assert told.code == 0, told.log
    seen = (first_on_path / "seen").read_text()
    assert "HOME=" in seen
    # The programs of the set-up come first.
    assert re.search(r"^PATH=[^:]*/tree-[^:/]*/\.venv/bin:", seen, re.MULTILINE)
    assert "canary" not in seen
    assert f"HOME={Path.home()}\n" not in seen + "\n"
    assert set(dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)) <= {
        "PATH", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "CI", "HOME", "TMPDIR", "PWD", "SHLVL", "_",
        "DVC_SITE_CACHE_DIR", "DVC_NO_ANALYTICS", "PYTHONUNBUFFERED", "DVC_ROOT", "DVC_STAGE", "OLDPWD",
        "LD_LIBRARY_PATH",
    }  # fmt: skip
    # The set-up knows the way to the packages, and no more.
    assert "'PIP_INDEX_URL'" in told.log
    assert "'MY_PASSWORD'" not in told.log


PICKLED = DVC_YAML | {
    "stages": {
        "train": {"cmd": "true", "outs": ["models/m.pkl"]},
        "evaluate": DVC_YAML["stages"]["evaluate"]
        | {"deps": ["evaluate.py", "data/test.csv", "models/m.pkl"]},
    },
    "artifacts": {"m": {"path": "models/m.pkl"}},
}
UNPICKLES = EVALUATE.replace(
    'json.loads(pathlib.Path("models/m.json").read_text())',
    '__import__("pickle").loads(pathlib.Path("models/m.pkl").read_bytes())',
)


def test_a_pickle_is_run_only_where_the_base_allows_it(project: Project) -> None:
    main = project.change(
        "main",
        files={
            "dvc.yaml": json.dumps(PICKLED), "evaluate.py": UNPICKLES,
            "models/m.pkl": pickle.dumps({"slope": 1.5}),
        },
    )  # fmt: skip
    allows = {"compare": RULES["compare"] | {"allow-pickle": True}}
    files = {"models/m.pkl": pickle.dumps({"slope": 1.9})}
    project.change("experiment", files=files, rules=allows)
    told = project.run(champion=main)
    assert told.code == 3, told.log
    assert "models/m.pkl counts as code, since it is a pickle" in told.log
    assert "evaluated slope" not in told.log
    assert project.left() == []

    project.change("main", rules=allows)
    project.change("experiment", files=files)
    told = project.run(champion=main)
    assert told.difference.candidate is not None
    assert "may run code when it is loaded" in told.log


def test_a_candidate_that_is_no_json_is_refused_before_it_is_loaded(project: Project) -> None:
    good = project.git.run("rev-parse", "origin/main").strip()
    bad = project.change("experiment", slope=1.9)
    lock = project.top / "work" / "dvc.lock"
    # Its object is a pickle under the name that says JSON.
    content = pickle.dumps({"slope": 2})
    (project.top / "work" / "models" / "m.json").write_bytes(content)
    dvc(project.top / "work", "commit", "--force", "train")
    dvc(project.top / "work", "push")
    project.git.run("commit", "--quiet", "--all", "--message", "Pickle")
    assert bad != good and lock.exists()
    told = project.run()
    assert (told.code, told.outputs) == (3, {}), told.log
    assert "the candidate's model is not run" in told.log


def test_nothing_runs_yet(project: Project) -> None:
    overlay = project.top / "deploy" / "overlays" / "dev" / "kustomization.yaml"
    overlay.write_text(f"images:\n- name: {IMAGE}\n  newTag: not-deployed-yet\n")
    git = Git(project.top / "deploy")
    git.run("commit", "--quiet", "--all", "--message", "Start again")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    project.change("experiment", slope=1.9)
    told = project.run()
    assert (told.code, told.outputs) == (0, {"measured": "", "table": ""})
    assert "dev runs nothing yet, so there is nothing to compare m with" in told.log


def test_a_deploy_commit_that_names_another_model_is_refused(project: Project) -> None:
    project.deploy(project.git.run("rev-parse", "origin/main").strip(), "f" * 32)
    project.change("experiment", slope=1.9)
    told = project.run()
    assert told.code == 3
    assert "dev runs the model with the hash " + "f" * 32 in told.log


def test_without_a_deploy_repository_the_stages_tag_says_what_runs(project: Project) -> None:
    rules = {key: value for key, value in project.rules.items() if key != "deploy"}
    project.change("main", files={"promotion.yaml": json.dumps(rules)})
    project.change("experiment", slope=1.9)
    assert "dev runs nothing yet" in project.run().log
    for tag in ("m@v0.0.1", "m#dev#1"):
        project.git.run("tag", "--annotate", "--message", "x", tag, "origin/main")
        project.git.run("push", "--quiet", "origin", f"refs/tags/{tag}")
    told = project.run()
    assert told.difference.interval is not None
    assert "whoever may push a tag may change that" in told.log


def test_the_same_model_is_measured_once(project: Project) -> None:
    told = project.run(champion="origin/main")
    assert told.difference.interval == (0, 0)
    assert told.log.count("evaluated slope") == 1


def test_a_failing_evaluation_says_its_last_lines(project: Project) -> None:
    broken = EVALUATE + 'raise SystemExit("the test set has no rows" if model > 1.8 else 0)\n'
    project.change("main", files={"evaluate.py": broken})
    project.change("experiment", slope=1.9, files={"evaluate.py": EVALUATE})
    told = project.run()
    assert (told.code, told.outputs) == (4, {})
    assert "the evaluation of the candidate, stage 'evaluate', failed with status" in told.log
    assert "the test set has no rows" in told.log.partition("failed with status")[2]
    assert project.left() == []


def test_a_model_that_was_never_pushed(project: Project) -> None:
    project.change("experiment", slope=1.9)
    lock = project.git.run("show", "HEAD:dvc.lock")
    own = re.findall(r"path: models/m\.json\s+hash: md5\s+md5: (\w+)", lock)[0]
    (project.top / "store" / "files" / "md5" / own[:2] / own[2:]).unlink()
    told = project.run()
    assert told.code == 4
    assert "does not have 'models/m.json'" in told.log
    assert project.left() == []


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"timeout": "0"}, "it is no number from 1 to 360"),
        ({"timeout": "soon"}, "it is no number from 1 to 360"),
        ({"champion": "v9.9.9"}, "it is no version or stage of m"),
        ({"base_ref": "experiment"}, "it is no environment's branch: these are main"),
        ({"remote": "other"}, "the DVC project has no such remote; it has: store"),
        ({"remote_config": "secret"}, "entry 1 is no `key=value`"),
        ({"setup": 'make "env'}, "it is no command"),
    ],
)
def test_wrong_inputs(project: Project, inputs: dict[str, str], says: str) -> None:
    project.change("experiment", slope=1.9)
    told = project.run(**inputs)
    assert told.code == 2, told.log
    assert says in told.log
    assert project.left() == []


def test_sigterm_leaves_nothing(project: Project) -> None:
    marker = project.top / "running"
    slow = f"{EVALUATE}pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n"
    project.change("main", files={"evaluate.py": slow + "if model > 1: pass\n"})
    sleeping = slow + "import time; time.sleep(0 if os.path.exists('eval/fast') else 300)\n"
    project.git.run("fetch", "--quiet", "origin")
    project.git.run("checkout", "--quiet", "--detach", "origin/main")
    (project.top / "work" / "evaluate.py").write_text(sleeping)
    project.git.run("commit", "--quiet", "--all", "--message", "Slow")
    project.git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    marker.unlink()
    ran = project.start(base_ref="main", champion="HEAD")
    deadline = time.monotonic() + 120
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(project.left()) == 2
    evaluating = int(marker.read_text())
    ran.send_signal(signal.SIGTERM)
    log, _ = ran.communicate(timeout=60)
    assert ran.returncode == 130, log
    assert project.left() == []
    assert not Path(f"/proc/{evaluating}").exists()
