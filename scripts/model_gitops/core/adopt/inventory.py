"""What an existing repository has, as values: read once, decided on by the rest of this room."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# owner/name at the end of an address of a Git server: https, ssh, and scp's short form.
_ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/]*@)?(?P<host>[^/:]+)(?::\d+)?/|(?:[^@/]+@)?(?P<short>[^/:]+):(?!/))"
    r"(?P<path>.+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Remote:
    """The DVC remote that counts where nothing else is said. `extra` is the package of DVC's it needs."""

    name: str
    url: str
    extra: str = ""


@dataclass(frozen=True)
class Inventory:
    """One repository on disk. All paths are POSIX, from its top.

    `folder` is where adopt was started. `files` gives the text of any file of the checkout, `in_git` are
    those that a commit of everything would have. `changed` are tracked files with changes that nobody
    committed. `dvc_root` is the DVC project's folder, and `remote` its default remote, if it has one.
    """

    folder: str
    name: str
    files: Mapping[str, str]
    in_git: frozenset[str]
    branches: tuple[str, ...] = ()
    default_branch: str = ""
    tags: tuple[str, ...] = ()
    origin: str = ""
    changed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    dvc_root: str = ""
    remote: Remote | None = None
    # What of the models is in the remote: path → whether, None where it could not be asked.
    pushed: Mapping[str, bool | None] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        """Return the text of a file of the checkout, None where there is none."""
        return self.files.get(path)

    @property
    def server(self) -> tuple[str, str, str]:
        """Host, owner and name of the repository on its server; empty where origin names none."""
        found = _ADDRESS.fullmatch(self.origin)
        if not found:
            return "", "", ""
        owner, _, name = found["path"].strip("/").rpartition("/")
        return found["host"] or found["short"], owner.rpartition("/")[2], name
