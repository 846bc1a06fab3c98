"""An older commit replaces no newer one, whatever went on in the deploy repository since."""

from __future__ import annotations

from pathlib import Path

import pytest
from bump_step import (
    BOT,
    DEPLOY,
    OVERLAY,
    SOURCE,
    A,
    B,
    C,
    Step,
    Work,
)

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.core.deploy.history import standing
from model_gitops_local.forge import Forge


def test_an_older_commit_does_not_replace_a_newer_one(
    deploy: Work, source: Work, step: Step, capfd: pytest.CaptureFixture[str]
) -> None:
    old = source.pull()
    new = source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:new@{A}", sha=new)
    before = deploy.state()
    outputs = step.run(f"diabetes=:old@{B}", sha=old)
    assert outputs["operation"] == "superseded"
    assert outputs["commit"] == newer["commit"]
    assert outputs["previous"] == f"ghcr.io/acme/diabetes:new@{A}"
    assert deploy.state() == before
    assert "Rollback: true" in capfd.readouterr().err
    # The same for an image without a digest, after a commit about something else.
    step.run("sidecar=:new", sha=new)
    deploy.pull()
    deploy.commit({f"{OVERLAY}/kustomization.yaml": deploy.text() + "# more\n", "x": "y"})
    assert step.run("sidecar=:old", sha=old)["operation"] == "superseded"
    # A rollback says so. A rerun of what it took back is no deployment; a later commit is.
    back = step.run(f"diabetes=:old@{B}", sha=old, trailers="Rollback: true")
    assert back["operation"] == "pushed"
    assert f"\nRollback-From: {new}\n" in Git(deploy.remote).run(
        "log", "-1", "--format=%B", back["commit"]
    )
    again = step.run(f"diabetes=:new@{A}", sha=new)
    assert (again["operation"], again["commit"]) == ("superseded", back["commit"])
    assert "rolled back" in capfd.readouterr().err
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:later@{A}", sha=later)["operation"] == "pushed"


def test_a_newer_commit_replaces_an_older_one(deploy: Work, source: Work, step: Step) -> None:
    step.run(f"diabetes=:old@{A}", sha=source.pull())
    new = source.commit({"model.py": "2\n"})
    assert step.run(f"diabetes=:new@{B}", sha=new)["operation"] == "pushed"


def by_hand(deploy: Work, kind: str) -> None:
    """What a person may do to an overlay between two deployments."""
    path = f"{OVERLAY}/kustomization.yaml"
    deploy.pull()
    if kind == "revert":
        deploy.git.run("revert", "--no-edit", "HEAD")
        deploy.git.run("push", "--quiet", "origin", "HEAD")
    elif kind == "edit":
        deploy.commit({path: deploy.text().replace("ghcr.io/acme/diabetes ", "mirror/diabetes ")})
    elif kind == "edit of the tag":
        deploy.commit({path: deploy.text().replace("newTag: new", "newTag: newer")})
    elif kind == "another deployment beside it":
        deploy.commit(
            {path: deploy.text().replace('"1.10"', '"1.11"')},
            f"Deploy\n\nSource-Repository: {SOURCE}\nSource-Commit: {'0' * 40}",
        )
    else:
        deploy.git.run("mv", OVERLAY, "overlays/development")
        deploy.commit({}, "move")
    for number in range(5):
        deploy.commit({"other": str(number)})


@pytest.mark.parametrize("digest", [f"@{A}", ""], ids=["digest", "tag"])
@pytest.mark.parametrize(
    "kind", ["revert", "edit", "edit of the tag", "another deployment beside it", "move"]
)
def test_a_change_by_hand_does_not_end_the_guard(
    deploy: Work, source: Work, step: Step, kind: str, digest: str
) -> None:
    old = source.pull()
    newer = step.run(f"diabetes=:new{digest}", sha=source.commit({"model.py": "2\n"}))
    assert newer["operation"] == "pushed"
    by_hand(deploy, kind)
    path = "overlays/development" if kind == "move" else OVERLAY
    late = step.run("diabetes=:old", sha=old, path=path)
    if kind == "move" and not digest:
        assert late["operation"] == "pushed"  # nothing ties the file to the one before
    else:
        assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    later = source.commit({"model.py": "3\n"})
    assert step.run("diabetes=:later", sha=later, path=path)["operation"] == "pushed"


def test_an_image_that_was_set_by_hand_only_is_replaced(
    deploy: Work, source: Work, step: Step
) -> None:
    path = f"{OVERLAY}/kustomization.yaml"
    deploy.commit({path: deploy.text().replace("newTag: v1", f"newTag: v1\n    digest: {C}")})
    assert step.run(f"diabetes=:v2@{A}", sha=source.pull())["operation"] == "pushed"


@pytest.mark.parametrize("digest", [f"@{A}", ""], ids=["digest", "tag"])
def test_a_deployment_is_found_however_much_went_on_since(
    deploy: Work, source: Work, step: Step, digest: str
) -> None:
    """A production that is deployed once a quarter, in a repository that many use."""
    from model_gitops.adapters import deploy_repository

    old = source.pull()
    newer = step.run(f"diabetes=:new{digest}", sha=source.commit({"model.py": "2\n"}))
    head = deploy.pull()
    others = "".join(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> 4102444800 +0000\ndata 5\nother\n"
        + (f"from {head}\n" if number == 0 else "")
        + f"M 100644 inline other\ndata <<END\n{number}\nEND\n"
        # Some of them change the same file, and so many that not each can be read.
        + (f"M 100644 inline {OVERLAY}/kustomization.yaml\ndata <<END\n{deploy.text()}"
           f"# {number}\nEND\n" if digest and number % 6 == 0 else "")
        for number in range(600)
    )  # fmt: skip
    Git(deploy.remote).run("fast-import", "--quiet", input=others)
    late = step.run("diabetes=:old", sha=old)
    assert (late["operation"], late["commit"]) == ("superseded", newer["commit"])
    with deploy_repository.opened(deploy.remote.as_uri(), ANONYMOUS) as opened:
        path = f"{OVERLAY}/kustomization.yaml"
        changes = opened.changes("main", path, lambda entries: entries[0] if entries else None)
        found = standing(changes, "diabetes")
    told = found.deployment or found.arrival
    assert told is not None
    assert told.commit == newer["commit"]


def test_other_histories_are_no_order(deploy: Work, source: Work, step: Step) -> None:
    base = source.pull()
    source.git.run("switch", "--quiet", "-c", "side")
    side = source.commit({"model.py": "side\n"})
    source.git.run("switch", "--quiet", "-c", "other", base)
    other = source.commit({"model.py": "other\n"})
    step.run(f"diabetes=:a@{A}", sha=side)
    assert step.run(f"diabetes=:b@{B}", sha=other)["operation"] == "pushed"


def test_a_shallow_checkout_is_completed(
    deploy: Work, source: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = source.pull()
    process.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{source.remote}", tmp_path / "shallow"]
    )
    source.commit({"model.py": "2\n"})
    new = source.commit({"model.py": "3\n"})
    step.run(f"diabetes=:new@{A}", sha=new)
    monkeypatch.chdir(tmp_path / "shallow")
    assert step.run(f"diabetes=:old@{B}", sha=old)["operation"] == "superseded"


def test_where_nobody_can_tell_the_image_is_set_with_a_warning(
    deploy: Work, source: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    old = source.pull()
    step.run(f"diabetes=:new@{A}", sha=source.commit({"model.py": "2\n"}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert step.run(f"diabetes=:old@{B}", sha=old)["operation"] == "pushed"
    assert "fetch-depth: 0" in capfd.readouterr().err


def test_history_is_not_downloaded_to_find_the_incumbent(
    deploy: Work, source: Work, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_gitops.adapters.deploy_repository import DeployRepository

    for number in range(30):
        deploy.commit({"other": str(number)})
    step.run(f"diabetes=:a@{A}", sha=source.pull())
    depths = []
    fetch = DeployRepository.fetch

    def watched(self: DeployRepository, branch: str, *, depth: int = 1) -> str:
        depths.append(depth)
        return fetch(self, branch, depth=depth)

    monkeypatch.setattr(DeployRepository, "fetch", watched)
    step.run(f"diabetes=:b@{B}", sha=source.commit({"model.py": "2\n"}))
    assert depths == [2]


# --- who is asked which commit is later --------------------------------------------------------------


def test_the_api_knows_which_commit_is_later(
    deploy: Work,
    source: Work,
    step: Step,
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forge.add_repository(SOURCE, source.remote)
    old = source.pull()
    new = source.commit({"model.py": "2\n"})
    inputs = {"repository": DEPLOY, "token": BOT}
    step.run(f"diabetes=:new@{A}", sha=new, **inputs)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert step.run(f"diabetes=:old@{B}", sha=old, **inputs)["operation"] == "superseded"
    later = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:later@{C}", sha=later, **inputs)["operation"] == "pushed"


def test_who_can_not_be_asked_now_is_asked_again_or_nothing_is_set(
    deploy: Work,
    source: Work,
    step: Step,
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The guard does not fail open: neither where the API is down, nor where the server is."""
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda self, response=None: None)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    forge.add_repository(SOURCE, source.remote)
    old = source.pull()
    process.run(["git", "clone", "--quiet", source.remote.as_uri(), tmp_path / "behind"])
    inputs = {"repository": DEPLOY, "token": BOT}
    step.run(f"diabetes=:new@{A}", sha=source.commit({"model.py": "2\n"}), **inputs)
    before = deploy.state()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    forge.fail_next("GET", "/compare/", 502, times=1000)
    assert step.run(f"diabetes=:old@{B}", sha=old, code=4, **inputs) == {}
    assert "compare two commits" in capfd.readouterr().err
    forge.faults.clear()
    # The answer that it does not know the commit, or that the token can't see it, is an answer.
    for status in (403, 404, 422):
        forge.fail_next(
            "GET", "/compare/", status, body={"message": "no", "documentation_url": "x"}
        )
        assert GitHub(SOURCE, BOT, api_url=forge.api_url).is_ancestor(old, "HEAD") is None
    # Without the API the checkout asks its server, which is not there.
    checkout = Git(tmp_path / "behind")
    checkout.run("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    monkeypatch.chdir(checkout.directory)
    assert step.run(f"diabetes=:old@{B}", sha=old, code=4) == {}
    assert "127.0.0.1 port 1" in capfd.readouterr().err
    assert deploy.state() == before
