"""rollback beside `git revert` by hand, in a deploy repository whose history grows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.repositories import WHO, clone, data, git, imported
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, Steps, answer, expect, folders, point

_ENVIRONMENTS = ("dev", "staging", "production")


ROLLBACK = Row(
    name="rollback",
    work="rollback of production to the version before: deployment, hold and stage",
    size="deploy commits",
    peer="`git clone`, `git revert`, push",
    tools=("git",),
    targets=(Target(Kind.GROWTH, 2, "cpu", 10_000),),
    means="From the decision to the pushed commit and stage tag, while production is bad.",
    floor="One fetch and one push of the deploy repository, and one push of a tag.",
    slower="By hand nothing is looked up, held or assigned, and in a short history that is faster.",
)
FIRST = Row(
    name="rollback-first",
    work="rollback of production to the first version of all",
    size="deploy commits",
    peer="`git clone`, `git checkout` of the found commit's overlay, commit, push",
    tools=("git",),
    targets=(),
    means="The version is named, and its deployment is found at the far end of the history.",
    floor="The whole history is read once.",
    slower="As above.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Deploy repositories of so many deployments, to three environments in turn."""
    found: dict[str, list[Point]] = {ROLLBACK.name: [], FIRST.name: []}
    for size, folder in folders(work, sizes):
        imported("".join(_deployments(size)), folder / "deploy.git")
        _model(folder, size, folder / "deploy.git")
        found[ROLLBACK.name].append(_measure(folder, size, ""))
        found[FIRST.name].append(_measure(folder, size, "v0.0.3"))
    return found


def _measure(folder: Path, size: int, version: str) -> Point:
    deploy, model = folder / "deploy.git", folder / "model"
    tip = answer(["git", "rev-parse", ":/Deploy m"], deploy).strip()
    target = version or f"v0.0.{_last(size) - 3}"
    tags = answer(["git", "tag", "--list", "*@*"], folder / "model.git").split()

    def reset() -> None:
        git(deploy, "update-ref", "refs/heads/main", tip)
        for where in (folder / "model.git", model):
            for name in set(answer(["git", "tag"], where).split()) - set(tags):
                git(where, "update-ref", "-d", f"refs/tags/{name}")

    def raw(_: int) -> Steps:
        reset()
        to = folder / "raw"
        shutil.rmtree(to, ignore_errors=True)
        author = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        back = ["git", *author, "revert", "--no-edit", f":/m v0.0.{_last(size)} to production"]
        if version:
            path = "overlays/production/kustomization.yaml"
            wanted = f":/m {version} to production"
            find = f"git checkout \"$(git rev-parse '{wanted}')\" -- {path}"
            back = ["sh", "-c", f"{find} && git {' '.join(author)} commit -qm back"]
        return [
            (["git", "clone", "--quiet", deploy.as_uri(), str(to)], folder),
            (back, to),
            (["git", "push", "--quiet"], to),
        ]

    def ours(_: int) -> Steps:
        reset()
        named = ["--version", version] if version else []
        asked = ["--environment", "production", "--reason", "x", *named]
        return [([RUN, "rollback", *asked], model)]

    found = point(size, ours=ours, peer=raw, runs=5 if size < 10_000 else 3)
    text = answer(["git", "show", "main:overlays/production/kustomization.yaml"], deploy)
    expect(f"newTag: {target}\n" in text, f"{target} in {text}")
    said = answer(["git", "log", "-1", "--format=%B", "main"], deploy)
    expect("Rollback: true" in said, f"a rollback, not {said}")
    stages = [one for one in answer(["git", "tag"], folder / "model.git").split() if "#" in one]
    expect(len(stages) == 1, f"one stage tag, not {stages}")
    return found


def _last(size: int) -> int:
    """Return the number of the last version that production got: each third deployment is its."""
    return size - size % 3


def _deployments(size: int) -> list[str]:
    stream = []
    for number in range(1, size + 1):
        environment = _ENVIRONMENTS[(number - 1) % 3]
        digest = f"sha256:{number:064x}"
        message = (
            f"Deploy m v0.0.{number} to {environment}\n\nModel: m@v0.0.{number}\n"
            f"Image-Digest: {digest}\nSource-Repository: acme/m\nSource-Commit: {number:040x}\n"
        )
        text = (
            f"images:\n- name: m\n  newName: ghcr.io/acme/m\n  newTag: v0.0.{number}\n"
            f"  digest: {digest}\n"
        )
        stream.append(
            f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n{data(message)}"
            f"M 644 inline overlays/{environment}/kustomization.yaml\n{data(text)}"
        )
    return stream


def _model(folder: Path, size: int, deploy: Path) -> None:
    """Make the model repository, with the versions that a rollback may go back to, and a clone."""
    promotion = {
        "model": "m",
        "image": "ghcr.io/acme/m",
        "deploy": {"repository": str(deploy)},
        "environments": [{"name": one, "branch": one} for one in _ENVIRONMENTS],
    }
    versions = (3, _last(size) - 3, _last(size))
    stream = []
    for mark, number in enumerate(dict.fromkeys(versions), 1):
        stream.append(
            f"commit refs/heads/main\nmark :{mark}\ncommitter {WHO} {1700000000 + number} +0000\n"
            f"{data(f'v0.0.{number}')}M 644 inline promotion.yaml\n{data(json.dumps(promotion))}"
            f"M 644 inline number\n{data(str(number))}"
            f"tag m@v0.0.{number}\nfrom :{mark}\ntagger {WHO} {1700000000 + number} +0000\n{data('x')}"
        )
    clone(imported("".join(stream), folder / "model.git"), folder / "model")
