"""Change images in a kustomization as text: only the spans that must change are replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from model_gitops.core.deploy.kustomization import (
    KEYS,
    Document,
    Entry,
    Image,
    Node,
    Pair,
    children_of,
    find,
    kind_of,
    parse,
    text_of,
)
from model_gitops.core.image import names
from model_gitops.errors import InputError

# Plain scalars that YAML 1.1 or 1.2, or Go's parser, reads as something other than a string.
_NOT_A_STRING = re.compile(
    r"""y|n|yes|no|on|off|true|false|null|~|
    0x[0-9a-f_]+|0b[01_]+|0o[0-7_]+|
    [0-9][0-9_]*(?:\.[0-9_]*)?(?:e[0-9_]+|e-[0-9_]+)?|
    [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|
    _+""",
    re.IGNORECASE | re.VERBOSE,
)


def edit(text: str, wanted: Iterable[Image], *, source: str) -> str:
    """Return `text` with the images changed as `wanted`, every other byte as it was.

    Raises InputError, naming `source`, for a name that is not there or there twice, and for an
    entry written in a way that can't be changed alone (aliases, merge keys, block scalars).
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    old = text.removeprefix("\ufeff")
    parsed = parse(old, source)
    images = [entry.image for entry in parsed.entries]
    after: dict[str, Image] = {}
    splices: list[tuple[int, int, str]] = []
    for want in wanted:
        image = find(images, want.name, source=source)
        entry = parsed.entries[images.index(image)]
        after[image.name] = image.changed_to(want)
        if after[image.name] != image or not entry.is_settled or not _reads_as_text(entry):
            splices += _Editor(old, entry, parsed.shared, source).splices(after[image.name])
    for entry in parsed.entries:
        if entry.image.name in after:
            _check_parts(after[entry.image.name], source)
            _check_rendered(parsed, entry, after, source)
    new = old
    # From the end, so that positions hold; at one position the last comes last in the text.
    for start, end, replacement in sorted(splices, key=lambda item: item[:2])[::-1]:
        new = new[:start] + replacement + new[end:]
    if new != old:
        _verify(parsed, new, after, source)
    return mark + new


class _Editor:
    """Finds what to replace for one entry."""

    def __init__(self, text: str, entry: Entry, shared: frozenset[int], source: str) -> None:
        self.text = text
        self.entry = entry
        self.shared = shared
        self.source = source
        self.flow = bool(entry.node.flow_style)

    def splices(self, after: Image) -> list[tuple[int, int, str]]:
        if id(self.entry.node) in self.shared or "<<" in self.entry.pairs:
            raise self._refuse("uses a YAML anchor, alias or merge key")
        before = self.entry.written
        parts = (
            ("newName", before.new_name, after.new_name),
            ("newTag", before.tag, after.tag),
            ("digest", before.digest, after.digest),
        )
        found: list[tuple[int, int, str]] = []
        missing: dict[str, list[tuple[str, str]]] = {}
        anchor = "name"
        for key, old, new in parts:
            pair = self.entry.pairs.get(key)
            if pair is None:
                if new:
                    missing.setdefault(anchor, []).append((key, new))
                continue
            if old != new or (new and not _is_string(pair.value)):
                if id(pair.value) in self.shared:
                    raise self._refuse(f"shares the value of `{key}` by a YAML anchor")
                found.append(self._replaced(pair, new) if new else self._removed(key))
            # What is missing can't be put after a line that goes.
            if new:
                anchor = key
        for after_key, keys in missing.items():
            found.append(self._inserted(after_key, keys))
        return found

    def _replaced(self, pair: Pair, new: str) -> tuple[int, int, str]:
        start, end = _span(pair.value)
        raw = self.text[start:end]
        if not hasattr(
            pair.value, "style"
        ):  # `newTag: {{ .Values.tag }}`: a template, not yet YAML
            raise self._refuse("has a mapping or a list where a text belongs")
        if pair.value.style in ("|", ">"):
            raise self._refuse("writes a value as a block scalar")
        if not raw:  # `newTag:` and nothing more: the mark may be lines further on
            colon, _ = self._value_span(pair)
            return colon, colon, f" {self._spelled(new)}"
        properties = re.match(r"(?:[&!]\S*[ \t]+)+", raw)
        kept = properties.group() if properties else ""
        if pair.value.style in ("'", '"'):
            return start, end, f"{kept}{pair.value.style}{new}{pair.value.style}"
        return start, end, kept + self._spelled(new)

    def _value_span(self, pair: Pair) -> tuple[int, int]:
        start, end = _span(pair.value)
        if self.text[start:end]:
            return start, end
        colon = self.text.find(":", _span(pair.key)[1]) + 1
        return colon, colon

    def _spelled(self, value: str, *, quote: bool = False) -> str:
        # In a flow mapping a colon in a plain scalar divides parsers.
        if quote or _NOT_A_STRING.fullmatch(value) or (self.flow and ":" in value):
            return f'"{value}"'
        return value

    def _inserted(self, after_key: str, keys: list[tuple[str, str]]) -> tuple[int, int, str]:
        pair = self.entry.pairs[after_key]
        if id(pair.value) in self.shared:
            raise self._refuse(f"shares the value of `{after_key}` by a YAML anchor")
        key_start, key_end = _span(pair.key)
        value_start, value_end = self._value_span(pair)
        line_start = self.text.rfind("\n", 0, key_start) + 1
        indent = self.text[line_start:key_start]
        if not self.flow:
            position, ending = self._line_end(value_end)
            column = " " * self._first_column()
            added = "".join(f"{ending}{column}{key}: {self._spelled(new)}" for key, new in keys)
            return position, position, added
        quote = self.text[key_start : key_start + 1] == '"'
        colon = self.text[key_end:value_start]
        if colon.strip() != ":" or "\n" in colon:
            colon = ": "
        own_line = not indent.strip() and line_start > _span(self.entry.node)[0]
        comma = f",{self._line_end(value_end)[1]}{indent}" if own_line else "," + colon.strip(":")
        added = "".join(
            f'{comma}"{key}"{colon}"{new}"' if quote else f"{comma}{key}: {self._spelled(new)}"
            for key, new in keys
        )
        return value_end, value_end, added

    def _first_column(self) -> int:
        return min(int(pair.key.start_mark.column) for pair in self.entry.pairs.values())

    def _removed(self, key: str) -> tuple[int, int, str]:
        pairs = list(self.entry.pairs.values())
        place = list(self.entry.pairs).index(key)
        start = _span(pairs[place].key)[0]
        end = _span(pairs[place].value)[1]
        line_start = self.text.rfind("\n", 0, start) + 1
        if not self.flow and not self.text[line_start:start].strip():
            position, _ = self._line_end(end)
            following = self.text.find("\n", position)
            if following >= 0:
                return line_start, following + 1, ""
            # The last line of a file without a final newline: the one before it becomes the last.
            before = line_start - (2 if self.text[line_start - 2 : line_start] == "\r\n" else 1)
            return before, len(self.text), ""
        if place == 0:  # `- digest: …` or `{digest: …`: what follows takes its place
            span = (start, _span(pairs[1].key)[0])
            rest = self.text[end : span[1]]
        else:
            span = (_span(pairs[place - 1].value)[1], end)
            rest = self.text[span[0] : start]
        if rest.replace(",", "", 1).strip():
            raise self._refuse(f"has a comment in the way of `{key}`")
        return *span, ""

    def _line_end(self, position: int) -> tuple[int, str]:
        """Return where the line of `position` ends, and the line ending to use there."""
        end = self.text.find("\n", position)
        if end < 0:
            first = self.text.find("\n")
            ending = "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"
            return len(self.text), ending
        return (end - 1, "\r\n") if self.text[end - 1 : end] == "\r" else (end, "\n")

    def _refuse(self, how: str) -> InputError:
        name = self.entry.image.name
        return InputError.of(
            "images", name,
            f"its entry in {self.source} {how}, so it can't be changed without changing more",
            fix=f"write the entry out in {self.source}:\n- name: {name}\n  newTag: …",
        )  # fmt: skip


def _span(node: Node) -> tuple[int, int]:
    return int(node.start_mark.index), int(node.end_mark.index)


def _verify(old: Document, text: str, after: dict[str, Image], source: str) -> None:
    """Hold the edited text to be the old data, but for the images. Raises InputError."""
    problem = InputError(
        f"{source} is written in a way that this action can't change safely; nothing was changed",
        fix="write the entry of `images` as `- name: …` with `newTag:` on a line of its own",
    )
    try:
        new = parse(text, source)
    except InputError as error:
        raise problem from error
    if len(new.entries) != len(old.entries):
        raise problem
    targets: dict[int, int] = {}
    for before, now in zip(old.entries, new.entries, strict=True):
        if now.written != after.get(before.image.name, before.written) and not (
            now.is_settled and now.image == after.get(before.image.name)
        ):
            raise problem
        if before.image.name in after:
            targets[id(before.node)] = id(now.node)
            kept = [key for key in before.pairs if key not in KEYS]
            if kept != [key for key in now.pairs if key not in KEYS]:
                raise problem
            if not all(_same(before.pairs[key].value, now.pairs[key].value, {}) for key in kept):
                raise problem
            if any(
                not _is_string(now.pairs[key].value) for key in KEYS if _was_set(before, now, key)
            ):
                raise problem
    if not _same(old.root, new.root, targets):
        raise problem


def _was_set(before: Entry, now: Entry, key: str) -> bool:
    if key not in now.pairs:
        return False
    return key not in before.pairs or text_of(before.pairs[key].value) != text_of(
        now.pairs[key].value
    )


def _reads_as_text(entry: Entry) -> bool:
    """Whether kustomize reads what is set as text: at an unquoted `newTag: 1.10` it fails."""
    return all(
        _is_string(pair.value)
        for key, pair in entry.pairs.items()
        if key in KEYS and text_of(pair.value)
    )


def _check_parts(after: Image, source: str) -> None:
    """Refuse where a part that stays makes an image that no registry takes."""
    parts = (
        ("newName", after.new_name, names.is_name),
        ("newTag", after.tag, names.is_tag),
        ("digest", after.digest, names.is_digest),
    )
    for key, value, is_right in parts:
        # What another tool fills in later is its matter.
        if value and not is_right(value) and "$" not in value:
            raise InputError.of(
                "images", after.name, f"in {source} it has `{key}: {value}`, which no registry takes",
                fix=f"give all parts: {after.name}=NAME:TAG@sha256:…, or mend `{key}` in {source}",
            )  # fmt: skip


def _check_rendered(
    parsed: Document, entry: Entry, after: Mapping[str, Image], source: str
) -> None:
    """Refuse where another entry keeps kustomize from making the image that is wanted.

    Entries are applied in their order. The first is asked for an image that the manifests have by the
    entry's name: of an expression that is not known.
    """
    entries = [after.get(one.image.name, one.written) for one in parsed.entries]
    place = parsed.entries.index(entry)
    wanted = entries[place]
    found, blamed = wanted.name, ""
    for one in entries[:place] if names.is_reference_of_image(wanted.name) else ():
        made = one.applied_to(found)
        # Of a name that nobody can read, what it sets tells whether it may keep this one from matching.
        if made is None and (one.new_name or not names.is_name(wanted.name)):
            found, blamed = one.new_name or "another tag", one.name
            break
        if made not in (None, found):
            found, blamed = str(made), one.name
    if blamed and not wanted.matches(found):
        raise InputError.of(
            "images", wanted.name,
            f"an earlier entry of {source} is named {blamed}, and makes {found} of this image first",
            fix=f"put the entry `name: {wanted.name}` before the entry `name: {blamed}`",
        )  # fmt: skip
    for one in entries[place + 1 :]:
        if one.applied_to(wanted.reference) != wanted.reference:
            raise InputError.of(
                "images", wanted.name,
                f"a later entry of {source} is named {one.name}, and changes this image again",
                fix=f"put the entry `name: {one.name}` before the entry `name: {wanted.name}`",
            )  # fmt: skip


def _is_string(node: Node) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:str"


def _same(one: Node, other: Node, targets: dict[int, int]) -> bool:
    """Whether two documents hold the same; the pairs of nodes in `targets` may differ."""
    waiting: list[tuple[Any, Any]] = [(one, other)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        left, right = waiting.pop()
        ids = (id(left), id(right))
        if ids in seen or targets.get(ids[0]) == ids[1]:
            continue
        seen.add(ids)
        if str(left.tag) != str(right.tag) or kind_of(left) != kind_of(right):
            return False
        if kind_of(left) == "scalar":
            if left.value != right.value:
                return False
            continue
        children = children_of(left), children_of(right)
        if len(children[0]) != len(children[1]):
            return False
        waiting.extend(zip(*children, strict=True))
    return True
