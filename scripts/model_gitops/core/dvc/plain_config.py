"""DVC's configuration where it is plain: a cache in a folder, a remote in a folder or on S3, nothing else said.

DVC's own reader takes as long as copying a model. What is not read here with certainty is not read at
all, and the caller leaves it to DVC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# As `dvc config` and `dvc remote` write them: https://dvc.org/doc/user-guide/project-structure/configuration
_SECTION = re.compile(r"\['?(core|cache|remote)(?: \"([A-Za-z0-9_.-]+)\")?'?\]")
# Without quotes, lists, comments and interpolation, which mean more than they say.
_ENTRY = re.compile(r"([a-z_]+)\s*=\s*([A-Za-z0-9_./:@+=~, -]*)")
_BOOLEAN = re.compile(r"true|false")
_ONE = re.compile(r"[^,]*")
# What may stand there without a word on where objects are, and which values DVC takes for it.
_CORE = {
    "remote": _ONE, "analytics": _BOOLEAN, "autostage": _BOOLEAN, "check_update": _BOOLEAN,
    "hardlink_lock": _BOOLEAN, "interactive": _BOOLEAN, "no_scm": _BOOLEAN,
}  # fmt: skip
_LINK = r"(?:reflink|hardlink|symlink|copy)"
# How DVC itself puts a file in its place; a model here is a copy, which no step can harm the cache by.
_CACHE = {"dir": _ONE, "type": re.compile(rf"{_LINK}(?:, ?{_LINK})*")}
# What a remote on S3 is usually told beside its URL.
S3 = (
    "endpointurl", "region", "profile", "access_key_id", "secret_access_key", "session_token",
)  # fmt: skip
# Of remotes that DVC knows: https://doc.dvc.org/user-guide/data-management/remote-storage
_SCHEMES = {
    "azure", "gdrive", "gs", "hdfs", "http", "https", "oss", "remote", "s3", "ssh", "webdav", "webdavs", "webhdfs",
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Where the project's cache and one of its remotes are, as the configuration writes it.

    `cache` is empty for DVC's default. `options` are the other ones of the remote `remote`, of `S3`.
    """

    cache: str
    remote: str
    url: str
    options: Mapping[str, str]


def places(texts: Sequence[str], remote: str) -> Places | None:
    """Return the places that the configuration's files name, a later one winning over those before.

    `remote` empty is the default one. None for whatever may mean more than that, and what is wrong.
    """
    merged = _merged(texts)
    if merged is None:
        return None
    name = (remote or merged.get(("core", ""), {}).get("remote", "")).lower()
    told = merged.get(("remote", name), {})
    url = told.pop("url", "")
    if not name or not url:
        return None
    return Places(merged.get(("cache", ""), {}).get("dir", ""), name, url, told)


def are_plain(texts: Sequence[str]) -> bool:
    """Whether the files say nothing but where a cache and remotes are, and how DVC puts files in place.

    That is so only where DVC would not refuse them, put together.
    """
    merged = _merged(texts)
    if merged is None or "no_scm" in merged.get(("core", ""), {}):
        return False
    remotes = [told for (kind, _), told in merged.items() if kind == "remote"]
    return all(map(_is_remote, remotes))


def _is_remote(told: Mapping[str, str]) -> bool:
    """Whether DVC takes the options of a remote, as far as they are known here."""
    scheme, separator, rest = told.get("url", "").partition("://")
    if separator and scheme not in _SCHEMES and rest.partition("/")[0]:
        return False
    return "url" in told and (told.keys() == {"url"} or (separator != "" and scheme == "s3"))


def _merged(texts: Sequence[str]) -> dict[tuple[str, str], dict[str, str]] | None:
    """Return the sections of all files, a later one winning; None where one is not plain."""
    merged: dict[tuple[str, str], dict[str, str]] = {}
    for text in texts:
        found = _parsed(text)
        if found is None:
            return None
        for section, entries in found.items():
            merged.setdefault(section, {}).update(entries)
    return merged


def _parsed(text: str) -> dict[tuple[str, str], dict[str, str]] | None:
    """Return the sections of one file: (kind, name) → key → value; None for anything but plain ones."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in (one.strip() for one in text.split("\n")):
        if not line or line.startswith("#"):
            continue
        if head := _SECTION.fullmatch(line):
            kind, name = head[1], (head[2] or "").lower()
            if (kind, name) in found or (kind == "remote") != bool(name):
                return None
            section = found[kind, name] = {}
            continue
        entry = _ENTRY.fullmatch(line)
        if section is None or entry is None or entry[1] in section:
            return None
        if not _is_known(kind, *entry.groups()):
            return None
        section[entry[1]] = entry[2]
    return found


def _is_known(kind: str, key: str, value: str) -> bool:
    if kind == "remote":
        return key in ("url", *S3) and _ONE.fullmatch(value) is not None
    known = {"core": _CORE, "cache": _CACHE}.get(kind, {})
    return key in known and known[key].fullmatch(value) is not None
