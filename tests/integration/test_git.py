"""Git's adapter, with real repositories."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from model_gitops.adapters import git, gto_registry, process
from model_gitops.core import retry
from model_gitops.errors import ExternalError, RaceError


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "upstream"
    process.run(["git", "init", "--quiet", "-b", "main", folder])
    repository = git.Git(folder)
    for number in range(5):
        repository.run("commit", "--quiet", "--allow-empty", "-m", str(number), env=_who())
        repository.run("tag", "-a", "-m", "one", f"model@v0.0.{number}", env=_who())
    return folder


@pytest.mark.parametrize("depth", [1, 3])
def test_reading_tags_keeps_the_history_that_there_is(
    upstream: Path, tmp_path: Path, depth: int
) -> None:
    checkout = tmp_path / "checkout"
    process.run(
        ["git", "clone", "--quiet", "--no-tags", f"--depth={depth}", upstream.as_uri(), checkout]
    )
    repository = git.Git(checkout)

    assert len(gto_registry.Tags.known(repository).messages("")) == 5
    assert int(repository.run("rev-list", "--count", "HEAD")) >= depth
    assert depth > 1 or repository.is_shallow()


@pytest.mark.parametrize("depth", [[], ["--depth=1"]])
def test_a_branch_that_only_the_remote_has_is_found(
    upstream: Path, tmp_path: Path, depth: list[str]
) -> None:
    git.Git(upstream).run("branch", "staging", "HEAD~2")
    wanted = git.Git(upstream).commit_of("staging")
    checkout = tmp_path / "checkout"
    process.run(["git", "clone", "--quiet", *depth, upstream.as_uri(), checkout])
    repository = git.Git(checkout)

    assert repository.find_commit("staging") == wanted
    assert repository.find_commit("nowhere") is None
    assert repository.find_commit("--upload-pack=touch pwned") is None


@pytest.mark.parametrize(
    "kind", ["shallow", "shallow, and warns", "complete", "empty", "empty, with a commit here"]
)
def test_a_remote_without_any_tag_is_no_failure(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """W18: each new project's first pushes, in a checkout of one commit."""
    server, checkout = tmp_path / "server", tmp_path / "checkout"
    process.run(["git", "init", "--quiet", "--bare", "-b", "main", server])
    if not kind.startswith("empty"):
        process.run(["git", "clone", "--quiet", server, tmp_path / "first"])
        first = git.Git(tmp_path / "first")
        first.run("commit", "--quiet", "--allow-empty", "-m", "1", env=_who())
        first.run("push", "--quiet", "origin", "HEAD:main")
    depth = ["--depth=1"] if kind.startswith("shallow") else []
    process.run(["git", "clone", "--quiet", *depth, server.as_uri(), checkout])
    repository = git.Git(checkout)
    if "warns" in kind:
        # As ssh does of a key that it sees for the first time.
        noisy = tmp_path / "upload-pack"
        noisy.write_text('#!/bin/sh\necho Warning: added >&2\nexec git upload-pack "$@"\n', "utf-8")
        noisy.chmod(0o755)
        repository.run("config", "remote.origin.uploadpack", str(noisy))
    if "here" in kind:
        repository.run("commit", "--quiet", "--allow-empty", "-m", "1", env=_who())
    known = gto_registry.Tags.known(repository)
    assert (known.registry.models, known.messages("")) == ([], {})
    assert "can't be fetched" not in capfd.readouterr().err
    assert repository.find_commit("v1.0") is None


def test_a_git_that_fails_without_a_word_is_told_in_full(tmp_path: Path) -> None:
    process.run(["git", "init", "--quiet", tmp_path])
    repository = git.Git(tmp_path)
    repository.run("remote", "add", "origin", tmp_path.as_uri())
    with pytest.raises(
        process.ProcessError,
        match=r"`git fetch` failed with status 1, and said nothing\. It was started as git fetch --quiet"
        r" --depth=1 origin '\+refs/x/\*:refs/x/\*'",
    ):
        repository.remote("fetch", "--quiet", "--depth=1", "origin", "+refs/x/*:refs/x/*")


class TestWhatARevisionNames:
    """W2: a clone that is two commits ahead, whose server moved on too."""

    @pytest.fixture
    def clone(self, upstream: Path, tmp_path: Path) -> git.Git:
        theirs = git.Git(upstream)
        theirs.run("branch", "staging", "HEAD~2")
        process.run(["git", "clone", "--quiet", upstream.as_uri(), tmp_path / "clone"])
        made = git.Git(tmp_path / "clone")
        for number in range(2):
            made.run("commit", "--quiet", "--allow-empty", "-m", f"mine {number}", env=_who())
        made.run("tag", "v1.0", "HEAD~1")
        return made

    @pytest.mark.parametrize("job", ["true", ""])
    @pytest.mark.parametrize(
        "revision", ["HEAD", "@", "HEAD~1", "HEAD^", "@~2", "HEAD~3", "@{0}", "v1.0", "v1.0^",
                     "refs/tags/v1.0", "tags/v1.0", "main~1", "main^", "main@{1}"],
    )  # fmt: skip
    def test_an_expression_and_a_tag_mean_what_git_says_here(
        self, clone: git.Git, revision: str, job: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", job)
        assert clone.find_commit(revision) == clone.run(
            "rev-parse", "--verify", f"{revision}^{{commit}}"
        ).strip()  # fmt: skip

    def test_a_commit_may_be_named_by_its_message(self, clone: git.Git) -> None:
        assert clone.find_commit(":/mine 0") == clone.commit_of("HEAD~1")
        assert clone.find_commit("HEAD^{/mine 0}") == clone.commit_of("HEAD~1")
        assert clone.find_commit(":/nobody wrote this") is None

    def test_a_branch_is_the_servers_in_a_job_and_gits_by_hand(
        self, clone: git.Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = clone.run("rev-parse", "refs/heads/main").strip()
        server = clone.run("rev-parse", "refs/remotes/origin/main").strip()
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        for revision in ("main", "refs/heads/main", "origin/main", "refs/remotes/origin/main"):
            assert clone.find_commit(revision) == server, revision
        monkeypatch.setenv("GITHUB_ACTIONS", "")
        assert clone.find_commit("main") == clone.find_commit("refs/heads/main") == here
        assert clone.find_commit("main", server_first=True) == server
        for revision in ("origin/main", "refs/remotes/origin/main"):
            assert clone.find_commit(revision) == server, revision

    @pytest.mark.parametrize("job", ["true", ""])
    def test_what_only_the_server_has_is_fetched(
        self, clone: git.Git, upstream: Path, job: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", job)
        theirs = git.Git(upstream)
        theirs.run("commit", "--quiet", "--allow-empty", "-m", "later", env=_who())
        theirs.run("branch", "later")
        theirs.run("tag", "later-tag")
        later = theirs.commit_of("HEAD")
        for revision in ("later", "origin/later", "refs/heads/later", "later-tag", str(later)):
            assert clone.find_commit(revision) == later, revision

    @pytest.mark.parametrize("job", ["true", ""])
    def test_what_is_nowhere_is_not_taken_for_the_servers(
        self, clone: git.Git, job: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", job)
        # Seven commits are here; the server's default branch has five.
        for revision in ("HEAD~9", "@{u}~9", "ORIG_HEAD", "HEAD:x", "a..b", "0" * 40, "x~1", "a b"):
            assert clone.find_commit(revision) is None, revision

    def test_a_branch_that_is_named_as_a_commit_is_not_taken_for_it(
        self, clone: git.Git, upstream: Path
    ) -> None:
        name = "ab" * 20
        process.run(
            ["git", "-C", upstream, "update-ref", f"refs/heads/{name}", "HEAD"]
        )  # git branch refuses it, a server may not
        clone.run("fetch", "--quiet", "origin")
        assert clone.find_commit(name) is None

    def test_a_tag_does_not_stand_in_for_a_branch_of_its_name(
        self, clone: git.Git, upstream: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a job that checked out another branch alone, all tags are fetched."""
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        clone.run("update-ref", "-d", "refs/remotes/origin/staging")
        clone.run("tag", "staging", "HEAD")
        assert clone.find_commit("staging") == git.Git(upstream).commit_of("refs/heads/staging")


def test_a_server_that_is_not_there_is_no_missing_revision(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: pauses.append(attempt) or 0.0)
    process.run(["git", "clone", "--quiet", upstream.as_uri(), tmp_path / "checkout"])
    repository = git.Git(tmp_path / "checkout")
    # Nobody listens at port 1.
    repository.run("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    with pytest.raises(process.ProcessError, match=r"127\.0\.0\.1 port 1"):
        repository.find_commit("staging")
    assert len(pauses) == retry.ATTEMPTS - 1


def test_only_git_s_own_old_locks_are_removed(upstream: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git.Git(upstream).run("worktree", "add", "--quiet", "--detach", str(work))
    (upstream / "link.lock").symlink_to(upstream / ".git/HEAD")
    own = [upstream / ".git/refs/x.lock", upstream / ".git/worktrees/work/index.lock"]
    others = [upstream / "dvc.lock", work / "dvc.lock", tmp_path / "x.lock"]
    for file in (*own, *others):
        file.touch()
        os.utime(file, (time.time() - 600,) * 2)
    for file in (*own, *others, Path(".git/../dvc.lock"), Path("link.lock")):
        for place in (upstream, work):
            told = f"fatal: Unable to create '{file}': File exists."
            git.Git(place).remove_stale_lock(told)
    assert [file for file in own if file.exists()] == []
    assert [file for file in others if not file.exists()] == []
    assert (upstream / ".git/HEAD").exists()


def test_a_lost_race_is_told_by_the_line_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RACE_SECONDS", 0.0)
    monkeypatch.setattr(retry.Race, "pause", lambda race, took, jitter: 0.0)

    def lose() -> None:
        raise git.LostRace("To x\n!\ta:a\t[rejected] (fetch first)\nDone\n")

    with pytest.raises(RaceError, match=r"git said: !\sa:a\s\[rejected\] \(fetch first\)"):
        git.until_won(lose, "a push")


def _who() -> dict[str, str]:
    return {
        f"GIT_{role}_{part}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 18])
def test_many_objects_are_read_in_whole_parts(
    upstream: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(git, "_CHUNK", size)
    repository = git.Git(upstream)
    contents = [b"", b"plain\n", bytes(range(256)) * 40, b"no end of line", b"\n\n"]
    names = []
    for number, one in enumerate(contents):
        file = upstream / f"file{number}"
        file.write_bytes(one)
        names.append(repository.run("hash-object", "-w", "--", str(file)).strip())

    read = [
        one
        for some in repository.object_chunks("\n".join(names).encode())
        for one in re.split(rb"[0-9a-f]{32}\n", some)[1:]
    ]
    assert read == [one + b"\n" for one in contents]
    assert list(repository.object_chunks(b"")) == []


def test_an_object_that_is_not_here_is_no_empty_one(upstream: Path) -> None:
    repository = git.Git(upstream)
    here, gone = repository.run("rev-parse", "HEAD").strip(), "0" * 39 + "1"
    with pytest.raises(ExternalError, match=r"git can't read the files of .*upstream \(1\)"):
        list(repository.object_chunks(f"{here}\n{gone}".encode()))
    tree = repository.run("rev-parse", "HEAD^{tree}").strip()
    assert repository.trees_of([gone, here]) == f"{tree}\n".encode()
