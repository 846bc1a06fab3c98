"""What the reliability tests count is printed at the end: `numbers("races: 50 writers, 0 lost")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_LINES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def numbers(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line of numbers at the end of the run."""
    lines = request.config.stash.setdefault(_LINES, [])
    return lines.append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was counted."""
    if lines := config.stash.get(_LINES, []):
        terminalreporter.section("reliability")
        for line in lines:
            terminalreporter.write_line(line)
