"""A project whose image build-push-image makes, and its registry: what these tests share."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deploys import Deploys
from moments import next_moment

from model_gitops.adapters import process

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
NATIVE, FOREIGN = (
    ("arm64", "amd64") if platform.machine() in ("aarch64", "arm64") else ("amd64", "arm64")
)


@dataclass
class Result:
    """A run of the action."""

    status: int
    outputs: dict[str, str]
    log: str


@dataclass
class Project:
    """A Git checkout with a Dockerfile, the registry that its image goes to, and what is deployed."""

    folder: Path
    registry: str
    base_image: str
    env: dict[str, str] = field(default_factory=dict)

    @cached_property
    def deploys(self) -> Deploys:
        return Deploys(self.folder.parent / "deploys", self.image)

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
        commit = [*git, "commit", "-q", "--allow-empty", "-m", "x"]
        process.run(commit, cwd=self.folder, env=next_moment())
        return process.run(["git", "rev-parse", "HEAD"], cwd=self.folder).stdout.strip()

    def deployed(self, **inputs: str) -> Result:
        """Run the action, and deploy what it put out."""
        result = self.run(**inputs)
        assert result.status == 0, result.log
        self.deploys.deploy(result.outputs["image"], result.outputs["fingerprint"])
        return result

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

    def delete(self, path: str) -> None:
        connection = http.client.HTTPConnection(self.registry, timeout=10)
        connection.request("DELETE", f"/v2/{self.repository}/{path}")
        assert connection.getresponse().status == 202

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


def smoke_leftovers() -> str:
    containers = process.run(["docker", "ps", "-aq", "--filter=name=model-gitops-smoke-"]).stdout
    return containers + process.run(["docker", "images", "-q", "model-gitops-smoke"]).stdout


def fingerprint_of(result: Result) -> str:
    assert result.status == 0, result.log
    return re.findall(r"content fingerprint: ([0-9a-f]{40})", result.log)[0]
