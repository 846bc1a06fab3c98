"""Kustomizations are edited as text: the target changes, every other byte stays."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from model_gitops.core.deploy import kustomization, kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops.errors import InputError

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
SOURCE = "overlays/dev/kustomization.yaml"


def edit(text: str, *wanted: Image) -> str:
    return kustomization_edit.edit(text, wanted, source=SOURCE)


def load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), n=0)
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


# Shapes that real repositories have. Each: before, what is wanted, after.
CASES: dict[str, tuple[str, Image, str]] = {
    "tag": (
        "images:\n- name: app\n  newTag: v1\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: v2\n",
    ),
    "everything": (
        f"images:\n  - name: app\n    newName: ghcr.io/a/app\n    newTag: v1\n    digest: {A}\n",
        Image("app", "localhost:5000/b/app", "v2", B),
        f"images:\n  - name: app\n    newName: localhost:5000/b/app\n    newTag: v2\n    digest: {B}\n",
    ),
    "a new tag drops the old digest": (
        f"images:\n- name: app\n  newTag: v1\n  digest: {A} # pinned\nresources: []\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: v2\nresources: []\n",
    ),
    "the same tag keeps its digest": (
        f"images:\n- name: app\n  newTag: v1\n  digest: {A}\n",
        Image("app", tag="v1"),
        f"images:\n- name: app\n  newTag: v1\n  digest: {A}\n",
    ),
    "a digest is added after the tag": (
        "images:\n- name: app\n  newTag: v1 # last release\n  newName: x/app\n",
        Image("app", tag="v2", digest=A),
        f"images:\n- name: app\n  newTag: v2 # last release\n  digest: {A}\n  newName: x/app\n",
    ),
    "all parts are added in kustomize's order": (
        "images:\n-   name: app\nresources: [x]\n",
        Image("app", "x/app", "v2", A),
        f"images:\n-   name: app\n    newName: x/app\n    newTag: v2\n    digest: {A}\nresources: [x]\n",
    ),
    "a digest gives way to a tag": (
        f"images:\n- name: app\n  digest: {A}\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: v2\n",
    ),
    "the digest comes first": (
        f"images:\n- digest: {A}\n  name: app\n  newTag: v1\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: v2\n",
    ),
    "no final newline": (
        "images:\n- name: app\n  newTag: v1",
        Image("app", tag="v2", digest=A),
        f"images:\n- name: app\n  newTag: v2\n  digest: {A}",
    ),
    "the digest is the last line, without a final newline": (
        f"images:\n- name: app\n  newTag: v1\n  digest: {A}",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: v2",
    ),
    "windows": (
        "resources:\r\n- x\r\nimages:\r\n- name: app\r\n  newTag: 'v1'\r\n- name: b\r\n",
        Image("app", tag="v2", digest=A),
        f"resources:\r\n- x\r\nimages:\r\n- name: app\r\n  newTag: 'v2'\r\n  digest: {A}\r\n- name: b\r\n",
    ),
    "windows, digest last, no final newline": (
        f"images:\r\n- name: app\r\n  newTag: v1\r\n  digest: {A}",
        Image("app", tag="v2"),
        "images:\r\n- name: app\r\n  newTag: v2",
    ),
    "byte order mark and document start": (
        "\ufeff---\n# é 🚀\nimages:\n- name: app # 🚀\n  newTag: v1\n...\n",
        Image("app", tag="v2"),
        "\ufeff---\n# é 🚀\nimages:\n- name: app # 🚀\n  newTag: v2\n...\n",
    ),
    "flow entry": (
        "images:\n- {name: app, newTag: v1}   # one line\n- {name: b, newTag: v1}\n",
        Image("app", "h:1/app", "v2", A),
        f'images:\n- {{name: app, newName: "h:1/app", newTag: v2, digest: "{A}"}}   # one line\n'
        "- {name: b, newTag: v1}\n",
    ),
    "flow entry loses its digest": (
        f"images: [{{name: app, digest: '{A}', newTag: v1}}, {{digest: '{A}', name: b}}]\n",
        Image("app", tag="v2"),
        f"images: [{{name: app, newTag: v2}}, {{digest: '{A}', name: b}}]\n",
    ),
    "flow entry begins with its digest": (
        f"images: [{{ digest: '{A}', name: b }}]\n",
        Image("b", tag="v2"),
        "images: [{ name: b, newTag: v2 }]\n",
    ),
    "json": (
        '{\n  "images": [\n    {\n      "name": "app",\n      "newTag": "v1"\n    }\n  ]\n}\n',
        Image("app", tag="v2", digest=A),
        '{\n  "images": [\n    {\n      "name": "app",\n      "newTag": "v2",\n'
        f'      "digest": "{A}"\n    }}\n  ]\n}}\n',
    ),
    "compact json": (
        '{"images":[{"name":"app"},{"name":"b"}]}',
        Image("app", tag="v2"),
        '{"images":[{"name":"app","newTag":"v2"},{"name":"b"}]}',
    ),
    "quotes stay": (
        "images:\n- 'name': \"app\"\n  'newTag': 'v1'\n  newName: \"a/b\"\n",
        Image("app", "a/c", "2"),
        "images:\n- 'name': \"app\"\n  'newTag': '2'\n  newName: \"a/c\"\n",
    ),
    "numbers get quotes": (
        "images:\n- name: app\n  newTag: v1\n",
        Image("app", tag="1.10"),
        'images:\n- name: app\n  newTag: "1.10"\n',
    ),
    "null values": (
        "images:\n- name: app\n  newTag:\n  newName: ~ # none\n  digest: # none\n",
        Image("app", "x/y", "v2", A),
        f"images:\n- name: app\n  newTag: v2\n  newName: x/y # none\n  digest: {A} # none\n",
    ),
    "an anchor that nobody uses stays": (
        "images:\n- name: app\n  newTag: &tag v1\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  newTag: &tag v2\n",
    ),
    "tabs and odd comments": (
        "images:\t# a\ttab\n# - name: app\n#   newTag: v0\n- name: app\t\t# v1\n  newTag: v1\t# v1\n",
        Image("app", tag="v2"),
        "images:\t# a\ttab\n# - name: app\n#   newTag: v0\n- name: app\t\t# v1\n  newTag: v2\t# v1\n",
    ),
    "long spaces and other fields": (
        "images:\n- name:    app\n  newTag:    v1\n  tagSuffix: -x\nnamePrefix: v1\n",
        Image("app", tag="v2"),
        "images:\n- name:    app\n  newTag:    v2\n  tagSuffix: -x\nnamePrefix: v1\n",
    ),
    "a key with a question mark": (
        "images:\n- name: app\n  ? newTag\n  : v1\n",
        Image("app", tag="v2"),
        "images:\n- name: app\n  ? newTag\n  : v2\n",
    ),
    "anchors elsewhere": (
        "x: &x {a: 1}\ny: *x\nimages:\n- name: app\n  newTag: v1\n",
        Image("app", tag="v2"),
        "x: &x {a: 1}\ny: *x\nimages:\n- name: app\n  newTag: v2\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_only_the_target_changes(case: str) -> None:
    before, wanted, after = CASES[case]
    assert edit(before, wanted) == after


@pytest.mark.parametrize("case", CASES)
def test_the_second_time_nothing_changes(case: str) -> None:
    _, wanted, after = CASES[case]
    assert edit(after, wanted) == after


def test_several_images_at_once() -> None:
    text = "images:\n- name: b\n  newTag: v1\n# keep\n- name: a\n  newTag: v1\n- name: c\n"
    new = edit(text, Image("a", tag="v2"), Image("b", tag="v3"), Image("c", digest=A))
    assert new == (
        "images:\n- name: b\n  newTag: v3\n# keep\n- name: a\n  newTag: v2\n"
        f"- name: c\n  digest: {A}\n"
    )


@pytest.mark.parametrize(
    "tag",
    ["1", "1.10", "1e3", "12e4567", "0x1f", "0o17", "017", "1_000", "true", "No", "on", "y", "null",
     "2024-01-01", "0b1", "1.", "1e-3", "_"],
)  # fmt: skip
@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_a_tag_stays_a_string(tag: str, version: tuple[int, int]) -> None:
    new = edit("images:\n- name: app\n  newTag: v1\n", Image("app", tag=tag))
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    assert yaml.load(new)["images"][0]["newTag"] == tag


@pytest.mark.parametrize("tag", ["v1.2.3", "1.2.3", "main-4f2a", "abc123", "2024.01.02-x", "e5"])
def test_a_tag_that_needs_no_quotes_gets_none(tag: str) -> None:
    new = edit("images:\n- name: app\n  newTag: v1\n", Image("app", tag=tag))
    assert new == f"images:\n- name: app\n  newTag: {tag}\n"


def test_a_number_is_read_as_it_is_written() -> None:
    (image,) = kustomization.read("images:\n- name: app\n  newTag: 1.10\n", source=SOURCE)
    assert image == Image("app", tag="1.10")
    assert image.reference == "app:1.10"


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("images:\n- name: app\n- name: other\n", "it has: app, other", ""),
        ("images:\n- name: diabets\n", "it has: diabets", "write diabets="),
        ("resources: []\n", "has no `images`", "images:\n- name: diabetes"),
        ("images: []\n", "has no `images`", "images:\n- name: diabetes"),
        ("images:\n", "has no `images`", ""),
        ("images:\n- name: diabetes\n- name: diabetes\n", "2 entries of this name", "leave one"),
        ("images: {name: diabetes}\n", "`images` is not a list", ""),
        ("images:\n- diabetes\n", "entry 1 of `images` is not a mapping", ""),
        ("- images\n", "it holds no mapping", ""),
        ("", "is empty", ""),
        ("images: [\n", "not one valid YAML document", ""),
        ("images:\n- name: diabetes\n\tnewTag: v1\n", "line 3", ""),
        ("a: 1\n---\nimages:\n- name: diabetes\n", "more than one YAML document", "leave one"),
        ("images:\n- name: diabetes\n  newTag: a\n  newTag: b\n", "has `newTag` twice", ""),
        (
            "x: &t v1\nimages:\n- name: diabetes\n  newTag: *t\n",
            "shares the value",
            "write the entry",
        ),
        ("images:\n- name: diabetes\n  newTag: &t v1\nx: *t\n", "shares the value", ""),
        ("images:\n- &e\n  name: diabetes\n  newTag: v1\nx: *e\n", "anchor, alias", ""),
        ("x: &i\n- name: diabetes\n  newTag: v1\nimages: *i\n", "anchor, alias", ""),
        ("x: &b {newTag: v1}\nimages:\n- <<: *b\n  name: diabetes\n", "merge key", ""),
        ("images:\n- name: diabetes\n  newTag: |\n    v1\n", "block scalar", ""),
        ("[" * 5000, "not valid YAML", ""),
        ("images:\n- name: diabetes\n  newTag: {{ .Values.tag }}\n", "where a text belongs", ""),
        ("images:\n- name: diabetes\n  newTag: [v1]\n", "where a text belongs", ""),
        ("images:\n- name: diabetes\n  newTag: !!int 1\n", "can't change safely", ""),
        ("\x00", "not valid YAML", ""),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, problem: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        edit(text, Image("diabetes", tag="v2"))
    assert problem in str(caught.value)
    assert fix in caught.value.fix
    assert SOURCE in str(caught.value)


def test_a_bomb_of_aliases_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    text = "\n".join(lines) + "\nimages:\n- name: app\n  newTag: v1\n"
    assert edit(text, Image("app", tag="v2")) == text.replace("v1", "v2")


TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z]{2}(:[0-9]{1,4})?/[a-z0-9]{1,8})?", fullmatch=True)
DIGESTS = st.sampled_from([A, B])
COMMENTS = st.sampled_from(["", " # newTag: v9", "  # é 🚀 - {name: x}"])


@st.composite
def entries(draw: st.DrawFn, name: str) -> str:
    """One entry, in any of the spellings that people use; `§` stands for the line ending."""
    parts = [("name", name)]
    if draw(st.booleans()):
        parts.append(("newName", draw(NAMES)))
    if draw(st.booleans()):
        parts.append(("newTag", draw(TAGS)))
    if draw(st.booleans()):
        parts.append(("digest", draw(DIGESTS)))
    if draw(st.booleans()):
        parts.append(("tagSuffix", "x"))
    parts = draw(st.permutations(parts))
    quotes = st.sampled_from(['"', "'"])
    spelled = [(key, f"{(q := draw(quotes))}{value}{q}") for key, value in parts]
    if draw(st.booleans()):
        return f"{{{', '.join(f'{key}: {value}' for key, value in spelled)}}}{draw(COMMENTS)}"
    if all(value[0] == '"' for _, value in spelled) and draw(st.booleans()):
        return json.dumps(dict(parts))
    return "§  ".join(f"{key}: {value}{draw(COMMENTS)}" for key, value in spelled)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    lines = [
        f"- {draw(entries(name))}{draw(st.sampled_from(['', '§', '§# between']))}" for name in names
    ]
    before = draw(st.sampled_from(["", "---§", "resources: [a, b]§", "# first§§x: {y: [1, 2]}§"]))
    after = draw(st.sampled_from(["", "§", "§namePrefix: a-§", "§# last§", "§patches:§- path: x§"]))
    text = before + "images:§" + "§".join(lines) + after
    return text.replace("§", draw(st.sampled_from(["\n", "\r\n"]))), names


@settings(max_examples=60, deadline=None)
@given(document=documents(), data=st.data())
def test_everything_but_the_target_is_unchanged(
    document: tuple[str, list[str]], data: st.DataObject
) -> None:
    text, names = document
    name = data.draw(st.sampled_from(names))
    (before,) = [one for one in load(text)["images"] if one["name"] == name]
    wanted = Image(
        name,
        new_name=data.draw(st.just("") | NAMES),
        tag=data.draw(st.just("") | TAGS),
        digest=data.draw(st.just("") | DIGESTS),
    )
    try:
        new = edit(text, wanted)
    except InputError as error:
        if "changes this image again" in str(error):
            # What counts is the name that the entry makes, also where it made it before.
            made = wanted.new_name or before.get("newName", name)
            assert any(re.fullmatch(one, made) for one in names[names.index(name) + 1 :])
            return
        # The one shape that can't be cut without touching a comment: `- digest: … # comment`.
        assert "has a comment in the way of `digest`" in str(error)
        assert re.search(r"- digest: \S+ +#", text)
        return

    # The data is what a model of the rule says.
    expected = load(text)
    (entry,) = [one for one in expected["images"] if one["name"] == name]
    if wanted.new_name and wanted.new_name != entry.get("newName", name):
        entry["newName"] = wanted.new_name
    if wanted.tag and wanted.tag != entry.get("newTag"):
        entry["newTag"] = wanted.tag
        if not wanted.digest:
            entry.pop("digest", None)
    if wanted.digest:
        entry["digest"] = wanted.digest
    assert load(new) == expected

    # Each changed line is about the target's parts; every comment outside a dropped line stays.
    # Where `- digest: …` goes, the entry's next key gets the dash, whatever key it is.
    # Without a final newline the line before a dropped last one loses its own, and no more.
    final = "" if text.endswith("\n") else "\n"
    for line in changed_lines(text + final, new + final):
        keys = ["newName", "newTag", "digest"]
        if "digest" not in entry and next(iter(before)) == "digest":
            keys.append(list(before)[1])
        assert any(key in line for key in keys) or f"name: {name}" in line.replace('"', "").replace(
            "'", ""
        )
    added = [line for line in changed_lines(text + final, new + final) if line[0] == "+"]
    assert len(added) <= 3 + ("digest" not in new) + 1
    assert ("\r\n" in new) == ("\r\n" in text)
    assert new.replace("\r\n", "").count("\n") == (0 if "\r\n" in text else new.count("\n"))
    assert new.endswith("\n") == text.endswith("\n")
    assert edit(new, wanted) == new


def test_an_entry_applies_to_what_its_name_matches() -> None:
    """As kustomize's own matching, which reads the name as an expression."""
    ours = Image("app", "r.example/app", "v1")
    for name, place in (("r.example/app", "after"), ("r.example/ap.", "after"), ("ap.", "before"),
                        ("r.example/app", "before"), ("(", "before"), ("(", "after")):  # fmt: skip
        other = Image(name, "evil.example/x")
        images = [ours, other] if place == "after" else [other, ours]
        find = kustomization.overruling if place == "after" else kustomization.forestalling
        assert find(images, ours) == other, (name, place)
    side = Image("sidecar", "", "v2")
    assert kustomization.overruling([ours, side, Image("app2")], ours) is None
    assert kustomization.forestalling([side, ours], ours) is None
