"""Kustomizations as people write them: after an edit real kustomize builds the new image.

The shapes are those of public repositories; the texts are written anew. For each: the parsed document
is the old one but for the target, every line outside the target's entry is the same byte by byte, the
second edit changes nothing, and `kustomize build` shows the image that was asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from model_gitops.adapters import process
from model_gitops.core.deploy import kustomization, kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops.errors import InputError

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
BUILDS = 300 if FULL else 25
A, B = (f"sha256:{letter * 64}" for letter in "ab")
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  initContainers:
    - {name: first, image: "busybox:1"}
  containers:
    - {name: model, image: app}
    - {name: side, image: "ghcr.io/acme/side:1"}
"""
ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: rollout}
spec: {template: {spec: {containers: [{name: model, image: app}]}}}
"""
SELDON = """\
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: seldon}
spec: {predictors: [{graph: {modelImage: app}}]}
"""
IMAGES_CONFIG = """\
images:
- path: spec/predictors/graph/modelImage
  kind: SeldonDeployment
"""
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"

# Each is a whole kustomization with an entry for `app`; {r} stands for the resources.
SHAPES: dict[str, str] = {
    "scaffolded by an operator SDK": "resources:\n- pod.yaml\napiVersion: kustomize.config.k8s.io/v1beta1\n"
    "kind: Kustomization\nimages:\n- name: app\n  newName: controller\n  newTag: latest\n",
    "a GitOps tool's marker comments": HEAD + 'resources:\n  - pod.yaml\nimages:\n  - name: app\n'
    '    newName: ghcr.io/acme/app # {"$imagepolicy": "flux-system:app:name"}\n'
    '    newTag: 5.0.0 # {"$imagepolicy": "flux-system:app:tag"}\n',
    "name only": "resources: [pod.yaml]\nimages:\n- name: app\n",
    "digest only": f"resources: [pod.yaml]\nimages:\n- name: app\n  digest: {A}\n",
    "tag and digest": f"resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n  digest: {A}\n",
    "digest first": f"resources: [pod.yaml]\nimages:\n- digest: {A}\n  newName: x/app\n  name: app\n",
    "a tag as a number with an exponent": 'resources: [pod.yaml]\nimages:\n- name: app\n  newTag: "1e3"\n',
    "a tag as an octal number": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: '0123'\n",
    "single and double quotes": "\"resources\": ['pod.yaml']\n'images':\n- 'name': \"app\"\n  \"newTag\": 'v1'\n",
    "sorted keys of a generator": "images:\n- name: app\n  newTag: v1\nkind: Kustomization\nnamespace: ml\nresources:\n- pod.yaml\n",
    "comments everywhere": "# top\nresources: # r\n  # one\n  - pod.yaml # two\n# before\nimages: # i\n  # above\n"
    "  - name: app # n\n    # between\n    newTag: v1 # t\n    # below\n# after\nnamePrefix: p- # p\n# end",
    "tabs in comments": "resources:\t# tab\n- pod.yaml\t# tab\nimages:\n- name: app\t# tab\n  newTag: v1\t#\ttab\n",
    "windows": "resources:\r\n- pod.yaml\r\nimages:\r\n- name: app\r\n  newTag: v1\r\nnamePrefix: w-\r\n",
    "no final newline": "resources:\n- pod.yaml\nimages:\n- name: app\n  newTag: v1",
    "flow": "{resources: [pod.yaml], images: [{name: app, newTag: v1}, {name: busybox, newTag: '2'}]}\n",
    "flow entries": "resources: [pod.yaml]\nimages:\n  - {name: app, newTag: v1} # app\n  - { name: busybox, newTag: \"1.36\" }\n",
    "json": '{"resources": ["pod.yaml"], "images": [{"name": "app", "newTag": "v1"}]}\n',
    "a document start and end": "---\nresources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n...\n",
    "a document of comments before": "# Copyright\n# Licence\n---\n# The overlay.\nresources: [pod.yaml]\nimages:\n- name: app\n",
    "an indent of four, and of none": "resources:\n    - pod.yaml\nimages:\n-   name: app\n    newTag: v1\nnamePrefix: n-\n",
    "many images": "resources: [pod.yaml]\nimages:\n- name: ghcr.io/acme/side\n  newTag: v9\n\n- name: app\n  newTag: v1\n\n"
    "# pinned\n- name: busybox\n  digest: " + B + "\n",
    "a name that is the start of another": "resources: [pod.yaml]\nimages:\n- name: app-worker\n  newTag: v0\n- name: app\n  newTag: v1\n",
    "a port in the new name": "resources: [pod.yaml]\nimages:\n- name: app\n  newName: localhost:5000/app\n  newTag: v1\n",
    "patches and generators around": HEAD + "resources:\n- pod.yaml\nconfigMapGenerator:\n- name: settings\n  literals:\n  - images=1\n"
    "images:\n- name: app\n  newTag: v1\npatches:\n- target: {kind: Pod}\n  patch: |-\n    - op: add\n      path: /metadata/labels\n"
    "      value: {images: newTag}\n",
    "images in a block scalar before": "configMapGenerator:\n- name: c\n  literals:\n  - |\n    images=\n    - name: app\n      newTag: v0\n"
    "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n",
    "unicode": "# Überlagerung 🚀 日本語\nresources: [pod.yaml]\nimages:\n- name: app # 🚀\n  newTag: v1 # é\n",
    "a suffix": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n  tagSuffix: -slim\n",
    "a component": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n",
    "new name only": "resources: [pod.yaml]\nimages:\n- name: app\n  newName: ghcr.io/acme/app\n",
    "an empty tag": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: \"\"\n",
    "a tag for a pipeline to fill in": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: # set by CI\n# end\n",
    "a tag with nothing after it": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag:\n",
    "a null tag": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: null # none yet\n",
    "a date as a tag": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: 2024-01-01\n",
    "comments between entries": "resources: [pod.yaml]\nimages:\n# one\n- name: busybox\n  newTag: \"1\"\n  # two\n\n# three\n"
    "- name: app\n  newTag: v1\n\n# four\n- name: ghcr.io/acme/side\n  newTag: v2\n",
    "entries that were commented out": "resources: [pod.yaml]\nimages:\n# - name: app\n#   newTag: v0\n- name: app\n  newTag: v1\n#  newTag: v3\n",
    "a dash on a line of its own": "resources: [pod.yaml]\nimages:\n- # the model\n  name: app\n  newTag: v1\n",
    "the tag first": f"resources: [pod.yaml]\nimages:\n- newTag: v1\n  name: app\n  digest: {A}\n",
    "an anchor with no alias": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: &tag v1\n- &b\n  name: busybox\n  newTag: \"2\"\n",
    "an anchor and a merge key elsewhere": "commonLabels: &l {a: b}\ncommonAnnotations:\n  <<: *l\n"
    "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n",
    "a YAML directive": "%YAML 1.1\n---\nresources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n",
    "a byte order mark": "\ufeffresources: [pod.yaml]\r\nimages:\r\n- name: app\r\n  newTag: v1\r\n",
    "an empty document after": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v1\n---\n# nothing\n",
    "tabs after colons": "resources: [pod.yaml]\nimages:\n- name:\tapp\n  newTag:\t v1\n",
    "spaces before colons and at line ends": "resources : [pod.yaml]  \nimages :  \n- name : app  \n  newTag : v1  \n",
    "aligned values": "resources: [pod.yaml]\nimages:\n- name:    app\n  newName: x/app\n  newTag:  v1\n",
    "mixed line endings": "resources: [pod.yaml]\r\nimages:\r\n- name: app\n  newTag: v1\r\n",
    "an explicit type": "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: !!str 1.10\n",
    "flow over lines": "resources: [pod.yaml]\nimages: [\n  {\n    name: app, # n\n    newTag: v1, # t\n  },\n]\n",
    "json with tabs": '{\n\t"resources": [\n\t\t"pod.yaml"\n\t],\n\t"images": [\n\t\t{\n\t\t\t"name": "app",\n\t\t\t"newTag": "v1"\n\t\t}\n\t]\n}\n',
    "escapes in quotes": 'resources: [pod.yaml]\n"im\\x61ges":\n- "name": "\\x61pp"\n  newTag: "v\\x31"\n',
    "indented as a whole": "  resources: [pod.yaml]\n  images:\n  - name: app\n    newTag: v1\n",
    "very long": "resources: [pod.yaml]\n" + "# a comment\n" * 2000 + "images:\n"
    + "".join(f"- name: x{n}\n  newTag: v1\n" for n in range(200)) + "- name: app\n  newTag: v1\n",
    "custom resources": "resources: [pod.yaml, rollout.yaml, seldon.yaml]\nconfigurations: [images-config.yaml]\nimages:\n- name: app\n  newTag: v1\n",
}  # fmt: skip
# kustomize refuses these ("cannot unmarshal number into newTag") until the tag is quoted.
UNQUOTED = ("1e3", "0123", "1.10", "true", "20240101", "0x1f", "12345e7")
REFUSED: dict[str, str] = {
    "a misspelt field": "images:\n- name: app\n  newtag: v1\n",
    "a misspelt field beside the right one": "images:\n- name: app\n  newTag: v1\n  newtag: v1\n",
    "a misspelt list": "Images:\n- name: app\n  newTag: v1\n",
    "the list twice": "images:\n- name: app\n  newTag: v1\nimages:\n- name: app\n  newTag: v2\n",
    "a later entry for the new name": "images:\n- name: app\n  newName: x/app\n- name: x/app\n  newTag: v7\n",
    "an entry with a merge key": "x: &i {newTag: v1}\nimages:\n- name: app\n  <<: *i\n",
    "a name by an alias": "x: &n app\nimages:\n- name: *n\n",
    "a block scalar": "images:\n- name: app\n  newTag: >-\n    v1\n",
    "a look-alike of the name": "images:\n- name: \u0430pp\n  newTag: v1\n",
    "the spelling of old": "imageTags:\n- name: app\n  newTag: v1\n",
    "a form feed": "# a\x0cb\nimages:\n- name: app\n  newTag: v1\n",
    "images absent": "resources: [pod.yaml]\n",
    "images empty": "resources: [pod.yaml]\nimages: []\n",
    "several documents": "resources: [pod.yaml]\n---\nimages:\n- name: app\n  newTag: v1\n",
    "an anchor shared with another place": "x: &v v1\nimages:\n- name: app\n  newTag: *v\n",
    "a misspelt name": "resources: [pod.yaml]\nimages:\n- name: appp\n  newTag: v1\n",
    "the same name twice": "images:\n- name: app\n  newTag: v1\n- name: app\n  newTag: v2\n",
    "a template's braces": "images:\n- name: app\n  newTag: {{ .Values.tag }}\n",
    "a tab for an indent": "images:\n- name: app\n\tnewTag: v1\n",
}
WANTED = [
    Image("app", tag="v2"),
    Image("app", tag="1e3"),
    Image("app", tag="0123"),
    Image("app", tag="v2", digest=B),
    Image("app", "localhost:5000/acme/app", "4f2a9d1c", B),
]


def load(text: str) -> Any:
    # The tabs of these shapes are YAML, but not to this parser.
    return list(
        YAML(typ="safe", pure=True).load_all(text.removeprefix("\ufeff").replace("\t", " "))
    )


def written(folder: Path, text: str, *, name: str = "kustomization.yaml") -> None:
    for old in kustomization.FILE_NAMES:
        (folder / old).unlink(missing_ok=True)
    (folder / name).write_bytes(text.encode())
    for file, content in {
        "pod.yaml": POD,
        "rollout.yaml": ROLLOUT,
        "seldon.yaml": SELDON,
        "images-config.yaml": IMAGES_CONFIG,
    }.items():
        (folder / file).write_text(content)


def build(folder: Path) -> list[str]:
    """Return the images of what real kustomize builds, sorted."""
    text = process.run(["kustomize", "build", folder]).stdout
    return sorted(re.findall(r"(?:image|modelImage): (\S+)", text))


def check_edit(text: str, wanted: Image) -> str:
    """Edit, hold the result to the rules, and return it."""
    new = kustomization_edit.edit(text, [wanted], source="kustomization.yaml")
    before = kustomization.find(kustomization.read(text, source="x"), wanted.name, source="x")
    after = before.changed_to(wanted)
    expected = load(text)
    document = next(one for one in expected if one)
    (entry,) = [one for one in document["images"] if one["name"] == wanted.name]
    for key, value in (
        ("newName", after.new_name),
        ("newTag", after.tag),
        ("digest", after.digest),
    ):
        if value:
            entry[key] = value
        elif entry.get(key):
            entry.pop(key)
    assert load(new) == expected
    assert kustomization_edit.edit(new, [wanted], source="x") == new
    check_outside(text, new, wanted.name)
    return new


def check_outside(old: str, new: str, name: str) -> None:
    """What is outside of the entry is the same byte by byte; inside, every comment stays."""
    start, end = entry_of(old, name)
    assert new.startswith(old[:start])
    assert new.endswith(old[end:])
    assert len(new) >= start + len(old) - end
    inside = new[start : len(new) - (len(old) - end)]
    comments = re.findall(r"#.*", old[start:end])
    assert [one.rstrip() for one in re.findall(r"#.*", inside)] == [
        one.rstrip() for one in comments
    ]


def entry_of(text: str, name: str) -> tuple[int, int]:
    """Return where the entry of image `name` begins and ends, by a YAML parser's own marks.

    Of a block it is whole lines, to the end of its last value's.
    """
    bom = text.startswith("\ufeff")
    plain = text.removeprefix("\ufeff").replace("\t", " ")
    for document in YAML(typ="safe", pure=True).compose_all(plain):
        for key, images in document.value if isinstance(document, MappingNode) else ():
            for entry in images.value if key.value == "images" else ():
                if ("name", name) in [(one.value, value.value) for one, value in entry.value]:
                    start, end = entry.start_mark.index, entry.value[-1][1].end_mark.index
                    if entry.flow_style:
                        return bom + start, bom + entry.end_mark.index
                    after = plain.find("\n", end)
                    line = plain.rfind("\n", 0, start) + 1
                    return bom + line, bom + (after + 1 if after >= 0 else len(plain))
    raise AssertionError(f"no entry {name} in {text}")


def test_the_check_sees_a_neighbour_that_was_changed() -> None:
    old = "images:\n- name: app\n  newTag: v1 # t\n- name: application\n  newTag: v1\n# newTag\n"
    check_outside(old, old.replace("v1 #", "v2 #"), "app")
    for damage in (
        old.replace("application\n  newTag: v1", "application\n  newTag: v2"),
        old.replace("# newTag", "#newTag"),
        old.replace(" # t", ""),
        old.replace("images:", "images: "),
    ):
        with pytest.raises(AssertionError):
            check_outside(old, damage, "app")


def expected_images(text: str, wanted: Image, old: Sequence[str], new: Sequence[str]) -> None:
    before = kustomization.find(kustomization.read(text, source="x"), "app", source="x")
    after = before.changed_to(wanted)
    reference = after.new_name or "app"
    if after.tag:
        reference += f":{after.tag}"
    if after.digest:
        reference += f"@{after.digest}"
    assert new.count(reference) >= (3 if "rollout.yaml" in text else 1), (reference, new)
    # Everything else is as it was.
    assert len(old) == len(new)
    assert len([one for one in new if one not in old and one != reference]) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_real_kustomize_builds_the_new_image(
    shape: str, tmp_path: Path, tools_on_path: None, numbers: Any
) -> None:
    text = SHAPES[shape]
    written(tmp_path, text)
    old = build(tmp_path)
    for wanted in WANTED if FULL else [WANTED[len(shape) % 3], WANTED[3 + len(shape) % 2]]:
        new = check_edit(text, wanted)
        written(tmp_path, new)
        expected_images(text, wanted, old, build(tmp_path))
    if shape == list(SHAPES)[-1]:
        numbers(f"kustomizations: {len(SHAPES)} wild shapes edited and built, 0 damaged")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wanted", WANTED, ids=lambda one: one.reference[:40])
def test_only_the_target_changes(shape: str, wanted: Image) -> None:
    check_edit(SHAPES[shape], wanted)


@pytest.mark.parametrize("shape", REFUSED)
def test_what_cannot_be_edited_is_refused(shape: str) -> None:
    with pytest.raises(InputError, match=r"kustomization\.yaml"):
        kustomization_edit.edit(
            REFUSED[shape], [Image("app", tag="v2")], source="kustomization.yaml"
        )


@pytest.mark.parametrize("tag", UNQUOTED)
def test_a_tag_that_kustomize_reads_as_no_text_is_quoted(
    tag: str, tmp_path: Path, tools_on_path: None
) -> None:
    text = f"resources: [pod.yaml]\nimages:\n- name: app\n  newTag: {tag} # mine\n"
    for wanted in (Image("app", tag="v2"), Image("app", tag=tag), Image("app", digest=B)):
        written(
            tmp_path, new := kustomization_edit.edit(text, [wanted], source="kustomization.yaml")
        )
        assert Image("app", "", wanted.tag or tag, wanted.digest).reference in build(tmp_path)
        assert kustomization_edit.edit(new, [wanted], source="x") == new
        assert [
            line for line in new.splitlines() if "newTag" not in line and "digest" not in line
        ] == [line for line in text.splitlines() if "newTag" not in line]


def test_a_misspelt_field_would_win_over_the_right_one(tmp_path: Path, tools_on_path: None) -> None:
    written(tmp_path, "resources: [pod.yaml]\nimages:\n- name: app\n  newTag: v2\n  newtag: v1\n")
    assert "app:v1" in build(tmp_path), "this is why such a field is refused"


@pytest.mark.parametrize("name", kustomization.FILE_NAMES)
def test_each_name_of_the_file_that_kustomize_takes(
    name: str, tmp_path: Path, tools_on_path: None
) -> None:
    written(tmp_path, check_edit(SHAPES["name only"], WANTED[3]), name=name)
    assert f"app:v2@{B}" in build(tmp_path)


TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True) | st.sampled_from(
    ["1e3", "0123", "1.10", "true", "null", "0x1f", "1_000", "2024-01-01", "y"]
)
WANTEDS = st.builds(
    Image,
    st.just("app"),
    st.sampled_from(["", "ghcr.io/acme/app", "localhost:5000/a/b-c", "x"]),
    TAGS,
    st.sampled_from(["", A, B]),
)


def test_any_image_in_any_shape(tmp_path: Path, tools_on_path: None, numbers: Any) -> None:
    @settings(
        max_examples=BUILDS,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(shape=st.sampled_from(sorted(SHAPES)), steps=st.lists(WANTEDS, min_size=1, max_size=3))
    def holds(shape: str, steps: list[Image]) -> None:
        text = SHAPES[shape]
        written(tmp_path, text)
        old = build(tmp_path)
        for wanted in steps:
            new = check_edit(text, wanted)
            written(tmp_path, new)
            built = build(tmp_path)
            expected_images(text, wanted, old, built)
            text, old = new, built

    holds()
    numbers(f"kustomizations: {BUILDS} random edits built, 0 damaged")
