"""Builders, platforms, attestations and caches."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, FOREIGN, NATIVE, SMOKE, Project, fingerprint_of

from model_gitops.adapters import process
from model_gitops.adapters.docker_config import PLUGINS
from model_gitops_local.engine import Engine

pytestmark = pytest.mark.docker


def engine_images() -> list[str]:
    words = ["images", "--digests", "--format={{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}"]
    return sorted(process.run(["docker", *words]).stdout.splitlines())


def test_the_engines_own_builder(project: Project, argv: Path) -> None:
    given = {"builder": "default", "smoke_test": SMOKE, "provenance": "false", "tag": "one"}
    process.run(["docker", "pull", "--quiet", project.base_image])
    mine = f"{project.image}:one"
    process.run(["docker", "tag", project.base_image, mine])
    before = engine_images()
    result = project.deployed(**given, extra_tags="two")
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


def test_buildx_is_started_once_for_each_question(
    project: Project, buildkit: str, base: str, tmp_path: Path
) -> None:
    plugins, started = tmp_path / "plugins", tmp_path / "started"
    plugins.mkdir(mode=0o755)
    real = Path(os.environ[PLUGINS]) / "docker-buildx"
    (plugins / real.name).write_text(
        f'#!/bin/sh\necho "$1 $2" >> {shlex.quote(str(started))}\nexec {shlex.quote(str(real))} "$@"\n'
    )
    (plugins / real.name).chmod(0o755)
    project.env[PLUGINS] = str(plugins)
    result = project.run(smoke_test=SMOKE, build_args=f"BASE_IMAGE={base}")
    assert (result.status, result.outputs.get("operation")) == (0, "built"), result.log
    asked = started.read_text().splitlines()
    assert "docker-cli-plugin-metadata" not in started.read_text(), "docker would ask what it is"
    assert sum(one.startswith("build ") for one in asked) == 2, "for the test, and for the push"
    # The builder; the base before and after; can it write tags, has it that tag, write it; what was pushed.
    assert len(asked) <= 10, asked


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
    first = project.deployed(**given, platforms=BOTH, tag="one")
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
    first = project.deployed(**given, tag="one")
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


def test_a_buildkit_without_any_engine(
    project: Project, buildkit: str, docker_environment: Engine, tmp_path: Path
) -> None:
    """As in a pod of a cluster: a socket of BuildKit's, docker's command line, and no engine."""
    told = docker_environment.docker("buildx", "inspect", buildkit).stdout
    (address,) = re.findall(r"Endpoint:\s+(unix://\S+)", told)
    own = tmp_path / "own-docker"
    (own / "buildx").mkdir(parents=True)
    project.env |= {
        "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock",
        "DOCKER_CONFIG": str(own),
        "BUILDX_BUILDER": "",
        "BUILDX_CONFIG": "",
    }
    if plugins := os.environ.get(PLUGINS):
        project.env[PLUGINS] = plugins
    result = project.deployed(builder=address)
    assert (result.status, result.outputs["operation"]) == (0, "built"), result.log
    again = project.run(builder=address)
    assert again.outputs["digest"] == result.outputs["digest"]
    assert again.outputs["operation"] == "reused", "the deploy repository knows this content"
    assert list((own / "buildx").iterdir()) == [], "the account's own builders are left alone"
    refused = project.run(builder=address, smoke_test=SMOKE, reuse="false", tag="x")
    assert refused.status == 4
    assert "no Docker engine answers, and the smoke test needs one" in refused.log


@pytest.mark.parametrize(
    "address",
    ["tcp://buildkitd:1234", "tcp://10.0.0.1:1234", "ssh://a@b", "unix://x", "tcp://localhost"],
)
def test_a_builder_that_others_may_listen_to(project: Project, address: str) -> None:
    result = project.run(builder=address)
    assert result.status == 2
    assert address in result.log
    assert "--driver=remote" in result.log
