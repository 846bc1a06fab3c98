"""The next hop waits: for the soak time, and for the verification of what the environment before runs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from verify_site import DIGEST, HASH, OTHER, READER, WRITER, Site, Told, good

from model_gitops.adapters.git import Git

HOPS = {
    "proposed": {"base_ref": "production", "head_ref": "main"},
    "merged": {"base_ref": "production"},
}


def hop(site: Site, how: str = "merged", **inputs: str) -> Told:
    return site.run(
        "check-promotion", token=READER, **{"source_token": WRITER, **HOPS[how], **inputs}
    )


def ask(site: Site, **verify: Any) -> str:
    """Let the rules of production ask for it, and deploy the commit that has them to dev."""
    said = {"url": site.service.url, "timeout": "2s", **verify}
    text = json.dumps(site.promotion(verify=said))
    commit = site.commit(site.work, {"promotion.yaml": text}, "Rules")
    site.work.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/production")
    site.deploy(commit, OTHER)
    good(site.service, OTHER)
    return commit


@pytest.mark.parametrize("how", HOPS)
def test_a_hop_waits_for_the_verification(site: Site, how: str) -> None:
    commit = ask(site)
    told = hop(site, how)
    assert told.code == 3, told.log
    assert f"nobody has verified v0.0.1 in dev: the commit {commit[:12]} has no status" in told.log
    assert "Fix: run verify.yml for dev, and this job again after it" in told.log
    site.run(part="wait")
    told = hop(site, how)
    assert (told.code, "has not ended" in told.log) == (3, True), told.log
    site.service.answers["/predict"] = lambda _: (200, {"y": 3})
    assert site.run().code == 3
    told = hop(site, how)
    assert told.code == 3
    assert (
        "the verification of v0.0.1 in dev says failure: integration 1: POST /predict: $.y is 3"
        in told.log
    )
    good(site.service, OTHER)
    assert site.run().code == 0
    told = hop(site, how)
    assert told.code == 0, told.log
    assert "verified: v0.0.1" in told.log
    assert told.outputs["model-hash"] == HASH


def test_the_same_commit_with_another_image_was_not_verified(site: Site) -> None:
    commit = ask(site)
    assert site.run().code == 0
    site.deploy(commit, DIGEST)  # built again
    told = hop(site)
    assert told.code == 3, told.log
    assert "runs sha256:1a2b1a2b1a2b, and the verification was of another image" in told.log
    good(site.service, DIGEST)
    assert site.run().outputs["operation"] == "verified"
    assert hop(site).code == 0


def test_without_a_token_nobody_can_read_it(site: Site) -> None:
    ask(site)
    told = hop(site, source_token="")
    assert (told.code, "`statuses: read`" in told.log) == (2, True), told.log


def test_only_the_named_writers_status_counts(site: Site) -> None:
    ask(site, writer="app:verifier")
    assert site.run().code == 0
    told = hop(site)
    assert told.code == 3, told.log
    assert "was written by github-actions[bot]" in told.log
    assert "takes only what verifier[bot] wrote" in told.log
    site.forge.add_token("the-app", "verifier[bot]", {"contents": "read", "statuses": "write"})
    assert site.run(again="true", source_token="the-app").code == 0
    assert hop(site).code == 0


@pytest.mark.parametrize("how", HOPS)
def test_a_hop_waits_for_the_soak_time(site: Site, how: str) -> None:
    ask(site, soak="2h")
    assert site.run().code == 0
    told = hop(site, how)
    assert told.code == 3, told.log
    assert (
        "dev must run v0.0.1 for 2 h before production may take it, and runs it since" in told.log
    )
    found = re.search(r"Fix: run this job again at (.{16}) UTC or later", told.log)
    since = int(Git(site.top / "deploy").run("log", "-1", "--format=%ct", "HEAD"))
    assert found and found[1] == f"{datetime.fromtimestamp(since + 7200 + 59, UTC):%Y-%m-%d %H:%M}"


def test_a_soak_time_that_has_passed_and_no_verification_asked_of_the_environment_before(
    site: Site,
) -> None:
    rules = site.promotion()
    rules["environments"][0] |= {"verify": False, "soak": "1ms"}
    commit = site.commit(site.work, {"promotion.yaml": json.dumps(rules)})
    site.work.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/production")
    site.deploy(commit)
    told = hop(site, source_token="")
    assert told.code == 0, told.log
