"""Several images that jobs of a matrix built, set by one commit: each judged by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bump_step import OVERLAY, A, B, C, Step, Work

from model_gitops.adapters.deploy_repository import connected
from model_gitops.adapters.git import Git
from model_gitops.core.deploy import records
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import locate
from model_gitops.core.deploy.trailers import digests_of, read_trailers
from model_gitops.errors import InputError

NAMES = ("deploy", "preprocess", "test", "train")
PATH = f"{OVERLAY}/kustomization.yaml"
ENTRIES = "images:\n" + "".join(
    f"- name: m-{name}\n  newName: r.example/m-{name}\n  newTag: v0\n  digest: {C}\n"
    for name in NAMES
)


def built(folder: Path, **digests: tuple[str, str]) -> dict[str, str]:
    """Write the records of a run; return the inputs: component → (digest, fingerprint)."""
    folder.mkdir(parents=True)
    for name, (digest, fingerprint) in digests.items():
        image = f"r.example/m-{name}:{folder.name}@{digest}"
        (folder / f"m-{name}{records.SUFFIX}").write_text(records.text(image, fingerprint))
    return {"records": str(folder)}


def bump(step: Step, sha: str, folder: Path, **digests: tuple[str, str]) -> dict[str, str]:
    images = "\n".join(f"m-{name}=r.example/m-{name}" for name in digests)
    return step.run(images, sha=sha, **built(folder, **digests))


def tags(deploy: Work) -> dict[str, str]:
    text = Git(deploy.remote).file_at("main", PATH) or ""
    lines = [line.strip() for line in text.splitlines()]
    return {
        line.partition("m-")[2]: lines[number + 2].partition(": ")[2]
        for number, line in enumerate(lines)
        if line.startswith("- name: m-")
    }


def one(letter: str) -> tuple[str, str]:
    return f"sha256:{letter * 64}", letter * 40


def test_two_of_four_are_one_commit_of_four_lines(
    deploy: Work, source: Work, step: Step, tmp_path: Path
) -> None:
    deploy.commit({PATH: ENTRIES})
    sha = source.pull()
    done = bump(step, sha, tmp_path / "one", preprocess=one("a"), train=one("a"))
    assert done["operation"] == "pushed"
    git = Git(deploy.remote)
    diff = git.run("diff", "--numstat", "main~1", "main")
    assert diff == f"4\t4\t{PATH}\n"
    # Two images of one digest: place by place, none is left out.
    said = read_trailers(git.run("log", "-1", "--format=%B", "main"))
    assert said["image-digest"] == [A, A]
    assert said["image-fingerprint"] == ["a" * 40, "a" * 40]
    assert said["source-commit"] == [sha]
    assert digests_of(said, "a" * 40) == (A, A)
    with connected(locate(str(deploy.remote), server_url=""), "", "") as repository:
        found = repository.image_of("main", "a" * 40, "r.example/m-train", [OVERLAY])
        assert found == A
        assert repository.image_of("main", "a" * 40, "r.example/m-test", [OVERLAY]) == ""
    again = bump(step, sha, tmp_path / "more" / "one", preprocess=one("a"), train=one("a"))
    assert again["operation"] == "none"


@pytest.mark.parametrize("later_first", [True, False])
def test_two_merges_that_race_both_land(
    deploy: Work, source: Work, step: Step, tmp_path: Path, later_first: bool
) -> None:
    """Of what both built the later one's stays, whichever comes first; the rest of each lands."""
    deploy.commit({PATH: ENTRIES})
    earlier, later = source.pull(), source.commit({"model.py": "2\n"})
    runs: list[Any] = [
        lambda: bump(step, earlier, tmp_path / "earlier", preprocess=one("a"), train=one("a")),
        lambda: bump(step, later, tmp_path / "later", test=one("b"), train=one("b")),
    ]
    done = [run() for run in (reversed(runs) if later_first else runs)]
    assert [run["operation"] for run in done] == ["pushed", "pushed"]
    assert tags(deploy) == {
        "deploy": "v0",
        "preprocess": "earlier",
        "test": "later",
        "train": "later",
    }
    if later_first:
        said = read_trailers(Git(deploy.remote).run("log", "-1", "--format=%B", "main"))
        assert (said["image-digest"], said["image-fingerprint"]) == ([A], ["a" * 40])
        # What is left is nothing.
        late = bump(step, earlier, tmp_path / "again" / "earlier", train=one("a"))
        assert late["operation"] == "superseded"


def test_only_what_was_asked_for_is_set(
    deploy: Work,
    source: Work,
    step: Step,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deploy.commit({PATH: ENTRIES})
    before, sha = deploy.state(), source.pull()
    made = built(tmp_path / "run", train=one("a"), test=one("b"))
    for images, said in (
        ("m-train=r.example/m-train", "no line of `images` asks for this image"),
        (
            "m-train=r.example/m-train\nm-test=r.example/m-test\nm-deploy=r.example/m-deploy",
            "there is no record of this image",
        ),
    ):
        step.run(images, sha=sha, code=2, **made)
        assert said in capsys.readouterr().err
    assert deploy.state() == before


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"image": "r.example/m-a:v1", "fingerprint": ""}',
     f'{{"image": "r.example/m-a@{A}", "fingerprint": ""}}',
     f'{{"image": "r.example/m-a:v1@{A}", "fingerprint": "x"}}',
     f'{{"image": "r.example/M:v1@{A}", "fingerprint": ""}}', "[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_no_record_is_refused(content: str) -> None:
    with pytest.raises(InputError, match="no record that build-push-image wrote"):
        records.complete([Image("m-a", "r.example/m-a")], {"x": content})


def test_two_records_of_one_image_are_refused() -> None:
    text = records.text(f"r.example/m-a:v1@{B}", "")
    with pytest.raises(InputError, match="has two records"):
        records.complete([Image("m-a", "r.example/m-a")], {"x": text, "y": text})
