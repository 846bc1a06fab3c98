"""What is said of one event: as plain text, as Markdown, and as JSON."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from model_gitops.core import markdown
from model_gitops.core.line import shortened
from model_gitops.core.notify.events import Event

# A title is one line of a telephone; a message two.
LONGEST_TITLE = 150
LONGEST_TEXT = 600
LONGEST_NAME = 120
LONGEST_URL = 1000
# What would be a link, a mention, or markup of a service that reads text as such.
_ACTIVE = re.compile(r"://|@|<|\]\(|\bwww(?=\.)", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What happened, where, and to which version of which model.

    `title` and `text` are empty for the event's own words. `by` is who started the workflow,
    `repository` the model's, `run` the address of the run and `url` the page to look at. All but
    `event` are strangers' text: `of` bounds them.
    """

    event: Event
    title: str = ""
    text: str = ""
    environment: str = ""
    model: str = ""
    version: str = ""
    url: str = ""
    repository: str = ""
    run: str = ""
    by: str = ""
    problems: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        event: Event,
        *,
        title: str,
        text: str,
        environment: str,
        model: str,
        version: str,
        url: str,
        repository: str,
        run: str,
        by: str,
    ) -> Message:
        """Return the message with each part on one line, in bounds; `problems` says what was left out."""
        page, problems = url.strip() or run, []
        if page and not is_page(page):
            problems.append("input `url` is no http or https address: the link is left out")
            page = run if is_page(run) else ""
        return cls(
            event=event,
            title=one_line(title, LONGEST_TITLE),
            text=one_line(text, LONGEST_TEXT),
            environment=one_line(environment, LONGEST_NAME),
            model=one_line(model, LONGEST_NAME),
            version=one_line(version, LONGEST_NAME),
            url=page,
            repository=one_line(repository, LONGEST_NAME),
            run=run if is_page(run) else "",
            by=one_line(by, LONGEST_NAME),
            problems=tuple(problems),
        )

    @property
    def headline(self) -> str:
        """The title: `Deployed to production: diabetes v0.0.2`."""
        if self.title:
            return self.title
        where = f" {self.event.place} {self.environment}" if self.environment else ""
        what = " ".join(part for part in (self.model, self.version) if part)
        return one_line(f"{self.event.head}{where}{f': {what}' if what else ''}", LONGEST_TITLE)

    @property
    def said(self) -> str:
        """The first line: what the caller says, else the event's own words."""
        return self.text or self.event.text

    @property
    def origin(self) -> str:
        """The second line: the repository, and who started the workflow; empty outside of one."""
        return ", by ".join(part for part in (self.repository, self.by) if part)

    def plain(self) -> tuple[str, str]:
        """Return title and body as text: nothing of strangers is a link or a mention."""
        lines = [inert(self.said), inert(self.origin), self.url]
        return inert(self.headline), "\n".join(line for line in lines if line)

    def markdown(self) -> tuple[str, str]:
        """Return title and body as Markdown: nothing of strangers is markup, a link or a mention."""
        told = ((self.said, LONGEST_TEXT), (self.origin, 2 * LONGEST_NAME + 5))
        # The joiner: a line that starts with `1.` or `-` is no list either.
        lines = [
            markdown.JOINER + markdown.escape(text, longest=most) for text, most in told if text
        ]
        lines += [f"<{self.url}>"] if self.url else []
        # A hard break, as a single end of line is none in Markdown. Titles are text everywhere.
        return inert(self.headline), "  \n".join(lines)

    def document(self, now: str) -> dict[str, Any]:
        """Return the JSON of the signed POST at `now`, RFC 3339 in UTC: notification.schema.json."""
        return {
            "type": f"model-gitops.{self.event.name}",
            "timestamp": now,
            "data": {
                "event": self.event.name,
                "kind": self.event.kind,
                "title": self.headline,
                "message": self.said,
                "environment": self.environment,
                "model": self.model,
                "version": self.version,
                "url": self.url,
                "repository": self.repository,
                "run": self.run,
                "by": self.by,
            },
        }

    @property
    def id(self) -> str:
        """The same for the same news of the same run: a receiver drops what it had."""
        parts = (
            self.repository,
            self.run,
            self.event.name,
            self.environment,
            self.model,
            self.version,
            self.title,
            self.text,
        )
        return "msg_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def one_line(text: str, longest: int) -> str:
    """Return `text` on one line without what can't be seen, and no longer than `longest`."""
    seen = "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs")
    )
    seen = " ".join(seen.split())
    return shortened(seen, longest)


def inert(text: str) -> str:
    """Return `text` with an invisible character in each link, mention and piece of markup."""
    return _ACTIVE.sub(lambda found: _parted(found[0]), text)


def _parted(found: str) -> str:
    first, rest = found[:1], found[1:]
    return f"{first}{markdown.JOINER}{rest}" if rest else f"{found}{markdown.JOINER}"


def is_page(url: str) -> bool:
    """Whether `url` is an address that a person can open, and no more than that."""
    if len(url) > LONGEST_URL or not url.isascii() or re.search(r"[\s<>\"'`|\\^{}\[\]()]", url):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        )
    except ValueError:
        return False
