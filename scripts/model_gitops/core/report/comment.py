"""The report's comment: where it goes, and the mark by which it is found again."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar
from urllib.parse import quote

from model_gitops.errors import InputError

MARK = "model-gitops report:"


@dataclass(frozen=True)
class Target:
    """Where the comment goes. `id` is a number or a commit, or empty: the event's own."""

    kind: Literal["auto", "pr", "issue", "commit"]
    id: str = ""


def parse_target(value: str) -> Target:
    """Read where to comment, in CML's forms. Raises InputError."""
    kind, slash, number = value.strip().partition("/")
    kind = kind.lower() or "auto"
    valid = {
        "auto": not slash,
        "pr": not slash or re.fullmatch(r"[1-9]\d{0,15}", number),
        "issue": re.fullmatch(r"[1-9]\d{0,15}", number),
        "commit": not slash or re.fullmatch(r"[0-9a-fA-F]{7,64}", number),
    }
    if not valid.get(kind):
        raise InputError.of(
            "target",
            value,
            "it is none of auto, pr, pr/NUMBER, commit, commit/HASH, issue/NUMBER",
            fix="target: auto",
        )
    return Target(kind, number.lower())  # type: ignore[arg-type]


class Posted(Protocol):
    """A comment that is on the server."""

    @property
    def id(self) -> int:
        """Its number; a later comment has a higher one."""

    @property
    def author(self) -> str:
        """The login of who wrote it."""

    @property
    def body(self) -> str:
        """Its Markdown."""


PostedT = TypeVar("PostedT", bound=Posted)


def find_own(comments: Sequence[PostedT], logins: Collection[str]) -> list[PostedT]:
    """Return those of `comments` that one of `logins` wrote, in their order."""
    ours = {login.lower() for login in logins if login}
    return [one for one in comments if one.author.lower() in ours]


def mark(title: str) -> str:
    """Return the hidden line that says whose comment this is: one title, one comment."""
    return f"<!-- {MARK} {quote(title, safe='')} -->"


def has_mark(body: str, title: str) -> bool:
    """Whether `body` ends with the mark of `title`: in the middle it is a quotation."""
    return body.rstrip().endswith(mark(title))


def same(old: str, new: str) -> bool:
    """Whether two reports tell the same: the run and the place of equal pictures don't count."""

    def content(text: str) -> str:
        text = text.replace("\r\n", "\n").strip()
        text = re.sub(r"/actions/runs/\d*", "/actions/runs/", text)
        return re.sub(r"/raw/(commit/)?[0-9a-f]{40,64}/", "/raw/", text)

    return content(old) == content(new)


def cml_watermark(title: str) -> str:
    """Return the part of CML's watermark that does not change with the commit."""
    label = f"CML watermark {title}".strip()
    return '"' + re.sub(r"([_*\[<])", r"\\\1", label) + '")'


def without_cml_watermark(body: str) -> str:
    """Return a comment of CML's without the watermark at its end."""
    return re.sub(r'\s*!\[\]\(\S+ "CML watermark[^\n]*"\)\s*$', "\n", body)
