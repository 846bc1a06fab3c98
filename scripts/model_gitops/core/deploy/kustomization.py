"""Read a kustomization: the entries of `images`, and which of them kustomize applies to an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from model_gitops.core.image import names
from model_gitops.errors import InputError

Node: TypeAlias = Any  # of ruamel.yaml, which types its attributes too loosely to be of use

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def paths_in(folder: str) -> list[str]:
    """Return what a kustomization in `folder` (`.`: the top) may be called, from the top."""
    return [name if folder == "." else f"{folder}/{name}" for name in FILE_NAMES]


# Real ones have some kB; a parser for strangers' text needs some limit: this much takes 10 s.
_LARGEST = 512 * 1024
# Tags that stand in a new overlay until the first deployment.
_PLACEHOLDERS = ("", "none", "not-deployed-yet")
# The order in which kustomize itself writes these.
KEYS = ("name", "newName", "newTag", "digest")
# Expressions that Go, which kustomize is written in, reads otherwise than Python, or only one of them
# takes (`[[:lower:]]`, `\pL`, `(?i)`, `a{,5}`, `a*+`), and repeated groups, for which Python could take years.
_NOT_READ = re.compile(r"\)[*+{]|\[[^\]]*\[|\\(?![dDwWsSbB])[A-Za-z0-9]|\(\?(?!:)|\{,|[*+?}]\+")
# Tabs after a colon, before a comment or at the end of a line are YAML, but not to ruamel.yaml.
_TABS = re.compile(r"(?<=\S)[ \t]*\t[ \t]*(?=#|\r?$)|(?<=\w:)[ \t]*\t[ \t]*(?=\S)", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """One entry of `images`. Empty strings are parts that the entry does not have.

    `name` is an expression to kustomize; as a rule it is an image's name, and it may carry a tag or a
    digest. `suffix` is `tagSuffix`, which counts only where there is neither tag nor digest.
    """

    name: str
    new_name: str = ""
    tag: str = ""
    digest: str = ""
    suffix: str = ""

    @property
    def full_name(self) -> str:
        """The name that the image gets, without tag and digest."""
        return self.new_name or self._own[0]

    @property
    def reference(self) -> str:
        """The image as `name:tag@digest`, without the parts that are not set."""
        tag, digest = self.tag, self.digest
        if not tag and not digest:
            _, tag, digest = self._own
        return join(self.full_name, tag, digest)

    @property
    def _own(self) -> tuple[str, str, str]:
        """What the entry's name is the name of, split; an expression is a name as a whole."""
        if names.is_reference_of_image(self.name):
            return names.split_reference(self.name)
        return self.name, "", ""

    @property
    def is_placeholder(self) -> bool:
        """Whether it sets no image that could be pulled, as a new overlay's does."""
        return self.tag in _PLACEHOLDERS and not self.digest

    @property
    def settled(self) -> Image:
        """The same entry with each part in its own key.

        People also write `newName: x/m:v1@sha256:…`, `newTag: v1@sha256:…` or `newTag: sha256:…`, and
        kustomize joins the parts as they are.
        """
        new_name, named_tag, named_digest = names.split_reference(self.new_name)
        tag, _, tagged_digest = self.tag.partition("@")
        if names.is_digest(tag):
            tag, tagged_digest = "", tag
        digest = self.digest.removeprefix("@") or tagged_digest
        if not tag:
            tag, digest = named_tag, digest or named_digest
        return replace(self, new_name=new_name, tag=tag, digest=digest)

    def changed_to(self, wanted: Image) -> Image:
        """Return this entry with the parts that `wanted` has; a new tag drops the old digest."""
        old = self.settled
        is_renamed = wanted.new_name not in ("", old.full_name)
        is_new_tag = wanted.tag not in ("", old.tag)
        return replace(
            old,
            new_name=wanted.new_name if is_renamed else old.new_name,
            tag=wanted.tag or old.tag,
            digest=wanted.digest or ("" if is_new_tag else old.digest),
        )

    def applied_to(self, reference: str) -> str | None:
        """Return what kustomize makes of an image by this entry; None where nobody can tell."""
        matched = self.matches(reference)
        if not matched:
            return None if matched is None else reference
        name, tag, digest = names.split_reference(reference)
        if self.tag or self.digest:
            tag, digest = self.tag, self.digest
        elif self.suffix:
            tag, digest = tag + self.suffix, ""
        return join(self.new_name or name, tag, digest)

    def matches(self, reference: str) -> bool | None:
        """Whether kustomize applies this entry to an image; None where nobody can tell.

        The name is an expression, and a tag and a digest may follow: see `IsImageMatched` in
        sigs.k8s.io/kustomize/api/internal/image.
        """
        if _NOT_READ.search(self.name):
            return None
        tail = "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"
        try:
            return re.search(f"^{self.name}{tail}\\Z", reference) is not None
        except (re.error, RecursionError, OverflowError):
            return None


def artifact_entry(entry: str) -> str:
    """Return the name of the entry of a model's artifact, where `entry` is that of the model's image."""
    return f"{entry}-model"


def join(name: str, tag: str, digest: str) -> str:
    """Return `name:tag@digest`, without the parts that are empty."""
    return f"{name}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"


@dataclass(frozen=True)
class Pair:
    """One key of a mapping and its value, as nodes that know where they are in the text."""

    key: Node
    value: Node


@dataclass(frozen=True)
class Entry:
    """One item of `images`: its node, its pairs by key, and what they say.

    `written` is what stands there, part by part, and `image` the same with each part in its own key.
    """

    node: Node
    pairs: dict[str, Pair]
    written: Image

    @property
    def image(self) -> Image:
        """The entry with each part in its own key."""
        return self.written.settled

    @property
    def is_settled(self) -> bool:
        """Whether kustomize makes of it what it says, whichever tag the manifests have."""
        one = self.written
        made = join(one.new_name, one.tag, one.digest)
        settled = self.image
        return one == settled or (
            bool(one.tag or one.digest)
            and made == join(settled.new_name, settled.tag, settled.digest)
        )


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
    known = [image.name for image in images if image.name]
    if not known:
        raise InputError.of(
            "images", name, f"{source} has no `images` with a `name`",
            fix=f"add to {source}:\nimages:\n- name: {name}\n  newTag: none",
        )  # fmt: skip
    import difflib  # only a wrong name needs it

    close = [image.name for image in images if image.full_name == name]
    close = close or difflib.get_close_matches(name, known, n=1)
    raise InputError.of(
        "images",
        name,
        f"{source} has no image of this name; it has: {', '.join(known)}",
        fix=f"write {close[0]}=…" if close else f"write one of these names, or add it to {source}",
    )


def check_suffix(image: Image, *, source: str) -> None:
    """Raise InputError where a `tagSuffix` would count: kustomize adds it twice, to what nobody knows."""
    if image.suffix and not image.tag and not image.digest:
        raise InputError.of(
            "images", image.name,
            f"in {source} it has `tagSuffix` without `newTag` and `digest`, which kustomize adds twice",
            fix=f"give a tag too, as in {image.name}=:v1{image.suffix}",
        )  # fmt: skip


def overruling(images: Sequence[Image], image: Image) -> Image | None:
    """Return a later entry that changes again what `image` makes, or None.

    kustomize applies entries in their order. One whose name nobody can read may change it.
    """
    later = images[images.index(image) + 1 :]
    return next((one for one in later if one.applied_to(image.reference) != image.reference), None)


def forestalling(images: Sequence[Image], image: Image) -> Image | None:
    """Return an earlier entry that leaves `image` nothing to change, or changes what it makes.

    None where there is none.
    """
    earlier = images[: images.index(image)]
    found, last = image.name, None
    for one in earlier:
        made = one.applied_to(found)
        if made is None or (image.new_name and one.applied_to(image.new_name) != image.new_name):
            return one
        if made != found:
            found, last = made, one
    is_left = last is None or image.matches(found)
    return None if is_left else last


def artifact(images: Sequence[Image], entry: str) -> Image | None:
    """Return what says which artifact of the model is pulled; `entry` is that of the model's image.

    It is the artifact's own entry, or one that changes what that makes: by digest, or by a tag, as an edit by
    hand has it. None where nothing is set yet.
    """
    own = next((one for one in images if one.name == artifact_entry(entry)), None)
    if own is None:
        return None
    other = overruling(images, own) or forestalling(images, own)
    is_set = own.digest or (own.tag and not own.is_placeholder)
    return other or (own if is_set else None)


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
        suffix = text_of(pairs["tagSuffix"].value) if "tagSuffix" in pairs else ""
        image = Image(values["name"], values["newName"], values["newTag"], values["digest"], suffix)
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
