"""What of a folder counts as content: the same for any walk, and what changed under a kept hash."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_gitops.adapters import build_context, file_hashes
from model_gitops.core.image import dockerignore
from model_gitops.core.image.content import Entry
from model_gitops.errors import InputError

OLD = time.time_ns() - 3_600_000_000_000
RULES = ("", "*\n!**/*a*\n", "a\n!a/b\n", "**/b*\n!b\n", ".dockerignore\n*/c\n", "*\n!a/**\n!aa\n")


def plainly(root: Path, inside: str = "", parent: tuple[bool, ...] = ()) -> Iterator[Entry]:
    """The recipe as it is written down: one file after the other."""
    rules = dockerignore.parse((root / ".dockerignore").read_text())
    for one in sorted((root / inside).iterdir(), key=lambda path: path.name):
        name = f"{inside}/{one.name}".lstrip("/")
        if name == ".git":
            continue
        ignored, matched = dockerignore.decide(name, rules, parent)
        mode = one.lstat().st_mode
        if stat.S_ISDIR(mode):
            if ignored and not dockerignore.may_hold(name, rules):
                continue
            held = list(plainly(root, name, matched))
            yield from held
            if not held and not ignored:
                yield Entry(name, "folder", "")
        elif ignored:
            continue
        elif stat.S_ISLNK(mode):
            yield Entry(name, "link", hashlib.sha256(os.fsencode(one.readlink())).hexdigest())
        elif stat.S_ISREG(mode):
            kind = "exec" if mode & 0o100 else "file"
            kind += f"{mode & 0o7000:o}" if mode & 0o7000 else ""
            yield Entry(name, kind, hashlib.sha256(one.read_bytes()).hexdigest())


def grow(folder: Path, chance: random.Random, depth: int = 0) -> None:
    """Fill a folder with files, links, pipes and folders with odd names, modes and sizes."""
    folder.mkdir()
    for name in chance.sample(("a", "b", "c", ".git", "a b", "é", "bad\udcff", "b.a"), 5):
        path = folder / name
        kind = chance.choice(("file", "file", "file", "folder", "link", "pipe", "large"))
        if kind == "folder" and depth < 3:
            grow(path, chance, depth + 1)
        elif kind == "link":
            path.symlink_to(chance.choice(("a", "/nowhere", "..", "bad\udcff")))
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            # Around the sizes at which another way of reading begins.
            size = chance.choice((0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1))
            size += chance.choice((0, 1 << 20)) if kind == "large" else 0
            path.write_bytes(chance.randbytes(8) * (size // 8 + 1))
            path.chmod(chance.choice((0o644, 0o600, 0o755, 0o4755, 0o1644)))


@pytest.mark.parametrize("seed", range(12))
def test_each_file_counts_as_the_recipe_says(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    root = tmp_path / "context"
    grow(root, chance)
    (root / ".dockerignore").write_text(RULES[seed % len(RULES)])
    (root / "aa").write_text("which each of the rules lets through")
    found = build_context.entries(root)
    assert found == list(plainly(root))
    assert found


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    for name, size in (("large", 2 << 20), ("small", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
        seen = {str(tmp_path / name): (tmp_path / name).lstat()}
        (tmp_path / name).unlink()  # gone between the two looks
        with pytest.raises(file_hashes.Unreadable) as caught:
            file_hashes.hashes(seen, tmp_path)
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(InputError, match=f"the file '{tmp_path}/none' of the build context"):
        build_context.entries(tmp_path / "none")


class TestInAJob:
    """A hash is kept for the steps of one job, beside the environment that they run."""

    @pytest.fixture
    def context(self, tmp_path: Path) -> Path:
        (tmp_path / "context").mkdir()
        return tmp_path / "context"

    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        store = tmp_path / "temporary" / "model-gitops"
        store.mkdir(parents=True, mode=0o700)
        monkeypatch.setenv("RUNNER_TEMP", str(store.parent))
        monkeypatch.setattr(sys, "prefix", str(store / "environment"))
        return store

    @pytest.fixture(autouse=True)
    def settled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No test sleeps until its files are old enough; that they must be is a test of its own."""
        monkeypatch.setattr(file_hashes, "_SETTLED_NS", -1)

    def kept(self, store: Path) -> list[str]:
        (file,) = store.glob("hashes-*")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        count = file.stat().st_size // 80
        hashes = file.read_bytes()[count * 48 :]
        return [hashes[at : at + 32].hex() for at in range(0, count * 32, 32)]

    def poison(self, store: Path) -> None:
        """Let each kept hash be another, so that it shows where one is taken."""
        (file,) = store.glob("hashes-*")
        count = file.stat().st_size // 80
        file.write_bytes(file.read_bytes()[: count * 48] + b"\0" * 32 * count)

    def hashes(self, context: Path) -> list[str]:
        return [one.sha256 for one in build_context.entries(context)]

    def test_a_second_step_reads_no_file(self, context: Path, store: Path) -> None:
        for name in ("a", "b"):
            (context / name).write_text(name)
        first = self.hashes(context)
        assert sorted(self.kept(store)) == sorted(first)
        assert self.hashes(context) == first
        self.poison(store)
        assert self.hashes(context) == ["00" * 32] * 2

    @pytest.mark.parametrize(
        "moment", [-1_800_000_000 * 10**9, 0, 10_000_000_000 * 10**9, 15_000_000_000 * 10**9]
    )
    def test_a_file_of_any_time_is_kept(self, moment: int, context: Path, store: Path) -> None:
        (context / "a").write_text("one")
        try:
            os.utime(context / "a", ns=(moment, moment))
        except OverflowError:
            pytest.skip("this Python sets no such time")
        assert self.hashes(context) == self.hashes(context) == self.kept(store)

    @pytest.mark.parametrize("way", ["content", "replaced", "mode", "moved over", "grown"])
    def test_a_file_that_changed_is_read(self, way: str, context: Path, store: Path) -> None:
        file = context / "a"
        file.write_text("one")
        os.utime(file, ns=(OLD, OLD))
        self.hashes(context)
        self.poison(store)
        self.until_the_clock_ticked(context)
        if way == "content":  # of the same size, and seemingly as old
            file.write_text("two")
        elif way == "replaced":
            file.unlink()
            file.write_text("two")
        elif way == "mode":
            file.chmod(0o755)
        elif way == "moved over":
            (context.parent / "two").write_text("two")
            (context.parent / "two").replace(file)
        else:
            file.write_text("three")
        os.utime(file, ns=(OLD, OLD))
        assert self.hashes(context) == [hashlib.sha256(file.read_bytes()).hexdigest()]

    def until_the_clock_ticked(self, folder: Path) -> None:
        """Wait until the file system's clock has gone on, as it does in a few milliseconds."""
        file = folder.parent / "clock"
        file.write_text("")
        before = file.stat().st_ctime_ns
        while file.stat().st_ctime_ns == before:
            file.write_text("")

    def test_a_young_file_is_not_kept(
        self, context: Path, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Within a tick of the clock a change leaves the time as it is."""
        monkeypatch.undo()
        monkeypatch.setenv("RUNNER_TEMP", str(store.parent))
        monkeypatch.setattr(sys, "prefix", str(store / "environment"))
        (context / "a").write_text("one")
        self.hashes(context)
        assert self.kept(store) == []

    def test_a_file_that_changes_while_it_is_read_is_not_kept(
        self, context: Path, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (context / "a").write_text("one")
        read = file_hashes._sha256

        def reads(path: str, buffer: bytearray) -> str:
            found = read(path, buffer)
            self.until_the_clock_ticked(context)
            Path(path).write_text("two")
            return found

        monkeypatch.setattr(file_hashes, "_sha256", reads)
        self.hashes(context)
        assert self.kept(store) == []

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "\0", "\0" * 80, "\0" * 81],
    )
    def test_a_file_of_hashes_that_is_none_counts_as_empty(
        self, text: str, context: Path, store: Path
    ) -> None:
        (context / "a").write_text("one")
        first = self.hashes(context)
        (file,) = store.glob("hashes-*")
        file.write_text(text)
        assert self.hashes(context) == first

    @pytest.mark.parametrize("way", ["kept store", "no job", "others may write", "a link"])
    def test_none_is_kept_where_the_environment_is_not_the_jobs(
        self, way: str, context: Path, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (context / "a").write_text("one")
        self.hashes(context)
        self.poison(store)
        if way == "kept store":
            monkeypatch.setattr(sys, "prefix", str(store.parent.parent / "kept" / "environment"))
        elif way == "no job":
            monkeypatch.delenv("RUNNER_TEMP")
        elif way == "others may write":
            store.chmod(0o777)
        else:
            store.rename(store.parent / "elsewhere")
            store.symlink_to("elsewhere")
        assert self.hashes(context) == [hashlib.sha256(b"one").hexdigest()]

    def test_each_folder_has_its_own(self, context: Path, store: Path) -> None:
        for name in ("one", "two"):
            (context / name).mkdir()
            (context / name / "a").write_text(name)
            self.hashes(context / name)
        assert len(list(store.glob("hashes-*"))) == 2
