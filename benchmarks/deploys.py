"""A deploy repository of any size, and a bump in it by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.repositories import WHO, data, imported
from benchmarks.timing import Steps, answer
from benchmarks.tools import tool

OTHERS = 500


def deploy_repository(to: Path, image: str, *, commits: int) -> Path:
    """Make one with overlays of 500 others, each changed in turn, and of dev and staging."""
    others = [f"o{number}" for number in range(OTHERS)]
    stream = []
    for number in range(commits):
        stream.append(f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n")
        stream.append(data(_message(number)))
        for one in others if number == 0 else [others[number % OTHERS]]:
            stream.append(_overlay(one, "app", "ghcr.io/acme/app", f"v0.{number}"))
        if number == 0:
            stream += [_overlay(one, "diabetes", image, "none") for one in ("dev", "staging")]
    return imported("".join(stream), to)


def by_hand(deploy: Path, to: Path, overlay: str, image: str) -> Steps:
    """Return the steps of a person who sets an image: a clone of one commit, an edit, a commit, a push."""
    shutil.rmtree(to, ignore_errors=True)
    author = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    return [
        (["git", "clone", "--quiet", "--depth=1", deploy.as_uri(), str(to)], to.parent),
        ([tool("kustomize"), "edit", "set", "image", image], to / overlay),
        (["git", *author, "commit", "--quiet", "-am", "raw"], to),
        (["git", "push", "--quiet"], to),
    ]


def commits(deploy: Path) -> int:
    """Return how many commits its branch has."""
    return int(answer(["git", "rev-list", "--count", "main"], deploy))


def _message(number: int) -> str:
    """Return a message as bump-kustomize-tag writes it."""
    said = f"Model: app@v0.0.{number}\nModel-Hash: {number:032x}\nImage-Fingerprint: {number:040x}"
    origin = f"Source-Repository: acme/app\nSource-Commit: {number:040x}"
    return f"Deploy app\n\n{said}\n{origin}\nImage-Digest: sha256:{number:064x}\n"


def _overlay(folder: str, entry: str, name: str, tag: str) -> str:
    text = f"images:\n  - name: {entry}\n    newName: {name}\n    newTag: {tag}\n"
    return f"M 644 inline overlays/{folder}/kustomization.yaml\n{data(text)}"
