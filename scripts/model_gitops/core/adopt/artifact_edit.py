"""`artifacts:` of a dvc.yaml, edited as text: comments and order stay."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from typing import Any

from model_gitops.core import document
from model_gitops.core.adopt.models import Model
from model_gitops.errors import InputError

# What YAML takes for text without quotes, wherever it stands.
_PLAIN = re.compile(r"[A-Za-z_./](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_./-])?")
_NO_TEXT = re.compile(r"true|false|null|yes|no|on|off|y|n|~|\.(inf|nan)", re.IGNORECASE)


def added(text: str | None, models: Sequence[Model], *, source: str) -> str:
    """Return dvc.yaml with an artifact for each of `models`; `text` is None where there is no file yet.

    Raises InputError, with what to type, for a file that can't be edited so.
    """
    before: Any = document.load_yaml(text, source=source) if text and text.strip() else {}
    newline = "\r\n" if text and "\r\n" in text else "\n"
    entries = {one.name: {"path": _path(one), "type": "model"} for one in models}
    found = _with(text or "", before, entries).replace("\r\n", "\n").replace("\n", newline)
    try:
        after = document.load_yaml(found, source=source)
    except InputError:
        after = None
    wanted = {**(before or {}), "artifacts": {**((before or {}).get("artifacts") or {}), **entries}}
    if after != wanted:
        raise InputError(
            f"{source} is written in a way that no text edit keeps: add the artifact by hand",
            fix=f"in {source}: artifacts: {json.dumps(entries)}",
        )
    return found


def _with(text: str, data: Any, entries: dict[str, dict[str, str]]) -> str:
    listed = data.get("artifacts") if isinstance(data, dict) else None
    lines = text.replace("\r\n", "\n").split("\n")
    at = next((n for n, line in enumerate(lines) if re.match(r"artifacts\s*:", line)), None)
    if at is None or not isinstance(data, dict):
        body = "".join(f"{line}\n" for line in _block(entries, "  "))
        start = text.rstrip("\n").replace("\r\n", "\n")
        return f"{start}\n\nartifacts:\n{body}" if start.strip() else f"artifacts:\n{body}"
    if not listed:
        comment = re.search(r"\s#.*$", lines[at])
        lines[at] = f"artifacts:{comment[0] if comment else ''}"
        indent = "  "
    else:
        indent = next(
            (found[1] for line in lines[at + 1 :] if (found := re.match(r"( +)[^\s#]", line))), "  "
        )
    return "\n".join([*lines[: at + 1], *_block(entries, indent), *lines[at + 1 :]])


def _block(entries: dict[str, dict[str, str]], indent: str) -> list[str]:
    return [
        line
        for name, entry in entries.items()
        for line in (
            f"{indent}{scalar(name)}:",
            *(f"{indent * 2}{key}: {scalar(value)}" for key, value in entry.items()),
        )
    ]


def _path(model: Model) -> str:
    return posixpath.relpath(model.path, posixpath.dirname(model.pipeline) or ".")


def scalar(text: str) -> str:
    """Return `text` as YAML has it on one line: plain where that is safe."""
    if _PLAIN.fullmatch(text) and not _NO_TEXT.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)
