"""bump-kustomize-tag beside `kustomize edit` and git."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.repositories import WHO, data, imported
from benchmarks.timing import RUN, Command, Result, answer, compare, expect


def measure(work: Path) -> list[Result]:
    """A deploy repository with 2,000 commits and 500 overlays."""
    kustomize = shutil.which("kustomize")
    if kustomize is None:
        sys.exit("kustomize is not on PATH")
    text = "images:\n  - name: app\n    newName: ghcr.io/acme/app\n    newTag: v0\n"
    stream = []
    for number in range(2000):
        stream.append(f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n")
        stream.append(data(f"change {number}"))
        changed = range(500) if number == 0 else [number % 500]
        for overlay in changed:
            body = text.replace("v0", f"v0.{number}")
            stream.append(f"M 644 inline overlays/o{overlay}/kustomization.yaml\n{data(body)}")
    deploy = imported("".join(stream), work / "deploy.git")

    def raw(overlay: str, tag: str, push: bool) -> list[tuple[Command, Path]]:
        to = work / "raw"
        shutil.rmtree(to, ignore_errors=True)
        author = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        edit = [kustomize, "edit", "set", "image", f"app=ghcr.io/acme/app:{tag}"]
        commands = [
            (["git", "clone", "--quiet", deploy.as_uri(), str(to)], work),
            (edit, to / "overlays" / overlay),
        ]
        if not push:
            return [*commands, (["git", "status", "--short"], to)]
        commit = ["git", *author, "commit", "--quiet", "-am", tag]
        return [*commands, (commit, to), (["git", "push", "--quiet"], to)]

    def ours(overlay: str, tag: str) -> tuple[Command, Path]:
        image = f"app=ghcr.io/acme/app:{tag}"
        where = ["--repository", deploy.as_uri(), "--path", f"overlays/{overlay}"]
        return [RUN, "bump-kustomize-tag", *where, "--images", image], work

    plain = "`git clone`, `kustomize edit set image`, "
    results = [
        compare(
            "bump-kustomize-tag, 2,000 commits, 500 overlays",
            plain + "commit, push",
            lambda n: raw("o1", f"raw{n}", True),
            lambda n: ours("o2", f"ours{n}"),
            runs=5,
        ),
        compare(
            "bump-kustomize-tag, no change",
            plain + "`git status`",
            lambda n: raw("o1", "raw4", False),
            lambda n: ours("o2", "ours4"),
            runs=5,
        ),
    ]
    commits = answer(["git", "rev-list", "--count", "main"], deploy).strip()
    expect(commits == "2010", f"2,000 commits and five of each side, not {commits}")
    return results
