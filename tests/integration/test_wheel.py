"""What users install: one package, no forge in it, and a command line that works by itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from model_gitops.actions import ACTIONS

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, code: int = 0) -> str:
    """Run a command, check its exit code, and return all that it says."""
    result = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == code, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made by the locked hatchling of the environment that the tests run in."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = ("uv", "build", "--quiet", "--no-config", "--python", sys.executable)
    run(*uv, "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_for_users_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "scripts/model_gitops"
    sources = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix in (".py", ".json")
    }
    # What `init` renders.
    known = run("git", "-C", ROOT, "ls-files", "templates").splitlines()
    sources |= {f"model_gitops/{name}" for name in known}
    names = zipfile.ZipFile(wheel).namelist()
    held = {name for name in names if ".dist-info/" not in name}
    assert held == sources
    assert {name.split("/")[0] for name in held} == {"model_gitops"}
    assert [name for name in held if "forge" in name or "toolchain" in name] == []


def test_the_installed_command_line_works_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    run("uv", "venv", "--quiet", "--no-project", "--python", sys.executable, tmp_path)
    lock = ROOT / "scripts/requirements.txt"
    run("uv", "pip", "install", "--quiet", "--python", python, "--constraint", lock, wheel)
    program = tmp_path / "bin/model-gitops"
    said = run(program, "--help")
    assert [name for name in ACTIONS if name not in said] == []
    assert "Say whether this hop is allowed" in run(program, "check-promotion", "--help")
    refusal = run(program, "local", "demo", code=2)
    assert "Fix: git clone" in refusal
    assert "scripts/run.sh local" in refusal
    made = tmp_path / "made"
    run(program, "init", "--name", "churn", "--owner", "newco", "--to", made)
    assert (made / "src/churn/train.py").is_file()
    assert "version: v" in (made / ".model-gitops.yaml").read_text("utf-8")
    assert "namespace: churn-dev" in (
        tmp_path / "made-deploy/overlays/dev/kustomization.yaml"
    ).read_text("utf-8")
    # As `uvx --from git+… model-gitops merge-lock` runs it: without any extra.
    sides = {
        "base": "",
        "ours": "stages:\n  a:\n    cmd: x\n",
        "theirs": "stages:\n  b:\n    cmd: y\n",
    }
    for name, text in sides.items():
        (tmp_path / name).write_text(text, "utf-8")
    run(program, "merge-lock", *(tmp_path / name for name in sides))
    assert (tmp_path / "ours").read_text("utf-8") == (
        "stages:\n  a:\n    cmd: x\n  b:\n    cmd: y\n"
    )
