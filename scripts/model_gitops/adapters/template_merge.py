"""A later template, merged into a repository that was rendered from an earlier one.

A three-way merge by Git itself: the base is the earlier template with the repository's own answers, one
side what the repository has, the other the later template with the same answers. Nothing of the checkout
is touched before the result is whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import git_settings, new_repository, process, scratch
from model_gitops.adapters.git import BOT_EMAIL, BOT_NAME, Git
from model_gitops.core.scaffold.render import File
from model_gitops.errors import InputError

# `git merge-tree --write-tree` is of 2.38.
_LOWEST = (2, 38)
_CONFLICTS = 1
_WE = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", BOT_NAME), ("EMAIL", BOT_EMAIL))
}


@dataclass(frozen=True)
class Merged:
    """What the merge gives: a tree, and for each conflict Git's own entries of its index.

    `kept_away` are files that were deleted here and changed in the template: they stay deleted.
    """

    tree: str
    conflicts: Mapping[str, tuple[str, ...]]
    kept_away: tuple[str, ...]
    ours: str
    theirs: str

    def told(self) -> list[str]:
        """Return the files that conflict, and how where it is not by their lines."""
        how = {
            frozenset("12"): " (the template deletes it)",
            frozenset("1"): " (both rename it)",
            frozenset("2"): " (its name here)",
            frozenset("3"): " (its name in the template)",
        }
        return [
            f"{path}{how.get(frozenset(_stages(entries)), '')}"
            for path, entries in self.conflicts.items()
        ]


def check(git: Git) -> None:
    """Raise InputError unless the checkout has a commit and nothing that is not committed."""
    if git_settings.version() < _LOWEST:
        found = ".".join(map(str, git_settings.version()))
        raise InputError(
            f"the git on this machine is {found}, and this merge needs 2.38",
            fix="install a newer git: https://git-scm.com/downloads",
        )
    if git.commit_of("HEAD") is None:
        raise InputError(f"{git.directory} has no commit yet", fix="git add . && git commit")
    changed = git.run("status", "--porcelain").splitlines()
    if changed:
        shown = ", ".join(line[3:] for line in changed[:5]) + (" …" if len(changed) > 5 else "")
        raise InputError(
            f"{git.directory} has changes that are not committed: {shown}",
            fix="git commit them, or put them away for the time: git stash --include-untracked",
        )


def merge(git: Git, earlier: Mapping[str, File], later: Mapping[str, File]) -> Merged:
    """Merge what changed between two renders into what HEAD has. The checkout stays as it is."""
    base = _commit(git, _tree(git, earlier))
    ours = _commit(git, "HEAD^{tree}", base)
    theirs = _commit(git, _tree(git, later), base)
    done = git.completed(
        "merge-tree", "--write-tree", "--no-messages", "-z", ours, theirs, check=False
    )
    if done.returncode not in (0, _CONFLICTS):
        raise process.ProcessError(done)
    tree, *entries = done.stdout.split("\0")
    conflicts: dict[str, tuple[str, ...]] = {}
    for entry in filter(None, entries):
        _, _, path = entry.partition("\t")
        conflicts[path] = (*conflicts.get(path, ()), entry)
    # Stages are 1 the base, 2 ours, 3 theirs. Whoever deleted a file here does not want it back.
    away = tuple(path for path, found in conflicts.items() if _stages(found) == {"1", "3"})
    if away:
        tree = _without(git, tree, away)
    kept = {path: found for path, found in conflicts.items() if path not in away}
    return Merged(tree, kept, away, ours, theirs)


def difference(git: Git, merged: Merged) -> str:
    """Return what the merge would change in HEAD, as a diff."""
    shown = git.run("diff", "--no-ext-diff", "--no-textconv", "HEAD", merged.tree)
    return _readable(shown, merged, "the templates")


def apply(git: Git, merged: Merged, *, label: str) -> None:
    """Write the result into the checkout and its index, not committed.

    A conflict has Git's marks, `label` at its end, and is one in the index too. Raises InputError, with
    nothing changed, where a new file would replace one that Git does not know.
    """
    added = git.run(
        "diff", "-z", "--no-renames", "--name-only", "--diff-filter=A", "HEAD", merged.tree
    ).split("\0")[:-1]
    in_the_way = [path for path in added if os.path.lexists(git.directory / path)]
    if in_the_way:
        raise InputError(
            f"the template has {', '.join(in_the_way)} now, and files of that name are here, not in Git",
            fix="git add them, or move them away",
        )
    git.run("read-tree", "-m", "-u", "HEAD", merged.tree)
    if merged.conflicts:
        # A sparse checkout leaves files out; whoever solves a conflict needs them.
        absent = [
            path
            for path, entries in merged.conflicts.items()
            if {"2", "3"} & _stages(entries) and not os.path.lexists(git.directory / path)
        ]
        git.run(
            "checkout-index", "-z", "--quiet", "--ignore-skip-worktree-bits", "--stdin",
            input="".join(f"{path}\0" for path in absent), check=False,
        )  # fmt: skip
        lines = [f"0 {'0' * 40}\t{path}" for path in merged.conflicts]
        lines += [entry for entries in merged.conflicts.values() for entry in entries]
        git.run("update-index", "-z", "--index-info", input="".join(f"{one}\0" for one in lines))
    for path in merged.conflicts:
        file = git.directory / path
        if file.is_file() and not file.is_symlink():
            mode, content = file.stat().st_mode, file.read_bytes()
            readable = content.replace(merged.ours.encode(), b"this repository")
            file.write_bytes(readable.replace(merged.theirs.encode(), label.encode()))
            file.chmod(mode)


def _readable(text: str, merged: Merged, label: str) -> str:
    return text.replace(merged.ours, "this repository").replace(merged.theirs, label)


def _stages(entries: tuple[str, ...]) -> set[str]:
    return {entry.partition("\t")[0].rpartition(" ")[2] for entry in entries}


def _tree(git: Git, files: Mapping[str, File]) -> str:
    """Return the tree of these files, in the repository's own objects."""
    with scratch.folder("model-gitops-render-") as folder:
        top = folder / "files"
        top.mkdir()
        new_repository.write(top, files)
        env = {
            "GIT_DIR": _own_folder(git),
            "GIT_WORK_TREE": str(top),
            "GIT_INDEX_FILE": str(folder / "index"),
        }
        # Line ends as the template's own .gitattributes say; whole and with the executable bits, whatever
        # the checkout leaves out.
        settings = ("-c", "core.sparseCheckout=false", "-c", "core.fileMode=true")
        Git(top).run(*settings, "add", "--all", "--force", ".", env=env)
        return Git(top).run("write-tree", env=env).strip()


def _without(git: Git, tree: str, paths: tuple[str, ...]) -> str:
    """Return `tree` without these files."""
    with scratch.folder("model-gitops-render-") as folder:
        env = {"GIT_INDEX_FILE": str(folder / "index")}
        git.run("read-tree", tree, env=env)
        git.run(
            "update-index", "-z", "--force-remove", "--stdin", env=env,
            input="".join(f"{path}\0" for path in paths),
        )  # fmt: skip
        return git.run("write-tree", env=env).strip()


def _commit(git: Git, tree: str, *parents: str) -> str:
    words = [word for parent in parents for word in ("-p", parent)]
    return git.run("commit-tree", "-m", "model-gitops update", *words, tree, env=_WE).strip()


def _own_folder(git: Git) -> str:
    return str(Path(git.run("rev-parse", "--absolute-git-dir").rstrip("\n")))
