"""Hold a release's tag (`v0.3.1`) to main, pyproject.toml and CHANGELOG.md; write its notes.

`python3 check_release.py v0.3.1 notes.md`, in a checkout with all tags. Called by release.yml.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path


class RefusedError(Exception):
    """The tag is not to be released; says why, and what to do."""


def sections(changelog: str) -> dict[str, str]:
    """Return the text below each `## [VERSION]` heading of a changelog, in its order."""
    text = re.sub(r"(?m)^\[(Unreleased|[\d.]+)\]: .*\n?", "", changelog)  # the headings' links
    parts = re.split(r"(?m)^## \[([^\]\n]+)\].*\n", text)
    return {name: text.strip() + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def notes(tag: str, project: str, changelog: str) -> str:
    """Return the notes of the release `tag`, given the texts of the tag's two files.

    Raises RefusedError where the tag, the version and the changelog do not agree.
    """
    if not re.fullmatch(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", tag):
        raise RefusedError(f"{tag!r} is no release: v0.3.1")
    wanted, version = tag.removeprefix("v"), tomllib.loads(project)["project"]["version"]
    if version != wanted:
        raise RefusedError(
            f"the tag says {wanted}, pyproject.toml says {version}: set the version, merge, tag again"
        )
    text = sections(changelog).get(wanted, "").strip()
    if not text:
        raise RefusedError(
            f"CHANGELOG.md says nothing below `## [{wanted}]`: write it, merge, tag again"
        )
    return text + "\n"


def git(*args: str, check: bool = True) -> str:
    """Return what git says; exits with its words where it fails."""
    done = subprocess.run(["git", *args], check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RefusedError(f"git {args[0]}: {' '.join(done.stderr.split()[-20:])}")
    return done.stdout


def main(tag: str, file: str) -> int:
    """Write the notes to `file`, or say why there is no release."""
    try:
        commit = git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}").strip()
        if git("merge-base", commit, "refs/remotes/origin/main", check=False).strip() != commit:
            raise RefusedError(f"{tag} is not a commit of main: merge first, then tag")
        # The tag's own files: what lies in the working tree is not what is released.
        text = notes(
            tag, git("show", f"{commit}:pyproject.toml"), git("show", f"{commit}:CHANGELOG.md")
        )
    except RefusedError as reason:
        print(f"::error::{reason}")
        return 3
    Path(file).write_text(text, encoding="utf-8")
    print(f"{tag} is {commit}, and has notes of {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
