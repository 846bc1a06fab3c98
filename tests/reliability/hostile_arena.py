"""Runs an action among repositories that it must not touch, and holds it to what always applies."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hostile_project import (
    DEPLOYED,
    DEPLOYMENT,
    DIGEST,
    EVENT,
    FILES,
    GOOD,
    KUSTOMIZATION,
    MAY_CHANGE,
    ONE,
    PROMOTION,
)
from markdown_it import MarkdownIt

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.adapters import paths, process
from model_gitops.adapters.git import Git

DOCKER = f"""\
#!/bin/sh
case "$1 $2 $3" in
"buildx inspect"*) printf 'Name: x\\nDriver: docker-container\\nPlatforms: linux/amd64\\n';;
"buildx imagetools create") echo --prefer-index;;
"buildx imagetools inspect") echo 'ERROR: not found: not found' >&2; exit 1;;
"buildx build"*) for word; do case $word in --metadata-file=*)
  printf '{{"containerimage.digest":"{DIGEST}"}}' > "${{word#*=}}";; esac; done;;
esac
"""
ORAS = """\
#!/bin/sh
case "$1" in
version) echo 'Version: 1.3.6';;
manifest) echo 'Error: not found' >&2; exit 1;;
esac
"""

# These read what is committed, and no other file of the checkout.
FROM_COMMITS = ("gto-register-stage", "changed-models", "changed-components")


@dataclass
class Ended:
    """One run: its exit code and all that it printed."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    report: str = ""


@dataclass
class Arena:
    """Repositories of a model team, and everything around that a run must not touch."""

    top: Path
    started: list[list[str]] = field(default_factory=list)
    listening: bool = False
    runs: int = 0
    # Nobody listens on this port: what reaches out fails at once.
    server: str = "http://127.0.0.1:9"
    api: str = "http://127.0.0.1:9/api"
    # The deploy repository's first state, which each action finds.
    deployed: str = ""

    def begin(self) -> None:
        """Take back what other actions deployed, and count the runs anew."""
        Git(self.top / "deploy.git").run("update-ref", "refs/heads/main", self.deployed)
        self.runs = 0

    @property
    def work(self) -> Path:
        return self.top / "work"

    def refs(self) -> dict[tuple[str, str], str]:
        found = {}
        for name in ("work", "remote.git", "deploy.git"):
            folder = self.top / name
            listing = Git(folder).run("for-each-ref", "--format=%(objectname) %(refname)")
            for line in [
                *listing.splitlines(),
                f"{Git(folder).run('rev-parse', 'HEAD').strip()} HEAD",
            ]:
                value, ref = line.split(" ", 1)
                found[name, ref] = value
        return found

    def files(self) -> dict[str, Any]:
        """Every file but git's own, DVC's cache, and the runner's."""
        found: dict[str, Any] = {}
        for folder, folders, names in os.walk(self.top):
            inner = Path(folder).relative_to(self.top).as_posix()
            folders[:] = [
                one
                for one in folders
                if one
                not in (".git", "remote.git", "deploy.git", "runner", "runner-forge", "cache")
                and f"{inner}/{one}" != "work/.dvc/tmp"
                and inner != "home"
            ]
            for name in [*names, *folders]:
                path = Path(folder) / name
                state = path.lstat()
                size = state.st_size if path.is_file() else 0
                found[f"{inner}/{name}"] = (
                    state.st_mode,
                    size,
                    path.is_file() and state.st_mtime_ns,
                )
        return found

    def run(
        self,
        action: str,
        given: Mapping[str, str],
        *,
        may_change: Sequence[tuple[str, str]] | None = None,
    ) -> Ended:
        """Run the action in this process, and hold it to the rules that always apply."""
        runner = self.top / "runner"
        shutil.rmtree(runner, ignore_errors=True)
        runner.mkdir()
        before_refs, before_files = self.refs(), self.files()
        module = importlib.import_module(f"model_gitops.actions.{action.replace('-', '_')}")
        secrets = [
            one.name
            for one, _ in options.inputs_of(module.command).values()
            if one.kind == "secret"
        ]
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary"),
            "GITHUB_EVENT_PATH": str(self.top / "event.json"),
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REPOSITORY": "acme/m",
            "GITHUB_SERVER_URL": self.server,
            "GITHUB_API_URL": self.api,
            "GITHUB_SHA": "2" * 40,
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_WORKSPACE": str(self.work),
            "RUNNER_TEMP": str(runner),
        }
        for name, value in given.items():
            if not is_odd(value):
                variables[options.variable(name)] = value
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
        words = [action]
        # No environment can hold these; an argument of a test can.
        words += [f"--{name}={value}" for name, value in given.items() if is_odd(value)]
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                if name.startswith(("GITHUB_", "MODEL_GITOPS_")) or name == "INPUT_TOKEN":
                    patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.chdir(self.work)
            self.started.clear()
            self.listening = True
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main(words)
            finally:
                self.listening = False
        self.runs += 1
        log = "".join(one.buffer.getvalue().decode("utf-8", "replace") for one in (out, err))  # type: ignore[attr-defined]
        ended = self._ended(code, log, runner, module.OUTPUTS)
        if may_change is None:
            may_change = MAY_CHANGE.get(action, [])
        allowed = may_change if ended.code == 0 else []
        self._check_changes(action, ended, before_refs, before_files, allowed)
        self._check_programs()
        self._check_log(log, [given.get(name, "") for name in secrets])
        for text in (ended.summary, ended.report):
            # The body is the workflow's own Markdown, and is passed on as it is.
            check_markdown(text.replace(self.body(given), ""))
        return ended

    def body(self, given: Mapping[str, str]) -> str:
        name = given.get("body", "")
        # Of two bytes a letter, 200 letters are too long for a file's name.
        if not name or is_odd(name) or not paths.is_file(self.work / name):
            return "\0"
        text = (self.work / name).read_bytes().decode("utf-8", "replace").strip()
        return text or "\0"

    def _ended(self, code: int, log: str, runner: Path, names: tuple[str, ...]) -> Ended:
        assert code in (0, 2, 3, 4, 5), log[-3000:]
        assert "Traceback (most recent call last)" not in log
        outputs, summary = {}, ""
        if (runner / "output").exists():
            text = (runner / "output").read_text("utf-8")
            for found in re.finditer(
                r"^([\w-]+)<<(end-[0-9a-f]{32})\n(.*?)\n\2\n", text, re.M | re.S
            ):
                outputs[found[1]] = found[3]
            assert (
                re.sub(r"^([\w-]+)<<(end-[0-9a-f]{32})\n(.*?)\n\2\n", "", text, flags=re.M | re.S)
                == ""
            )
            # A refused hop has one output: why.
            refused = code == 3 and "refusal" in names
            assert tuple(outputs) == (("refusal",) if refused else names)
        if (runner / "summary").exists():
            summary = (runner / "summary").read_text("utf-8")
        report = outputs.get("report", "")
        left = [
            p.name
            for p in runner.iterdir()
            if p.name not in ("output", "summary", "model-gitops-reports")
        ]
        left += [path.name for path in Path(tempfile.gettempdir()).iterdir()]
        assert left == []
        return Ended(code, log, outputs, summary, Path(report).read_text("utf-8") if report else "")

    def _check_changes(
        self,
        action: str,
        ended: Ended,
        before_refs: Mapping[tuple[str, str], str],
        before_files: Mapping[str, Any],
        allowed: Sequence[tuple[str, str]],
    ) -> None:
        after = self.refs()
        changed = {
            ref
            for ref in before_refs.keys() | after.keys()
            if before_refs.get(ref) != after.get(ref)
        }
        for name, ref in changed:
            is_head = ref == "HEAD" and name == "deploy.git"
            assert any(
                name == where and (is_head or re.fullmatch(pattern, ref))
                for where, pattern in allowed
            ), f"{action} changed {ref} of {name}"
        files = self.files()
        odd = {
            name
            for name in before_files.keys() | files.keys()
            if before_files.get(name) != files.get(name) and not name.startswith("work/models")
        }
        assert odd == set()

    def _check_programs(self) -> None:
        for words in self.started:
            assert Path(words[0]).name in ("git", "docker", "oras"), words
            before = words[
                : next((n for n, w in enumerate(words) if w in ("--", "--end-of-options")), None)
            ]
            for word in before:
                assert not re.match(
                    r"--(upload-pack|exec|receive-pack|config|pwned)|--output=pwned|-o|-c ?core",
                    word,
                ), words

    @staticmethod
    def _check_log(log: str, secrets: list[str]) -> None:
        hidden = {line for value in secrets for line in (value, *value.splitlines())}
        for line in re.split(r"[\r\n]", log):
            text = line.lstrip()
            if not text.startswith("::"):
                assert "##[" not in line, line  # the runner reads it anywhere in a line
                continue
            found = re.match(
                r"::(group|endgroup|notice|warning|error|add-mask)( title=[^:]*)?::", text
            )
            assert found, line
            if found[1] == "add-mask":
                value = text.removeprefix("::add-mask::")
                for code, character in (("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
                    value = value.replace(code, character)
                assert any(value in (one, one.strip()) or value in one for one in hidden), line


def is_odd(value: str) -> bool:
    """Whether an environment can't hold `value`: a NUL, or half a surrogate pair."""
    return "\0" in value or re.search("[\ud800-\udc7f\udd00-\udfff]", value) is not None


def check_markdown(text: str) -> None:
    """No markup, picture, mention or reference of a stranger's outside of code."""
    # A block ends at the first line of its fence: what a stranger closes is outside, and checked.
    outside = re.sub(r"^```text\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    bare = re.sub(r"`[^`\n]*`", "", outside)
    for markup in ("<script", "<img", "](https://evil", "@octocat"):
        assert markup not in bare, text[:2000]


def check_rendered(text: str) -> None:
    """What a Markdown parser sees in it: no HTML, no picture, no link to elsewhere, no mention."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        assert token.type != "html_block", text
        for part in token.children or []:
            assert part.type not in ("html_inline", "image"), text
            assert "evil.example" not in str(part.attrs.get("href", "")), text
            if part.type == "text":
                assert not re.search(r"(^|[^\w`])@\w|#\d|https?://|www\.", part.content), text


@contextlib.contextmanager
def built(top: Path) -> Iterator[Arena]:
    """Make the repositories, and let nothing of this machine in; no command of a stranger ran."""
    made = Arena(top)
    for name in ("bin", "home", "tmp", "outside", "store/files/md5/f9"):
        (top / name).mkdir(parents=True)
    for name, text in (("docker", DOCKER), ("oras", ORAS)):
        (top / "bin" / name).write_text(text)
        (top / "bin" / name).chmod(0o755)
    (top / "outside" / "secret.txt").write_text("outside\n")
    (top / "store" / "files" / "md5" / ONE[:2] / ONE[2:]).write_text("one")
    (top / "event.json").write_text(json.dumps(EVENT))

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if made.listening and event == "subprocess.Popen":
            made.started.append([os.fsdecode(one) for one in arguments[1]])
        elif made.listening and event in ("os.system", "os.exec", "pty.spawn"):
            made.started.append([event])

    sys.addaudithook(listen)
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
        patch.setenv("HOME", str(top / "home"))
        patch.setenv("PATH", os.pathsep.join([str(top / "bin"), os.environ["PATH"]]))
        patch.setenv("DOCKER_HOST", f"unix://{top}/no.sock")
        patch.setenv("DVC_SITE_CACHE_DIR", str(top / "home" / "dvc"))
        patch.setenv("DVC_NO_ANALYTICS", "true")
        patch.setenv("TMPDIR", str(top / "tmp"))
        patch.setattr(tempfile, "tempdir", None)
        # Back-off is tested elsewhere: here nobody waits.
        patch.setattr(time, "sleep", lambda _seconds: None)
        for name in ("remote.git", "deploy.git"):
            process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", top / name])
        # What promotion.yaml names must be there for those who read it.
        PROMOTION["deploy"]["repository"] = str(top / "deploy.git")
        FILES["promotion.yaml"] = json.dumps(PROMOTION)
        overlays = {"dev": DEPLOYED, "production": KUSTOMIZATION.replace("v1", "none")}
        deploy = clone(
            top,
            "deploy",
            {f"overlays/{name}/kustomization.yaml": text for name, text in overlays.items()},
        )
        deploy.run("commit", "--quiet", "--amend", "-m", DEPLOYMENT)
        (top / "deploy/overlays/dev/kustomization.yaml").write_text(KUSTOMIZATION)
        deploy.run("commit", "--quiet", "--all", "-m", "by hand")
        deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
        made.deployed = deploy.run("rev-parse", "HEAD").strip()
        work = clone(top, "work", FILES, remote="remote")
        work.run("tag", "--annotate", "-m", "x", "m@v0.0.1")
        work.run("tag", "--annotate", "-m", "x", "m#dev#1")
        heads = [f"HEAD:refs/heads/{branch}" for branch in ("main", "production")]
        work.run("push", "--quiet", "origin", *heads, "--tags")
        (top / "work" / "out").symlink_to(top / "outside")
        (top / "work" / "loop").symlink_to("loop")
        (top / "work" / "models").mkdir()
        (top / "work" / "models" / "m.bin").write_text("one")
        GOOD["bump-kustomize-tag"]["repository"] = str(top / "deploy.git")
        yield made
    assert not list(top.rglob("pwned*")), "a command of a stranger ran"
    assert not (Path.cwd() / "pwned").exists()


def clone(top: Path, name: str, files: Mapping[str, str], *, remote: str = "") -> Git:
    process.run(["git", "clone", "--quiet", top / f"{remote or name}.git", top / name])
    git = Git(top / name)
    git.run("switch", "--quiet", "--orphan", "main")
    for path, text in files.items():
        file = top / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "first")
    return git


@contextlib.contextmanager
def written(arena: Arena, action: str, name: str, content: bytes | Path) -> Iterator[None]:
    """Put hostile content where the action reads it, and all back after."""
    in_deploy = name in ("kustomization.yaml", "hold.yaml")
    if in_deploy:
        # What hold-environment holds is no other action's.
        overlay = "production" if action == "hold-environment" else "dev"
        git, file = Git(arena.top / "deploy"), arena.top / f"deploy/overlays/{overlay}/{name}"
    else:
        git = Git(arena.work)
        file = arena.top / name if name == "event.json" else arena.work / name
    before = file.read_bytes() if file.exists() else None
    head = git.run("rev-parse", "HEAD").strip()
    file.unlink(missing_ok=True)
    if isinstance(content, Path):
        file.symlink_to(content)
    else:
        file.write_bytes(content)
    try:
        if in_deploy or (action in FROM_COMMITS and name != "event.json"):
            git.run("add", "--force", "--", str(file))
            git.run("commit", "--quiet", "--allow-empty", "-m", "hostile")
        if in_deploy:
            git.run("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
        yield
    finally:
        file.unlink()
        if before is not None:
            file.write_bytes(before)
        git.run("reset", "--quiet", "--mixed", head)
        if in_deploy:
            git.run("push", "--quiet", "--force", "origin", f"{head}:refs/heads/main")
