"""A hold: a file beside an overlay's kustomization, by which its environment takes no promotion."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from model_gitops.core import document, duration
from model_gitops.errors import InputError

FILE = "hold.yaml"


@dataclass(frozen=True)
class Hold:
    """Why an environment is held, by whom and since when; times have a zone.

    `until` is when it ends by itself; None: when somebody releases it.
    """

    reason: str
    by: str
    since: datetime
    until: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it still holds at the moment `now`."""
        return self.until is None or now < self.until


def parse_until(text: str, now: datetime, name: str = "until") -> datetime | None:
    """Return the moment when a hold ends by itself, as input `name` gives it; None for no such one.

    `text` is a length of time from `now` on, as `2h`, or a moment (RFC 3339), without a zone in UTC.
    Raises InputError, also for a moment that has passed.
    """
    text = text.strip()
    if not text:
        return None
    fix = f"{name}: 2h, or {name}: 2026-12-24T18:00:00+01:00"
    try:
        if re.fullmatch(duration.PATTERN, text):
            return now + timedelta(seconds=duration.seconds(text, name))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InputError.of(
            name, text, "it is neither a length of time nor a moment", fix=fix
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise InputError.of(name, text, "that moment has passed", fix=fix)
    return moment


def path_of(overlay: str) -> str:
    """Return where the hold of the overlay in the folder `overlay` is kept."""
    return FILE if overlay == "." else f"{overlay}/{FILE}"


def write(hold: Hold) -> str:
    """Return the text of the file."""
    lines = [
        "# This environment takes no promotion until somebody releases it:",
        "# hold-environment with `operation: release`, or a pull request that removes this file.",
        f"reason: {_quoted(hold.reason)}",
        f"by: {_quoted(hold.by)}",
        f"since: {_quoted(hold.since.isoformat())}",
    ]
    lines += [f"until: {_quoted(hold.until.isoformat())}"] if hold.until else []
    return "\n".join(lines) + "\n"


def read(text: str, *, source: str) -> Hold:
    """Read the text of the file. Raises InputError, naming `source`: who can't read it must not pass."""
    found = document.mapping(document.load_yaml(text, source=source))
    return Hold(
        _text(found, "reason", source),
        _text(found, "by", source),
        _moment(found, "since", source),
        _moment(found, "until", source) if found.get("until") is not None else None,
    )


def _quoted(text: str) -> str:
    """Return a string as JSON has it, which YAML reads too."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def _text(found: Mapping[str, object], key: str, source: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str):
        raise InputError.of(
            f"{key} (in {source})", str(value), "it is no text", fix=f'{key}: "..."'
        )
    return value


def _moment(found: Mapping[str, object], key: str, source: str) -> datetime:
    """Return a moment of the file; without a zone it is in UTC, as YAML has it."""
    value = found.get(key)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InputError.of(
            f"{key} (in {source})",
            str(value),
            "it is no moment",
            fix=f'{key}: "2026-12-24T18:00:00+01:00"',
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
