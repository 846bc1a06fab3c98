"""Components that are built in a second, and what a run of components.yml did with them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from model_gitops_local.act import Run
from model_gitops_local.flow import DEPLOY, Flow

NAMES = ("deploy", "preprocess", "test", "train")
OVERLAY = "training/overlays/staging/kustomization.yaml"
# Two of four use the shared file.
USES = {
    "preprocess": "src/shared.txt",
    "train": "src/shared.txt",
    "test": "own.txt",
    "deploy": "own.txt",
}


def small(folder: Path) -> None:
    """Replace the components by some that are built in a second, and need no environment for their tests."""
    shutil.rmtree(folder / "components", ignore_errors=True)
    for name, used in USES.items():
        place = folder / "components" / name
        place.mkdir(parents=True)
        path = used if "/" in used else f"components/{name}/{used}"
        (place / "own.txt").write_text(f"{name}\n", "utf-8")
        (place / "Dockerfile").write_text(f"FROM scratch\nCOPY {path} /\n", "utf-8")
        (place / "Dockerfile.dockerignore").write_text(f"*\n!{path}\n", "utf-8")
    (folder / "src" / "shared.txt").write_text("1\n", "utf-8")
    with (folder / "promotion.yaml").open("a", encoding="utf-8") as rules:
        rules.write('commands: {component: "grep -q . components/$COMPONENT/own.txt"}\n')


def write(files: Mapping[str, str]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path, text in files.items():
            (folder / path).write_text(text, "utf-8")

    return change


def well(run: Run) -> Run:
    assert run.status == 0, (run.failed_step, run.errors, run.log[-5000:])
    return run


def jobs(run: Run, word: str) -> list[str]:
    """Return the names of the jobs that start with a word, less the numbers that act gives those of a matrix."""
    names = {job.partition("/")[2].strip() for job, _, _ in run.steps}
    return sorted(re.sub(r"-\d+$", "", one) for one in names if one.startswith(word))


def overlay(flow: Flow) -> dict[str, tuple[str, str]]:
    """What each entry sets: component → (tag, digest)."""
    text = flow.bare(DEPLOY).file_at("main", OVERLAY) or ""
    found = re.findall(
        r"- name: diabetes-(\w+)\n +newName: .*\n +newTag: (.*)\n(?: +digest: (.*)\n)?", text
    )
    return {name: (tag, digest) for name, tag, digest in found}
