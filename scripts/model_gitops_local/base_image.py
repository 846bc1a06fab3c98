"""The base image of the demo's model image: pulled, or made here where nothing can be pulled."""

from __future__ import annotations

import configparser
import gzip
import hashlib
import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.errors import ExternalError
from model_gitops.runner import say
from model_gitops_local import toolchain
from model_gitops_local.daemon import locked, remove_tree
from model_gitops_local.engine import Engine, apt_install

PUBLISHED = "python:3.12-slim-bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
_RECIPE = "1"  # change it when what `_fill` does changes
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_WASTE = (
    *("var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*"),
    *("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*"),
    *("var/log/*.log", "var/log/apt/*", "var/cache/debconf/*-old", "var/lib/dpkg/*-old"),
)


@dataclass(frozen=True)
class Source:
    """One place of packages of the host's own apt."""

    uri: str
    suite: str
    components: tuple[str, ...]


def ensure_base_image(engine: Engine, registry: str) -> str:
    """Put the base image into the registry at `127.0.0.1:PORT` and return its reference there.

    It is the published image where that can be pulled; else one made by debootstrap from the
    distribution of this machine, kept in the cache for the next time. Both have `python3` with
    `venv`, and apt. Raises ExternalError where neither can be had.
    """
    local = _from_cache(engine)
    if local is None and _pulled(engine):
        local = PUBLISHED
    if local is None:
        local = _made(engine)
    tag = "3.12" if local == PUBLISHED else _release()[1]
    reference = f"{registry}/base/python:{tag}"
    engine.docker("tag", local, reference)
    engine.docker("push", "--quiet", reference)
    return reference


def sources_of(texts: Iterable[str], codename: str) -> list[Source]:
    """Return the distribution's own sources for `codename` in the host's apt files.

    Reads both forms (`deb URI suite component…` and deb822). Other suites and other publishers'
    packages, which are signed by keys of their own, are left out.
    """
    found: list[Source] = []
    for text in texts:
        for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
            fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza))
            if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
                found += [
                    Source(uri, suite, tuple(fields.get("Components", "").split()))
                    for uri in fields.get("URIs", "").split()
                    for suite in fields.get("Suites", "").split()
                ]
        for uri, suite, components in re.findall(
            r"(?m)^deb[ \t]+(?:\[[^\]\n]*\][ \t]+)?(\S+)[ \t]+(\S+)((?:[ \t]+[\w.-]+)*)", text
        ):
            found.append(Source(uri, suite, tuple(components.split())))
    own = {codename, f"{codename}-updates", f"{codename}-security"}
    return [one for one in found if one.suite in own and "main" in one.components]


def apt_settings_of(dump: str) -> str:
    """Return, from `apt-config dump`, what reaching the packages needs; no passwords."""
    wanted = re.compile(r"Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)\b")
    lines = [line for line in dump.splitlines() if wanted.match(line) and "@" not in line]
    return "".join(f"{line}\n" for line in lines)


def pip_settings_of(texts: Iterable[str], index: str) -> str:
    """Return the pip.conf for the image: the host's index, and the image's CA bundle."""
    merged = {"index-url": index} if index else {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for key in ("index-url", "extra-index-url", "trusted-host"):
            if value := parser.get("global", key, fallback=""):
                merged.setdefault(key, value)
    lines = [f"{key} = {value}" for key, value in merged.items() if "@" not in value]
    return "\n".join(["[global]", f"cert = /{_BUNDLE}", *lines]) + "\n"


def _read(paths: Iterable[Path]) -> list[str]:
    return [path.read_text("utf-8", "replace") for path in paths if path.is_file()]


def _release() -> tuple[str, str]:
    """Return the host's distribution and codename, such as ("debian", "bookworm")."""
    text = "".join(_read([Path("/etc/os-release")]))
    fields = {key: value.strip('"') for key, value in re.findall(r"(?m)^(\w+)=(.*)$", text)}
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def _bundle() -> bytes:
    """Return the certificates that this machine trusts."""
    places = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, f"/{_BUNDLE}")
    for place in places:
        if place and Path(place).is_file():
            return Path(place).read_bytes()
    return b""


def _settings() -> dict[str, bytes]:
    """Return the files of the image that come from this machine: path → content."""
    apt = Path("/etc/apt")
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    lists += sorted((apt / "sources.list.d").glob("*.sources"))
    sources = sources_of(_read(lists), _release()[1])
    if not sources or shutil.which("apt-config") is None:
        return {}
    lines = [f"deb {one.uri} {one.suite} {' '.join(one.components)}\n" for one in sources]
    dump = process.run(["apt-config", "dump", "--format", '%F "%v";%n', "Acquire"]).stdout
    pip = [Path(os.environ.get("PIP_CONFIG_FILE", "")), Path("~/.config/pip/pip.conf").expanduser()]
    pip += [Path("~/.pip/pip.conf").expanduser(), Path("/etc/pip.conf")]
    own = sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))
    return {
        "etc/apt/sources.list": "".join(lines).encode(),
        "etc/apt/apt.conf.d/90host": apt_settings_of(dump).encode(),
        "etc/pip.conf": pip_settings_of(_read(pip), os.environ.get("PIP_INDEX_URL", "")).encode(),
        _BUNDLE: _bundle(),
        # What update-ca-certificates in a build must find, or it drops them from the bundle.
        **{str(path.relative_to("/")): path.read_bytes() for path in own},
    }


def _name(settings: dict[str, bytes]) -> str:
    """Return the local image's name, which changes with whatever goes into the image."""
    digest = hashlib.sha256(repr((_RECIPE, PACKAGES, _release(), os.uname().machine)).encode())
    for path, content in sorted(settings.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"model-gitops/base:{digest.hexdigest()[:16]}"


def _archive(name: str) -> Path:
    return toolchain.cache_folder() / "images" / f"base-{name.rpartition(':')[2]}.tar.gz"


def _from_cache(engine: Engine) -> str | None:
    """Return the image made earlier: in the engine, or loaded from the cache. None: not there."""
    name = _name(_settings())
    if engine.docker("image", "inspect", name, check=False).returncode == 0:
        return name
    if _archive(name).exists():
        if engine.docker("load", "--input", _archive(name), check=False).returncode == 0:
            return name
        _archive(name).unlink(missing_ok=True)  # damaged: make it again
    return None


def _pulled(engine: Engine) -> bool:
    """Pull the published image; where the registry can't be reached this fails at once."""
    if engine.docker("image", "inspect", PUBLISHED, check=False).returncode == 0:
        return True
    say(f"pulling {PUBLISHED}")
    try:
        return engine.docker("pull", "--quiet", PUBLISHED, timeout=120, check=False).returncode == 0
    except ExternalError:
        return False


def _made(engine: Engine) -> str:
    settings = _settings()
    name = _name(settings)
    archive = _archive(name)
    distribution, codename = _release()
    if not settings or os.geteuid() != 0:
        raise ExternalError(
            f"the image {PUBLISHED} can't be pulled, and a base image can be made only by root on"
            " Debian or Ubuntu",
            fix=f"docker pull {PUBLISHED}",
        )
    with locked(archive.with_suffix(".lock")):
        if (cached := _from_cache(engine)) is not None:  # another process has just made it
            return cached
        if shutil.which("debootstrap") is None:
            apt_install(["debootstrap"])
        say(
            f"{PUBLISHED} can't be pulled: making a base image from {distribution} {codename},"
            " about 1 minute, once per machine…"
        )
        mirror = next(one for one in _sources_inside(settings) if one.suite == codename)
        # Not in /tmp, which may be a file system that can't hold devices or owners.
        root = Path(tempfile.mkdtemp(dir=archive.parent, prefix=".new-"))
        try:
            _bootstrap(root / "root", mirror)
            _fill(root / "root", settings)
            _import(engine, root, name)
            _save(engine, root, name, archive)
        finally:
            remove_tree(root)
    return name


def _sources_inside(settings: dict[str, bytes]) -> list[Source]:
    """Return the sources that the image will have."""
    return sources_of([settings["etc/apt/sources.list"].decode()], _release()[1])


def _bootstrap(root: Path, mirror: Source) -> None:
    root.mkdir(mode=0o755)
    arguments = [
        *("--variant=minbase", f"--include={','.join(PACKAGES)}"),
        f"--components={','.join(mirror.components)}",
    ]
    log = root.parent / "debootstrap.log"
    done = process.run(
        ["debootstrap", *arguments, mirror.suite, root, mirror.uri], check=False, timeout=1200
    )
    log.write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode != 0:
        tail = "\n".join(log.read_text("utf-8").splitlines()[-10:])
        raise ExternalError(
            f"debootstrap failed: {tail}", fix="check that `apt-get update` works on this machine"
        )


def _fill(root: Path, settings: dict[str, bytes]) -> None:
    """Give the image the host's settings, and take out what only fills space."""
    for pattern in _WASTE:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name, content in settings.items():
        if content:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    python = root / "usr/bin/python"
    if not python.exists():
        python.symlink_to("python3")


def _import(engine: Engine, work: Path, name: str) -> None:
    tarball = work / "root.tar"
    exclude = ["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]
    process.run(["tar", "--numeric-owner", *exclude, "-C", work / "root", "-cf", tarball, "."])
    changes = [
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV LANG=C.UTF-8",
        f"ENV SSL_CERT_FILE=/{_BUNDLE}",
        'CMD ["python3"]',
    ]
    options = [word for change in changes for word in ("--change", change)]
    engine.docker("import", *options, tarball, name)


def _save(engine: Engine, work: Path, name: str, archive: Path) -> None:
    """Keep the image as it is: loaded again, it has the same id and the same digest."""
    engine.docker("save", "--output", work / "image.tar", name)
    packed = work / "image.tar.gz"
    with (work / "image.tar").open("rb") as source, gzip.open(packed, "wb", 1) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    packed.replace(archive)
