"""components.yml of the template, played by act: the merge builds what is missing, and one commit sets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_components import NAMES, OVERLAY, jobs, overlay, small, well

from model_gitops_local.flow import DEPLOY, MODEL, Flow


@pytest.mark.docker
@pytest.mark.slow
def test_what_is_missing_is_built_and_set_by_one_commit(
    new_flow: Callable[[], Flow], tmp_path: Path
) -> None:
    flow = new_flow()
    deploy = flow.bare(DEPLOY)
    start = deploy.commit_of("refs/heads/main")

    # A pull request tests and rehearses: nothing is deployed, and nothing held.
    flow.commit("experiment/small", small, "Small components")
    number = flow.open_pull_request("experiment/small", "main", "Small components")
    run = well(flow.proposed(number, "components.yml"))
    assert len(jobs(run, "Test components")) == len(jobs(run, "Rehearse components")) == 4
    assert jobs(run, "Check") == ["Check every component"]
    assert not jobs(run, "Build")
    assert not jobs(run, "Set")
    for name in ("DEPLOY_TOKEN", "DEPLOY_READ_TOKEN", "REGISTRY_PASSWORD"):
        assert flow.tokens[name] not in run.log

    # The first merge builds all, whatever it changed.
    first = flow.merge(number)
    event = flow.forge.event("push", MODEL, branch="main", sender="ada")
    run = well(flow.pushed("main", "components.yml"))
    assert len(jobs(run, "Build components")) == 4
    assert not jobs(run, "Rehearse")
    assert {name: tag for name, (tag, _) in overlay(flow).items()} == dict.fromkeys(NAMES, first)
    assert deploy.commit_of("refs/heads/main~1") == start, "one commit"
    assert deploy.run("diff", "--name-only", "main~1", "main").split() == [OVERLAY]

    # The same push again: nothing is built, nothing is set.
    tip = deploy.commit_of("refs/heads/main")
    run = well(flow.run_again("components.yml", event, first))
    assert json.loads(run.outputs["What is to be built?"]["components"]) == []
    assert not jobs(run, "Build")
    assert deploy.commit_of("refs/heads/main") == tip
