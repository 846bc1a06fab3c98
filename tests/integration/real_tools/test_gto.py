"""What GTO does, as docs/reference/real-tools.md says it, and that our registry stands on it rightly."""

from __future__ import annotations

import pytest
from gto import api
from gto.exceptions import GTOException
from plain_repository import commit, run, tag

from model_gitops.adapters.git import Git
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.gto import registration, tags
from model_gitops.core.gto.tags import Registry
from model_gitops.errors import InputError


def ours(git: Git) -> Registry:
    return Tags.own(git).registry


def next_version(git: Git) -> str:
    """Return what we would register at HEAD."""
    request = registration.Request("m", commit=git.run("rev-parse", "HEAD").strip())
    return registration.decide(request, ours(git)).version


def gtos_next(git: Git) -> str:
    registered = api.register(str(git.directory), "m", "HEAD")
    assert registered is not None
    return str(registered.version)


def test_a_commit_has_one_version(repository: Git) -> None:
    path = str(repository.directory)
    tag(repository, "m@v0.0.1", 1_700_000_000)
    with pytest.raises(
        GTOException, match=r"already registered in this commit with version 'v0.0.1'"
    ):
        api.register(path, "m", "HEAD", version="v1.0.0")
    assert next_version(repository) == "v0.0.1"


def test_a_pre_release_counts_for_the_next_version(repository: Git) -> None:
    tag(repository, "m@v1.0.0-rc.1", 1_700_000_000)
    commit(repository)
    assert next_version(repository) == "v1.0.1"
    assert gtos_next(repository) == "v1.0.1"


def test_a_version_starts_with_v(repository: Git) -> None:
    with pytest.raises(GTOException, match="cannot be parsed"):
        api.register(str(repository.directory), "m", "HEAD", version="1.5.0")
    assert not tags.is_version("1.5.0")


def test_a_withdrawn_version_is_below_the_next_one_or_not(repository: Git) -> None:
    tag(repository, "m@v1.0.0", 1_700_000_000)
    tag(repository, "m@v1.0.0!", 1_700_000_001)
    commit(repository)
    assert next_version(repository) == "v0.0.1"
    with pytest.raises(GTOException, match=r"'v1\.0\.0' already was registered"):
        api.register(str(repository.directory), "m", "HEAD", version="v1.0.0")
    assert ours(repository).is_taken("m", "v1.0.0")
    assert gtos_next(repository) == "v0.0.1"


def test_a_later_tag_undoes_the_deprecation_of_a_model(repository: Git) -> None:
    tag(repository, "m@v0.0.1", 1_700_000_000)
    tag(repository, "m@deprecated", 1_700_000_001)
    assert ours(repository).is_deprecated("m")
    assert api.show(str(repository.directory), "m") == []
    commit(repository)
    tag(repository, "m@v0.0.2", 1_700_000_002)
    assert not ours(repository).is_deprecated("m")
    assert [one.version for one in ours(repository).versions("m")] == ["v0.0.1", "v0.0.2"]
    assert {one["version"] for one in api.show(str(repository.directory), "m")} == {
        "v0.0.1", "v0.0.2",
    }  # fmt: skip


def test_the_newest_tag_says_what_a_stage_holds_and_not_its_number(repository: Git) -> None:
    path = str(repository.directory)
    tag(repository, "m@v0.0.1", 1_700_000_000)
    tag(repository, "m#prod#2", 1_700_000_003)
    second = commit(repository)
    tag(repository, "m@v0.0.2", 1_700_000_001)
    tag(repository, "m#prod#1", 1_700_000_009)
    tag(repository, "m#prod#7", 1_700_000_002)
    repository.run("tag", "m#prod#8", second)  # lightweight
    repository.run("tag", "light@v1.0.0")
    assert [one["version"] for one in api.show(path, "m#prod")] == ["v0.0.2"]
    held = ours(repository).stage("m", "prod")
    assert held is not None
    assert held.version == "v0.0.2"
    with pytest.raises(GTOException, match="Cannot find artifact 'light'"):
        api.show(path, "light@latest")
    assert ours(repository).versions("light") == []
    # What is not read is taken all the same: a tag of its name can't be pushed.
    assert ours(repository).next_counter("m") == 9


def test_what_a_stage_held_is_taken_back_by_a_tag_that_counts_on(repository: Git) -> None:
    path = str(repository.directory)
    tag(repository, "m@v0.0.1", 1_700_000_000)
    tag(repository, "m#prod#1", 1_700_000_001)
    api.unassign(path, "m", stage="prod", version="v0.0.1")
    assert repository.run("tag", "--list", "m#*").split() == ["m#prod!#2", "m#prod#1"]
    assert api.show(path, "m#prod") == []
    assert ours(repository).stages("m") == {}
    request = registration.Request("m", stage="prod", commit=commit(repository))
    assert registration.decide(request, ours(repository)).stage_tag == "m#prod#3"


def test_gto_refuses_a_rollback_that_we_make(repository: Git) -> None:
    path = str(repository.directory)
    first = repository.run("rev-parse", "HEAD").strip()
    tag(repository, "m@v0.0.1", 1_700_000_000)
    tag(repository, "m#prod#1", 1_700_000_001)
    commit(repository)
    tag(repository, "m@v0.0.2", 1_700_000_002)
    tag(repository, "m#prod#2", 1_700_000_003)
    with pytest.raises(GTOException, match=r"'v0\.0\.1' is already in stage 'prod'"):
        api.assign(path, "m", version="v0.0.1", stage="prod")
    inputs = {"model": "m", "stage": "prod", "version": "v0.0.1", "push": "false"}
    assert run("gto-register-stage", repository.directory, inputs) == 0
    assert [(one["version"], one["commit_hexsha"]) for one in api.show(path, "m#prod")] == [
        ("v0.0.1", first)
    ]
    assert "m#prod#3" in repository.run("tag").split()


NAMES = [
    "m", "7", "a-b_c", "a/b", "sub:clf", "a.b/c:m", "Prod",
    "a.b", "a b", "é", "a@b", "a#b", "_a", "a-", "a:b:c", "",
]  # fmt: skip


def test_the_names_that_gto_takes_are_those_that_we_take(repository: Git) -> None:
    path = str(repository.directory)
    taken = []
    for name in NAMES:
        try:
            api.register(path, name, "HEAD")
            taken.append(name)
        except GTOException:
            pass
    assert taken == [name for name in NAMES if tags.is_model_name(name)]
    assert "sub=clf@v0.0.1" in repository.run("tag").split()
    assert tags.version_tag("sub:clf", "v0.0.1") == "sub=clf@v0.0.1"
    stages = []
    for name in (name for name in NAMES if ":" not in name):
        try:
            api.assign(path, "m", stage=name, version="v0.0.1")
            stages.append(name)
        except GTOException:
            pass
    assert stages == [name for name in NAMES if ":" not in name and tags.is_stage_name(name)]


@pytest.mark.parametrize("name", ["a//b", "a/../b:m", "../x:m", "a/./b:m", "/a:m", "a/.b:m"])
def test_names_that_gto_takes_and_git_does_not_are_refused(repository: Git, name: str) -> None:
    """GTO checks its own grammar only, and leaves the rest to Git."""
    with pytest.raises(InputError, match="Git takes no tag of that name"):
        registration.check(registration.Request(name))
