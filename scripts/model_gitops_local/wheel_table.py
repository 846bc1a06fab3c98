"""scripts/wheels.json: what adapters/wheel_installer.py installs for an extra, and where the index has it.

usage: run.sh dev python -I scripts/model_gitops_local/wheel_table.py   (`make lock` runs it)

The packages of an extra are all that its requirements lead to, by the metadata of what is installed here
at the versions of the lock. Only what has a hash there counts; this table names files, and no hash.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from model_gitops.adapters import wheel_installer  # noqa: E402
from model_gitops.adapters.wheel_installer import Index, Machine, locked, normal  # noqa: E402

FILE = SCRIPTS / "wheels.json"
# What no action imports though a package asks for it, held by tests/integration/test_light_packages.py:
# PyJWT signs with cryptography as a GitHub App that has its private key; we only send tokens.
LEFT_OUT = {"cryptography"}
# Of these uv is the better installer: they have more than a hundred packages, one of them as source only.
HEAVY = "dvc"
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The oldest that GitHub runs, or older: what fits them fits the newer ones.
MACHINES = [
    Machine((3, int(python.partition(".")[2])), f"cp{python.replace('.', '')}", machine, **of)
    for python in _PYTHONS
    for machine, of in (
        ("x86_64", {"glibc": (2, 31)}),
        ("aarch64", {"glibc": (2, 31)}),
        ("x86_64", {"macos": (14, 0)}),
        ("arm64", {"macos": (14, 0)}),
    )
]
_ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system,
     "platform_system": name, "os_name": "posix", "implementation_name": "cpython",
     "platform_python_implementation": "CPython"}
    for python in _PYTHONS
    for system, name in (("linux", "Linux"), ("darwin", "Darwin"))
]  # fmt: skip


def extras() -> dict[str, list[str]]:
    """Return the packages of each light extra, sorted: what some supported machine needs."""
    project = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    found = {}
    for extra, wanted in project["optional-dependencies"].items():
        if extra != "local" and not any(Requirement(one).name == HEAVY for one in wanted):
            found[extra] = sorted(closure([*project["dependencies"], *wanted]))
    return found


def closure(requirements: list[str]) -> set[str]:
    """Return the names of all packages that these requirements lead to."""
    found: set[str] = set()
    ahead = [Requirement(one) for one in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while ahead:
        one = ahead.pop()
        name = normal(one.name)
        key = (name, frozenset(one.extras))
        if name in LEFT_OUT or key in seen:
            continue
        seen.add(key)
        found.add(name)
        ahead += _asked(name, one.extras)
    return found


def _asked(name: str, extras: set[str]) -> Iterator[Requirement]:
    for text in metadata.distribution(name).requires or []:
        one = Requirement(text)
        if one.marker is None or any(
            one.marker.evaluate({**environment, "extra": extra})
            for environment in _ENVIRONMENTS
            for extra in extras or {""}
        ):
            yield one


def wheels(names: set[str]) -> dict[str, list[str]]:
    """Return where the index has the wheels that a supported machine takes: paths, and no host."""
    lock = locked((SCRIPTS / "requirements.txt").read_text("utf-8"))
    index, found = Index({}), {}
    for name in sorted(names):
        listed = index.wheels(lock[name])
        taken = {wheel_installer.best(lock[name], listed, one)[1] for one in MACHINES}
        found[name] = sorted(urlsplit(address).path.lstrip("/") for address in taken)
    return found


def main() -> None:
    """Write the table."""
    needed = extras()
    table = {"extras": needed, "wheels": wheels({name for names in needed.values() for name in names})}  # fmt: skip
    FILE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
