"""Objects of a DVC remote, by their hash: what each kind of remote that is read without DVC gives."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class NotSure(Exception):
    """It can't be done here with certainty: DVC must. The text says why, and has nothing secret in it."""


class Reader(Protocol):
    """An object that is read once, from its start."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into `buffer`; return how many bytes, 0 at the end."""


class Remote(Protocol):
    """Where objects are."""

    @property
    def shown(self) -> str:
        """What messages call it."""

    @property
    def at_once(self) -> int:
        """How many objects to read at once, where nobody says it."""

    def open(self, md5: str) -> AbstractContextManager[Reader]:
        """Open the object of a hash. Raises NotSure, and OSError (FileNotFoundError among them)."""

    def has(self, md5: str) -> bool:
        """Whether the object of a hash is surely there, and whole as far as DVC would look."""
