"""Let the release line (`v0`) point to a new release (`v0.3.1`): forward only, and of main only.

`python3 move_release_line.py v0.3.1`, in a checkout with all tags. Called by release.yml.
"""

from __future__ import annotations

import re
import subprocess
import sys


def git(*args: str, check: bool = True) -> str:
    """Return what git says; exits with its words where it fails."""
    done = subprocess.run(["git", *args], check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        sys.exit(f"::error::git {args[0]}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.strip()


def version(tag: str) -> tuple[int, ...]:
    """Return the numbers of `v1.2.3`, or nothing for another tag."""
    found = re.fullmatch(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", tag)
    return tuple(int(part) for part in found.groups()) if found else ()


def main(tag: str) -> int:
    """Move the line's tag, or say why not."""
    if not version(tag):
        sys.exit(f"::error::{tag!r} is no release: v0.3.1")
    commit = git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}")
    on_main = git("merge-base", commit, "refs/remotes/origin/main", check=False) == commit
    if not on_main:
        sys.exit(f"::error::{tag} is not a commit of main")
    line = tag.partition(".")[0]
    newest = max(
        (one for one in git("tag", "--list", f"{line}.*").splitlines() if version(one)), key=version
    )
    if newest != tag:
        print(f"::notice::{line} stays: {newest} is newer than {tag}")
        return 0
    reference = f"refs/tags/{line}"
    # Only from where it was seen to be: of two runs at once, the slower one fails.
    seen = git("ls-remote", "origin", reference).partition("\t")[0]
    lease = f"--force-with-lease={reference}:{seen}"
    git("push", "--quiet", lease, "origin", f"{commit}:{reference}")
    print(f"{line} is {tag} now, {commit}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
