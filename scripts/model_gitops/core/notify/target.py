"""Who is told: apprise's addresses and a webhook, which are secrets as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from model_gitops.core.deploy.location import is_loopback

# More are a mistake: each is a connection of its own.
MOST_TARGETS = 20


@dataclass(frozen=True)
class Told:
    """How one target answered. `why` is empty where it took the message; it never holds an address."""

    target: str
    why: str = ""


def name_of(place: int, service: str) -> str:
    """Return what a target is called in the log: its line in `urls`, and the service's own name."""
    return f"line {place} of `urls`{f' ({service})' if service else ''}"


def problem_of(url: str) -> str:
    """Return why nothing is posted to the webhook at `url`; empty where it may be. It names no part of it."""
    try:
        parts = urlsplit(url)
        has_host, netloc = bool(parts.hostname), parts.netloc
        _ = parts.port
    except ValueError:
        return "it is no address"
    if not has_host or not url.isascii() or not url.isprintable() or " " in url:
        return "it is no address: https://HOST/PATH"
    if "@" in netloc:
        return "it holds an account: put what is secret into its path or query"
    if parts.scheme == "http" and not is_loopback(netloc):
        return "it is http, and would be sent in clear text: use https"
    if parts.scheme not in ("http", "https"):
        return "it is no https address"
    return ""


def operation(answers: Sequence[Told]) -> str:
    """Return `sent`, `partial`, `failed`, or `none` where there is nobody to tell."""
    wrong = sum(1 for one in answers if one.why)
    if not answers:
        return "none"
    return "sent" if not wrong else "failed" if wrong == len(answers) else "partial"
