"""`verify.champion` of promotion.yaml: the same recorded requests to the champion and to the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_gitops.core.flow import spelling


@dataclass(frozen=True)
class Champion:
    """Recorded `requests` (a file of JSON lines, from the top), and how many `answers` may differ (0.01: `1%`)."""

    requests: str
    answers: float = 0.0


def parse(entry: Any, what: str, folder: str) -> Champion:
    """Build a Champion from the schema-checked `entry`; `what` names it. Raises InputError."""
    return Champion(
        requests=spelling.from_top(
            entry["requests"], folder, f"requests of {what}", "tests/recorded-requests.jsonl"
        ),
        answers=float(entry.get("answers", "0%").rstrip("% ")) / 100,
    )
