"""Each test tampers with one link of a chain that was whole, and sees it named with both its sides."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable

import jsonschema
import pytest
from world import (
    HASHES,
    MODEL,
    RAW,
    World,
    api,
    links,
    merge,
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


def commit_on(world: World, branch: str, to: str, readme: str) -> str:
    """Push a commit that changes no model, on top of `branch`, to branch `to`."""
    world.work.run("fetch", "--quiet", "origin")
    world.work.run("checkout", "--quiet", "-B", "edit", f"origin/{branch}")
    return world.commit(world.work, {"readme": readme}, to)


def deploy_production(world: World, commit: str, **more: str) -> None:
    """Deploy a commit to production with the image that staging runs."""
    world.work.run("fetch", "--quiet", "origin")
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(head, "better"))
    world.deploy("production", commit, digest, **more)


def change_the_base(world: World) -> None:
    """The checks were green for a pull request into main; then it is merged into production."""
    commit_on(world, "production", "experiment/direct", "direct\n")
    ada, grace = api(MODEL, world), api(MODEL, world, "second-token")
    number = ada.create_pull(base="main", head="experiment/direct", title="x", body="").number
    ada.get_pull(number).edit(base="production")
    grace.get_pull(number).create_review(event="APPROVE")
    deploy_production(world, str(ada.get_pull(number).merge(merge_method="merge").sha))


def skip_an_environment(world: World) -> None:
    """All that production's deploy commit says is right, and staging never had the image."""
    commit = world.work.commit_of("origin/production") or ""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(head, "better"), salt="s")
    world.deploy("production", commit, digest)


def ask_for_approvals(world: World) -> None:
    """One for each environment; of the others production is asked for alone."""
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "promotion.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "approvals": 1}), "utf-8")


def merge_unapproved(world: World) -> None:
    commit_on(world, "staging", "staging", "unapproved\n")
    deploy_production(world, merge(world, MODEL, "staging", "production", approve=False))
    ask_for_approvals(world)


def let_a_workflow_approve(world: World) -> None:
    """Whoever may push a branch may run a workflow, and let its token approve."""
    world.forge.add_token("robot-token", "robot[bot]")
    commit_on(world, "staging", "staging", "by a robot\n")
    pull = api(MODEL, world).create_pull(base="production", head="staging", title="x", body="")
    api(MODEL, world, "robot-token").get_pull(pull.number).create_review(event="APPROVE")
    deploy_production(world, merge(world, MODEL, "staging", "production", approve=False))
    ask_for_approvals(world)


def push_after_the_approval(world: World) -> None:
    commit_on(world, "staging", "staging", "good\n")
    pull = api(MODEL, world).create_pull(base="production", head="staging", title="x", body="")
    api(MODEL, world, "second-token").get_pull(pull.number).create_review(event="APPROVE")
    commit_on(world, "staging", "staging", "not so good\n")
    deploy_production(world, merge(world, MODEL, "staging", "production", approve=False))
    ask_for_approvals(world)


def say_another_fingerprint(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    rewrite(
        world,
        lambda text: text + "\n",
        message=f"Deploy\n\n{deploy_trailers(world, commit)}\nImage-Fingerprint: {'e' * 40}",
    )


def say_another_sha256(world: World) -> None:
    """The deploy commit recorded one file, and the version another with the same MD5."""
    bare = Git(world.top / "model.git")
    version = bare.run("rev-parse", "diabetes@v0.0.1^{}").strip()
    record = f"x\n\nModel-Hash: {HASHES['better']}\nModel-SHA256: {'f' * 64}"
    bare.run("tag", "--force", "--annotate", "-m", record, "diabetes@v0.0.1", version, env=PERSON)
    commit = world.work.commit_of("origin/production") or ""
    rewrite(
        world,
        lambda text: text + "\n",
        message=f"Deploy\n\n{deploy_trailers(world, commit)}\nModel-SHA256: {'d' * 64}",
    )


def deploy_trailers(world: World, commit: str) -> str:
    """What the deploy commit of `commit` says, but for what a test adds."""
    _, found = world.trace("production")
    return (
        f"Model: diabetes@v0.0.1\nModel-Hash: {HASHES['better']}\nSource-Repository: {MODEL}\n"
        f"Source-Commit: {commit}\nImage-Digest: {found['image']['digest']}"
    )


PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "eve"), ("EMAIL", "eve@example.com"))
}
Tampering = Callable[[World], None]
TAMPERED: dict[str, tuple[Tampering, set[str], str]] = {
    "retagged image": (retag, {"overlay → registry"}, "the registry's"),
    "overlay with another digest": (other_digest, {"overlay → environment before", "overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "says"),
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
    "edited dvc.lock, deployed": (deploy_a_contradictory_commit, {"overlay → environment before", "model → data", "source commit → pull request"}, "e" * 32),
    "image of another model": (deploy_another_model_under_the_name, {"deploy commit → image", "overlay → environment before", "image → model", "image → build commit"}, HASHES["worse"]),
    "pushed without a pull request": (direct_push, {"source commit → pull request"}, "no merged pull request"),
    "hand-made deploy commit": (hand_made_deploy_commit, {"overlay → environment before", "deploy commit → source commit", "deploy commit → deploy pull request"}, "no Source-Repository"),
    "later entry of the overlay": (later_entry, {"overlay → rendered image"}, "evil.example/x"),
    "entry that matches by expression": (entry_that_matches, {"overlay → rendered image"}, "diabete."),
    "overlay as if nothing was deployed": (hide_as_new, {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "sets"),
    "image of other code": (image_of_other_code, {"overlay → environment before", "image → source commit"}, "sets tag"),
    "image labelled with a branch": (labelled_with_a_branch, {"overlay → environment before", "image → build commit"}, "'main'"),
    "version of another model": (other_models_version, {"overlay → environment before", "version → model", "stage → version"}, "other@v0.0.1"),
    "deleted branch": (delete_branch, {"deploy commit → source commit"}, "the server has no branch production"),
    "second version of one commit": (second_version_of_one_commit, {"stage → version"}, "several versions at commit"),
    "base changed after green checks": (change_the_base, {"pull request → hop"}, "came from branch experiment/direct"),
    "image that staging never ran": (skip_an_environment, {"overlay → environment before"}, "staging never ran it"),
    "approved by nobody": (merge_unapproved, {"pull request → approvals"}, "approved by nobody"),
    "approved by a workflow": (let_a_workflow_approve, {"pull request → approvals"}, "approved by nobody"),
    "approved before another commit came": (push_after_the_approval, {"pull request → approvals"}, "and no later one"),
    "deploy commit with another fingerprint": (say_another_fingerprint, {"deploy commit → image", "deploy commit → deploy pull request"}, "Image-Fingerprint " + "e" * 40),
    "file with the same MD5": (say_another_sha256, {"deploy commit → version", "deploy commit → deploy pull request"}, "records SHA-256 " + "f" * 64),
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
