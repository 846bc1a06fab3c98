"""What a machine's own git settings, an old git, and a checkout of another account do to the actions."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from model_gitops.adapters import (
    deploy_repository,
    git,
    git_settings,
    gto_writer,
    process,
    project_files,
)
from model_gitops.adapters.git_credentials import ANONYMOUS
from model_gitops.adapters.gto_registry import Tags
from model_gitops.errors import ExternalError, InputError

WHO = {
    f"GIT_{role}_{part}": "tester@example.org"
    for role in ("AUTHOR", "COMMITTER")
    for part in ("NAME", "EMAIL")
}
# Each changes what some git command prints, sends, removes or runs.
ODD = {
    "color.ui": "always",
    "color.branch": "always",
    "color.diff": "always",
    "color.grep": "always",
    "color.decorate": "always",
    "color.push": "always",
    "color.remote": "always",
    "color.status": "always",
    "column.ui": "always",
    "core.pager": "false",
    "core.quotePath": "false",
    "core.fsmonitor": "HOOK",
    "core.hooksPath": "HOOKS",
    "core.abbrev": "7",
    "core.logAllRefUpdates": "always",
    "log.showSignature": "true",
    "log.date": "relative",
    "log.decorate": "full",
    "log.follow": "true",
    "log.abbrevCommit": "true",
    "log.mailmap": "true",
    "format.pretty": "oneline",
    "diff.external": "HOOK",
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.renames": "copies",
    "i18n.commitEncoding": "ISO-8859-1",
    "i18n.logOutputEncoding": "ISO-8859-1",
    "grep.lineNumber": "true",
    "grep.column": "true",
    "grep.fullName": "true",
    "grep.patternType": "perl",
    "status.short": "true",
    "status.branch": "true",
    "status.showUntrackedFiles": "no",
    "tag.sort": "-version:refname",
    "tag.gpgSign": "true",
    "tag.forceSignAnnotated": "true",
    "branch.sort": "-committerdate",
    "commit.gpgSign": "true",
    "commit.template": "/nowhere/template",
    "commit.cleanup": "verbatim",
    "gpg.program": "false",
    "push.default": "nothing",
    "push.gpgSign": "true",
    "push.followTags": "true",
    "push.recurseSubmodules": "check",
    "push.pushOption": "odd",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "remote.origin.prune": "true",
    "remote.origin.tagOpt": "--tags",
    "fetch.recurseSubmodules": "yes",
    "submodule.recurse": "true",
    "merge.ff": "only",
    "merge.conflictStyle": "diff3",
    "pull.rebase": "true",
    "rebase.autoStash": "true",
    "init.defaultBranch": "trunk",
    "init.templateDir": "HOOKS",
    "advice.detachedHead": "true",
    "gc.auto": "1",
    "user.useConfigOnly": "true",
    "safe.bareRepository": "explicit",
    "init.defaultObjectFormat": "sha256",
}


def configured(folder: Path) -> Path:
    """Write all of `ODD` into a file, with hooks and programs that fail."""
    hooks = folder / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout", "reference-transaction", "pre-commit", "fsmonitor"):
        (hooks / name).write_text("#!/bin/sh\necho a hook ran >&2\nexit 1\n", "utf-8")
        (hooks / name).chmod(0o755)
    file = folder / "gitconfig"
    ours = {"HOOK": str(hooks / "fsmonitor"), "HOOKS": str(hooks)}
    for key, value in ODD.items():
        process.run(["git", "config", "--file", file, key, ours.get(value, value)])
    return file


def made(folder: Path) -> git.Git:
    """A repository with a bare remote, odd names and letters, and a tag that is not pushed."""
    process.run(["git", "init", "--quiet", "--bare", "-b", "main", folder / "server.git"])
    # The server is another machine's: it has no part in what is configured here.
    git.Git(folder / "server.git").run("config", "core.hooksPath", "hooks")
    process.run(["git", "clone", "--quiet", (folder / "server.git").as_uri(), folder / "work"])
    work = git.Git(folder / "work")
    (folder / "work/ärger").mkdir()
    (folder / "work/ärger/dvc.lock").write_text(f"outs: {'a' * 32}\n", "utf-8")
    (folder / "work/kustomization.yaml").write_text("images: []\n", "utf-8")
    work.run("add", "--all")
    work.run("commit", "--quiet", "-m", "größer", env=WHO)
    for name in ("m@v0.0.1", "local"):
        tag = gto_writer.make_tag(
            work, name, str(work.commit_of("HEAD")), f"{name}\n\nmd5: ä", 1_000_000
        )
        gto_writer.set_tags(work, {name: tag}, replace=False)
    work.run("push", "--quiet", "origin", "HEAD:main", "m@v0.0.1")
    return work


@pytest.mark.parametrize("where", ["the account's", "the repository's"])
def test_git_answers_the_same_whatever_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """F5: `color.ui=always` and its kind."""
    (tmp_path / "config").mkdir()
    work, file = made(tmp_path), configured(tmp_path / "config")
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    if where == "the account's":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    else:
        with (work.directory / ".git/config").open("a") as own:
            own.write(file.read_text("utf-8"))
    for name in ("LANG", "LC_ALL", "LANGUAGE"):
        monkeypatch.setenv(name, "de_DE.UTF-8" if name != "LANGUAGE" else "de")
    monkeypatch.setenv("GIT_PAGER", "false")

    head = work.run("rev-parse", "HEAD").strip()
    assert work.find_commit("HEAD") == work.find_commit("main") == head
    own = Tags.own(work)
    assert [(one.name, one.commit) for one in own.registry.events("m")] == [("m@v0.0.1", head)]
    assert own.listing.has("local")
    assert own.messages("md5") == {"m@v0.0.1": "md5: ä\n"}
    assert list(project_files.commits_with(work, "a" * 32, [head])) == [head]
    assert list(project_files.at(work, head)) == ["ärger/dvc.lock"]
    assert list(project_files.at(work, None)) == ["ärger/dvc.lock"]
    assert work.contents_at(head, "ärger") == {"dvc.lock": f"outs: {'a' * 32}\n".encode()}
    assert work.made(head) > 0
    # A tag that only this clone has stays, and nothing else is pushed, pruned or asked for.
    assert Tags.known(work).messages("md5") == own.messages("md5")
    assert set(work.run("tag").split()) == {"local", "m@v0.0.1"}
    assert set(work.remote_refs("origin")) == {"refs/heads/main", "refs/tags/m@v0.0.1"}
    url = (tmp_path / "server.git").as_uri()
    with deploy_repository.opened(url, ANONYMOUS) as deploy:
        assert deploy.refs().default == "main"
        tip = deploy.fetch("main")
        kept = deploy.read_kustomization(tip, ".")
        commit = deploy.commit(
            tip, kept.__class__(kept.path, kept.mode, "images: [] # ä\n"), message="größer\n"
        )
        deploy.push(commit, "main")
    server = {"GIT_DIR": str(tmp_path / "server.git")}
    raw = work.run("cat-file", "commit", "main", env=server)
    assert raw.endswith("\n\ngrößer\n")
    assert "encoding" not in raw
    assert "gpgsig" not in raw
    # German is here, and stays out: messages are read by programs.
    with pytest.raises(process.ProcessError, match=r"ambiguous argument|unknown revision"):
        work.run("log", "nowhere")


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
@pytest.mark.parametrize("accounts", ["sha1", "sha256"])
def test_a_deploy_repository_has_its_own_kind_of_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, accounts: str
) -> None:
    (tmp_path / "gitconfig").write_text(f"[init]\n defaultObjectFormat = {accounts}\n", "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    for name in ("server.git", "work"):
        words = ["init", "--quiet", f"--object-format={kind}", "-b", "main", tmp_path / name]
        process.run(["git", *words, *(["--bare"] if name == "server.git" else [])])
    work = git.Git(tmp_path / "work")
    (work.directory / "kustomization.yaml").write_text("images: []\n", "utf-8")
    work.run("add", "--all")
    work.run("commit", "--quiet", "-m", "first")
    url = (tmp_path / "server.git").as_uri()
    work.run("push", "--quiet", url, "HEAD:refs/heads/main")
    with deploy_repository.opened(url, ANONYMOUS) as deploy:
        assert deploy.refs().default == "main"
        tip = deploy.fetch("main")
        kept = deploy.read_kustomization(tip, ".")
        changed = kept.__class__(kept.path, kept.mode, "images: [] # changed\n")
        commit = deploy.commit(tip, changed, message="second\n")
        deploy.push(commit, "main")
    assert len(commit) == {"sha1": 40, "sha256": 64}[kind]
    tips = work.run("ls-remote", url, "refs/heads/main")
    assert tips == f"{commit}\trefs/heads/main\n"


def test_what_the_job_tells_git_by_variables_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F9: a mirror, a proxy or a trusted folder, as workflows set them; ours still win."""
    work = made(tmp_path)
    work.run("remote", "set-url", "origin", "https://git.example/acme/m.git")
    settings = [
        (f"url.{(tmp_path / 'server.git').as_uri()}.insteadOf", "https://git.example/acme/m.git"),
        ("color.ui", "always"),
        ("x.y", "it's a 'value'! = \\ ä"),
    ]
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for at, (key, value) in enumerate(settings):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{at}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{at}", value)
    assert "refs/heads/main" in work.remote_refs("origin")
    assert work.run("config", "x.y").strip() == settings[2][1]
    assert work.run("config", "color.ui").strip() == "false"
    # Nothing but git gets them: a token may be among them.
    assert "GIT_CONFIG_VALUE_0" not in process.environment()


@pytest.mark.parametrize("count", ["2", "x", "-1", "1e3"])
def test_variables_of_git_that_do_not_fit_together_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", count)
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "x.y")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "z")
    with pytest.raises(ExternalError, match="git's own variables do not fit together"):
        git.open_repository(tmp_path)


OLD = r"""#!/bin/sh
# A git of another version: it knows none of the options and variables that came later.
[ "$1" != --version ] || { echo "git version VERSION"; exit 0; }
for word in "$@"; do
  case "$word" in
    --end-of-options | --initial-branch* | --config-env* | --no-write-fetch-head | --path-format*)
      echo "error: unknown option $word" >&2; exit 129 ;;
    --filter=*)
      [ "$(REAL config extensions.partialClone)" = origin ] || {
        echo "fatal: --filter can only be used when extensions.partialClone is set" >&2; exit 128; } ;;
  esac
done
unset GIT_CONFIG_COUNT GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM
exec REAL "$@"
"""


@pytest.fixture
def old_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a git before 2.28 on PATH."""
    real = shutil.which("git")
    assert real is not None
    program = tmp_path / "old" / "git"
    program.parent.mkdir()
    program.write_text(OLD.replace("REAL", real).replace("VERSION", "2.25.1"), "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    git_settings.version.cache_clear()
    yield program
    git_settings.version.cache_clear()


def test_a_git_before_2_28_serves(
    tmp_path: Path, old_git: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: `extensions.partialClone`, `--end-of-options`, and settings by counted variables."""
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    work = made(tmp_path)
    assert git_settings.version() == (2, 25)
    assert work.find_commit("main")
    assert Tags.known(work).listing.has("m@v0.0.1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "x.y")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "it's a 'value'! = \\ ä")
    assert work.run("config", "x.y").strip() == "it's a 'value'! = \\ ä"
    assert work.run("config", "color.ui").strip() == "false"
    with deploy_repository.opened((tmp_path / "server.git").as_uri(), ANONYMOUS) as deploy:
        tip = deploy.fetch("main")
        kept = deploy.read_kustomization(tip, ".")
        deploy.push(deploy.commit(tip, kept, message="again\n"), "main")


@pytest.mark.parametrize("said", ["2.24.4", "1.8.3.1", "2.9.5", "odd"])
def test_a_git_that_is_too_old_is_named(tmp_path: Path, old_git: Path, said: str) -> None:
    old_git.write_text(f"#!/bin/sh\necho git version {said}\n", "utf-8")
    with pytest.raises(
        ExternalError, match=r"too old: it says 'git version .*2\.25 is the lowest"
    ) as told:
        git.open_repository(tmp_path)
    assert told.value.fix == "install git 2.25 or newer on the runner, or in the job's container"


@pytest.mark.parametrize("said", ["2.25.1", "2.39.5 (Apple Git-154)", "2.53.0.windows.1", "3.0.0"])
def test_a_git_that_is_new_enough_is_not(old_git: Path, said: str) -> None:
    old_git.write_text(f"#!/bin/sh\necho 'git version {said}'\n", "utf-8")
    assert git_settings.version() >= git_settings.LOWEST


@pytest.mark.parametrize("text", ["", "odd\n", "ref: \n", None])
def test_a_damaged_head_is_named(tmp_path: Path, text: str | None) -> None:
    """F19: it is no bug of ours, and no input's fault."""
    process.run(["git", "init", "--quiet", tmp_path / "work"])
    head = tmp_path / "work/.git/HEAD"
    head.unlink() if text is None else head.write_text(text)
    (tmp_path / "work/sub").mkdir()
    with pytest.raises(InputError, match=r"damaged: git can't read .*work/\.git") as told:
        git.open_repository(tmp_path / "work/sub")
    assert "input `" not in told.value.message


def test_a_bare_repository_is_named(tmp_path: Path) -> None:
    process.run(["git", "init", "--quiet", "--bare", tmp_path])
    with pytest.raises(InputError, match=r"the folder '.*' is in a bare repository") as caught:
        git.open_repository(tmp_path)
    assert caught.value.fix == "git clone it, and start this in the clone"


def test_a_folder_that_is_in_no_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder '.*' is in no Git checkout"):
        git.open_repository(tmp_path)
