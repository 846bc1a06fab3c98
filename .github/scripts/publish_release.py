"""Publish a release with its files; a second run only adds what is missing.

`python3 publish_release.py v0.3.1 notes.md FILE…`, with GH_TOKEN and GH_REPO in the environment. It
needs GitHub's command line, `gh`. Called by release.yml.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300  # seconds
# Signed anew by each run: the first one stays, and is as good.
SIGNED = ".sigstore.json"


class RefusedError(Exception):
    """The release can't be completed; says why, and what to do."""


@dataclass(frozen=True)
class Plan:
    """What is to be done: create the release, else add these files to it, and publish a draft."""

    create: bool
    missing: tuple[str, ...] = ()
    undraft: bool = False


def plan(ours: Mapping[str, bytes], theirs: Mapping[str, bytes] | None, *, draft: bool) -> Plan:
    """Decide from this run's files and the release's (None: there is no release), by name.

    Raises RefusedError where the release holds another file of the same name.
    """
    if theirs is None:
        return Plan(create=True)
    other = [
        name
        for name, content in ours.items()
        if name in theirs and theirs[name] != content and not name.endswith(SIGNED)
    ]
    if other:
        raise RefusedError(
            f"the release holds another {', '.join(other)} than this run built. Find out who put it"
            " there; then delete the release (not the tag) and run this job again"
        )
    return Plan(False, tuple(name for name in ours if name not in theirs), draft)


def gh(*args: str | Path) -> str:
    """Return what `gh release …` says. Raises RefusedError with its words where it fails."""
    done = subprocess.run(
        ["gh", "release", *args], check=False, capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode != 0:
        raise RefusedError(f"gh release {args[0]}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def published(tag: str) -> tuple[dict[str, bytes] | None, bool]:
    """Return the files of the release (None: there is no release), and whether it is a draft."""
    try:
        found = json.loads(gh("view", tag, "--json", "assets,isDraft"))
    except RefusedError as error:
        if "release not found" in str(error):
            return None, False
        raise
    if not found["assets"]:
        return {}, found["isDraft"]
    with tempfile.TemporaryDirectory() as folder:
        gh("download", tag, "--dir", folder)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}, found["isDraft"]


def main(tag: str, notes: str, *names: str) -> int:
    """Create or complete the release."""
    files = {Path(name).name: Path(name) for name in names}
    try:
        theirs, draft = published(tag)
        todo = plan({name: file.read_bytes() for name, file in files.items()}, theirs, draft=draft)
        if todo.create:
            # gh keeps it a draft until all files are there.
            what = ("--verify-tag", "--title", tag, "--notes-file", notes)
            gh("create", tag, *files.values(), *what)
        if todo.missing:
            gh("upload", tag, *(files[name] for name in todo.missing))
        if todo.undraft:
            gh("edit", tag, "--draft=false")
    except RefusedError as reason:
        print(f"::error::{reason}")
        return 3
    done = "created" if todo.create else f"added {', '.join(todo.missing) or 'nothing'}"
    print(f"{tag}: {done}{', published the draft' if todo.undraft else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
