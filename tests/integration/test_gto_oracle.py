"""What this package reads from a repository's tags is what GTO itself reads from them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from gto import api
from gto.constants import VersionSort
from gto.registry import GitRegistry

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.gto import records, tags, versions

MODELS = ["m", "other", "a/b:m"]
STAGES = ["dev", "prod", "a/b"]
VERSIONS = ["v0.0.1", "v0.0.2", "v0.1.0-rc.1", "v0.1.0", "v1.0.0+b", "v0.0.10"]
HISTORIES = 25


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    """A repository of a few commits, without a tag."""
    process.run(["git", "init", "--quiet", "."], cwd=tmp_path)
    git = Git(tmp_path)
    git.run("config", "user.name", "Somebody")
    git.run("config", "user.email", "somebody@example.org")
    for number in range(6):
        # Around the time of the tags: GTO consults a commit's own date now and then.
        date = f"{1_699_999_996 + 2 * number} +0000"
        git.run(
            "commit", "--quiet", "--allow-empty", "-m", str(number),
            env={"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date},
        )  # fmt: skip
    return git


def write(git: Git, *tags_: tuple[str, str, int]) -> None:
    """Write annotated tags (name, commit, Unix seconds), many in one process."""
    stream = [
        f"tag {name}\nfrom {commit}\ntagger A <a@example.org> {moment} +0000\ndata 1\nx\n"
        for name, commit, moment in tags_
    ]
    git.run("fast-import", "--quiet", "--force", input="".join(stream))


def clear(git: Git) -> None:
    if names := git.run("tag").split():
        git.run("tag", "--delete", *names)


def write_history(git: Git, chance: random.Random) -> None:
    """Write tags of all kinds; many share a second, so that order is decided by GTO's own rules."""
    commits = git.run("rev-list", "--all").split()
    clear(git)
    written: dict[str, tuple[str, str, int]] = {}
    for model in MODELS:
        # One version a commit, as GTO's own commands see to it; some commits have none.
        of_commit = dict(zip(commits, chance.sample(VERSIONS, 4), strict=False))
        in_tag = model.replace(":", "=")
        for number in range(1, chance.randrange(2, 14)):
            commit = chance.choice(commits)
            version, stage = of_commit.get(commit), chance.choice(STAGES)
            kinds = [f"#{stage}#{number}"] * 4 + [f"#{stage}!#{number}", f"#{stage}"]
            if version:
                kinds += [f"@{version}"] * 6 + [f"@{version}!", f"@{version}#{number}"]
            if chance.random() < 0.05:
                kinds = ["@deprecated", f"@deprecated#{number}"]
            name = in_tag + chance.choice(kinds)
            written[name] = (name, commit, 1_700_000_000 + chance.randrange(8))
    write(git, *written.values())
    git.run("tag", "m@v9.9.9")  # lightweight: says nothing
    git.run("tag", "--annotate", "-m", "x", "v1.0.0")  # not one of GTO's


def shown_by_gto(git: Git) -> dict[str, Any]:
    return dict(api.show(str(git.directory), deprecated=True, sort=VersionSort.Timestamp))


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_versions_and_stages_are_gtos(repository: Git, seed: int) -> None:
    write_history(repository, random.Random(seed))
    ours = Tags.own(repository).registry
    theirs = shown_by_gto(repository)
    assert sorted(theirs) == ours.models
    with GitRegistry.from_url(str(repository.directory)) as registry:
        for model, state in theirs.items():
            assert state["active"] is not ours.is_deprecated(model)
            artifact = registry.find_artifact(model)
            assert [(v.version, v.commit) for v in ours.versions(model)] == [
                (v.version, v.commit_hexsha) for v in artifact.get_versions(ascending=True)
            ]
            held = {name: version for name, version in state["stage"].items() if version}
            if not state["active"]:
                assert ours.stages(model) == {}
                continue
            assert {name: v.version for name, v in ours.stages(model).items()} == held


def test_the_histories_exercise_every_rule(repository: Git) -> None:
    """The comparison above is worth something: no rule is left out by chance."""
    seen: set[str] = set()
    for seed in range(HISTORIES):
        write_history(repository, random.Random(seed))
        registry = Tags.own(repository).registry
        for model in registry.models:
            seen |= {"deprecated"} if registry.is_deprecated(model) else set()
            for version in registry.stages(model).values():
                seen.add("registered" if tags.is_version(version.version) else "unregistered")
        for name in repository.run(
            "for-each-ref", "--format=%(refname:strip=2)", "refs/tags"
        ).split():
            if parsed := tags.parse(name):
                seen.add(parsed.action)
    assert seen == {
        "register", "deregister", "assign", "unassign", "deprecate",
        "deprecated", "registered", "unregistered",
    }  # fmt: skip


@pytest.mark.parametrize("part", versions.BUMPS)
def test_gto_bumps_the_same_way(repository: Git, part: str) -> None:
    first, second = repository.run("rev-list", "--all").split()[:2]
    for start in ("v1.2.3", "v1.2.3-rc.1"):
        clear(repository)
        write(repository, (f"m@{start}", first, 1_700_000_000))
        expected = Tags.own(repository).registry.next_version("m", part)
        registered = api.register(str(repository.directory), "m", second, **{f"bump_{part}": True})
        assert registered is not None
        assert registered.version == expected


def test_gtos_own_tags_are_read_and_counted(repository: Git) -> None:
    top, path = repository.run("rev-parse", "HEAD").strip(), str(repository.directory)
    api.register(path, "a/b:m", "HEAD")
    api.assign(path, "a/b:m", "prod", ref="HEAD")
    registry = Tags.own(repository).registry
    held = registry.stage("a/b:m", "prod")
    assert held == tags.Version("a/b:m", "v0.0.1", top, "a/b=m@v0.0.1")
    assert registry.assignment("a/b:m", "prod") == "a/b=m#prod#1"
    api.assign(path, "a/b:m", "dev", ref="HEAD")
    assert registry.next_counter("a/b:m") == 2
    assert tags.stage_tag("a/b:m", "dev", 2) in repository.run("tag").splitlines()


def test_a_record_is_a_message_to_gto(repository: Git) -> None:
    """GTO writes and reads a version whose message ends with a record."""
    path, model_hash, sha256 = str(repository.directory), "1" * 32, "a" * 64
    message = records.add("Because", model_hash, sha256)
    api.register(path, "a/b:m", "HEAD", message=message)
    api.register(path, "m", "HEAD~1", message="Because")
    assert shown_by_gto(repository)["a/b:m"]["version"] == "v0.0.1"
    assert api.check_ref(path, "a/b=m@v0.0.1")[0].message == message
    bodies = Tags.own(repository).messages("")
    assert sorted(bodies) == ["a/b=m@v0.0.1", "m@v0.0.1"]
    assert records.expected(bodies, model_hash) == records.Expected(sha256, "a/b=m@v0.0.1")
