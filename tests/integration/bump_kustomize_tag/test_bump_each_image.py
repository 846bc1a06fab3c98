"""The guard looks at one image at a time: which of them a trailer speaks of, the overlay tells."""

from __future__ import annotations

import pytest
from bump_step import OVERLAY, SOURCE, A, B, C, Step, Work

from model_gitops.adapters.git import Git

PATH = f"{OVERLAY}/kustomization.yaml"


def test_two_images_that_share_a_digest_have_a_past_each(
    deploy: Work, source: Work, step: Step
) -> None:
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:new@{A}", sha=new)
    assert step.run(f"sidecar=:old@{A}", sha=old)["operation"] == "pushed"
    late = step.run(f"diabetes=:old@{B}", sha=old)
    assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    # The other one was set by the old commit only.
    assert step.run(f"sidecar=:new@{B}", sha=new)["operation"] == "pushed"
    assert step.run(f"sidecar=:old@{A}", sha=old)["operation"] == "superseded"


def test_the_same_digest_in_another_overlay_says_nothing_of_this_one(
    deploy: Work, source: Work, step: Step
) -> None:
    old, between = source.pull(), source.commit({"model.py": "2\n"})
    new = source.commit({"model.py": "3\n"})
    deploy.commit({"overlays/other/kustomization.yaml": deploy.text()})
    step.run(f"diabetes=:old@{A}", sha=old)
    step.run(f"diabetes=:new@{A}", sha=new, path="overlays/other")
    assert step.run(f"diabetes=:between@{B}", sha=between)["operation"] == "pushed"
    late = step.run(f"diabetes=:between@{B}", sha=between, path="overlays/other")
    assert late["operation"] == "superseded"


def test_one_commit_may_set_images_of_several_commits(
    deploy: Work, source: Work, step: Step
) -> None:
    old, between = source.pull(), source.commit({"model.py": "2\n"})
    new = source.commit({"model.py": "3\n"})
    trailers = f"Source-Repository: {SOURCE}\nSource-Commit: {new}\nSource-Commit: {old}"
    step.run(f"diabetes=:new@{A}\nsidecar=:old@{B}", sha=new, trailers=trailers)
    said = Git(deploy.remote).run("log", "-1", "--format=%B", "main")
    assert (
        f"Source-Commit: {new}\nSource-Commit: {old}\nImage-Digest: {A}\nImage-Digest: {B}" in said
    )
    before = deploy.state()
    assert step.run(f"diabetes=:x@{C}", sha=between)["operation"] == "superseded"
    # One that is overtaken holds back all that were to be set with it.
    both = step.run(f"diabetes=:x@{C}\nsidecar=:x@{C}", sha=between)
    assert both["operation"] == "superseded"
    assert deploy.state() == before
    assert step.run(f"sidecar=:x@{C}", sha=between)["operation"] == "pushed"


@pytest.mark.parametrize("digest", [f"@{A}", ""], ids=["digest", "tag"])
def test_an_image_keeps_its_past_under_a_new_name(
    deploy: Work, source: Work, step: Step, digest: str
) -> None:
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:new{digest}", sha=new)
    deploy.pull()
    deploy.commit({PATH: deploy.text().replace("name: diabetes", "name: renamed")}, "rename")
    late = step.run(f"renamed=:old@{B}", sha=old)
    assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"renamed=:later@{B}", sha=later)["operation"] == "pushed"


def test_two_images_that_trade_their_names_trade_their_pasts(
    deploy: Work, source: Work, step: Step
) -> None:
    old, new = source.pull(), source.commit({"model.py": "2\n"})
    step.run(f"diabetes=:new@{A}", sha=new)
    step.run(f"sidecar=:old@{B}", sha=old)
    deploy.pull()
    text = (
        deploy.text()
        .replace("name: sidecar", "name: other")
        .replace("name: diabetes", "name: sidecar")
    )
    deploy.commit({PATH: text.replace("name: other", "name: diabetes")}, "trade")
    assert step.run(f"sidecar=:x@{C}", sha=old)["operation"] == "superseded"
    assert step.run(f"diabetes=:x@{C}", sha=new)["operation"] == "pushed"
