"""The terminal of a person: lines that stay, colours, and one line that says what is waited for."""

from __future__ import annotations

import os
from typing import TextIO

_CLEAR = "\r\x1b[K"
_LONGEST = 70


class Screen:
    """Standard output, and on the terminal of `errors` a line that comes and goes."""

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        self._output = output
        self._errors = errors
        self._is_live = errors.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""
        # https://no-color.org
        self.has_colour = output.isatty() and not os.environ.get("NO_COLOR")

    def print(self, text: str) -> None:
        """Print a line that stays."""
        self.status("")
        self._output.write(f"{text}\n")
        self._output.flush()

    def status(self, text: str) -> None:
        """Say what is waited for; an empty text takes it away. Nothing where nobody looks."""
        if not self._is_live or text == self._shown:
            return
        shown = f"… {text}" if len(text) < _LONGEST else f"… {text[:_LONGEST]}…"
        self._errors.write(_CLEAR + (shown if text else ""))
        self._errors.flush()
        self._shown = text
