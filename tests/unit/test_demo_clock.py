"""The demo's clock: minutes and whole seconds, as a clock shows them."""

from __future__ import annotations

import pytest

from model_gitops_local.demo import clock


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "00:00"),
        (0.9, "00:00"),
        (59.4, "00:59"),
        (59.5, "00:59"),
        (59.999, "00:59"),
        (60, "01:00"),
        (599.7, "09:59"),
        (600, "10:00"),
        (3599.99, "59:59"),
        (6000.5, "100:00"),
    ],
)
def test_a_minute_has_sixty_seconds(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
