"""What a change or a push changes: the commits to compare, and the paths that differ."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass

from model_gitops import runner
from model_gitops.adapters import event_checkout
from model_gitops.adapters.git import Git
from model_gitops.errors import ExternalError, InputError
from model_gitops.events import Kind


@dataclass(frozen=True)
class Change:
    """`commit`, and what it is compared with. `why` says in words why all count, where `bases` is None.

    Of a proposed change there may be several bases, where its history was joined with the branch's more
    than once: it changes what differs from any of them. Of unrelated histories there is none, and all
    differs.
    """

    commit: str
    bases: tuple[str, ...] | None
    why: str = ""

    @property
    def rules(self) -> tuple[str, ...]:
        """The commits whose rules count: the base's too, as a change can't rewrite what it touches."""
        return (self.commit, *(self.bases or ()))


def find(context: runner.Context, repository: Git, base: str) -> Change:
    """Return what the event changes, or HEAD against `base`. Raises InputError and ExternalError."""
    head = repository.commit_of("HEAD")
    if head is None:
        raise InputError(
            "there is no commit in this checkout", fix="check out the repository first"
        )
    subject = context.subject
    if base:
        return Change(head, _joined(repository, _base(repository, base), head))
    if subject.source.kind is Kind.GONE:
        return Change(head, (head,))
    event_checkout.require_its_own(context, repository)
    if subject.is_merged:
        return Change(head, event_checkout.before_merge(context, repository))
    if subject.source.kind is Kind.QUEUED:
        # The queue has made the merge: what its base lacks is what it changes.
        return Change(head, (_fetched(repository, context.base_sha),))
    if subject.is_change:
        branch = f"refs/heads/{event_checkout.base_of(context, repository)}"
        tips = repository.remote_refs("origin", branch) if repository.has_remote() else {}
        wanted = tips.get(branch) or context.base_sha
        return Change(head, _joined(repository, _fetched(repository, wanted), head))
    if context.event_name != "push":
        return Change(
            head, None, f"`{context.event_name}` is of no change" if context.event_name else ""
        )
    if not context.before.strip("0"):
        return Change(head, None, "the push made the branch")
    before = repository.find_commit(context.before)
    if before is None:
        runner.warning(
            f"what the branch had before, {context.before}, can't be fetched: all counts as changed."
            " Give actions/checkout `fetch-depth: 0` and `persist-credentials: true`"
        )
        return Change(head, None, "what the branch had before is not known")
    return Change(head, (before,))


def paths(repository: Git, change: Change) -> list[str]:
    """Return the paths from the top that differ, sorted; a moved file is at both its places."""
    found: set[str] = set()
    for base in change.bases or ():
        found.update(
            repository.run(
                "diff-tree", "-r", "-z", "--name-only", "--no-renames", base, change.commit
            ).split("\0")
        )
    if change.bases == ():
        found.update(listing(repository, change.commit))
    return sorted(found - {""})


def listing(repository: Git, commit: str) -> list[str]:
    """Return the paths of all files at `commit`, from the top."""
    names = repository.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
    return names.rstrip("\0").split("\0")


def links(repository: Git, commit: str) -> dict[str, str]:
    """Return the links at `commit` that lead to another place of the repository, both from the top."""
    listed = repository.run("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    entries = [one.partition("\t") for one in listed if one.startswith("120000 ")]
    targets = repository.blobs([fields.split(" ")[2] for fields, _, _ in entries])
    found = {}
    for (_, _, path), target in zip(entries, map(os.fsdecode, targets), strict=True):
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target and place.split("/")[0] not in ("", ".."):
            found[path] = place
    return found


def _base(repository: Git, base: str) -> str:
    found = repository.find_commit(base)
    if found is None:
        raise InputError.of(
            "base", base, "neither this checkout nor its remote has such a branch or commit",
            fix="base: main",
        )  # fmt: skip
    return found


def _fetched(repository: Git, commit: str) -> str:
    """Return the commit, which is fetched if it is not here. Raises ExternalError."""
    found = repository.find_commit(commit) if commit else None
    if found is None:
        raise ExternalError(
            f"the commit {commit or 'of the base'}, which the change is compared with, can't be fetched",
            fix="give actions/checkout `fetch-depth: 0` and `persist-credentials: true`",
        )
    return found


def _joined(repository: Git, base: str, head: str) -> tuple[str, ...]:
    """Return the newest commits that both histories have; of a cut history the rest is fetched first."""
    if repository.is_shallow():
        repository.try_fetch(base, "--unshallow")
        if repository.is_shallow():
            raise ExternalError(
                "this checkout is shallow, and the history can't be fetched: what the change is based on is"
                " not known",
                fix="give actions/checkout `fetch-depth: 0` and `persist-credentials: true`",
            )
    found = repository.completed("merge-base", "--all", base, head, check=False)
    return tuple(found.stdout.split()) if found.returncode == 0 else ()
