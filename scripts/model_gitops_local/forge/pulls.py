"""Pull requests follow their branches: trial merges, closing, and the three ways to merge."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from model_gitops_local.forge.bare import Bare, Person
from model_gitops_local.forge.state import Issue, Pull, Repository, account_id, now

Find = Callable[[str], Repository | None]
_GITHUB = "GitHub"


def person(login: str) -> Person:
    """Return an account as the author of a commit."""
    email = f"{account_id(login)}+{login}@users.noreply.github.com"
    return Person(login, email, int(time.time()))


def follow(repository: Repository, find: Find) -> bool:
    """Bring every open pull request up to date with its branches; True if any changed.

    Sets `refs/pull/N/head` and, when the branches merge cleanly, `refs/pull/N/merge`. A pull
    request whose commits have all reached the base is merged; one whose head branch is gone, or
    was reset to where the base already is, is closed.
    """
    bare = Bare(Path(repository.path))
    changed = False
    for issue in repository.issues:
        if issue.pull and issue.state == "open" and _follow(bare, repository, issue, find):
            issue.updated_at = now()
            changed = True
    return changed


def _follow(bare: Bare, repository: Repository, issue: Issue, find: Find) -> bool:
    pull = issue.pull
    if pull is None:
        return False
    source = find(pull.head_repository)
    head = Bare(Path(source.path)).branch(pull.head) if source else None
    base = bare.branch(pull.base)
    if head is None or base is None:
        close(issue)
        return True
    if (head, base) == (pull.head_sha, pull.tried_base):
        return False
    if source and source is not repository:
        bare.fetch(Path(source.path), head)
    if bare.is_ancestor(head, base):
        if head == pull.head_sha:
            pull.merged_at, pull.merge_commit_sha = now(), base
        pull.head_sha = head
        close(issue)
        return True
    try_merge(bare, issue.number, pull, head, base)
    return True


def try_merge(bare: Bare, number: int, pull: Pull, head: str, base: str) -> None:
    """Record the tips of both branches, and whether they merge."""
    if head != pull.head_sha or not pull.base_sha:
        pull.base_sha = base
    pull.head_sha, pull.tried_base = head, base
    pull.commits = bare.count(f"{base}..{head}")
    bare.update_ref(f"refs/pull/{number}/head", head)
    tree = bare.merge_tree(base, head)
    if tree is None:
        pull.merge_commit_sha = None
        bare.delete_ref(f"refs/pull/{number}/merge")
        return
    github = Person(_GITHUB, "noreply@github.com", bare.commit(head).committer.time)
    message = f"Merge {head} into {base}"
    pull.merge_commit_sha = bare.commit_tree(tree, [base, head], message, github, github)
    bare.update_ref(f"refs/pull/{number}/merge", pull.merge_commit_sha)


def close(issue: Issue) -> None:
    """Close an issue or pull request now."""
    issue.state = "closed"
    issue.closed_at = issue.updated_at = now()


def merge(
    bare: Bare, issue: Issue, actor: str, method: str, *, title: str | None, message: str | None
) -> str | None:
    """Merge an open pull request by `merge`, `squash` or `rebase`; return the base's new tip.

    None when the branches conflict; raises LookupError when the base moved meanwhile.
    """
    pull = issue.pull
    if pull is None:
        raise ValueError(f"#{issue.number} is no pull request")
    base, head = pull.tried_base, pull.head_sha
    author = person(actor)
    github = Person(_GITHUB, "noreply@github.com", author.time)
    if method == "rebase":
        new = _rebase(bare, base, head, github)
    else:
        tree = bare.merge_tree(base, head)
        default = _merge_message if method == "merge" else _squash_message
        subject, body = default(bare, issue, pull, base, head)
        text = "\n\n".join(
            part for part in (title or subject, body if message is None else message) if part
        )
        parents = [base, head] if method == "merge" else [base]
        new = None if tree is None else bare.commit_tree(tree, parents, text, author, github)
    if new is None:
        return None
    if not bare.update_ref(f"refs/heads/{pull.base}", new, base):
        raise LookupError(pull.base)
    bare.delete_ref(f"refs/pull/{issue.number}/merge")
    pull.merged_at, pull.merged_by, pull.merge_commit_sha = now(), actor, new
    close(issue)
    return new


def _merge_message(bare: Bare, issue: Issue, pull: Pull, base: str, head: str) -> tuple[str, str]:
    owner = pull.head_repository.partition("/")[0]
    return f"Merge pull request #{issue.number} from {owner}/{pull.head}", issue.title


def _squash_message(bare: Bare, issue: Issue, pull: Pull, base: str, head: str) -> tuple[str, str]:
    commits = bare.commits(f"{base}..{head}")[::-1]
    if len(commits) == 1:
        subject, _, body = commits[0].message.partition("\n")
        return f"{subject} (#{issue.number})", body.strip()
    body = "\n\n".join(f"* {commit.message}" for commit in commits)
    return f"{issue.title} (#{issue.number})", body


def _rebase(bare: Bare, base: str, head: str, committer: Person) -> str | None:
    tip: str | None = base
    for commit in bare.commits("--no-merges", "--topo-order", f"{base}..{head}")[::-1]:
        if tip is not None:
            tip = bare.cherry_pick(commit, tip, committer)
    return tip
