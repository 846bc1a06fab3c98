"""A registry that fails, cuts, limits or hangs, and kills around each docker command.

A real registry behind a proxy that injects the faults; the builder and the engine are real.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploys import Deploys
from kills import FULL, TALKING, Step, left_behind, moments, repository
from proxy import Proxy, proxied

from model_gitops.adapters import docker
from model_gitops.core import retry
from model_gitops.options import variable
from model_gitops_local.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environment")]

PASSWORD = "registry-secret-password"
BY_TAG, BY_DIGEST = r"/manifests/(?!sha256[:-])", r"/manifests/sha256:"
READS, UPLOADS = ("HEAD|GET", BY_TAG), ("POST|PUT|PATCH", "/blobs/uploads/")
WRITES, TAGS = ("PUT", BY_DIGEST), ("PUT", BY_TAG)
KINDS: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "cut before": {"kind": "cut"},
    "cut after": {"kind": "cut", "when": "after"},
}
SHORT = ("500", "429", "cut after")


class Image:
    """A step that builds a small image, and the registry that it goes to through the proxy."""

    def __init__(self, folder: Path, proxy: Proxy, builder: str) -> None:
        self.proxy, self.name = proxy, f"faults/{os.urandom(6).hex()}"
        files = {"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": self.name}
        self.git = repository(folder, "model", files)
        inputs = {"image": f"{proxy.address}/{self.name}", "builder": builder}
        self.deploys = Deploys(folder / "deploys", inputs["image"])
        # Beside the checkout: it is no content.
        inputs["config"] = str(folder / "promotion.yaml")
        (folder / "promotion.yaml").write_text(self.deploys.promotion)
        self.step = Step(folder, self.git.directory, "build-push-image", inputs)

    def deploy(self, outputs: dict[str, str]) -> None:
        self.deploys.deploy(outputs["image"], outputs["fingerprint"])

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Ask the registry itself."""
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=10)
        kinds = ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2")
        accept = ",".join(f"application/vnd.{kind}+json" for kind in kinds)
        connection.request("GET", f"/v2/{self.name}/{path}", headers={"Accept": accept})
        answer = connection.getresponse()
        digest = answer.getheader("Docker-Content-Digest", "")
        return answer.status, digest, answer.read()

    def tags(self) -> dict[str, str]:
        """Return what the registry has: tag → digest."""
        status, _, body = self.get("tags/list")
        names = (json.loads(body)["tags"] or []) if status == 200 else []
        return {name: self.get(f"manifests/{name}")[1] for name in names}

    def new_commit(self) -> str:
        """Make a commit without any new content; return its hash."""
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "nothing new")
        return self.git.run("rev-parse", "HEAD").strip()

    def new_content(self) -> None:
        (self.git.directory / "a").write_text(os.urandom(8).hex())
        self.new_commit()


@pytest.fixture
def image(
    tmp_path: Path, docker_environment: Engine, registry: str, builder: str
) -> Iterator[Image]:
    if not builder:
        pytest.skip("this engine's own builder is used, which pushes by the engine")
    with proxied(registry) as proxy:
        yield Image(tmp_path, proxy, builder)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)


Told = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", KINDS if FULL else SHORT)
def test_a_registry_that_fails_is_asked_again(
    image: Image, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    # A tag that was written, though the answer was lost, is not written again.
    times = 1 if kind == "cut after" else 2
    for method, path in (READS, UPLOADS, WRITES, TAGS):
        image.proxy.inject(method, path, times=times, **KINDS[kind])
    code, outputs = image.step.run(monkeypatch)
    assert (code, outputs.get("operation")) == (0, "built")
    assert image.proxy.faults == [], "not all faults were met"
    assert set(image.tags().values()) == {outputs["digest"]}
    assert len(image.tags()) == 1
    image.deploy(outputs)
    commit = image.new_commit()
    for method, path in (READS, TAGS):
        image.proxy.inject(method, path, times=times, **KINDS[kind])
    code, again = image.step.run(monkeypatch)
    assert (code, again.get("operation"), again["tag"]) == (0, "reused", commit)
    assert image.proxy.faults == []
    assert set(image.tags().values()) == {outputs["digest"]}
    assert len(image.tags()) == 2
    survived["of registries"] += len(image.proxy.met)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("kind", "cause"),
    [("500", "500"), ("429", "429"), ("cut before", "EOF"), ("502", "502")][: 4 if FULL else 2],
)
def test_a_registry_that_stays_away_is_exit_4(
    image: Image, monkeypatch: pytest.MonkeyPatch, capfd: Told, survived: Counter[str],
    kind: str, cause: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(docker, "_ATTEMPTS", 2)  # the builder has its own, which take 8 seconds
    for place in (READS, UPLOADS, WRITES, TAGS) if FULL or kind == "429" else (READS, TAGS):
        image.proxy.requests.clear()
        image.proxy.inject(*place, times=100_000, **KINDS[kind])
        code, outputs = image.step.run(monkeypatch)
        told = capfd.readouterr()
        assert (code, outputs) == (4, {}), place
        error = told.err[told.err.rindex("error: ") :]
        assert cause in error, place
        assert "Traceback" not in told.err + told.out
        assert image.tags() == {}, "a tag of an image that was not pushed"
        assert len(image.proxy.requests) < 600
        image.proxy.faults.clear()
        survived["of registries"] += 1
    # One tag is written, the other is not: the next run completes the image that was deployed.
    deployed = image.step.run(monkeypatch)[1]
    image.deploy(deployed)
    image.new_commit()
    image.step.inputs[variable("extra-tags")] = "latest"
    image.proxy.inject("PUT", "/manifests/latest", times=100_000, **KINDS[kind])
    assert image.step.run(monkeypatch)[0] == 4
    assert "latest" not in image.tags()
    image.proxy.faults.clear()
    code, outputs = image.step.run(monkeypatch)
    assert (code, outputs["operation"], outputs["digest"]) == (0, "reused", deployed["digest"])
    assert len(image.tags()) == 3
    assert set(image.tags().values()) == {deployed["digest"]}
    survived["of registries"] += 1


@pytest.mark.usefixtures("impatient")
def test_a_tag_like_a_status_is_no_refusal(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_ATTEMPTS", 2)
    image.step.inputs[variable("tag")] = "403"
    first = image.step.run(monkeypatch)[1]
    image.deploy(first)
    image.proxy.inject("HEAD|GET", "/manifests/403", status=500, times=100_000)
    # Taken for a refusal, it would be "no such image", and the tag written anew.
    image.proxy.requests.clear()
    assert image.step.run(monkeypatch) == (4, {})
    assert not any(method == "PUT" for method, _ in image.proxy.requests)
    assert image.tags()["403"] == first["digest"]


IMMUTABLE: dict[str, object] = {"status": 409, "times": 100_000}


def test_a_registry_whose_tags_are_immutable(
    image: Image, monkeypatch: pytest.MonkeyPatch, capfd: Told, survived: Counter[str]
) -> None:
    # The job of a commit runs again, and its build gives another image.
    image.step.inputs[variable("provenance")] = "false"  # which has times in it
    first = image.step.run(monkeypatch)[1]
    commit = first["tag"]
    image.new_content()
    image.step.inputs[variable("tag")] = ""
    monkeypatch.setenv("GITHUB_SHA", commit)
    image.proxy.inject("PUT", f"/manifests/{commit}$", **IMMUTABLE)
    image.step.inputs[variable("extra-tags")] = "more"
    code, outputs = image.step.run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "built")
    own = f"{commit}-{outputs['digest'].partition(':')[2][:12]}"
    assert outputs["image"] == f"{image.step.inputs[variable('image')]}:{own}@{outputs['digest']}"
    assert outputs["tag"] == own
    assert f"the tag {commit} is another image's" in capfd.readouterr().err
    assert 409 in [fault.status for fault in image.proxy.met]
    assert image.tags() == {
        commit: first["digest"], own: outputs["digest"], "more": outputs["digest"],
    }  # fmt: skip

    # Deployed, it is what the next run of that job takes, though the commit's tag is another's.
    image.deploy(outputs)
    code, again = image.step.run(monkeypatch)
    assert (code, again["operation"], again["image"]) == (0, "reused", outputs["image"])

    # A build that gives the same image finds its tags right.
    image.proxy.inject("PUT", "/manifests/(more|[0-9a-f]{40}-)", **IMMUTABLE)
    image.step.inputs[variable("reuse")] = "false"
    code, same = image.step.run(monkeypatch)
    assert (code, same["operation"], same["image"]) == (0, "built", outputs["image"])

    # A tag that was asked for by name is another's: that is for people to decide.
    image.step.inputs[variable("tag")] = commit
    assert image.step.run(monkeypatch) == (4, {})
    assert "does not let a tag move" in capfd.readouterr().err
    assert image.tags()[commit] == first["digest"]
    survived["of registries"] += 4


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("place", [READS, UPLOADS, WRITES, TAGS], ids=str)
def test_a_registry_that_hangs_is_exit_4(
    image: Image, monkeypatch: pytest.MonkeyPatch, capfd: Told, survived: Counter[str],
    place: tuple[str, str],
) -> None:  # fmt: skip
    monkeypatch.setattr(docker, "_ANSWER_SECONDS", 2)
    monkeypatch.setattr(docker, "_SILENT_SECONDS", 2)
    monkeypatch.setattr(docker, "_ATTEMPTS", 2)
    image.proxy.inject(*place, kind="hang", times=100_000)
    start = time.monotonic()
    code, outputs = image.step.run(monkeypatch)
    took = time.monotonic() - start
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    # buildx is started alone, or by docker.
    assert re.search("the registry hangs: `docker.buildx", told)
    assert "seconds and was stopped" in told
    assert "Traceback" not in told
    assert took < 20
    assert image.tags() == {}
    image.proxy.faults.clear()
    image.proxy.released.set()
    monkeypatch.setattr(docker, "_ANSWER_SECONDS", 60)
    code, outputs = image.step.run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "built")
    assert set(image.tags().values()) == {outputs["digest"]}
    survived["of registries"] += 1


def test_a_killed_build_is_completed_by_a_rerun(
    image: Image, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    image.step.inputs |= {variable("username"): "ada", variable("password"): PASSWORD}
    times: list[str | tuple[str, str, str]] = []
    times += moments(image.step.killed_at("", "docker"), TALKING)
    assert len(times) >= 4, "before and after the build, and the tags"
    times += [
        (*TAGS, "after"),
        *([(*place, "before") for place in (UPLOADS, WRITES)] if FULL else []),
    ]
    for moment in times:
        image.new_content()
        before = image.tags()
        if isinstance(moment, str):
            image.step.killed_at(moment, "docker")
        else:
            image.step.killed_by(killer(image.proxy, *moment))
        code, outputs = image.step.run(monkeypatch)
        assert (code, outputs["operation"]) == (0, "built"), moment
        new = {tag: digest for tag, digest in image.tags().items() if tag not in before}
        assert len(new) == 1, f"{new} after a kill at {moment}"
        assert set(new.values()) == {outputs["digest"]}, f"two images after a kill at {moment}"
        assert {tag: image.tags()[tag] for tag in before} == before
        assert left_behind(image.step) == set(), f"left after a kill at {moment}"
    survived["kills"] += len(times)


def killer(proxy: Proxy, method: str, path: str, when: str) -> Callable[[Callable[[], None]], None]:
    return lambda kill: proxy.inject(method, path, "cut", when=when, then=kill)


def test_a_full_disk_pushes_nothing(
    image: Image, small_disk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Told,
    survived: Counter[str],
) -> None:  # fmt: skip
    (small_disk / "filler").write_bytes(bytes(small_disk_free(small_disk)))
    image.step.temporary = small_disk
    code, outputs = image.step.run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert "the disk is full on this runner" in told
    assert "Traceback" not in told
    assert image.tags() == {}
    assert [file.name for file in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    assert image.step.run(monkeypatch)[0] == 0
    survived["full disks"] += 1


def small_disk_free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
