"""Whether a kept store's files are as they were: what tells it, and that no file is read for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_gitops.adapters import tool_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, one below another folder, a link, and its manifest."""
    found = tmp_path / "environment"
    (found / "bin").mkdir(parents=True)
    (found / "bin" / "python").symlink_to("/usr/bin/python3")
    (found / "bin" / "tool").write_text("1")
    (found / "odd\nnämé").write_text("2")
    tool_store.record(str(found))
    return found


def difference(folder: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    if monkeypatch is not None:
        monkeypatch.setattr(tool_store, "_hashes", lambda folder: pytest.fail("a file was read"))
    return tool_store.difference(str(folder))


def test_no_file_is_read_where_nothing_was_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert difference(folder, monkeypatch) == ""


def test_a_change_right_after_the_record_is_seen(folder: Path) -> None:
    file = folder / "bin" / "tool"
    for _ in range(200):  # the clock of a file system goes on in steps
        before = file.stat()
        tool_store.record(str(folder))
        with file.open("r+") as opened:  # the same file, of the same size, and seemingly as old
            opened.write("2" if file.read_text() == "1" else "1")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert difference(folder) == "'bin/tool' was changed"


def test_a_file_that_was_only_touched_is_as_it_was(folder: Path) -> None:
    (folder / "bin" / "tool").touch()
    (folder / "odd\nnämé").chmod(0o600)
    assert difference(folder) == ""


def test_a_file_of_the_same_content_in_its_place_is_as_it_was(folder: Path) -> None:
    (folder / "bin" / "new").write_text("1")
    (folder / "bin" / "new").replace(folder / "bin" / "tool")
    assert difference(folder) == ""


def test_what_was_added_removed_or_leads_elsewhere_is_named(folder: Path) -> None:
    (folder / "evil\npth").touch()
    assert difference(folder) == r"'evil\npth' was added"
    (folder / "evil\npth").unlink()
    (folder / "bin" / "tool").unlink()
    assert difference(folder) == "'bin/tool' was removed"
    (folder / "bin" / "tool").symlink_to(folder / "bin" / "python")
    assert difference(folder) == "'bin/tool' was changed"


def test_a_clock_that_was_set_back_costs_the_hashes_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_store, "_goes_on", lambda file, newest: False)
    tool_store.record(str(folder))
    assert difference(folder) == ""
    (folder / "bin" / "tool").write_text("2")
    assert difference(folder) == "'bin/tool' was changed"


@pytest.mark.parametrize("text", ["", "[", "\n[]"])
def test_a_manifest_that_is_none_is_no_manifest(text: str, folder: Path) -> None:
    folder.with_name("environment.manifest").write_text(text)
    assert difference(folder) == "there is no manifest of it"


def test_an_environment_that_is_gone_is_no_failure(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    assert "can't be read: No such file" in difference(folder)
