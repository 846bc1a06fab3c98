"""What the reliability tests count is printed at the end: `numbers("races: 50 writers, 0 lost")`."""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import DEPLOY, KUSTOMIZATION, MODEL, OVERLAY, PROJECT, TOKEN
from kills import repository

from model_gitops.adapters import process
from model_gitops.core import retry
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

# Their assertions are shown as those of a test.
pytest.register_assert_rewrite("hostile_arena", "spy")
_LINES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def numbers(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line of numbers at the end of the run."""
    lines = request.config.stash.setdefault(_LINES, [])
    return lines.append


@pytest.fixture(scope="session")
def survived(numbers: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Counts what was injected and survived: a test that fails adds nothing."""
    counts: Counter[str] = Counter()
    yield counts
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    numbers(f"faults: {counts.total()} injected and survived: {parts}")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own workflow, git or action."""
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)
    # A library's log handler of an earlier test may hold a stream that is closed.
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge with a deploy and a model repository; nobody waits long in these tests."""
    repository(tmp_path, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
    repository(tmp_path, "model", PROJECT)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    monkeypatch.setattr(retry.Race, "pause", lambda race, took, jitter: 0.0)
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda self, response=None: None)
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(DEPLOY, tmp_path / "deploy.git")
        made.add_repository(MODEL, tmp_path / "model.git")
        made.add_token(TOKEN, "github-actions[bot]")
        monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs"]
    # Hosted runners' account may do so by sudo only.
    ways: tuple[list[str], ...] = ([], ["sudo", "--non-interactive"])
    for way in (one for one in ways if not one or shutil.which(one[0])):
        if process.run([*way, "mount", *options, place], check=False).returncode == 0:
            break
    else:
        if os.environ.get("CI"):
            pytest.fail("this account can't mount: in CI nothing is left out unseen")
        pytest.skip("this account can't mount")
    yield place
    process.run([*way, "umount", "--lazy", place])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker of pytest-xdist counted to the process that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["numbers"] = session.config.stash.get(_LINES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker counted."""
    node.config.stash.setdefault(_LINES, []).extend(node.workeroutput.get("numbers", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was counted."""
    if lines := config.stash.get(_LINES, []):
        terminalreporter.section("reliability")
        for line in lines:
            terminalreporter.write_line(line)
