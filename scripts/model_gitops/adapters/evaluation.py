"""Runs the evaluation of the base's commit on a model: in a work tree of its own, without secrets."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import dvc, paths, process, python_packages, scratch
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import artifacts, model_format
from model_gitops.core.dvc.evaluation import Plan
from model_gitops.core.dvc.files import Tracked
from model_gitops.core.flow import test_data
from model_gitops.errors import ExternalError, InputError, RefusedError

LARGEST_PREDICTIONS = 256 * 1024 * 1024
_LAST_LINES = 20

# All that the base's code is told of the job's environment.
_KEPT = re.compile(
    r"PATH|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|CI|LD_LIBRARY_PATH|pythonLocation|Python[23]?_ROOT_DIR"
    r"|(OMP|MKL|OPENBLAS|NUMEXPR|VECLIB)_(NUM|MAXIMUM)_THREADS|(CUDA|NVIDIA)_VISIBLE_DEVICES"
)
# The set-up also needs the way to a package index. Its address may hold a password: this is not
# there any more when a model is loaded.
_FOR_SET_UP = re.compile(
    r"(https?|no|all)_proxy|(SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)"
    r"|PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE|NO_INDEX|DEFAULT_TIMEOUT|CACHE_DIR)"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|CACHE_DIR|SYSTEM_CERTS|NATIVE_TLS)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remote:
    """The DVC remote to pull from; its address is that of the base's `.dvc/config`."""

    name: str = ""
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Evaluation:
    """The work tree of one commit, `tree`, and the folder around it that goes with it.

    `project` is where its programs are (`.venv/bin`), `minutes` what each process may take.
    """

    tree: Path
    project: Path
    folder: Path
    minutes: int

    def pull(self, model: artifacts.Artifact, place: str, who: str, remote: Remote) -> Path:
        """Pull a model beside the work tree, and return where it is; `place` is its name there."""
        to = self.folder / who / Path(place).name
        to.parent.mkdir()
        with runner.group(f"Pulling the {who}'s {model.path}"), _own_site_cache(self.folder):
            dvc.pull(
                model, to, root=self._root(place), remote=remote.name, settings=remote.settings
            )
        return to

    def pull_data(self, plan: Plan, remote: Remote) -> None:
        """Pull what the stages read and Git does not have. Raises InputError, ExternalError."""
        for one in plan.data:
            to = self.tree / one.path
            if os.path.lexists(to):
                continue  # the base's Git has it: its code
            if not paths.is_inside(to.parent, self.tree):
                raise InputError(f"{one.path} leads out of the repository by a symbolic link")
            with runner.group(f"Pulling {one.path}"), _own_site_cache(self.folder):
                dvc.pull(
                    _artifact(one, plan), to, root=self._root(one.path),
                    remote=remote.name, settings=remote.settings,
                )  # fmt: skip

    def take_grown(
        self, plan: Plan, theirs: Plan, wanted: Sequence[str], remote: Remote
    ) -> list[str]:
        """Take the candidate's test data where it has all rows of the base's; say what was measured on.

        `theirs` is the evaluation by the candidate's own dvc.lock, `wanted` what the base's rules let
        grow. What is pulled is compared, never run. Raises InputError, ExternalError.
        """
        said = []
        new = {one.path: one for one in theirs.data}
        for one in plan.data:
            other = new.get(one.path)
            if one.path not in wanted or other is None or other.hash == one.hash:
                continue
            if not test_data.is_known(one.path) or not paths.is_file(self.tree / one.path):
                said.append(
                    f"{one.path} is the base's, as rows can be compared in {test_data.FORMATS} only"
                )
                continue
            to = self.folder / "grown" / Path(one.path).name
            to.parent.mkdir(exist_ok=True)
            with runner.group(f"Pulling the candidate's {one.path}"), _own_site_cache(self.folder):
                dvc.pull(
                    _artifact(other, theirs), to, root=self._root(one.path),
                    remote=remote.name, settings=remote.settings,
                )  # fmt: skip
            base, candidate = (
                paths.read_bounded(file, test_data.LARGEST) for file in (self.tree / one.path, to)
            )
            if max(len(base), len(candidate)) > test_data.LARGEST:
                said.append(f"{one.path} is the base's, as it is too large to compare its rows")
                continue
            grown = test_data.growth(one.path, base, candidate)
            if not grown.has_all:
                lacks = f"lacks {grown.missing} of its {grown.before} rows"
                why = lacks if grown.same_header else "has other columns"
                if not grown.is_by_line:
                    why = "has rows of more than one line, so rows can't be compared"
                said.append(f"{one.path} is the base's, as the candidate's {why}")
                continue
            _remove(self.tree / one.path)
            to.replace(self.tree / one.path)
            said.append(
                f"{one.path} is the candidate's: all {grown.before} rows of the base's, and"
                f" {grown.now - grown.before} that the change adds"
            )
        return said

    def set_up(self, commands: Sequence[Sequence[str]]) -> None:
        """Run the user's commands, each a list of words, in the project's folder.

        DVC, which the stages are run by, is there before any of them. Raises ExternalError.
        """
        python_packages.ensure_dvc("which runs the stages of the evaluation")
        for words in commands:
            command = shlex.join(words)
            with runner.group(f"Setting up: {command}"):
                self._run(words, self.project, f"the set-up, `{command}`,", is_set_up=True)

    def run(self, plan: Plan, model: Path, place: str, who: str) -> None:
        """Put a model where the stages read it, and run them. The model is moved, not copied."""
        to = self.tree / place
        if not paths.is_inside(to.parent, self.tree):
            raise InputError(f"{place} leads out of the repository by a symbolic link")
        to.parent.mkdir(parents=True, exist_ok=True)
        _remove(to)
        model.rename(to)
        # What Git has of these is of another model: a stage that is skipped must not hand it on.
        for path in plan.outs:
            _remove(self.tree / path)
        for stage in plan.stages:
            # DVC itself: it knows `wdir`, `${…}`, `foreach`, lists of commands, and removes what
            # the run before wrote. It runs in this environment too, so it has no secret either.
            words = [
                sys.executable, "-I", "-m", "dvc", "repro", "--single-item", "--force", "--no-commit",
                "--", f"dvc.yaml:{stage.name}",
            ]  # fmt: skip
            folder = (self.tree / stage.source).parent
            with runner.group(f"Evaluating the {who}: stage {stage.name}"):
                self._run(words, folder, f"the evaluation of the {who}, stage {stage.name!r},")

    def read(self, path: str, most: int = document.LARGEST) -> str:
        """Return the text of a file that the stages wrote. Raises ExternalError where they did not."""
        file = self.tree / path
        if not paths.is_file(file) or not paths.is_inside(file, self.tree):
            raise ExternalError(
                f"the evaluation did not write {path}",
                fix="look whether its stage is frozen, or writes the file elsewhere",
            )
        content = paths.read_bounded(file, most)
        if len(content) > most:
            raise ExternalError(f"{path}, which the evaluation wrote, has more than {most} bytes")
        return content.decode("utf-8", errors="replace")

    def _run(
        self, words: Sequence[str], folder: Path, what: str, *, is_set_up: bool = False
    ) -> None:
        last: deque[str] = deque(maxlen=_LAST_LINES)

        def heard(line: str) -> None:
            last.append(line.rstrip("\n"))
            runner.say(line.rstrip("\n"))

        start = time.monotonic()
        try:
            done = process.run(
                words, cwd=folder, env=self._environment(is_set_up), inherit=False, check=False,
                timeout=self.minutes * 60, on_line=heard,
            )  # fmt: skip
        except process.TimedOutError as error:
            raise ExternalError(
                f"{what} did not end within {self.minutes} minutes and was stopped",
                fix="timeout: the minutes that it takes",
            ) from error
        if done.returncode != 0:
            tail = "\n".join(last)
            raise ExternalError(
                f"{what} failed with status {done.returncode}. Its last lines:\n{tail}",
                fix="run the same command at the base's commit by hand",
            )
        runner.say(f"done in {time.monotonic() - start:.1f} s")

    def _environment(self, is_set_up: bool) -> dict[str, str]:
        env = {
            name: value
            for name, value in os.environ.items()
            if _KEPT.fullmatch(name) or (is_set_up and _FOR_SET_UP.fullmatch(name))
        }
        home, temporary = self.folder / "home", self.folder / "tmp"
        for folder in (home, temporary):
            folder.mkdir(exist_ok=True)
        programs = self.project / ".venv" / "bin"
        if programs.is_dir():
            env["PATH"] = os.pathsep.join([str(programs), env.get("PATH", os.defpath)])
        return env | {
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "DVC_SITE_CACHE_DIR": str(self.folder / "site"),
            "DVC_NO_ANALYTICS": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _root(self, path: str) -> Path:
        folder = (self.tree / path).parent
        while not folder.is_dir():
            folder = folder.parent
        return dvc.project_root(folder, self.tree)


@contextmanager
def opened(repository: Git, commit: str, project: str, minutes: int) -> Iterator[Evaluation]:
    """Check `commit` out into a temporary folder; it is removed after, however that ends.

    `project` is the folder of promotion.yaml, from the top. Raises ProcessError.
    """
    with scratch.folder("model-gitops-compare-", runner.temporary_folder()) as made:
        folder = made.resolve()
        tree = folder / f"tree-{folder.name}"
        try:
            # No hook of the checkout runs, and a sparse checkout here is none there.
            repository.run(
                "-c", f"core.hooksPath={os.devnull}", "-c", "core.sparseCheckout=false",
                "worktree", "add", "--quiet", "--detach", str(tree), commit,
            )  # fmt: skip
            yield Evaluation(tree, tree / project, folder, minutes)
        finally:
            repository.run("worktree", "remove", "--force", "--force", str(tree), check=False)


def refuse_code(place: Path, path: str, who: str, *, allowed: bool) -> None:
    """Refuse a model that is code, unless the rule allows it; `path` is where it is loaded.

    Raises RefusedError, naming the file and why it counts as code.
    """
    files = sorted(one for one in place.rglob("*") if one.is_file()) if place.is_dir() else [place]
    for file in files:
        name = path if file == place else f"{path}/{file.relative_to(place).as_posix()}"
        with file.open("rb") as stream:
            head = stream.read(model_format.HEAD_BYTES)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - model_format.TAIL_BYTES))
            tail = stream.read()
        reason = model_format.code_reason(name, head, tail, size)
        if reason and not allowed:
            raise RefusedError(
                f"the {who}'s model is not run: {name} counts as code, since {reason}",
                fix="save the model in a format that is data, such as ONNX or safetensors; or, where"
                " everybody who may push a branch may run code in this job, `compare: {allow-pickle:"
                " true}` in the base's promotion.yaml",
            )
        if reason:
            runner.notice(f"the {who}'s {name} may run code when it is loaded: {reason}")
            return


def _artifact(one: Tracked, plan: Plan) -> artifacts.Artifact:
    if not one.md5:
        raise InputError(
            f"{one.path}, which stage {plan.name} reads, is neither in Git nor has dvc.lock an MD5 of it",
            fix="at the base: track it (`dvc add`, or a stage's `outs:`), `dvc push`, and commit",
        )
    return artifacts.Artifact.of(one)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


@contextmanager
def _own_site_cache(folder: Path) -> Iterator[None]:
    """Let DVC keep what it notes of a project in our folder: this project exists only once."""
    name = "DVC_SITE_CACHE_DIR"
    before = os.environ.get(name)
    os.environ[name] = str(folder / "site")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
