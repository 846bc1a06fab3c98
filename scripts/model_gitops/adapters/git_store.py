"""A repository that an action makes for a while, to read and write one on a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import Credentials


class Store(Git):
    """A bare repository that leaves out files which nobody asks for. Its remote `origin` is `url`."""

    def __init__(self, directory: Path, url: str, credentials: Credentials) -> None:
        super().__init__(directory, credentials)
        # Whatever kind of hash the account makes new repositories with: the server's is known later.
        self.run("init", "--quiet", "--bare", "--template=", ".", env={"GIT_DEFAULT_HASH": "sha1"})
        # With `safe.bareRepository=explicit` git does not look whether it stands in one.
        self.place = {"GIT_DIR": str(directory.resolve())}
        # A git before 2.28 wants to know what is left out before its first fetch.
        self.run("config", "core.repositoryFormatVersion", "1")
        self.run("config", "extensions.partialClone", "origin")
        self.run("config", "remote.origin.url", url)

    def remote(self, *args: str, output: IO[bytes] | None = None) -> str:
        """Run a git command that talks to the remote, as `Git.remote`; take its kind of hash for ours."""
        said = super().remote(*args, output=output)
        if args[0] == "ls-remote" and re.search(r"^[0-9a-f]{64}\t", said, re.MULTILINE):
            self.run("config", "extensions.objectFormat", "sha256")
        return said
