"""Each test tampers with one link of a chain that was whole, and sees it named with both its sides."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable

import jsonschema
import pytest
from world import (
    HASHES,
    MODEL,
    RAW,
    World,
    links,
    push_image,
    retag,
    rewrite,
    schema,
)

from model_gitops.adapters.git import Git

pytestmark = pytest.mark.docker


def edit_overlay(old: str, new: str) -> Callable[[World], None]:
    return lambda world: rewrite(
        world, lambda text: re.sub(old.format(world=world), new.format(world=world), text)
    )


def other_digest(world: World) -> None:
    """Deploy another image by hand: all is there, but nobody promoted it."""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    _, found = world.trace("production")
    edit_overlay(found["image"]["digest"], digest)(world)


def move_version_tag(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    bare = Git(world.top / "model.git")
    bare.run("tag", "--force", "--annotate", "-m", "moved", "diabetes@v0.0.1", worse, env=PERSON)


def move_version_tag_to_the_same_model(world: World) -> None:
    bare = Git(world.top / "model.git")
    bare.run("tag", "--force", "--annotate", "-m", "x", "diabetes@v0.0.1", "production", env=PERSON)


def delete_version_tag(world: World) -> None:
    """On the server; a clone that had it still has it."""
    Git(world.top / "model.git").run("tag", "--delete", "diabetes@v0.0.1")


def move_stage_tag(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("production", worse)


def edit_lock_on_the_branch(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    text = (world.work.directory / "dvc.lock").read_text("utf-8")
    world.commit(world.work, {"dvc.lock": text.replace(HASHES["better"], "d" * 32)}, "production")


def rewrite_history(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production~1")
    world.commit(world.work, {"readme": "other\n"}, "production")


def edit_lock_in_the_checkout(world: World) -> None:
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "dvc.lock"
    file.write_text(file.read_text("utf-8").replace(RAW, "e" * 32), "utf-8")


def deploy_a_contradictory_commit(world: World) -> None:
    """A commit whose dvc.lock was edited by hand goes all the way."""
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    text = (world.work.directory / "dvc.lock").read_text("utf-8").replace(RAW, "e" * 32)
    commit = world.commit(world.work, {"dvc.lock": text}, "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "better"), salt="z")
    world.deploy("production", commit, digest)


def deploy_another_model_under_the_name(world: World) -> None:
    """The image holds another model than the commit that it is deployed for."""
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.deploy("production", commit, digest, model_hash=HASHES["better"])


def direct_push(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, {"readme": "pushed\n"}, "production")
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(head, "better"))
    world.deploy("production", commit, digest)


def hand_made_deploy_commit(world: World) -> None:
    """A commit that says the digest and nothing else, as ours do."""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    rewrite(
        world,
        lambda text: re.sub(
            "newTag: .*", "newTag: hand", re.sub("digest: .*", f"digest: {digest}", text)
        ),
        message=f"Deploy\n\nImage-Digest: {digest}",
    )


def later_entry(world: World) -> None:
    """Kustomize applies the entries in their order: this one changes what ours set."""
    entry = f"- name: {world.image}\n  newName: evil.example/x\n  digest: sha256:{'9' * 64}\n"
    rewrite(world, lambda text: text + entry)


def entry_that_matches(world: World) -> None:
    """Kustomize reads `name` as an expression: this entry takes the image before ours can."""
    entry = "images:\n- name: diabete.\n  newName: evil.example/x\n  newTag: v6\n"
    rewrite(world, lambda text: text.replace("images:\n", entry))


def hide_as_new(world: World) -> None:
    """An overlay that looks as if nothing had ever been deployed, and a proposal that waits."""
    commit = world.work.commit_of("origin/production") or ""
    world.deploy("production", commit, "sha256:" + "8" * 64, merged=False)
    edit_overlay(" *digest: .*\n", "")(world)
    edit_overlay("newTag: .*", "newTag: none")(world)


def image_of_other_code(world: World) -> None:
    """The model is the right one, and all else in the image is of another commit."""
    commit = world.work.commit_of("origin/production") or ""
    other = world.commit(world.work, {"app.py": "evil\n"}, "feature")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, other, world.labels(other, "better"), salt="x")
    world.deploy("production", commit, digest, images=f"diabetes={world.image}:{other}@{digest}")


def labelled_with_a_branch(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels("main", "better"))
    world.deploy("production", commit, digest)


def other_models_version(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    digest = push_image(
        world.registry, world.image.partition("/")[2], commit, world.labels(commit, "better")
    )
    world.deploy(
        "production", commit, digest,
        trailers=f"Model: other@v0.0.1\nModel-Hash: {HASHES['better']}\n"
        f"Source-Repository: {MODEL}\nSource-Commit: {commit}",
    )  # fmt: skip


def delete_branch(world: World) -> None:
    Git(world.top / "model.git").run("update-ref", "-d", "refs/heads/production")


def second_version_of_one_commit(world: World) -> None:
    bare = Git(world.top / "model.git")
    commit = bare.run("rev-parse", "diabetes@v0.0.1^{}").strip()
    bare.run("tag", "--annotate", "-m", "x", "diabetes@v0.0.9", commit, env=PERSON)


PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "eve"), ("EMAIL", "eve@example.com"))
}
Tampering = Callable[[World], None]
TAMPERED: dict[str, tuple[Tampering, set[str], str]] = {
    "retagged image": (retag, {"overlay → registry"}, "the registry's"),
    "overlay with another digest": (other_digest, {"image → environment before", "overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "says"),
    "overlay without a digest": (edit_overlay(" *digest: .*\n", ""), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "no digest"),
    "overlay with another tag": (edit_overlay("newTag: ", "newTag: x"), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "sets"),
    "overlay with another name": (edit_overlay("{world.image}", "{world.image}-evil"), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → promotion.yaml"}, "-evil"),
    "moved version tag": (move_version_tag, {"version → model", "stage → version"}, HASHES["worse"]),
    "version tag moved to the same model": (move_version_tag_to_the_same_model, {"stage → version"}, "holds"),
    "deleted version tag": (delete_version_tag, {"version → model", "stage → version"}, "no such version"),
    "moved stage tag": (move_stage_tag, {"stage → version"}, "v0.0.2"),
    "edited dvc.lock on the branch": (edit_lock_on_the_branch, {"branch → source commit"}, "d" * 32),
    "rewritten history": (rewrite_history, {"deploy commit → source commit", "branch → source commit"}, "not on branch production"),
    "edited dvc.lock in the checkout": (edit_lock_in_the_checkout, {"checkout → source commit"}, "edited dvc.lock"),
    "edited dvc.lock, deployed": (deploy_a_contradictory_commit, {"image → environment before", "model → data", "source commit → pull request"}, "e" * 32),
    "image of another model": (deploy_another_model_under_the_name, {"image → environment before", "image → model", "image → build commit"}, HASHES["worse"]),
    "pushed without a pull request": (direct_push, {"source commit → pull request"}, "no merged pull request"),
    "hand-made deploy commit": (hand_made_deploy_commit, {"image → environment before", "deploy commit → source commit", "deploy commit → deploy pull request"}, "no Source-Repository"),
    "later entry of the overlay": (later_entry, {"overlay → rendered image"}, "evil.example/x"),
    "entry that matches by expression": (entry_that_matches, {"overlay → rendered image"}, "diabete."),
    "overlay as if nothing was deployed": (hide_as_new, {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "sets"),
    "image of other code": (image_of_other_code, {"image → environment before", "image → source commit"}, "sets tag"),
    "image labelled with a branch": (labelled_with_a_branch, {"image → environment before", "image → build commit"}, "'main'"),
    "version of another model": (other_models_version, {"image → environment before", "version → model", "stage → version"}, "other@v0.0.1"),
    "deleted branch": (delete_branch, {"deploy commit → source commit"}, "the server has no branch production"),
    "second version of one commit": (second_version_of_one_commit, {"stage → version"}, "several versions at commit"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_with_one_link_is_found_and_named(world: World, what: str) -> None:
    tamper, expected, said = TAMPERED[what]
    tamper(world)
    told, found = world.trace("production")
    assert told.code == 3, told.log
    jsonschema.validate(found, schema("trace"))
    assert found["verified"] is False
    broken = {name for name, state in links(found).items() if state == "broken"}
    assert broken == expected, told.log
    assert all(one["fix"] for one in found["links"] if one["state"] == "broken")
    told_of = " ".join(
        f"{one['from_says']} {one['to_says']}" for one in found["links"] if one["state"] == "broken"
    )
    assert said in told_of
    assert said in told.log
    assert "Fix: " in told.log
    # The same, as one view of all environments.
    told, view = world.status(check="true")
    assert told.code == 3
    states = {one["name"]: one["in_sync"] for one in view["environments"]}
    assert states["production"] is False


def test_an_image_that_is_gone(world: World) -> None:
    _, found = world.trace("production")
    digest = found["image"]["digest"]
    name = world.image.partition("/")[2]
    connection = http.client.HTTPConnection(world.registry)
    connection.request("DELETE", f"/v2/{name}/manifests/{digest}")
    assert connection.getresponse().read() == b""
    told, found = world.trace("production")
    assert told.code == 3
    assert {n for n, s in links(found).items() if s == "broken"} == {"overlay → registry"}
    assert "has no" in told.log
    told, _ = world.trace(f"{world.image}@{digest}")
    assert told.code == 2
    assert "no such image" in told.log
    push_image(
        world.registry, name, world.work.commit_of("origin/experiment/better") or "",
        world.labels(world.work.commit_of("origin/experiment/better") or "", "better"),
    )  # fmt: skip


def test_a_moved_tag_that_nothing_runs_is_named(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, worse, world.labels(head, "better"))
    assert digest == world.trace("production")[1]["image"]["digest"]
    told, found = world.trace(f"{world.image}:{worse}")
    assert told.code == 3
    assert found["environment"] is None
    assert {n for n, s in links(found).items() if s == "broken"} == {"image → model"}
