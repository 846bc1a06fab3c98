"""build-push-image with a builder of the driver `docker-container`, as docker/setup-buildx-action makes.

Its published image can't be pulled on a test machine, so one is made of the same programs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploys import Deploys

from model_gitops.adapters import process
from model_gitops_local import toolchain
from model_gitops_local.engine import Engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
NATIVE, FOREIGN = (
    ("arm64", "amd64") if platform.machine() in ("aarch64", "arm64") else ("amd64", "arm64")
)
SERVER = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("/model/m.bin", "rb").read())
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
# Nothing runs in the foreign platform's stage: there is no emulation here.
DOCKERFILE = f"""\
ARG BASE_IMAGE=scratch
FROM ${{BASE_IMAGE}} AS {NATIVE}
RUN echo built > /built
FROM scratch AS {FOREIGN}
FROM ${{TARGETARCH}}
COPY server.py /server.py
COPY --from=model m.bin /model/m.bin
CMD ["python3", "/server.py"]
"""


def program(name: str) -> Path:
    found = shutil.which(name)
    assert found, name
    return Path(found)


@pytest.fixture(scope="module")
def container_builder(
    docker_engine: Engine, registry: str, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a `docker-container` builder, which has not been started yet."""
    folder = tmp_path_factory.mktemp("buildkit-image")
    tools = toolchain.ensure_all(["buildkitd", "buildctl"])
    runc = program("runc")
    libraries = re.findall(r"=> (/\S*libseccomp\S*)", process.run(["ldd", runc]).stdout)
    for file in (*tools.values(), runc, *map(Path, libraries)):
        shutil.copy(file.resolve(), folder / file.name)
    (folder / "Dockerfile").write_text(
        f"FROM {base_image}\nCOPY buildkitd buildctl runc /usr/bin/\n"
        + "".join(f"COPY {Path(one).name} {one}\n" for one in libraries)
        + 'ENTRYPOINT ["buildkitd"]\n'
    )
    image = f"{registry}/test/buildkit:1"
    docker_engine.docker(
        "buildx", "build", "--quiet", "--builder=default", "--load", f"--tag={image}", str(folder)
    )
    docker_engine.docker("push", "--quiet", image)
    config = folder / "buildkitd.toml"
    config.write_text(f'[registry."{registry}"]\nhttp = true\n[worker.oci]\nnetworkMode = "host"\n')
    name = "model-gitops-test-container"
    docker_engine.docker(
        "buildx", "create", f"--name={name}", "--driver=docker-container",
        f"--driver-opt=image={image},network=host", f"--buildkitd-config={config}",
    )  # fmt: skip
    yield name
    docker_engine.docker("buildx", "rm", "--force", name)
    docker_engine.docker("rmi", "--force", image)


def test_two_platforms_tested_pushed_and_reused(
    container_builder: str,
    docker_environment: Engine,
    registry: str,
    base_image: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.bin").write_text("weights")
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / ".dockerignore").write_text("*\n!server.py\n")
    process.run(["git", "init", "--quiet", tmp_path])
    (tmp_path / "deploys").mkdir()
    deploys = Deploys(tmp_path / "deploys", f"{registry}/test/container")
    (tmp_path / "promotion.yaml").write_text(deploys.promotion)

    def run(tag: str, **more: str) -> dict[str, str]:
        given = {
            "image": f"{registry}/test/container",
            "tag": tag,
            "builder": container_builder,
            "build-args": f"BASE_IMAGE={base_image}",
            "build-contexts": "model=models",
            "platforms": f"linux/{NATIVE},linux/{FOREIGN}",
            "provenance": "mode=min",
            "cache-to": f"type=registry,ref={registry}/test/container:cache,mode=max",
            "cache-from": f"type=registry,ref={registry}/test/container:cache",
            "smoke-test": "request: {path: /}\nexpect: {body-contains: weights}\ntimeout: 30",
            **more,
        }
        words = [sys.executable, "-I", ROOT / "scripts", "build-push-image"]
        env = {f"MODEL_GITOPS_{key.upper().replace('-', '_')}": v for key, v in given.items()}
        env |= {name: "" for name in os.environ if name.startswith("GITHUB_")}
        done = process.run(words, cwd=tmp_path, env=env, check=False)
        assert done.returncode == 0, done.stderr
        return dict(line.partition("=")[::2] for line in done.stdout.splitlines())

    built = run("one")
    assert built["operation"] == "built"
    raw = ["buildx", "imagetools", "inspect", f"--builder={container_builder}", "--raw"]
    index = json.loads(docker_environment.docker(*raw, built["image"]).stdout)
    platforms = {
        one["platform"]["architecture"]
        for one in index["manifests"]
        if "vnd.docker.reference.type" not in one.get("annotations", {})
    }
    assert platforms == {NATIVE, FOREIGN}
    assert len(index["manifests"]) == 4, "each platform has its provenance"

    deploys.deploy(built["image"], built["fingerprint"])
    reused = run("two")
    assert (reused["operation"], reused["digest"]) == ("reused", built["digest"])
    (tmp_path / "models" / "m.bin").write_text("weights!")
    assert run("three")["operation"] == "built"
