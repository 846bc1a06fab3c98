"""`verify.champion` of promotion.yaml: the same recorded requests to the champion and to the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_gitops.core.flow import spelling


@dataclass(frozen=True)
class Champion:
    """Recorded `requests` (a file of JSON lines, from the top), and what the candidate may do otherwise.

    `url` is where the champion answers, empty where the flow's next environment is asked. Shares are from 0
    to 1 (`1%` is 0.01). At most the share `answers` of the answers may differ: numbers by more than the
    share `tolerance` of the larger one, everything else at all; what is called as one of `ignore` is not
    compared. At most the share `errors` of the requests that the champion answers may fail. p50 and p95 of
    the candidate's times may be `slower` times the champion's.
    """

    requests: str
    answers: float = 0.01
    url: str = ""
    tolerance: float = 0.01
    errors: float = 0.0
    slower: float = 1.5
    ignore: tuple[str, ...] = ("model",)


def parse(entry: Any, what: str, folder: str) -> Champion:
    """Build a Champion from the schema-checked `entry`; `what` names it. Raises InputError."""
    return Champion(
        requests=spelling.from_top(
            entry["requests"], folder, f"requests of {what}", "tests/recorded-requests.jsonl"
        ),
        answers=_share(entry, "answers", Champion.answers),
        url=entry.get("url", ""),
        tolerance=_share(entry, "tolerance", Champion.tolerance),
        errors=_share(entry, "errors", Champion.errors),
        slower=float(entry.get("slower", Champion.slower)),
        ignore=tuple(entry.get("ignore", Champion.ignore)),
    )


def _share(entry: Any, key: str, default: float) -> float:
    return float(entry[key].rstrip("% ")) / 100 if key in entry else default
