"""What tests and the demo ask of the forge: faults, events, restarts, pages, a process of its own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import github
import pytest
from forge_clients import BOT, NAME, Work, ask, open_pull, repo

from model_gitops_local.forge import Forge
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.openapi import OpenApi, strict_forge

SCRIPTS = Path(__file__).parents[3] / "scripts"


def test_faults(forge: Forge) -> None:
    open_pull(forge)
    path = f"/repos/{NAME}/issues/1/comments"
    forge.fail_next("POST", r"/issues/\d+/comments", 503, headers={"Retry-After": "1"}, times=2)
    for _ in range(2):
        status, _, headers = ask(forge, "POST", path, {"body": "x"})
        assert (status, headers["Retry-After"]) == (503, "1")
    assert ask(forge, "GET", path)[1] == []
    forge.drop_next("POST", "/comments", when="after")
    with pytest.raises((http.client.HTTPException, urllib.error.URLError, ConnectionError)):
        ask(forge, "POST", path, {"body": "kept"})
    assert [item["body"] for item in ask(forge, "GET", path)[1]] == ["kept"]
    forge.drop_next("POST", "/comments")
    with pytest.raises((http.client.HTTPException, urllib.error.URLError, ConnectionError)):
        ask(forge, "POST", path, {"body": "lost"})
    assert len(ask(forge, "GET", path)[1]) == 1
    forge.delay_next("GET", "/comments", 0.2)
    start = time.monotonic()
    ask(forge, "GET", path)
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("action", ["opened", "synchronize", "closed"])
def test_pull_request_events(forge: Forge, action: str) -> None:
    pull = open_pull(forge)
    if action == "closed":
        pull.merge()
    event = forge.event("pull_request", NAME, 1, action=action)
    assert OpenApi().errors(event, f"/components/schemas/webhook-pull-request-{action}") == []
    assert event["pull_request"]["head"]["sha"] == pull.head.sha
    assert event["pull_request"]["head"]["repo"]["full_name"] == NAME
    assert event["pull_request"]["merged"] is (action == "closed")


def test_push_events(forge: Forge, bare: Path, work: Work) -> None:
    old, new = Bare(bare).branch("main"), Bare(bare).branch("lr")
    event = forge.event("push", NAME, branch="lr", sender="ada")
    assert OpenApi().errors(event, "/components/schemas/webhook-push") == []
    assert (event["ref"], event["before"], event["after"]) == ("refs/heads/lr", old, new)
    assert event["head_commit"]["modified"] == ["src/train.py"]
    first = forge.event("push", NAME, branch="main")
    assert first["created"]
    url = f"{forge.url}/_forge/event?kind=push&repository={NAME}&branch=lr&sender=ada"
    with urllib.request.urlopen(url) as answer:
        assert json.load(answer) == event


def test_restart_keeps_everything_but_tokens(tmp_path: Path, bare: Path, work: Work) -> None:
    root = tmp_path / "kept"
    with strict_forge(root) as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(BOT, "github-actions[bot]")
        issue = open_pull(forge).as_issue()
        comment = issue.create_comment("<!-- marker --> report")
        issue.add_to_labels("x")
        repo(forge).get_commit("lr").create_comment("on a commit")
    assert BOT not in (root / "forge.json").read_text()
    with strict_forge(root) as forge:
        forge.add_token(BOT, "github-actions[bot]")
        found = repo(forge).get_pull(1)
        assert [item.id for item in found.get_issue_comments()] == [comment.id]
        assert [item.name for item in found.labels] == ["x"]
        assert [item.body for item in repo(forge).get_commit("lr").get_comments()] == [
            "on a commit"
        ]
        assert repo(forge).create_issue("next").number == 2


def test_as_a_process_of_its_own(tmp_path: Path, bare: Path, work: Work) -> None:
    args = [sys.executable, "-m", "model_gitops_local.forge", f"--root={tmp_path / 'own'}"]
    args += [f"--repository={NAME}={bare}", "--token=github-actions[bot]=FORGE_TOKEN"]
    env = {**os.environ, "FORGE_TOKEN": BOT, "PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(args, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        try:
            made = github.Github(base_url=f"{url}/api/v3", auth=github.Auth.Token(BOT))
            pull = made.get_repo(NAME).create_pull(base="main", head="lr", title="t")
            assert pull.merge().merged
        finally:
            child.terminate()
        assert child.wait(10) == 0


def test_files_and_pages(forge: Forge, work: Work) -> None:
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    (work.folder / "plot.png").write_bytes(picture)
    work.commit("reports/a", {"page.html": "<script>alert(1)</script>"})
    pull = open_pull(forge)
    pull.create_issue_comment("| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>alert(1)</script>")

    def get(path: str) -> tuple[str, bytes]:
        with urllib.request.urlopen(f"{forge.url}{path}") as answer:
            return answer.headers["Content-Type"], answer.read()

    assert get(f"/{NAME}/raw/reports/a/plot.png") == ("image/png", picture)
    assert get(f"/{NAME}/blob/reports/a/plot.png?raw=true") == ("image/png", picture)
    assert get(f"/{NAME}/raw/reports/a/page.html")[0].startswith("text/plain")
    kind, page = get(f"/{NAME}/pull/1")
    assert kind.startswith("text/html")
    assert b"Better" in page
    assert b"<td>1</td>" in page
    assert b"Better" in get(f"/{NAME}")[1]
    assert b"diabetes" in get("/")[1]
    assert b"better learning rate" in get(f"/{NAME}/commit/{pull.head.sha}")[1]
    for missing in (f"/{NAME}/raw/main/nope", "/x/y", f"/{NAME}/pull/77", f"/{NAME}/commit/--help"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(missing)
        assert error.value.code == 404
