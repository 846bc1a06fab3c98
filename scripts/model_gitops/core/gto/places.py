"""Where a Git revision is looked for: a branch is the server's in a job, the rest is what git says here."""

from __future__ import annotations

import re
from dataclasses import dataclass

# HEAD~1, main^, @{u}, HEAD@{2.days}: what git works out from a name, here.
_WORKED_OUT = re.compile(r"[~^:]|@\{|\.\.")
_OF_THIS_CLONE = re.compile(r"@|[A-Z_]*HEAD")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SERVERS = ("refs/remotes/origin/", "remotes/origin/", "origin/")


@dataclass(frozen=True)
class Place:
    """A ref to look at: here, or as `on_server` to fetch."""

    ref: str
    on_server: bool = False


def places(revision: str, *, server_first: bool) -> tuple[Place, ...]:
    """Return where to look for `revision`, in order.

    With `server_first` the name of a branch means the server's, whatever a local branch or a tag of that
    name says: so it is in a job. A person means what git says of it in the clone, and the server's else.
    """
    if _HASH.fullmatch(revision):
        # Never as a name: a branch may be called so.
        return (Place(revision), Place(revision, on_server=True))
    if worked_out := _WORKED_OUT.search(revision):
        start = revision[: worked_out.start()]
        own = not start or _OF_THIS_CLONE.fullmatch(start) or start.startswith(_SERVERS)
        # In a job there is no branch `main` here, while `main~2` has an answer.
        return (Place(revision),) if own else (Place(revision), Place(f"{_SERVERS[0]}{revision}"))
    if _OF_THIS_CLONE.fullmatch(revision):
        return (Place(revision),)
    if revision.startswith(("refs/tags/", "tags/")):
        name = revision.partition("tags/")[2]
        return (Place(f"refs/tags/{name}"), Place(f"refs/tags/{name}", on_server=True))
    branch = branch_name(revision)
    here, known = Place(f"refs/heads/{branch}"), Place(f"{_SERVERS[0]}{branch}")
    server = Place(here.ref, on_server=True)
    if revision.startswith(_SERVERS):
        return (known, server)
    if revision.startswith(("refs/heads/", "heads/")):
        return (known, here, server) if server_first else (here, known, server)
    if revision.startswith("refs/"):
        return (Place(revision), Place(revision, on_server=True))
    last = Place(revision, on_server=True)
    plain = Place(revision)
    return (known, here, server, plain, last) if server_first else (plain, known, server, last)


def branch_name(revision: str) -> str:
    """Return the name of the branch that `revision` may be, without what says where it is."""
    for prefix in (*_SERVERS, "refs/heads/", "heads/"):
        if revision.startswith(prefix):
            return revision.removeprefix(prefix)
    return revision
