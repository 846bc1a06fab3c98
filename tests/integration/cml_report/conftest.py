"""A clone with a candidate and an open pull request, and a program in the place of CML."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_flow import BOT, EVE, NAME, READER, Flow, project

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    bare, temporary = tmp_path / "model.git", tmp_path / "runner"
    temporary.mkdir()
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, tmp_path / "work"])
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(BOT, "github-actions[bot]")
        forge.add_token(
            READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"}
        )
        forge.add_token(EVE, "eve")
        made = Flow(forge, Git(tmp_path / "work"), bare, temporary, 0, monkeypatch.setenv)
        made.commit("main", project(0.05))
        made.commit("better", project(0.1))
        api = GitHub(NAME, BOT, api_url=forge.api_url)
        pull = api.open_pull_request(head="better", base="main", title="Better", body="")
        made.number = pull.number
        monkeypatch.chdir(tmp_path / "work")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("RUNNER_TEMP", str(temporary))
        monkeypatch.setenv("GITHUB_REPOSITORY", NAME)
        monkeypatch.setenv("GITHUB_SERVER_URL", forge.url)
        monkeypatch.setenv("GITHUB_API_URL", forge.api_url)
        monkeypatch.setenv("GITHUB_RUN_ID", "41")
        made.on_pull_request()
        yield made


@pytest.fixture
def fake_cml(flow: Flow, tmp_path: Path) -> Path:
    """Put a `cml` on PATH that writes down how it was called, and comments as CML does."""
    log, program = tmp_path / "cml.jsonl", tmp_path / "bin" / "cml"
    program.parent.mkdir()
    program.write_text(
        f"""#!{sys.executable}
import json, os, sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from model_gitops.adapters.github import GitHub
line = {{"argv": sys.argv[1:], "env": {{k: v for k, v in os.environ.items() if "TOKEN" in k}}}}
with open({str(log)!r}, "a") as file:
    file.write(json.dumps(line) + "\\n")
api = GitHub({NAME!r}, os.environ["REPO_TOKEN"], api_url={flow.forge.api_url!r})
flags = dict(word.split("=", 1) for word in sys.argv[3:-1])
number = int(flags["--target"].split("/")[1])
title = ("CML watermark " + flags["--watermark-title"]).strip()
text = open(sys.argv[-1]).read() + '\\n\\n![](https://cml.dev/watermark.png#abc123 "' + title + '")'
found = [one for one in api.list_comments(number) if title in one.body]
update = sys.argv[2] == "update" and found
print((api.update_comment(found[-1], text) if update else api.create_comment(number, text)).url)
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    flow.set("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log
