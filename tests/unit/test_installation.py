"""Which version this is, and what uvx is asked for where a command lacks its packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_gitops.adapters import installation
from model_gitops.commands import COMMANDS
from model_gitops.errors import InputError

Install = Callable[..., None]
URL = "https://git.example/tools/model-gitops"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let this package be installed, with an extra that needs these requirements."""

    def installed(*requirements: str, **direct_url: object) -> None:
        folder = tmp_path / "model_gitops-1.0.dist-info"
        folder.mkdir(exist_ok=True)
        lines = ["Metadata-Version: 2.1", "Name: model-gitops", "Version: 1.0"]
        lines += [f'Requires-Dist: {one}; extra == "doctor"' for one in requirements]
        (folder / "METADATA").write_text("\n".join(lines), "utf-8")
        if direct_url:
            (folder / "direct_url.json").write_text(json.dumps(direct_url), "utf-8")

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delenv("UV", raising=False)
    return installed


def test_the_very_commit_that_uvx_took_is_asked_for_again(install: Install) -> None:
    install(url=URL, vcs_info={"vcs": "git", "commit_id": "a" * 40})
    assert installation.source() == f"git+{URL}@{'a' * 40}"


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({}, "git+https://github.com/model-gitops/model-gitops@v0"),
        ({"url": 3}, "git+https://github.com/model-gitops/model-gitops@v0"),
        ({"url": "file:///a/model-gitops", "dir_info": {}}, "file:///a/model-gitops"),
        ({"url": URL, "vcs_info": {"vcs": "git"}}, f"git+{URL}@v0"),
    ],
)
def test_the_source_is_what_pip_wrote_down(told: dict[str, object], source: str) -> None:
    assert installation.source_of(told) == source


def test_a_command_whose_packages_are_there_starts_as_it_is(install: Install) -> None:
    install("click>=8", "ruamel.yaml")
    assert installation.missing("doctor") == []
    installation.require(["doctor"])


def test_what_another_extra_needs_is_not_missed(install: Install) -> None:
    install("no-such-package-x>=3")
    assert installation.missing("doctor") == ["no-such-package-x"]
    assert installation.missing("init") == []


def test_packages_that_are_not_there_are_named_with_the_line_to_type(install: Install) -> None:
    install(
        "no-such-package-x[y]>=3", "click", url=URL, vcs_info={"vcs": "git", "commit_id": "b" * 40}
    )
    with pytest.raises(InputError) as refused:
        installation.require(["doctor", "--config", "a b"])
    assert "no-such-package-x" in refused.value.message
    assert "click" not in refused.value.message
    assert refused.value.fix == (
        f"uvx --from 'model-gitops[doctor] @ git+{URL}@{'b' * 40}' model-gitops doctor --config 'a b'"
    )
    installation.require(["doctor", "--help"])


def test_uvx_is_started_anew_once(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("no-such-package-x")
    uv = tmp_path / "uv"
    uv.touch()
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, words: started.append(words))
    monkeypatch.setenv("UV", str(uv))
    monkeypatch.delenv("MODEL_GITOPS_WITH_EXTRA", raising=False)
    monkeypatch.setenv("MODEL_GITOPS_WITH_EXTRA", "")
    installation.require(["doctor", "--json"])
    assert [words[1:4] for words in started] == [["tool", "run", "--from"]]
    assert started[0][4].startswith("model-gitops[doctor] @ git+https://")
    assert started[0][5:] == ["model-gitops", "doctor", "--json"]
    with pytest.raises(InputError):
        installation.require(["doctor", "--json"])
    assert len(started) == 1


def test_a_command_is_told_as_it_is_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    script = str(Path(installation.__file__).parents[2] / "run.sh")
    told = "x && model-gitops protect a/b; see `model-gitops doctor --json`, or model-gitops adopt"
    assert installation.typed(told) == told.replace("model-gitops", script)
    for kept in (
        "uvx --from git+x@v0 model-gitops doctor", "/opt/bin/model-gitops doctor", "in model-gitops 1.0",
        f"{script} doctor", "uvx --from 'model-gitops[doctor] @ git+x' model-gitops doctor",
    ):  # fmt: skip
        assert installation.typed(kept) == kept
    # Who reads a workflow's log has no such folder.
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    uvx = "uvx --from git+https://github.com/model-gitops/model-gitops@v0 model-gitops protect a/b"
    assert installation.typed("model-gitops protect a/b") == uvx


@pytest.mark.parametrize(
    ("uv", "on_path", "typed"),
    [
        ("/bin/uv", None, f"uvx --from git+{URL}@v0 model-gitops protect"),
        ("", "/bin/model-gitops", "model-gitops protect"),
        ("", None, f"{sys.executable} -m model_gitops protect"),
    ],
)
def test_a_command_that_was_installed_is_told_as_it_was_started(
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    uv: str,
    on_path: str | None,
    typed: str,
) -> None:
    install(url=URL, vcs_info={"vcs": "git"})
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("UV", uv)
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "a/b/c/installation.py"))
    monkeypatch.setattr("shutil.which", lambda name: on_path)
    assert installation.typed("model-gitops protect") == typed


def test_each_command_is_one_that_is_spelled() -> None:
    for name in COMMANDS:
        assert installation.typed(f"model-gitops {name}") != f"model-gitops {name}"
