"""Read a kustomization: the entries of `images`, and which of them kustomize applies to an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from model_gitops.errors import InputError

Node: TypeAlias = Any  # of ruamel.yaml, which types its attributes too loosely to be of use

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

# Real ones have some kB; a parser for strangers' text needs some limit: this much takes 10 s.
_LARGEST = 512 * 1024
# The order in which kustomize itself writes these.
KEYS = ("name", "newName", "newTag", "digest")
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
class Pair:
    """One key of a mapping and its value, as nodes that know where they are in the text."""

    key: Node
    value: Node


@dataclass(frozen=True)
class Entry:
    """One item of `images`: its node, its pairs by key, and what they say."""

    node: Node
    pairs: dict[str, Pair]
    image: Image


@dataclass(frozen=True)
class Document:
    """A whole kustomization. `shared` are the ids of the nodes that an alias reaches too."""

    root: Node
    entries: tuple[Entry, ...]
    shared: frozenset[int]


def read(text: str, *, source: str) -> tuple[Image, ...]:
    """Return the entries of `images`, in order. Raises InputError, naming `source`."""
    return tuple(entry.image for entry in parse(text.removeprefix("\ufeff"), source).entries)


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
    import difflib  # only a wrong name needs it

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


def parse(text: str, source: str) -> Document:
    """Parse `text`, without a byte order mark. Raises InputError, naming `source`."""
    root = _compose(text, source)
    shared = _shared(root)
    if kind_of(root) != "mapping":
        raise InputError(f"{source} is not a kustomization: it holds no mapping")
    node = _pairs(root, source, "the top", ("images",)).get("images")
    if node is None or (kind_of(node.value) == "scalar" and text_of(node.value) == ""):
        return Document(root, (), shared)
    if kind_of(node.value) != "sequence":
        raise InputError(f"{source}: `images` is not a list", fix="images:\n- name: …\n  newTag: …")
    entries = []
    for number, item in enumerate(node.value.value, start=1):
        if kind_of(item) != "mapping":
            raise InputError(f"{source}: entry {number} of `images` is not a mapping")
        pairs = _pairs(item, source, f"entry {number} of `images`", KEYS)
        values = {key: text_of(pairs[key].value) if key in pairs else "" for key in KEYS}
        image = Image(values["name"], values["newName"], values["newTag"], values["digest"])
        entries.append(Entry(item, pairs, image))
    if id(node.value) in shared:
        shared |= {id(entry.node) for entry in entries}
    return Document(root, tuple(entries), shared)


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
        if kind_of(more) != "scalar" or text_of(more):
            raise InputError(
                f"{source}, line {more.start_mark.line + 1}: it holds more than one YAML document,"
                " and kustomize reads only the first",
                fix="leave one document",
            )
    return documents[0]


def _pairs(node: Node, source: str, where: str, known: Sequence[str]) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for key, value in node.value:
        name = str(key.value) if kind_of(key) == "scalar" else ""
        if name in found:
            raise InputError(f"{source}: {where} has `{name}` twice", fix="leave one of them out")
        for one in known:
            # kustomize takes `newtag` for `newTag`, and with both it may take the other one.
            if name != one and name.lower() == one.lower():
                raise InputError(
                    f"{source}, line {key.start_mark.line + 1}: `{name}` is a misspelt `{one}`",
                    fix=f"write `{one}`",
                )
        found[name] = Pair(key, value)
    return found


def kind_of(node: Node) -> str:
    """Return `scalar`, `mapping` or `sequence`."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if isinstance(node, ScalarNode):
        return "scalar"
    return "mapping" if isinstance(node, MappingNode) else "sequence"


def text_of(node: Node) -> str:
    """Return a scalar as it is written: `1.10` is no number here. Null is an empty string."""
    if kind_of(node) != "scalar":
        return ""
    is_null = not node.style and node.value in ("", "~", "null", "Null", "NULL")
    return "" if is_null else str(node.value)


def children_of(node: Node) -> list[Node]:
    """Return the nodes right below: keys and values, or items; none of a scalar."""
    kind = kind_of(node)
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
        waiting.extend(children_of(node))
    return frozenset(shared)
