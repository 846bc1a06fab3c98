"""Every input of every action, and every file that a stranger may write, tried with hostile values.

Real git runs; docker is a small stand-in that answers, as only its arguments are of interest here.
After each run: a documented exit code, no ref or file changed but what was asked for, no program
started but git and docker, nothing left in the temporary folder, no workflow command in the log.
"""

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
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.actions import ACTIONS
from model_gitops.adapters import paths, process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
# (examples of inputs of an action, examples of documents of an action)
MANY, MANY_DOCUMENTS = (800, 150) if FULL else (45, 15)

DIGEST = "sha256:" + "a" * 64
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
PROMOTION: dict[str, Any] = {
    "model": "m",
    "image": "ghcr.io/acme/m",
    "deploy": {"repository": "acme/deploy", "path": "overlays/{environment}"},
    "environments": [
        {"name": "dev", "branch": "main"},
        {"name": "production", "branch": "production", "deploy": "pull-request"},
    ],
    "gate": [{"metric": "metrics.json:r2", "better": "higher", "tolerance": 0.01}],
}
DVC: dict[str, Any] = {
    "artifacts": {"m": {"path": "models/m.bin", "type": "model"}},
    "stages": {"train": {"cmd": "true", "outs": ["models/m.bin"]}},
    "metrics": ["metrics.json"],
    "params": ["params.yaml"],
    "plots": [{"curve": {"x": "a", "y": {"curve.csv": "b"}}}],
}
# MD5 of `one`.
ONE = "f97c5d29941bfb1b2fdab0874906ab82"
LOCK: dict[str, Any] = {
    "schema": "2.0",
    "stages": {"train": {"cmd": "true", "outs": [{"path": "models/m.bin", "md5": ONE, "size": 3}]}},
}
METRICS = {"r2": 0.5, "error": {"rmse": 50.0}}
SMOKE = {"health": "/readyz", "timeout": 1, "request": {"path": "/x", "json": {"a": 1}}}
EVENT: dict[str, Any] = {
    "number": 7,
    "before": "0" * 40,
    "pull_request": {
        "number": 7,
        "title": "t",
        "base": {"ref": "main", "sha": "1" * 40},
        "head": {"ref": "exp", "sha": "2" * 40, "repo": {"full_name": "acme/m"}},
    },
    "repository": {"full_name": "acme/m", "default_branch": "main"},
    "sender": {"login": "ada"},
}
KUSTOMIZATION = "images:\n- name: m # the model\n  newName: ghcr.io/acme/m\n  newTag: v1\n"
FILES: dict[str, str] = {
    "promotion.yaml": json.dumps(PROMOTION),
    "dvc.yaml": json.dumps(DVC),
    "dvc.lock": json.dumps(LOCK),
    "metrics.json": json.dumps(METRICS),
    "params.yaml": "a: 1\n",
    "curve.csv": "a,b\n1,2\n2,3\n",
    ".dvc/config": "[core]\n    remote = store\n    analytics = false\n"
    "['remote \"store\"']\n    url = ../../store\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/models\n",
    ".gto": "stages: [dev, production]\n",
    "Dockerfile": "FROM scratch\n",
    "smoke.yaml": json.dumps(SMOKE),
    "body.md": "A body.\n",
}

# What each action is given when nothing is hostile; the inputs in the tuple are never mutated.
GOOD: dict[str, dict[str, str]] = {
    "check-promotion": {},
    "dvc-pull-model": {"model": "m", "working-directory": "."},
    "gate-metrics": {"baseline": "HEAD"},
    "gto-register-stage": {"model": "m", "stage": "dev"},
    "build-push-image": {"image": "127.0.0.1:9/acme/m", "smoke-test": ""},
    "bump-kustomize-tag": {
        "path": "overlays/dev",
        "images": f"m=ghcr.io/acme/m:v2@{DIGEST}",
        # Not the version that trace-model asks for: what a bump leaves is no whole lineage.
        "trailers": "Model: m@v9.9.9",
    },
    "cml-report": {"base": "HEAD", "body": "body.md", "plots": "false", "title": "T"},
    "trace-model": {"subject": "m@v0.0.1"},
    "status": {"environment": "dev", "candidate": "HEAD"},
}
# Refs that a success may change: (repository, pattern).
MAY_CHANGE: dict[str, list[tuple[str, str]]] = {
    "gto-register-stage": [
        ("remote.git", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
        ("work", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
    ],
    "bump-kustomize-tag": [("deploy.git", r"refs/heads/main")],
}

TEXTS = [
    "", " ", ".", "..", "../..", "../../outside", "/etc/passwd", "/", "~", "-", "--", "-h",
    "out/secret.txt", "loop", "loop/x", "a" * 300, "a/" * 3000, "x" * 250_000, "x" * 300_000,
    "--upload-pack=touch pwned", "--exec=touch pwned", "--output=pwned", "-oProxyCommand=touch${IFS}pwned",
    "-c core.sshCommand=touch\tpwned", "--receive-pack=touch pwned", "--config=core.pager=touch pwned",
    "ext::sh -c touch% pwned", "ext::sh", "fd::17", "file:///etc/passwd", "/nowhere/pwned.git",
    "http://u:p@127.0.0.1:9/a/b.git", "https://127.0.0.1:9/pwned.git", "ssh://-oProxyCommand=touch pwned/x",
    "-oProxyCommand=pwned:x/y", "$(touch pwned)", "`touch pwned`", "; touch pwned #", "| touch pwned", "&& touch pwned",
    "' touch pwned '", '" touch pwned "', "a\n::set-output name=image::pwned\n", "::add-mask::pwned",
    "\r::set-env name=PATH::pwned\r", "\n##[add-mask]pwned\n", "x ##[add-mask]y", "#\x1b[0m#[error]pwned", "a%0A::stop-commands::pwned", "\n::group::\n::error::pwned",
    "end-0\nimage=pwned\n", "<script>pwned()</script>", "![x](https://evil.example/pwned.png)", "@octocat #1",
    "</details></table>`` ` | --> @octocat", "\0", "\x1b[2J", "\x7f", "\ud800", "\udcff", "\u202epwned", "\ufeff",
    "рroduction", "ｍ", "m\u200b", "é" * 200, "🚀", "{}", "[]", "null", "0", "-1", "9" * 5000, "1e999", "nan", "m@v0.0.1", "m#dev",
    "m#dev#1", "m@v" + "9" * 400 + ".0.0", "m@", "#", "@", "HEAD^{/(}", "HEAD:dvc.yaml", "refs/heads/main", "main..x", "HEAD~99999999999",
    "@{-1}", ":/x", ":(exclude)*", "a=b", "=", "a=", "=b", "m=m:v9@sha256:zz", "m=../..:x", "m=a b:c", "x: y", "Model: a\nb",
    "{health: [}", "a: &a [*a]", "!!python/object/apply:os.system ['touch pwned']", "pr/99999999999999999999", "commit/--pwned",
    "linux/amd64,--pwned", "type=local,dest=pwned", "mode=max,pwned", "true", "True",
]  # fmt: skip
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
DOCUMENTS: list[bytes] = [
    text.encode("utf-8", "surrogatepass")
    for text in (
        "", "\n", "null", "[]", "{}", "0", '"x"', BOMB, "a: &a [*a]", "a: &a {<<: *a}", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900,
        "{a: " * 3000, "- " * 5000, "\0", "a: \x01", "a: 1\na: 2\n", "? [a, b]\n: 1\n", "? {a: 1}\n: 1\n", "a: 2024-99-99\n",
        "a: " + "9" * 5000, "r2: 1e999", '{"r2": ' + "9" * 400 + "}", '{"r2": NaN, "\\ud800": "\\udfff"}', "a: .inf\n---\nb: 1\n",
        "x: !!python/object/apply:os.system ['touch pwned']\n", "x: !!binary '%%%'\n", "x: !!timestamp no\n", "x: !!int x\n", "x: !!bool x\n", "x: !!int ''\n", "x: !!float ''\n", "x: !<tag:yaml.org,2002:bool> z\n", "%YAML 9.9\n---\na\n",
        "\ufeffa: 1\n", "a:\t1\n", "a: 'x\n", "x" * 2_000_000, "- a\n" * 100_000, "stages: 1\nartifacts: []\noutputs: {}\n",
        '{"stages": {"train": null}, "artifacts": {"m": null}}', '{"artifacts": {"m": {"path": []}}, "images": [null]}',
    )
] + [b"\xff\xfe\x00", b"a: \xff\n", b"\x80" * 100]  # fmt: skip


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
            if not _is_odd(value):
                variables[options.variable(name)] = value
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
        words = [action]
        # No environment can hold these; an argument of a test can.
        words += [f"--{name}={value}" for name, value in given.items() if _is_odd(value)]
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
            _check_markdown(text.replace(self.body(given), ""))
        return ended

    def body(self, given: Mapping[str, str]) -> str:
        name = given.get("body", "")
        # Of two bytes a letter, 200 letters are too long for a file's name.
        if not name or _is_odd(name) or not paths.is_file(self.work / name):
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
            assert tuple(outputs) == names
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
            assert Path(words[0]).name in ("git", "docker"), words
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


def _is_odd(value: str) -> bool:
    """Whether an environment can't hold `value`: a NUL, or half a surrogate pair."""
    return "\0" in value or re.search("[\ud800-\udc7f\udd00-\udfff]", value) is not None


def _check_markdown(text: str) -> None:
    """No markup, picture, mention or reference of a stranger's outside of code."""
    bare = re.sub(r"`[^`\n]*`", "", text)
    for markup in ("<script", "<img", "](https://evil", "@octocat"):
        assert markup not in bare, text[:2000]


def _check_rendered(text: str) -> None:
    """What a Markdown parser sees in it: no HTML, no picture, no link to elsewhere, no mention."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        assert token.type != "html_block", text
        for part in token.children or []:
            assert part.type not in ("html_inline", "image"), text
            assert "evil.example" not in str(part.attrs.get("href", "")), text
            if part.type == "text":
                assert not re.search(r"(^|[^\w`])@\w|#\d|https?://|www\.", part.content), text


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    top = tmp_path_factory.mktemp("arena")
    made = Arena(top)
    for name in ("bin", "home", "tmp", "outside", "store/files/md5/f9"):
        (top / name).mkdir(parents=True)
    docker = top / "bin" / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
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
        deploy = clone(top, "deploy", {"overlays/dev/kustomization.yaml": KUSTOMIZATION})
        deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
        work = clone(top, "work", FILES, remote="remote")
        work.run("tag", "--annotate", "-m", "x", "m@v0.0.1")
        work.run("tag", "--annotate", "-m", "x", "m#dev#1")
        work.run("push", "--quiet", "origin", "HEAD:refs/heads/main", "--tags")
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


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def hostile(good: str) -> st.SearchStrategy[str]:
    texts = st.sampled_from(TEXTS)
    return st.one_of(
        texts,
        texts,
        texts.map(lambda text: (good + text)[:300_000]),
        texts.map(lambda text: f"{good}\n{text}"[:300_000]),
        st.text(st.characters(exclude_categories=()), max_size=40),
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_no_input_of_an_action_lets_anything_in(action: str, arena: Arena, numbers: Any) -> None:
    module = importlib.import_module(f"model_gitops.actions.{action.replace('-', '_')}")
    names = [one.name for one, _ in options.inputs_of(module.command).values()]
    arena.runs = 0
    assert arena.run(action, GOOD[action]).code == 0, "the good inputs are good"

    @examples(MANY)
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        given_inputs = dict(GOOD[action])
        for name in data.draw(
            st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
        ):
            given_inputs[name] = data.draw(hostile(given_inputs.get(name, "")))
        arena.run(action, given_inputs)

    holds()
    numbers(f"hostile inputs of {action}: {arena.runs} fuzzed, 0 failures")


ODD_SCALARS = (b"!!bool x", b"!!int ''", b"!!float ''", b"!<tag:yaml.org,2002:bool> z")
# What earlier runs of the long form found: an action, its inputs, and a file of the checkout.
FOUND: list[tuple[str, dict[str, str], str, bytes]] = [
    ("dvc-pull-model", {"jobs": "9" * 5000}, "", b""),
    ("build-push-image", {}, ".dockerignore", b"\xff\xfe\x00"),
    ("cml-report", {}, "body.md", b"<script>pwned()</script>"),
    ("cml-report", {}, "params.yaml", b"a: 0x" + b"f" * 6000),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"Images:\n- name: m\n"),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"images:\n- name: m\n  newtag: v1\n"),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"images:\n" + b"- name: x\n" * 60_000),
    *(
        (action, {}, name, b"artifacts: " + scalar)
        for action, name in (
            ("check-promotion", "promotion.yaml"), ("gate-metrics", "promotion.yaml"),
            ("dvc-pull-model", "dvc.yaml"), ("gto-register-stage", "dvc.yaml"),
        )
        for scalar in ODD_SCALARS
    ),
]  # fmt: skip


@pytest.mark.parametrize(("action", "inputs", "name", "content"), FOUND, ids=range(len(FOUND)))
def test_what_was_found_once_stays_mended(
    action: str, inputs: dict[str, str], name: str, content: bytes, arena: Arena
) -> None:
    with written(arena, action, name, content) if name else contextlib.nullcontext():
        ended = arena.run(action, {**GOOD[action], **inputs})
    assert ended.code == (0 if name in ("body.md", "params.yaml") else 2), ended.log


def look_alikes(name: str) -> list[str]:
    """Return names that look like `name`, or that a careless comparison takes for it."""
    cyrillic = name.translate(str.maketrans("aeiopc", "\u0430\u0435\u0456\u043e\u0440\u0441"))
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    odd = [f"{name}\u200b", f"\ufeff{name}", f"{name[0]}\u00ad{name[1:]}", f"{name}\u0301"]
    spaced = [f"{name}\u00a0", f"\u202e{name[::-1]}\u202c", f"{name}\u2028", name.upper()]
    return [one for one in [cyrillic, wide, *odd, *spaced] if one != name]


@pytest.mark.parametrize(
    ("action", "name", "good", "pattern"),
    [
        ("check-promotion", "base-ref", "main", "{}"),
        ("check-promotion", "head-ref", "main", "{}"),
        ("dvc-pull-model", "model", "m", "{}"),
        ("gto-register-stage", "model", "m", "{}"),
        ("gto-register-stage", "stage", "dev", "{}"),
        ("bump-kustomize-tag", "branch", "main", "{}"),
        ("bump-kustomize-tag", "path", "overlays/dev", "{}"),
        ("bump-kustomize-tag", "images", "m", "{}=:v2"),
    ],
)
def test_a_look_alike_of_a_name_is_refused(
    action: str, name: str, good: str, pattern: str, arena: Arena
) -> None:
    others = {"base-ref": "production", "head-ref": "main"} if name == "head-ref" else {}
    for alike in look_alikes(good):
        ended = arena.run(action, {**GOOD[action], **others, name: pattern.format(alike)})
        assert ended.code in (2, 3), (ascii(alike), ended.log)
        # What a person reads must show that it is another name.
        if action == "check-promotion":
            assert alike == alike.upper() or alike not in ended.log, ascii(alike)


NAMES = [
    "", "..", "../actions/check-promotion", "check-promotion/", "check-promotion local", "*", "-h", "--help", "dev\n::error::pwned",
    "$(touch pwned)", "; touch pwned", "--extra=local", "\u0441heck-promotion", "a" * 10_000, "check-promotion]", "README.md",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_the_shell_runs_what_is_an_action_and_nothing_else(name: str, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "run.sh"
    done = process.run(
        ["bash", script, name],
        cwd=tmp_path,
        env={"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(tmp_path / "cache")},
        check=False,
    )
    assert done.returncode != 0
    assert "pwned" not in done.stdout + done.stderr.replace(str(script), "")
    assert list(tmp_path.iterdir()) == []


class TestAPullRequestOfABump:
    """Its title and body hold what strangers write: the message, trailers, names of images."""

    TEXTS = (
        "@octocat #1 https://evil.example",
        "<script>pwned()</script><img src=x onerror=pwned()>",
        "![x](https://evil.example/pwned.png) [y](https://evil.example)",
        "` | </details> <!-- | **b** `@octocat`",
        "a\r::set-output name=x::pwned",
        "x" * 900,
        "\u202epwned\u200b",
    )

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_shows_them_as_they_are(self, text: str, arena: Arena) -> None:
        name = re.sub(r"[\s=]", "", text) if text.isprintable() else "m"
        content = yaml.safe_dump({"images": [{"name": name, "newTag": text}]}).encode()
        with (
            Forge(arena.top / "runner-forge") as forge,
            pytest.MonkeyPatch.context() as patch,
            written(arena, "bump-kustomize-tag", "kustomization.yaml", content),
        ):
            forge.add_token("token", "deployer[bot]")
            forge.add_repository("acme/deploy", arena.top / "deploy.git")
            patch.setattr(arena, "server", forge.url)
            patch.setattr(arena, "api", forge.api_url)
            ended = arena.run(
                "bump-kustomize-tag",
                {
                    **GOOD["bump-kustomize-tag"],
                    "repository": "acme/deploy",
                    "mode": "pull-request",
                    "token": "token",
                    "images": f"{name}=ghcr.io/acme/m:v2",
                    "message": f"{text}\n\n{text}",
                    "trailers": f"Model: {text.partition(chr(13))[0]}",
                },
                may_change=[
                    ("deploy.git", r"refs/heads/model-gitops/bump-[a-z0-9-]+"),
                    ("deploy.git", r"refs/pull/\d+/(head|merge)"),  # the server's own
                ],
            )
            assert ended.outputs["operation"] == "opened", ended.log
            pull = GitHub("acme/deploy", "token", api_url=forge.api_url)._repository.get_pull(
                int(ended.outputs["pull-request"].rpartition("/")[2])
            )
            assert pull.title == pull.title.splitlines()[0]
            assert len(pull.title) <= 200
            _check_markdown(pull.body)
            _check_rendered(pull.body)
        shutil.rmtree(arena.top / "runner-forge")
        Git(arena.top / "deploy.git").run("update-ref", "-d", f"refs/heads/{pull.head.ref}")


# Which files of the checkout an action reads, with good content to start from.
READS: dict[str, dict[str, Any]] = {
    "check-promotion": {"promotion.yaml": PROMOTION, "event.json": EVENT},
    "gate-metrics": {"promotion.yaml": PROMOTION, "metrics.json": METRICS, "event.json": EVENT},
    "dvc-pull-model": {"dvc.yaml": DVC, "dvc.lock": LOCK, ".dvc/config": "x"},
    "gto-register-stage": {"dvc.yaml": DVC, "dvc.lock": LOCK, ".gto": {"stages": ["dev"]}},
    "build-push-image": {
        "smoke.yaml": SMOKE,
        "event.json": EVENT,
        ".dockerignore": "x",
        "Dockerfile": "x",
    },
    "bump-kustomize-tag": {"kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]}},
    "cml-report": {
        "promotion.yaml": PROMOTION,
        "dvc.yaml": DVC,
        "metrics.json": METRICS,
        "params.yaml": {"a": 1},
        "body.md": "x",
        "curve.csv": "x",
        "event.json": EVENT,
    },
    "trace-model": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
    "status": {
        "promotion.yaml": PROMOTION,
        "metrics.json": METRICS,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
}
LEAVES = st.one_of(
    st.sampled_from([text.replace("\0", "") for text in TEXTS]),
    st.sampled_from([None, True, -1, 10**400, 1e308, [], {}, [[]], {"a": {"b": []}}, [None]]),
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            found += places(value, (*path, key))
    return found


def replaced(data: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copy = data.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], leaf)
    return copy


def structured(good: Any) -> st.SearchStrategy[bytes]:
    """Return documents that are right but for one place, as JSON, which is YAML too."""
    return st.builds(
        lambda path, leaf: json.dumps(replaced(good, path, leaf)).encode(),
        st.sampled_from(places(good)),
        LEAVES,
    )


@contextlib.contextmanager
def written(arena: Arena, action: str, name: str, content: bytes | Path) -> Iterator[None]:
    """Put hostile content where the action reads it, and all back after."""
    in_deploy = name == "kustomization.yaml"
    if in_deploy:
        git, file = Git(arena.top / "deploy"), arena.top / "deploy/overlays/dev/kustomization.yaml"
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
        if in_deploy or action == "gto-register-stage":
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


@pytest.mark.parametrize("action", READS)
def test_no_file_that_an_action_reads_lets_anything_in(
    action: str, arena: Arena, numbers: Any
) -> None:
    arena.runs = 0

    @examples(MANY_DOCUMENTS * len(READS[action]))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(READS[action])))
        good = READS[action][name]
        links = st.sampled_from(
            [arena.top / "outside/secret.txt", Path("loop"), Path("/etc/passwd")]
        )
        documents = st.sampled_from(DOCUMENTS)
        hostile_texts = st.sampled_from(TEXTS).map(
            lambda text: text.encode("utf-8", "surrogatepass")
        )
        shapes = [documents, hostile_texts if isinstance(good, str) else structured(good)]
        if name != "event.json":
            shapes.append(links)
        content = data.draw(st.one_of(*shapes))
        given_inputs = dict(GOOD[action])
        if name == "smoke.yaml":
            given_inputs["smoke-test"] = name
        if action == "gate-metrics":
            given_inputs["baseline"] = data.draw(st.sampled_from(["", "HEAD"]))
        with written(arena, action, name, content):
            arena.run(action, given_inputs)

    holds()
    numbers(f"hostile files of {action}: {arena.runs} fuzzed, 0 failures")
