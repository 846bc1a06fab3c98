"""dvc-pull-model in the environment that it makes for itself: DVC comes only where a pull needs it."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_gitops.adapters import process

pytestmark = pytest.mark.slow

RUN = Path(__file__).parents[3] / "scripts/run.sh"
SECRET = "s3cr3t-value"
HEADER = "auth=custom\ncustom_auth_header=X-Key\npassword="
MODEL = b"m" * 100_000


class _Web(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.headers.get("X-Key") == SECRET:
            super().do_GET()
        else:
            self.send_error(403)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A project whose store is a folder, and the same over HTTP, which takes a secret header."""
    top, store = tmp_path / "work", tmp_path / "store"
    process.run(["git", "init", "--quiet", top])
    (top / "m.bin").write_bytes(MODEL)
    handler = functools.partial(_Web, directory=str(store))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for words in (
            ["init"], ["config", "core.analytics", "false"],
            ["remote", "add", "--default", "store", store], ["add", "m.bin"], ["push"],
            ["remote", "add", "web", url],
        ):  # fmt: skip
            process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=top)
        yield _emptied(top)
        server.shutdown()


def _emptied(top: Path) -> Path:
    for gone in (top / ".dvc/cache", top / ".dvc/tmp"):
        shutil.rmtree(gone, ignore_errors=True)
    (top / "m.bin").unlink(missing_ok=True)
    return top


def test_dvc_is_installed_for_the_remote_that_needs_it(top: Path, tmp_path: Path) -> None:
    spied = tmp_path / "spied"
    wrapper = tmp_path / "bin/uv"
    wrapper.parent.mkdir()
    uv = Path(sys.executable).with_name("uv")
    wrapper.write_text(f'#!/bin/sh\necho "$0" "$@" >>{spied}\nexec {uv} "$@"\n')
    wrapper.chmod(0o755)

    def pull(**inputs: str) -> process.Completed:
        env = {
            "RUNNER_TEMP": str(tmp_path), "HOME": str(tmp_path),
            "PATH": f"{wrapper.parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1",
            **{f"MODEL_GITOPS_{name}": value for name, value in {"MODEL": "m.bin", **inputs}.items()},
        }  # fmt: skip
        return process.run([RUN, "dvc-pull-model"], cwd=top, env=env, check=False, timeout=600)

    def packages() -> set[str]:
        found = (tmp_path / "model-gitops").glob("*/lib/python3*/site-packages/*")
        return {one.name for one in found}

    done = pull()
    assert (done.returncode, "installing" in done.said) == (0, False), done.said
    assert (top / "m.bin").read_bytes() == MODEL
    assert not {"dvc", "botocore"} & packages()
    assert not spied.exists()

    # The second pull finds it installed.
    for said in (True, False):
        _emptied(top)
        done = pull(REMOTE="web", REMOTE_CONFIG=HEADER + SECRET)
        assert done.returncode == 0, done.said
        assert (top / "m.bin").read_bytes() == MODEL
        assert said == (
            "installing dvc, which must pull 'm.bin': its remote is no plain folder or S3 bucket"
            in done.said
        )
        assert "dvc" in packages()
        assert "unfinished" not in {one.name for one in (tmp_path / "model-gitops").glob("*/*")}
    assert SECRET not in spied.read_text()
    for file in top.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()

    _emptied(top)
    done = pull(REMOTE="web", REMOTE_CONFIG=f"{HEADER}another-one")
    assert done.returncode == 4
    assert "can't be" in done.said
    assert "another-one" not in done.said
    assert not (top / "m.bin").exists()
