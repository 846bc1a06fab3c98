"""New Git repositories on disk: made whole in a folder beside, then moved to their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from model_gitops.adapters import paths, scratch
from model_gitops.adapters.git import BOT_EMAIL, BOT_NAME, Git
from model_gitops.core.scaffold.render import File
from model_gitops.errors import ExternalError, InputError

# Of the folders beside, which `adapters.scratch` makes and, after a kill, removes.
_PREFIX = ".model-gitops-new-"


def absolute(value: str) -> Path:
    """Return the path of a folder that may not be there, its links followed.

    A shell leaves `~` as it is in `--to=~/churn`, and so does a person who is asked.
    """
    return Path(os.path.realpath(os.path.expanduser(value)))  # noqa: PTH111 - never raises


def beside(name: str, value: str, stack: ExitStack) -> Path:
    """Return the path of a folder to be, beside the one that input `name` means; removed at the end.

    Raises InputError where nothing can be written there.
    """
    there = next(one for one in absolute(value).parents if one.is_dir())
    try:
        return stack.enter_context(scratch.folder(_PREFIX, there)) / "repository"
    except OSError as error:
        raise InputError.of(
            name,
            value,
            f"no folder can be made in {there}: {error.strerror}",
            fix=f"--{name}: a folder below one that you may write",
        ) from error


def check_target(name: str, value: str) -> Path:
    """Return the folder that input `name` means: it is not there yet, or empty. Raises InputError."""
    target = absolute(value)
    try:
        if paths.is_folder(target) and not any(target.iterdir()):
            return target
        there = os.path.lexists(target)
    except OSError as error:
        raise InputError.of(name, value, f"it can't be read: {error.strerror}") from error
    above = next((one for one in target.parents if os.path.lexists(one)), target)
    if not paths.is_folder(above):
        raise InputError.of(
            name, value, f"{above} is a file", fix=f"--{name}: a folder that is not there yet"
        )
    if there:
        fix = f"--{name}: a folder that is not there yet"
        if not paths.is_folder(target):
            raise InputError.of(name, value, "it is a file", fix=fix)
        if [one.name for one in target.iterdir()] == [".git"]:
            # What many do first: make the repository on the server, and clone it.
            raise InputError.of(
                name, value, "it is a Git repository already, without a file",
                fix=f"{fix}. How to push it to the server's empty repository is said at the end",
            )  # fmt: skip
        raise InputError.of(name, value, "it is there already, and not empty", fix=fix)
    return target


def outer_repository(target: Path) -> Path | None:
    """Return the top of the Git checkout that a new folder would lie in; None where it lies in none."""
    return next((one for one in target.parents if (one / ".git").exists()), None)


def make(folder: Path, files: Mapping[str, File], *, branches: Sequence[str], message: str) -> bool:
    """Make a Git repository of `files` in `folder`: one commit, which all `branches` name.

    Returns whether Git knows who commits; else the commit is ours. Raises ExternalError.
    """
    folder.mkdir()
    write(folder, files)
    git = Git(folder)
    git.run("init", "--quiet")
    # What git's own template has, which is left out here: people and tools expect these two.
    for name in ("hooks", "info"):
        (folder / ".git" / name).mkdir(exist_ok=True)
    git.run("symbolic-ref", "HEAD", f"refs/heads/{branches[0]}")
    # By force: what a person's own .gitignore leaves out everywhere is a part of the template too.
    git.run("add", "--all", "--force")
    known = all(
        git.completed(
            "-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT", check=False
        ).returncode
        == 0
        for role in ("AUTHOR", "COMMITTER")
    )
    ours = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", BOT_NAME), ("EMAIL", BOT_EMAIL))
    }
    git.run("commit", "--quiet", "--message", message, env={} if known else ours)
    for branch in branches[1:]:
        git.run("branch", "--", branch)
    return known


def write(folder: Path, files: Mapping[str, File]) -> None:
    """Write files below `folder`, which has none of them. Raises ExternalError."""
    for path, file in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            if file.executable:
                target.chmod(target.stat().st_mode | 0o111)
        except OSError as error:
            raise ExternalError(f"{target} can't be written: {error.strerror}") from error


def is_the_same(one: Path, other: Path) -> bool:
    """Whether two folders are repositories of one commit, with the same files and nothing changed."""
    trees: list[str] = []
    for folder in (one, other):
        if not (folder / ".git").is_dir():
            return False
        git = Git(folder)
        if git.run("status", "--porcelain", check=False):
            return False
        if git.run("rev-list", "--count", "HEAD", check=False).strip() != "1":
            return False
        trees.append(git.run("rev-parse", "HEAD^{tree}").strip())
    return trees[0] == trees[1]


def move(made: Path, target: Path) -> None:
    """Move a whole repository to its place, which is not there or empty. Raises ExternalError."""
    try:
        if target.is_dir() and paths.is_inside(Path.cwd(), target):
            # Somebody stands in it: the folder itself stays. `.git` last: what is there before is none.
            for child in sorted(made.iterdir(), key=lambda one: one.name == ".git"):
                shutil.move(child, target / child.name)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.rename(target)
    except OSError as error:
        raise ExternalError(
            f"{target} can't be written: {error.strerror}", fix="give a folder that you may write"
        ) from error
