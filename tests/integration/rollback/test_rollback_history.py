"""The version that comes back is found whatever the deploy repository's history looks like."""

from __future__ import annotations

import pytest
from promotion_world import DIGEST
from rollbacks import FIRST, SECOND, Incident
from world import DEPLOY, TOKEN, api

from model_gitops.adapters.git import Git


def by_hand(incident: Incident, files: dict[str, str], message: str = "By hand") -> Git:
    git = incident.clone_of_deploy()
    incident.commit(git, files, "main", message)
    return git


def squash(incident: Incident) -> None:
    """Merge what waits as a squash whose message lost all that it said."""
    for pull in incident.waiting():
        api(DEPLOY, incident).get_pull(pull.number).merge(
            merge_method="squash", commit_title=f"Next (#{pull.number})", commit_message="lost"
        )


def test_squash_merges_that_lost_their_messages(incident: Incident) -> None:
    for number in (3, 4):
        incident.bring("production", number, merged=False)
        squash(incident)
    assert incident.digest("production") == f"sha256:{'4' * 64}"
    assert "Source-Commit" not in incident.last_message()
    done = incident.rollback("production", reason="wrong")
    assert (done["operation"], done["version"], done["from"]) == ("opened", "v0.0.3", "v0.0.4")
    squash(incident)
    assert incident.digest("production") == f"sha256:{'3' * 64}"
    # The rollback's own message is lost, too; the pull request tells.
    assert incident.rollback("production")["operation"] == "assigned"
    assert incident.stage("production") == "v0.0.3"
    named = incident.rollback("production", version="v0.0.4")
    assert (named["operation"], named["version"]) == ("opened", "v0.0.4")


def test_an_overlay_that_was_moved_and_whose_entry_was_renamed(incident: Incident) -> None:
    source = incident.source("dev")
    git = incident.clone_of_deploy()
    (git.directory / "envs").mkdir()
    git.run("mv", "overlays/dev", "envs/dev")
    incident.commit(git, {}, "main", "Move")
    file = git.directory / "envs/dev/kustomization.yaml"
    text = file.read_text("utf-8")
    incident.commit(
        git, {"envs/dev/kustomization.yaml": text.replace("name: diabetes", "name: app")}, "main"
    )
    rules = {"name": "dev", "branch": "main", "path": "envs/dev"}
    incident.set_rules(environments=[rules, {"name": "staging", "branch": "staging"}])
    incident.work.run("checkout", "--quiet", "--detach", incident.sha("main"))
    # Nobody went back by it: status knows what runs, whose entry had another name when it was deployed.
    _, view = incident.status(token=TOKEN, source_token=TOKEN)
    row = view["environments"][0]
    assert (row["version"], row["source_commit"]) == ("v0.0.2", source), row
    done = incident.rollback("dev", reason="x")
    assert (done["operation"], done["version"], done["from"]) == ("pushed", "v0.0.1", "v0.0.2")
    after = incident.deploy_git.file_at("main", "envs/dev/kustomization.yaml") or ""
    assert FIRST in after
    # And status knows what came back, whose name was another one then.
    shown = incident.run("status", token=TOKEN, source_token=TOKEN).answer
    assert "rolled back from v0.0.2 by Ada: x" in shown, shown
    assert "name: app" in after
    assert incident.deploy_git.file_at("main", "envs/dev/hold.yaml")


def test_only_the_models_own_entry_is_changed(incident: Incident) -> None:
    path = "overlays/dev/kustomization.yaml"
    more = f"- name: other # keep\n  newName: registry.example/acme/other\n  newTag: v7\n  digest: {DIGEST}\n"
    by_hand(incident, {path: incident.overlay("dev") + more})
    # Another model's deployments come between, in the same file.
    for number in range(4):
        text = incident.overlay("dev")
        by_hand(incident, {path: text.replace(DIGEST, f"sha256:{number:064x}", 1)
                           if not number else text.replace(f"{number - 1:064x}", f"{number:064x}")},
                f"Deploy other\n\nModel: other@v0.0.{number}\nImage-Digest: sha256:{number:064x}")  # fmt: skip
    done = incident.rollback("dev")
    assert (done["operation"], done["version"]) == ("pushed", "v0.0.1")
    text = incident.overlay("dev")
    assert FIRST in text
    assert f"{3:064x}" in text
    assert "- name: other # keep" in text


@pytest.mark.parametrize("number", [60])
def test_a_version_from_long_ago(incident: Incident, number: int) -> None:
    """Past the history that is fetched at once."""
    git = incident.clone_of_deploy()
    text = incident.overlay("dev")
    for one in range(number):
        digest = f"sha256:{one + 1000:064x}"
        (git.directory / "overlays/dev/kustomization.yaml").write_text(text.replace(SECOND, digest))
        git.run("commit", "--quiet", "--all", "-m",
                f"Deploy\n\nModel: diabetes@v1.0.{one}\nImage-Digest: {digest}\n"
                f"Source-Repository: acme/diabetes\nSource-Commit: {one + 1000:040x}")  # fmt: skip
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    done = incident.rollback("dev", version="v0.0.1")
    assert (done["operation"], done["from"], incident.digest("dev")) == ("pushed", "v1.0.59", FIRST)
    refused = incident.rollback("dev", code=3, version="v7.0.0")
    assert "and 42 more" in refused["log"]
