"""Refuse a pull request that changes an image of an overlay that is held.

Usage: check_holds.py BASE HEAD: the branch that the pull request goes into, as it is now, and the pull request's
commit, or what it would be merged as.
An overlay is held by a file hold.yaml beside its kustomization: https://github.com/model-gitops/model-gitops,
docs/holds.md. What releases it passes, and so does a rollback: a commit of the pull request that has the
trailer `Rollback: true`. Other changes of a held overlay pass. Ends with status 1 where one is refused.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from typing import Any

import yaml

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def git(*words: str) -> str:
    """Return what git says. Raises CalledProcessError where it fails."""
    done = subprocess.run(["git", *words], check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace")


def text(commit: str, path: str) -> str | None:
    """Return a file's text at a commit; None where there is none, or it is no plain file."""
    entry = git("ls-tree", commit, "--", path)
    return git("cat-file", "blob", entry.split()[2]) if entry.startswith("100") else None


def inside(overlay: str, name: str) -> str:
    """Return the path of a file of an overlay, which may be the top."""
    return f"{overlay}/{name}" if overlay else name


def hold(commit: str, overlay: str) -> str:
    """Return what there is of a hold at a commit, as git lists it; empty for nothing."""
    return git("ls-tree", commit, "--", inside(overlay, "hold.yaml"))


def moment(value: Any) -> datetime.datetime:
    """Return a moment, in UTC where it has no zone. Raises ValueError, OverflowError."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.fromisoformat(str(value))
    return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def held(commit: str, overlay: str, now: datetime.datetime) -> str:
    """Return why an overlay is held at a commit; empty where it is not. What can't be read holds."""
    if not hold(commit, overlay):
        return ""
    try:
        found = yaml.safe_load(text(commit, inside(overlay, "hold.yaml")) or "") or {}
        for key in ("reason", "by", "run"):
            if not isinstance(found.get(key) or "", str):
                raise ValueError(f"{key} is no text")
        since, until = (found.get(key) for key in ("since", "until"))
        _ = since is None or moment(since)
        if until is not None and now >= moment(until):
            return ""
        by, reason = (found.get(key) or "nobody says" for key in ("by", "reason"))
        return f"held by {by}, until {until or 'somebody releases it'}: {reason}"
    except (yaml.YAMLError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        return f"held, as hold.yaml can't be read: {str(error).splitlines()[0]}"


def images(commit: str, overlay: str) -> Any:
    """Return what a kustomization says of images; the text itself where it is no YAML."""
    for name in NAMES:
        found = text(commit, inside(overlay, name))
        if found is None:
            continue
        try:
            return (yaml.safe_load(found) or {}).get("images")
        except (yaml.YAMLError, AttributeError, ValueError, RecursionError):
            return found
    return None


def is_rollback(base: str, head: str) -> bool:
    """Whether one of the pull request's commits goes back on purpose."""
    messages = git("log", "--format=%B", f"{base}..{head}")
    return re.search(r"(?m)^Rollback: true\s*$", messages) is not None


def annotate(overlay: str, problem: str) -> None:
    """Print one line that GitHub shows beside the pull request."""
    problem = "".join(one for one in " ".join(problem.split()) if one.isprintable())
    print(f"::error title={overlay}::{problem[:1000].replace('%', '%25')}")


def main() -> int:
    """Look at each folder that has a hold at the base."""
    base, head = sys.argv[1:3]
    fork = git("merge-base", base, head).strip()  # of a merge of the two the base itself
    now = datetime.datetime.now(datetime.UTC)
    paths = git("ls-tree", "-r", "-z", "--name-only", base).split("\0")
    overlays = [path.rpartition("/")[0] for path in paths if f"/{path}".endswith("/hold.yaml")]
    refused = 0
    for overlay in overlays:
        reason = held(base, overlay, now)
        if hold(fork, overlay) != hold(head, overlay):  # else it leaves the hold as it is
            reason = reason and held(head, overlay, now)
        shown = overlay or "the top folder"
        if not reason or images(fork, overlay) == images(head, overlay):
            print(f"{shown}: {'its images stay' if reason else 'not held, or released'}")
        elif is_rollback(base, head):
            print(f"{shown}: held, and this is a rollback")
        else:
            refused += 1
            annotate(
                shown,
                f"{shown} takes no promotion: it is {reason}. Release it first, then run this job again",
            )
    print(f"{len(overlays)} overlays with a hold, {refused} refused")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
