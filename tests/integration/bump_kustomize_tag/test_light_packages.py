"""Each light extra has all that its actions import: they run with the packages of scripts/wheels.json alone."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
from bump_step import OVERLAY, PROPOSE, A, Work

from model_gitops.adapters import process
from model_gitops.adapters.github import GitHub
from model_gitops.options import variable
from model_gitops_local.forge import Forge

SCRIPTS = Path(__file__).parents[3] / "scripts"
EXTRAS: dict[str, list[str]] = json.loads((SCRIPTS / "wheels.json").read_bytes())["extras"]
# What is imported only where it is used, by the package that brings it.
LATE = {
    "docker": "docker", "jsonschema": "jsonschema", "pygithub": "github", "apprise": "apprise",
    "botocore": "botocore.session",
}  # fmt: skip
# What an action adds to its own environment.
ADDED = {"direct-s3"}
# As `python -I scripts NAME`, with one folder for all packages.
START = "import runpy, sys; sys.path.insert(1, sys.argv.pop(1)); runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def packages_of(extra: str, folder: Path) -> Path:
    """Return a folder with the packages of `extra`, as this environment has them."""
    folder.mkdir()
    for name in EXTRAS[extra]:
        found = metadata.distribution(name)
        tops = {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}
        for top in tops:
            (folder / top).symlink_to(str(found.locate_file(top)))
    return folder


def python(*words: str | Path, **variables: str) -> process.Completed:
    return process.run([sys.executable, "-I", "-S", *words], env=variables, check=False)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_action_starts_and_its_clients_are_there(extra: str, tmp_path: Path) -> None:
    packages = packages_of(extra, tmp_path / "packages")
    if extra not in ADDED:
        done = python("-c", START, packages, SCRIPTS, extra, "--help")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"Usage: model-gitops {extra}")
    late = [module for name, module in LATE.items() if name in EXTRAS[extra]]
    imports = "; ".join(f"import {module}" for module in [*late, "ruamel.yaml"])
    done = python(
        "-W", "error", "-c", f"import sys; sys.path.insert(1, {str(packages)!r}); {imports}"
    )
    assert done.returncode == 0, done.stderr


def test_github_is_asked_without_what_is_left_out(
    deploy: Work, forge: Forge, tmp_path: Path
) -> None:
    packages = packages_of("bump-kustomize-tag", tmp_path / "packages")
    assert not (packages / "cryptography").exists()
    inputs = {"path": OVERLAY, "images": f"diabetes=:v2@{A}", **PROPOSE}
    given = {variable(name): value for name, value in inputs.items()}
    done = python("-c", START, packages, SCRIPTS, "bump-kustomize-tag", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    api = GitHub(PROPOSE["repository"], PROPOSE["token"], api_url=forge.api_url)
    (pull,) = api.open_pull_requests("main")
    assert f"`ghcr.io/acme/diabetes:v2@{A}`" in pull.body
