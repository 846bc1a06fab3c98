"""What a kustomization is refused for, word for word, and odd shapes that are edited all the same."""

from __future__ import annotations

import pytest

from model_gitops.core.deploy import kustomization, kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops.errors import InputError

A, B = ("sha256:" + letter * 64 for letter in "ab")
ADD = "add to k:\nimages:\n- name: d\n  newTag: none"
NO_NAME = "input `images` is 'd': k has no `images` with a `name`"
READS = "see that `kustomize build` reads it"
WRITE_OUT = "write the entry out in k:\n- name: d\n  newTag: …"
UNSAFE = (
    "k is written in a way that this action can't change safely; nothing was changed",
    "write the entry of `images` as `- name: …` with `newTag:` on a line of its own",
)


def edit(text: str, *wanted: Image) -> str:
    return kustomization_edit.edit(text, wanted or (Image("d", tag="v2"),), source="k")


def refusal(text: str, *wanted: Image) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        edit(text, *wanted)
    return caught.value.message, caught.value.fix


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("images:\n- name: app\n- name: other\n", "input `images` is 'd': k has no image of this name; it has: app, other", "write one of these names, or add it to k"),
        ("images:\n- name: de\n", "input `images` is 'd': k has no image of this name; it has: de", "write de=…"),
        ("images:\n- name: de\n- name: db\n- name: ''\n", "input `images` is 'd': k has no image of this name; it has: de, db", "write de=…"),
        ("images:\n- name: ''\n", NO_NAME, ADD),
        ("resources: []\n", NO_NAME, ADD),
        ("images: ~\n", NO_NAME, ADD),
        ("images:\n- name: d\n- name: d\n", "input `images` is 'd': k has 2 entries of this name", "leave one entry `name: d` in k"),
        ("images: {name: d}\n", "k: `images` is not a list", "images:\n- name: …\n  newTag: …"),
        ("images: x\n", "k: `images` is not a list", "images:\n- name: …\n  newTag: …"),
        ("images:\n- name: d\n- x\n", "k: entry 2 of `images` is not a mapping", ""),
        ("- images\n", "k is not a kustomization: it holds no mapping", ""),
        ("", "k is empty", ""),
        ("a: 1\n b: 2\n", "k, line 2: not one valid YAML document: mapping values are not allowed here", READS),
        ("a: 1\n---\nb: 2\n", "k, line 3: it holds more than one YAML document, and kustomize reads only the first", "leave one document"),
        ("images: []\n---\n{}\n", "k, line 3: it holds more than one YAML document, and kustomize reads only the first", "leave one document"),
        ("images:\n- name: d\n  newTag: a\n  newTag: b\n", "k: entry 1 of `images` has `newTag` twice", "leave one of them out"),
        ("images: []\na: 1\na: 2\n", "k: the top has `a` twice", "leave one of them out"),
        ("images:\n- name: x\n- name: d\n  newtag: v\n", "k, line 4: `newtag` is a misspelt `newTag`", "write `newTag`"),
        ("Images: []\n", "k, line 1: `Images` is a misspelt `images`", "write `images`"),
        ("images:\n- name: d\n  NEWNAME: v\n", "k, line 3: `NEWNAME` is a misspelt `newName`", "write `newName`"),
        ("images:\n- name: d\n  Digest: v\n", "k, line 3: `Digest` is a misspelt `digest`", "write `digest`"),
        ("images:\n- Name: d\n", "k, line 2: `Name` is a misspelt `name`", "write `name`"),
        ("\x00", "k is not valid YAML: unacceptable character #x0000: special characters are not allowed\n  in \"<unicode string>\", position 0", ""),
        ("images:\n- name: d\n  newTag: !!int 1\n", *UNSAFE),
        ("images:\n- {name : d}\n", *UNSAFE),
    ],
)  # fmt: skip
def test_a_refusal_in_words(text: str, message: str, fix: str) -> None:
    assert refusal(text) == (message, fix)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("x: &t v1\nimages:\n- name: d\n  newTag: *t\n", "shares the value of `newTag` by a YAML anchor"),
        ("images:\n- name: &n d\nx: *n\n", "shares the value of `name` by a YAML anchor"),
        ("images:\n- &e\n  name: d\n  newTag: v1\nx: *e\n", "uses a YAML anchor, alias or merge key"),
        ("x: &i\n- name: d\n  newTag: v1\nimages: *i\n", "uses a YAML anchor, alias or merge key"),
        ("x: &b {newTag: v1}\nimages:\n- <<: *b\n  name: d\n", "uses a YAML anchor, alias or merge key"),
        ("images:\n- name: d\n  newTag: |\n    v1\n", "writes a value as a block scalar"),
        ("images:\n- name: d\n  newTag: >\n    v1\n", "writes a value as a block scalar"),
        ("images:\n- name: d\n  newTag: [v1]\n", "has a mapping or a list where a text belongs"),
        (f"images:\n- digest: {A} # c\n  name: d\n", "has a comment in the way of `digest`"),
        (f"images: [{{name: d, # c\n digest: '{A}'}}]\n", "has a comment in the way of `digest`"),
    ],
)  # fmt: skip
def test_what_would_change_more_is_refused_in_words(text: str, how: str) -> None:
    message = (
        f"input `images` is 'd': its entry in k {how}, so it can't be changed without changing more"
    )
    assert refusal(text) == (message, WRITE_OUT)


def test_a_later_entry_that_overrules_is_named() -> None:
    for later in ("r/.", "r/x"):
        text = f"images:\n- name: d\n- name: {later}\n  newTag: v7\n"
        assert refusal(text, Image("d", "r/x")) == (
            f"input `images` is 'd': a later entry of k is named {later}, and changes this image again",
            f"put the entry `name: {later}` before the entry `name: d`",
        )
    # Also where the entry itself has the name already.
    text = "images:\n- name: d\n  newName: r/x\n- name: r/x\n  newName: r/y\n"
    assert "is named r/x, and changes this image again" in refusal(text)[0]
    assert "is named d?, and" in refusal("images:\n- name: d\n- name: d?\n  digest: y\n")[0]
    # One that sets nothing, or what is wanted anyway, changes nothing.
    for later in ("name: d", "name: r/x", f"name: .*\n  newTag: v2\n  digest: {A}"):
        edit(
            f"images:\n- name: d\n- {later.replace('name: d', 'name: d?')}\n",
            Image("d", "r/x", "v2", A),
        )
    edit("images:\n- name: r/x\n- name: d\n", Image("d", "r/x"))
    edit("images:\n- name: d\n- name: d.*\n", Image("d", "r/x"))


@pytest.mark.parametrize(
    ("text", "wanted", "after"),
    [
        ("images:\n- name: d\n  newTag: v1\n---\n", Image("d", tag="v2"), "images:\n- name: d\n  newTag: v2\n---\n"),
        ("images:\n- name: d\n  newTag: v1\n--- null\n", Image("d", tag="v2"), "images:\n- name: d\n  newTag: v2\n--- null\n"),
        ("[1]: x\nimages:\n- name: d\n", Image("d", tag="v2"), "[1]: x\nimages:\n- name: d\n  newTag: v2\n"),
        ("images:\n- name: d\n  newTag: 1.10\n", Image("d", tag="1.10"), 'images:\n- name: d\n  newTag: "1.10"\n'),
        ("images:\n- name: d\n  newTag: !!str v1\n", Image("d", tag="v2"), "images:\n- name: d\n  newTag: !!str v2\n"),
        ("images:\n- name: d\n  newTag: &a !!str v1\n", Image("d", tag="v2"), "images:\n- name: d\n  newTag: &a !!str v2\n"),
        ("images:\n- name: d\n  newTag: # c\n  x: y\n", Image("d", tag="v2"), "images:\n- name: d\n  newTag: v2 # c\n  x: y\n"),
        ("images:\n- name: d\n  newTag:", Image("d", tag="v2", digest=A), f"images:\n- name: d\n  newTag: v2\n  digest: {A}"),
        (f"images:\n-\n  name: d\n  digest: {A}\n", Image("d", tag="v2"), "images:\n-\n  name: d\n  newTag: v2\n"),
        (f"images: [{{name: d, digest: '{A}'}}]", Image("d", tag="v2"), "images: [{name: d, newTag: v2}]"),
        (f"images: [{{name: d, digest: '{A}' # c\n}}]\n", Image("d", tag="v2"), "images: [{name: d, newTag: v2 # c\n}]\n"),
        (f"images: [{{digest: '{A}'   ,   name: d}}]", Image("d", tag="v2"), "images: [{name: d, newTag: v2}]"),
        ("images:\n- {\n    name: d,\n    newTag: v1\n  }\n", Image("d", "a/b", "v1", A), f'images:\n- {{\n    name: d,\n    newName: a/b,\n    newTag: v1,\n    digest: "{A}"\n  }}\n'),
        ('images:\n- {"name": d, newTag: v1}\n', Image("d", "a/b", "v1", A), f'images:\n- {{"name": d, "newName": "a/b", newTag: v1, digest: "{A}"}}\n'),
        ("images:\n- {name: d}\n", Image("d", tag="1"), 'images:\n- {name: d, newTag: "1"}\n'),
        ("\ufeffimages:\n- name: d\n", Image("d", tag="v2"), "\ufeffimages:\n- name: d\n  newTag: v2\n"),
        (f"images:\n- name: d\n  newTag: v1\n  digest: {A}\n", Image("d", tag="v1", digest=A), f"images:\n- name: d\n  newTag: v1\n  digest: {A}\n"),
        (f"images:\n- name: d\n  newTag: v1\n  digest: {A}\n", Image("d", "x"), f"images:\n- name: d\n  newName: x\n  newTag: v1\n  digest: {A}\n"),
        ("images:\r\n- name: d\r\n", Image("d", "x", "v2"), "images:\r\n- name: d\r\n  newName: x\r\n  newTag: v2\r\n"),
        ("images: [{name: d}]\nx:\n- &y 1\n- *y\n", Image("d", tag="v2"), "images: [{name: d, newTag: v2}]\nx:\n- &y 1\n- *y\n"),
    ],
)  # fmt: skip
def test_odd_shapes_are_edited_where_they_are(text: str, wanted: Image, after: str) -> None:
    assert edit(text, wanted) == after


def test_the_largest_file_is_read() -> None:
    text = "images:\n- name: d\n#"
    largest = text + "x" * (512 * 1024 - len(text))
    assert kustomization.read(largest, source="k") == (Image("d"),)
    with pytest.raises(InputError) as caught:
        kustomization.read(largest + "x", source="k")
    assert caught.value.message == "k has 524289 characters: more than 524288"


@pytest.mark.parametrize(
    ("written", "read"),
    [("", ""), ("~", ""), ("null", ""), ("Null", ""), ("NULL", ""), ("'null'", "null"), ("'~'", "~"),
     ("nULL", "nULL"), ("1.10", "1.10"), ("[a]", ""), ("{a: b}", "")],
)  # fmt: skip
def test_a_value_is_read_as_it_is_written(written: str, read: str) -> None:
    text = f"images:\n- name: d\n  newTag: {written}\n"
    assert kustomization.read(text, source="k") == (Image("d", tag=read),)


def test_what_an_entry_becomes() -> None:
    whole = Image("d", "a", "v1", A)
    assert whole.changed_to(Image("d")) == whole
    assert whole.changed_to(Image("d", "a", "v1")) == whole
    assert whole.changed_to(Image("d", "b")) == Image("d", "b", "v1", A)
    assert whole.changed_to(Image("d", tag="v2")) == Image("d", "a", "v2")
    assert whole.changed_to(Image("d", "", "v2", "x")) == Image("d", "a", "v2", "x")
    # Its own name is no new one.
    assert Image("d").changed_to(Image("d", "d")) == Image("d")
    assert Image("d", "a").changed_to(Image("d", "d")) == Image("d", "d")
    assert [one.reference for one in (Image("d"), whole, Image("d", digest=A))] == [
        "d", f"a:v1@{A}", f"d@{A}",
    ]  # fmt: skip


def test_which_entries_apply_to_an_image() -> None:
    ours = Image("d", "r/x")
    first, later = Image("d.?", "evil/x"), Image("r/.", tag="v7")
    assert kustomization.forestalling([Image("z"), first, ours], ours) == first
    assert kustomization.forestalling([later, ours], ours) == later
    assert kustomization.forestalling([Image("z"), ours, first], ours) is None
    assert kustomization.overruling([first, ours, Image("z"), later], ours) == later
    assert kustomization.overruling([later, ours], ours) is None
    # Whoever sets nothing changes nothing; ours overrules a tag that came before.
    idle, tagged = Image("d.?"), Image("d.?", tag="v7")
    for images in ([idle, Image("r/."), ours], [tagged, ours], [ours, idle, Image("r/.")]):
        assert kustomization.forestalling(images, ours) is None
        assert kustomization.overruling(images, ours) is None
    # A name may carry a tag or a digest: it counts once an image has it.
    pinned = Image("d", "r/x", "v2", A)
    for name in ("r/x:v2", f"r/x:v2@{A}", "r/x:v."):
        assert kustomization.overruling([pinned, Image(name, tag="v7")], pinned) == Image(
            name, tag="v7"
        )
    for name in ("r/x:v3", f"r/x@{A}", f"r/x:v2@{B}"):
        assert kustomization.overruling([pinned, Image(name, tag="v7")], pinned) is None
    # What nobody can read may match.
    assert kustomization.overruling([ours, Image("(")], ours) == Image("(")
    assert kustomization.forestalling([Image(""), ours], Image("d", "r/x")) is None


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert kustomization.read("\ufeffimages:\n- name: d\n", source="k") == (Image("d"),)


def test_tabs_where_yaml_has_them_are_read() -> None:
    text = "images:\t\n- name:\td\t# c\n  newTag:\tv1\t\n"
    assert kustomization.read(text, source="k") == (Image("d", tag="v1"),)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a: 1\nb: 2\nc: 3\n", "a: 0\nb: 2\nc: 3\n"),
        ("a: 1\nb: 2\nc: 3\n", "a: 1\nb: 2\nc: 0\n"),
        ("a: 1\nb: 2\n", "a: 1\nx: 2\n"),
        ("a: &x [1]\nb: *x\nc: *x\n", "a: &x [0]\nb: *x\nc: *x\n"),
        ("z: 1\na: &x [1]\nb: *x\nc: *x\n", "z: 0\na: &x [1]\nb: *x\nc: *x\n"),
        ("a: [1, 2]\n", "a: [1]\n"),
        ("a: 1\n", "a: '1'\n"),
        ("a: [1]\n", "a: {1: 1}\n"),
        ("a: 1\n", "a: [1]\n"),
    ],
)
def test_two_documents_are_the_same_only_where_all_of_them_is(one: str, other: str) -> None:
    left, right = (kustomization.parse(text, "k").root for text in (one, other))
    again = kustomization.parse(one, "k").root
    assert kustomization_edit._same(left, again, {})
    assert not kustomization_edit._same(left, right, {})
    assert not kustomization_edit._same(right, left, {})
    assert kustomization_edit._same(left, right, {id(left): id(right)})
