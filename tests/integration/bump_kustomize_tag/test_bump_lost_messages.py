"""A deploy commit whose message was lost is a deployment still: an older commit does not replace it."""

from __future__ import annotations

from typing import Any

import pytest
from bump_step import BOT, DEPLOY, OVERLAY, PROPOSE, SOURCE, A, B, C, Step, Work, as_person

from model_gitops.adapters.deploy_repository import opened
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.adapters.github import GitHub
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.trailers import Origin, origin_of, read_trailers
from model_gitops_local.forge import Forge

# How a server and a person may merge the pull request, and whether its message keeps the trailers.
MERGES: dict[str, tuple[dict[str, str], bool]] = {
    "squash: the commit's own message": ({"merge_method": "squash"}, True),
    "squash: title and description": (
        {"merge_method": "squash", "commit_message": "{body}"},
        True,
    ),
    "squash: the title only": ({"merge_method": "squash", "commit_message": ""}, False),
    "squash: a message of one's own": (
        {"merge_method": "squash", "commit_title": "Ship it", "commit_message": "Fine."},
        False,
    ),
    "rebase": ({"merge_method": "rebase"}, True),
    "merge: a message of one's own": (
        {"merge_method": "merge", "commit_title": "Ship it", "commit_message": "Fine."},
        False,
    ),
}


def merge(forge: Forge, deploy: Work, url: str, how: dict[str, str]) -> str:
    """Merge the pull request at `url`, remove its branch, and return the new tip's message."""
    pull = as_person(forge).get_pull(int(url.rpartition("/")[2]))
    words: dict[str, Any] = {key: value.replace("{body}", pull.body) for key, value in how.items()}
    pull.merge(**words)
    Git(deploy.remote).run("update-ref", "-d", f"refs/heads/{pull.head.ref}")
    deploy.pull()
    return deploy.git.run("log", "-1", "--format=%B")


@pytest.mark.parametrize("how", MERGES)
def test_however_the_deploy_pull_request_was_merged_a_rerun_of_an_older_one_is_none(
    deploy: Work, source: Work, step: Step, forge: Forge, how: str
) -> None:
    old, between = source.pull(), source.commit({"model.py": "2\n"})
    new = source.commit({"model.py": "3\n"})
    step.run(f"diabetes=:old@{A}", sha=old)
    proposed = step.run(f"diabetes=:new@{B}", sha=new, **PROPOSE)
    words, keeps = MERGES[how]
    message = merge(forge, deploy, proposed["pull-request"], words)
    origin = origin_of(read_trailers(message))
    assert (origin.commit if origin else "") == (new if keeps else "")
    # Who reads history hears where it comes from.
    api = PullRequests(GitHub(DEPLOY, BOT, api_url=forge.api_url))
    with opened(deploy.remote.as_uri(), ANONYMOUS) as history:
        tip = history.fetch("main")
        file = history.read_kustomization(tip, OVERLAY)
        (image, _) = kustomization.read(file.text, source=file.path)
        (found, *_) = history.past("main", file, image, SOURCE, pulls=api.merged_with)
    assert found.origin == Origin(SOURCE, new)
    assert found.image == image
    # The very deployment before it, one that ended late, and both by push: over the API and without.
    for late in (
        step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE),
        step.run(f"diabetes=:between@{C}", sha=between, **PROPOSE),
        step.run(f"diabetes=:old@{A}", sha=old),
    ):
        assert (late["operation"], late["previous"]) == (
            "superseded",
            f"ghcr.io/acme/diabetes:new@{B}",
        )
        assert late["pull-request"] == ""
    assert step.run(f"diabetes=:new@{B}", sha=new, **PROPOSE)["operation"] == "none"
    later = source.commit({"model.py": "4\n"})
    assert step.run(f"diabetes=:later@{C}", sha=later, **PROPOSE)["operation"] == "opened"


def test_several_commits_squashed_into_one_are_told_apart(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    """GitHub lists the messages of a pull request that has several commits."""
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    newest = source.commit({"model.py": "3\n"})
    step.run(f"diabetes=:new@{A}", sha=new, **PROPOSE)
    proposed = step.run(f"sidecar=:old@{B}", sha=old, **PROPOSE)
    heads = Git(deploy.remote).run("for-each-ref", "--format=%(refname)", "refs/heads/model-gitops")
    deploy.git.run("fetch", "--quiet", "origin")
    model, sidecar = sorted(heads.split(), key=lambda ref: "sidecar" in ref)
    deploy.git.run("switch", "--quiet", "--detach", sidecar.replace("heads", "remotes/origin"))
    deploy.git.run("cherry-pick", model.replace("heads", "remotes/origin"))
    deploy.git.run("push", "--quiet", "origin", f"HEAD:{sidecar}")
    deploy.git.run("switch", "--quiet", "main")
    message = merge(forge, deploy, proposed["pull-request"], {"merge_method": "squash"})
    assert read_trailers(message)["source-commit"] == [old, new]
    # Each image is of its own commit: the sidecar of the old one takes the one between, the model not.
    assert step.run(f"diabetes=:old@{C}", sha=old)["operation"] == "superseded"
    assert step.run(f"sidecar=:new@{C}", sha=new)["operation"] == "pushed"
    assert step.run(f"diabetes=:newest@{C}", sha=newest)["operation"] == "pushed"


def test_a_message_that_was_rewritten_is_made_up_for_by_what_the_overlay_had(
    deploy: Work, source: Work, step: Step
) -> None:
    """No pull request, no branch: only the digests in the overlay's history tell."""
    first = source.pull()
    shas = [source.commit({"model.py": f"{number}\n"}) for number in range(3)]
    step.run(f"diabetes=:first@{A}", sha=first)
    for number, digest in ((0, B), (1, C)):
        step.run(f"diabetes=:m{number}@{digest}", sha=shas[number])
        deploy.pull()
        deploy.git.run("commit", "--quiet", "--amend", "-m", "squashed")
        deploy.git.run("push", "--quiet", "--force", "origin", "HEAD:main")
    before = deploy.state()
    assert step.run(f"diabetes=:first@{A}", sha=first)["operation"] == "superseded"
    assert step.run(f"diabetes=:m0@{B}", sha=shas[0])["operation"] == "superseded"
    assert deploy.state() == before
    assert step.run(f"diabetes=:m2@{A}", sha=shas[2])["operation"] == "pushed"


def test_what_a_revert_took_back_is_no_deployment_again(
    deploy: Work, source: Work, step: Step
) -> None:
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    step.run(f"diabetes=:old@{A}", sha=old)
    newer = step.run(f"diabetes=:new@{B}", sha=new)
    deploy.pull()
    deploy.git.run("revert", "--no-edit", "HEAD")
    deploy.git.run("push", "--quiet", "origin", "HEAD:main")
    revert = deploy.pull()
    again = step.run(f"diabetes=:new@{B}", sha=new)
    assert (again["operation"], again["commit"]) == ("superseded", revert)
    assert step.run(f"diabetes=:old@{A}", sha=old)["operation"] == "none"
    # On purpose it is; and what it takes back is the newest that was here.
    assert step.run(f"diabetes=:x@{C}", sha=old, trailers="Rollback: true")["operation"] == "pushed"
    said = read_trailers(Git(deploy.remote).run("log", "-1", "--format=%B", "main"))
    assert said["rollback-from"] == [new]
    assert newer["commit"] != revert
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:later@{A}", sha=later)["operation"] == "pushed"


def test_a_pull_request_that_was_not_merged_tells_nothing(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    """Whoever may open one could write a later commit into it: only what was merged is believed."""
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    path = f"{OVERLAY}/kustomization.yaml"
    by_hand = deploy.text().replace("newTag: v1", f"newTag: v2\n    digest: {B}")
    deploy.git.run("switch", "--quiet", "-c", "mallory")
    deploy.commit(
        {path: by_hand},
        f"x\n\nSource-Repository: {SOURCE}\nSource-Commit: {new}\nImage-Digest: {B}",
    )
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    api.open_pull_request(head="mallory", base="main", title="x", body="")
    deploy.git.run("switch", "--quiet", "main")
    deploy.commit({path: by_hand}, "by hand")
    assert step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)["operation"] == "opened"
