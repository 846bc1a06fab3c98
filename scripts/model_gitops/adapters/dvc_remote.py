"""The options of a DVC remote that a workflow gives: kept in memory, masked in the log."""

from __future__ import annotations

from collections.abc import Sequence

from model_gitops import runner
from model_gitops.errors import InputError


def settings(entries: Sequence[str]) -> dict[str, str]:
    """Read the entries `key=value`; each value is masked in the log first. Raises InputError."""
    found: dict[str, str] = {}
    for entry in entries:
        value = entry.partition("=")[2].strip()
        # Masking `true` or `1` would blank out half of every log.
        if len(value) > 4 and value.lower() != "false":
            runner.mask(value)
    for number, entry in enumerate(entries, 1):
        key, equals, value = entry.partition("=")
        if not equals or not key.strip():
            raise InputError(
                f"input `remote-config`: entry {number} is no `key=value`",
                fix="one option a line, for example: access_key_id=…",
            )
        found[key.strip()] = value.strip()
    return found
