"""The images that a project's own Markdown shows: found by a parser, changed span by span."""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from model_gitops.core.markdown import escape
from model_gitops.core.report.pictures import Picture

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

# Start and end in the Markdown, in characters.
Span = tuple[int, int]

# A comment, left open perhaps, or a start tag that shows a file, as CommonMark writes tags. Each
# alternative ends at a character that it can't pass, so hostile text takes no longer than other.
_NAME = r"[a-zA-Z_:][\w:.-]*+"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^"'=<>`\x00-\x20]++)"""
_TAG = re.compile(
    rf"<!--(?:(?!-->).)*+(?:-->|\Z)"
    rf"|<(?P<tag>img|source|video|audio)(?P<rest>(?:[\s/]++{_NAME}(?:\s*+=\s*+{_VALUE})?)*+)[\s/]*+>",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(rf"[\s/]++(?P<name>{_NAME})(?:\s*+=\s*+(?P<value>{_VALUE}))?")


@dataclass(frozen=True)
class Image:
    """One image. `address` is what it names, with escapes and entities resolved.

    A new address goes to `place`, between `before` and `after`; where the image can't be shown,
    `instead` takes the place of all of it, `whole`.
    """

    address: str
    whole: Span
    place: Span
    instead: str
    before: str = ""
    after: str = ""
    tag: str = ""

    @property
    def fragment(self) -> str:
        """What follows `#`: GitHub shows an image with `#gh-dark-mode-only` where that fits."""
        found = re.search(r"#gh-(dark|light)-mode-only$", self.address)
        return found[0] if found else ""


@dataclass(frozen=True)
class Body:
    """Markdown, and the picture that each image in it shows; None where it can't be shown."""

    markdown: str = ""
    images: Sequence[tuple[Image, Picture | None]] = ()

    def write(self, link: Callable[[Picture], str] | None) -> str:
        """Return the Markdown with each picture at its `link`; without one, and for None, in words."""
        edits = []
        for image, picture in self.images:
            if link and picture:
                address = f"{link(picture)}{image.fragment}"
                edits.append((image.place, f"{image.before}{address}{image.after}"))
            else:
                edits.append((image.whole, image.instead))
        parts, end = [], 0
        # What is inside of a span that was replaced already is gone with it.
        for (start, stop), text in sorted(edits, key=lambda edit: (edit[0][0], -edit[0][1])):
            if start >= end:
                parts += [self.markdown[end:start], text]
                end = stop
        return "".join([*parts, self.markdown[end:]])


def is_elsewhere(address: str) -> bool:
    """Whether an image's address is on a server, so that it can be shown as it is."""
    return re.match(r"https?:|//", address, re.IGNORECASE) is not None


def plain(markdown: str) -> str:
    """Return Markdown with line ends of one kind and no NUL, as `find` wants it."""
    return markdown.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def find(markdown: str) -> list[Image]:
    """Return the images of `markdown` (CommonMark with tables and HTML) in their order.

    What only looks like one, in code or a comment, is none.
    """
    if not markdown.strip():  # the parser's import takes longer than most texts
        return []
    env: dict[str, Any] = {}
    tokens = _parser().parse(markdown, env)
    lines = _Lines(markdown)
    found: list[Image] = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.map is None or not token.content:
            continue
        if token.type == "html_block":
            found += _in_html(token.content, lines.block(token), 0)
        elif token.type == "inline":
            in_cell = before is not None and before.type in ("th_open", "td_open")
            text = lines.cell(token) if in_cell else lines.block(token)
            if text is not None:
                for child in token.children or ():
                    found += _in_line(child, token.content, text)
    return found


# From the text of a block back to the Markdown: quotation marks, list items and indents are left out
# of the one, and a cell's escaped bars are bars.


class _Text:
    """Where each line of a block's text is in the Markdown."""

    def __init__(self, content: str, starts: Sequence[int], *, bars: bool = False) -> None:
        self._starts = starts
        self._ends = [found.start() for found in re.finditer("\n", content)]
        self._bars = [found.start() for found in re.finditer(r"\|", content)] if bars else []

    def at(self, offset: int) -> int:
        line = bisect_left(self._ends, offset)
        column = offset - (self._ends[line - 1] + 1 if line else 0)
        return self._starts[line] + column + bisect_left(self._bars, offset)

    def span(self, start: int, end: int) -> Span:
        return self.at(start), self.at(end - 1) + 1 if end > start else self.at(start)


class _Lines:
    """The lines of the Markdown, and how far the cells of a table's line are read."""

    def __init__(self, markdown: str) -> None:
        self._lines = markdown.split("\n")
        self._offsets = [0]
        for line in self._lines:
            self._offsets.append(self._offsets[-1] + len(line) + 1)
        self._cells: dict[int, int] = {}

    def block(self, token: Token) -> _Text:
        """Of a paragraph, a heading, or HTML: each line is the end of one of the Markdown's.

        Only a heading in `#` may have more after it, and that is no text.
        """
        first = (token.map or [0])[0]
        starts = []
        for number, line in enumerate(token.content.split("\n")):
            text = line.strip()
            source = self._lines[min(first + number, len(self._lines) - 1)]
            # A tab that is half an indent comes as spaces: only the text itself is looked for.
            indent = len(line) - len(line.lstrip())
            starts.append(self._offsets[first + number] + source.rfind(text) - indent)
        return _Text(token.content, starts)

    def cell(self, token: Token) -> _Text | None:
        """Of a cell of a table: found behind the cells before it."""
        number = (token.map or [0])[0]
        source, start = self._lines[number], self._cells.get(number, 0)
        written = token.content.replace("|", r"\|")
        place = source.find(written, start)
        if place < 0:
            return None
        self._cells[number] = place + len(written)
        return _Text(token.content, [self._offsets[number] + place], bars=True)


def _in_line(child: Token, content: str, text: _Text) -> Iterator[Image]:
    if child.type == "html_inline":
        yield from _in_html(child.content, text, child.meta["start"])
    elif child.type == "image":
        yield _image(child, content, text)


def _image(token: Token, content: str, text: _Text) -> Image:
    address = str(token.attrs.get("src", ""))
    shown = escape(_words(token) or _name(address))
    image = Image(
        address=address,
        whole=text.span(token.meta["start"], token.meta["end"]),
        place=(0, 0),
        instead=f"*{shown}* (not shown)",
    )
    behind = token.meta["label_end"] + 1
    if address_span := token.meta.get("address"):
        return replace(image, place=text.span(*address_span))
    # By reference: the definition may be of links too, so it stays, and the image gets an address.
    title = str(token.attrs.get("title", ""))
    return replace(
        image,
        place=(text.at(behind - 1) + 1, image.whole[1]),
        before="(",
        after=f' "{_in_title(title)}")' if title else ")",
    )


def _in_html(content: str, text: _Text, offset: int) -> Iterator[Image]:
    for tag in _TAG.finditer(content):
        if not tag["tag"]:
            continue
        seen: dict[str, re.Match[str]] = {}
        for one in _ATTRIBUTE.finditer(tag["rest"]):
            seen.setdefault(one["name"].lower(), one)
        start = offset + tag.start("rest")
        alternative = seen["alt"]["value"] if "alt" in seen and seen["alt"]["value"] else ""
        for name in ("src", "srcset"):
            value = seen[name]["value"] if name in seen else None
            if not value:
                continue
            quote = value[0] if value[0] in "\"'" else ""
            inner = value.strip(quote) if quote else value
            at = start + seen[name].start("value") + len(quote)
            if name == "src":
                address = html.unescape(inner).strip()
                words = html.unescape(alternative.strip("\"'")) or _name(address)
                yield Image(
                    address=address,
                    whole=text.span(offset + tag.start(), offset + tag.end()),
                    place=text.span(at, at + len(inner)),
                    instead=f"<em>{escape(words)}</em> (not shown)",
                    tag=tag["tag"].lower(),
                )
                continue
            whole = text.span(start + seen[name].start(), start + seen[name].end())
            # `data:` addresses hold a comma too; a space ends an address.
            for candidate in re.finditer(r"[^\s,][^\s]*", inner):
                before = inner[: candidate.start()].rstrip()
                if before and not before.endswith(","):
                    continue  # the size or density of the address before it
                written = candidate[0].rstrip(",")
                place = at + candidate.start()
                yield Image(
                    address=html.unescape(written),
                    whole=whole,
                    place=text.span(place, place + len(written)),
                    instead="",
                    tag=tag["tag"].lower(),
                )


def _words(token: Token) -> str:
    """Return an image's alternative text, without the markup in it."""
    return "".join(
        _words(child) if child.type == "image" else " " if "break" in child.type else child.content
        for child in token.children or ()
        if child.type != "html_inline"
    ).strip()


def _name(address: str) -> str:
    if address.lower().startswith("data:"):
        return "image"
    return re.split(r"[?#]", address)[0].rstrip("/").rpartition("/")[2] or "image"


def _in_title(title: str) -> str:
    return re.sub(r'([\\"|&<>`*_\[\]])', r"\\\1", " ".join(title.split()))


# The parser, which also tells where in a line it found an image or a tag.


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import reference
    from markdown_it.rules_inline import html_inline, image

    nested = 0

    def image_with_place(state: StateInline, silent: bool) -> bool:
        nonlocal nested
        start = state.pos
        nested += 1
        try:
            is_image = image(state, silent)
        finally:
            nested -= 1
        if is_image and not silent and not nested:
            state.tokens[-1].meta = {"start": start, "end": state.pos, **_parts(state, start)}
        return is_image

    def tag_with_place(state: StateInline, silent: bool) -> bool:
        start = state.pos
        is_tag = html_inline(state, silent)
        if is_tag and not silent:
            state.tokens[-1].meta = {"start": start}
        return is_tag

    def no_footnote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        # CommonMark has no footnotes; GitHub shows what such a definition says.
        begin = state.bMarks[start] + state.tShift[start]
        return not state.src.startswith("[^", begin) and reference(state, start, end, silent)

    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 100}).enable("table")
    parser.inline.ruler.at("image", image_with_place)
    parser.inline.ruler.at("html_inline", tag_with_place)
    parser.block.ruler.at("reference", no_footnote)
    # As it is written, whatever it is: we look at each address ourselves.
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


def _parts(state: StateInline, start: int) -> dict[str, Any]:
    """Return where the alternative text of the image at `start` ends, and its address, if written."""
    from markdown_it.helpers import parseLinkDestination, parseLinkLabel

    end, state.pos = state.pos, start
    label_end = parseLinkLabel(state, start + 1, False)
    state.pos = end
    # What the rule took for an image without this is one by reference.
    behind = re.compile(r"\([ \t\n]*").match(state.src, label_end + 1)
    if behind is None:
        return {"label_end": label_end}
    address = parseLinkDestination(state.src, behind.end(), state.posMax)
    return {
        "label_end": label_end,
        "address": (behind.end(), address.pos if address.ok else behind.end()),
    }
