"""build-push-image with a real engine, builder and registry."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import process
from model_gitops.local.engine import Engine
from model_gitops.local.registry import Registry

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
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


def test_without_a_push_nothing_is_pushed(project: Project) -> None:
    result = project.run(push="false", smoke_test=SMOKE, username="fork")
    assert result.status == 0, result.log
    assert (result.outputs["operation"], result.outputs["digest"]) == ("built", "")
    assert project.tags() == []


def test_the_engines_own_builder(project: Project) -> None:
    result = project.run(builder="default", smoke_test=SMOKE, provenance="false")
    assert result.status == 0, result.log
    assert project.digest(result.outputs["tag"]) == result.outputs["digest"]
    again = project.run(builder="default", smoke_test=SMOKE, provenance="false")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        result.outputs["digest"],
    )
    for tag in project.tags():
        process.run(["docker", "rmi", f"{project.image}:{tag}"])


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


def test_no_docker_is_one_clear_message(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "git").symlink_to(str(shutil.which("git")))
    project.env |= {"PATH": str(tmp_path / "bare")}
    result = project.run(tag="x")
    assert result.status == 4
    assert "`docker` is not on this machine" in result.log
