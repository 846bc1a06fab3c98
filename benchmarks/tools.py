"""The plain tools beside which the actions are measured: where they are, and which versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.timing import ROOT, TOOLS

# How a tool is asked for its version, where that is not `--version`.
ASK = {"kustomize": "version", "docker": "--version"}
# What is installed in the environment of the development tools.
PACKAGES = ("dvc", "gto", "dvc-s3", "boto3", "uv", "pip")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


def tool(name: str) -> str:
    """Return the path of a tool: of the environment's, on PATH, or built by the demo's tool chain."""
    beside = TOOLS / name
    if beside.exists():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        sys.path.insert(0, str(ROOT / "scripts"))
        from model_gitops_local import toolchain

        if name not in toolchain.TOOLS:
            sys.exit(f"{name} is not on PATH: install it")
        found = str(toolchain.ensure(name))
    return found


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each tool."""
    return {name: _version(name) for name in names}


def machine() -> str:
    """Return what the processor is called, and the memory in GB."""
    name, memory = platform.machine(), ""
    cpus, pages = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpus.exists() and pages.exists():
        if found := re.search(r"model name\s*: (.*)", cpus.read_text("utf-8")):
            name = found[1]
        if found := re.search(r"MemTotal:\s*(\d+) kB", pages.read_text("utf-8")):
            memory = f", {int(found[1]) / 1024**2:.0f} GB"
    return " ".join(name.split()) + memory


def _version(name: str) -> str:
    if name == "python":
        return platform.python_version()
    if name in PACKAGES:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    asked = subprocess.run(
        [tool(name), ASK.get(name, "--version")], capture_output=True, text=True, check=True
    )
    found = _NUMBER.search(asked.stdout + asked.stderr)
    return found[0] if found else (asked.stdout + asked.stderr).strip().partition("\n")[0]
