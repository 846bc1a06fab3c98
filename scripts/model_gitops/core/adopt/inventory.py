"""What an existing repository has, as values: read once, decided on by the rest of this room."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# owner/name at the end of an address of a Git server: https, ssh, and scp's short form.
_ADDRESS = re.compile(
    r"(?:https?://(?:[^@/]*@)?(?P<web>[^/@]+)/|(?:ssh|git)://(?:[^@/]*@)?(?P<host>[^/:]+)(?::\d+)?/"
    r"|(?:[^@/]+@)?(?P<short>[^/:]+):(?!/))"
    r"(?P<path>.+?)(?:\.git)?/?"
)


class Overlaid(Mapping[str, str]):
    """The files of a checkout as they are to be: `more` (path → text) lies over them."""

    def __init__(self, files: Mapping[str, str], more: Mapping[str, str]) -> None:
        self._files, self._more = files, more

    def __getitem__(self, path: str) -> str:
        return self._more[path] if path in self._more else self._files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._more, *self._files]))

    def __len__(self) -> int:
        return len(list(iter(self)))


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
    committed. `remotes` are the DVC projects' folders with their default remotes, None for none.
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
    remotes: Mapping[str, Remote | None] = field(default_factory=dict)

    def project_of(self, path: str) -> str:
        """Return the folder of the DVC project that `path` is in."""
        inside = [one for one in self.remotes if not one or f"{path}/".startswith(f"{one}/")]
        return max(inside, key=len, default="")

    def remote_of(self, path: str) -> Remote | None:
        """Return the default remote of the DVC project that `path` is in."""
        return self.remotes.get(self.project_of(path))

    def read(self, path: str) -> str | None:
        """Return the text of a file of the checkout, None where there is none."""
        return self.files.get(path)

    @property
    def server(self) -> tuple[str, str, str]:
        """Host (of a web address with its port), owner and name of the repository; empty where origin names none."""
        found = _ADDRESS.fullmatch(self.origin)
        if not found:
            return "", "", ""
        owner, _, name = found["path"].strip("/").rpartition("/")
        return found["web"] or found["host"] or found["short"], owner.rpartition("/")[2], name
