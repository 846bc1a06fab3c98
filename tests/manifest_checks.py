"""The deploy template's check of manifests, as those who use the template run it, and in this process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[1] / "templates" / "deploy"
SCRIPTS = TEMPLATE / "scripts"
TABLE = yaml.safe_load((SCRIPTS / "schemas.yaml").read_text("utf-8"))
KUBERNETES: str = TABLE["kubernetes"]

sys.path.append(str(SCRIPTS))  # the modules of a script are beside it


def environment() -> dict[str, str]:
    """Return the environment with kustomize and Go on PATH, where schemas outlive a run."""
    tools = toolchain.ensure_all(["go", "kustomize"])
    folders = [*(str(one.parent) for one in tools.values()), os.environ["PATH"]]
    kept = toolchain.cache_folder() / "manifest-schemas"
    return os.environ | {"PATH": os.pathsep.join(folders), "MANIFEST_SCHEMAS": str(kept)}


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check each YAML file of a folder."""
    return run(SCRIPTS / "check_manifests.py", folder)


def build(folder: Path, root: Path = TEMPLATE) -> subprocess.CompletedProcess[str]:
    """Build all of a deploy repository into a folder."""
    return run(SCRIPTS / "build_manifests.py", folder, root)


def run(script: Path, *words: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script of a deploy repository, with more of an environment."""
    return subprocess.run(
        [sys.executable, script, *words],
        check=False, capture_output=True, text=True, env=environment() | env,
    )  # fmt: skip


def problems(manifest: Any) -> list[str]:
    """Return the errors of one manifest."""
    return [text for level, text in told(manifest) if level == "error"]


def told(manifest: Any) -> list[tuple[str, str]]:
    """Return all that the check says of one manifest: levels and texts."""
    with mock.patch.dict(os.environ, environment()):
        found: list[tuple[str, str]] = list(_check().problems(manifest))
    return found


@functools.cache
def _check() -> Any:
    from check_manifests import Check
    from crd_schemas import Schemas

    schemas = Schemas(TABLE, Path(environment()["MANIFEST_SCHEMAS"]))
    return Check(schemas, KUBERNETES, TABLE["resources"])
