"""Lengths of time."""

from __future__ import annotations

import pytest

from model_gitops.core import duration
from model_gitops.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds", "words"),
    [
        ("90s", 90, "1 min 30 s"),
        ("2h", 7200, "2 h"),
        ("7d", 604800, "7 d"),
        ("0s", 0, "0 s"),
        ("25h", 90000, "1 d 1 h"),
        ("200ms", 0.2, "0 s"),
    ],
)
def test_lengths_of_time(text: str, seconds: float, words: str) -> None:
    assert duration.seconds(text, "soak") == pytest.approx(seconds)
    assert duration.words(seconds) == words


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "1.5h", "2h\n", "٢h", "2H"])
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(InputError, match="soak"):
        duration.seconds(text, "soak")
