"""kfp's environment, a compiled package, and the stand-in for Kubeflow's API."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import process

TEMPLATE = Path(__file__).parents[1] / "templates" / "model"
STEPS = ("preprocess", "train", "test", "deploy")
TOKEN = "kubeflow-token"


@pytest.fixture(scope="session")
def kfp_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of requirements/pipeline.txt's environment."""
    folder = tmp_path_factory.mktemp("kfp") / "venv"
    process.run([uv(), "venv", "--quiet", "--python", sys.executable, folder])
    python = folder / "bin" / "python"
    locked = TEMPLATE / "requirements/pipeline.txt"
    process.run([uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", python, locked])
    return python


def quick(python: Path) -> list[str | Path]:
    """The words that start an interpreter which compiles each module once, and leaves nothing beside scripts."""
    return [python, "-X", f"pycache_prefix={python.parent.parent / 'bytecode'}"]


def uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else "uv"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's pipeline and what it takes of a commit, under Git."""
    folder = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(TEMPLATE / "pipeline", folder / "pipeline")
    (folder / "data").mkdir()
    for name in ("params.yaml", "data/labelled.csv"):
        shutil.copy2(TEMPLATE / name, folder / name)
    git = ["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@t"]
    process.run(["git", "init", "--quiet", "--initial-branch=main", folder])
    process.run([*git, "add", "."])
    process.run([*git, "commit", "--quiet", "--message=start"])
    return folder


Compile = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def compiled(kfp_python: Path, checkout: Path) -> Compile:
    """Run compile.py of the checkout."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*quick(kfp_python), checkout / "pipeline/compile.py", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def kustomization(images: dict[str, str]) -> str:
    """A training overlay's entries: step → newName@digest."""
    lines = ["images:"]
    for step, image in images.items():
        name, _, digest = image.partition("@")
        lines += [f"  - name: diabetes-{step}", f"    newName: {name}", "    newTag: v1"]
        lines += [f"    digest: {digest}"] if digest else []
    return "\n".join(lines) + "\n"


def images(last: str = "") -> dict[str, str]:
    """An image a step; the digest of `train` ends with `last`."""
    made = {
        step: f"ghcr.io/acme/diabetes-{step}@sha256:{n:064x}" for n, step in enumerate(STEPS, 1)
    }
    return made | ({"train": made["train"][: -len(last)] + last} if last else {})


@pytest.fixture(scope="session")
def package(compiled: Compile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled package of `images()`."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "kustomization.yaml").write_text(kustomization(images()))
    done = compiled(folder, "--output", folder / "pipeline.yaml")
    assert done.returncode == 0, done.stderr
    return folder / "pipeline.yaml"


class Server:
    """The stand-in's address, and its controls."""

    def __init__(self, port: str) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def control(self, **values: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/control", json.dumps(values).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def start(self, body: Any) -> None:
        """What one request of somebody else starts."""
        request = urllib.request.Request(
            f"{self.url}/apis/v2beta1/runs", json.dumps(body).encode(), method="POST",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip
        urllib.request.urlopen(request).close()


@contextmanager
def stand_in(python: Path, token: str) -> Iterator[Server]:
    """Run a stand-in that has seen nothing yet, and takes this token alone."""
    script = Path(__file__).parent / "kubeflow_server.py"
    with subprocess.Popen(
        [*quick(python), script, token], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield Server(running.stdout.readline().strip())
        finally:
            running.kill()


@pytest.fixture
def kubeflow(kfp_python: Path) -> Iterator[Server]:
    """A stand-in that has seen nothing yet."""
    with stand_in(kfp_python, TOKEN) as server:
        yield server
