"""Numbers in the rows of a verification."""

from __future__ import annotations


def milliseconds(seconds: float) -> str:
    """Return a time in words, with four digits: `312.4 ms`, `4.213 ms`, `12,300 ms`."""
    value = seconds * 1000
    return f"{value:,.0f} ms" if value >= 1000 else f"{value:.4g} ms"


def share(value: float) -> str:
    """Return a share in per cent, with four digits: `1 %`, `2.041 %`."""
    return f"{value * 100:.4g} %"
