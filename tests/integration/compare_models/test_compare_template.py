"""compare-models on the model template: its pipeline, its ONNX models, its environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core.flow import gate, measured
from model_gitops.core.flow.promotion import Rule
from model_gitops.options import variable

ROOT = Path(__file__).parents[3]
R2 = Rule("eval/metrics.json", "r2", "higher", tolerance=0.005, measured=True)
pytestmark = pytest.mark.slow


def train(work: Path, seed: int, epochs: int) -> float:
    """Edit params.yaml alone, reproduce, push and commit; return R² as the commit has it."""
    path = work / "params.yaml"
    text = re.sub(r"(?m)^  seed: \d+", f"  seed: {seed}", path.read_text(), count=1)
    path.write_text(re.sub(r"(?m)^(  epochs:) \d+", rf"\1 {epochs}", text))
    for words in (["make", "reproduce"], ["make", "push"], ["git", "add", "--all"],
                  ["git", "commit", "--quiet", "--message", f"Train with seed {seed}"]):  # fmt: skip
        process.run(words, cwd=work)
    return float(json.loads((work / "eval/metrics.json").read_text())["r2"])


def test_another_split_misleads_and_one_test_set_does_not(tmp_path: Path) -> None:
    work, remote = tmp_path / "work", tmp_path / "remote.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", remote])
    shutil.copytree(
        ROOT / "templates" / "model", work, ignore=shutil.ignore_patterns(".venv", "__pycache__")
    )
    process.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=work)
    git = Git(work)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.org")
    git.run("remote", "add", "origin", str(remote))
    dvc = Path(sys.executable).with_name("dvc")
    process.run([dvc, "remote", "add", "--default", "store", tmp_path / "store"], cwd=work)
    rules = work / "promotion.yaml"
    known = "\n  test-data: [data/test.csv]\n"
    assert known in rules.read_text()
    more = f"{known}  predictions: eval/plots/predictions.csv\n"
    rules.write_text(rules.read_text().replace(known, more))
    process.run(["make", "env"], cwd=work, timeout=1800)

    champion = train(work, 42, 10)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    git.run("switch", "--quiet", "--create", "experiment")
    candidate = train(work, 8, 8)
    # Trained for less time, and judged on a test set that is easier.
    assert candidate > champion + 0.03
    assert gate.judge(R2, champion, candidate, must_compare=True).passed

    output = tmp_path / "output"
    inputs = {"base-ref": "main", "champion": "origin/main", "setup": "make env"}
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    git.run("fetch", "--quiet", "origin")
    process.run(
        [sys.executable, "-I", ROOT / "scripts", "compare-models"],
        cwd=work,
        env={variable(name): value for name, value in inputs.items()}
        | {"GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(tmp_path), "UV_CACHE_DIR": cache},
        timeout=1800,
    )
    text = re.findall(r"measured<<(\S+)\n(.*)\n\1", output.read_text())[0][1]
    found = measured.parse(text).differences[R2.metric]
    assert found.champion == champion
    assert found.candidate is not None and found.candidate < champion - 0.005
    assert not gate.judge_measured(R2, found).passed
    # The numbers are rounded, and so are the predictions: R² is recognised all the same.
    assert found.interval is not None
    assert found.interval[0] < found.candidate - champion < found.interval[1]
