"""The smoke test: what fails it gets no tag, and what passes it is what is pushed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, SERVER, SMOKE, Project, smoke_leftovers

from model_gitops.adapters import process

pytestmark = pytest.mark.docker


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
    untested = project.deployed(tag="untested")
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
    built = project.deployed(tag="built", smoke_test=SMOKE)
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
    # On a loaded machine the server takes longer to start than the first check waits.
    healthy = f"HEALTHCHECK --start-period=60s --interval=1s --retries=1 CMD {check}\n"
    project.write("Dockerfile", DOCKERFILE + healthy)
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
