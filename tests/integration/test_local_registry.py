"""A real registry: started, found again, stopped, removed."""

from __future__ import annotations

import base64
import http.client
import os
import stat
import subprocess
import sys
import time
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_there_until_its_last_thread_has_ended() -> None:
    # As a killed daemon is for some milliseconds: its first thread is gone, its port is not free.
    program = (
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        "print(flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as threads:
        assert threads.stdin is not None and threads.stdout is not None
        started = birth(threads.pid)
        threads.stdout.readline()
        end = time.monotonic() + 20
        while state(threads.pid) != "Z" and time.monotonic() < end:
            time.sleep(0.01)
        assert state(threads.pid) == "Z"
        assert birth(threads.pid) == started != ""
    assert birth(threads.pid) == ""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


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
