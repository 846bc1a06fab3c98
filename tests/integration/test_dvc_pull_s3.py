"""Pulling a model from S3, by the environment that the action makes for itself; the server is a real gateway."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from model_gitops.adapters import process
from model_gitops_local import toolchain

pytestmark = pytest.mark.slow

RUN = Path(__file__).parents[2] / "scripts/run.sh"
KEY, SECRET = "reader", "s3cr3t/val+ue"
FILES = {f"{number % 3}/{number}": f"file {number}\n".encode() for number in range(40)}


class Gateway:
    """An S3 server whose buckets are folders in `data`."""

    def __init__(self, data: Path, port: int, log: Path) -> None:
        self.data, self.log, self.url = data, log, f"http://127.0.0.1:{port}"

    @property
    def objects(self) -> Path:
        return self.data / "bucket/dvc/files/md5"

    def asked(self, since: int = 0, wanted: int = 0) -> list[str]:
        """The methods of the requests so far, from the `since`th on.

        The gateway logs a request after its answer: as many as are `wanted` are waited for.
        """
        end = time.monotonic() + 20
        while True:
            text = self.log.read_text("utf-8")
            found = re.findall(r" \| (GET|HEAD|PUT|POST) +\| /bucket/", text)[since:]
            if len(found) >= wanted or time.monotonic() > end:
                return found
            time.sleep(0.05)


@pytest.fixture(params=[False, True], ids=["closing", "keep-alive"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """S3 as it closes each connection, and as it keeps them."""
    program, data = toolchain.ensure("versitygw"), tmp_path / "data"
    data.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Gateway(data, port, tmp_path / "gateway.log")
    words = [
        program,
        *["--keep-alive"][: request.param],
        "--port",
        f"127.0.0.1:{port}",
        "posix",
        data,
    ]
    env = {**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    with (
        made.log.open("wb") as log,
        subprocess.Popen(words, env=env, stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(200):
                with socket.socket() as ask:
                    if ask.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield made
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture
def project(gateway: Gateway, tmp_path: Path) -> Path:
    """A project with a file and a folder in the bucket, and nothing here."""
    top = tmp_path / "work"
    process.run(["git", "init", "--quiet", "--initial-branch=main", top])
    for path, content in {
        "m.bin": b"m" * 3_000_000,
        **{f"d/{k}": v for k, v in FILES.items()},
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)
    dvc = Path(sys.executable).with_name("dvc")
    for words in (
        ["init"], ["config", "core.analytics", "false"],
        ["remote", "add", "--default", "folder", gateway.data / "bucket/dvc"],
        ["add", "m.bin", "d"], ["push"],
        ["remote", "add", "--default", "s3", "s3://bucket/dvc"],
        ["remote", "modify", "s3", "endpointurl", gateway.url],
    ):  # fmt: skip
        process.run([dvc, *words, "--quiet"], cwd=top)
    for gone in ("m.bin", "d", ".dvc/cache", ".dvc/tmp"):
        process.run(["rm", "-rf", top / gone])
    return top


def _pull(top: Path, model: str, **more: str) -> process.Completed:
    """Run the action as a step does, with the keys in `remote-config`."""
    inputs = {
        "MODEL": model,
        "REMOTE_CONFIG": f"access_key_id={KEY}\nsecret_access_key={SECRET}\nregion=us-east-1",
        **more,
    }
    env = {f"MODEL_GITOPS_{name}": value for name, value in inputs.items()}
    env |= {"HOME": os.environ["HOME"], "DVC_NO_ANALYTICS": "1"}
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    return process.run([RUN, "dvc-pull-model"], cwd=top, env=env, check=False, timeout=600)


def _objects(folder: Path) -> Mapping[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file()
    }


def test_file_and_folder_come_by_one_request_an_object(project: Path, gateway: Gateway) -> None:
    for model, requests in (("m.bin", 1), ("d", 1 + len(FILES))):
        before = len(gateway.asked())
        done = _pull(project, model)
        assert done.returncode == 0, done.said
        # Neither was DVC started, which asks twice for each, nor botocore's client again.
        assert gateway.asked(before, requests) == ["GET"] * requests
        assert _pull(project, model).returncode == 0
        assert len(gateway.asked()) == before + requests
    assert (project / "m.bin").read_bytes() == b"m" * 3_000_000
    assert _objects(project / "d") == FILES
    cache = project / ".dvc/cache/files/md5"
    assert _objects(cache) == _objects(gateway.objects)
    assert {one.stat().st_mode & 0o777 for one in cache.rglob("*") if one.is_file()} == {0o444}
    for file in project.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_whether_the_bucket_has_all_is_asked_once_an_object(
    project: Path, gateway: Gateway
) -> None:
    before = len(gateway.asked())
    done = _pull(project, "m.bin", CHECK_REMOTE="true")
    assert done.returncode == 0, done.said
    assert "2 outputs are in the DVC remote" in done.said + done.stdout
    assert gateway.asked(before, 3) == ["HEAD", "HEAD", "GET"]


@pytest.mark.parametrize("model", ["m.bin", "d"])
def test_a_wrong_object_is_refused(project: Path, gateway: Gateway, model: str) -> None:
    damaged = max(
        (one for one in gateway.objects.rglob("*") if one.is_file() and one.suffix != ".dir"),
        key=lambda one: one.stat().st_size if model == "m.bin" else -one.stat().st_size,
    )
    damaged.chmod(0o644)
    damaged.write_bytes(b"evil")
    done = _pull(project, model)
    assert done.returncode == 4
    assert "is damaged" in done.said
    assert not (project / model).exists()
    assert b"evil" not in _objects(project / ".dvc/cache").values()


def test_a_missing_object_and_wrong_keys_are_told_by_dvc(project: Path, gateway: Gateway) -> None:
    done = _pull(
        project, "m.bin", REMOTE_CONFIG="access_key_id=reader\nsecret_access_key=another-one"
    )
    assert done.returncode == 4
    assert "'m.bin' can't be pulled: Forbidden" in done.said
    assert "another-one" not in done.said
    shutil.rmtree(gateway.objects)
    done = _pull(project, "m.bin")
    assert done.returncode == 4
    assert "does not have 'm.bin'" in done.said
    assert not _objects(project / ".dvc/cache")
