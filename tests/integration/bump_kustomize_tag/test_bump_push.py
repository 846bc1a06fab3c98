"""bump-kustomize-tag with real Git, real kustomize, and the stand-in for GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.core.deploy import kustomization
from model_gitops.options import variable
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
BOT, READER, CANARY = "bot-secret-token", "reader-secret-token", "canary-secret-token"
SOURCE = "acme/diabetes"
DEPLOY = "acme/diabetes-deploy"
OVERLAY = "overlays/dev"
KUSTOMIZATION = """\
# The team's overlay.
resources:
  - ../../base

images:
  # Set by CI.
  - name: diabetes
    newName: ghcr.io/acme/diabetes   # the registry
    newTag: v1
  - name: sidecar
    newTag: "1.10"
namePrefix: dev-
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  containers:
    - {name: model, image: diabetes}
    - {name: side, image: sidecar}
"""


@dataclass
class Work:
    """A clone that a person works in."""

    git: Git
    remote: Path

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        for name, text in files.items():
            path = self.git.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", message)
        self.git.run("push", "--quiet", "origin", "HEAD")
        return self.git.run("rev-parse", "HEAD").strip()

    def pull(self) -> str:
        self.git.run("pull", "--quiet", "--ff-only")
        return self.git.run("rev-parse", "HEAD").strip()

    def text(self, name: str = f"{OVERLAY}/kustomization.yaml") -> str:
        return (self.git.directory / name).read_bytes().decode()

    def state(self) -> str:
        """Every ref of the remote: what must not change on an error."""
        return Git(self.remote).run("for-each-ref")


def repository(folder: Path, name: str) -> Work:
    bare = folder / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, folder / name])
    git = Git(folder / name)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    git.run("config", "core.autocrlf", "false")
    git.run("switch", "--quiet", "--orphan", "main")
    return Work(git, bare)


@pytest.fixture
def deploy(tmp_path: Path) -> Work:
    work = repository(tmp_path, "deploy")
    work.commit(
        {
            "base/kustomization.yaml": "resources: [pod.yaml]\n",
            "base/pod.yaml": POD,
            f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION,
        },
        "first",
    )
    return work


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """The model repository; its checkout is where the step runs."""
    work = repository(tmp_path, "source")
    work.commit({"model.py": "1\n"}, "first")
    monkeypatch.chdir(work.git.directory)
    return work


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))


class Step:
    """Runs the action as a runner does, and reads its outputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deploy: Work) -> None:
        self.monkeypatch = monkeypatch
        self.deploy = deploy
        self.output = Path(os.environ["GITHUB_OUTPUT"])

    def run(self, images: str, *, sha: str = "", code: int = 0, **inputs: str) -> dict[str, str]:
        self.output.write_text("")
        values = {"repository": str(self.deploy.remote), "path": OVERLAY, "images": images}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        with self.monkeypatch.context() as patch:
            patch.setenv("GITHUB_REPOSITORY", SOURCE if sha else "")
            patch.setenv("GITHUB_SHA", sha)
            for name, value in values.items():
                patch.setenv(variable(name), value)
            assert main(["bump-kustomize-tag"]) == code
        return dict(
            re.findall(r"^(.+)<<(?:.+)\n((?:.|\n)*?)\nend-", self.output.read_text(), re.MULTILINE)
        )


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch, deploy: Work) -> Step:
    return Step(monkeypatch, deploy)


def diff(work: Work) -> list[str]:
    text = work.git.run("show", "--format=", "--unified=0", "HEAD")
    return [line for line in text.splitlines() if re.match(r"[-+](?![-+])", line)]


# --- push ------------------------------------------------------------------------------------------


def test_a_bump_is_a_small_diff_with_trailers(deploy: Work, source: Work, step: Step) -> None:
    sha = source.pull()
    outputs = step.run(
        f"diabetes=:v2@{A}", sha=sha, trailers="Model: diabetes@v0.0.2\nModel-Hash: md5:1"
    )
    commit = deploy.pull()
    assert outputs == {
        "operation": "pushed",
        "commit": commit,
        "previous": "ghcr.io/acme/diabetes:v1",
        "pull-request": "",
    }
    assert diff(deploy) == ["-    newTag: v1", "+    newTag: v2", f"+    digest: {A}"]
    assert deploy.git.run("log", "-1", "--format=%B").strip() == (
        "Deploy diabetes v0.0.2 to dev\n\nModel: diabetes@v0.0.2\nModel-Hash: md5:1\n"
        f"Source-Repository: {SOURCE}\nSource-Commit: {sha}\nImage-Digest: {A}"
    )
    trailers = deploy.git.run(
        "log", "-1", "--format=%(trailers:key=Source-Commit,valueonly)"
    ).strip()
    assert trailers == sha
    # The second bump changes one line, for each of tag and digest.
    assert step.run(f"diabetes=:v3@{B}", sha=sha)["previous"] == f"ghcr.io/acme/diabetes:v2@{A}"
    deploy.pull()
    assert diff(deploy) == [
        "-    newTag: v2", f"-    digest: {A}", "+    newTag: v3", f"+    digest: {B}",
    ]  # fmt: skip
    assert "`overlays/dev`: pushed" in Path(os.environ["GITHUB_STEP_SUMMARY"]).read_text()


def test_the_second_run_does_nothing(deploy: Work, source: Work, step: Step) -> None:
    sha = source.pull()
    first = step.run(f"diabetes=:v2@{A}\nsidecar=:1.11", sha=sha)
    assert first["previous"] == "diabetes=ghcr.io/acme/diabetes:v1\nsidecar=sidecar:1.10"
    before = deploy.state()
    again = step.run(f"diabetes=:v2@{A}\nsidecar=:1.11", sha=sha)
    assert again["operation"] == "none"
    assert again["commit"] == first["commit"] == deploy.pull()
    assert deploy.state() == before
    assert 'newTag: "1.11"' in deploy.text()


@pytest.mark.usefixtures("tools_on_path")
@pytest.mark.parametrize(
    "tag", ["v2", "1.10", "1e3", "0x1f", "017", "2024-01-01", "no", "null", "12e4567", "y"]
)
def test_kustomize_reads_what_was_meant(deploy: Work, step: Step, tag: str) -> None:
    overlay = deploy.git.directory / OVERLAY
    before = process.run(["kustomize", "build", overlay]).stdout
    assert "image: ghcr.io/acme/diabetes:v1\n" in before
    step.run(f"diabetes=:{tag}")
    deploy.pull()
    after = process.run(["kustomize", "build", overlay]).stdout
    assert after == before.replace("diabetes:v1\n", f"diabetes:{tag}\n")
    step.run(f"diabetes=127.0.0.1:5000/d:{tag}@{A}")
    deploy.pull()
    after = process.run(["kustomize", "build", overlay]).stdout
    assert f"image: 127.0.0.1:5000/d:{tag}@{A}\n" in after


@pytest.mark.usefixtures("tools_on_path")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "kustomization.yml",
            "resources: [../../base]\r\nimages:\r\n- {name: diabetes, newTag: v1}",
        ),
        ("Kustomization", "\ufeffresources:\n- ../../base\nimages:\n- name: diabetes # tab\t\n"),
        ("kustomization.yaml", '{"resources": ["../../base"], "images": [{"name": "diabetes"}]}'),
    ],
)
def test_other_spellings(deploy: Work, step: Step, name: str, text: str) -> None:
    deploy.commit({f"overlays/odd/{name}": text, ".gitattributes": "* text eol=lf\n"})
    step.run(f"diabetes=x/y:1.0@{A}", path="overlays/odd")
    raw = subprocess.run(
        ["git", "cat-file", "blob", f"main:overlays/odd/{name}"],
        cwd=deploy.remote, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    stored = text.replace("\r\n", "\n")  # as `git add` with eol=lf stored it
    assert raw != stored
    assert "\r" not in raw
    assert raw[:12] == stored[:12]
    deploy.pull()
    built = process.run(["kustomize", "build", deploy.git.directory / "overlays/odd"]).stdout
    assert f"image: x/y:1.0@{A}\n" in built


def test_line_endings_in_the_repository_stay(deploy: Work, step: Step) -> None:
    text = KUSTOMIZATION.replace("\n", "\r\n").removesuffix("\r\n")
    deploy.commit({f"{OVERLAY}/kustomization.yaml": text})
    step.run("diabetes=:v2")
    deploy.pull()
    assert deploy.text() == text.replace("newTag: v1", "newTag: v2")


def test_a_branch_other_than_the_default(deploy: Work, step: Step) -> None:
    deploy.git.run("push", "--quiet", "origin", "HEAD:refs/heads/release/1")
    main_before = deploy.pull()
    outputs = step.run("diabetes=:v2", branch="release/1", repository=f"file://{deploy.remote}")
    assert outputs["commit"] == Git(deploy.remote).run("rev-parse", "release/1").strip()
    assert deploy.pull() == main_before


def test_only_the_one_file_is_downloaded(deploy: Work, step: Step) -> None:
    Git(deploy.remote).run("config", "uploadpack.allowFilter", "true")
    deploy.commit({"big.bin": "x" * 3_000_000})
    step.run("diabetes=:v2", repository=f"file://{deploy.remote}")
    deploy.pull()
    assert "newTag: v2" in deploy.text()


# --- nothing changes on errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"images": "diabets=:v2"}, "it has: diabetes, sidecar"),
        ({"images": ""}, "there is nothing to set"),
        ({"images": "diabetes=UPPER:v2"}, "input `images` is 'diabetes=UPPER:v2'"),
        ({"path": "base"}, "has no `images`"),
        ({"path": "overlays"}, "has no kustomization.yaml; it holds dev"),
        ({"path": "nowhere"}, "has no such folder"),
        ({"path": "link"}, "'link' is a symbolic link"),
        ({"path": "linked"}, "is a symbolic link or no file"),
        ({"path": "two"}, "kustomize takes only one"),
        ({"path": "latin"}, "is not UTF-8"),
        ({"path": "../x"}, "not a folder inside the deploy repository"),
        ({"branch": "nope"}, "no such branch; it has main"),
        ({"branch": '`a"b$(touch pwned)`id`'}, "no such branch"),
        ({"branch": "--upload-pack=touch pwned"}, "no such branch"),
        ({"repository": "ext::sh -c touch% pwned"}, "input `repository`"),
        ({"mode": "yes"}, "neither `push` nor `pull-request`"),
        ({"mode": "pull-request"}, "a pull request needs a repository on https://github.com"),
        ({"token": "t", "ssh-key": "k"}, "both given"),
        ({"trailers": "nonsense"}, "it is not `Key: value`"),
    ],
)
def test_wrong_inputs_change_nothing(
    deploy: Work,
    step: Step,
    capsys: pytest.CaptureFixture[str],
    inputs: dict[str, str],
    problem: str,
) -> None:
    folder = deploy.git.directory
    (folder / "link").symlink_to(OVERLAY)
    (folder / "linked").mkdir()
    (folder / "linked/kustomization.yaml").symlink_to(f"../{OVERLAY}/kustomization.yaml")
    (folder / "latin").mkdir()
    (folder / "latin/kustomization.yaml").write_bytes(b"# \xe9\nimages: []\n")
    deploy.commit({"two/kustomization.yaml": "{}", "two/Kustomization": "{}"})
    before = deploy.state()
    given = {"images": "diabetes=:v2"} | inputs
    images = given.pop("images")
    assert step.run(images, code=2, **given) == {}
    assert problem in capsys.readouterr().err
    assert deploy.state() == before
    assert not list(Path.cwd().rglob("pwned"))


def test_a_missing_repository_is_told(
    step: Step, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step.run("diabetes=:v2", repository=str(tmp_path / "none.git"), code=4)
    assert "none.git" in capsys.readouterr().err


def test_a_protected_branch_is_told(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = deploy.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch update failed.' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = deploy.state()
    assert step.run("diabetes=:v2", code=4) == {}
    said = capsys.readouterr().err
    assert "GH006" in said
    assert "mode: pull-request" in said
    assert deploy.state() == before


def test_no_hook_of_the_account_runs(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, log = tmp_path / "hooks", tmp_path / "log"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\necho $0 in $(pwd) >> '{log}'\n")
        (hooks / name).chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert step.run("diabetes=:v2")["operation"] == "pushed"
    # The remote is on this machine, and has the account's settings too.
    assert {line.rpartition("/")[2] for line in log.read_text().splitlines()} == {"deploy.git"}


def test_no_temporary_files_are_left(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    step.run("diabetes=:v2")
    step.run("nope=:v2", code=2)
    assert list(temporary.iterdir()) == []


# --- races -------------------------------------------------------------------------------------------


def parallel(deploy: Work, jobs: list[str]) -> list[str]:
    """Run one process a job, all at once; return the operations."""

    def run(images: str) -> str:
        command = [sys.executable, "-m", "model_gitops", "bump-kustomize-tag"]
        inputs = ["--repository", str(deploy.remote), "--path", OVERLAY, "--images", images]
        scripts = Path(__file__).parents[2] / "scripts"
        environment = {key: value for key, value in os.environ.items() if key != "GITHUB_OUTPUT"}
        done = subprocess.run(
            command + inputs, env=environment | {"PYTHONPATH": str(scripts)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return re.findall(r"^operation=(.*)$", done.stdout, re.MULTILINE)[0]

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_parallel_bumps_of_different_images_all_land(deploy: Work) -> None:
    names = [f"app{number}" for number in range(5)]
    text = "images:\n" + "".join(f"- name: {name}\n  newTag: v1\n" for name in names)
    deploy.commit({f"{OVERLAY}/kustomization.yaml": text})
    assert parallel(deploy, [f"{name}=:v2" for name in names]) == ["pushed"] * 5
    deploy.pull()
    assert deploy.text() == text.replace("v1", "v2")
    assert deploy.git.run("rev-list", "--count", "HEAD").strip() == "7"


def test_parallel_bumps_of_one_image_leave_a_whole_state(deploy: Work) -> None:
    jobs = [f"diabetes=:v{number}@sha256:{number:064x}" for number in range(2, 7)]
    assert parallel(deploy, jobs) == ["pushed"] * 5
    deploy.pull()
    tag, digest = re.findall(r"newTag: v(\d)\n    digest: sha256:0*(\d)", deploy.text())[0]
    assert tag == digest
    assert deploy.git.run("rev-list", "--count", "HEAD").strip() == "6"


def test_a_lost_race_is_decided_again(
    deploy: Work, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sets our very image between our fetch and our push."""
    from model_gitops.adapters.deploy_repository import DeployRepository

    push = DeployRepository.push
    calls = []

    def late(
        self: DeployRepository, commit: str, branch: str, *, expected: str | None = None
    ) -> None:
        calls.append(commit)
        if len(calls) == 1:
            deploy.commit({f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION.replace("v1", "v2")})
        push(self, commit, branch, expected=expected)

    monkeypatch.setattr(DeployRepository, "push", late)
    assert step.run("diabetes=:v2")["operation"] == "none"
    assert len(calls) == 1
    calls.clear()
    assert step.run("diabetes=:v9")["operation"] == "pushed"
    assert len(calls) == 2


# --- no step back ------------------------------------------------------------------------------------


def test_an_older_commit_does_not_replace_a_newer_one(
    deploy: Work, source: Work, step: Step, capfd: pytest.CaptureFixture[str]
) -> None:
    old = source.pull()
    new = source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:new@{A}", sha=new)
    before = deploy.state()
    outputs = step.run(f"diabetes=:old@{B}", sha=old)
    assert outputs["operation"] == "superseded"
    assert outputs["commit"] == newer["commit"]
    assert outputs["previous"] == f"ghcr.io/acme/diabetes:new@{A}"
    assert deploy.state() == before
    assert "Rollback: true" in capfd.readouterr().err
    # The same for an image without a digest, after a commit about something else.
    step.run("sidecar=:new", sha=new)
    deploy.pull()
    deploy.commit({f"{OVERLAY}/kustomization.yaml": deploy.text() + "# more\n", "x": "y"})
    assert step.run("sidecar=:old", sha=old)["operation"] == "superseded"
    # A rollback says so. A rerun of what it took back is no deployment; a later commit is.
    back = step.run(f"diabetes=:old@{B}", sha=old, trailers="Rollback: true")
    assert back["operation"] == "pushed"
    assert f"\nRollback-From: {new}\n" in Git(deploy.remote).run(
        "log", "-1", "--format=%B", back["commit"]
    )
    again = step.run(f"diabetes=:new@{A}", sha=new)
    assert (again["operation"], again["commit"]) == ("superseded", back["commit"])
    assert "rolled back" in capfd.readouterr().err
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:later@{A}", sha=later)["operation"] == "pushed"


def test_a_newer_commit_replaces_an_older_one(deploy: Work, source: Work, step: Step) -> None:
    step.run(f"diabetes=:old@{A}", sha=source.pull())
    new = source.commit({"model.py": "2\n"})
    assert step.run(f"diabetes=:new@{B}", sha=new)["operation"] == "pushed"


def by_hand(deploy: Work, kind: str) -> None:
    """What a person may do to an overlay between two deployments."""
    path = f"{OVERLAY}/kustomization.yaml"
    deploy.pull()
    if kind == "revert":
        deploy.git.run("revert", "--no-edit", "HEAD")
        deploy.git.run("push", "--quiet", "origin", "HEAD")
    elif kind == "edit":
        deploy.commit({path: deploy.text().replace("ghcr.io/acme/diabetes ", "mirror/diabetes ")})
    elif kind == "edit of the tag":
        deploy.commit({path: deploy.text().replace("newTag: new", "newTag: newer")})
    elif kind == "another deployment beside it":
        deploy.commit(
            {path: deploy.text().replace('"1.10"', '"1.11"')},
            f"Deploy\n\nSource-Repository: {SOURCE}\nSource-Commit: {'0' * 40}",
        )
    else:
        deploy.git.run("mv", OVERLAY, "overlays/development")
        deploy.commit({}, "move")
    for number in range(5):
        deploy.commit({"other": str(number)})


@pytest.mark.parametrize("digest", [f"@{A}", ""], ids=["digest", "tag"])
@pytest.mark.parametrize(
    "kind", ["revert", "edit", "edit of the tag", "another deployment beside it", "move"]
)
def test_a_change_by_hand_does_not_end_the_guard(
    deploy: Work, source: Work, step: Step, kind: str, digest: str
) -> None:
    old = source.pull()
    newer = step.run(f"diabetes=:new{digest}", sha=source.commit({"model.py": "2\n"}))
    assert newer["operation"] == "pushed"
    by_hand(deploy, kind)
    path = "overlays/development" if kind == "move" else OVERLAY
    late = step.run("diabetes=:old", sha=old, path=path)
    if kind == "move" and not digest:
        assert late["operation"] == "pushed"  # nothing ties the file to the one before
    else:
        assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    later = source.commit({"model.py": "3\n"})
    assert step.run("diabetes=:later", sha=later, path=path)["operation"] == "pushed"


def test_an_image_that_was_set_by_hand_only_is_replaced(
    deploy: Work, source: Work, step: Step
) -> None:
    path = f"{OVERLAY}/kustomization.yaml"
    deploy.commit({path: deploy.text().replace("newTag: v1", f"newTag: v1\n    digest: {C}")})
    assert step.run(f"diabetes=:v2@{A}", sha=source.pull())["operation"] == "pushed"


@pytest.mark.parametrize("digest", [f"@{A}", ""], ids=["digest", "tag"])
def test_a_deployment_is_found_however_much_went_on_since(
    deploy: Work, source: Work, step: Step, digest: str
) -> None:
    """A production that is deployed once a quarter, in a repository that many use."""
    from model_gitops.adapters import deploy_repository

    old = source.pull()
    newer = step.run(f"diabetes=:new{digest}", sha=source.commit({"model.py": "2\n"}))
    head = deploy.pull()
    others = "".join(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> 4102444800 +0000\ndata 5\nother\n"
        + (f"from {head}\n" if number == 0 else "")
        + f"M 100644 inline other\ndata <<END\n{number}\nEND\n"
        # Some of them change the same file, and so many that not each can be read.
        + (f"M 100644 inline {OVERLAY}/kustomization.yaml\ndata <<END\n{deploy.text()}"
           f"# {number}\nEND\n" if digest and number % 6 == 0 else "")
        for number in range(600)
    )  # fmt: skip
    Git(deploy.remote).run("fast-import", "--quiet", input=others)
    late = step.run("diabetes=:old", sha=old)
    assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    with deploy_repository.opened(deploy.remote.as_uri(), ANONYMOUS) as opened:
        file = opened.read_kustomization(opened.fetch("main"), OVERLAY)
        image = kustomization.find(
            kustomization.read(file.text, source=file.path), "diabetes", source=file.path
        )
        depths = deploy_repository.DEEPER
        found = opened.last_change("main", file, image, depths=depths)
    assert found is not None
    assert found.commit == newer["commit"]


def test_other_histories_are_no_order(deploy: Work, source: Work, step: Step) -> None:
    base = source.pull()
    source.git.run("switch", "--quiet", "-c", "side")
    side = source.commit({"model.py": "side\n"})
    source.git.run("switch", "--quiet", "-c", "other", base)
    other = source.commit({"model.py": "other\n"})
    step.run(f"diabetes=:a@{A}", sha=side)
    assert step.run(f"diabetes=:b@{B}", sha=other)["operation"] == "pushed"


def test_a_shallow_checkout_is_completed(
    deploy: Work, source: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = source.pull()
    process.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{source.remote}", tmp_path / "shallow"]
    )
    source.commit({"model.py": "2\n"})
    new = source.commit({"model.py": "3\n"})
    step.run(f"diabetes=:new@{A}", sha=new)
    monkeypatch.chdir(tmp_path / "shallow")
    assert step.run(f"diabetes=:old@{B}", sha=old)["operation"] == "superseded"


def test_where_nobody_can_tell_the_image_is_set_with_a_warning(
    deploy: Work, source: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    old = source.pull()
    step.run(f"diabetes=:new@{A}", sha=source.commit({"model.py": "2\n"}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert step.run(f"diabetes=:old@{B}", sha=old)["operation"] == "pushed"
    assert "fetch-depth: 0" in capfd.readouterr().err


def test_history_is_not_downloaded_to_find_the_incumbent(
    deploy: Work, source: Work, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_gitops.adapters.deploy_repository import DeployRepository

    for number in range(30):
        deploy.commit({"other": str(number)})
    step.run(f"diabetes=:a@{A}", sha=source.pull())
    depths = []
    fetch = DeployRepository.fetch

    def watched(self: DeployRepository, branch: str, *, depth: int = 1) -> str:
        depths.append(depth)
        return fetch(self, branch, depth=depth)

    monkeypatch.setattr(DeployRepository, "fetch", watched)
    step.run(f"diabetes=:b@{B}", sha=source.commit({"model.py": "2\n"}))
    assert set(depths) == {1}


# --- pull requests -----------------------------------------------------------------------------------


@pytest.fixture
def forge(tmp_path: Path, deploy: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(DEPLOY, deploy.remote)
        made.add_token(BOT, "deployer[bot]")
        made.add_token(READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"})
        made.add_token(CANARY, "deployer[bot]", {"contents": "write", "pull-requests": "read"})
        monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made


PROPOSE = {"repository": DEPLOY, "mode": "pull-request", "token": BOT}


def test_one_pull_request_is_opened_and_kept_up_to_date(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    sha = source.pull()
    main_before = deploy.pull()
    model = {"trailers": "Model: diabetes@v0.0.2"}
    first = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert first["operation"] == "opened"
    assert first["previous"] == "ghcr.io/acme/diabetes:v1"
    number = int(first["pull-request"].rpartition("/")[2])
    pull = api.pull_request(number)
    assert pull.title == "Deploy diabetes v0.0.2 to dev"
    assert f"`ghcr.io/acme/diabetes:v2@{A}`" in pull.body
    assert f"{forge.url}/{SOURCE}/commit/{sha}" in pull.body
    assert pull.head_sha == first["commit"]
    assert pull.head_ref.startswith("model-gitops/bump-overlays-dev-diabetes-")
    assert deploy.pull() == main_before

    refs = deploy.state()
    again = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert again == first | {"operation": "none"}
    assert deploy.state() == refs

    newer_sha = source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:v3@{B}", sha=newer_sha, **PROPOSE)
    assert newer["operation"] == "updated"
    assert newer["pull-request"] == first["pull-request"]
    assert api.pull_request(number).title == "Bump diabetes to v3 in overlays/dev"
    parents = Git(deploy.remote).run("rev-list", "--parents", "-1", newer["commit"]).split()
    assert parents == [newer["commit"], main_before]

    # An older commit leaves the newer proposal alone.
    older = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert older["operation"] == "superseded"
    assert api.pull_request(number).head_sha == newer["commit"]

    # The base moves: the proposal is made anew on top of it.
    moved = deploy.commit({"other": "x"})
    rebased = step.run(f"diabetes=:v3@{B}", sha=newer_sha, **PROPOSE)
    assert rebased["operation"] == "updated"
    assert Git(deploy.remote).run("rev-parse", f"{rebased['commit']}~1").strip() == moved


def test_after_a_merge_there_is_a_new_pull_request(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    sha = source.pull()
    first = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    number = int(first["pull-request"].rpartition("/")[2])
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    api._repository.get_pull(number).merge(merge_method="squash")
    merged = deploy.pull()
    assert f"digest: {A}" in deploy.text()

    same = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    assert (same["operation"], same["commit"], same["pull-request"]) == ("none", merged, "")
    new = source.commit({"model.py": "2\n"})
    second = step.run(f"diabetes=:v3@{B}", sha=new, **PROPOSE)
    assert second["operation"] == "opened"
    assert second["pull-request"] != first["pull-request"]
    # Closed without a merge, and asked for again.
    api._repository.get_pull(int(second["pull-request"].rpartition("/")[2])).edit(state="closed")
    third = step.run(f"diabetes=:v3@{B}", sha=new, **PROPOSE)
    assert third["operation"] == "opened"
    assert third["commit"] == second["commit"]
    # What a squash merge brought in guards too.
    api._repository.get_pull(int(third["pull-request"].rpartition("/")[2])).merge(
        merge_method="merge"
    )
    assert step.run(f"diabetes=:old@{C}", sha=sha, **PROPOSE)["operation"] == "superseded"


def test_a_rerun_of_what_runs_sees_that_a_newer_one_waits(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    old = source.pull()
    step.run(f"diabetes=:old@{A}", sha=old)
    assert step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)["operation"] == "none"
    new = source.commit({"model.py": "2\n"})
    waiting = step.run(f"diabetes=:new@{B}", sha=new, **PROPOSE)
    assert waiting["operation"] == "opened"
    again = step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)
    assert again == waiting | {
        "operation": "superseded",
        "previous": f"ghcr.io/acme/diabetes:old@{A}",
    }
    # A rollback to what runs is no change, and a proposal that was closed is none.
    back = step.run(f"diabetes=:old@{A}", sha=old, trailers="Rollback: true", **PROPOSE)
    assert back["operation"] == "none"
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    api._repository.get_pull(int(waiting["pull-request"].rpartition("/")[2])).edit(state="closed")
    assert step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)["operation"] == "none"


def test_two_images_have_two_pull_requests(deploy: Work, step: Step, forge: Forge) -> None:
    one = step.run("diabetes=:v2", **PROPOSE)
    other = step.run("sidecar=:v2", **PROPOSE)
    assert one["pull-request"] != other["pull-request"]
    assert step.run("diabetes=:v2", **PROPOSE)["operation"] == "none"


def test_push_over_http_with_a_token_that_is_seen_nowhere(
    deploy: Work, step: Step, forge: Forge, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs = step.run("diabetes=:v2", repository=DEPLOY, token=CANARY)
    assert outputs["operation"] == "pushed"
    assert outputs["commit"] == deploy.pull()
    written = capfd.readouterr()
    assert CANARY not in written.out + written.err
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "forge.json" and CANARY.encode() in path.read_bytes()
    ]
    assert found == []


def test_push_over_ssh_with_a_key_that_is_left_nowhere(
    deploy: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program in the place of ssh writes down what it got, and runs the command here."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    log, fake = tmp_path / "log", tmp_path / "fake-ssh"
    fake.write_text(
        f"""#!/bin/sh
echo "$*" >> '{log}'
while [ $# -gt 1 ]; do [ "$1" = -i ] && cat "$2" >> '{log}' && stat -c %a "$2" >> '{log}'; shift; done
exec sh -c "$1"
"""
    )
    fake.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(fake))
    url = f"ssh://git@git.example{deploy.remote}"
    outputs = step.run("diabetes=:v2", repository=url, ssh_key="KEY one\nKEY two")
    assert outputs["commit"] == deploy.pull()
    said = log.read_text()
    assert "KEY one\nKEY two\n600\n" in said
    assert "git-receive-pack" in said
    assert "IdentitiesOnly=yes" in said
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("inputs", "code", "problem"),
    [
        ({"token": ""}, 2, "inputs `token` and `ssh-key` are both empty"),
        ({"token": READER}, 4, "GitHub App token"),
        ({"token": "wrong"}, 4, ""),
        ({"token": "", "mode": "pull-request"}, 2, "input `token` is empty"),
        ({"token": CANARY, "mode": "pull-request"}, 4, "pull-requests: write"),
        ({"token": READER, "mode": "pull-request"}, 4, "contents: write"),
    ],
)
def test_refusals_say_what_is_missing(
    deploy: Work, step: Step, forge: Forge, capsys: pytest.CaptureFixture[str],
    inputs: dict[str, str], code: int, problem: str,
) -> None:  # fmt: skip
    before = deploy.state()
    step.run("diabetes=:v2", repository=DEPLOY, code=code, **inputs)
    assert problem in capsys.readouterr().err
    assert deploy.state() == before


def test_the_api_is_asked_again_after_faults(step: Step, forge: Forge) -> None:
    forge.fail_next("GET", "/pulls", 502, times=2)
    forge.fail_next(
        "POST", "/pulls", 403, headers={"Retry-After": "1"},
        body={"message": "You have exceeded a secondary rate limit.", "documentation_url": "https://x"},
    )  # fmt: skip
    assert step.run("diabetes=:v2", **PROPOSE)["operation"] == "opened"


def test_the_api_knows_which_commit_is_later(
    deploy: Work,
    source: Work,
    step: Step,
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forge.add_repository(SOURCE, source.remote)
    old = source.pull()
    new = source.commit({"model.py": "2\n"})
    inputs = {"repository": DEPLOY, "token": BOT}
    step.run(f"diabetes=:new@{A}", sha=new, **inputs)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert step.run(f"diabetes=:old@{B}", sha=old, **inputs)["operation"] == "superseded"
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:later@{C}", sha=later, **inputs)["operation"] == "pushed"


def test_who_can_not_be_asked_now_is_asked_again_or_nothing_is_set(
    deploy: Work,
    source: Work,
    step: Step,
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The guard does not fail open: neither where the API is down, nor where the server is."""
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda self, response=None: None)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    forge.add_repository(SOURCE, source.remote)
    old = source.pull()
    process.run(["git", "clone", "--quiet", source.remote.as_uri(), tmp_path / "behind"])
    inputs = {"repository": DEPLOY, "token": BOT}
    step.run(f"diabetes=:new@{A}", sha=source.commit({"model.py": "2\n"}), **inputs)
    before = deploy.state()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    forge.fail_next("GET", "/compare/", 502, times=1000)
    assert step.run(f"diabetes=:old@{B}", sha=old, code=4, **inputs) == {}
    assert "compare two commits" in capfd.readouterr().err
    forge.faults.clear()
    # The answer that it does not know the commit, or that the token can't see it, is an answer.
    for status in (403, 404, 422):
        forge.fail_next(
            "GET", "/compare/", status, body={"message": "no", "documentation_url": "x"}
        )
        assert GitHub(SOURCE, BOT, api_url=forge.api_url).is_ancestor(old, "HEAD") is None
    # Without the API the checkout asks its server, which is not there.
    checkout = Git(tmp_path / "behind")
    checkout.run("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    monkeypatch.chdir(checkout.directory)
    assert step.run(f"diabetes=:old@{B}", sha=old, code=4) == {}
    assert "127.0.0.1 port 1" in capfd.readouterr().err
    assert deploy.state() == before


# --- the adapter's comments, which cml-report uses -----------------------------------------------------


def test_comments_on_pull_requests_and_commits(deploy: Work, step: Step, forge: Forge) -> None:
    outputs = step.run("diabetes=:v2", **PROPOSE)
    number = int(outputs["pull-request"].rpartition("/")[2])
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    for target in (number, outputs["commit"]):
        assert api.list_comments(target) == []
        made = api.create_comment(target, "one")
        changed = api.update_comment(made, "two")
        assert api.list_comments(target) == [changed]
        assert (changed.body, changed.author, changed.id) == ("two", "deployer[bot]", made.id)
        assert changed.on_commit == (target != number)
    assert [pull.number for pull in api.pull_requests_of_commit(outputs["commit"])] == [number]
    assert api.find_pull_request("no-such-branch") is None
    forge.add_token("ada-secret-token", "ada")
    assert GitHub(DEPLOY, "ada-secret-token", api_url=forge.api_url).login() == "ada"
    assert GitHub(DEPLOY, READER, api_url=forge.api_url).login() == "github-actions[bot]"
    log = json.dumps(forge.requests())
    assert BOT not in log
