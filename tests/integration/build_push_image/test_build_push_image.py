"""build-push-image with a real engine, builder and registry."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import build_context, process
from model_gitops_local.engine import Engine
from model_gitops_local.registry import Registry

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[3]
CANARY = "canary-5d1f0c9e"
# bcrypt of CANARY, as htpasswd makes it.
HTPASSWD = "$2b$04$IMR03Xe.Uoj70qspZSkjROBAdJCmXwrQvZ9jc0vNoU8yIvihP4aT."
SERVER = """\
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["rows"]
        print("predicting", rows, flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"predictions": [sum(row) / 2 for row in rows]}).encode())
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
DOCKERFILE = """\
ARG BASE_IMAGE=scratch
FROM ${BASE_IMAGE}
COPY server.py /server.py
CMD ["python3", "/server.py"]
"""
SMOKE = """\
health: /readyz
timeout: 30
request: {path: /predict, json: {rows: [[1, 2]]}}
expect: {json: {predictions: [1.5]}}
"""


@dataclass
class Result:
    """A run of the action."""

    status: int
    outputs: dict[str, str]
    log: str


@dataclass
class Project:
    """A Git checkout with a Dockerfile, and the registry that its image goes to."""

    folder: Path
    registry: str
    base_image: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def repository(self) -> str:
        return "test/" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def commit(self) -> str:
        git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        process.run(["git", "add", "."], cwd=self.folder)
        process.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=self.folder)
        return process.run(["git", "rev-parse", "HEAD"], cwd=self.folder).stdout.strip()

    def run(self, **inputs: str) -> Result:
        output = self.folder.parent / "output"
        output.write_text("")
        temporary = self.folder.parent / "runner-temp"
        temporary.mkdir(exist_ok=True)
        given = {
            "image": self.image,
            "build-args": f"BASE_IMAGE={self.base_image}",
            **{name.replace("_", "-"): value for name, value in inputs.items()},
        }
        done = process.run(
            [sys.executable, "-I", str(ROOT / "scripts"), "build-push-image"],
            cwd=self.folder,
            env={
                **{name: "" for name in os.environ if name.startswith("GITHUB_")},
                "GITHUB_OUTPUT": str(output),
                "RUNNER_TEMP": str(temporary),
                **{
                    f"MODEL_GITOPS_{name.upper().replace('-', '_')}": v for name, v in given.items()
                },
                **self.env,
            },
            check=False,
        )
        assert list(temporary.iterdir()) == [], "something was left behind"
        written = re.findall(r"^(\S+)<<(end-\w+)\n(.*?)\n\2$", output.read_text(), re.M | re.S)
        return Result(
            done.returncode, {name: value for name, _, value in written}, done.stdout + done.stderr
        )

    def get(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(self.registry, timeout=10)
        accept = [
            f"application/vnd.{kind}+json"
            for kind in (
                "oci.image.index.v1",
                "oci.image.manifest.v1",
                "docker.distribution.manifest.v2",
                "docker.distribution.manifest.list.v2",
            )
        ]
        connection.request(
            "GET", f"/v2/{self.repository}/{path}", headers={"Accept": ",".join(accept)}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def digest(self, tag: str) -> str | None:
        status, headers, body = self.get(f"manifests/{tag}")
        if status == 404:
            return None
        assert status == 200
        assert headers["Docker-Content-Digest"] == "sha256:" + hashlib.sha256(body).hexdigest()
        return headers["Docker-Content-Digest"]

    def tags(self) -> list[str]:
        status, _, body = self.get("tags/list")
        return [] if status == 404 else sorted(json.loads(body)["tags"] or [])

    def config(self, reference: str) -> dict[str, Any]:
        manifest = json.loads(self.get(f"manifests/{reference}")[2])
        if "manifests" in manifest:
            return self.config(manifest["manifests"][0]["digest"])
        found = json.loads(self.get(f"blobs/{manifest['config']['digest']}")[2])
        assert isinstance(found, dict)
        return found


@pytest.fixture
def project(tmp_path: Path, docker_environment: Engine, registry: str, base_image: str) -> Project:
    made = Project(tmp_path / "checkout", registry, base_image)
    made.write("Dockerfile", DOCKERFILE)
    made.write("server.py", SERVER)
    made.write(".dockerignore", "*\n!server.py\n")
    process.run(["git", "init", "-q"], cwd=made.folder)
    made.commit()
    return made


@pytest.fixture
def buildkit(builder: str) -> str:
    """The builder, for what an engine's own one can't do: attestations, pushes by digest."""
    return builder or pytest.skip("this engine's own builder is used")


@pytest.fixture
def argv(project: Project, tmp_path: Path) -> Path:
    """A file that gets the arguments of every docker process."""
    real = shutil.which("docker")
    assert real is not None
    record = tmp_path / "argv"
    shim = tmp_path / "shim" / "docker"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {shlex.quote(str(record))}\nexec {shlex.quote(real)} "$@"\n'
    )
    shim.chmod(0o755)
    project.env["PATH"] = f"{shim.parent}:{os.environ['PATH']}"
    return record


def smoke_leftovers() -> str:
    containers = process.run(["docker", "ps", "-aq", "--filter=name=model-gitops-smoke-"]).stdout
    return containers + process.run(["docker", "images", "-q", "model-gitops-smoke"]).stdout


def test_built_tested_and_pushed(project: Project) -> None:
    commit = project.commit()
    result = project.run(
        smoke_test=SMOKE, extra_tags="v1.2.3", labels="com.acme.team=ml",
        model="diabetes", model_version="v1.2.3", model_hash="abc",
    )  # fmt: skip
    assert result.status == 0, result.log
    digest = project.digest(commit)
    assert result.outputs["image"] == f"{project.image}:{commit}@{digest}"
    assert (result.outputs["tag"], result.outputs["digest"]) == (commit, digest)
    assert result.outputs["operation"] == "built"
    assert json.loads(result.outputs["metadata"])["containerimage.digest"] == digest
    assert project.digest("v1.2.3") == digest
    labels = project.config(commit)["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["io.model-gitops.model.hash"] == "abc"
    assert labels["io.model-gitops.model.version"] == "v1.2.3"
    assert labels["com.acme.team"] == "ml"
    assert smoke_leftovers() == ""


def test_the_same_content_is_built_once(project: Project) -> None:
    first_commit = project.commit()
    first = project.run()
    assert first.outputs["operation"] == "built"

    again = project.run()
    assert again.outputs["operation"] == "reused"
    assert again.outputs["image"] == first.outputs["image"]
    assert "exporting" not in again.log

    # The merge commit: another hash, the same content.
    merge = project.commit()
    merged = project.run(extra_tags="staging", smoke_test=SMOKE)
    assert merged.outputs["operation"] == "reused"
    assert merged.outputs["digest"] == first.outputs["digest"]
    assert project.digest(merge) == project.digest("staging") == project.digest(first_commit)

    project.write("server.py", SERVER + "#")
    changed = project.run(tag="staging")
    assert changed.outputs["operation"] == "built"
    assert changed.outputs["digest"] != first.outputs["digest"]
    assert project.digest("staging") == changed.outputs["digest"], (
        "a moving tag follows the content"
    )
    assert project.digest(merge) == first.outputs["digest"]


def test_what_is_ignored_is_no_content(project: Project) -> None:
    first = project.run()
    project.write("notes.md", "not in the image")
    project.write("cache/__pycache__/x.pyc", "nor this")
    assert project.run(tag="other").outputs["digest"] == first.outputs["digest"]
    project.write("Dockerfile", DOCKERFILE + "ENV A=1\n")
    assert project.run(tag="other").outputs["operation"] == "built"


@pytest.fixture
def base(project: Project, base_image: str) -> Iterator[str]:
    """A base image's tag of the test's own, so that it can be moved."""
    reference = f"{project.registry}/{project.repository}/base:1"
    move(reference, base_image)
    yield reference


def move(reference: str, to: str) -> None:
    """Let a tag of the registry name another image, with the plain tools."""
    words = ["imagetools", "create", "--prefer-index=false", f"--tag={reference}", to]
    process.run(["docker", "buildx", *words])


def other_image(project: Project, base_image: str) -> str:
    """Push an image that differs from the base image by one label; return its reference."""
    place = project.folder.parent / "other"
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text(f"FROM {base_image}\nLABEL other=1\n")
    reference = f"{project.registry}/{project.repository}/other:1"
    words = ["--provenance=false", "--output", f"type=image,name={reference},push=true"]
    process.run(["docker", "buildx", "build", "--quiet", *words, str(place)])
    return reference


def test_a_base_tag_that_moves_is_other_content(
    project: Project, buildkit: str, base: str, base_image: str
) -> None:
    given = {"build_args": f"BASE_IMAGE={base}"}
    first = project.run(**given, tag="one")
    assert project.run(**given, tag="two").outputs["digest"] == first.outputs["digest"]
    move(base, other_image(project, base_image))
    moved = project.run(**given, tag="three", smoke_test=SMOKE)
    assert moved.status == 0, moved.log
    assert moved.outputs["operation"] == "built"
    assert moved.outputs["digest"] != first.outputs["digest"]
    assert project.config("three")["config"]["Labels"]["other"] == "1"
    move(base, base_image)
    back = project.run(**given, tag="four")
    assert (back.outputs["operation"], back.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )


def test_images_copied_mounted_and_named_count_too(
    project: Project, buildkit: str, base: str, base_image: str
) -> None:
    other = other_image(project, base_image)
    for number, (text, contexts) in enumerate(
        (
            (f"{DOCKERFILE}COPY --from={base} /etc/hostname /x\n", ""),
            (f"{DOCKERFILE}RUN --mount=from={base},target=/base true\n", ""),
            (f"{DOCKERFILE}COPY --from=named /etc/hostname /x\n", f"named=docker-image://{base}"),
        )
    ):
        project.write("Dockerfile", text.replace("/etc/hostname", "/etc/passwd"))
        move(base, base_image)
        first = project.run(tag=f"{number}a", build_contexts=contexts)
        assert first.outputs["operation"] == "built", first.log
        again = project.run(tag=f"{number}b", build_contexts=contexts)
        assert again.outputs["operation"] == "reused"
        move(base, other)
        moved = project.run(tag=f"{number}c", build_contexts=contexts)
        assert moved.outputs["operation"] == "built", moved.log


def test_a_digest_costs_no_look_up_and_an_unknown_base_no_failure(
    project: Project, buildkit: str, base_image: str, argv: Path
) -> None:
    digest = process.run(["docker", "buildx", "imagetools", "inspect", base_image]).stdout
    pinned = f"{base_image}@{re.findall('sha256:[0-9a-f]{64}', digest)[0]}"
    assert project.run(build_args=f"BASE_IMAGE={pinned}").status == 0
    assert base_image not in "\n".join(
        line for line in argv.read_text().split("\n") if not line.startswith("--build-arg")
    )
    # Named, and not needed by the build: the registry has no such image.
    missing = f"{project.registry}/no/such:1"
    given = {"build_contexts": f"unused=docker-image://{missing}"}
    result = project.run(**given, tag="other")
    assert result.status == 0, result.log
    assert f"no registry tells the digest of {missing}" in result.log
    assert project.run(**given, tag="third").outputs["operation"] == "reused"


def test_a_base_that_moves_during_the_build_is_a_lost_race(
    project: Project, buildkit: str, base: str, base_image: str, argv: Path
) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    other = other_image(project, base_image)
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *push-by-digest=true*) {real} buildx imagetools create'
        f' --prefer-index=false --tag={base} {other};; esac\nexec {real} "$@"\n'
    )
    result = project.run(build_args=f"BASE_IMAGE={base}", tag="one")
    assert (result.status, result.outputs) == (5, {}), result.log
    assert f"{base} moved while the image was built" in result.log
    assert "one" not in project.tags()
    again = project.run(build_args=f"BASE_IMAGE={base}", tag="one")
    assert (again.status, again.outputs["operation"]) == (0, "built")


def test_a_base_whose_registry_is_away_is_no_ground_for_reuse(project: Project) -> None:
    given = {"build_contexts": "unused=docker-image://127.0.0.1:9/no/such:1"}
    for tags in (["one"], ["one", "two"]):
        result = project.run(**given, tag=tags[-1])
        assert (result.status, result.outputs["operation"]) == (0, "built"), result.log
        assert "which image 127.0.0.1:9/no/such:1 is, is not known now" in result.log
        assert project.tags() == tags
    assert "io.model-gitops.fingerprint" not in project.config("one")["config"]["Labels"]


def test_the_engines_own_builder_may_take_an_image_that_only_it_has(project: Project) -> None:
    local, own = "model-gitops-test-base:1", {"builder": "default", "provenance": "false"}
    project.write("Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY server.py /\n")
    process.run(["docker", "pull", "--quiet", project.base_image])
    # Which the engine has in another version than the registry.
    known = f"{project.registry}/{project.repository}/known:1"
    move(known, project.base_image)
    project.write(
        "Dockerfile",
        (project.folder / "Dockerfile").read_text() + f"COPY --from={known} /etc/passwd /x\n",
    )

    def make(reference: str, text: str) -> None:
        (project.folder.parent / "local").mkdir(exist_ok=True)
        file = project.folder.parent / "local" / "Dockerfile"
        file.write_text(f"FROM {project.base_image}\nLABEL a={text}\n")
        words = ["buildx", "build", "--builder=default", "--quiet", f"--tag={reference}", "--load"]
        process.run(["docker", *words, str(file.parent)])

    try:
        seen = []
        for reference, text, operation in (
            (local, "1", "built"), (local, "1", "reused"), (local, "2", "built"), (known, "3", "built"),
        ):  # fmt: skip
            make(reference, text)
            result = project.run(**own, build_args=f"BASE_IMAGE={local}", tag="t")
            assert (result.status, result.outputs["operation"]) == (0, operation), result.log
            seen.append(project.config("t")["config"]["Labels"]["a"])
        assert seen == ["1", "1", "2", "2"]
    finally:
        process.run(["docker", "rmi", local, known], check=False)


def test_every_part_of_the_checkout_counts(project: Project) -> None:
    """The real walk over the files: one change at a time, and back."""
    project.write("Dockerfile", "FROM scratch AS one\nCOPY . /\nFROM one\n")
    project.write(".dockerignore", "Dockerfile\nnotes\n")
    project.write("named/a", "1")
    (project.folder / "link").symlink_to("a")
    server = project.folder / "server.py"
    given = {"build_contexts": "named=named", "build_args": "A=1", "model_hash": "1"}

    def run(**inputs: str) -> str:
        result = project.run(**{**given, **inputs}, tag="t")
        assert result.status == 0, result.log
        return re.findall(r"content fingerprint: ([0-9a-f]{40})", result.log)[0]

    seen = [run()]
    project.write("notes", "ignored")
    assert run(labels="a=1", secrets="a=b", model_version="v2", cache_from="type=local,src=/nowhere") == seen[0]  # fmt: skip
    for inputs in ({"build_args": "A=2"}, {"model_hash": "2"}, {"target": "one"}):
        seen.append(run(**inputs))
    server.chmod(0o755)
    seen.append(run())
    server.chmod(0o700)
    assert run() == seen[-1], "another umask"
    server.chmod(0o4755)
    seen.append(run())
    project.write("server.py", SERVER + "#")
    seen.append(run())
    (project.folder / "link").unlink()
    (project.folder / "link").symlink_to("b")
    seen.append(run())
    (project.folder / "empty").mkdir()
    seen.append(run())
    project.write("named/a", "2")
    seen.append(run())
    project.write(".dockerignore", "Dockerfile\nnotes\nserver.py\n.dockerignore\n")
    seen.append(run())
    project.write("Dockerfile", "FROM scratch AS one\nCOPY . /\nFROM one\n\n")
    seen.append(run())
    assert len(set(seen)) == len(seen), seen


IGNORES = (
    "*\n!src/keep.py\n",
    "**/*.pyc\n!src/b.pyc\n",
    "/src\n!src/deep/**\n",
    "src/*\n!src/deep\nsrc/deep/[xy].txt\n",
    "  # a comment\n#src\n\n./src/../notes\n**/deep/x.*\n",
    "*/deep\nsr?/keep.py\n",
    "**\n!**/*.py\n",
    "*\n!src\nsrc/deep\n!src/deep/x.txt\n",
    "*\n!s*c/d**/z.t?t\n",
    "Dockerfile\n.dockerignore\nempty\nlink\n",
    "*\n!**.py\n",
    "**.pyc\n!src/b**\n",
    "src\n!src/keep.py\n**/src\n",
    "src\n!src/deep\n*\n",
    "src\n!src/keep.py\ns*\n",
)


@pytest.mark.parametrize("patterns", IGNORES)
def test_the_files_that_count_are_those_that_the_builder_gets(
    project: Project, buildkit: str, tmp_path: Path, patterns: str
) -> None:
    for name in ("src/keep.py", "src/a.pyc", "src/b.pyc", "src/deep/x.txt", "src/deep/z.txt"):
        project.write(name, name)
    project.write("notes", "n")
    (project.folder / "empty").mkdir()
    (project.folder / "link").symlink_to("notes")
    project.write("Dockerfile", "FROM scratch\nCOPY . /\n")
    project.write(".dockerignore", patterns)
    shutil.rmtree(project.folder / ".git")  # which the fingerprint leaves out in any case
    out = tmp_path / "out"
    words = ["--quiet", f"--output=type=local,dest={out}", str(project.folder)]
    process.run(["docker", "buildx", "build", *words])
    got = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    counted = {one.path for one in build_context.entries(project.folder) if one.kind != "folder"}
    assert counted == got


def test_a_later_version_does_not_change_the_image(project: Project) -> None:
    first = project.run(tag="one", model="m", model_version="v1.0.0", labels="a=1")
    later = project.run(tag="two", model="m", model_version="v1.0.1", labels="a=2")
    assert (later.outputs["operation"], later.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    labels = project.config("two")["config"]["Labels"]
    assert (labels["io.model-gitops.model.version"], labels["a"]) == ("v1.0.0", "1")


def test_reuse_false_builds(project: Project) -> None:
    project.run()
    assert project.run(reuse="false").outputs["operation"] == "built"


@pytest.mark.parametrize("provenance", ["false", "mode=max"])
def test_a_new_tag_keeps_the_digest(project: Project, buildkit: str, provenance: str) -> None:
    first = project.run(provenance=provenance, tag="one")
    kind = json.loads(project.get("manifests/one")[2])["mediaType"]
    assert kind.endswith("index.v1+json") is (provenance == "mode=max")
    second = project.run(provenance=provenance, tag="two")
    assert second.outputs["operation"] == "reused"
    assert project.digest("two") == first.outputs["digest"]


def test_a_pruned_fingerprint_is_written_again(project: Project) -> None:
    first = project.run(provenance="false", tag="one")
    [fingerprint] = [tag for tag in project.tags() if tag.startswith("fp-")]
    # The registry deletes a manifest with all its tags; so it is put back under one.
    body = project.get("manifests/one")[2]
    connection = http.client.HTTPConnection(project.registry, timeout=10)
    for method, name in (("DELETE", first.outputs["digest"]), ("PUT", "one")):
        headers = {"Content-Type": json.loads(body)["mediaType"]}
        connection.request(method, f"/v2/{project.repository}/manifests/{name}", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (201, 202)
    assert project.tags() == ["one"]
    again = project.run(provenance="false", tag="one")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    assert project.tags() == sorted([fingerprint, "one"])


@pytest.mark.parametrize(
    ("server", "smoke", "says"),
    [
        (SERVER.replace("/ 2", "/ 3"), SMOKE, "$.predictions[0] is 1.0, not 1.5"),
        ("import sys; sys.exit('no model here')", SMOKE, "exited with status 1"),
        (
            SERVER,
            SMOKE.replace("/readyz", "/nope").replace("30", "2"),
            "not healthy after 2 seconds",
        ),
        ("open('/written', 'w')", SMOKE, "exited with status 1"),
        (SERVER, SMOKE + "command: [nothing-such]\n", "could not be started"),
    ],
)
def test_a_failing_smoke_test_pushes_nothing(
    project: Project, server: str, smoke: str, says: str
) -> None:
    project.write("server.py", server)
    result = project.run(smoke_test=smoke)
    assert result.status == 3, result.log
    assert says in result.log
    assert result.outputs == {}
    assert project.tags() == []
    assert smoke_leftovers() == ""


def test_a_reused_image_has_passed_the_smoke_test_that_is_asked_for(project: Project) -> None:
    project.commit()
    untested = project.run(tag="untested")
    assert untested.outputs["operation"] == "built"

    refused = project.run(tag="refused", smoke_test=SMOKE.replace("1.5", "7"))
    assert refused.status == 3, refused.log
    assert "$.predictions[0] is 1.5, not 7; no tag was written" in refused.log
    assert project.digest("refused") is None

    tested = project.run(tag="tested", smoke_test=SMOKE)
    assert (tested.status, tested.outputs["operation"]) == (0, "reused"), tested.log
    assert "it was built without this smoke test, so it is tested now" in tested.log
    assert tested.outputs["digest"] == untested.outputs["digest"]
    assert smoke_leftovers() == ""
    digests = process.run(["docker", "images", "--digests", "--format={{.Digest}}"]).stdout
    assert tested.outputs["digest"] not in digests

    project.write("server.py", SERVER + "# more\n")
    built = project.run(tag="built", smoke_test=SMOKE)
    assert built.outputs["operation"] == "built"
    again = project.run(tag="again", smoke_test=SMOKE)
    assert again.outputs["operation"] == "reused"
    assert "is tested now" not in again.log


def test_what_a_killed_test_left_is_removed_by_a_later_one(project: Project) -> None:
    def left(name: str, until: int) -> str:
        label = f"--label=io.model-gitops.smoke-test.until={until}"
        words = ["docker", "create", label, f"--name={name}", project.base_image, "true"]
        return process.run(words).stdout.strip()

    process.run(["docker", "pull", "--quiet", project.base_image])
    project.commit()
    old, running = left("left-old", 1), left("left-running", 4_000_000_000)
    try:
        assert project.run(smoke_test=SMOKE).status == 0
        there = process.run(["docker", "ps", "-aq", "--no-trunc"]).stdout.split()
        assert (old in there, running in there) == (False, True)
    finally:
        process.run(["docker", "rm", "--force", running])


def test_the_log_of_a_failing_container_is_shown(project: Project) -> None:
    project.write("server.py", "import sys; sys.exit('no model here')")
    project.write("smoke.yaml", SMOKE)
    result = project.run(smoke_test="smoke.yaml")
    assert (result.status, result.log.count("no model here")) == (3, 1)


def test_a_healthcheck_of_the_image_is_waited_for(project: Project) -> None:
    check = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8080/readyz\")'"
    project.write("Dockerfile", DOCKERFILE + f"HEALTHCHECK --interval=1s --retries=1 CMD {check}\n")
    assert project.run(smoke_test="timeout: 30").status == 0
    project.write("Dockerfile", DOCKERFILE + "HEALTHCHECK --interval=1s --retries=1 CMD false\n")
    failed = project.run(smoke_test="timeout: 30", tag="other")
    assert failed.status == 3
    assert "its HEALTHCHECK says unhealthy" in failed.log


def test_only_the_tested_image_gets_a_tag(project: Project, buildkit: str, argv: Path) -> None:
    # A builder that lost its cache between the test and the push makes another image.
    shim = Path(project.env["PATH"].split(":", maxsplit=1)[0]) / "docker"
    real = str(shutil.which("docker"))
    shim.write_text(
        '#!/bin/sh\ncase "$*" in *push-by-digest=true*) shift 2;'
        f' exec {shlex.quote(real)} buildx build --no-cache "$@";; esac\nexec {shlex.quote(real)} "$@"\n'
    )
    project.write("Dockerfile", DOCKERFILE + "RUN head -c 8 /dev/urandom > /random\n")
    result = project.run(smoke_test=SMOKE)
    assert result.status == 4
    assert "is not the one built for the push" in result.log
    assert project.tags() == []


def test_of_two_jobs_that_build_the_same_content_the_first_wins(
    project: Project, buildkit: str, base_image: str, argv: Path
) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    other = f"{project.image}:other"
    move(other, other_image(project, base_image))
    # Another job gets there after this one's first look.
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *push-by-digest=true*) for word; do case "$word" in'
        f" --label=io.model-gitops.fingerprint=*) {real} buildx imagetools create"
        f" --prefer-index=false --tag={project.image}:fp-${{word##*=}} {other};; esac; done;;"
        f' esac\nexec {real} "$@"\n'
    )
    result = project.run(tag="one", extra_tags="two")
    assert (result.status, result.outputs["operation"]) == (0, "reused"), result.log
    assert "another job built this content in the meantime" in result.log
    digests = {project.digest(tag) for tag in project.tags()}
    assert digests == {result.outputs["digest"], project.digest("other")}
    assert len(project.tags()) == 4


def test_an_older_image_of_the_same_content_does_not_move_the_fingerprint(
    project: Project, buildkit: str
) -> None:
    project.write("Dockerfile", DOCKERFILE + "RUN head -c 8 /dev/urandom > /random\n")
    old = project.run(tag="old")
    process.run(["docker", "buildx", "prune", "--all", "--force"])
    new = project.run(tag="new", reuse="false")
    [fingerprint] = [tag for tag in project.tags() if tag.startswith("fp-")]
    assert old.outputs["digest"] != new.outputs["digest"] == project.digest(fingerprint)
    again = project.run(tag="old")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        old.outputs["digest"],
    )
    assert project.digest(fingerprint) == new.outputs["digest"]


def test_named_contexts(project: Project) -> None:
    project.write("Dockerfile", DOCKERFILE + "COPY --from=model /model.onnx /model.onnx\n")
    project.write("models of mine/model.onnx", "weights")
    first = project.run(build_contexts="model=models of mine")
    assert first.status == 0, first.log
    assert (
        project.run(build_contexts="model=models of mine", tag="t").outputs["operation"] == "reused"
    )
    project.write("models of mine/model.onnx", "other weights")
    changed = project.run(build_contexts="model=models of mine", tag="t")
    assert changed.outputs["operation"] == "built"
    assert changed.outputs["digest"] != first.outputs["digest"]


def test_an_oci_layout_counts_by_what_is_in_it(project: Project, buildkit: str) -> None:
    project.write("Dockerfile", DOCKERFILE + "COPY --from=other /x /x\n")

    def layout(text: str) -> None:
        project.write("other/Dockerfile", "FROM scratch\nCOPY x /x\n")
        project.write("other/x", text)
        output = f"--output=type=oci,tar=false,dest={project.folder / 'layout'},name=x:v1"
        words = ["--provenance=false", "--quiet", output, str(project.folder / "other")]
        process.run(["docker", "buildx", "build", *words])

    given = {"build_contexts": "other=oci-layout://layout:v1"}
    missing = project.run(**given, tag="one")
    assert (missing.status, "there is no OCI layout" in missing.log) == (2, True), missing.log
    layout("1")
    assert project.run(**given, tag="one").outputs["operation"] == "built"
    assert project.run(**given, tag="two").outputs["operation"] == "reused"
    shutil.rmtree(project.folder / "layout")
    layout("2")
    assert project.run(**given, tag="three").outputs["operation"] == "built"


def test_a_git_folder_that_is_sent_and_does_not_count_is_warned_of(project: Project) -> None:
    project.env["GITHUB_ACTIONS"] = "true"
    warned = "::warning title=.git is sent to the builder"
    assert warned not in project.run(tag="one").log
    project.write(".dockerignore", "")
    assert warned not in project.run(tag="one").log
    project.write("Dockerfile", DOCKERFILE + "COPY . /all/\n")
    result = project.run(tag="one")
    assert result.status == 0
    assert warned in result.log
    project.write(".dockerignore", ".git\n")
    assert warned not in project.run(tag="one").log


def test_without_a_push_nothing_is_pushed(project: Project) -> None:
    result = project.run(push="false", smoke_test=SMOKE, username="fork")
    assert result.status == 0, result.log
    assert (result.outputs["operation"], result.outputs["digest"]) == ("built", "")
    assert project.tags() == []


def engine_images() -> list[str]:
    words = ["images", "--digests", "--format={{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}"]
    return sorted(process.run(["docker", *words]).stdout.splitlines())


def test_the_engines_own_builder(project: Project, argv: Path) -> None:
    given = {"builder": "default", "smoke_test": SMOKE, "provenance": "false", "tag": "one"}
    process.run(["docker", "pull", "--quiet", project.base_image])
    mine = f"{project.image}:one"
    process.run(["docker", "tag", project.base_image, mine])
    before = engine_images()
    result = project.run(**given, extra_tags="two")
    assert result.status == 0, result.log
    assert project.digest("one") == project.digest("two") == result.outputs["digest"]
    # Of an index a store of containerd's says no config's digest: what was tested is what is pushed.
    assert argv.read_text().count("--load\n") == 1
    assert argv.read_text().count("--metadata-file=") == 1
    assert engine_images() == before
    again = project.run(**given)
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        result.outputs["digest"],
    )
    failing = {**given, "tag": "three", "smoke_test": SMOKE.replace("1.5", "7"), "reuse": "false"}
    assert project.run(**failing).status == 3
    assert project.digest("three") is None
    assert engine_images() == before
    process.run(["docker", "rmi", mine])


NATIVE, FOREIGN = (
    ("arm64", "amd64") if platform.machine() in ("aarch64", "arm64") else ("amd64", "arm64")
)
# Nothing runs in the foreign platform's stage: there is no emulation here.
TWO_PLATFORMS = f"""\
ARG BASE_IMAGE=scratch
FROM ${{BASE_IMAGE}} AS {NATIVE}
RUN head -c 8 /dev/urandom > /random
FROM scratch AS {FOREIGN}
FROM ${{TARGETARCH}}
COPY server.py /server.py
CMD ["python3", "/server.py"]
"""
BOTH = f"linux/{NATIVE},linux/{FOREIGN}"
SCANNER = """\
import json, os, pathlib
document = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "canary-sbom"}
statement = {"_type": "https://in-toto.io/Statement/v0.1",
             "predicateType": "https://spdx.dev/Document", "predicate": document}
place = pathlib.Path(os.environ["BUILDKIT_SCAN_DESTINATION"])
(place / "scan.spdx.json").write_text(json.dumps(statement))
"""


def test_two_platforms(project: Project, buildkit: str, argv: Path, tmp_path: Path) -> None:
    # What buildx says of the image that is loaded for the smoke test, for a look from outside.
    shim, real = tmp_path / "shim" / "docker", str(shutil.which("docker"))
    shim.write_text(
        f'#!/bin/sh\n{shlex.quote(real)} "$@"; status=$?\ncase "$*" in *--load*) for word; do\n'
        f'case "$word" in --metadata-file=*) cp "${{word#*=}}" {shlex.quote(str(tmp_path))}/tested;;'
        "esac; done;; esac\nexit $status\n"
    )
    project.write("Dockerfile", TWO_PLATFORMS)
    given = {"provenance": "false", "smoke_test": SMOKE}
    first = project.run(**given, platforms=BOTH, tag="one")
    assert first.status == 0, first.log
    index = json.loads(project.get("manifests/one")[2])
    assert first.outputs["digest"] == project.digest("one")
    found = {one["platform"]["architecture"]: one["digest"] for one in index["manifests"]}
    assert set(found) == {NATIVE, FOREIGN}
    for architecture, digest in found.items():
        assert project.config(digest)["architecture"] == architecture
    tested = json.loads((tmp_path / "tested").read_text())["containerimage.config.digest"]
    native = json.loads(project.get(f"manifests/{found[NATIVE]}")[2])
    assert native["config"]["digest"] == tested

    again = project.run(**given, platforms=BOTH.replace(",", "\n"), tag="two")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    assert project.digest("two") == first.outputs["digest"]
    one = project.run(**given, platforms=f"linux/{NATIVE}", tag="three")
    assert (one.status, one.outputs["operation"]) == (0, "built"), one.log


def fingerprint_of(result: Result) -> str:
    assert result.status == 0, result.log
    return re.findall(r"content fingerprint: ([0-9a-f]{40})", result.log)[0]


def test_a_builder_that_was_not_started_is_started_for_its_platform(
    project: Project, argv: Path, tmp_path: Path
) -> None:
    started = fingerprint_of(project.run(tag="one"))
    assert "--bootstrap" not in argv.read_text()
    # One that names its platforms only once it is started, or never.
    shim, real = tmp_path / "shim" / "docker", shlex.quote(str(shutil.which("docker")))
    text = (
        f'#!/bin/sh\ncase "$*" in "buildx inspect --bootstrap"*) touch {shlex.quote(str(tmp_path))}/on;;'
        f' "buildx inspect"*) {real} "$@" | grep -v Platforms; exit;; esac\nexec {real} "$@"\n'
    )
    shim.write_text(text)
    assert fingerprint_of(project.run(tag="two")) == started
    assert (tmp_path / "on").exists()
    shim.write_text(text.replace(" --bootstrap", " nothing"))
    result = project.run(tag="three")
    assert (result.status, result.outputs) == (4, {}), result.log
    assert "the builder names no platform" in result.log
    assert project.run(tag="three", platforms=f"linux/{NATIVE}").status == 0


def test_dockers_own_variable_for_the_platform_counts(project: Project) -> None:
    project.write("Dockerfile", "FROM scratch\nCOPY server.py /\n")
    native = project.run(tag="one")
    project.env["DOCKER_DEFAULT_PLATFORM"] = f"linux/{FOREIGN}"
    foreign = project.run(tag="two")
    assert foreign.outputs["operation"] == "built", foreign.log
    assert project.config("one")["architecture"] == NATIVE
    assert project.config("two")["architecture"] == FOREIGN
    assert fingerprint_of(native) != fingerprint_of(foreign)
    assert fingerprint_of(project.run(tag="t", platforms=f"linux/{NATIVE}")) == fingerprint_of(
        native
    )
    project.env["DOCKER_DEFAULT_PLATFORM"] = "arm"
    assert "input `DOCKER_DEFAULT_PLATFORM`" in project.run().log


def test_attestations_are_made_and_stay(project: Project, buildkit: str, tmp_path: Path) -> None:
    (tmp_path / "scanner").mkdir()
    (tmp_path / "scanner" / "scan.py").write_text(SCANNER)
    (tmp_path / "scanner" / "Dockerfile").write_text(
        f'FROM {project.base_image}\nCOPY scan.py /scan.py\nENTRYPOINT ["python3", "/scan.py"]\n'
    )
    generator = f"{project.registry}/{project.repository}/scanner:1"
    output = ["--provenance=false", "--output", f"type=image,name={generator},push=true"]
    words = ["docker", "buildx", "build", "--quiet", *output, str(tmp_path / "scanner")]
    process.run(words)
    project.write("Dockerfile", TWO_PLATFORMS)
    given = {
        "platforms": BOTH, "provenance": "mode=max", "sbom": f"generator={generator}",
        "smoke_test": SMOKE,
    }  # fmt: skip
    first = project.run(**given, tag="one")
    assert first.status == 0, first.log
    again = project.run(**given, tag="two")
    assert again.outputs["operation"] == "reused"
    assert again.outputs["digest"] == first.outputs["digest"] == project.digest("two")
    index = json.loads(project.get("manifests/two")[2])
    kind = "vnd.docker.reference.type"
    images = [one["digest"] for one in index["manifests"] if kind not in one.get("annotations", {})]
    notes = [one for one in index["manifests"] if kind in one.get("annotations", {})]
    assert len(images) == 2
    assert sorted(one["annotations"]["vnd.docker.reference.digest"] for one in notes) == sorted(
        images
    )
    for one in notes:
        layers = json.loads(project.get(f"manifests/{one['digest']}")[2])["layers"]
        types = {layer["annotations"]["in-toto.io/predicate-type"]: layer for layer in layers}
        assert any(name.startswith("https://slsa.dev/provenance/") for name in types)
        sbom = project.get(f"blobs/{types['https://spdx.dev/Document']['digest']}")[2]
        assert json.loads(sbom)["predicate"]["name"] == "canary-sbom"


def test_a_registry_keeps_the_cache(project: Project, buildkit: str) -> None:
    project.write("Dockerfile", DOCKERFILE + "RUN head -c 8 /dev/urandom > /random\n")
    cache = f"type=registry,ref={project.image}/cache"
    first = project.run(tag="one", cache_to=f"{cache},mode=max")
    assert first.status == 0, first.log
    layers = project.config("one")["rootfs"]["diff_ids"]
    for cache_from, same in ((cache, True), ("", False)):
        process.run(["docker", "buildx", "prune", "--all", "--force"])
        again = project.run(tag="two", cache_from=cache_from, reuse="false")
        assert again.outputs["operation"] == "built", again.log
        assert (project.config("two")["rootfs"]["diff_ids"] == layers) is same


@pytest.mark.parametrize(
    "inputs", [{"platforms": BOTH}, {"provenance": "mode=max"}, {"sbom": "true"}]
)
def test_what_the_engines_own_builder_can_not_do(project: Project, inputs: dict[str, str]) -> None:
    project.write("Dockerfile", TWO_PLATFORMS)
    result = project.run(builder="default", **inputs)
    if result.status == 0:
        pytest.skip("this engine's own builder can do it")
    assert (result.status, result.outputs) == (4, {})
    assert "add a step docker/setup-buildx-action before this one" in result.log
    assert project.tags() == []


@pytest.fixture
def locked(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The project with a registry that asks for a login."""
    (tmp_path / "htpasswd").write_text(f"ada:{HTPASSWD}\n")
    server = Registry(tmp_path / "locked-registry")
    project.registry = server.start(htpasswd=tmp_path / "htpasswd")
    yield project
    server.remove()


def test_a_login_leaves_no_trace(locked: Project, argv: Path, tmp_path: Path) -> None:
    config = Path(os.environ["DOCKER_CONFIG"])
    before = sorted(path.name for path in config.iterdir())
    result = locked.run(username="ada", password=CANARY, tag="one", smoke_test=SMOKE)
    assert result.status == 0, result.log
    assert locked.run(username="ada", password=CANARY, tag="two").outputs["operation"] == "reused"
    assert CANARY not in result.log + json.dumps(result.outputs)
    assert CANARY not in argv.read_text()
    assert "--password-stdin" in argv.read_text()
    assert sorted(path.name for path in config.iterdir()) == before
    for folder in (tmp_path, config):
        found = process.run(["grep", "-rlF", CANARY, str(folder)], check=False).stdout
        assert found == ""


def test_a_credential_helper_is_asked_where_no_password_is_given(
    locked: Project, tmp_path: Path
) -> None:
    users, own = Path(os.environ["DOCKER_CONFIG"]), tmp_path / "docker"
    own.mkdir()
    for entry in users.iterdir():
        if entry.name != "config.json":
            (own / entry.name).symlink_to(entry)
    (own / "config.json").write_text(json.dumps({"credHelpers": {locked.registry: "canary"}}))
    helper = tmp_path / "helpers" / "docker-credential-canary"
    helper.parent.mkdir()
    helper.write_text(f'#!/bin/sh\necho \'{{"Username": "ada", "Secret": "{CANARY}"}}\'\n')
    helper.chmod(0o755)
    locked.env |= {
        "DOCKER_CONFIG": str(own),
        "PATH": f"{helper.parent}:{os.environ['PATH']}",
    }
    result = locked.run(tag="one")
    assert result.status == 0, result.log
    # A login is kept from the helper, which would store it.
    helper.write_text("#!/bin/sh\necho asked >&2\nexit 1\n")
    assert locked.run(tag="two", username="ada", password=CANARY).status == 0


@pytest.mark.parametrize(
    ("inputs", "status", "says"),
    [
        ({"username": "ada", "password": "wrong"}, 4, "login to 127.0.0.1"),
        ({}, 4, "give `username` and `password` of an account that may push"),
        ({"username": "ada"}, 2, "`password` is not"),
        ({"password": "x"}, 2, "`username` is not"),
    ],
)
def test_no_login_no_push(locked: Project, inputs: dict[str, str], status: int, says: str) -> None:
    result = locked.run(**inputs)
    assert (result.status, result.outputs) == (status, {}), result.log
    assert says in result.log


def test_a_build_secret_is_used_and_not_kept(project: Project, buildkit: str, argv: Path) -> None:
    use = "RUN --mount=type=secret,id=token sha256sum /run/secrets/token > /sum\n"
    project.write("Dockerfile", DOCKERFILE + use + 'CMD ["cat", "/sum"]\n')
    result = project.run(secrets=f"token={CANARY}", provenance="mode=max")
    assert result.status == 0, result.log
    assert CANARY not in argv.read_text() + result.log + json.dumps(result.outputs)
    assert CANARY not in json.dumps(project.config(result.outputs["tag"]))
    shown = process.run(["docker", "run", "--rm", "--pull=always", result.outputs["image"]]).stdout
    assert shown.startswith(hashlib.sha256(CANARY.encode()).hexdigest())
    process.run(["docker", "rmi", result.outputs["image"]])


def test_a_secret_of_several_lines_is_refused_and_not_shown(project: Project) -> None:
    project.env["GITHUB_ACTIONS"] = "true"
    lines = ["{", f'"key": "{CANARY}==",', f"# {CANARY}#", "}"]
    result = project.run(secrets="key=" + "\n".join(lines), tag="x")
    assert (result.status, result.outputs) == (2, {}), result.log
    masks = [line for line in result.log.splitlines() if line.startswith("::add-mask::")]
    assert {line.removeprefix("::add-mask::") for line in masks} >= {"key={", *lines[:-1]}
    assert CANARY not in "".join(line for line in result.log.splitlines() if line not in masks)
    assert "input `secrets`: entry 2" in result.log


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"image": "ghcr.io/Acme/X"}, "Fix: image: ghcr.io/acme/x"),
        ({"tag": 'a"b$(touch pwned)`id`'}, "Fix: tag: a-b-touch-pwned-id"),
        ({"extra_tags": "a/b"}, "input `extra-tags`"),
        ({"context": "nowhere"}, "no such folder"),
        ({"file": "nowhere/Dockerfile"}, "input `file`"),
        ({"build_contexts": "model=nowhere"}, "dvc-pull-model"),
        ({"build_contexts": "model=server.py"}, "Fix: build-contexts: model=."),
        ({"build_args": "X"}, "has no `=`"),
        ({"secrets": "a,env=HOME=x"}, "input `secrets`"),
        ({"platforms": "amd64"}, "linux/amd64"),
        ({"builder": "nothing-such"}, "no builder of that name"),
        ({"smoke_test": "nowhere.yaml"}, "can't be read"),
        ({"smoke_test": "prot: 80"}, "write `port`"),
        ({"smoke_test": "request: {body-file: nowhere}"}, "nowhere"),
        ({"push": "yes"}, "neither `true` nor `false`"),
    ],
)
def test_wrong_inputs_change_nothing(project: Project, inputs: dict[str, str], says: str) -> None:
    result = project.run(**inputs)
    assert (result.status, result.outputs) == (2, {}), result.log
    assert says in result.log
    assert project.tags() == []


def test_hostile_names_do_no_harm(project: Project) -> None:
    folder = "--push 'a\"b$(touch pwned)`id`"
    project.write(
        f"{folder}/Dockerfile", DOCKERFILE + "ARG X\nARG Y\nRUN printf '%s' \"$X\" > /x\n"
    )
    project.write(f"{folder}/server.py", SERVER)
    result = project.run(
        context=folder,
        build_args=f'BASE_IMAGE={project.base_image}\nX=$(touch pwned) "q" --output=/x\nY=`id`',
        labels="a=--push $(touch pwned), b=c",
        model="`touch pwned`",
    )
    assert result.status == 0, result.log
    assert not list(project.folder.rglob("pwned"))
    assert (
        project.config(result.outputs["tag"])["config"]["Labels"]["a"]
        == "--push $(touch pwned), b=c"
    )
    assert project.tags() == sorted(
        [result.outputs["tag"], *(t for t in project.tags() if t.startswith("fp-"))]
    )


def test_on_a_pull_request_the_tag_is_the_heads(project: Project, tmp_path: Path) -> None:
    event = {"pull_request": {"head": {"sha": "a" * 40, "ref": "x"}, "base": {"ref": "main"}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    project.env |= {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_SHA": "b" * 40}
    result = project.run()
    assert result.outputs["tag"] == "a" * 40
    assert (
        project.config("a" * 40)["config"]["Labels"]["org.opencontainers.image.revision"]
        == "a" * 40
    )


def test_a_registry_that_is_away(project: Project) -> None:
    result = project.run(image="127.0.0.1:9/a/b")
    assert result.status == 4
    assert "check that 127.0.0.1:9 can be reached" in result.log


def test_a_buildx_that_is_too_old_is_said_before_the_build(project: Project, argv: Path) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *--help) {real} "$@" | grep -v -e --prefer-index; exit;;'
        f' *" build "*) exit 9;; esac\nexec {real} "$@"\n'
    )
    result = project.run(tag="x")
    assert (result.status, result.outputs) == (4, {}), result.log
    assert "this buildx is older than v0.15.0: github.com/docker/buildx" in result.log


def test_an_engine_that_does_not_run_is_said_before_the_build(project: Project) -> None:
    project.env |= {
        "DOCKER_HOST": f"unix://{project.folder}/none.sock",
        "BUILDX_BUILDER": "default",
    }
    result = project.run(tag="x")
    assert (result.status, result.outputs) == (4, {}), result.log
    assert "start the Docker engine, or choose a `builder` that runs" in result.log


def test_a_git_build_context_is_told_without_its_address(project: Project) -> None:
    given = {"build_contexts": f"other=https://ada:{CANARY}@127.0.0.1:9/a.git#main"}
    result = project.run(**given, tag="x", builder="default")
    assert "the build context other counts by its text alone" in result.log
    ours = [line for line in result.log.splitlines() if "other counts" in line]
    assert CANARY not in "".join(ours)


def test_no_docker_is_one_clear_message(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "git").symlink_to(str(shutil.which("git")))
    project.env |= {"PATH": str(tmp_path / "bare")}
    result = project.run(tag="x")
    assert result.status == 4
    assert "`docker` is not on this machine" in result.log
