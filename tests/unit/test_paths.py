"""Paths from outside never raise."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.adapters import paths


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "loop", "loop/x", "a\0b", "\udcff"])
def test_what_cannot_be_there_is_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert not paths.is_file(tmp_path / name)
    assert not paths.is_folder(tmp_path / name)
    assert paths.is_inside(tmp_path / name, tmp_path) is ("\0" not in name)


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "file").touch()
    (top / "out").symlink_to("../file")
    assert paths.is_file(top / "out")
    assert not paths.is_inside(top / "out", top)
    assert not paths.is_inside(top / ".." / "top2", top)
    assert paths.is_inside(top, top)
