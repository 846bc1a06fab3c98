"""A step's own docker configuration starts as the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_gitops.adapters import docker_config
from model_gitops.errors import ExternalError


@pytest.mark.parametrize(
    "text", ['{"auths": {"r": {"auth": "canary"}},', '["canary"]', "\x00canary"]
)
def test_what_is_no_configuration_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text(text)
    with pytest.raises(
        ExternalError, match=r"config\.json is not docker's configuration"
    ) as caught:
        docker_config.private_config(tmp_path, None)
    assert "canary" not in str(caught.value)


def test_no_configuration_is_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    given = docker_config.private_config(tmp_path, None)
    made = Path(given["DOCKER_CONFIG"]) / "config.json"
    assert json.loads(made.read_text()) == {}
    assert made.stat().st_mode & 0o777 == 0o600
