"""Paths from outside never raise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_gitops.actions.cml_report import _read_body
from model_gitops.adapters import paths, promotion_file
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.errors import InputError


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


@pytest.fixture(params=["folder", "pipe", "device"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What has no end, or never begins to be read."""
    path = tmp_path / "promotion.yaml"
    if request.param == "folder":
        path.mkdir()
    elif request.param == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


def test_only_a_file_is_read_and_only_so_much_of_it(no_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no file"):
        paths.read_bounded(no_file, 10)
    with pytest.raises(FileNotFoundError):
        paths.read_bounded(tmp_path / "none", 10)
    (tmp_path / "long").write_bytes(bytes(100))
    assert len(paths.read_bounded(tmp_path / "long", 10)) == 11


def test_a_promotion_yaml_without_end_is_bad_input(
    no_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="can't be read: it is no file"):
        promotion_file.read_promotion(no_file, Git(tmp_path))
    monkeypatch.setattr(document, "LARGEST_YAML", 10)
    (tmp_path / "long.yaml").write_text("a: 3456789012")
    with pytest.raises(InputError, match="more than 10 bytes"):
        promotion_file.read_promotion(tmp_path / "long.yaml", Git(tmp_path))


def test_a_body_without_end_is_bad_input(no_file: Path) -> None:
    with pytest.raises(InputError, match=r"input `body` .*no file"):
        _read_body(str(no_file))
