"""What can go wrong, each with its exit code. Only the command line catches these."""

from __future__ import annotations

from typing import ClassVar


class ActionError(Exception):
    """An expected failure: what happened, and how to mend it.

    `fix` holds the exact thing to do or to type; it is shown on a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\nFix: {self.fix}" if self.fix else self.message


class InputError(ActionError):
    """An input, a file or a name that was given is wrong. Nothing was changed."""

    exit_code = 2

    @classmethod
    def of(cls, name: str, value: object, problem: str, *, fix: str = "") -> InputError:
        """Build the usual sentence, which names the input, its value and the problem."""
        shown = repr(value)
        if len(shown) > 200:
            shown = f"{shown[:200]}… ({len(shown)} characters)"
        return cls(f"input `{name}` is {shown}: {problem}", fix=fix)


class RefusedError(ActionError):
    """A rule says no: the hop, the gate, or the smoke test."""

    exit_code = 3


class ExternalError(ActionError):
    """An outside system failed, after retries where these can help."""

    exit_code = 4


class RaceError(ActionError):
    """Every compare-and-swap was lost to another writer."""

    exit_code = 5
