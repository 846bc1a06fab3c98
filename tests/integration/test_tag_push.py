"""Tags are pushed from a repository of their own: what the server gets, and what the checkout's settings say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_gitops.adapters import git, gto_writer, process, tag_push

WHO = {
    f"GIT_{role}_{part}": f"ada{'@example.org' if part == 'EMAIL' else ''}"
    for role in ("AUTHOR", "COMMITTER")
    for part in ("NAME", "EMAIL")
}


@pytest.fixture(autouse=True)
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def work(tmp_path: Path) -> git.Git:
    """A clone with a commit that its server has, and the tag of a version there."""
    process.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "server.git"])
    process.run(["git", "clone", "--quiet", (tmp_path / "server.git").as_uri(), tmp_path / "work"])
    work = git.Git(tmp_path / "work")
    (work.directory / "file").write_text("1\n", "utf-8")
    work.run("add", "file")
    commit(work)
    work.run("push", "--quiet", "origin", "HEAD:main")
    return work


def commit(work: git.Git) -> str:
    work.run("commit", "--quiet", "--allow-empty", "-m", "a commit")
    return work.run("rev-parse", "HEAD").strip()


def head(work: git.Git) -> str:
    return work.run("rev-parse", "HEAD").strip()


def tag(work: git.Git, name: str = "m@v0.0.1") -> str:
    return gto_writer.make_tag(work, name, head(work), name, 1_700_000_000)


def on_server(work: git.Git) -> list[str]:
    return sorted(work.remote_refs("origin", "refs/tags/*"))


def push(work: git.Git, made: str, holds: list[str], name: str = "m@v0.0.1") -> str:
    refs = [f"{made}:refs/tags/{name}"]
    return tag_push.push(work, "origin", ["--porcelain", "--atomic"], refs, holds)


@pytest.fixture
def from_checkout(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each push was the checkout's own, as they come."""
    told: list[bool] = []
    completed = git.Git.completed

    def watched(self: git.Git, *args: str, **more: object) -> process.Completed:
        if args[0] == "push":
            told.append("GIT_DIR" not in self.place)
        return completed(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(git.Git, "completed", watched)
    return told


def test_the_server_gets_the_tags_and_nothing_else(
    work: git.Git, from_checkout: list[bool]
) -> None:
    first = tag(work)
    told = push(work, first, [head(work), first])
    assert "[new tag]" in told and from_checkout == [False]
    assert on_server(work) == ["refs/tags/m@v0.0.1"]
    server = git.Git(work.directory.parent / "server.git")
    assert server.run("rev-parse", "m@v0.0.1").strip() == first
    server.run("fsck", "--strict", "--full")
    assert "up to date" in push(work, first, [head(work), first])


def test_the_branch_moved_on_meanwhile(work: git.Git, from_checkout: list[bool]) -> None:
    """Then the server no longer tells that it has the commit: the checkout, which has all, pushes."""
    first, was = tag(work), head(work)
    commit(work)
    work.run("push", "--quiet", "origin", "HEAD:main")
    assert "[new tag]" in push(work, first, [was, first])
    assert from_checkout[1:] == [False, True]  # the first is the branch's
    assert on_server(work) == ["refs/tags/m@v0.0.1"]


@pytest.mark.parametrize("holds", [True, False])
def test_a_lost_race_is_told_at_once(work: git.Git, from_checkout: list[bool], holds: bool) -> None:
    work.run("push", "--quiet", "origin", f"{tag(work, 'other')}:refs/tags/m@v0.0.1")
    made = tag(work)
    with pytest.raises(git.LostRace):
        push(work, made, [head(work), made] if holds else [])
    assert from_checkout[1:] == [not holds]


def test_a_commit_that_the_server_has_not_goes_with_its_tags(work: git.Git) -> None:
    new = commit(work)
    push(work, tag(work), [])
    assert git.Git(work.directory.parent / "server.git").commit_of("m@v0.0.1") == new


def test_the_checkouts_own_settings_say_the_way(
    work: git.Git, tmp_path: Path, from_checkout: list[bool]
) -> None:
    """As actions/checkout leaves them: in a file that is included for this place alone."""
    (tmp_path / "way").write_text(
        f'[url "{tmp_path.as_uri()}/"]\n\tinsteadOf = nowhere:\n', "utf-8"
    )
    place = (work.directory / ".git").resolve()
    work.run("config", f"includeIf.gitdir:{place}.path", str(tmp_path / "way"))
    for number, url in enumerate(
        ("nowhere:server.git", "../server.git", str(tmp_path / "server.git"))
    ):
        work.run("config", "remote.origin.url", url)
        made = tag(work, f"m@v0.0.{number}")
        push(work, made, [head(work), made], f"m@v0.0.{number}")
    assert from_checkout == [False] * 3
    assert len(on_server(work)) == 3


def test_a_shallow_checkout_without_files(
    work: git.Git, tmp_path: Path, from_checkout: list[bool]
) -> None:
    commit(work)
    work.run("push", "--quiet", "origin", "HEAD:main")
    url = (tmp_path / "server.git").as_uri()
    git.Git(tmp_path / "server.git").run("config", "uploadpack.allowFilter", "true")
    process.run(
        [
            "git",
            "clone",
            "--quiet",
            "--depth=1",
            "--filter=tree:0",
            "--no-checkout",
            url,
            tmp_path / "small",
        ]
    )
    small = git.Git(tmp_path / "small")
    made = tag(small)
    push(small, made, [head(small), made])
    assert from_checkout[1:] == [False]
    git.Git(tmp_path / "server.git").run("fsck", "--strict", "--full")


def test_what_the_account_says_of_this_place_alone_is_heeded(
    work: git.Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_checkout: list[bool]
) -> None:
    """Another key or another server for the clones in a folder, as people with two accounts have it."""
    process.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "other.git"])
    (tmp_path / "way").write_text(
        f'[url "{(tmp_path / "other.git").as_uri()}"]\n'
        f"\tinsteadOf = {(tmp_path / 'server.git').as_uri()}\n",
        "utf-8",
    )
    place = (work.directory / ".git").resolve()
    (tmp_path / "account").write_text(
        f'[includeIf "gitdir:{place}"]\n\tpath = {tmp_path / "way"}\n', "utf-8"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "account"))
    made = tag(work)
    push(work, made, [head(work), made])
    assert from_checkout == [True]
    assert git.Git(tmp_path / "other.git").commit_of("m@v0.0.1") == head(work)
    assert not git.Git(tmp_path / "server.git").commit_of("m@v0.0.1")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[str]:
    here = tmp_path.stat().st_dev
    for folder in map(Path, ("/dev/shm", "/tmp", "/var/tmp")):
        if folder.is_dir() and folder.stat().st_dev != here:
            with tempfile.TemporaryDirectory(dir=folder) as made:
                yield made
            return
    pytest.skip("there is one disk alone")


def test_temporary_files_may_lie_on_another_disk(
    work: git.Git,
    other_disk: str,
    monkeypatch: pytest.MonkeyPatch,
    from_checkout: list[bool],
) -> None:
    """As in a container, whose work folder is the machine's: git can't move a pack from there."""
    monkeypatch.setattr(tempfile, "tempdir", other_disk)
    made = tag(work)
    push(work, made, [head(work), made])
    assert from_checkout == [False]
    assert on_server(work) == ["refs/tags/m@v0.0.1"]
    assert not list((work.directory / ".git/objects/pack").iterdir())


def test_what_is_not_here_is_pushed_by_the_checkout(
    work: git.Git, from_checkout: list[bool]
) -> None:
    made = tag(work)
    push(work, made, [head(work), "f" * 40, made])
    assert from_checkout == [True]
