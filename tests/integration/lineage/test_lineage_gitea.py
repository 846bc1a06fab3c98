"""trace-model and status on Gitea, below a path: approvals, pull requests, and a person's clone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from world import ENVIRONMENTS, MODEL, READER, TOKEN, World, gitea, played

from model_gitops.adapters.github import GitHub
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops_local.forge.gitea import strict_gitea

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def gitea_world(
    registry: str, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    top = tmp_path_factory.mktemp("gitea")
    with strict_gitea(top / "forge", base="/git") as forge:
        people = {TOKEN: "ada", "second-token": "grace", "outside": "eve", "job": "gitea-actions"}
        for token, login in people.items():
            forge.add_token(token, login)
        forge.readers.add("eve")
        # A personal token with read:repository alone.
        forge.add_token(READER, "reader", {"contents": "read", "pull_requests": "read"})
        yield played(forge, top, registry, settings)


def states(found: Any) -> dict[str, str]:
    return {f"{one['from']} → {one['to']}": one["state"] for one in found["links"]}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_traced_with_who_approved(gitea_world: World, name: str) -> None:
    told, found = gitea_world.trace(name)
    assert told.code == 0, told.log
    assert found["verified"] is True
    assert found["pull_request"]["approved_by"] == ["grace"]
    assert f"{gitea_world.forge.url}/{MODEL}/pulls/" in found["pull_request"]["url"]


def test_in_a_persons_clone_the_api_is_found_below_the_servers_path(gitea_world: World) -> None:
    env = {name: value for name, value in gitea_world.env.items() if "GITHUB" not in name}
    person = World(gitea_world.top, gitea_world.registry, gitea_world.forge, env)
    told, found = person.status()
    assert told.code == 0, told.log
    production = next(one for one in found["environments"] if one["name"] == "production")
    assert production["pull_request"]["approved_by"] == ["grace"]


def reviewed(world: World, *reviews: tuple[str, str], dismiss: int = -1) -> tuple[str, ...]:
    """Merge a change after `reviews`, token and event; return who approved it for us."""
    work = world.work
    world.commit(work, {"note": f"{reviews}{dismiss}\n"}, "experiment/reviewed")
    head = work.run("rev-parse", "HEAD").strip()
    api = GitHub(MODEL, TOKEN, api_url=world.forge.api_url)
    pull = api.open_pull_request(head="experiment/reviewed", base="main", title="x", body="")
    address = f"/repos/{MODEL}/pulls/{pull.number}"
    made = [
        gitea(world.forge, "POST", f"{address}/reviews", {"event": event}, token=token)["id"]
        for token, event in reviews
    ]
    if dismiss >= 0:
        path = f"{address}/reviews/{made[dismiss]}/dismissals"
        gitea(world.forge, "POST", path, {"message": "no"})
    gitea(world.forge, "POST", f"{address}/merge", {"Do": "merge"})
    found = PullRequests(api).find_merged(head, ["main"])
    assert found is not None
    assert found.number == pull.number
    return found.approved_by


@pytest.mark.parametrize(
    ("reviews", "dismiss", "approved"),
    [
        ([("second-token", "APPROVED")], -1, ("grace",)),
        ([("second-token", "APPROVED")], 0, ()),
        ([("second-token", "APPROVED"), ("second-token", "REQUEST_CHANGES")], -1, ()),
        ([("second-token", "REQUEST_CHANGES"), ("second-token", "APPROVED")], -1, ("grace",)),
        ([("second-token", "APPROVED"), ("second-token", "COMMENT")], -1, ("grace",)),
        # The job's own token is no person, and Gitea does not say so.
        ([("job", "APPROVED")], -1, ()),
        # Whoever may read may review; only who may write counts.
        ([("outside", "APPROVED")], -1, ()),
        ([("second-token", "APPROVED"), ("outside", "REQUEST_CHANGES")], -1, ("grace",)),
    ],
)  # fmt: skip
def test_the_last_verdict_counts_as_gitea_says_it(
    gitea_world: World, reviews: list[tuple[str, str]], dismiss: int, approved: tuple[str, ...]
) -> None:
    gitea_world.work.run("fetch", "--quiet", "origin")
    gitea_world.work.run("checkout", "--quiet", "--detach", "origin/main")
    assert reviewed(gitea_world, *reviews, dismiss=dismiss) == approved


@pytest.mark.parametrize("then", ["moved", "removed"])
def test_what_became_of_a_merged_branch_changes_no_approval(gitea_world: World, then: str) -> None:
    """Gitea says of a merged pull request where its branch is now."""
    work, name = gitea_world.work, f"experiment/{then}"
    work.run("fetch", "--quiet", "origin")
    work.run("checkout", "--quiet", "--detach", "origin/main")
    head = gitea_world.commit(work, {then: "1\n"}, name)
    api = GitHub(MODEL, TOKEN, api_url=gitea_world.forge.api_url)
    number = api.open_pull_request(head=name, base="main", title="x", body="").number
    address = f"/repos/{MODEL}/pulls/{number}"
    approved = {"event": "APPROVED"}
    gitea(gitea_world.forge, "POST", f"{address}/reviews", approved, token="second-token")
    gitea(gitea_world.forge, "POST", f"{address}/merge", {"Do": "merge"})
    if then == "moved":
        gitea_world.commit(work, {then: "2\n"}, name)
    else:
        work.run("push", "--quiet", "origin", f":refs/heads/{name}")
    found = PullRequests(api).find_merged(head, ["main"])
    assert found is not None
    assert (found.commit, found.head, found.approved_by) == (head, name, ("grace",))


def test_pull_requests_are_found_by_merge_head_and_inner_commit(gitea_world: World) -> None:
    work, forge = gitea_world.work, gitea_world.forge
    work.run("fetch", "--quiet", "origin")
    work.run("checkout", "--quiet", "--detach", "origin/main")
    inner = gitea_world.commit(work, {"a": "1\n"}, "experiment/two")
    head = gitea_world.commit(work, {"b": "1\n"}, "experiment/two")
    api = GitHub(MODEL, TOKEN, api_url=forge.api_url)
    pull = api.open_pull_request(head="experiment/two", base="main", title="x", body="")
    assert [one.number for one in api.pull_requests_of_commit(head)] == [pull.number]
    gitea(forge, "POST", f"/repos/{MODEL}/pulls/{pull.number}/merge", {"Do": "squash"})
    merged = gitea(forge, "GET", f"/repos/{MODEL}/pulls/{pull.number}")["merge_commit_sha"]
    for commit in (merged, head, inner):
        assert [one.number for one in api.pull_requests_of_commit(commit)] == [pull.number]
    assert api.pull_requests_of_commit("1" * 40) == []
    assert api.is_ancestor(inner, head) is True
    assert api.is_ancestor(head, inner) is False
    assert api.is_ancestor(head, head) is True
    assert api.is_ancestor("1" * 40, head) is None
