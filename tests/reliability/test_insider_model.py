"""Who may write the DVC remote, or push a tag, puts no other model into production by an MD5 twin.

The two files are the collision of Wang, Feng, Lai and Yu (2004): 128 bytes each, one MD5. The same
bytes after both keep their MD5 equal.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kills import Step, repository

from model_gitops.adapters import process
from model_gitops.adapters.git import Git

pytestmark = pytest.mark.usefixtures("clean_environment")

_BLOCK = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
# In the other block the highest bit of six bytes is the other way round.
_OTHER = bytes(
    byte ^ (0x80 if at in (19, 45, 59, 83, 109, 123) else 0) for at, byte in enumerate(_BLOCK)
)
WEIGHTS = b" and the weights" * 1000
GOOD, TWIN = _BLOCK + WEIGHTS, _OTHER + WEIGHTS
OLD = b"what was there"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def folder_sha256(data: bytes) -> str:
    return sha256(f"{sha256(OLD)}  a\n{sha256(data)}  sub/m.bin\n".encode())


def dvc(directory: Path, *words: str) -> None:
    process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=directory)


def test_the_twins_are_twins() -> None:
    assert md5(GOOD) == md5(TWIN)
    assert sha256(GOOD) != sha256(TWIN)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model that is a file and one that is a folder, pushed and registered by the action itself."""
    folder = tmp_path_factory.mktemp("insider")
    git = repository(folder, "model", {".gitignore": "/m.bin\n/many\n"})
    top = git.directory
    dvc(top, "init")
    dvc(top, "remote", "add", "--default", "store", str(folder / "store"))
    # From the checkout, so that a copy of both has a remote of its own.
    config = top / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(folder), "../.."))
    (top / "dvc.yaml").write_text("artifacts:\n  m: {path: m.bin}\n  many: {path: many}\n")
    write(top, GOOD)
    dvc(top, "add", "m.bin", "many")
    dvc(top, "push")
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "model")
    git.run("push", "--quiet", "origin", "HEAD")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("m", "many"):
            step = Step(folder, top, "gto-register-stage", {"model": name})
            assert step.run(patch)[0] == 0
    # The twin stands in the remote under the name of the good one.
    planted = folder / "store" / "files" / "md5" / md5(GOOD)[:2] / md5(GOOD)[2:]
    planted.chmod(0o644)
    planted.write_bytes(TWIN)
    process.run(["git", "clone", "--quiet", (folder / "model.git").as_uri(), folder / "ready"])
    yield folder


def write(top: Path, model: bytes) -> None:
    (top / "m.bin").write_bytes(model)
    (top / "many" / "sub").mkdir(parents=True, exist_ok=True)
    (top / "many" / "a").write_bytes(OLD)
    (top / "many" / "sub" / "m.bin").write_bytes(model)


class Checkout:
    """A fresh checkout, whose remote has the twin."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.top, self.git = folder, folder / "work", Git(folder / "work")
        self._monkeypatch = monkeypatch

    def run(self, action: str, **inputs: str) -> tuple[int, dict[str, str]]:
        return Step(self.folder, self.top, action, inputs).run(self._monkeypatch)

    def pull(self, model: str = "m", **inputs: str) -> tuple[int, dict[str, str]]:
        return self.run("dvc-pull-model", model=model, **inputs)

    def cached(self) -> set[bytes]:
        files = (self.top / ".dvc" / "cache").rglob("*")
        return {file.read_bytes() for file in files if file.is_file()}

    def strays(self) -> list[Path]:
        return list(self.top.rglob(".model-gitops-*"))

    def tag(self, name: str, message: str) -> None:
        self.git.run(
            "-c", "user.name=A", "-c", "user.email=a@b.c", "tag", "-a", "-m", message, name
        )

    def restore(self) -> None:
        """Let the remote have the good file again."""
        object_ = self.folder / "store" / "files" / "md5" / md5(GOOD)[:2] / md5(GOOD)[2:]
        object_.write_bytes(GOOD)


@pytest.fixture
def checkout(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    for source, name in (("ready", "work"), ("store", "store")):
        process.run(["cp", "-r", made / source, tmp_path / name])
    return Checkout(tmp_path, monkeypatch)


def error(capfd: pytest.CaptureFixture[str]) -> str:
    told = capfd.readouterr().err
    assert "Traceback" not in told
    return told[told.rindex("error: ") :]


def test_dvc_takes_the_twin(checkout: Checkout) -> None:
    """Else the tests below would show nothing."""
    dvc(checkout.top, "pull", "m.bin", "many")
    assert (checkout.top / "m.bin").read_bytes() == TWIN
    assert (checkout.top / "many" / "sub" / "m.bin").read_bytes() == TWIN


@pytest.mark.parametrize("old", [True, False])
def test_a_twin_in_the_remote_is_refused(
    checkout: Checkout, capfd: pytest.CaptureFixture[str], old: bool
) -> None:
    place = checkout.top / "m.bin"
    if old:
        place.write_bytes(OLD)
    assert checkout.pull() == (3, {})
    said = error(capfd)
    assert f"what the DVC remote 'store' ({checkout.folder}/store) has of 'm.bin'" in said
    for value in (md5(GOOD), sha256(TWIN), f"the SHA-256 {sha256(GOOD)} that m@v0.0.1 recorded"):
        assert value in said
    assert (place.read_bytes() if place.exists() else OLD) == OLD
    assert place.exists() is old
    assert (checkout.cached(), checkout.strays()) == (set(), [])
    checkout.restore()
    code, outputs = checkout.pull()
    assert (code, outputs["sha256"]) == (0, sha256(GOOD))
    assert place.read_bytes() == GOOD


def test_a_twin_in_a_folder_is_refused(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    assert checkout.pull("many") == (3, {})
    said = error(capfd)
    assert folder_sha256(TWIN) in said
    assert f"{folder_sha256(GOOD)} that many@v0.0.1 recorded" in said
    assert not (checkout.top / "many").exists()
    assert (checkout.cached(), checkout.strays()) == (set(), [])
    checkout.restore()
    code, outputs = checkout.pull("many")
    assert (code, outputs["sha256"]) == (0, folder_sha256(GOOD))


def test_a_twin_that_dvc_has_cached_is_refused(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cache may be shared between machines and jobs. What this run did not bring, stays as proof."""
    dvc(checkout.top, "fetch", "m.bin")
    checkout.restore()
    assert checkout.pull() == (3, {})
    assert "what DVC's cache (" in error(capfd)
    assert not (checkout.top / "m.bin").exists()
    assert checkout.cached() == {TWIN}


@pytest.mark.parametrize("model", ["m", "many"])
def test_a_twin_that_lies_there_already_is_refused(
    checkout: Checkout, capfd: pytest.CaptureFixture[str], model: str
) -> None:
    checkout.restore()
    write(checkout.top, TWIN)
    assert checkout.pull(model) == (3, {})
    assert "what is at 'm" in error(capfd)
    write(checkout.top, GOOD)
    assert checkout.pull(model)[0] == 0


def test_without_tags_an_input_says_what_is_right(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    checkout.git.run("tag", "--delete", *checkout.git.run("tag").split())
    assert checkout.pull(sha256=sha256(GOOD)) == (3, {})
    assert f"{sha256(GOOD)} that the input `sha256` gives" in error(capfd)
    assert (checkout.cached(), (checkout.top / "m.bin").exists()) == (set(), False)
    assert checkout.pull(sha256=sha256(TWIN))[0] == 0
    told = capfd.readouterr().err
    assert "as the input says" in told
    # Nobody has recorded anything here: that is said, and is no warning. Nothing is fetched for it.
    code, outputs = checkout.pull()
    assert (code, outputs["sha256"]) == (0, sha256(TWIN))
    told = capfd.readouterr().err
    assert "no version tag here has recorded one" in told
    assert "warning" not in told
    assert checkout.git.run("tag") == ""


def test_what_is_no_sha256_is_bad_input(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    for action in ("dvc-pull-model", "gto-register-stage"):
        assert checkout.run(action, model="m", sha256=sha256(GOOD).upper()) == (2, {})
        assert "64 lowercase hex digits" in error(capfd)
    assert not (checkout.top / "m.bin").exists()


def record(hash_: str, sha: str, key: str = "Model-SHA256") -> str:
    return f"Registering\n\nModel-Hash: {hash_}\n{key}: {sha}"


def test_two_tags_that_disagree_stop_the_pull(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    checkout.tag("m@v6.6.6", record(md5(GOOD), sha256(TWIN)))
    assert checkout.pull() == (3, {})
    said = error(capfd)
    for part in ("m@v0.0.1", "m@v6.6.6", sha256(GOOD), sha256(TWIN)):
        assert part in said
    assert (checkout.cached(), (checkout.top / "m.bin").exists()) == (set(), False)
    # Taking the good version back does not help the bad one.
    checkout.tag("m@v0.0.1!", "x")
    assert checkout.pull()[0] == 3
    checkout.restore()
    assert checkout.pull(sha256=sha256(GOOD))[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m@v6.6.6", f"Model-Hash: {md5(GOOD)}\nModel-SHA256: {sha256(TWIN)}"),
        ("m@v6.6.6", record(md5(GOOD), sha256(TWIN).upper())),
        ("m@v6.6.6", record(md5(GOOD), sha256(TWIN)) + "\n\nThe end"),
        ("m@v6.6.6", record(md5(OLD), sha256(TWIN))),
        ("m@v6.6.6", record(md5(GOOD), sha256(TWIN), "\x1b[2JModel-SHA256")),
        ("m@v6.6.6", "x" * 100_000 + "\n\n" + "Model-SHA256: \n" * 1000),
        ("m#prod#1", record(md5(GOOD), sha256(TWIN))),
        ("m@vice", record(md5(GOOD), sha256(TWIN))),
    ],
)
def test_a_malformed_record_is_none(checkout: Checkout, name: str, message: str) -> None:
    checkout.restore()
    checkout.tag(name, message)
    checkout.git.run("tag", "m@v7.7.7")  # a lightweight tag has the commit's message
    code, outputs = checkout.pull()
    assert (code, outputs["sha256"]) == (0, sha256(GOOD))


def test_a_signed_tag_has_its_record(checkout: Checkout) -> None:
    """The signature stands at the end of the message."""
    checkout.git.run("tag", "--delete", "m@v0.0.1")
    signature = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    checkout.tag("m@v0.0.1", f"{record(md5(GOOD), sha256(GOOD))}\n{signature}")
    assert checkout.pull()[0] == 3


def test_a_twin_is_not_registered(checkout: Checkout, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither by its file here, nor by what a workflow says of it."""
    checkout.git.run("-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "--quiet",
                     "--allow-empty", "-m", "Again")  # fmt: skip
    write(checkout.top, TWIN)
    before = checkout.git.run("ls-remote", "origin")
    for inputs in ({"version": "v0.0.9"}, {"sha256": sha256(TWIN)}):
        code, outputs = checkout.run("gto-register-stage", model="m", **inputs)
        assert (code, outputs) == (3, {})
        assert f"{sha256(GOOD)} that m@v0.0.1 recorded" in error(capfd)
    assert checkout.git.run("ls-remote", "origin") == before


def test_the_listing_of_a_folder_can_be_checked_by_hand(checkout: Checkout) -> None:
    """As the README of dvc-pull-model says it."""
    checkout.restore()
    outputs = checkout.pull("many")[1]
    readme = Path(__file__).parents[2] / "actions" / "dvc-pull-model" / "README.md"
    line = next(line for line in readme.read_text("utf-8").splitlines() if line.startswith("find "))
    shown = process.run(["bash", "-c", line], cwd=checkout.top / "many").stdout
    assert shown.split()[0] == outputs["sha256"]
