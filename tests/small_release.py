"""A release of the actions with the real run.sh, and hand-made packages on an index on loopback.

The lock, the packages and what is run are small, so that a set-up takes a second and needs no network.
`crcmod` is one of the packages that the real lock has as source only: here too `setuptools` builds it.
So uv installs dvc-pull-model, and adapters/wheel_installer.py installs check-promotion.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops.adapters import process

ROOT = Path(__file__).parents[1]
AWAY = "http://127.0.0.1:9/simple"  # nothing answers there

_PYPROJECT = """\
[project]
name = "small"
version = "1"
requires-python = ">=3.11"
dependencies = ["light"]
[project.optional-dependencies]
check-promotion = []
dvc-pull-model = ["crcmod"]
dvc = ["crcmod"]
remote-s3 = ["late"]
"""
_MAIN = "import sys, light; print('ran', *sys.argv[1:])\n"
# setuptools as far as a test needs it: it wraps the wheel that the source holds.
_BACKEND = """\
import os, shutil
def build_wheel(folder, config_settings=None, metadata_directory=None):
    return os.path.basename(shutil.copy("crcmod-1.7-py3-none-any.whl", folder))
"""


@dataclass
class Run:
    """What one start of run.sh did."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass
class Release:
    """The release's folder, its index, and runs of it in an environment that holds nothing else."""

    folder: Path
    index: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        return self.folder / "scripts" / "requirements.txt"

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Run:
        """Run `run.sh ARGUMENTS`; a variable that is "" is not set at all."""
        given = {
            "PATH": os.environ["PATH"],
            "UV_DEFAULT_INDEX": self.index,
            **self.environment,
            **variables,
        }
        words = [f"{name}={value}" for name, value in given.items() if value]
        script = self.folder / "scripts" / "run.sh"
        done = process.run(
            ["env", "-i", *words, "bash", script, *arguments], check=False, cwd=cwd, timeout=120
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def zero_hash_of(self, package: str) -> None:
        """Let the lock name another file of `package` than the index has."""
        lines = self.lock.read_text().splitlines()
        zeroed = [
            f"{line.partition('--hash')[0]}--hash=sha256:{'0' * 64}"
            if line.startswith(f"{package}==")
            else line
            for line in lines
        ]
        assert zeroed != lines
        self.lock.write_text("\n".join(zeroed) + "\n")


def environments(store: Path) -> list[Path]:
    """Return the environments in a store."""
    return sorted(path.parent for path in store.glob("*/pyvenv.cfg"))


def site_packages(store: Path) -> Path:
    """Return the folder of packages of the one environment in a store."""
    (folder,) = environments(store)
    (packages,) = folder.glob("lib/python3*/site-packages")
    return packages


@contextmanager
def small_release(folder: Path) -> Iterator[Release]:
    """Make the release in `folder`, and serve its index until the end."""
    scripts = folder / "scripts"
    (scripts / "model_gitops" / "adapters").mkdir(parents=True)
    for name in (
        "run.sh",
        "uv.txt",
        "model_gitops/adapters/tool_store.py",
        "model_gitops/adapters/wheel_installer.py",
    ):
        shutil.copy2(ROOT / "scripts" / name, scripts / name)
    for action in ("check-promotion", "dvc-pull-model"):
        (folder / "actions" / action).mkdir(parents=True)
    (scripts / "model_gitops/commands").mkdir(parents=True, exist_ok=True)
    (scripts / "model_gitops/commands/__init__.py").write_text("COMMANDS = {}\n")
    (folder / "pyproject.toml").write_text(_PYPROJECT)
    (scripts / "__main__.py").write_text(_MAIN)
    files = {
        "light-1.0-py3-none-any.whl": _wheel("light", "1.0", {"light/__init__.py": "x = 1\n"}),
        "late-1.0-py3-none-any.whl": _wheel("late", "1.0", {"late/__init__.py": "x = 1\n"}),
        "setuptools-1.0-py3-none-any.whl": _wheel(
            "setuptools",
            "1.0",
            {"setuptools/__init__.py": "", "setuptools/build_meta.py": _BACKEND},
        ),
        "crcmod-1.7.tar.gz": _sdist(),
    }
    lock = []
    for name, content in files.items():
        package, version = name.removesuffix(".tar.gz").split("-")[:2]
        place = folder / "index" / "simple" / package
        place.mkdir(parents=True)
        (place / name).write_bytes(content)
        (place / "index.html").write_text(f'<a href="{name}">{name}</a>')
        lock.append(f"{package}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    (scripts / "requirements.txt").write_text("".join(lock))
    table = {"extras": {"check-promotion": ["light"]}, "wheels": {}}
    (scripts / "wheels.json").write_text(json.dumps(table))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder / "index"))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Release(folder, f"http://127.0.0.1:{server.server_address[1]}/simple")
        server.shutdown()


def _metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def _wheel(name: str, version: str, files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(made, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/METADATA", _metadata(name, version))
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        record = "".join(f"{path},,\n" for path in (*files, f"{info}/METADATA", f"{info}/WHEEL"))
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return made.getvalue()


def _sdist() -> bytes:
    made = io.BytesIO()
    backend = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    files = {
        "PKG-INFO": _metadata("crcmod", "1.7").encode(),
        "pyproject.toml": backend.encode(),
        "crcmod-1.7-py3-none-any.whl": _wheel("crcmod", "1.7", {"crcmod/__init__.py": ""}),
    }
    with tarfile.open(fileobj=made, mode="w:gz") as sdist:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"crcmod-1.7/{path}")
            entry.size = len(content)
            sdist.addfile(entry, io.BytesIO(content))
    return made.getvalue()
