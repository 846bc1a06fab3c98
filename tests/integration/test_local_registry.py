"""A real registry: started, found again, stopped, removed."""

from __future__ import annotations

import base64
import http.client
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_gitops_local.daemon import birth
from model_gitops_local.registry import Registry

# User `tester`, password `secret`.
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"


def status(address: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse().status
    connection.close()
    return answer


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path / "registry")
    yield registry
    registry.remove()


def test_it_is_found_again_and_keeps_its_address(private: Registry) -> None:
    address = private.start()
    pid = private._daemon.pid()

    again = Registry(private.state)
    assert again.running
    assert again.start() == address
    assert again._daemon.pid() == pid

    again.stop()
    assert not private.running
    assert private.start() == address
    assert private._daemon.pid() != pid
    assert status(address, "/v2/") == 200


def test_it_listens_on_loopback_only(private: Registry) -> None:
    host, _, port = private.start().rpartition(":")
    assert host == "127.0.0.1"
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in sockets if row[3] == "0A"}
    assert f"0100007F:{int(port):04X}" in listening
    assert f"00000000:{int(port):04X}" not in listening


def test_remove_leaves_nothing(private: Registry) -> None:
    private.start()
    pid = private._daemon.pid()
    assert pid is not None
    private.remove()
    assert birth(pid) == ""
    assert list(private.state.parent.iterdir()) == []


def test_another_process_with_the_same_number_is_not_ours(private: Registry) -> None:
    private.start()
    private.stop()
    facts = private.state / "daemon.json"
    # The number is now that of a process that lives: this one.
    number = private._daemon.facts()["pid"]
    facts.write_text(facts.read_text().replace(f'"{number}"', f'"{os.getpid()}"'))
    assert private._daemon.pid() is None
    private.stop()  # and does not end it
    assert not private.running


def test_a_login_is_asked_for(private: Registry, tmp_path: Path) -> None:
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD + "\n")
    address = private.start(htpasswd=users)
    right = base64.b64encode(b"tester:secret").decode()
    wrong = base64.b64encode(b"tester:guess").decode()
    assert status(address, "/v2/") == 401
    assert status(address, "/v2/", Authorization=f"Basic {wrong}") == 401
    assert status(address, "/v2/", Authorization=f"Basic {right}") == 200
    assert stat.S_IMODE((private.state / "config.yml").stat().st_mode) == 0o600
