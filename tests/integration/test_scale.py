"""What an action costs does not grow with the history: counted, never timed."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import git_settings, process
from model_gitops.options import variable

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benchmarks.many_versions import MODEL, pointer, repositories  # noqa: E402

FEW, MANY = 100, 10_000
# The verbs of git that ask a server.
ASKING = ("ls-remote", "fetch", "push")
ACTIONS = {
    "gto-register-stage": {"model": MODEL, "stage": "dev"},
    "check-promotion": {"base-ref": "main", "head-ref": "experiment"},
    "gate-metrics": {"baseline": "v0.0.7"},
}


@dataclass(frozen=True)
class Spent:
    """The git processes that we started, by verb, and how many bytes were fetched."""

    verbs: Counter[str]
    fetched: int

    @property
    def requests(self) -> int:
        return sum(self.verbs[verb] for verb in ASKING)


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The bare repositories, by the number of their versions."""
    folder = tmp_path_factory.mktemp("origins")
    git_settings.version()  # asked once a process, and so here
    found = {}
    for size in (FEW, MANY):
        (folder / str(size)).mkdir()
        found[size] = repositories(folder / str(size), size)
    return found


def spent(
    action: str, origin: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[Spent, dict[str, str]]:
    """Run an action in a new clone of a copy of `origin`, and return what it took, and its outputs."""
    copy, checkout, log = folder / "copy.git", folder / "checkout", folder / "log"
    log.mkdir(parents=True)
    process.run(["git", "clone", "--quiet", "--mirror", origin, copy])
    process.run(["git", "clone", "--quiet", *options, copy.as_uri(), checkout])
    (checkout / "model.bin.dvc").write_text(pointer(MANY + 1), encoding="utf-8")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    process.run([*git, "commit", "--quiet", "-am", "new"], cwd=checkout)
    process.run(["git", "push", "--quiet", "origin", "HEAD:main"], cwd=checkout)
    before = stored(checkout)
    settings = folder / "gitconfig"
    settings.write_text(f"[trace2]\n\teventTarget = {log}\n[safe]\n\tdirectory = *\n", "utf-8")
    with monkeypatch.context() as patch:
        patch.chdir(checkout)
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        patch.setenv("GITHUB_OUTPUT", str(folder / "output"))
        for name, value in ACTIONS[action].items():
            patch.setenv(variable(name), value)
        assert main([action]) == 0
    outputs = re.findall(
        r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n\2$",
        (folder / "output").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return Spent(verbs(log), stored(checkout) - before), {one[0]: one[2] for one in outputs}


def verbs(log: Path) -> Counter[str]:
    """Count the verbs of the git processes that were started by no other git."""
    found: Counter[str] = Counter()
    for file in log.iterdir():
        for line in file.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "start" and "/" not in event["sid"]:
                words = [word for word in event["argv"][1:] if word != "-C" and "/" not in word]
                found[words[0]] += 1
    return found


def stored(checkout: Path) -> int:
    return sum(file.stat().st_size for file in checkout.glob(".git/objects/**/*") if file.is_file())


@pytest.mark.parametrize("action", ACTIONS)
def test_processes_and_requests_do_not_grow(
    action: str, origins: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, said = spent(action, origins[FEW], tmp_path / "few", monkeypatch)
    many, also = spent(action, origins[MANY], tmp_path / "many", monkeypatch)
    assert few.verbs == many.verbs
    assert 0 < few.requests <= 5
    # A whole clone has all tags.
    assert many.fetched <= few.fetched + 1000
    if action == "gto-register-stage":
        assert said["version"] == f"v0.0.{FEW + 1}"
        assert also["version"] == f"v0.0.{MANY + 1}"
        assert (said["operation"], also["operation"]) == ("registered-and-assigned",) * 2
    elif action == "check-promotion":
        assert said["incumbent"] == also["incumbent"] == "v0.0.1"
    else:
        assert said["passed"] == also["passed"] == "true"


@pytest.mark.parametrize("action", ["check-promotion", "gate-metrics"])
def test_a_checkout_of_one_commit_fetches_no_tags_that_say_nothing(
    action: str, origins: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As actions/checkout makes it. Before, all 10,000 versions came with their files."""
    flat = ("--depth=1", "--no-tags")
    few, _ = spent(action, origins[FEW], tmp_path / "few", monkeypatch, *flat)
    many, _ = spent(action, origins[MANY], tmp_path / "many", monkeypatch, *flat)
    assert few.verbs == many.verbs
    assert many.fetched <= few.fetched + 1000
    assert many.fetched < 20_000
