"""The branch that keeps the pictures of reports: written by plumbing, never checked out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_gitops.adapters import git, git_credentials, scratch
from model_gitops.adapters.git_store import Store

BRANCH = "model-gitops/reports"
_REF = f"refs/heads/{BRANCH}"
_README = """\
# Pictures of reports

The action cml-report keeps here what its comments show. A file is named by its content. This branch
may be deleted at any time: the next report starts it again, and older comments lose their pictures.
"""


def publish(url: str, token: str, files: Sequence[Path]) -> str:
    """Add `files` to the branch at the Git repository `url`; return a commit that has them all.

    Files that are there already are not written again. The user's checkout is not touched. Raises
    ExternalError where the server refuses, RaceError where other writers always were first.
    """
    with scratch.folder("model-gitops-reports-") as folder:
        repository = Store(folder, url, git_credentials.token_credentials(url, token))
        return git.until_won(lambda: _attempt(repository, files), f"the branch {BRANCH}")


def _attempt(repository: git.Git, files: Sequence[Path]) -> str:
    tip = ""
    for line in repository.remote("ls-remote", "--", "origin", _REF).splitlines():
        tip = line.split("\t")[0]
    entries: dict[str, str] = {}
    if tip:
        # Only names are needed. A server that can't filter sends the pictures too.
        repository.remote(
            "fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "--", "origin", _REF
        )
        tip = repository.run("rev-parse", "FETCH_HEAD").strip()
        for entry in repository.run("ls-tree", "-z", tip).split("\0"):
            if entry:
                meta, name = entry.split("\t", 1)
                entries[name] = meta
    new = [file for file in files if file.name not in entries]
    if tip and not new:
        return tip
    for file in new:
        blob = repository.run(
            "hash-object", "-w", "--no-filters", "--", str(file.resolve())
        ).strip()
        entries[file.name] = f"100644 blob {blob}"
    if "README.md" not in entries:
        blob = repository.run("hash-object", "-w", "--stdin", input=_README).strip()
        entries["README.md"] = f"100644 blob {blob}"
    listing = "".join(f"{meta}\t{name}\0" for name, meta in entries.items())
    tree = repository.run("mktree", "-z", "--missing", input=listing).strip()
    commit = repository.run(
        "commit-tree", "--no-gpg-sign", *(["-p", tip] if tip else []), "-m", "Add pictures of a report", tree,
        env=repository.identity(),
    ).strip()  # fmt: skip
    # Without force: a tip that moved since it was read is refused, a branch made meanwhile too.
    repository.remote("push", "--quiet", "--no-verify", "--", "origin", f"{commit}:{_REF}")
    return commit
