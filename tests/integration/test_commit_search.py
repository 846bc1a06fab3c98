"""An overlay's last deployment, found by commits alone, is the one that all trees tell."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Never

import pytest

from model_gitops.adapters import commit_search, process
from model_gitops.adapters.deploy_history import DeployHistory
from model_gitops.adapters.deploy_repository import opened
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.guard import Change

OURS = "acme/diabetes"
FOLDER = "models/diabetes/overlays/production"
WHO = "somebody <somebody@example.org>"


class History:
    """A deploy repository, written commit by commit."""

    def __init__(self, remote: Path) -> None:
        self.remote = remote
        self.stream: list[str] = []
        self.marks = 0

    def commit(self, message: str, files: dict[str, str], *, parents: tuple[int, ...] = ()) -> int:
        self.marks += 1
        self.stream.append(
            f"commit refs/heads/main\nmark :{self.marks}\ncommitter {WHO} {1700000000 + self.marks} +0000\n"
            f"{_data(message)}"
        )
        if parents:
            first, *others = parents
            self.stream.append(f"from :{first}\n")
            self.stream += [f"merge :{other}\n" for other in others]
        self.stream += [f"M 644 inline {name}\n{_data(text)}" for name, text in files.items()]
        return self.marks

    def others(self, count: int) -> None:
        """Deployments of other repositories to overlays of their own."""
        for number in range(count):
            place = f"models/m{number % 7}/overlays/production/kustomization.yaml"
            self.commit(said("Deploy", f"acme/m{number % 7}", number), {place: entry(str(number))})

    def write(self, *, filters: bool = True) -> None:
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.remote])
        process.run(["git", "fast-import", "--quiet"], cwd=self.remote, input="".join(self.stream))
        process.run(
            ["git", "config", "uploadpack.allowFilter", str(filters).lower()], cwd=self.remote
        )


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def said(subject: str, repository: str, number: int) -> str:
    digest = f"sha256:{number:064x}"
    origin = f"Source-Repository: {repository}\nSource-Commit: {number:040x}"
    return f"{subject}\n\n{origin}\nImage-Digest: {digest}\n"


def entry(tag: str, digest: str = "", name: str = "diabetes") -> str:
    more = f"    digest: {digest}\n" if digest else ""
    return (
        f"images:\n  - name: {name}\n    newName: ghcr.io/acme/diabetes\n    newTag: {tag}\n{more}"
    )


def deployed(number: int) -> dict[str, str]:
    return {f"{FOLDER}/kustomization.yaml": entry(f"v{number}", f"sha256:{number:064x}")}


def past(remote: Path, folder: str = FOLDER) -> tuple[Change, ...]:
    with opened(remote.as_uri(), ANONYMOUS) as deploy:
        file = deploy.read_kustomization(deploy.fetch("main"), folder)
        (image,) = kustomization.read(file.text, source=file.path)
        return deploy.past("main", file, image, OURS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The depths to which history was fetched with its trees."""
    depths = list[int]()
    real = DeployHistory.fetch

    def fetch(
        self: DeployHistory, branch: str, *, depth: int = 1, without: str = "blob:none"
    ) -> str:
        depths.append(depth)
        return real(self, branch, depth=depth, without=without)

    monkeypatch.setattr(DeployHistory, "fetch", fetch)
    return depths


def untold(*words: object) -> Never:
    raise commit_search.UntoldError


def both(remote: Path, monkeypatch: pytest.MonkeyPatch, folder: str = FOLDER) -> tuple[Change, ...]:
    """Ask in the quick way, with all trees and as a push does, and return what each says."""
    quick = past(remote, folder)
    with monkeypatch.context() as patch:
        patch.setattr(commit_search, "changing", untold)
        assert past(remote, folder) == quick
    with opened(remote.as_uri(), ANONYMOUS) as deploy:
        # Once more after a race that was lost.
        for _ in range(2):
            tip = deploy.fetch_to_push("main", folder, OURS)
            file = deploy.read_kustomization(tip, folder)
            (image,) = kustomization.read(file.text, source=file.path)
            assert deploy.past("main", file, image, OURS) == quick
    return quick


def test_a_deployment_far_back_is_found_without_the_trees_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    history = History(tmp_path / "deploy.git")
    history.commit("start", deployed(1))
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.others(600)
    history.write()
    (found,) = past(history.remote)
    assert found.origin
    assert (found.origin.commit, max(asked)) == (f"{2:040x}", 50)
    both(history.remote, monkeypatch)
    assert max(asked) > 500  # and with all trees it was as said


def test_a_change_by_hand_is_found_among_the_deployments_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "deploy.git")
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.others(60)
    history.commit("by hand", deployed(9))
    history.others(60)
    history.write()
    newest, before = both(history.remote, monkeypatch)
    assert (newest.origin, newest.image.tag) == (None, "v9")
    assert before.origin
    assert before.origin.commit == f"{2:040x}"


def test_behind_a_change_by_hand_near_the_tip_no_other_trees_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    history = History(tmp_path / "deploy.git")
    history.commit("start", deployed(1))
    history.others(60)
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.others(10)
    history.commit("by hand", deployed(8))
    history.commit("by hand", deployed(9))
    history.others(10)
    history.write()
    with opened(history.remote.as_uri(), ANONYMOUS) as deploy:
        file = deploy.read_kustomization(deploy.fetch_to_push("main", FOLDER, OURS), FOLDER)
        (image,) = kustomization.read(file.text, source=file.path)
        found = deploy.past("main", file, image, OURS)
    assert [one.image.tag for one in found] == ["v9", "v8", "v2"]
    assert asked == [2]
    assert both(history.remote, monkeypatch) == found


def test_a_deployment_of_others_between_two_of_ours_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another repository's commit to this very overlay is told by all trees alone."""
    history = History(tmp_path / "deploy.git")
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.commit(said("Deploy another", "acme/other", 3), deployed(3))
    history.commit("by hand", deployed(9))
    history.others(10)
    history.write()
    newest, before = both(history.remote, monkeypatch)
    assert (newest.image.tag, before.image.tag) == ("v9", "v3")


@pytest.mark.parametrize("taken", [True, False])
def test_of_a_merge_only_the_side_counts_that_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """A pull request's commit counts, but not one of a branch that had the same image from elsewhere."""
    history = History(tmp_path / "deploy.git")
    start = history.commit("start", deployed(1))
    own = said("Deploy diabetes", OURS, 2)
    main = (
        history.commit("readme", {"README.md": "x\n"})
        if taken
        else history.commit(own, deployed(2))
    )
    side = history.commit(own.replace(f"{2:040x}", f"{3:040x}"), deployed(2), parents=(start,))
    history.commit("Merge", deployed(2), parents=(main, side))
    history.others(60)
    history.write()
    (found,) = both(history.remote, monkeypatch)
    assert found.origin
    assert found.origin.commit == f"{3 if taken else 2:040x}"


def test_a_server_that_leaves_nothing_out_is_asked_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "deploy.git")
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.others(60)
    history.write(filters=False)
    (found,) = both(history.remote, monkeypatch)
    assert found.origin


def test_a_kustomization_at_the_top_and_hundreds_of_changes_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "deploy.git")
    history.commit(
        said("Deploy diabetes", OURS, 2),
        {"kustomization.yaml": entry("v2", f"sha256:{2:064x}")},
    )
    for number in range(250):
        history.commit("by hand", {f"docs/{number}.md": "x\n"})
    history.write()
    (found,) = both(history.remote, monkeypatch, ".")
    assert found.origin


def test_where_history_is_cut_off_nothing_is_taken_for_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest commit that was fetched has a parent, also where it deploys ours to another overlay."""
    history = History(tmp_path / "deploy.git")
    history.commit("start", deployed(1))
    history.commit(said("Deploy diabetes", OURS, 2), deployed(2))
    history.others(60)
    development = FOLDER.replace("production", "dev")
    history.commit(
        said("Deploy diabetes", OURS, 2),
        {f"{development}/kustomization.yaml": entry("v2", f"sha256:{2:064x}")},
    )
    told = history.marks
    history.others(59)
    history.write()
    monkeypatch.setattr(commit_search, "_DEPTHS", (60, 2**31 - 1))
    (found,) = both(history.remote, monkeypatch)
    first = process.run(["git", "rev-list", "--reverse", "main"], cwd=history.remote).stdout.split()
    assert (found.commit, first[told - 1]) == (first[1], first[-60])


@pytest.mark.parametrize("filters", [True, False])
def test_a_branch_of_ours_that_was_left_behind_cuts_no_history_off(
    tmp_path: Path, filters: bool
) -> None:
    """Its tip is fetched alone. Where it was merged, that is a commit of the main branch, which goes on."""
    history = History(tmp_path / "deploy.git")
    development = FOLDER.replace("production", "dev")
    history.commit(said("Deploy diabetes", OURS, 1), deployed(1))
    history.others(10)
    history.commit(
        said("Deploy diabetes", OURS, 2),
        {f"{development}/kustomization.yaml": entry("v2", f"sha256:{2:064x}")},
    )
    history.stream.append(f"reset refs/heads/model-gitops/left\nfrom :{history.marks}\n")
    history.others(600)
    history.write(filters=filters)
    log = process.run(["git", "rev-list", "--reverse", "main"], cwd=history.remote).stdout.split()
    first = {FOLDER: log[0], development: log[11]}
    with opened(history.remote.as_uri(), ANONYMOUS) as deploy:
        for folder in (development, FOLDER):
            changes = deploy.changes(
                "main", f"{folder}/kustomization.yaml", lambda entries: next(iter(entries), None)
            )
            assert [one.commit for one in changes] == [first[folder]], folder
            deploy.fetch("model-gitops/left")
        # The guard asks the same store, once more after a race that was lost.
        tip = deploy.fetch("main", depth=2)
        file = deploy.read_kustomization(tip, FOLDER)
        (image,) = kustomization.read(file.text, source=file.path)
        (found,) = deploy.past("main", file, image, OURS)
        assert found.origin
        assert found.origin.commit == f"{1:040x}"


@pytest.mark.parametrize("last", [0, 55])
@pytest.mark.parametrize("seed", range(10))
def test_any_history_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, last: int
) -> None:
    """Deployments, hand-made changes, pull requests, reverts and renamed entries, in any order."""
    chance = random.Random(seed)
    history = History(tmp_path / "deploy.git")
    history.commit("start", deployed(1))
    for number in range(2, 12):
        before = history.marks
        match chance.choice(("deploy", "deploy", "hand", "merge", "revert", "rename", "ours")):
            case "deploy":
                history.commit(said("Deploy diabetes", OURS, number), deployed(number))
            case "hand":
                history.commit("by hand", deployed(number))
            case "merge":  # a pull request, merged after another one
                message = said("Deploy diabetes", OURS, number)
                branch = history.commit(message, deployed(number), parents=(before,))
                history.commit("readme", {"README.md": f"{number}\n"}, parents=(before,))
                history.commit("Merge", deployed(number), parents=(history.marks, branch))
            case "revert":
                history.commit('Revert "Deploy diabetes"', deployed(max(1, number - 2)))
            case "rename":
                text = entry(
                    f"v{number}", f"sha256:{number:064x}", chance.choice(("diabetes", "app"))
                )
                history.commit("rename", {f"{FOLDER}/kustomization.yaml": text})
            case "ours":  # a branch whose changes were dropped when it was merged
                message = said("Deploy diabetes", OURS, number)
                branch = history.commit(message, deployed(number), parents=(before,))
                history.commit("readme", {"README.md": f"{number}\n"}, parents=(before,))
                history.commit("Merge", {}, parents=(history.marks, branch))
        history.others(chance.choice((0, 1, 20)))
    history.others(last)
    history.write()
    both(history.remote, monkeypatch)
