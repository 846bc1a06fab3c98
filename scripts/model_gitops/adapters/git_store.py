"""A repository that an action makes for a while, to read and write one on a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from model_gitops.adapters import git_settings
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import Credentials
from model_gitops.core.deploy.commit_log import FORMAT, LoggedCommit, read_log

# Since then git can fetch without telling what is here, and without writing FETCH_HEAD.
_ALONE = (2, 31)


def can_ask_alone() -> bool:
    """Whether this git can ask for objects and not say what is here."""
    return git_settings.version() >= _ALONE


def negotiating(how: str) -> dict[str, str]:
    """Return the variables of a fetch that tells what is here in this way, of git's `negotiationAlgorithm`.

    Only where `can_ask_alone`: an older git has all our settings in this variable.
    """
    return {"GIT_CONFIG_PARAMETERS": f"'fetch.negotiationAlgorithm={how}'"}


def bring(git: Git, remote: str, objects: Iterable[str], *, without: str = "blob:none") -> bool:
    """Fetch objects by their hashes, in one request; False where the server does not give them.

    `without` is what is left out below them, as git's `--filter` has it. What is here is not told, where
    git can do so: a server takes a commit for a promise of all that it holds, and would send nothing of it.
    """
    done = git.completed(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
        f"--filter={without}", "--", remote, *objects,
        check=False, env=negotiating("noop") if can_ask_alone() else {},
    )  # fmt: skip
    return done.returncode == 0


def _quoted(value: str) -> str:
    """Return a value as a file of git's settings has it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class Store(Git):
    """A bare repository that leaves out files which nobody asks for. Its remote `origin` is `url`."""

    def __init__(self, directory: Path, url: str, credentials: Credentials) -> None:
        super().__init__(directory, credentials)
        # Whatever kind of hash the account makes new repositories with: the server's is known later.
        self.run("init", "--quiet", "--bare", "--template=", ".", env={"GIT_DEFAULT_HASH": "sha1"})
        # With `safe.bareRepository=explicit` git does not look whether it stands in one.
        self.place = {"GIT_DIR": str(directory.resolve())}
        # A git before 2.28 wants to know what is left out before its first fetch.
        with (directory / "config").open("a", encoding="utf-8", newline="\n") as settings:
            settings.write(
                f"[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tpartialClone = origin\n"
                f'[remote "origin"]\n\turl = {_quoted(url)}\n'
            )

    def remote(self, *args: str, output: IO[bytes] | None = None) -> str:
        """Run a git command that talks to the remote, as `Git.remote`; take its kind of hash for ours."""
        said = super().remote(*args, output=output)
        if args[0] == "ls-remote" and re.search(r"^[0-9a-f]{64}\t", said, re.MULTILINE):
            self.run("config", "extensions.objectFormat", "sha256")
        return said

    def bring(self, objects: Iterable[str], *, without: str = "blob:none") -> bool:
        """Fetch objects from `origin`, as `bring` does."""
        return bring(self, "origin", objects, without=without)

    def forget(self) -> None:
        """Tell a server of nothing that was fetched: it takes a commit for a promise of all its trees.

        It also takes more work to send what is before a commit that is here, than to send all anew.
        """
        listed = self.run("for-each-ref", "--format=delete %(refname)")
        if listed:
            self.run("update-ref", "--stdin", input=listed)
        (self.directory / "shallow").unlink(missing_ok=True)

    def log(self, *words: str) -> list[LoggedCommit]:
        """Return the commits that `git log` tells for these words, in its order."""
        # Into a pipe it would write each commit for itself.
        env = {"GIT_FLUSH": "0"}
        return read_log(self.run("log", "-z", f"--format={FORMAT}", *words, env=env))

    def here_below(self, starts: Sequence[str]) -> list[str]:
        """Return the objects below commits or trees, and these, that are here. None is fetched."""
        words = ("--objects", "--no-object-names", "--missing=allow-any", "--stdin")
        return self.run("rev-list", *words, input="".join(f"{one}\n" for one in starts)).split()

    def has_trees_below(self, tree: str) -> bool:
        """Whether all trees below one that is here are here too. None is fetched."""
        words = ("--objects", "--no-object-names", "--missing=print", "--filter=blob:none")
        return "?" not in self.run("rev-list", *words, tree)

    def tree_of(self, commit: str) -> str:
        """Return the top tree of a commit that is here."""
        return self.run("rev-parse", f"{commit}^{{tree}}").strip()

    def cut_off(self) -> set[str]:
        """Return the commits where the history that was fetched ends, though they have parents."""
        file = self.directory / "shallow"
        return set(file.read_text(encoding="ascii").split()) if file.exists() else set()
