"""Who may push branches and images, and no more, does not choose what a merge deploys.

A real registry and BuildKit. The insider runs our own action to learn what main's image will be: its
fingerprint, its labels, the hash of its smoke test. All of that can be computed by anybody.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deploys import Deploys, message, overlay
from kills import Step, repository

from model_gitops.adapters import process
from model_gitops_local.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("clean_environment")]

SERVER = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"honest")
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
DOCKERFILE = 'ARG BASE\nFROM ${BASE}\nCOPY server.py /\nCMD ["python3", "/server.py"]\n'
SMOKE = '{"timeout": 60, "request": {"path": "/"}, "expect": {"body-contains": "honest"}}'


class Place:
    """A model repository, its deploy repository and its registry."""

    def __init__(
        self, folder: Path, registry: str, base: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder, self.registry, self.base, self._patch = folder, registry, base, monkeypatch
        self.image = f"{registry}/insider/{folder.name.lower()}"
        self.deploys = Deploys(folder / "deploys", self.image)
        files = {"Dockerfile": DOCKERFILE, "server.py": SERVER, ".dockerignore": "*\n!server.py\n"}
        files["promotion.yaml"] = self.deploys.promotion
        self.git = repository(folder, "model", files)

    def build(self, image: str) -> dict[str, str]:
        """The step of a job that builds, smoke-tests and pushes the checkout, by whomever."""
        inputs = {"image": image, "smoke-test": SMOKE, "build-args": f"BASE={self.base}"}
        step = Step(self.folder, self.git.directory, "build-push-image", inputs)
        code, outputs = step.run(self._patch)
        assert code == 0
        return outputs

    def merged(self) -> dict[str, str]:
        """A merge into main, and the step of its protected job."""
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "Merge")
        return self.build(self.image)

    def labels(self, reference: str) -> dict[str, str]:
        words = ["docker", "buildx", "imagetools", "inspect", "--format={{json .Image}}", reference]
        found = json.loads(process.run(words).stdout)
        image = found if "config" in found else next(iter(found.values()))
        return dict(image["config"]["Labels"])

    def plant(self, tags: list[str], labels: dict[str, str]) -> str:
        """Push an image that says it is another; return its digest."""
        place = self.folder / "planted"
        place.mkdir(exist_ok=True)
        (place / "server.py").write_text(SERVER.replace("honest", "planted"))
        (place / "Dockerfile").write_text(DOCKERFILE)
        said = [f"--label={key}={value}" for key, value in labels.items()]
        names = ",".join(f"{self.image}:{tag}" for tag in tags)
        metadata = self.folder / "metadata.json"
        words = ["docker", "buildx", "build", "--quiet", f"--build-arg=BASE={self.base}", *said]
        words += [f"--metadata-file={metadata}", f'--output=type=image,"name={names}",push=true']
        process.run([*words, str(place)])
        return str(json.loads(metadata.read_text())["containerimage.digest"])


@pytest.fixture
def place(
    tmp_path: Path, docker_environment: Engine, registry: str, builder: str, base_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:  # fmt: skip
    if not builder:
        pytest.skip("this engine's own builder is used")
    return Place(tmp_path, registry, base_image, monkeypatch)


def test_an_image_planted_under_the_content_of_main_is_not_deployed(place: Place) -> None:
    # On a branch: the name of the image is no part of the fingerprint.
    known = place.build(f"{place.registry}/insider/scratch")
    labels = place.labels(known["image"])
    assert labels["io.model-gitops.fingerprint"] == known["fingerprint"]
    assert "io.model-gitops.smoke-test" in labels
    head = place.git.run("rev-parse", "HEAD").strip()
    planted = place.plant([f"fp-{known['fingerprint']}", head, "latest"], labels)
    assert place.labels(f"{place.image}:{head}") == labels
    # And a deploy commit, where one may push a branch there too.
    text = overlay(place.image, head, planted)
    place.deploys.commit(
        {"dev": text}, message(known["fingerprint"], planted), "model-gitops/bump-x"
    )

    merged = place.merged()
    assert merged["fingerprint"] == known["fingerprint"]
    assert (merged["operation"], merged["digest"] == planted) == ("built", False)
    # The job of the very commit whose tag is taken.
    place.git.run("reset", "--quiet", "--hard", head)
    taken = place.build(place.image)
    assert (taken["operation"], taken["digest"] == planted) == ("built", False)

    # What was deployed once is what comes next, and later hops have its digest.
    place.deploys.deploy(merged["image"], merged["fingerprint"])
    again = place.merged()
    assert (again["operation"], again["digest"]) == ("reused", merged["digest"])


def test_a_branch_does_not_choose_the_repository_that_is_asked(
    place: Place, tmp_path: Path
) -> None:
    """The insider's own deploy repository says what it likes; a pull request's base names ours."""
    known = place.build(f"{place.registry}/insider/scratch")
    planted = place.plant(["x"], place.labels(known["image"]))
    own = Deploys(tmp_path / "own", place.image)
    own.deploy(f"{place.image}:x@{planted}", known["fingerprint"])
    base = place.git.run("rev-parse", "HEAD").strip()
    (place.git.directory / "promotion.yaml").write_text(own.promotion)
    place.git.run("commit", "--quiet", "--all", "-m", "Another deploy repository")
    head = place.git.run("rev-parse", "HEAD").strip()
    pull = {"head": {"sha": head, "ref": "x"}, "base": {"sha": base, "ref": "main"}}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": pull}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_EVENT_PATH", str(event))
        proposed = place.build(place.image)
    assert proposed["fingerprint"] == known["fingerprint"]
    assert (proposed["operation"], proposed["digest"] == planted) == ("built", False)
