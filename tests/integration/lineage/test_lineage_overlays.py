"""What is deployed is told by an overlay's history and its model's entry, not by how either looks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from world import (
    DEPLOY,
    HASHES,
    MODEL,
    READER,
    TOKEN,
    World,
    api,
    links,
    merge,
    push_image,
    rewrite,
)

from model_gitops.adapters.git import Git

pytestmark = pytest.mark.docker


def row_of(world: World, environment: str, **inputs: str) -> Any:
    told, view = world.status(check="true", **inputs)
    assert told.code == 0, told.log
    return next(one for one in view["environments"] if one["name"] == environment)


# --- nothing was deployed yet ------------------------------------------------------------------------

NEW: dict[str, tuple[Callable[[str], str], str]] = {
    "another newName": (
        lambda text: re.sub("newName: .*", "newName: ghcr.io/acme/diabetes", text),
        "promotion.yaml says image:",
    ),
    "a tag alone": (lambda text: "images:\n- name: diabetes\n  newTag: none\n", "promotion.yaml says"),
    "another placeholder": (lambda text: text.replace("not-deployed-yet", "tbd"), "which no deployment did"),
    "a newName alone": (lambda text: re.sub("  newTag: .*\n", "", text), ""),
    "a tag that somebody wrote": (
        lambda text: text.replace("not-deployed-yet", "latest"), ":latest, which no deployment did",
    ),
    "no entry": (lambda text: "resources: []\n", "has no one image for the model"),
    "an empty list": (lambda text: "images: []\n", "has no one image for the model"),
    "another entry": (lambda text: "images:\n- name: sidecar\n  newTag: v1\n", "its entries: sidecar"),
    "a digest of zeros": (lambda text: text + f"  digest: sha256:{'0' * 64}\n", "which no deployment did"),
    "a digest that nobody has": (
        lambda text: text + f"  digest: sha256:{'12' * 32}\n", "which no deployment did",
    ),
    "a digest that is none": (lambda text: text + "  digest: sha256:tbd\n", "which no deployment did"),
}  # fmt: skip


@pytest.mark.parametrize("how", NEW)
def test_an_overlay_to_which_nothing_was_deployed_is_shown_with_dashes(
    world: World, how: str
) -> None:
    change, said = NEW[how]
    rewrite(world, change, "empty", "Write it anew")
    row = row_of(world, "empty")
    assert (row["version"], row["image"], row["digest"], row["since"]) == (None, None, None, None)
    assert (row["in_sync"], row["problems"]) == (True, [])
    assert said in " ".join(row["waiting"])
    told, _ = world.trace("empty")
    assert (told.code, "runs nothing yet" in told.log) == (2, True)


def test_an_image_that_exists_and_that_no_deployment_set_is_named(world: World) -> None:
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    rewrite(world, lambda text: text + f"  digest: {digest}\n", "empty", "By hand")
    told, view = world.status(check="true")
    assert told.code == 3
    assert view["environments"][-1]["in_sync"] is False
    assert "overlay → deploy commit" in view["environments"][-1]["problems"][0]["problem"]


def test_a_stage_that_says_more_than_was_deployed_is_one_problem(world: World) -> None:
    world.assign("empty", world.work.commit_of("origin/production") or "")
    told, view = world.status(check="true")
    assert told.code == 3
    (problem,) = view["environments"][-1]["problems"]
    assert "nothing was deployed to empty yet" in problem["problem"]
    assert "the stage diabetes#empty holds v0.0.1" in problem["problem"]
    assert "--branch empty" in problem["fix"]


# --- several models, several images --------------------------------------------------------------------

HEART = "diabetes-and-heart"


def add_heart(world: World) -> str:
    """Give production's overlay an entry of another model; return its image."""
    image = f"{world.image}-heart"
    entry = f"- name: heart\n  newName: {image}\n  newTag: not-deployed-yet\n"
    rewrite(world, lambda text: text + entry, message="Serve another model too")
    return image


def deploy_heart(world: World, image: str, salt: str, **more: str) -> str:
    digest = push_image(world.registry, image.partition("/")[2], "v7", {"x": "y"}, salt)
    told = world.run(
        "bump-kustomize-tag", repository=DEPLOY, path="overlays/production", token=TOKEN,
        **{
            "images": f"heart={image}:v7@{digest}",
            "trailers": f"Model: heart@v7.0.0\nModel-Hash: {'d' * 32}\nSource-Repository: acme/heart"
            f"\nSource-Commit: {'e' * 40}\nImage-Fingerprint: {'f' * 40}",
            **more,
        },
    )  # fmt: skip
    assert told.code == 0, told.log
    return digest


def test_another_models_deployments_say_nothing_of_ours(world: World) -> None:
    before = row_of(world, "production")
    image = add_heart(world)
    for salt in ("1", "2"):
        deploy_heart(world, image, salt)
        assert row_of(world, "production") == before
    # With the very same digest: the entry tells whose deployment it is.
    deploy_heart(world, image, "3", images=f"heart={world.image}:other@{before['digest']}")
    assert row_of(world, "production") == before


def test_one_commit_may_deploy_two_models(world: World) -> None:
    """In any order, and with what is said of one of them alone."""
    image = add_heart(world)
    before = row_of(world, "production")
    commit = world.work.commit_of("origin/production") or ""
    heart = push_image(world.registry, image.partition("/")[2], "v7", {"x": "y"}, "both")
    # As it is, but for its tag, which is the commit's all the same.
    ours = f"{world.image}:{commit}-1@{before['digest']}"
    name = world.image.partition("/")[2]
    head = world.work.commit_of("origin/experiment/better") or ""
    push_image(world.registry, name, f"{commit}-1", world.labels(head, "better"))
    deploy_heart(
        world, image, "both",
        images=f"heart={image}:v7@{heart}\ndiabetes={ours}",
        trailers=f"Model: diabetes@v0.0.1\nModel: heart@v7.0.0\nModel-Hash: {HASHES['better']}\n"
        f"Model-Hash: {'d' * 32}\nSource-Repository: {MODEL}\nSource-Commit: {commit}",
    )  # fmt: skip
    told, found = world.trace("production")
    assert found["version"]["name"] == "v0.0.1", told.log
    states = links(found)
    for link in (
        "version → model",
        "stage → version",
        "deploy commit → model",
        "overlay → deploy commit",
    ):
        assert states[link] == "verified", told.log


@pytest.mark.parametrize("ours_is", ["first", "last"])
@pytest.mark.parametrize("how", ["one bump", "a squash of two"])
def test_one_commit_may_deploy_models_of_two_repositories(
    world: World, how: str, ours_is: str
) -> None:
    image = add_heart(world)
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    head = world.work.commit_of("origin/experiment/better") or ""
    digest = push_image(world.registry, name, commit, world.labels(head, "better"), salt="two")
    heart = push_image(world.registry, image.partition("/")[2], "v7", {"x": "y"}, "both")
    said = [
        f"Model: diabetes@v0.0.1\nModel-Hash: {HASHES['better']}\nSource-Repository: {MODEL}\n"
        f"Source-Commit: {commit}",
        f"Model: heart@v7.0.0\nModel-Hash: {'d' * 32}\nSource-Repository: bob/heart\n"
        f"Source-Commit: {'e' * 40}",
    ]
    sets = [f"diabetes={world.image}:{commit}@{digest}", f"heart={image}:v7@{heart}"]
    digests = [digest, heart]
    if ours_is == "last":
        said, sets, digests = said[::-1], sets[::-1], digests[::-1]
    deploy_heart(world, image, "both", images="\n".join(sets), trailers="\n".join(said))
    if how != "one bump":
        git = world.clone(DEPLOY, "edit")
        git.run("pull", "--quiet", "origin", "main")
        pairs = zip(said, digests, strict=True)
        texts = [f"* Deploy\n\n{text}\nImage-Digest: {one}" for text, one in pairs]
        git.run("commit", "--quiet", "--amend", "-m", "\n\n".join(["Deploy (#9)", *texts]))
        git.run("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
        shutil.rmtree(git.directory)
    told, found = world.trace("production")
    assert found["source"]["commit"] == commit, told.log
    states = links(found)
    assert states["deploy commit → source commit"] == "verified", told.log
    assert states["version → model"] == "verified"
    assert "deploy commit → model repository" not in states


def test_a_commit_that_names_the_other_model_alone_advises_no_downgrade(world: World) -> None:
    image = add_heart(world)
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    head = world.work.commit_of("origin/experiment/better") or ""
    digest = push_image(world.registry, name, f"{commit}-2", world.labels(head, "better"))
    heart = push_image(world.registry, image.partition("/")[2], "v7", {"x": "y"}, "both")
    deploy_heart(
        world, image, "both",
        images=f"diabetes={world.image}:{commit}-2@{digest}\nheart={image}:v7@{heart}",
        trailers=f"Model: heart@v7.0.0\nModel-Hash: {'d' * 32}\nSource-Repository: {MODEL}\n"
        f"Source-Commit: {commit}",
    )  # fmt: skip
    told, view = world.status()
    production = view["environments"][2]
    assert production["version"] == "v0.0.1", told.log  # the stage's, as the commit says none
    assert "v7.0.0" not in told.answer
    assert "heart" not in " ".join(one["problem"] for one in production["problems"])


# --- squash merges of the deploy pull request ------------------------------------------------------------


def squash(world: World, title: str, message: str, *, deletes: bool) -> None:
    (pull,) = world.waiting()
    ada = api(DEPLOY, world).get_pull(pull.number)
    ada.merge(
        merge_method="squash", commit_title=title.format(number=pull.number), commit_message=message
    )
    if deletes:
        Git(world.top / "deploy.git").run("update-ref", "-d", f"refs/heads/{pull.head_ref}")


def new_version(world: World) -> tuple[str, str]:
    """Merge a second version into staging's and production's branches, and run it in staging."""
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/staging")
    commit = world.commit(world.work, world.files("worse", 5), "staging")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.assign("staging", commit)
    world.deploy("staging", commit, digest, model_hash=HASHES["worse"], version="v0.0.2")
    commit = merge(world, MODEL, "staging", "production", approve=True)
    world.work.run("fetch", "--quiet", "origin")
    labels = world.labels(world.work.commit_of("origin/staging") or "", "worse")
    assert push_image(world.registry, name, commit, labels) == digest
    return commit, digest


@pytest.mark.parametrize(
    ("title", "message", "token"),
    [
        ("Deploy diabetes (#{number})", "", READER),
        ("Deploy diabetes", "", READER),  # only the server knows which pull request it was
        ("Deploy diabetes (#{number})", "", ""),  # only the subject tells
    ],
)
def test_a_squash_merge_that_loses_every_trailer_is_verified(
    world: World, title: str, message: str, token: str
) -> None:
    commit, digest = new_version(world)
    more = {"trailers": trailers_of(commit)}
    world.deploy("production", commit, digest, merged=False, **more)
    squash(world, title, message, deletes=True)
    world.assign("production", commit)
    said = Git(world.top / "deploy.git").run("log", "-1", "--format=%B", "main")
    assert "Image-Digest" not in said
    if token:
        told, found = world.trace("production")
        assert told.code == 0, told.log
        states = links(found)
        assert states["overlay → deploy commit"] == "verified"
        assert states["deploy commit → source commit"] == "verified"
        assert states["deploy commit → deploy pull request"] == "verified"
        assert states["overlay → environment before"] == "verified"
        assert (found["version"]["name"], found["source"]["commit"]) == ("v0.0.2", commit)
    else:
        anonymous(world)
    row = view_of(world, token)
    assert (row["version"], row["in_sync"], row["source_commit"]) == ("v0.0.2", True, commit)
    # Taken back, it is as right as any other.
    git = world.clone(DEPLOY, "edit")
    git.run("pull", "--quiet", "origin", "main")
    git.run("revert", "--no-edit", "HEAD")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    shutil.rmtree(git.directory)
    row = view_of(world, token)
    assert (row["version"], row["in_sync"]) == ("v0.0.1", True), row["problems"]
    assert any(one.startswith("rolled back from v0.0.2 by Ada") for one in row["waiting"])


def trailers_of(commit: str) -> str:
    return (
        f"Model: diabetes@v0.0.2\nModel-Hash: {HASHES['worse']}\nSource-Repository: {MODEL}\n"
        f"Source-Commit: {commit}"
    )


def anonymous(world: World) -> None:
    """Let the deploy repository be read without the API: by a path, as by a deploy key."""
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "promotion.yaml"
    bare = str(world.top / "deploy.git")
    file.write_text(file.read_text("utf-8").replace(f'"{DEPLOY}"', f'"{bare}"'), "utf-8")


def view_of(world: World, token: str) -> Any:
    told, view = world.status(token=token, check="true")
    assert view, told.log
    return view["environments"][2]


def test_the_environment_before_may_be_squash_merged_too(world: World) -> None:
    """What `empty` takes over ran in production by a commit that says nothing."""
    commit, digest = new_version(world)
    world.deploy("production", commit, digest, merged=False, trailers=trailers_of(commit))
    squash(world, "Deploy (#{number})", "", deletes=True)
    world.deploy("empty", commit, digest, merged=False, trailers=trailers_of(commit))
    squash(world, "Deploy (#{number})", "", deletes=True)
    _, found = world.trace("empty")
    assert links(found)["overlay → environment before"] == "verified"


def test_a_pull_request_of_another_image_lends_no_words(world: World) -> None:
    """A number in the subject is believed for the image that its pull request set, and no other."""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    rewrite(
        world, lambda text: re.sub("digest: .*", f"digest: {digest}", text), message="Deploy (#1)"
    )
    told, found = world.trace("production")
    assert told.code == 3
    assert links(found)["overlay → deploy commit"] == "broken"


# --- where the file is, and on which branch ------------------------------------------------------------


@pytest.mark.parametrize(
    "moved", ["overlays/prod/kustomization.yaml", "overlays/production/kustomization.yml"]
)
def test_an_overlay_whose_file_was_renamed_keeps_its_history(world: World, moved: str) -> None:
    before = row_of(world, "staging"), row_of(world, "production")
    git = world.clone(DEPLOY, "edit")
    git.run("pull", "--quiet", "origin", "main")
    for old, new in (
        ("overlays/production/kustomization.yaml", moved),
        ("overlays/staging/kustomization.yaml", moved.replace("prod", "stag")),
    ):
        (git.directory / new).parent.mkdir(parents=True, exist_ok=True)
        git.run("mv", old, new)
        # Somebody changed another line on the way.
        file = git.directory / new
        file.write_text(file.read_text("utf-8") + "namePrefix: x-\n", "utf-8")
    world.commit(git, {}, "main", "Move the overlays")
    shutil.rmtree(git.directory)
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "promotion.yaml"
    text = file.read_text("utf-8")
    for name in ("staging", "production"):
        folder = (moved if name == "production" else moved.replace("prod", "stag")).rpartition("/")[
            0
        ]
        text = text.replace(f'"name": "{name}"', f'"name": "{name}", "path": "{folder}"')
    file.write_text(text, "utf-8")
    told, view = world.status(check="true")
    assert told.code == 0, told.log
    for old, new in zip(before, view["environments"][1:3], strict=True):
        assert (new["version"], new["deploy_commit"], new["since"]) == (
            old["version"], old["deploy_commit"], old["since"],
        )  # fmt: skip
    told, found = world.trace("production")
    assert links(found)["overlay → environment before"] == "verified"


def test_the_deploy_repositorys_default_branch_may_have_another_name(world: World) -> None:
    before = row_of(world, "production")
    bare = Git(world.top / "deploy.git")
    bare.run("branch", "--move", "main", "trunk")
    bare.run("symbolic-ref", "HEAD", "refs/heads/trunk")
    repository = world.forge.state.find(DEPLOY)
    assert repository is not None
    merged = [issue.pull for issue in repository.issues if issue.pull]
    for pull in merged:
        pull.base = "trunk"
    try:
        assert row_of(world, "production") == before
    finally:
        for pull in merged:
            pull.base = "main"
