"""Git's adapter, with real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.adapters import git, process


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
def test_refreshing_tags_keeps_the_history_that_there_is(
    upstream: Path, tmp_path: Path, depth: int
) -> None:
    checkout = tmp_path / "checkout"
    process.run(
        ["git", "clone", "--quiet", "--no-tags", f"--depth={depth}", upstream.as_uri(), checkout]
    )
    repository = git.Git(checkout)

    repository.refresh_tags()

    assert len(repository.tags()) == 5
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


def _who() -> dict[str, str]:
    return {
        f"GIT_{role}_{part}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
