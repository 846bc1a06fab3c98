"""Change images in a kustomization as text: only the spans that must change are replaced."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from model_gitops.errors import InputError

Node: TypeAlias = Any  # of ruamel.yaml, which types its attributes too loosely to be of use

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

# Real ones have some kB; a parser for strangers' text needs some limit: this much takes 10 s.
_LARGEST = 512 * 1024
# The order in which kustomize itself writes these.
_ORDER = ("name", "newName", "newTag", "digest")
# Plain scalars that YAML 1.1 or 1.2, or Go's parser, reads as something other than a string.
_NOT_A_STRING = re.compile(
    r"""y|n|yes|no|on|off|true|false|null|~|
    0x[0-9a-f_]+|0b[01_]+|0o[0-7_]+|
    [0-9][0-9_]*(?:\.[0-9_]*)?(?:e[0-9_]+|e-[0-9_]+)?|
    [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|
    _+""",
    re.IGNORECASE | re.VERBOSE,
)
# Tabs after a colon, before a comment or at the end of a line are YAML, but not to ruamel.yaml.
_TABS = re.compile(r"(?<=\S)[ \t]*\t[ \t]*(?=#|\r?$)|(?<=\w:)[ \t]*\t[ \t]*(?=\S)", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """One entry of `images`. Empty strings are parts that the entry does not have."""

    name: str
    new_name: str = ""
    tag: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        """The image as `name:tag@digest`, without the parts that are not set."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.new_name or self.name}{tag}{digest}"

    def changed_to(self, wanted: Image) -> Image:
        """Return this entry with the parts that `wanted` has; a new tag drops the old digest."""
        is_renamed = wanted.new_name not in ("", self.new_name or self.name)
        is_new_tag = wanted.tag not in ("", self.tag)
        return replace(
            self,
            new_name=wanted.new_name if is_renamed else self.new_name,
            tag=wanted.tag or self.tag,
            digest=wanted.digest or ("" if is_new_tag else self.digest),
        )


@dataclass(frozen=True)
class _Pair:
    key: Node
    value: Node


@dataclass(frozen=True)
class _Entry:
    node: Node
    pairs: dict[str, _Pair]
    image: Image


@dataclass(frozen=True)
class _Parsed:
    root: Node
    entries: tuple[_Entry, ...]
    shared: frozenset[int]


def read(text: str, *, source: str) -> tuple[Image, ...]:
    """Return the entries of `images`, in order. Raises InputError, naming `source`."""
    return tuple(entry.image for entry in _parse(text.removeprefix("\ufeff"), source).entries)


def find(images: Sequence[Image], name: str, *, source: str) -> Image:
    """Return the one entry called `name`. Raises InputError that lists the names there are."""
    found = [image for image in images if image.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError.of(
            "images", name, f"{source} has {len(found)} entries of this name",
            fix=f"leave one entry `name: {name}` in {source}",
        )  # fmt: skip
    names = [image.name for image in images if image.name]
    if not names:
        raise InputError.of(
            "images", name, f"{source} has no `images` with a `name`",
            fix=f"add to {source}:\nimages:\n- name: {name}\n  newTag: none",
        )  # fmt: skip
    close = difflib.get_close_matches(name, names, n=1)
    raise InputError.of(
        "images",
        name,
        f"{source} has no image of this name; it has: {', '.join(names)}",
        fix=f"write {close[0]}=…" if close else f"write one of these names, or add it to {source}",
    )


def overruling(images: Sequence[Image], image: Image) -> Image | None:
    """Return a later entry that changes `image` again: kustomize applies entries in their order."""
    later = images[images.index(image) + 1 :]
    return next((one for one in later if _applies(one, image.new_name or image.name)), None)


def forestalling(images: Sequence[Image], image: Image) -> Image | None:
    """Return an earlier entry that may have changed what `image` is to change, or what it makes."""
    names = {image.name, image.new_name} - {""}
    earlier = images[: images.index(image)]
    return next((one for one in earlier if any(_applies(one, name) for name in names)), None)


def _applies(entry: Image, name: str) -> bool:
    """Whether kustomize changes an image of this name by `entry`, whose name is an expression.

    See `isImageMatched` in sigs.k8s.io/kustomize/api.
    """
    try:
        return re.fullmatch(entry.name, name) is not None
    except (re.error, RecursionError, OverflowError):
        return True  # nobody can tell


def edit(text: str, wanted: Iterable[Image], *, source: str) -> str:
    """Return `text` with the images changed as `wanted`, every other byte as it was.

    Raises InputError, naming `source`, for a name that is not there or there twice, and for an
    entry written in a way that can't be changed alone (aliases, merge keys, block scalars).
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    old = text.removeprefix("\ufeff")
    parsed = _parse(old, source)
    images = [entry.image for entry in parsed.entries]
    after: dict[str, Image] = {}
    splices: list[tuple[int, int, str]] = []
    for want in wanted:
        image = find(images, want.name, source=source)
        entry = parsed.entries[images.index(image)]
        after[image.name] = image.changed_to(want)
        if after[image.name] != image or not _reads_as_text(entry):
            splices += _Editor(old, entry, parsed.shared, source).splices(after[image.name])
        _check_last(parsed, entry, after[image.name], source)
    new = old
    # From the end, so that positions hold; at one position the last comes last in the text.
    for start, end, replacement in sorted(splices, key=lambda item: item[:2])[::-1]:
        new = new[:start] + replacement + new[end:]
    if new != old:
        _verify(parsed, new, after, source)
    return mark + new


class _Editor:
    """Finds what to replace for one entry."""

    def __init__(self, text: str, entry: _Entry, shared: frozenset[int], source: str) -> None:
        self.text = text
        self.entry = entry
        self.shared = shared
        self.source = source
        self.flow = bool(entry.node.flow_style)

    def splices(self, after: Image) -> list[tuple[int, int, str]]:
        if id(self.entry.node) in self.shared or "<<" in self.entry.pairs:
            raise self._refuse("uses a YAML anchor, alias or merge key")
        before = self.entry.image
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

    def _replaced(self, pair: _Pair, new: str) -> tuple[int, int, str]:
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

    def _value_span(self, pair: _Pair) -> tuple[int, int]:
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


def _parse(text: str, source: str) -> _Parsed:
    root = _compose(text, source)
    shared = _shared(root)
    if _kind(root) != "mapping":
        raise InputError(f"{source} is not a kustomization: it holds no mapping")
    node = _pairs(root, source, "the top", ("images",)).get("images")
    if node is None or (_kind(node.value) == "scalar" and _text(node.value) == ""):
        return _Parsed(root, (), shared)
    if _kind(node.value) != "sequence":
        raise InputError(f"{source}: `images` is not a list", fix="images:\n- name: …\n  newTag: …")
    entries = []
    for number, item in enumerate(node.value.value, start=1):
        if _kind(item) != "mapping":
            raise InputError(f"{source}: entry {number} of `images` is not a mapping")
        pairs = _pairs(item, source, f"entry {number} of `images`", _ORDER)
        values = {key: _text(pairs[key].value) if key in pairs else "" for key in _ORDER}
        image = Image(values["name"], values["newName"], values["newTag"], values["digest"])
        entries.append(_Entry(item, pairs, image))
    if id(node.value) in shared:
        shared |= {id(entry.node) for entry in entries}
    return _Parsed(root, tuple(entries), shared)


def _compose(text: str, source: str) -> Node:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > _LARGEST:
        raise InputError(f"{source} has {len(text)} characters: more than {_LARGEST}")
    try:
        spaced = _TABS.sub(lambda tabs: " " * len(tabs[0]), text)
        documents = list(YAML(typ="safe", pure=True).compose_all(spaced))
    except MarkedYAMLError as error:
        problem_mark = error.problem_mark
        place = f", line {problem_mark.line + 1}" if problem_mark else ""
        raise InputError(
            f"{source}{place}: not one valid YAML document: {error.problem or error.context}",
            fix="see that `kustomize build` reads it",
        ) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{source} is not valid YAML: {str(error)[:300]}") from error
    if not documents:
        raise InputError(f"{source} is empty")
    # kustomize reads the first document; a `---` with nothing after it harms nobody.
    for more in documents[1:]:
        if _kind(more) != "scalar" or _text(more):
            raise InputError(
                f"{source}, line {more.start_mark.line + 1}: it holds more than one YAML document,"
                " and kustomize reads only the first",
                fix="leave one document",
            )
    return documents[0]


def _pairs(node: Node, source: str, where: str, known: Sequence[str]) -> dict[str, _Pair]:
    found: dict[str, _Pair] = {}
    for key, value in node.value:
        name = str(key.value) if _kind(key) == "scalar" else ""
        if name in found:
            raise InputError(f"{source}: {where} has `{name}` twice", fix="leave one of them out")
        for one in known:
            # kustomize takes `newtag` for `newTag`, and with both it may take the other one.
            if name != one and name.lower() == one.lower():
                raise InputError(
                    f"{source}, line {key.start_mark.line + 1}: `{name}` is a misspelt `{one}`",
                    fix=f"write `{one}`",
                )
        found[name] = _Pair(key, value)
    return found


def _kind(node: Node) -> str:
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if isinstance(node, ScalarNode):
        return "scalar"
    return "mapping" if isinstance(node, MappingNode) else "sequence"


def _text(node: Node) -> str:
    """Return a scalar as it is written: `1.10` is no number here. Null is an empty string."""
    if _kind(node) != "scalar":
        return ""
    is_null = not node.style and node.value in ("", "~", "null", "Null", "NULL")
    return "" if is_null else str(node.value)


def _span(node: Node) -> tuple[int, int]:
    return int(node.start_mark.index), int(node.end_mark.index)


def _children(node: Node) -> list[Node]:
    kind = _kind(node)
    if kind == "scalar":
        return []
    return [one for pair in node.value for one in pair] if kind == "mapping" else list(node.value)


def _shared(root: Node) -> frozenset[int]:
    """Return the ids of the nodes that are reached more than once: anchors with an alias."""
    seen: set[int] = set()
    shared: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            shared.add(id(node))
            continue
        seen.add(id(node))
        waiting.extend(_children(node))
    return frozenset(shared)


def _verify(old: _Parsed, text: str, after: dict[str, Image], source: str) -> None:
    """Hold the edited text to be the old data, but for the images. Raises InputError."""
    problem = InputError(
        f"{source} is written in a way that this action can't change safely; nothing was changed",
        fix="write the entry of `images` as `- name: …` with `newTag:` on a line of its own",
    )
    try:
        new = _parse(text, source)
    except InputError as error:
        raise problem from error
    if len(new.entries) != len(old.entries):
        raise problem
    targets: dict[int, int] = {}
    for before, now in zip(old.entries, new.entries, strict=True):
        if now.image != after.get(before.image.name, before.image):
            raise problem
        if before.image.name in after:
            targets[id(before.node)] = id(now.node)
            kept = [key for key in before.pairs if key not in _ORDER]
            if kept != [key for key in now.pairs if key not in _ORDER]:
                raise problem
            if not all(_same(before.pairs[key].value, now.pairs[key].value, {}) for key in kept):
                raise problem
            if any(
                not _is_string(now.pairs[key].value) for key in _ORDER if _was_set(before, now, key)
            ):
                raise problem
    if not _same(old.root, new.root, targets):
        raise problem


def _was_set(before: _Entry, now: _Entry, key: str) -> bool:
    if key not in now.pairs:
        return False
    return key not in before.pairs or _text(before.pairs[key].value) != _text(now.pairs[key].value)


def _reads_as_text(entry: _Entry) -> bool:
    """Whether kustomize reads what is set as text: at an unquoted `newTag: 1.10` it fails."""
    return all(
        _is_string(pair.value)
        for key, pair in entry.pairs.items()
        if key in _ORDER and _text(pair.value)
    )


def _check_last(parsed: _Parsed, entry: _Entry, after: Image, source: str) -> None:
    """Refuse where a later entry changes the image again."""
    later = [one.image for one in parsed.entries[parsed.entries.index(entry) + 1 :]]
    if overruling([after, *later], after):
        raise InputError.of(
            "images", after.name,
            f"a later entry of {source} is named {after.new_name}, and changes this image again",
            fix=f"put the entry `name: {after.new_name}` before the entry `name: {after.name}`",
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
        if str(left.tag) != str(right.tag) or _kind(left) != _kind(right):
            return False
        if _kind(left) == "scalar":
            if left.value != right.value:
                return False
            continue
        children = _children(left), _children(right)
        if len(children[0]) != len(children[1]):
            return False
        waiting.extend(zip(*children, strict=True))
    return True
