"""What an action costs does not grow with the history: counted, never timed."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import deploy_repository, git_settings, process, scratch
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.options import variable

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benchmarks import bump_kustomize_tag, status  # noqa: E402
from benchmarks import repositories as made  # noqa: E402
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
    """The git processes that we started, by verb, and how many bytes and trees were fetched."""

    verbs: Counter[str]
    fetched: int
    trees: int = 0

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


# --- a bump, in a deploy repository of so many files, with two commits for each five ---------------------

FEW_FILES, MANY_FILES = 1_000, 10_000
# Who can leave trees out; github.com, which leaves out files, and trees all or none; who sends everything.
SERVERS = {
    "trees": {"uploadpack.allowFilter": "true"},
    "files": {
        "uploadpack.allowFilter": "true",
        "uploadpackfilter.combine.allow": "false",
        "uploadpackfilter.tree.maxDepth": "0",
    },
    "nothing": {"uploadpack.allowFilter": "false"},
}
ORIGIN = "Source-Repository: {model}\nSource-Commit: " + "a" * 40


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The deploy repositories, by the number of their files."""
    folder = tmp_path_factory.mktemp("deploys")
    git_settings.version()
    return {
        size: made.imported("".join(bump_kustomize_tag.history(size)), folder / f"{size}.git")
        for size in (FEW_FILES, MANY_FILES)
    }


def served(deploy: Path, folder: Path, server: str) -> Path:
    """Return a copy of a deploy repository that answers as this kind of server."""
    copy = folder / "deploy.git"
    process.run(["git", "clone", "--quiet", "--mirror", deploy, copy])
    for name, value in {**SERVERS[server], "gc.auto": "0"}.items():
        process.run(["git", "config", name, value], cwd=copy)
    return copy


def bumped(
    deploy: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    server: str = "trees",
    back: int = 10,
    guarded: bool = False,
) -> Spent:
    """Bump the overlay that was deployed `back` commits ago, and return what it took."""
    log = folder / "log"
    log.mkdir(parents=True)
    copy = served(deploy, folder, server)
    size = int(deploy.stem)
    number = bump_kustomize_tag.commits(size) - back
    path = bump_kustomize_tag.overlay(number, size)
    fetched: list[int] = []
    listed: list[int] = []
    temporary = scratch.folder

    @contextmanager
    def weighed(*words: str) -> Iterator[Path]:
        with temporary(*words) as store:
            yield store
            fetched.append(sum(one.stat().st_size for one in packs(store)))
            listed.append(trees(store))

    settings = folder / "gitconfig"
    settings.write_text(f"[trace2]\n\teventTarget = {log}\n[safe]\n\tdirectory = *\n", "utf-8")
    inputs = {"repository": copy.as_uri(), "path": path, "images": "app=:new"}
    if guarded:
        inputs["trailers"] = ORIGIN.format(model=bump_kustomize_tag.model(number, size))
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(deploy_repository.scratch, "folder", weighed)
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        for name, value in inputs.items():
            patch.setenv(variable(name), value)
        assert main(["bump-kustomize-tag"]) == 0
    text = process.run(["git", "show", f"main:{path}/kustomization.yaml"], cwd=copy).stdout
    assert "newTag: new\n" in text
    count = process.run(["git", "rev-list", "--count", "main"], cwd=copy).stdout.strip()
    assert int(count) == bump_kustomize_tag.commits(size) + 1
    files = process.run(["git", "ls-tree", "-r", "--name-only", "main"], cwd=copy).stdout
    assert len(files.splitlines()) == size
    return Spent(verbs(log), fetched[0], listed[0])


def packs(store: Path) -> list[Path]:
    return [one for one in (store / "objects").glob("**/*") if one.is_file()]


def trees(store: Path) -> int:
    """Count the trees in a store, and in the one of its commits."""
    listing = ["git", "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]
    folders = [one for one in (store, store / "commits") if one.is_dir()]
    return sum(process.run(listing, cwd=one).stdout.split().count("tree") for one in folders)


def test_a_bump_does_not_grow_with_files_and_commits(
    deploys: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = bumped(deploys[FEW_FILES], tmp_path / "few", monkeypatch)
    many = bumped(deploys[MANY_FILES], tmp_path / "many", monkeypatch)
    assert few.verbs == many.verbs
    # A request for each folder on the way; what else it reads comes along.
    assert 0 < few.requests <= 7
    assert many.fetched <= few.fetched * 1.1
    assert (many.fetched < 20_000, many.trees) == (True, few.trees)
    # A commit is written without a list of all files.
    assert not {"read-tree", "write-tree"} & set(many.verbs)


def test_a_bump_with_an_origin_asks_as_often_whatever_the_size(
    deploys: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the newest commits too only the trees on the way are fetched."""
    few = bumped(deploys[FEW_FILES], tmp_path / "few", monkeypatch, guarded=True)
    many = bumped(deploys[MANY_FILES], tmp_path / "many", monkeypatch, guarded=True)
    assert few.verbs == many.verbs
    assert 0 < few.requests <= 7
    # The newest commits come with the tip, each with its top tree.
    assert many.fetched <= few.fetched * 1.1
    assert (many.fetched < 40_000, many.trees < 100) == (True, True)


def test_of_a_last_deployment_far_back_the_trees_on_the_way_are_fetched_alone(
    deploys: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many applications the repository has, and how many commits are between."""
    few = bumped(deploys[FEW_FILES], tmp_path / "few", monkeypatch, guarded=True, back=100)
    many = bumped(deploys[MANY_FILES], tmp_path / "many", monkeypatch, guarded=True, back=900)
    assert few.verbs == many.verbs
    assert 0 < few.requests <= 12
    # Those of some applications: more commits of few ones were looked into.
    assert (few.trees < 150, many.trees < 150) == (True, True)
    assert many.fetched < 40_000  # the commits before the newest have a store of their own


@pytest.mark.parametrize("server", ["files", "nothing"])
def test_a_server_that_can_leave_out_less_is_asked_for_all_trees_in_one_request(
    server: str, deploys: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = bumped(deploys[FEW_FILES], tmp_path / "few", monkeypatch, server=server)
    many = bumped(deploys[MANY_FILES], tmp_path / "many", monkeypatch, server=server)
    assert few.verbs == many.verbs
    assert few.requests <= 5


@pytest.mark.parametrize("server", SERVERS)
def test_the_last_deployment_of_long_ago_is_found_wherever_it_is(
    server: str, deploys: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commits are fetched without their trees, and of the one that may be it the way to the file."""
    back = FEW_FILES // 10 * 3
    few = bumped(
        deploys[FEW_FILES], tmp_path / "few", monkeypatch, server=server, guarded=True, back=back
    )
    assert few.requests <= 17


@pytest.mark.parametrize("server", SERVERS)
def test_history_that_was_fetched_stays_and_is_not_fetched_again(
    server: str, deploys: dict[int, Path], tmp_path: Path
) -> None:
    """As after a lost race: another writer's commit came meanwhile."""
    copy = served(deploys[FEW_FILES], tmp_path, server)
    made_by = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit-tree"]
    with deploy_repository.opened(copy.as_uri(), ANONYMOUS) as deploy:
        store = deploy._git.directory
        tip = deploy.fetch("main", depth=2**31 - 1)
        assert not (store / "shallow").exists()
        weight = sum(one.stat().st_size for one in packs(store))
        new = process.run([*made_by, "-p", tip, "-m", "x", "main^{tree}"], cwd=copy).stdout.strip()
        process.run(["git", "update-ref", "refs/heads/main", new], cwd=copy)
        assert deploy.at_depth("main", 500) == tip
        assert deploy.fetch("main") == new
        assert not (store / "shallow").exists()
        count = deploy._git.run("rev-list", "--count", new).strip()
        assert int(count) == bump_kustomize_tag.commits(FEW_FILES) + 1
        assert sum(one.stat().st_size for one in packs(store)) < weight + 4_000


def test_status_asks_and_reads_as_much_in_a_long_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 and of 10,000 deploy commits, as many versions and as many stage tags."""
    git_settings.version()  # asked once a process, and so here
    # At both the environments stand alike.
    few, many = (_status(tmp_path / str(size), size, monkeypatch) for size in (110, 10_010))
    assert few.verbs == many.verbs
    # Two listings, the newest history, and the files of all overlays at once. Nothing of it is asked again.
    assert many.requests == 4
    assert many.verbs.total() < 90
    assert many.fetched == few.fetched == 0


def _status(folder: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> Spent:
    folder.mkdir()
    checkout = status.repositories(folder, size)
    log, settings = folder / "log", folder / "gitconfig"
    log.mkdir()
    settings.write_text(f"[trace2]\n\teventTarget = {log}\n[safe]\n\tdirectory = *\n", "utf-8")
    before = stored(checkout)
    with monkeypatch.context() as patch:
        patch.chdir(checkout)
        patch.setenv("PATH", status.without_buildx(folder))
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        assert main(["status"]) == 0
    return Spent(verbs(log), stored(checkout) - before)
