"""Git over HTTP, as git itself speaks it."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from forge_clients import BOT, NAME, OTHER, READER, SECRETS, Work, ask, git, open_pull, repo

from model_gitops_local.forge import Forge
from model_gitops_local.forge.bare import Bare


def test_clone_and_push(forge: Forge, bare: Path, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"
    assert git(forge, BOT, "clone", "--quiet", url, "clone", cwd=tmp_path).returncode == 0
    clone = tmp_path / "clone"
    big = os.urandom(3_000_000)  # past http.postBuffer: sent in chunks
    (clone / "model.bin").write_bytes(big)
    git(forge, BOT, "add", "model.bin", cwd=clone)
    git(forge, BOT, "commit", "--quiet", "-m", "model", cwd=clone)
    open_pull(forge)
    pushed = git(forge, BOT, "push", "origin", "HEAD:lr", "--force", cwd=clone)
    assert pushed.returncode == 0, pushed.stderr
    assert Bare(bare).blob("lr:model.bin") == big
    assert Bare(bare).object("refs/pull/1/head") == Bare(bare).branch("lr")
    refused = git(forge, BOT, "push", "origin", "HEAD:refs/pull/1/head", cwd=clone)
    assert refused.returncode != 0
    shallow = git(
        forge,
        READER,
        "clone",
        "--quiet",
        "--depth=1",
        "--filter=blob:none",
        "--sparse",
        f"{forge.url}/{NAME}",
        "shallow",
        cwd=tmp_path,
    )
    assert shallow.returncode == 0, shallow.stderr
    assert (tmp_path / "shallow" / "README.md").exists()


def test_git_needs_rights(forge: Forge, work: Work, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"

    def status(secret: str, *args: str) -> str:
        done = git(forge, secret, *args, cwd=work.folder)
        assert done.returncode != 0
        return done.stderr

    before = work.git.run("ls-remote", str(work.bare))
    assert "could not read Username" in status("", "ls-remote", url)
    assert "could not read Username" in status("wrong", "ls-remote", url)
    assert "not found" in status(OTHER, "ls-remote", url)
    assert "403" in status(READER, "push", url, "HEAD:refs/heads/new")
    forge.state.repositories[NAME].private = False
    assert git(forge, "", "ls-remote", url, cwd=tmp_path).returncode == 0
    assert "could not read Username" in status("", "push", url, "HEAD:refs/heads/new")
    assert work.git.run("ls-remote", str(work.bare)) == before
    assert SECRETS.isdisjoint(re.findall(r"[\w-]+", forge.log_file.read_text()))


def test_concurrent_pushes_one_wins(forge: Forge, tmp_path: Path) -> None:
    url = f"{forge.url}/{NAME}.git"

    def push(number: int) -> bool:
        folder = tmp_path / f"clone{number}"
        git(forge, BOT, "clone", "--quiet", url, str(folder), cwd=tmp_path)
        git(forge, BOT, "commit", "--allow-empty", "-m", f"{number}", cwd=folder)
        return git(forge, BOT, "push", "origin", "HEAD:main", cwd=folder).returncode == 0

    folder = tmp_path / "first"
    git(forge, BOT, "clone", "--quiet", url, str(folder), cwd=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(push, range(4)))
    assert any(results)
    commits = Bare(Path(forge.state.repositories[NAME].path)).commits("main")
    assert len(commits) == 1 + sum(results)


def test_git_push_whose_answer_is_lost(forge: Forge, bare: Path, work: Work) -> None:
    forge.drop_next("POST", "/git-receive-pack", when="after")
    url = f"{forge.url}/{NAME}.git"
    assert git(forge, BOT, "push", url, "HEAD:refs/heads/late", cwd=work.folder).returncode != 0
    assert Bare(bare).branch("late") == Bare(bare).branch("main")


def test_hostile_names(forge: Forge, work: Work, bare: Path) -> None:
    branch = 'a"b$(touch${IFS}pwned)`id`;é&#'
    work.commit(branch, {'a "b" $(x).txt': "1\n"}, 'x"; touch pwned')
    pull = open_pull(forge, branch)
    assert pull.head.ref == branch
    assert [item.filename for item in pull.get_files()] == ['a "b" $(x).txt']
    assert repo(forge).get_branch(branch).commit.sha == pull.head.sha
    assert pull.merge().merged
    assert ask(forge, "GET", f"/repos/{NAME}/commits/--output=pwned")[0] == 422
    assert ask(forge, "GET", f"/repos/{NAME}/contents/README.md?ref=--output=pwned")[0] == 404
    assert not list(work.bare.rglob("pwned*"))
