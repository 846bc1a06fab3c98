"""A deploy repository of any size."""

from __future__ import annotations

from pathlib import Path

from benchmarks.repositories import WHO, data, imported

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


def _message(number: int) -> str:
    """Return a message as bump-kustomize-tag writes it."""
    said = f"Model: app@v0.0.{number}\nModel-Hash: {number:032x}\nImage-Fingerprint: {number:040x}"
    origin = f"Source-Repository: acme/app\nSource-Commit: {number:040x}"
    return f"Deploy app\n\n{said}\n{origin}\nImage-Digest: sha256:{number:064x}\n"


def _overlay(folder: str, entry: str, name: str, tag: str) -> str:
    text = f"images:\n  - name: {entry}\n    newName: {name}\n    newTag: {tag}\n"
    return f"M 644 inline overlays/{folder}/kustomization.yaml\n{data(text)}"
