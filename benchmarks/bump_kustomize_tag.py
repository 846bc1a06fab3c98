"""bump-kustomize-tag beside `kustomize edit` and git, in a deploy repository of many files and commits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import deploys
from benchmarks.repositories import WHO, data, git, imported
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, Command, Steps, answer, expect, folders, point

_ENVIRONMENTS = ("dev", "staging", "production")
# An application has ten files: its base, three overlays of two, and a page.
_FILES = 10
_TEAM = 50
_RUNS = 5

BUMP = Row(
    name="bump",
    work="bump-kustomize-tag in a repository with 2 commits for each 5 files",
    size="files",
    peer="`git clone --depth=1`, `kustomize edit set image`, commit, push",
    tools=("git", "kustomize"),
    targets=(
        Target(Kind.FASTER, 4, "wall", 50_000),
        Target(Kind.FASTER, 4, "cpu", 50_000),
        Target(Kind.GROWTH, 2, "cpu", 50_000),
    ),
    means="No origin is given: nothing is asked of the history. The server can leave trees out, as Gitea's and"
    " git's own do; github.com leaves out files only, and sends all trees of the tip: at 50,000 files 4 MB"
    " and about 0.8 s of CPU time more.",
    floor="One fetch of a commit without its trees, and one push. For a push the server looks at all trees.",
    slower="In a repository of some hundred files, where the start of Python is the most of it.",
)
GUARDED = replace(
    BUMP,
    name="bump-guarded",
    work="the same with the model's commit, of an overlay among the last that were deployed",
    targets=(Target(Kind.FASTER, 4, "cpu", 50_000),),
    means="As the templates call it, from a server that can leave trees out. An image of a later commit must not be replaced: the overlay's last"
    " deployment is looked for in the history, and is some commits back.",
)
FAR = replace(
    BUMP,
    name="bump-guarded-far",
    work="the same, of the overlay that was deployed longest ago",
    targets=(Target(Kind.FASTER, 4, "cpu", 50_000),),
    means="Its last deployment is three quarters of the history back.",
    slower="The peer looks at no history: whatever is set replaces what is there.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Deploy repositories of so many files."""
    found: dict[str, list[Point]] = {row.name: [] for row in (BUMP, GUARDED, FAR)}
    for size, folder in folders(work, sizes):
        deploy = imported("".join(history(size)), folder / "deploy.git")
        git(deploy, "config", "gc.auto", "0")
        for row in (BUMP, GUARDED, FAR):
            found[row.name].append(_one(folder, deploy, size, row))
    return found


def _one(folder: Path, deploy: Path, size: int, row: Row) -> Point:
    last, overlays = commits(size), size // _FILES * len(_ENVIRONMENTS)
    before = deploys.commits(deploy)

    def raw(number: int) -> Steps:
        changed = overlay(last - 20 - number, size)
        return deploys.by_hand(deploy, folder / "raw", changed, f"app=:{row.name}{number}")

    def at(number: int) -> int:
        """Each run has an overlay of its own: what was just deployed is the newest commit, and says no origin."""
        return {BUMP.name: last - 10, GUARDED.name: last - 15, FAR.name: last - overlays}[
            row.name
        ] + number

    def ours(number: int) -> Steps:
        where = ["--repository", deploy.as_uri(), "--path", overlay(at(number), size)]
        bump: Command = [RUN, "bump-kustomize-tag", *where, "--images", f"app=:{row.name}{number}"]
        if row is not BUMP:
            origin = (
                f"Source-Repository: {model(at(number), size)}\nSource-Commit: {'a' * 39}{number}"
            )
            bump += ["--trailers", origin]
        return [(bump, folder)]

    def floor(_: int) -> Steps:
        to = folder / "floor.git"
        shutil.rmtree(to, ignore_errors=True)
        git(folder, "init", "--quiet", "--bare", str(to))
        made = ["git", "commit-tree", "-p", "main", "-m", "floor", "main^{tree}"]
        made = ["git", "-c", "user.name=bench", "-c", "user.email=b@example.com", *made[1:]]
        commit = answer(made, deploy).strip()
        fetch = ["git", "fetch", "--quiet", "--depth=1", "--filter=tree:0", deploy.as_uri(), "main"]
        push = ["git", "push", "--quiet", deploy.as_uri(), f"{commit}:refs/heads/main"]
        return [(fetch, to), (push, deploy)]

    found = point(size, ours=ours, peer=raw, floor=floor, runs=_RUNS)
    landed = deploys.commits(deploy) - before
    expect(landed == 3 * _RUNS, f"{_RUNS} commits of each side, not {landed}")
    file = f"main:{overlay(at(_RUNS - 1), size)}/kustomization.yaml"
    expect(f"newTag: {row.name}{_RUNS - 1}\n" in answer(["git", "show", file], deploy), "our tag")
    return found


def commits(size: int) -> int:
    """Return how many commits a repository of so many files has."""
    return size * 2 // 5


def _application(number: int, size: int) -> int:
    return number // len(_ENVIRONMENTS) % (size // _FILES)


def _folder(application: int) -> str:
    return f"applications/t{application // _TEAM}/a{application}"


def overlay(number: int, size: int) -> str:
    """Return the overlay that the deployment of this number is to: each in turn, and again."""
    environment = _ENVIRONMENTS[number % len(_ENVIRONMENTS)]
    return f"{_folder(_application(number, size))}/overlays/{environment}"


def model(number: int, size: int) -> str:
    """Return the repository that the deployment of this number is from."""
    return f"acme/m{_application(number, size)}"


def history(size: int) -> Iterator[str]:
    """Yield a deploy repository of so many files for `git fast-import`."""
    for number in range(commits(size)):
        message = (
            f"Deploy v0.0.{number}\n\nModel: m@v0.0.{number}\nSource-Repository: {model(number, size)}\n"
            f"Source-Commit: {number:040x}\nImage-Digest: sha256:{number:064x}\n"
        )
        yield (
            f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n{data(message)}"
        )
        if number == 0:
            for one in range(size // _FILES):
                for path, text in _files(one).items():
                    yield f"M 644 inline {_folder(one)}/{path}\n{data(text)}"
        yield f"M 644 inline {overlay(number, size)}/kustomization.yaml\n{data(_kustomization(number))}"


def _files(application: int) -> dict[str, str]:
    kind = f"kind: Deployment\nmetadata:\n  name: a{application}\nspec:\n"
    containers = (
        "  template:\n    spec:\n      containers:\n      - name: app\n        image: app\n"
    )
    found = {
        "README.md": f"# a{application}\n",
        "base/kustomization.yaml": "resources:\n- deployment.yaml\n- service.yaml\n",
        "base/deployment.yaml": f"apiVersion: apps/v1\n{kind}{containers}",
        "base/service.yaml": f"apiVersion: v1\nkind: Service\nmetadata:\n  name: a{application}\n",
    }
    for one in _ENVIRONMENTS:
        found[f"overlays/{one}/kustomization.yaml"] = _kustomization(0)
        found[f"overlays/{one}/patch.yaml"] = (
            f"apiVersion: apps/v1\n{kind}  replicas: {application % 7}\n"
        )
    return found


def _kustomization(number: int) -> str:
    return (
        "resources:\n- ../../base\npatches:\n- path: patch.yaml\nimages:\n- name: app\n"
        f"  newName: ghcr.io/acme/app\n  newTag: v0.0.{number}\n  digest: sha256:{number:064x}\n"
    )
