"""Pulling one model, with real DVC remotes: a folder, and HTTP."""

from __future__ import annotations

import functools
import http.server
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable

ODD = "mo'del \"$(touch pwned)`id`/a b.bin"


class Project:
    """A checkout of a DVC project, whose objects are in a folder beside it."""

    def __init__(self, directory: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.git, self.top, self.store = Git(directory), directory, store
        self._monkeypatch = monkeypatch

    def pull(self, model: str, *, cwd: str = ".", **inputs: str) -> tuple[int, dict[str, str]]:
        """Run the action in this process; return the exit code and the outputs."""
        output = self.top.parent / "output"
        output.unlink(missing_ok=True)
        with self._monkeypatch.context() as patch:
            patch.chdir(self.top / cwd)
            patch.setenv("GITHUB_OUTPUT", str(output))
            for name, value in {"model": model, **inputs}.items():
                patch.setenv(variable(name.replace("_", "-")), value)
            code = main(["dvc-pull-model"])
        text = output.read_text() if output.exists() else ""
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
        return code, {name: value for name, _, value in found}

    def object(self, md5: str) -> Path:
        return self.store / "files" / "md5" / md5[:2] / md5[2:]

    def cached(self) -> list[str]:
        files = (self.top / ".dvc" / "cache").rglob("*")
        return sorted(file.parent.name + file.name for file in files if file.is_file())


def dvc(directory: Path, *words: str) -> None:
    process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=directory)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a model, a folder, an odd name and a subfolder; pushed, and registered."""
    base = tmp_path_factory.mktemp("original")
    top = base / "work"
    process.run(["git", "init", "--quiet", "--initial-branch=main", top])
    git = Git(top)
    git.run("config", "user.name", "Somebody")
    git.run("config", "user.email", "somebody@example.org")
    dvc(top, "init")
    dvc(top, "remote", "add", "--default", "store", str(base / "store"))
    for path, text in {
        "models/m.bin": "one",
        "folder/a": "1",
        "folder/sub/b": "2",
        ODD: "odd",
        "sub/s.bin": "sub",
        "other.bin": "other",
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    (top / "dvc.yaml").write_text(
        "artifacts:\n  m: {path: models/m.bin, type: model}\n  folder: {path: folder}\n"
    )
    (top / "sub" / "dvc.yaml").write_text("artifacts:\n  s: {path: s.bin, type: other}\n")
    dvc(top, "add", "models/m.bin", "folder", ODD, "sub/s.bin", "other.bin")
    git.run("add", ".")
    git.run("commit", "--quiet", "-m", "One")
    git.run("tag", "--annotate", "-m", "x", "m@v0.0.1")
    git.run("tag", "--annotate", "-m", "x", "m#prod#1")
    dvc(top, "push")
    (top / "models" / "m.bin").write_text("two!")
    dvc(top, "add", "models/m.bin")
    git.run("commit", "--quiet", "--all", "-m", "Two")
    dvc(top, "push")
    process.run(["git", "clone", "--quiet", "--bare", top, base / "remote.git"])
    return base


@pytest.fixture
def project(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A fresh checkout, and a store that the test may damage."""
    store = tmp_path / "store"
    process.run(["cp", "-r", original / "store", store])
    process.run(["chmod", "-R", "u+w", store])
    top = tmp_path / "work"
    process.run(["git", "clone", "--quiet", (original / "remote.git").as_uri(), top])
    dvc(top, "remote", "modify", "store", "url", str(store))
    return Project(top, store, monkeypatch)


ONE = "f97c5d29941bfb1b2fdab0874906ab82"


def test_just_the_model_is_pulled(project: Project) -> None:
    code, outputs = project.pull("m")
    assert code == 0
    assert (project.top / "models" / "m.bin").read_text() == "two!"
    assert outputs["path"] == "models/m.bin"
    assert (outputs["size"], outputs["type"]) == ("4", "model")
    assert project.cached() == [outputs["hash"]]
    assert not (project.top / "other.bin").exists()
    assert project.pull("models/m.bin")[1] == outputs


def test_what_is_there_is_not_fetched_again(project: Project) -> None:
    _, outputs = project.pull("m")
    project.store.rename(project.store.with_name("gone"))
    before = (project.top / "models" / "m.bin").stat()
    assert project.pull("m") == (0, outputs)
    after = (project.top / "models" / "m.bin").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("revision", ["m@v0.0.1", "m#prod", "m#prod#1", "HEAD~1"])
def test_at_another_revision(project: Project, revision: str) -> None:
    lock = (project.top / "models" / "m.bin.dvc").read_bytes()
    code, outputs = project.pull("m", revision=revision)
    assert (code, outputs["hash"], outputs["size"]) == (0, ONE, "3")
    assert (project.top / "models" / "m.bin").read_text() == "one"
    assert (project.top / "models" / "m.bin.dvc").read_bytes() == lock
    assert project.pull("m")[1]["size"] == "4"
    assert (project.top / "models" / "m.bin").read_text() == "two!"


def test_the_model_may_say_its_version(project: Project) -> None:
    assert project.pull("m@v0.0.1")[1]["hash"] == ONE
    assert project.pull("m#prod")[1]["hash"] == ONE


def test_in_a_shallow_checkout_without_tags(
    project: Project, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "shallow"
    url = (original / "remote.git").as_uri()
    process.run(["git", "clone", "--quiet", "--depth=1", "--no-tags", url, top])
    shallow = Project(top, original / "store", monkeypatch)
    first = Git(original / "work").run("rev-parse", "HEAD~1").strip()
    assert shallow.pull("m", revision="m#prod")[1]["hash"] == ONE
    assert shallow.pull("m", revision=first)[1]["hash"] == ONE
    assert shallow.pull("m", revision="main")[1]["size"] == "4"


def test_a_folder(project: Project) -> None:
    code, outputs = project.pull("folder")
    folder = project.top / "folder"
    assert (code, outputs["path"], outputs["size"]) == (0, "folder", "2")
    assert outputs["hash"].endswith(".dir")
    assert {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()} == {
        "a": "1",
        "sub/b": "2",
    }  # fmt: skip
    (folder / "a").write_text("changed")
    (folder / "sub" / "more").write_text("x")
    assert project.pull("folder")[0] == 0
    assert (folder / "a").read_text() == "1"
    assert not (folder / "sub" / "more").exists()


def test_an_odd_path_does_no_harm(project: Project) -> None:
    code, outputs = project.pull(ODD)
    assert (code, outputs["path"]) == (0, ODD)
    assert (project.top / ODD).read_text() == "odd"
    assert not list(project.top.rglob("pwned"))


@pytest.mark.parametrize(
    ("model", "inputs", "path"),
    [
        ("sub:s", {}, "sub/s.bin"),
        ("s", {"working_directory": "sub"}, "sub/s.bin"),
        ("s.bin", {"working_directory": "sub"}, "sub/s.bin"),
        ("m", {"working_directory": "sub"}, "models/m.bin"),
    ],
)
def test_a_subfolder(project: Project, model: str, inputs: dict[str, str], path: str) -> None:
    code, outputs = project.pull(model, **inputs)
    assert (code, outputs["path"]) == (0, path)
    assert (project.top / path).is_file()


def test_the_path_is_from_where_the_step_runs(project: Project) -> None:
    assert project.pull("m", cwd="sub", working_directory="..")[1]["path"] == "../models/m.bin"


@pytest.fixture
def web(project: Project) -> Iterator[str]:
    """The store over HTTP."""
    handler = functools.partial(_Quiet, directory=str(project.store))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def test_over_http_with_settings_that_no_file_keeps(project: Project, web: str) -> None:
    dvc(project.top, "remote", "add", "web", "https://127.0.0.1:1/wrong")
    before = (project.top / ".dvc" / "config").read_bytes()
    code, _ = project.pull("m", remote="web", remote_config=f"url={web}\npassword=s3cr3t-value")
    assert code == 0
    assert (project.top / "models" / "m.bin").read_text() == "two!"
    assert (project.top / ".dvc" / "config").read_bytes() == before
    assert not (project.top / ".dvc" / "config.local").exists()
    for file in project.top.rglob("*"):
        assert not file.is_file() or b"s3cr3t-value" not in file.read_bytes()


def test_a_damaged_object_never_replaces_a_good_file(
    project: Project, web: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dvc(project.top, "remote", "add", "web", web)
    _, outputs = project.pull("m", revision="m@v0.0.1")
    md5 = re.search(r"[0-9a-f]{32}", (project.top / "models" / "m.bin.dvc").read_text())
    assert md5 is not None
    damaged = project.object(md5[0])
    damaged.write_text("evil")
    assert project.pull("m", remote="web")[0] == 4
    told = capfd.readouterr().err
    assert "is damaged" in told
    assert "dvc push --remote web" in told
    assert (project.top / "models" / "m.bin").read_text() == "one"
    assert project.cached() == [outputs["hash"]]
    assert {file.name for file in (project.top / "models").iterdir()} == {
        ".gitignore",
        "m.bin",
        "m.bin.dvc",
    }


def test_a_damaged_file_of_a_folder(project: Project, web: str) -> None:
    dvc(project.top, "remote", "add", "web", web)
    project.object("c4ca4238a0b923820dcc509a6f75849b").write_text("evil")
    assert project.pull("folder", remote="web")[0] == 4
    assert not (project.top / "folder").exists()


def test_a_damaged_cache_is_healed(project: Project) -> None:
    _, outputs = project.pull("m")
    (project.top / "models" / "m.bin").unlink()
    md5 = outputs["hash"]
    cached = project.top / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    cached.chmod(0o644)
    cached.write_text("evil")
    assert project.pull("m")[0] == 0
    assert (project.top / "models" / "m.bin").read_text() == "two!"


@pytest.mark.parametrize("model", ["m", "folder"])
def test_a_model_that_was_never_pushed(
    project: Project, capfd: pytest.CaptureFixture[str], model: str
) -> None:
    project.store.rename(project.store.with_name("gone"))
    assert project.pull(model)[0] == 4
    told = capfd.readouterr().err
    assert "the DVC remote 'store'" in told
    assert "does not have" in told
    assert "dvc push --remote store" in told


def test_a_server_that_is_not_there(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    dvc(project.top, "remote", "add", "web", "http://127.0.0.1:1/store")
    assert project.pull("m", remote="web")[0] == 4
    assert "the DVC remote 'web' (http://127.0.0.1:1/store) can't be read" in capfd.readouterr().err


def test_a_web_server_that_lacks_the_model(
    project: Project, web: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dvc(project.top, "remote", "add", "web", f"{web}/elsewhere")
    assert project.pull("m", remote="web")[0] == 4
    assert "does not have 'models/m.bin'" in capfd.readouterr().err


def test_a_folder_with_one_file_missing(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.object("c4ca4238a0b923820dcc509a6f75849b").unlink()
    assert project.pull("folder")[0] == 4
    assert "c4ca4238a0b923820dcc509a6f75849b" in capfd.readouterr().err
    assert not (project.top / "folder").exists()


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        ("nope", {}, "artifacts that there are: 'm', 'folder'"),
        ("", {}, "input `model`"),
        ("../../secret", {}, "outside of the repository"),
        ("m", {"revision": "m@v9.9.9"}, "the versions of 'm': v0.0.1"),
        ("m", {"revision": "m#dev"}, "stages that hold a version of 'm': prod"),
        ("m", {"revision": "no-such"}, "has such a revision"),
        ("m", {"revision": "--upload-pack=touch pwned"}, "has such a revision"),
        ("m", {"revision": "$(touch pwned)"}, "has such a revision"),
        ("m", {"remote": "nowhere"}, "it has: store"),
        ("m", {"remote_config": "password"}, "entry 1 is no `key=value`"),
        ("m", {"remote_config": "nonsense=1"}, "configuration is wrong"),
        ("m", {"jobs": "many"}, "input `jobs`"),
        ("m", {"working_directory": "gone"}, "no such folder"),
    ],
)
def test_bad_input_changes_nothing(
    project: Project,
    capfd: pytest.CaptureFixture[str],
    model: str,
    inputs: dict[str, str],
    words: str,
) -> None:
    before = project.git.run("status", "--short")
    assert project.pull(model, **inputs)[0] == 2
    assert words in capfd.readouterr().err
    assert project.git.run("status", "--short") == before
    assert not (project.top / "models" / "m.bin").exists()
    assert not list(project.top.rglob("pwned"))


def test_without_a_default_remote(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    dvc(project.top, "remote", "default", "--unset")
    assert project.pull("m")[0] == 2
    assert "remote: store" in capfd.readouterr().err
    assert project.pull("m", remote="store")[0] == 0


def test_a_link_out_of_the_repository_is_not_followed(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.top / "models").rename(project.top / "kept")
    (project.top / "models").symlink_to(outside)
    assert project.pull("m", revision="HEAD")[0] == 2
    assert not list(outside.iterdir())


def test_a_remote_whose_package_is_missing_says_which(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    """These tests' environment has no dvc-oss; the action installs it, where uv is known."""
    dvc(project.top, "remote", "add", "cloud", "oss://bucket/path")
    assert project.pull("m", remote="cloud")[0] == 4
    assert "pip install 'dvc[oss]'" in capfd.readouterr().err
