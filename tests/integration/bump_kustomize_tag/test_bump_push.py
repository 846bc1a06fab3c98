"""bump-kustomize-tag with real Git and real kustomize: a push, wrong inputs, races."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bump_step import (
    KUSTOMIZATION,
    OVERLAY,
    SOURCE,
    A,
    B,
    Step,
    Work,
)

from model_gitops.adapters import process
from model_gitops.adapters.git import Git


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


def test_a_push_names_its_run_and_a_proposal_does_not(
    deploy: Work, source: Work, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who approved the run is asked later; of a pull request its own approval counts."""
    monkeypatch.setenv("GITHUB_RUN_ID", "41")
    sha = source.pull()
    step.run(f"diabetes=:v2@{A}", sha=sha)
    deploy.pull()
    said = deploy.git.run("log", "-1", "--format=%(trailers:key=Deploy-Run,valueonly)").strip()
    assert re.fullmatch(rf"https?://\S+/{SOURCE}/actions/runs/41", said)
    before = deploy.state()
    monkeypatch.setenv("GITHUB_RUN_ID", "42")
    assert step.run(f"diabetes=:v2@{A}", sha=sha)["operation"] == "none"
    assert deploy.state() == before


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


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("no such/x/y", "has no such folder"),
        ("file/x", "has no such folder"),
        ("link/dev", "'link' is a symbolic link"),
        ("sub/x/y", "'sub' is a submodule"),
    ],
)
def test_a_folder_that_is_none_where_the_server_leaves_trees_out(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], path: str, told: str
) -> None:
    """What stands above the overlay, or above what it uses, may be anything."""
    Git(deploy.remote).run("config", "uploadpack.allowFilter", "true")
    (deploy.git.directory / "link").symlink_to("overlays")
    # A submodule's commit is in no repository of ours.
    deploy.git.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    (deploy.git.directory / "sub").mkdir()
    used = KUSTOMIZATION.replace("../../base", f"../../{path}")
    deploy.commit({"file": "text\n", f"{OVERLAY}/kustomization.yaml": used})
    url = f"file://{deploy.remote}"
    assert step.run("diabetes=:v2", code=2, path=path, repository=url) == {}
    assert told in capsys.readouterr().err
    assert step.run("diabetes=:v2", repository=url)["operation"] == "pushed"


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


@pytest.mark.parametrize("path", ["overlays/qa", "overlays", "qa/eu"])
def test_a_missing_overlay_is_told_with_what_it_takes(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    deploy.commit({"overlays/staging/kustomization.yml": KUSTOMIZATION, "docs/a.md": "x\n"})
    step.run("diabetes=:v2", path=path, code=2)
    fix = capsys.readouterr().err.partition("Fix: ")[2]
    assert fix.splitlines()[0] == (
        f"add {path}/kustomization.yaml to that repository, or give a folder that has one: base,"
        " overlays/dev, overlays/staging"
    )
    # What it says first works.
    deploy.commit({f"{path}/kustomization.yaml": "images: [{name: diabetes, newTag: none}]\n"})
    assert step.run("diabetes=:v2", path=path)["operation"] == "pushed"


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
        scripts = Path(__file__).parents[3] / "scripts"
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
