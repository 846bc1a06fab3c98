"""Tools: what is here wins, what is not is built once, what can't be had is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from model_gitops.errors import ExternalError
from model_gitops_local import toolchain
from model_gitops_local.commands import setup
from model_gitops_local.toolchain import Tool

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "model-gitops"


def program(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_new_enough_tool_on_path_wins(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = program(tmp_path / "bin", "act", "act version 0.2.99")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert toolchain.ensure("act") == ours
    assert not empty_cache.exists()


def test_an_old_tool_on_path_is_passed_over_for_the_cache(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "kustomize", "v4.5.7")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    version = toolchain.TOOLS["kustomize"].version
    folder = empty_cache / "tools" / f"kustomize-{version}" / "bin"
    folder.mkdir(parents=True)
    cached = program(folder, "kustomize", version)
    assert toolchain.ensure("kustomize") == cached


def test_two_processes_build_once(empty_cache: Path, tmp_path: Path) -> None:
    """A build that takes a second and leaves a line for each time that it is done."""
    built = tmp_path / "built"
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from model_gitops_local import toolchain
        def make(tool, folder):
            with Path({str(built)!r}).open("a") as log:
                log.write("built\\n")
            time.sleep(1)
            program = folder / "bin" / tool.name
            program.write_text("#!/bin/sh\\n")
            program.chmod(0o755)
        toolchain.TOOLS["slow-tool"] = toolchain.Tool("slow-tool", "v1", "example.invalid/slow")
        toolchain._make = make
        print(toolchain.ensure("slow-tool"))
    """)
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=30)[0].strip() for process in both]
    expected = empty_cache / "tools" / "slow-tool-v1" / "bin" / "slow-tool"
    assert answers == [str(expected), str(expected)]
    assert built.read_text() == "built\n"


def test_all_that_is_missing_is_named_at_once_with_what_to_type(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(tool: Tool, folder: Path) -> None:
        raise ExternalError("no network")

    monkeypatch.setattr(toolchain, "_make", fails)
    monkeypatch.setattr(toolchain, "installed", lambda tool: None)
    with pytest.raises(ExternalError) as caught:
        toolchain.ensure_all(["act", "kustomize"])
    assert "act: no network" in caught.value.message
    assert "kustomize: no network" in caught.value.message
    assert "go install github.com/nektos/act@v0.2.89" in caught.value.fix
    # And no half-made folder is taken for the tool later.
    assert not any(path.is_dir() for path in (empty_cache / "tools").iterdir())


@pytest.mark.slow
def test_kustomize_is_built_from_source(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = toolchain.installed
    monkeypatch.setattr(toolchain, "installed", lambda t: None if t.name != "go" else found(t))
    path = toolchain.ensure("kustomize")
    assert path.is_relative_to(empty_cache)
    shown = subprocess.run([path, "version"], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == toolchain.TOOLS["kustomize"].version


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_the_registry_comes_from_the_distribution_without_being_installed(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "installed", lambda tool: None)
    path = toolchain.ensure("registry")
    assert path.is_relative_to(empty_cache)
    assert subprocess.run([path, "--version"], check=False, timeout=30).returncode == 0


def test_setup_leaves_out_what_only_a_cluster_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(toolchain, "ensure_all", lambda names: asked.extend(names) or {})
    setup.main([], standalone_mode=False)
    assert "cosign" in asked
    assert not {"etcd", "kube-apiserver", "rollouts-controller"} & set(asked)
