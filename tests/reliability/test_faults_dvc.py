"""dvc-pull-model: a remote that fails, cuts or hangs, and kills at each change of a file.

Damaged and missing objects, in the cache and in the remote, are in test_dvc_pull_model.py.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kills import FULL, SCRIPTS, Step, fill, repository
from proxy import Proxy, proxied

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core import retry

pytestmark = pytest.mark.usefixtures("clean_environment")

OLD, NEW = b"old" * 1000, b"new" * 100_000
KINDS: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "cut": {"kind": "cut"},
    "cut within": {"kind": "cut", "when": "within"},
}
CAUSES = {
    "500": "500",
    "429": "429",
    "403": "403",
    "cut": "ServerDisconnected",
    "cut within": "ClientPayloadError",
    "hang": "Timeout",
    "hang within": "Timeout",
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


class Project:
    """A checkout with the old model in its place, and the new one in a remote behind a proxy."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.folder, self.proxy = folder, proxy

    def fresh(self, name: str, target: str = "m.bin") -> Step:
        """Return a step that pulls the new model into a new checkout that has the old one."""
        place = self.folder / name
        place.mkdir()
        process.run(["cp", "-r", self.folder / "ready", place / "work"])
        return Step(place, place / "work", "dvc-pull-model", {"model": target})


def dvc(directory: Path, *words: str) -> None:
    process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=directory)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("dvc")
    git = repository(folder, "model", {"readme": "1"})
    top, store = git.directory, folder / "store"
    store.mkdir()
    handler = functools.partial(_Quiet, directory=str(store))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with proxied(f"127.0.0.1:{server.server_port}") as proxy:
        dvc(top, "init")
        dvc(top, "remote", "add", "--default", "store", str(store))
        for content in (OLD, NEW):
            (top / "m.bin").write_bytes(content)
            (top / "many").mkdir(exist_ok=True)
            for name in ("a", "b"):
                (top / "many" / name).write_bytes(content + name.encode())
            dvc(top, "add", "m.bin", "many")
            dvc(top, "push")
            git.run("add", "--all")
            git.run("commit", "--quiet", "-m", "model")
        ready = folder / "ready"
        process.run(["git", "clone", "--quiet", top, ready])
        (ready / "m.bin").write_bytes(OLD)
        (ready / "many").mkdir()
        for name in ("a", "b"):
            (ready / "many" / name).write_bytes(OLD + name.encode())
        dvc(ready, "remote", "modify", "store", "url", f"http://{proxy.address}")
        # A server may be silent for a minute by default.
        dvc(ready, "remote", "modify", "store", "read_timeout", "1")
        Git(ready).run("commit", "--quiet", "--all", "-m", "web")
        yield Project(folder, proxy)
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    made.proxy.faults.clear()
    made.proxy.met.clear()
    made.proxy.released.clear()
    found = Project(tmp_path, made.proxy)
    process.run(["cp", "-r", made.folder / "ready", tmp_path / "ready"])
    return found


def held(step: Step) -> set[bytes]:
    """What stands at the model's place, without the name that each file of the folder ends with."""
    if step.inputs["MODEL_GITOPS_MODEL"] != "many":
        return {(step.cwd / "m.bin").read_bytes()}
    return {(step.cwd / "many" / name).read_bytes()[:-1] for name in ("a", "b")}


def strays(step: Step) -> list[str]:
    """Files of ours in the checkout; a folder that was made last is empty, and removed later."""
    return sorted(file.name for file in step.cwd.rglob(".model-gitops-*/*") if file.stat().st_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["m.bin", "many"] if FULL else ["m.bin"])
def test_a_remote_that_fails_is_asked_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, survived: Counter[str],
    kind: str, target: str,
) -> None:  # fmt: skip
    step = project.fresh("one", target)
    times = 1 if kind == "cut within" else 2
    project.proxy.inject("GET|HEAD", "/files/md5/", times=times, **KINDS[kind])
    code, _ = step.run(monkeypatch)
    assert (code, held(step), strays(step)) == (0, {NEW}, [])
    assert project.proxy.faults == []
    survived["of DVC remotes"] += times


@pytest.mark.parametrize("kind", [*KINDS, "403", "hang within", *["hang"] * FULL])
def test_a_remote_that_stays_away_is_exit_4(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    survived: Counter[str], kind: str,
) -> None:  # fmt: skip
    """The model that was there before stays as it was, whole."""
    step = project.fresh("one", "many" if kind == "429" else "m.bin")
    more: dict[str, object] = {"status": 403}
    if kind.startswith("hang"):
        more = {"kind": "hang", "when": "within" if "within" in kind else "before"}
        monkeypatch.setattr(retry, "FAULT_SECONDS", 1.0)
    project.proxy.inject("GET|HEAD", "/files/md5/", times=100_000, **KINDS.get(kind, more))
    start = time.monotonic()
    code, outputs = step.run(monkeypatch)
    took = time.monotonic() - start
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    error = told[told.rindex("error: ") :]
    assert CAUSES[kind] in error
    assert f"the DVC remote 'store' (http://{project.proxy.address}) can't be read" in error or (
        "can't be downloaded from the DVC remote" in error
    )
    assert "Traceback" not in told
    assert took < 20
    assert (held(step), strays(step)) == ({OLD}, [])
    assert len(project.proxy.met) < 200
    project.proxy.faults.clear()
    project.proxy.released.set()
    code, _ = step.run(monkeypatch)
    assert (code, held(step), strays(step)) == (0, {NEW}, [])
    survived["of DVC remotes"] += 1


@pytest.mark.parametrize("target", ["m.bin", "many"])
def test_a_killed_pull_is_completed_by_a_rerun(
    project: Project, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], target: str
) -> None:
    whole = project.fresh("whole", target)
    changes = whole.killed_before_change("", whole.cwd)
    times = [f"{number}.before" for number in range(1, len(changes) + 1)]
    assert len(times) > 20
    if not FULL:
        # When the model is downloaded, is placed, and halfway.
        ours = [at for at, change in enumerate(changes, 1) if ".model-gitops-" in change]
        picked = {ours[0], ours[len(ours) // 2], ours[-1]} if target == "m.bin" else {ours[-3]}
        times = [f"{number}.before" for number in sorted(picked)]
    served = ["within"] if target == "m.bin" else []
    for moment in [*times, *served]:
        step = project.fresh(moment, target)
        if moment == "within":
            step.killed_by(
                lambda kill: project.proxy.inject(
                    "GET", "/files/md5/", "cut", when="within", then=kill
                )
            )
        else:
            step.killed_before_change(moment, step.cwd)
        try:
            assert held(step) in ({OLD}, {NEW}), f"neither model after a kill at {moment}"
        except FileNotFoundError:
            # A folder can't be exchanged at once: between two renames there is none.
            assert target == "many"
            assert not (step.cwd / "many").exists()
        code, outputs = step.run(monkeypatch)
        assert (code, held(step)) == (0, {NEW}), moment
        assert outputs["path"] == target
        assert strays(step) == [], f"left after a kill at {moment}"
        assert step.run(monkeypatch)[0] == 0
        shutil.rmtree(step.folder)
    survived["kills"] += len(times) + len(served)


def test_a_full_disk_keeps_the_good_model(
    project: Project, small_disk: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    work = small_disk / "work"
    process.run(["cp", "-r", project.folder / "ready", work])
    process.run(["git", "gc", "--quiet", "--prune=now"], cwd=work)
    step = Step(project.folder, work, "dvc-pull-model", {"model": "m.bin"})
    before = {file.name for file in work.iterdir()}
    # Room for half of the model.
    fill(small_disk, but=len(NEW) // 2)
    # In a process of its own, with all that DVC says on the way.
    words = ["dvc-pull-model", "--model", "m.bin"]
    done = process.run([sys.executable, "-I", SCRIPTS, *words], cwd=work, check=False)
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert held(step) == {OLD}
    assert {file.name for file in work.iterdir()} == before
    (small_disk / "filler").unlink()
    # Room in the cache, and not in the model's place.
    fill(small_disk, but=len(NEW) * 3 // 2)
    done = process.run([sys.executable, "-I", SCRIPTS, *words], cwd=work, check=False)
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert (held(step), strays(step)) == ({OLD}, [])
    (small_disk / "filler").unlink()
    assert (step.run(monkeypatch)[0], held(step)) == (0, {NEW})
    survived["full disks"] += 2
