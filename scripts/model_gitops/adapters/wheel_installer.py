"""Installs the wheels of a few packages, all at once, where uv would have to be fetched first.

Also a program, which the machine's own Python runs (run.sh): standard library only.

    wheel_installer.py ENVIRONMENT EXTRA SCRIPTS KEPT

It makes the virtual environment where there is none; one that is kept (`true`) gets bytecode too. Which packages an extra needs, and where the package
index has their files, is in SCRIPTS/wheels.json; what a file's SHA-256 must be is in
SCRIPTS/requirements.txt, the one lock. Nothing is resolved. Status 3 and no word: this is not for us, let
uv do it, which also says what is wrong: an extra that is not in the table, a package without a wheel for
this machine, an index that asks for more than an address, another file than the lock names.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import urllib.parse
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

_INDEX = "https://pypi.org/simple"
# A package of each extra: its page tells where the index keeps its files.
_IN_EACH = "click"
_NOT_OURS = 3
# All at once: what they wait for is the network.
_THREADS = 24
_SECONDS = 20
# How a zip file calls it: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.4.5
_DEFLATED = 8
# Where packages come from is more than one address then: uv knows how to ask.
_OF_UV = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_OFFLINE")


class Unfit(Exception):
    """This is for uv; the text says why."""


@dataclass(frozen=True)
class Locked:
    """What the lock says of a package: its version, and the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: frozenset[str]


@dataclass(frozen=True)
class Machine:
    """What a wheel must be for: CPython's version and ABI, and the platform."""

    version: tuple[int, int]
    abi: str
    machine: str
    glibc: tuple[int, int] | None = None
    macos: tuple[int, int] | None = None

    @classmethod
    def here(cls) -> Machine:
        """Return that of this Python. Raises Unfit for another than CPython, from 3.11, on Linux or macOS."""
        if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
            raise Unfit("the machine's Python is no CPython from 3.11 on")
        version = (sys.version_info[0], sys.version_info[1])
        abi = f"cp{version[0]}{version[1]}{'t' if 't' in sys.abiflags else ''}"
        machine, glibc, macos = os.uname().machine, None, None
        if sys.platform == "darwin":
            import platform

            macos = _pair(platform.mac_ver()[0])
        elif sys.platform == "linux" and sys.maxsize > 1 << 32:
            said = os.confstr("CS_GNU_LIBC_VERSION") if _has_glibc() else None
            glibc = _pair((said or "").partition(" ")[2])
        return cls(version, abi, machine, glibc, macos)

    def rank(self, wheel: str) -> int:
        """Return how well a wheel (its file's name) fits, the least best; -1 where it does not.

        Source: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
        """
        python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
        if platform != "any" and not any(map(self._runs, platform.split("."))):
            return -1
        own = f"cp{self.version[0]}{self.version[1]}"
        pythons = python.split(".")
        if own in pythons and abi == self.abi:
            return 0
        since = (re.fullmatch(r"cp3(\d+)", one) for one in pythons)
        stable = any(one and int(one[1]) <= self.version[1] for one in since)
        if abi == "abi3" and stable and not self.abi.endswith("t"):
            return 1
        return 2 if "none" in abi.split(".") and {own, "py3"} & set(pythons) else -1

    def _runs(self, platform: str) -> bool:
        old = {"manylinux1": "2_5", "manylinux2010": "2_12", "manylinux2014": "2_17"}
        for name, version in old.items():
            platform = platform.replace(f"{name}_", f"manylinux_{version}_")
        found = re.fullmatch(r"(manylinux|macosx)_(\d+)_(\d+)_(\w+)", platform)
        if not found:
            return False
        least = (int(found[2]), int(found[3]))
        if found[1] == "manylinux":
            return self.glibc is not None and least <= self.glibc and found[4] == self.machine
        machines = (self.machine, "universal2")
        return self.macos is not None and least <= self.macos and found[4] in machines


def _has_glibc() -> bool:
    return "CS_GNU_LIBC_VERSION" in os.confstr_names


def _pair(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def locked(text: str) -> dict[str, Locked]:
    """Return what a lock (requirements.txt with hashes) says, by package."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if told := re.match(r"([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)", block):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            found[told[1]] = Locked(told[1], told[2], hashes)
    return found


def normal(name: str) -> str:
    """Return a package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheels_of(package: Locked, addresses: list[str]) -> dict[str, str]:
    """Return those of `addresses` that are wheels of the locked version: address by the file's name."""
    found = {}
    for address in addresses:
        file = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
        parts = file.split("-")
        if not file.endswith(".whl") or len(parts) < 5:
            continue
        if normal(parts[0]) == package.name and parts[1] == package.version:
            found[file] = address
    return found


def best(package: Locked, wheels: Mapping[str, str], machine: Machine) -> tuple[str, str]:
    """Return name and address of the wheel to take. Raises Unfit where none fits."""
    ranked = sorted((machine.rank(name), name) for name in wheels)
    fitting = [name for rank, name in ranked if rank >= 0]
    if not fitting:
        raise Unfit(f"{package.name} {package.version} has no wheel for this machine")
    return fitting[0], wheels[fitting[0]]


class Index:
    """The package index: the public one, whose files have their paths in the table, or the runner's.

    `note` is a file in which to note where the index keeps its files, for the next action of a job.
    """

    def __init__(self, paths: Mapping[str, list[str]], note: Path | None = None) -> None:
        """Raises Unfit where the environment says more than one address without a password."""
        given = os.environ.get("UV_DEFAULT_INDEX", "")
        if any(name in os.environ for name in _OF_UV) or any(
            name.startswith("UV_INDEX_") for name in os.environ
        ):
            raise Unfit("the runner says how packages are found")
        parts = urllib.parse.urlsplit(given)
        if given and (parts.scheme not in ("http", "https") or "@" in parts.netloc):
            raise Unfit("the index is no plain address")
        self._index = (given or _INDEX).rstrip("/")
        self._paths = {} if given else paths
        self._note = note

    @cached_property
    def store(self) -> str:
        """Where the paths of the table start, as one page of the index has it; empty where none does.

        One request for all packages: their pages are larger than their wheels. Raises OSError.
        """
        known = self._paths.get(_IN_EACH, [])
        if known and self._note and self._note.is_file():
            return self._note.read_text("utf-8")
        for address in self._links(_IN_EACH) if known else []:
            plain = urllib.parse.urldefrag(address).url
            for path in known:
                if plain.endswith(f"/{path}"):
                    found = plain.removesuffix(path)
                    if self._note:
                        self._note.write_text(found, "utf-8")
                    return found
        return ""

    def wheels(self, package: Locked) -> dict[str, str]:
        """Return the wheels of a package: address by the file's name. Raises OSError."""
        known = self._paths.get(package.name, []) if self.store else []
        near = [self.store + path for path in known] or self._links(package.name)
        return wheels_of(package, near)

    def _links(self, name: str) -> list[str]:
        body, page = _get(f"{self._index}/{name}/")
        import html

        links = re.findall(r"""<a\s[^>]*?href=["']([^"']+)["']""", body.decode("utf-8", "replace"))
        return [urllib.parse.urljoin(page, html.unescape(link)) for link in links]

    def fetch(self, package: Locked, address: str) -> bytes:
        """Return a file that the lock names. Raises Unfit for another one."""
        import hashlib

        body, _ = _get(urllib.parse.urldefrag(address).url)
        if hashlib.sha256(body).hexdigest() not in package.hashes:
            raise Unfit(f"{package.name}: the lock has another hash")
        return body


def _get(address: str) -> tuple[bytes, str]:
    """Return what is at an address, and which it is after redirects. Raises OSError."""
    if not address.startswith(("https://", "http://")):
        raise Unfit("it is no web address")
    import urllib.request

    wants = {"Accept": "application/vnd.pypi.simple.v1+html, */*;q=0.1", "Accept-Encoding": "gzip"}
    request = urllib.request.Request(address, headers=wants)  # noqa: S310 - looked at above
    with _opener().open(request, timeout=_SECONDS) as answer:
        body = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 16 + zlib.MAX_WBITS)
        return body, answer.url


@cache
def _opener() -> Any:
    """Return what asks for web pages; one for all, since to read the trusted certificates takes long."""
    import ssl
    import urllib.request

    trust = ssl.create_default_context()
    trust.set_alpn_protocols(["http/1.1"])
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust))


def unpack(wheel: bytes, packages: Path) -> None:
    """Write the files of a wheel; its RECORD last: it says that all are there.

    Raises Unfit for a wheel that would write elsewhere, before anything is written.
    """
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            files = [one for one in archive.infolist() if not one.is_dir()]
    except zipfile.BadZipFile as error:
        raise Unfit(str(error)) from error
    for one in files:
        parts = one.filename.split("/")
        if {"", ".", ".."} & set(parts) or "\\" in one.filename or parts[0].endswith(".data"):
            raise Unfit(f"the wheel has {one.filename!r}")
    made = set[str]()
    for one in sorted(files, key=lambda file: file.filename.endswith(".dist-info/RECORD")):
        path = f"{packages}/{one.filename}"
        folder = path.rpartition("/")[0]
        if folder not in made:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            made.add(folder)
        content = _content(wheel, one)
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123
            file.write(content)


def _content(wheel: bytes, file: Any) -> bytes:
    """Return a file of a wheel whose hash was right: zipfile's own way, by streams, takes twice as long."""
    # The name and the extra field, of which the list at the end has others.
    head = wheel[file.header_offset : file.header_offset + 30]
    start = file.header_offset + 30
    start += int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    content = wheel[start : start + file.compress_size]
    if file.compress_type == _DEFLATED:
        try:
            content = zlib.decompress(content, -zlib.MAX_WBITS)
        except zlib.error as error:
            raise Unfit(str(error)) from error
    if len(content) != file.file_size:
        raise Unfit(f"the wheel's {file.filename!r} is not whole")
    return content


def installed(packages: Path) -> set[str]:
    """Return the packages that are there whole."""
    records = packages.glob("*.dist-info/RECORD")
    return {normal(record.parent.name.partition("-")[0]) for record in records}


def install(environment: Path, extra: str, scripts: Path) -> Path:
    """Give an environment the packages of `extra`; return the folder they are in.

    Raises Unfit and OSError; what was installed until then stays, and is whole.
    """
    machine = Machine.here()
    table = json.loads((scripts / "wheels.json").read_bytes())
    if extra not in table["extras"]:
        raise Unfit(f"{extra} is not in the table")
    index = Index(table["wheels"], environment / "index")
    packages = environment / "lib" / f"python{machine.version[0]}.{machine.version[1]}"
    packages /= "site-packages"
    there = installed(packages)
    missing = [one for one in table["extras"][extra] if one not in there]
    if (environment / "bin" / "python").exists():
        if not packages.is_dir():
            raise Unfit("the environment is of another Python")
        if not missing:
            return packages
    lock = locked((scripts / "requirements.txt").read_text(encoding="utf-8"))
    _fill(environment, packages, index, lock, missing, machine)
    return packages


def _fill(
    environment: Path,
    packages: Path,
    index: Index,
    lock: Mapping[str, Locked],
    missing: Iterable[str],
    machine: Machine,
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(name: str) -> None:
        if name not in lock:
            raise Unfit(f"{name} is not in the lock")
        _, address = best(lock[name], index.wheels(lock[name]), machine)
        unpack(index.fetch(lock[name], address), packages)

    with ThreadPoolExecutor(_THREADS) as pool:
        environment.mkdir(parents=True, exist_ok=True)
        asked = pool.submit(lambda: index.store)  # once, and not by each thread
        if not (environment / "bin" / "python").exists():
            import venv

            venv.EnvBuilder(symlinks=True).create(environment)
        asked.result()
        for done in [pool.submit(one, name) for name in missing]:
            done.result()


def _main(environment: str, extra: str, scripts: str, kept: str) -> int:
    try:
        packages = install(Path(environment), extra, Path(scripts))
    except (Unfit, OSError, ValueError, KeyError) as problem:
        if os.environ.get("RUNNER_DEBUG") == "1":
            print(f"uv is needed: {problem}", file=sys.stderr)
        return _NOT_OURS
    if kept == "true":  # else Python adds what it uses, and nothing more
        import compileall

        compileall.compile_dir(packages, quiet=2)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
