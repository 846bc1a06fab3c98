"""A report of a model in a folder says which one: two models' comments never overwrite each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.actions.cml_report import _titled


@pytest.mark.parametrize(
    ("folder", "title", "shown"),
    [
        ("", "Promotion", "Promotion"),
        ("churn", "Promotion", "Promotion: churn"),
        ("eu/net", "Promotion", "Promotion: eu/net"),
        ("churn", "Promotion of churn", "Promotion of churn"),
        # A part of a word or of a path is another one's name.
        ("mot", "Promotion", "Promotion: mot"),
        ("net", "Promotion of eu/net", "Promotion of eu/net: net"),
        ("net", "Promotion of net-2", "Promotion of net-2: net"),
        ("churn", "P" * 200, f"{'P' * 120}: churn"),
    ],
)
def test_the_folder_is_in_the_title(tmp_path: Path, folder: str, title: str, shown: str) -> None:
    place = tmp_path / folder / "promotion.yaml"
    assert _titled(title, place, tmp_path) == title[:120]  # a DVC project without a flow
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("", "utf-8")
    assert _titled(title, place, tmp_path) == shown
