"""Which version this is, and what uvx is asked for where a command lacks its packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_gitops.adapters import installation
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
