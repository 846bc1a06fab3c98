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


def _who() -> dict[str, str]:
    return {
        f"GIT_{role}_{part}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
