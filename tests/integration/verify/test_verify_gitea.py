"""The commit status on Gitea and Forgejo: they call its state otherwise, and order by seconds."""

from __future__ import annotations

import json

from test_next_hop import ask, hop
from verify_site import MODEL, OTHER, Site, good


def test_a_status_is_written_demanded_and_known_again(gitea_site: Site) -> None:
    site = gitea_site
    commit = ask(site)
    assert "nobody has verified v0.0.1 in dev" in hop(site).log
    site.service.answers["/predict"] = lambda _: (200, {"y": 3})
    assert site.run().code == 3
    # Pending and failure may be of the same second: which one is the newer, their numbers tell.
    told = hop(site)
    assert told.code == 3
    assert "says failure: integration 1: POST /predict: $.y is 3, not 2" in told.log
    good(site.service, OTHER)
    assert site.run().code == 0
    assert hop(site).code == 0, told.log
    assert site.run().outputs["operation"] == "none"
    repository = site.forge.state.find(MODEL)
    assert repository is not None
    found = [one.state for one in repository.statuses if one.sha == commit]
    assert found == ["pending", "failure", "pending", "success"]


def test_the_run_is_linked_below_the_servers_path(gitea_site: Site) -> None:
    told = gitea_site.run()
    assert told.code == 0, told.log
    assert json.loads(told.outputs["report"])["run"].startswith(f"{gitea_site.forge.url}/{MODEL}/")
    repository = gitea_site.forge.state.find(MODEL)
    assert repository is not None
    assert repository.statuses[-1].target_url == json.loads(told.outputs["report"])["run"]
