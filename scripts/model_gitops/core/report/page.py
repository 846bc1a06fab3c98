"""The report's Markdown: comparison tables, sections, and what is left out where it is too long."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from model_gitops.core.markdown import JOINER, code, escape
from model_gitops.core.report.comment import MARK
from model_gitops.core.report.comparison import Comparison, headline, verdict
from model_gitops.core.report.images import Body
from model_gitops.core.report.pictures import Picture

DEFAULT_TITLE = "Model report"

# GitHub refuses a comment of more than 65,536 characters. The margin is for what it may add.
COMMENT_LIMIT = 65_536 - 512
# A step's summary may hold 1 MiB, and other steps of the job have summaries of their own.
SUMMARY_LIMIT = 1024 * 1024 - 64 * 1024

MOST_OPEN_PLOTS = 4

Unit = Literal["characters", "bytes"]


@dataclass(frozen=True)
class Section:
    """A part of the report that is shown whole or not at all. `name` says what was left out."""

    name: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What the head and the foot of a report tell of the change. Empty where it is not known.

    `verdict` is of a promotion into `environment`, in some words. `compared` is False for a report that is only somebody's
    Markdown, of no model's checkout.
    """

    title: str
    model: str = ""
    environment: str = ""
    reference: str = ""
    head: str = ""
    base: str = ""
    commit: str = ""
    commit_url: str = ""
    run_url: str = ""
    notes: Sequence[str] = field(default=())
    compared: bool = True
    verdict: str = ""


def heading(facts: Facts, compared: Comparison) -> str:
    """Return the report's heading: what it is of, and the verdict in some words."""
    if facts.verdict:
        title = "Promotion" if facts.title == DEFAULT_TITLE else escape(facts.title)
        return f"## {title} to {escape(facts.environment)}: {facts.verdict}"
    subject = escape(facts.model) if facts.model else ""
    if subject and facts.environment:
        subject = f"{subject} → {escape(facts.environment)}"
    # The model's name says its folder already.
    folder = facts.model.rpartition(":")[0] if facts.model else ""
    title = escape(facts.title.removesuffix(f": {folder}") if folder else facts.title)
    said = headline(compared) if facts.compared and facts.reference else ""
    whole = f"## {title}: {subject}" if subject else f"## {title}"
    return f"{whole} — {said}" if said else whole


def summary(facts: Facts, compared: Comparison) -> str:
    """Return the verdict on the metrics, and what could not be compared; empty for nothing to say."""
    lines = [verdict(compared, facts.reference)] if facts.compared else []
    if facts.notes:
        lines += ["", *(f"> {escape(note, longest=600)}  " for note in facts.notes)]
    return "\n".join(lines).strip("\n")


def foot(facts: Facts) -> str:
    """Return the last line for readers: which commit was compared, by which run."""
    parts = []
    if facts.commit:
        short = f"`{facts.commit[:10]}`"
        parts.append(
            f"Candidate [{short}]({facts.commit_url})" if facts.commit_url else f"Candidate {short}"
        )
    if facts.head:
        parts.append(f"from {code(facts.head)}")
    if facts.base:
        parts.append(f"into {code(facts.base)}")
    text = " ".join(parts)
    if facts.run_url:
        text += f"{' · ' if text else ''}[workflow run]({facts.run_url})"
    return f"<sub>{text}</sub>" if text else ""


def plots_section(pictures: Sequence[Picture], link: Callable[[Picture], str]) -> Section:
    """Return the section of the plots, folded when there are many."""
    shown = "\n\n".join(f"![{escape(one.title)}]({link(one)})" for one in pictures)
    if len(pictures) > MOST_OPEN_PLOTS:
        summary = f"<summary>{len(pictures)} plots</summary>"
        shown = f"<details>{summary}\n\n{shown}\n\n</details>"
    return Section("plots", f"### Plots\n\n{shown}")


def body_sections(markdown: str) -> list[Section]:
    """Split a project's own Markdown at its headings, so that each part fits or is left out whole.

    A heading inside a code block, an HTML block that no blank line ends, or `<details>` starts no
    section. Blocks left open are closed, and a mark of ours is broken: the text can't pass for another
    report.
    """
    text = markdown.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = text.replace(MARK, MARK.replace(" ", f"{JOINER} "))
    sections: list[tuple[str, list[str]]] = [("body", [])]
    fence, depth, closing = "", 0, ""
    for line in text.split("\n"):
        opened = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            if opened and opened[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif closing:
            if closing in line.lower():
                closing = _left_open(line.lower().rpartition(closing)[2])
        elif opened:
            fence = opened[1]
        else:
            closing = _left_open(line)
            depth += len(re.findall(r"<details\b", line, re.IGNORECASE))
            depth -= len(re.findall(r"</details>", line, re.IGNORECASE))
            depth = max(depth, 0)
            heading = re.match(r" {0,3}#{1,6}\s+(.+?)[\s#]*$", line)
            if heading and depth == 0:
                sections.append((heading[1], []))
        sections[-1][1].append(line)
    if fence or closing:
        # A whole comment: what Markdown takes for text again may be in a comment for the browser.
        sections[-1][1].append(fence or ("<!-- -->" if closing == "-->" else closing))
    sections[-1][1].extend(["", "</details>"] * depth)
    named = [Section(name, "\n".join(lines).strip("\n")) for name, lines in sections]
    return [section for section in named if section.text.strip()]


def _left_open(line: str) -> str:
    """Return what would end the HTML block that `line` leaves open, or an empty string.

    Of the blocks that no blank line ends: https://spec.commonmark.org/0.31.2/#html-blocks.
    """
    lowered = line.lower()
    # A browser takes a comment for one anywhere in a line.
    if lowered.rfind("<!--") > lowered.rfind("-->"):
        return "-->"
    found = re.match(r" {0,3}<(pre|script|style|textarea|\?|!\[cdata\[|!(?=[a-z]))", lowered)
    if found is None:
        return ""
    closing = {"?": "?>", "![cdata[": "]]>", "!": ">"}.get(found[1], f"</{found[1]}>")
    return "" if closing in lowered[found.end() :] else closing


def assemble(
    opening: str,
    sections: Sequence[Section],
    closing: str,
    *,
    limit: int = COMMENT_LIMIT,
    unit: Unit = "characters",
) -> tuple[str, list[str]]:
    """Join the parts; where that is longer than `limit`, leave out whole sections, last first.

    A section that could not even be shown alone goes before all others. Returns the text and the
    names of what was left out, in the order of the report.
    """
    kept = list(sections)
    dropped: list[Section] = []

    def text() -> str:
        names = [section.name for section in sections if any(section is one for one in dropped)]
        parts = [
            opening,
            *(section.text for section in kept),
            _left_out(names, limit, unit),
            closing,
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    for section in sections:
        if _size(opening + section.text + closing, unit) + 4096 > limit:
            kept.remove(section)
            dropped.append(section)
    while kept and _size(text(), unit) > limit:
        dropped.append(kept.pop())
    return text(), [section.name for section in sections if any(section is one for one in dropped)]


@dataclass(frozen=True)
class Report:
    """All that a report tells; `body` is the project's own Markdown, `closing` its last line.

    `opening` is Markdown of ours, which comes first.
    """

    facts: Facts
    metrics: Comparison
    params: Comparison
    pictures: Sequence[Picture] = ()
    body: Body = field(default_factory=Body)
    closing: str = ""
    opening: str = ""

    def write(
        self,
        link: Callable[[Picture], str] | None,
        *,
        limit: int = COMMENT_LIMIT,
        unit: Unit = "characters",
        notice: str = "",
    ) -> tuple[str, list[str]]:
        """Return the Markdown, at most `limit` long, and the names of the sections left out.

        `link` gives a picture's address; without it, `notice` says why pictures can't be shown.
        """

        top, sections = [heading(self.facts, self.metrics)], body_sections(self.opening)
        # That a promotion has no metrics is for its gate to say.
        counts = self.facts.compared and (self.metrics.total > 0 or not sections)
        said = summary(replace(self.facts, compared=counts), self.metrics)
        if not sections:
            top.append(said)
        elif said:
            sections.append(Section("summary", said))
        sections += body_sections(self.body.write(link))
        if self.metrics.table:
            sections.append(Section("metrics", f"### Metrics\n\n{self.metrics.table}"))
        if self.params.table:
            sections.append(Section("params", f"### Params that changed\n\n{self.params.table}"))
        if self.pictures and link:
            sections.append(plots_section(self.pictures, link))
        if notice:
            top.append(f"> {escape(notice, longest=900)}")
        opening = "\n\n".join(part for part in top if part)
        closing = "\n\n".join(part for part in (foot(self.facts), self.closing) if part)
        return assemble(opening, sections, closing, limit=limit, unit=unit)


def _left_out(names: Sequence[str], limit: int, unit: str) -> str:
    if not names:
        return ""
    shown = [escape(name, longest=60) for name in names[:20]]
    if len(names) > 20:
        shown.append(f"and {len(names) - 20} more")
    what = "a comment may have" if limit == COMMENT_LIMIT else "this place may have"
    most = "65,536 characters" if limit == COMMENT_LIMIT else f"{limit:,} {unit}"
    return f"> **Left out**, as {what} {most} at most: {', '.join(shown)}."


def _size(text: str, unit: str) -> int:
    """Count as the strictest server does: bytes, or UTF-16 units (an emoji has two)."""
    return len(text.encode("utf-8" if unit == "bytes" else "utf-16-le", "replace")) // (
        1 if unit == "bytes" else 2
    )
