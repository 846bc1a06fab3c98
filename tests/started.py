"""An action as a step starts it, without the wait: a process that has imported it all already splits off one that runs it.

Half of what a start costs is imports. What an action does is what `python -I scripts ACTION` does: an
environment, a folder, outputs and a session of its own, and nothing of an earlier run. Tests of the start
itself, of signals, of races and of DVC start Python.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
# What actions import, many of them only where it is needed. Not DVC: its import sets up the whole process.
IMPORTED = (
    *("concurrent.futures.thread", "jsonschema", "ruamel.yaml", "requests", "ssl", "tempfile"),
    *("github", "github.GithubRetry", "github.Requester"),
)
_SECONDS = 600.0


def run(
    action: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `action` to its end; `env` and `inherit` are as in `process.run`."""
    from model_gitops.adapters import process

    variables = process.environment(env) if inherit else dict(env or {})
    out, err = os.pipe(), os.pipe()
    ours, theirs = socket.socketpair()
    socket.send_fds(_server(), [b"."], [theirs.fileno(), out[1], err[1]])
    theirs.close()
    for end in (out[1], err[1]):
        os.close(end)
    asked = {"action": action, "cwd": str(cwd), "env": variables}
    with ours, ours.makefile("r") as told:
        ours.sendall(json.dumps(asked).encode() + b"\n")
        group = int(told.readline())
        try:
            stdout, stderr = _read(out[0], err[0])
            status = int(told.readline())
        except BaseException:
            os.killpg(group, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(action, status, stdout, stderr)


def _read(*ends: int) -> list[str]:
    """Return what comes from each of the pipes until all are closed."""
    texts = {end: bytearray() for end in ends}
    until = time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            if not (found := selector.select(until - time.monotonic())):
                raise TimeoutError(f"it did not end within {_SECONDS:.0f} seconds")
            for key, _ in found:
                if data := os.read(key.fd, 65536):
                    texts[key.fd] += data
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [text.decode("utf-8", "replace") for text in texts.values()]


@functools.cache
def _server() -> socket.socket:
    """Return the way to the process that has imported all. It ends when nobody can ask it any more."""
    from model_gitops.adapters import process

    ours, theirs = socket.socketpair()
    server = subprocess.Popen(
        [sys.executable, "-I", __file__, str(theirs.fileno())],
        env=process.environment(),
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> None:
    sys.path.insert(0, str(SCRIPTS))
    for name in IMPORTED:
        importlib.import_module(name)
    from model_gitops.actions import ACTIONS

    for action in ACTIONS:
        importlib.import_module(f"model_gitops.actions.{action.replace('-', '_')}")
    del sys.path[0]
    assert "dvc" not in sys.modules
    gc.collect()
    gc.freeze()
    while True:
        said, ends, _, _ = socket.recv_fds(control, 1, 3, socket.MSG_CMSG_CLOEXEC)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not said:
            return
        if os.fork() == 0:
            control.close()
            _answer(socket.socket(fileno=ends[0]), ends[1], ends[2])
        for end in ends:
            os.close(end)


def _answer(asker: socket.socket, out: int, err: int) -> None:
    """Start one action, tell its process, wait for it, and tell its status."""
    with asker.makefile("r") as file:
        asked = json.loads(file.readline())
    child = os.fork()
    if child == 0:
        asker.close()
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        os._exit(_run(**asked))
    os.close(out)
    os.close(err)
    asker.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(action: str, cwd: str, env: dict[str, str]) -> int:
    """Do what `python -I scripts ACTION` does; return its status."""
    os.environ.clear()
    os.environ.update(env)
    # Those that were here were made for another kind of file.
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    status = 0
    try:
        os.chdir(cwd)
        sys.argv = [str(SCRIPTS), action]
        runpy.run_path(str(SCRIPTS), run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
