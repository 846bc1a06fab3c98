"""What stands in a project's files at some commits, with real git."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_gitops.adapters import git, process, project_files
from model_gitops.adapters.gto_registry import Tags

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


def has(repository: git.Git, text: str, commits: list[str]) -> bool:
    """Look as the registry does."""
    return project_files.has(repository, text, commits, repository.trees_of(commits))


@contextmanager
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let git work, and return what its server was asked, a line each."""
    log, settings = tmp_path / "log", tmp_path / "gitconfig"
    settings.write_text(f"[trace2]\n\teventTarget = {log}\n[safe]\n\tdirectory = *\n", "utf-8")
    log.mkdir()
    made: list[str] = []
    with monkeypatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        yield made
    started = [json.loads(line) for file in log.iterdir() for line in file.open()]
    shutil.rmtree(log)
    words = [one["argv"] for one in started if one["event"] == "start" and len(one["argv"]) > 1]
    made += [" ".join(one) for one in words if "upload-pack" in one[0] + one[1]]


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
    assert has(repository, WANTED, [other, wanted, other]) is found
    assert not has(repository, WANTED, [other])
    assert list(project_files.commits_with(repository, WANTED, [other, wanted])) == (
        [wanted] if found else []
    )


def test_a_commit_that_is_not_here_is_left_out(repository: git.Git) -> None:
    here = commit(repository, {"dvc.lock": WANTED})
    assert not has(repository, WANTED, [])
    assert not has(repository, WANTED, ["0" * (len(here) - 1) + "1"])
    assert has(repository, WANTED, ["0" * (len(here) - 1) + "1", here])


def test_a_message_can_not_name_another_tree(repository: git.Git) -> None:
    tree = repository.run(
        "rev-parse", f"{commit(repository, {'dvc.lock': WANTED})}^{{tree}}"
    ).strip()
    empty = commit(repository, {})
    raw = repository.run("cat-file", "commit", empty)
    told = repository.run(
        "hash-object", "-t", "commit", "-w", "--stdin", input=f"{raw}\ntree {tree}\n"
    )
    assert not has(repository, WANTED, [told.strip()])


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

    def asked(name: str, some: list[str]) -> int:
        url = repository.directory.as_uri()
        process.run(["git", "clone", "--quiet", f"--filter={left_out}", url, tmp_path / name])
        clone = git.Git(tmp_path / name)
        with requests(tmp_path, monkeypatch) as made:
            assert not has(clone, WANTED, some)
            assert has(clone, f"{59:032x}", some)
        return len(made)

    few = asked("few", commits[-30:])
    assert asked("many", commits) == few
    assert 1 <= few <= 3


@pytest.mark.parametrize("kind", ["shallow", "partial", "whole"])
def test_versions_that_are_not_here_come_in_as_few_requests_however_many_they_are(
    repository: git.Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    repository.run("config", "uploadpack.allowFilter", "true")
    for one in range(60):
        made = commit(repository, {"dvc.lock": f"md5: {one:032x}\n"})
        text = f"m@v0.0.{one}\n\nModel-Hash: {one:032x}"
        who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
        repository.run(*who, "tag", "--annotate", f"--message={text}", f"m@v0.0.{one}", made)
    url = repository.directory.as_uri()
    few = {
        "shallow": ["--depth=1", "--no-tags"],
        "partial": ["--depth=1", "--no-tags", "--filter=tree:0"],
        "whole": [],
    }[kind]
    process.run(["git", "clone", "--quiet", *few, url, tmp_path / "clone"])
    clone = git.Git(tmp_path / "clone")
    with requests(tmp_path, monkeypatch) as asked:
        tags = Tags.published(clone, "origin")
        assert not list(tags.with_model("m", WANTED))
        assert [one.version for one in tags.with_model("m", f"{7:032x}")] == ["v0.0.7"]
        assert list(tags.messages(f"{7:032x}")) == ["m@v0.0.7"]
        assert tags.messages(WANTED) == {}
    assert len(asked) <= {"shallow": 2, "partial": 5, "whole": 1}[kind]
