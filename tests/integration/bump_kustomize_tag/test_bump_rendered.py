"""After a bump real kustomize builds just the image that was asked for, or the bump is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from bump_step import A, B, Step, Work

from model_gitops.adapters import process

pytestmark = pytest.mark.usefixtures("tools_on_path")
FOLDER = "overlays/odd"


@dataclass(frozen=True)
class Case:
    """Entries of `images`, what is asked for, and what kustomize then makes of each image named."""

    entries: str
    asked: str
    built: dict[str, str]


RENDERED = {
    # Parts in another's key: kustomize joins them as they are.
    "newName with tag and digest": Case(
        f"- name: app\n  newName: x/m:v1@{A}", f"app=:v2@{B}",
        {"app": f"x/m:v2@{B}", "app:v0": f"x/m:v2@{B}"},
    ),
    "newName with tag and digest, a new digest": Case(
        f"- name: app\n  newName: x/m:v1@{A}", f"app=@{B}", {"app:v0": f"x/m:v1@{B}"}
    ),
    "newName with tag and digest, a new name": Case(
        f"- name: app\n  newName: x/m:v1@{A}", "app=y/n", {"app:v0": f"y/n:v1@{A}"}
    ),
    "newName with a tag": Case("- name: app\n  newName: x/m:v1", "app=:v2", {"app:v0": "x/m:v2"}),
    "newName with a tag that stays": Case(
        "- name: app\n  newName: x/m:v1", "app=:v1", {"app:v0": "x/m:v1"}
    ),
    "newName with a tag, and newTag": Case(
        "- name: app\n  newName: x/m:v1\n  newTag: v1", "app=:v1", {"app:v0": "x/m:v1"}
    ),
    "newName with a digest": Case(
        f"- name: app\n  newName: localhost:5000/m@{A}", "app=:v2", {"app": "localhost:5000/m:v2"}
    ),
    "newTag with a digest": Case(
        f"- name: app\n  newTag: 1.0@{A}", f"app=@{B}", {"app:v0": f"app:1.0@{B}"}
    ),
    "newTag with a digest, a new tag": Case(
        f'- name: app\n  newTag: "1.0@{A}"', "app=:2.0", {"app:v0": "app:2.0"}
    ),
    "newTag with a digest, and digest": Case(
        f"- name: app\n  newTag: 1.0@{A}\n  digest: {A}", f"app=:1.0@{B}", {"app": f"app:1.0@{B}"}
    ),
    "newTag that is a digest": Case(
        f"- name: app\n  newTag: {A}", f"app=@{B}", {"app:v0": f"app@{B}"}
    ),
    "newTag with the digest that is asked for": Case(
        f"- name: app\n  newTag: 1.0@{A}", f"app=:1.0@{A}", {"app:v0": f"app:1.0@{A}"}
    ),
    "newTag with digest": Case(
        f"- name: app\n  newTag: v1\n  digest: {A}", f"app=:v2@{B}", {"app:v0": f"app:v2@{B}"}
    ),
    "tagSuffix": Case(
        "- name: app\n  tagSuffix: -gpu", f"app=:v2@{B}", {"app": f"app:v2@{B}", "app:v0": f"app:v2@{B}"}
    ),
    "tagSuffix and newTag": Case(
        "- name: app\n  newTag: v1\n  tagSuffix: -gpu", "app=:v2-gpu", {"app:v0": "app:v2-gpu"}
    ),
    # Names are expressions, and may carry a tag or a digest.
    "a name with a tag": Case(
        "- name: app:v1", f"app:v1=:v2@{B}", {"app:v1": f"app:v2@{B}", "app:v0": "app:v0"}
    ),
    "a name with a tag, a new name": Case(
        "- name: app:v1", "app:v1=x/app", {"app:v1": "x/app:v1", "app:v0": "app:v0"}
    ),
    "a name with a tag, its own": Case("- name: app:v1", "app:v1=app:v2", {"app:v1": "app:v2"}),
    "a name with a digest": Case(
        f"- name: app@{A}", f"app@{A}=:v2@{B}", {f"app@{A}": f"app:v2@{B}", "app": "app"}
    ),
    "an expression": Case("- name: (x/)?app", "(x/)?app=y:v2", {"app:v0": "y:v2", "x/app": "y:v2"}),
    "a later entry for another tag": Case(
        "- name: app\n- name: app:v2\n  newTag: v3", f"app=:v9@{B}", {"app": f"app:v9@{B}"}
    ),
    "a later entry that sets nothing": Case(
        "- name: app\n- name: app.?\n- name: x/m", "app=x/m:v2", {"app:v0": "x/m:v2"}
    ),
    "a later entry that sets the same": Case(
        f"- name: app\n- name: x/m\n  newTag: v2\n  digest: {B}", f"app=x/m:v2@{B}",
        {"app:v0": f"x/m:v2@{B}"},
    ),
    "an earlier entry for one tag": Case(
        "- name: app:v2\n  newTag: v3\n- name: app", "app=:v9", {"app:v2": "app:v9", "app:v0": "app:v9"}
    ),
    "an earlier expression that sets a tag": Case(
        "- name: app.*\n  newTag: v3\n- name: app", "app=:v9", {"app:v0": "app:v9", "app2": "app2:v3"}
    ),
    "an earlier class of letters that sets a tag": Case(
        "- name: '[[:lower:]]+'\n  newTag: v9\n- name: app", "app=:v2", {"app:v0": "app:v2", "side": "side:v9"}
    ),
    "a class of letters": Case("- name: '[[:lower:]]+'", "[[:lower:]]+=:v2", {"app:v0": "app:v2"}),
    # The forms of `kustomize edit set image`.
    "name:tag": Case("- name: app\n  newName: x/m", "app:v2", {"app:v0": "x/m:v2"}),
    "name@digest": Case("- name: app\n  newTag: v1", f"app@{B}", {"app:v0": f"app:v1@{B}"}),
    "name:tag@digest": Case("- name: app", f"app:v2@{B}", {"app:v0": f"app:v2@{B}"}),
    "name=name:tag": Case("- name: app", "app=repo/app:v2", {"app:v0": "repo/app:v2"}),
    "an asterisk": Case("- name: app\n  newName: x/m", "app=*:v2", {"app:v0": "x/m:v2"}),
}  # fmt: skip

REFUSED = {
    "a later entry for the tag that is set": (
        "- name: app\n- name: app:v2\n  newTag: v3", f"app=:v2@{B}",
        "a later entry of overlays/odd/kustomization.yaml is named app:v2, and changes this image again",
    ),
    "a later entry for the digest that is set": (
        f"- name: app\n- name: app@{B}\n  newTag: v3", f"app=@{B}", f"is named app@{B}, and changes",
    ),
    "a later expression": ("- name: app\n- name: a.p\n  newName: evil/x", "app=:v2", "is named a.p, and"),
    "a later suffix": ("- name: x/m\n  tagSuffix: -gpu\n- name: app\n- name: x/.\n  tagSuffix: -gpu", "app=x/m", "is named x/., and"),
    "an earlier entry that renames": (
        "- name: a.p\n  newName: other\n- name: app", "app=:v2",
        "an earlier entry of overlays/odd/kustomization.yaml is named a.p, and makes other of this image first",
    ),
    "an earlier entry that sets the tag": (
        "- name: app\n  newTag: v0\n- name: app:v1", "app:v1=:v2", "is named app, and makes app:v0 of this",
    ),
    # What Go reads otherwise than Python, or Python does not at all.
    "a later class of letters": (
        "- name: app\n- name: '[[:lower:]]+'\n  newTag: v3", "app=:v2", "is named [[:lower:]]+, and changes",
    ),
    "an earlier class of letters": (
        "- name: '[[:lower:]]+'\n  newName: other\n- name: app", "app=:v2",
        "is named [[:lower:]]+, and makes other of this image first",
    ),
    "an earlier expression of Go": (
        "- name: '\\pL+'\n  newName: other\n- name: app", "app=:v2", "is named \\pL+, and makes other of",
    ),
    "an earlier group that is repeated": (
        "- name: (a|p)+\n  newName: other\n- name: app", "app=:v2", "is named (a|p)+, and makes other of",
    ),
    "an earlier expression before a name with a tag": (
        "- name: '[[:lower:]]+'\n  newTag: v9\n- name: app:v1", "app:v1=:v2", "makes another tag of this",
    ),
    "a suffix alone": ("- name: app\n  tagSuffix: -gpu", "app=x/app", "`tagSuffix` without `newTag`"),
    "a name in capitals that stays": ("- name: app\n  newName: X/App", "app=:v2", "`newName: X/App`, which no registry takes"),
    "a tag that is none": ("- name: app\n  newTag: a/b", f"app=@{B}", "`newTag: a/b`, which no registry takes"),
    "a digest that is none": ("- name: app\n  digest: abc", "app=x/app", "`digest: abc`, which no registry takes"),
}  # fmt: skip


def pods(references: dict[str, str]) -> str:
    return "---\n".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}}}\n"
        f"spec: {{containers: [{{name: c, image: '{one}'}}]}}\n"
        for number, one in enumerate(references)
    )


def build(deploy: Work) -> list[str]:
    deploy.pull()
    built = process.run(["kustomize", "build", deploy.git.directory / FOLDER]).stdout
    return [line.split()[-1] for line in built.splitlines() if " image: " in line]


@pytest.mark.parametrize("name", RENDERED)
def test_kustomize_builds_the_image_that_was_asked_for(deploy: Work, step: Step, name: str) -> None:
    case = RENDERED[name]
    text = f"resources: [pods.yaml]\n# ours\nimages:\n{case.entries}\n# end\n"
    deploy.commit({f"{FOLDER}/kustomization.yaml": text, f"{FOLDER}/pods.yaml": pods(case.built)})
    step.run(case.asked, path=FOLDER)
    assert build(deploy) == list(case.built.values())
    assert deploy.text(f"{FOLDER}/kustomization.yaml").startswith(
        "resources: [pods.yaml]\n# ours\n"
    )
    # Again it changes nothing.
    assert step.run(case.asked, path=FOLDER)["operation"] == "none"


@pytest.mark.parametrize("name", REFUSED)
def test_what_kustomize_would_build_otherwise_is_refused(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    entries, asked, problem = REFUSED[name]
    text = f"resources: [pods.yaml]\nimages:\n{entries}\n"
    deploy.commit({f"{FOLDER}/kustomization.yaml": text, f"{FOLDER}/pods.yaml": pods({"app": ""})})
    before = deploy.state()
    assert step.run(asked, path=FOLDER, code=2) == {}
    assert problem in capsys.readouterr().err
    assert deploy.state() == before
