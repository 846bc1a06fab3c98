"""A release from its tag to its page: real git and a real build; only GitHub's `gh` is played."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_gitops.adapters.git import Git

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".github/scripts"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
TAG = f"v{VERSION}"
SDIST, WHEEL = f"model_gitops-{VERSION}.tar.gz", f"model_gitops-{VERSION}-py3-none-any.whl"

# What gh 2.23 does with the flags that the script gives; it knows no others. A release is a folder.
GH = """\
import argparse, json, os, pathlib, shutil, subprocess, sys
assert os.environ["GH_TOKEN"] == "job-secret" and os.environ["GH_REPO"] == "acme/model-gitops"
state = pathlib.Path(os.environ["STATE"])
parser = argparse.ArgumentParser(allow_abbrev=False)
verbs = parser.add_subparsers(dest="group").add_parser("release").add_subparsers(dest="verb")
for verb, flags in {
    "view": ["--json"], "create": ["--title", "--notes-file"], "upload": [],
    "download": ["--dir"], "edit": ["--draft"],
}.items():
    command = verbs.add_parser(verb, allow_abbrev=False)
    command.add_argument("tag")
    if verb in ("create", "upload"):
        command.add_argument("files", nargs="*", type=pathlib.Path)
    if verb == "create":
        command.add_argument("--verify-tag", action="store_true", required=True)
    for flag in flags:
        command.add_argument(flag, required=True)
given = parser.parse_args()
with (state / "log").open("a") as log:
    print(given.verb, file=log)
release, meta = state / given.tag, state / f"{given.tag}.json"
def put(files):
    for file in files:
        if (release / file.name).exists():
            sys.exit(f"asset under the same name already exists: [{file.name}]")
        if (state / "fault").exists() and file.name == (state / "fault").read_text():
            (state / "fault").unlink()
            sys.exit("HTTP 502: Bad Gateway")
        shutil.copy(file, release)
if given.verb == "create":
    remote = subprocess.run(["git", "ls-remote", "--exit-code", "origin", f"refs/tags/{given.tag}"])
    if remote.returncode:
        sys.exit(f"tag {given.tag} doesn't exist in the repo acme/model-gitops, aborting due to "
                 "--verify-tag flag")
    release.mkdir()
    meta.write_text(json.dumps([True, given.title, pathlib.Path(given.notes_file).read_text()]))
    put(given.files)
    meta.write_text(json.dumps([False, *json.loads(meta.read_text())[1:]]))
elif (state / "down").exists():
    sys.exit("HTTP 503: Service Unavailable")
elif not meta.exists():
    sys.exit("release not found")
elif given.verb == "view":
    assert given.json == "assets,isDraft"
    names = [{"name": file.name} for file in sorted(release.iterdir())]
    print(json.dumps({"assets": names, "isDraft": json.loads(meta.read_text())[0]}))
elif given.verb == "download":
    if not any(release.iterdir()):
        sys.exit("no assets to download")
    shutil.copytree(release, given.dir, dirs_exist_ok=True)
elif given.verb == "upload":
    put(given.files)
elif given.verb == "edit":
    assert given.draft == "false"
    meta.write_text(json.dumps([False, *json.loads(meta.read_text())[1:]]))
"""


@dataclass
class Clone:
    """A clone of this project with a tag, and a stand-in for gh."""

    git: Git
    state: Path

    def run(self, name: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        env["PATH"] = f"{self.state / 'bin'}{os.pathsep}{env['PATH']}"
        env |= {"GH_TOKEN": "job-secret", "GH_REPO": "acme/model-gitops", "STATE": str(self.state)}
        return subprocess.run(
            [sys.executable, "-I", SCRIPTS / f"{name}.py", *args],
            cwd=self.git.directory,
            env=env | environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def build(self, folder: Path, tag: str = TAG, **environment: str) -> str:
        done = self.run("build_release", tag, str(folder), **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return (folder / "SHA256SUMS").read_text("utf-8")

    def commit(self, tag: str, change: Callable[[Path], object] = lambda top: None) -> None:
        change(self.git.directory)
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "--message", tag)
        self.git.run("tag", "--annotate", "--message", tag, tag)
        self.git.run("push", "--quiet", "origin", "HEAD", tag)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    top = Git(tmp_path)
    top.run("init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    top.run("clone", "--quiet", "origin.git", "work")
    for name in tracked():
        target = tmp_path / "work" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    state = tmp_path / "state"
    (state / "bin").mkdir(parents=True)
    (state / "bin/gh").write_text(f"#!{sys.executable} -I\n{GH}")
    (state / "bin/gh").chmod(0o755)
    made = Clone(Git(tmp_path / "work"), state)
    made.git.run("checkout", "--quiet", "-B", "main")
    made.commit(TAG)
    return made


def tracked(*under: str) -> list[str]:
    """This checkout's files, with those that are new and not ignored."""
    listed = Git(ROOT).run(
        *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"),
        *("--", *under),
    )
    return [name for name in listed.split("\0") if name and (ROOT / name).exists()]


def test_the_wheel_holds_the_users_package_and_nothing_else(clone: Clone, tmp_path: Path) -> None:
    sums = clone.build(tmp_path / "dist")
    assert re.sub(r"[0-9a-f]{64}", "HASH", sums) == f"HASH  {WHEEL}\nHASH  {SDIST}\n"
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "dist", check=True
    )
    sources = set(tracked("scripts/model_gitops"))
    templates = set(tracked("templates"))  # what `init` renders
    package = {name.removeprefix("scripts/") for name in sources}
    package |= {f"model_gitops/{name}" for name in templates}
    information = f"model_gitops-{VERSION}.dist-info"
    with zipfile.ZipFile(tmp_path / "dist" / WHEEL) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(f"{information}/METADATA").decode()
    assert {name for name in names if not name.startswith(f"{information}/")} == package
    assert f"{information}/licenses/LICENSE" in names
    assert f"\nVersion: {VERSION}\n" in metadata
    with tarfile.open(tmp_path / "dist" / SDIST) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name for name in inside if name.startswith(("scripts/", "templates/"))} == (
        sources | templates
    )
    rest = {name for name in inside if not name.startswith(("scripts/", "templates/"))}
    wanted = {"CHANGELOG.md", "LICENSE", "README.md", "PKG-INFO", "pyproject.toml", ".gitignore"}
    assert rest == wanted
    # What is installed from it starts, with no more than its one dependency.
    subprocess.run(
        [
            *("uv", "pip", "install", "--quiet", "--target", tmp_path / "site", "--no-config"),
            *("--constraint", ROOT / "scripts/requirements.txt", tmp_path / "dist" / WHEEL),
        ],
        check=True,
        timeout=300,
    )
    shown = subprocess.run(
        [sys.executable, "-S", "-m", "model_gitops", "--help"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "build-push-image" in shown.stdout


def test_the_second_package_is_not_in_the_wheel(clone: Clone, tmp_path: Path) -> None:
    clone.build(tmp_path / "dist")
    with zipfile.ZipFile(tmp_path / "dist" / WHEEL) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"model_gitops", f"model_gitops-{VERSION}.dist-info"}
    # Before the packages were two, the machine's was a room of the users'.
    assert [name for name in names if {"local", "forge"} & set(name.split("/"))] == []


def test_the_same_tag_gives_the_same_bytes_elsewhere_and_later(
    clone: Clone, tmp_path: Path
) -> None:
    sums = clone.build(tmp_path / "dist")
    Git(tmp_path).run("clone", "--quiet", "origin.git", "elsewhere")
    other = Clone(Git(tmp_path / "elsewhere"), clone.state)
    # Later work, files that lie about, another umask, time zone and clock change nothing.
    package = other.git.directory / "scripts/model_gitops"
    other.commit("later", lambda _: (package / "errors.py").write_text("later = 1\n"))
    (package / "left_over.py").write_text("x = 1\n")
    (package / "errors.py").chmod(0o600)
    before = os.umask(0o077)
    try:
        again = other.build(tmp_path / "again", TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="1000000000")
    finally:
        os.umask(before)
    assert again == sums
    for name in (SDIST, WHEEL):
        assert (tmp_path / "dist" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    # A file that differs shows.
    assert other.build(tmp_path / "later", "later") != sums
    done = other.run("build_release", TAG, str(tmp_path / "later"))
    assert (done.returncode, "holds files already" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("becomes", "told"),
    [(lambda entry: re.sub(r":[0-9a-f]{64}", f":{'0' * 64}", entry), "Hash mismatch"),
     (lambda entry: entry.partition(" ")[0] + "\n", "Hash-checking is required"),
     (lambda entry: "", "Hash-checking is required")],
    ids=["another hash", "no hash", "not locked"],
)  # fmt: skip
def test_a_build_backend_that_is_not_the_locked_one_is_refused(
    clone: Clone, tmp_path: Path, becomes: Callable[[str], str], told: str
) -> None:
    lock = clone.git.directory / "scripts/requirements.txt"
    before = lock.read_text("utf-8")
    entry = re.search(r"(?ms)^hatchling==.*?\n(?! )", before)
    assert entry
    after = before.replace(entry[0], becomes(entry[0]))
    clone.commit("tampered", lambda _: lock.write_text(after, "utf-8"))
    done = clone.run("build_release", "tampered", str(tmp_path / "dist"))
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "dist").exists()


def test_a_release_is_checked_as_its_page_says(clone: Clone, tmp_path: Path) -> None:
    page = (ROOT / "docs/releasing.md").read_text("utf-8").replace("v0.1.0", TAG)
    hashes, rebuild = (
        next(block for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", page) if word in block)
        for word in ("sha256sum --check", "build_release.py")
    )
    files = tmp_path / "files"
    clone.build(files)
    ours = "https://github.com/model-gitops/model-gitops"
    assert ours in rebuild
    commands = hashes.splitlines()[1] + "\n" + rebuild.replace(ours, f"{tmp_path}/origin.git")
    commands = commands.replace("&& cd model-gitops", "&& cd origin")

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", commands],
            cwd=files,
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )

    done = check()
    assert (done.returncode, f"{WHEEL}: OK" in done.stdout) == (0, True), done.stderr
    # A release whose wheel and sums were exchanged together shows only here.
    shutil.rmtree(files / "origin")
    (files / WHEEL).write_text("other")
    sums = subprocess.run(
        ["sha256sum", WHEEL, SDIST], cwd=files, check=True, capture_output=True, text=True
    )
    (files / "SHA256SUMS").write_text(sums.stdout)
    done = check()
    assert (done.returncode, f"{WHEEL}: OK" in done.stdout) == (1, True)


def test_a_tag_is_held_to_main_version_and_changelog(clone: Clone, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"

    def check(tag: str) -> tuple[int, str]:
        notes.unlink(missing_ok=True)
        done = clone.run("check_release", tag, str(notes))
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    status, said = check(TAG)
    assert (status, said.startswith(f"{TAG} is ")) == (0, True)
    assert "### Added" in notes.read_text("utf-8")
    # A working tree that has moved on is not what is released.
    (clone.git.directory / "CHANGELOG.md").write_text("# Changelog\n")
    assert check(TAG)[0] == 0
    clone.commit("v9.0.0")
    assert check("v9.0.0")[0] == 3
    clone.git.run("checkout", "--quiet", "-b", "side", TAG)
    project = clone.git.directory / "pyproject.toml"
    clone.commit("v9.9.9", lambda _: project.write_text('[project]\nversion = "9.9.9"\n'))
    for tag, told in (
        ("v9.0.0", f"the tag says 9.0.0, pyproject.toml says {VERSION}"),
        ("v9.9.9", "not a commit of main: merge first, then tag"),
        ("v0.0.9", "rev-parse"),
        ("--help", "rev-parse"),
    ):
        status, said = check(tag)
        assert (status, notes.exists()) == (3, False)
        assert told in said


def test_a_release_is_published_once_and_completed_later(clone: Clone, tmp_path: Path) -> None:
    dist, notes, fault = tmp_path / "dist", tmp_path / "notes.md", clone.state / "fault"
    clone.build(dist)
    assert clone.run("check_release", TAG, str(notes)).returncode == 0
    (dist / "provenance.sigstore.json").write_text("{}")
    files = [str(file) for file in sorted(dist.iterdir())]

    def publish(tag: str = TAG) -> tuple[int, str]:
        done = clone.run("publish_release", tag, str(notes), *files)
        assert "Traceback" not in done.stderr, done.stderr
        assert "job-secret" not in done.stdout + done.stderr
        return done.returncode, done.stdout

    def release() -> tuple[bool, str, str, dict[str, bytes]]:
        draft, title, text = json.loads((clone.state / f"{TAG}.json").read_text("utf-8"))
        page = clone.state / TAG
        return draft, title, text, {file.name: file.read_bytes() for file in page.iterdir()}

    status, said = publish("v9.9.9")
    assert (status, "--verify-tag" in said) == (3, True)
    # The upload breaks in the middle: a draft stays, with some of the files.
    fault.write_text(SDIST)
    status, said = publish()
    assert (status, "502" in said) == (3, True)
    assert release()[0]
    assert SDIST not in release()[3]
    # Whether there is a release can't be told: none is made.
    (clone.state / "down").touch()
    assert publish()[0] == 3
    (clone.state / "down").unlink()
    # The job runs again.
    assert publish()[0] == 0
    whole = {file.name: file.read_bytes() for file in dist.iterdir()}
    assert release() == (False, TAG, notes.read_text("utf-8"), whole)
    # And again: with a new signature, and nothing to do.
    (dist / "provenance.sigstore.json").write_text('{"again": 1}')
    log = clone.state / "log"
    log.unlink()
    assert publish() == (0, f"{TAG}: added nothing\n")
    assert log.read_text().split() == ["view", "download"]
    assert release()[3] == whole
    # A file that somebody exchanged is not published over, nor taken for ours.
    (clone.state / TAG / WHEEL).write_text("other")
    status, said = publish()
    assert (status, f"the release holds another {WHEEL}" in said) == (3, True)


def test_a_first_run_publishes_at_once(clone: Clone, tmp_path: Path) -> None:
    notes, file = tmp_path / "notes.md", tmp_path / "SHA256SUMS"
    notes.write_text("- a\n")
    file.write_text("")
    done = clone.run("publish_release", TAG, str(notes), str(file))
    assert (done.returncode, done.stdout) == (0, f"{TAG}: created\n")
    assert (clone.state / "log").read_text().split() == ["view", "create"]
