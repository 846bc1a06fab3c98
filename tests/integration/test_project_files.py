"""What stands in a project's files at some commits, with real git."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_gitops.adapters import git, process, project_files

WANTED = "0123456789abcdef0123456789abcdef"


@pytest.fixture(params=["sha1", "sha256"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> git.Git:
    process.run(
        ["git", "init", "--quiet", "-b", "main", f"--object-format={request.param}", tmp_path]
    )
    return git.Git(tmp_path)


def commit(repository: git.Git, files: dict[str, str]) -> str:
    """Commit these files and no others."""
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    repository.run("rm", "-r", "--quiet", "--cached", "--ignore-unmatch", ".")
    for path, text in files.items():
        file = repository.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        repository.run("add", "--force", "--", path)
    repository.run(*who, "commit", "--quiet", "--allow-empty", "-m", "one")
    return repository.run("rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("dvc.lock", True),
        ("model.pkl.dvc", True),
        (".dvc", True),
        ("models/deep/er/model.dvc", True),
        ("models/dvc.lock", True),
        # A name that looks like a tree's own entry.
        ("a40000 b/100644 x/model.dvc", True),
        ("40000 100644 dvc.lock.dvc", True),
        ("model\nmodel.dvc", True),
        ("my dvc.lock", False),
        ("100644 dvc.lock", False),
        ("dvc.lock.old", False),
        ("model.pkl.dvc/readme", False),
        ("notes.txt", False),
    ],
)
def test_it_is_looked_for_in_the_files_of_dvc(
    repository: git.Git, path: str, *, found: bool
) -> None:
    other = commit(repository, {"model.dvc": "another", "notes.txt": WANTED, "src/a/b.py": ""})
    wanted = commit(repository, {"readme": "", "src/a/b.py": "", path: f"md5: {WANTED}\n"})
    assert project_files.has(repository, WANTED, [other, wanted, other]) is found
    assert not project_files.has(repository, WANTED, [other])
    assert list(project_files.commits_with(repository, WANTED, [other, wanted])) == (
        [wanted] if found else []
    )


def test_a_commit_that_is_not_here_is_left_out(repository: git.Git) -> None:
    here = commit(repository, {"dvc.lock": WANTED})
    assert not project_files.has(repository, WANTED, [])
    assert not project_files.has(repository, WANTED, ["0" * (len(here) - 1) + "1"])
    assert project_files.has(repository, WANTED, ["0" * (len(here) - 1) + "1", here])


def test_a_message_can_not_name_another_tree(repository: git.Git) -> None:
    tree = repository.run(
        "rev-parse", f"{commit(repository, {'dvc.lock': WANTED})}^{{tree}}"
    ).strip()
    empty = commit(repository, {})
    raw = repository.run("cat-file", "commit", empty)
    told = repository.run(
        "hash-object", "-t", "commit", "-w", "--stdin", input=f"{raw}\ntree {tree}\n"
    )
    assert not project_files.has(repository, WANTED, [told.strip()])


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_asks_as_often_however_many_versions_there_are(
    repository: git.Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """Git alone asks its server for each file: thousands of times."""
    repository.run("config", "uploadpack.allowFilter", "true")
    commits = [
        commit(repository, {"a/dvc.lock": f"md5: {one:032x}\n", "src/x.py": f"{one}"})
        for one in range(60)
    ]
    log, settings = tmp_path / "log", tmp_path / "gitconfig"
    settings.write_text(f"[trace2]\n\teventTarget = {log}\n[safe]\n\tdirectory = *\n", "utf-8")

    def asked(name: str, some: list[str]) -> int:
        url = repository.directory.as_uri()
        process.run(["git", "clone", "--quiet", f"--filter={left_out}", url, tmp_path / name])
        clone = git.Git(tmp_path / name)
        log.mkdir()
        with monkeypatch.context() as patch:
            patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
            assert not project_files.has(clone, WANTED, some)
            assert project_files.has(clone, f"{59:032x}", some)
        started = [json.loads(line) for file in log.iterdir() for line in file.open()]
        process.run(["rm", "-r", log])
        return sum(
            "upload-pack" in one["argv"][0] + one["argv"][1]
            for one in started
            if one["event"] == "start" and len(one["argv"]) > 1
        )

    few = asked("few", commits[-30:])
    assert asked("many", commits) == few
    assert 1 <= few <= 3
