"""What a build is doing, from the plain progress that BuildKit writes."""

from __future__ import annotations

import re

# The line 0 tells of the builder, and never ends.
_LINE = re.compile(r"#([1-9]\d*) (.+)")
_ENDED = re.compile(r"DONE\b|CACHED\b|ERROR\b|CANCELED\b")
# What these lines tell of waits for a registry, and for nothing of the user's.
_ASKS_REGISTRY = re.compile(
    r"\[internal\] load metadata for |\[[^\]]*\] FROM |\[auth\] |resolve |sha256:[0-9a-f]{64} "
    r"|extracting |pushing |importing cache |exporting cache |writing (?:layer|manifest|config) "
)


class Progress:
    """Follows a build's lines: whether all that is going on waits for a registry."""

    def __init__(self) -> None:
        self._asks: dict[str, bool] = {}

    def feed(self, line: str) -> None:
        """Take the next line of the progress."""
        if not (found := _LINE.match(line)):
            return
        number, text = found.groups()
        if _ENDED.match(text):
            self._asks.pop(number, None)
        else:
            # The last line counts: an export makes its layers first, and then pushes them.
            self._asks[number] = _ASKS_REGISTRY.match(text) is not None

    @property
    def waits(self) -> bool:
        """Whether something is going on, and all of it waits for a registry."""
        return bool(self._asks) and all(self._asks.values())
