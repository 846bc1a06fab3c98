"""`make lint` fails when a rule of the rooms is broken: each is broken once, in a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}
TESTS = "tests/unit/test_architecture.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `make rooms` reads."""
    no_cache = shutil.ignore_patterns("__pycache__")
    for folder in ("scripts", "actions"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=no_cache)
    for file in ("Makefile", "pyproject.toml", TESTS):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make, as at a prompt."""
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_lint_checks_the_rooms() -> None:
    rooms = make(ROOT, "--dry-run", "rooms").stdout.splitlines()
    assert [line.split()[2] for line in rooms] == ["env", "pytest"]
    assert set(rooms) <= set(make(ROOT, "--dry-run", "lint").stdout.splitlines())


def test_the_rooms_are_in_order_and_the_check_leaves_nothing(checkout: Path) -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    before = {path.name + "/" * path.is_dir() for path in checkout.iterdir()}
    result = make(checkout, "rooms")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout
    after = {path.name + "/" * path.is_dir() for path in checkout.iterdir()}
    assert after - before <= set(ignored)


PLANTS = [
    ("rooms", "adapters/cml.py", "from model_gitops.options import option"),
    ("rooms", "core/markdown.py", "from model_gitops import runner"),
    ("rooms", "adapters/cml.py", "def go():\n    from model_gitops.actions import status"),
    ("rooms", "a_room_without_a_place.py", ""),
    ("subjects", "core/dvc/files.py", "from model_gitops.core.gto import tags"),
    (
        "subjects",
        "core/report/comment.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from model_gitops.core.lineage.facts import Trace",
    ),
    ("subjects", "core/a_subject_without_a_place.py", ""),
    ("actions", "actions/status.py", "from model_gitops.actions import trace_model"),
    ("packages", "adapters/cml.py", "def go():\n    from model_gitops_local import toolchain"),
    ("pure", "core/markdown.py", "import socket"),
    ("pure", "core/report/page.py", "def go():\n    import github"),
    ("clients", "actions/status.py", "import docker"),
    ("clients", "options.py", "def go():\n    from ruamel.yaml import YAML"),
    ("circles", "adapters/paths.py", "from model_gitops.adapters import git"),
    ("circles", "../model_gitops_local/daemon.py", "from model_gitops_local import engine"),
]


def test_every_contract_is_broken_once() -> None:
    assert {contract for contract, _, _ in PLANTS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "file", "text"), PLANTS)
def test_a_broken_contract_fails(contract: str, file: str, text: str, checkout: Path) -> None:
    with (checkout / "scripts/model_gitops" / file).open("a") as module:
        module.write(f"\n{text}\n")
    result = make(checkout, "rooms")
    assert result.returncode != 0
    assert f"{CONTRACTS[contract]} BROKEN" in result.stdout.splitlines()


def test_each_broken_rule_of_our_own_fails(checkout: Path) -> None:
    rules = {
        "processes": "def go():\n    import subprocess",
        "runner_variables": "NAME = 'GITHUB_TOKEN'",
        "imports_by_name": "def get(x):\n    return __import__(x)",
        "import_work": "import os\nHOME = os.getcwd()",
        "light_imports": "import dvc",
        "lengths": "\n" * 500,
    }
    with (checkout / "scripts/model_gitops/adapters/cml.py").open("a") as module:
        module.write("\n" + "\n".join(rules.values()))
    with (checkout / "scripts/model_gitops/core/markdown.py").open("a") as module:
        module.write("\ndef say(x):\n    print(x)\n")
    (checkout / "tests/flow").mkdir()
    (checkout / "tests/flow" / Path(TESTS).name).write_text("")
    result = make(checkout, "rooms")
    assert result.returncode != 0
    known = re.findall("^RULES = \\((.+?)\\)", (ROOT / TESTS).read_text(), re.MULTILINE | re.DOTALL)
    failed = re.findall(rf"^FAILED {TESTS}::test_the_rule_holds\[(\w+)\]", result.stdout, re.M)
    assert set(failed) == {*rules, "purity", "names_of_tests"} == set(re.findall(r"\w+", known[0]))
