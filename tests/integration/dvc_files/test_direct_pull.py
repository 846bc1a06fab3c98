"""A model pulled without DVC: the cache is filled as DVC fills it, and what is not plain is left to DVC."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_gitops.adapters import direct_pull, dvc, dvc_check, local_stores, process
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.errors import ExternalError, RefusedError

FILES = {"a": b"1\r\n", "same": b"1\r\n", "sub/b": b"2" * 3_000_000, "sub/empty": b"", "é/ü": b"3"}


def _dvc(directory: Path, *words: str) -> None:
    process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=directory)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a folder and a file, both pushed to a folder beside it."""
    top = tmp_path_factory.mktemp("pushed") / "work"
    process.run(["git", "init", "--quiet", "--initial-branch=main", top])
    _dvc(top, "init")
    _dvc(top, "remote", "add", "--default", "store", str(top.parent / "store"))
    for path, content in FILES.items():
        (top / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (top / "folder" / path).write_bytes(content)
    (top / "m.bin").write_bytes(b"m" * 2_500_000)
    _dvc(top, "add", "folder", "m.bin")
    _dvc(top, "push")
    return top


@pytest.fixture
def fresh(pushed: Path, tmp_path: Path) -> Path:
    """The same project on another machine, with nothing pulled."""
    return _clone(pushed, tmp_path / "fresh")


def _clone(pushed: Path, to: Path) -> Path:
    process.run(["git", "init", "--quiet", "--initial-branch=main", to])
    (to / ".dvc").mkdir()
    for name in (".dvc/config", "folder.dvc", "m.bin.dvc"):
        (to / name).write_bytes((pushed / name).read_bytes())
    store = (to.parent / "store").absolute()
    process.run(["cp", "-r", pushed.parent / "store", store])
    text = (to / ".dvc/config").read_text("utf-8")
    (to / ".dvc/config").write_text(text.replace(str(pushed.parent / "store"), str(store)), "utf-8")
    return to


def _artifact(top: Path, name: str) -> Artifact:
    found = re.search(r"md5: (\S+)", (top / f"{name}.dvc").read_text("utf-8"))
    assert found is not None
    return Artifact(name="", path=name, hash=found[1])


def _without_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("DVC was asked")

    monkeypatch.setattr(dvc, "opened", refuse)


def _seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        one.relative_to(folder).as_posix(): (
            stat.S_IMODE(one.stat().st_mode),
            b"" if one.is_dir() else one.read_bytes(),
        )
        for one in folder.rglob("*")
    }


@pytest.mark.parametrize("name", ["folder", "m.bin"])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_cache_and_model_are_as_dvc_leaves_them(
    pushed: Path,
    fresh: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    umask: int,
) -> None:
    other = _clone(pushed, tmp_path / "other" / "work")
    before = os.umask(umask)
    try:
        _dvc(other, "pull", name)
        _without_dvc(monkeypatch)
        pulled = dvc.pull(_artifact(fresh, name), fresh / name, root=fresh)
    finally:
        os.umask(before)
    assert pulled.changed
    assert _seen(fresh / ".dvc/cache") == _seen(other / ".dvc/cache")
    assert _seen(fresh)[name] == _seen(other)[name]
    if name == "folder":
        assert _seen(fresh / name) == _seen(other / name)
    # And DVC takes it for whole.
    done = process.run([Path(sys.executable).with_name("dvc"), "status", name, "--json"], cwd=fresh)
    assert json.loads(done.stdout) == {}
    again = dvc.pull(_artifact(fresh, name), fresh / name, root=fresh)
    assert not again.changed
    assert again.sha256 == pulled.sha256


def test_from_the_cache_alone(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _without_dvc(monkeypatch)
    model = _artifact(fresh, "folder")
    first = dvc.pull(model, fresh / "folder", root=fresh)
    (fresh.parent / "store").rename(fresh.parent / "gone")
    process.run(["rm", "-rf", fresh / "folder"])
    asked: list[str] = []
    second = dvc.pull(
        model, fresh / "folder", root=fresh, accept=lambda what, _: asked.append(what)
    )
    assert second == first
    assert asked == [f"what DVC's cache ({fresh / '.dvc/cache/files/md5'}) has of 'folder'"]


def test_one_file_of_a_folder(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_dvc(monkeypatch)
    model = _artifact(fresh, "folder")
    dvc.pull(model, fresh / "part", root=fresh, part="sub/b")
    assert (fresh / "part").read_bytes() == FILES["sub/b"]
    assert len([one for one in (fresh / ".dvc/cache").rglob("*") if one.is_file()]) == 2
    assert dvc.pull(model, fresh / "none", root=fresh, part="sub/c").sha256 == ""
    assert not (fresh / "none").exists()


def _check(top: Path) -> int:
    files = {name: (top / name).read_text("utf-8") for name in ("folder.dvc", "m.bin.dvc")}
    return dvc_check.check(files, top, top, "", {}, None)


def test_what_the_remote_surely_has_is_not_asked_of_dvc(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_dvc(monkeypatch)
    assert _check(fresh) == 2


@pytest.mark.parametrize("fault", ["absent", "damaged"])
def test_what_it_may_lack_is_dvcs_to_say(fresh: Path, fault: str) -> None:
    md5 = _artifact(fresh, "m.bin").hash
    file = fresh.parent / "store/files/md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.write_bytes(b"damaged")
    if fault == "absent":
        file.unlink()
    with pytest.raises(RefusedError, match=r"lacks 1 outputs .*: 'm\.bin'"):
        _check(fresh)


@pytest.mark.parametrize("name", ["folder", "m.bin"])
def test_a_refused_model_stays_in_no_cache(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _without_dvc(monkeypatch)

    def refuse(what: str, _: str) -> None:
        raise RefusedError(what)

    with pytest.raises(
        RefusedError, match=f"what the DVC remote 'store' .*store.* has of '{name}'"
    ):
        dvc.pull(_artifact(fresh, name), fresh / name, root=fresh, accept=refuse)
    assert not (fresh / name).exists()
    assert not [one for one in (fresh / ".dvc/cache").rglob("*") if one.is_file()]


@pytest.mark.parametrize("harm", ["another text", None])
@pytest.mark.parametrize("name", ["folder", "m.bin"])
def test_a_wrong_or_missing_object_of_the_remote(fresh: Path, name: str, harm: str | None) -> None:
    model = _artifact(fresh, name)
    objects = [one for one in (fresh.parent / "store").rglob("*") if one.is_file()]
    largest = max(
        (one for one in objects if name == "m.bin" or one.stat().st_size != 2_500_000),
        key=lambda one: one.stat().st_size == (2_500_000 if name == "m.bin" else 3_000_000),
    )
    largest.chmod(0o644)
    largest.write_text(harm) if harm else largest.unlink()
    with pytest.raises(direct_pull.NotSure):
        direct_pull.of_project(fresh, "", None, model, fresh / name, lambda *_: None)
    assert not [one for one in (fresh / ".dvc/cache").rglob("*") if one.is_file()]
    assert not (fresh / name).exists()
    with pytest.raises(ExternalError, match="does not have"):
        dvc.pull(model, fresh / name, root=fresh)
    assert not (fresh / name).exists()


def test_a_pipe_in_the_remote_is_not_waited_for(fresh: Path) -> None:
    model = _artifact(fresh, "m.bin")
    place = fresh.parent / "store/files/md5" / model.hash[:2] / model.hash[2:]
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(direct_pull.NotSure):
        direct_pull.of_project(fresh, "", None, model, fresh / "m.bin", lambda *_: None)


def test_only_the_wrong_object_of_the_cache_is_fetched_again(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_dvc(monkeypatch)
    model = _artifact(fresh, "folder")
    dvc.pull(model, fresh / "folder", root=fresh)
    cached = [one for one in (fresh / ".dvc/cache").rglob("*") if one.is_file()]
    largest = max(cached, key=lambda one: one.stat().st_size)
    largest.chmod(0o644)
    largest.write_text("evil")
    times = {one: one.stat().st_mtime_ns for one in cached}
    process.run(["rm", "-rf", fresh / "folder"])
    dvc.pull(model, fresh / "folder", root=fresh)
    assert {path: (fresh / "folder" / path).read_bytes() for path in FILES} == FILES
    assert [one for one in cached if one.stat().st_mtime_ns != times[one]] == [largest]


CONFIGS = [
    ("[core]\n    remote = store\n['remote \"store\"']\n    url = ../../store\n", ""),
    ("['remote \"Store\"']\n url = /a/b/\n[core]\nremote = STORE\nanalytics = false\n", ""),
    ("[core]\nremote = a\n['remote \"a\"']\nurl = x\n['remote \"b\"']\nurl = s3://b/c\n",
     "[core]\nremote = a\n[cache]\ndir = /cache\n['remote \"a\"']\nurl = y/../z\n"),
    ("[cache]\ndir = ../../shared\ntype = hardlink,symlink\n[core]\nremote = a\n['remote \"a\"']\nurl = x\n", ""),
]  # fmt: skip


def _dvcs(root: Path) -> tuple[str, str, str] | None:
    """Return cache, remote's name and folder as DVC reads them; None where it refuses."""
    from dvc.config import Config, ConfigError

    try:
        config = Config(str(root / ".dvc"))
    except ConfigError:
        return None
    name = str(config["core"].get("remote") or "").lower()
    told = dict(config["remote"].get(name) or {})
    default = str(root / ".dvc/cache")
    return str(config["cache"].get("dir") or default), name, os.path.normpath(str(told.get("url")))


def _ours(root: Path) -> tuple[str, str, str] | None:
    found = local_stores.find(root, "", None)
    return found and (str(found.cache), found.name, str(found.remote))


def _write(root: Path, config: str, local: str) -> None:
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc/config").write_text(config, "utf-8")
    (root / ".dvc/config.local").write_text(local, "utf-8")


@pytest.mark.parametrize(("config", "local"), CONFIGS)
def test_plain_configurations_are_read_as_dvc_reads_them(
    tmp_path: Path, config: str, local: str
) -> None:
    _write(tmp_path, config, local)
    assert _ours(tmp_path) is not None
    assert _ours(tmp_path) == _dvcs(tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "    jobs = 4\n", "    verify = true\n", "    version_aware = true\n", "    worktree = true\n",
        "    url = b\n", "    url = 'a, b'\n", "[['x']]\n", "[db]\n", "[cache]\nshared = group\n",
        "[cache]\nlocal = other\n", "[cache]\ntype = reflink,fast\n", "[core]\nremote = b\n", "odd\n",
        "[cache]\ndir = ~/c\n", "[cache]\ndir = $HOME\n", "\ufeff\n", "[feature]\nx = y\n",
    ],
)  # fmt: skip
def test_whatever_else_is_said_is_left_to_dvc(tmp_path: Path, more: str) -> None:
    text = "[core]\n    remote = a\n['remote \"a\"']\n    url = x\n"
    _write(tmp_path, text, "")
    assert _ours(tmp_path) is not None
    _write(tmp_path, text + more, "")
    assert _ours(tmp_path) is None


@pytest.mark.parametrize(
    "url",
    [
        "s3://b/../c",
        "s3://b?versionId=x",
        "s3://me@b/c",
        "ssh://h/p",
        "remote://b/c",
        "file:///x",
        "C:x",
        "~/x",
        "",
    ],
)
def test_other_remotes_are_left_to_dvc(tmp_path: Path, url: str) -> None:
    _write(tmp_path, f"[core]\nremote = a\n['remote \"a\"']\nurl = {url}\n", "")
    assert _ours(tmp_path) is None


def test_a_bucket_has_the_options_of_the_files_and_of_the_step(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "[core]\nremote = a\n['remote \"a\"']\nurl = s3://b/c\nregion = x\n",
        "['remote \"a\"']\nregion = y\nendpointurl = http://h:1\n",
    )
    found = local_stores.find(tmp_path, "", {"access_key_id": "k"})
    assert found is not None
    assert found.remote == "s3://b/c"
    assert found.options == {"region": "y", "endpointurl": "http://h:1", "access_key_id": "k"}
    for more in (
        {"use_ssl": "false"},
        {"sse_customer_key": "k"},
        {"url": "s3://d"},
        {"region": ""},
    ):
        assert local_stores.find(tmp_path, "", more) is None


def test_settings_and_the_machines_own_configuration_are_left_to_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, CONFIGS[0][0], "")
    assert local_stores.find(tmp_path, "", {"jobs": "1"}) is None
    assert local_stores.find(tmp_path, "other", None) is None
    (tmp_path / "account").mkdir()
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "account"))
    assert _ours(tmp_path) == _dvcs(tmp_path)
    (tmp_path / "account/config").write_text("[core]\nremote = other\n", "utf-8")
    assert _ours(tmp_path) is None


_LINES = st.lists(
    st.sampled_from([
        "[core]", "[cache]", "['remote \"a\"']", "['remote \"B\"']", '[remote "a"]', "[remote]",
        "remote = a", "remote = b", "remote=A ", "url = x", "url = ../y", "url = /z", "url: q", "URL = u",
        "dir = c", "dir = /d", "dir =", "type = copy", "type = copy, reflink", "type = other", "dir = a,b", "analytics = false",
        "analytics = maybe", "no_scm = TRUE", "# url = w", "url = x # y", 'url = "x"', "", "  ", "[core",
        "profile = me", "url = a b", "remote =", "[CORE]", "autostage = true",
    ]),
    max_size=8,
)  # fmt: skip


@given(_LINES, _LINES)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_read_is_never_something_else(
    tmp_path: Path, config: list[str], local: list[str]
) -> None:
    _write(tmp_path, "\n".join(config), "\n".join(local))
    if (found := _ours(tmp_path)) is not None:
        assert found == _dvcs(tmp_path)
