"""Git, by its own command line. Credentials go by environment variables only."""

from __future__ import annotations

import os
import random
import re
import secrets
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from model_gitops import runner
from model_gitops.adapters import git_settings, paths, process
from model_gitops.adapters.git_credentials import ANONYMOUS, STALLED_SECONDS, Credentials
from model_gitops.core import retry
from model_gitops.core.gto.places import places
from model_gitops.errors import ExternalError, InputError, RaceError

# Who writes, where the job configured nobody.
BOT_NAME = "model-gitops[bot]"
BOT_EMAIL = "model-gitops[bot]@users.noreply.github.com"

# The commands that ask a server, and get credentials: `cat-file` does so for a file that a partial
# clone left out.
_TALKING = ("fetch", "push", "ls-remote", "cat-file")

# A server that sends nothing for so long has hung: the request is made again.
_STALLED_SECONDS = STALLED_SECONDS
# So many bytes of objects are searched at once.
_CHUNK = 1 << 18
# Git holds a lock file for moments: one so old is of a git that was killed.
_OLDEST_LOCK_SECONDS = 30

T = TypeVar("T")


class LostRace(Exception):
    """Another writer moved a ref first: fetch, decide again."""


class Git:
    """One repository on disk."""

    def __init__(self, directory: Path, credentials: Credentials = ANONYMOUS) -> None:
        self.directory = directory
        self.credentials = credentials
        # Where git's own files are, if git must be told, and what its own configuration would say.
        self.place: Mapping[str, str] = {}
        self.local: git_settings.Pairs = ()

    def run(
        self,
        *args: str,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run `git ARGS` in the repository and return its standard output.

        Raises ProcessError for a status other than 0; with `check` false returns what there is.
        """
        return self.completed(*args, check=check, input=input, env=env).stdout

    def completed(
        self,
        *args: str,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
        output: IO[bytes] | None = None,
    ) -> process.Completed:
        """Run `git ARGS` and return the ended process, its status included, or raise TimedOutError.

        A file `output` takes what may be large, instead of `stdout`.
        """
        talking, known = dict[str, str](), ANONYMOUS
        if args[0] in _TALKING:
            stalled = str(_STALLED_SECONDS)
            talking = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": stalled}
            known = self.credentials
        settings = git_settings.environment(known.settings, self.local)
        return process.run(
            ["git", *args],
            cwd=self.directory,
            env={**settings, **self.place, **talking, **known.env, **(env or {})},
            input=input,
            check=check,
            timeout=timeout,
            output=output,
        )

    def remote(self, *args: str, output: IO[bytes] | None = None) -> str:
        """Run a git command that talks to a remote, again after faults that may pass.

        Raises LostRace if another writer was first, ExternalError when the fault stays. See `completed`.
        """
        done = self._again(*args, output=output)
        if done.returncode == 0:
            return done.stdout
        said = done.stderr + done.stdout
        if args[0] == "push" and retry.is_lost_race(said):
            raise LostRace(said)
        raise process.ProcessError(done, fix=retry.advice(said))

    def _again(self, *args: str, output: IO[bytes] | None = None) -> process.Completed:
        """Run a git command that talks to a remote until it works, or it makes no sense to go on."""
        start = time.monotonic()
        for attempt in range(retry.ATTEMPTS):
            if output is not None:
                output.seek(0)
                output.truncate()
            done = self.completed(*args, check=False, output=output)
            said = done.stderr + done.stdout
            # Who loses a push must decide again; who can't write into this checkout may try again.
            lost = retry.is_lost_race(said)
            passing = args[0] != "push" if lost else retry.is_transient(said)
            if done.returncode == 0 or not passing:
                break
            if attempt + 1 == retry.ATTEMPTS or time.monotonic() - start > retry.FAULT_SECONDS:
                break
            self.remove_stale_lock(said)
            time.sleep(retry.pause(attempt, random.random()))  # noqa: S311 - jitter
        return done

    def remove_stale_lock(self, said: str) -> None:
        """Remove the lock file that git complains of, where it is left of a git that was killed."""
        name = retry.lock_file(said)
        if not name:
            return
        file = self.directory / name
        with suppress(OSError):
            age = time.time() - file.stat().st_mtime
            # A server may have said so: only git's own locks are ever removed.
            if age > _OLDEST_LOCK_SECONDS and paths.is_inside(file, self._own_folder()):
                file.unlink()
                runner.warning(f"removed {file}, which a git that was killed left {age:.0f} s ago")

    def _own_folder(self) -> Path:
        """Return the folder of git's own files; in a linked work tree the main one's."""
        return self.directory / self.run("rev-parse", "--git-common-dir").rstrip("\n")

    def commit_of(self, revision: str) -> str | None:
        """Return the full commit hash that `revision` names, or None."""
        if revision.startswith("-") or "\0" in revision:
            return None
        # What follows `:/` is looked for in messages, whatever it is: it finds nothing but commits.
        named = revision if revision.startswith(":/") else f"{revision}^{{commit}}"
        # Without `--end-of-options`, which rev-parse has since 2.30: it is not needed after this.
        found = self.completed("rev-parse", "--verify", "--quiet", named, check=False)
        return found.stdout.strip() or None if found.returncode == 0 else None

    def find_commit(self, revision: str, *, server_first: bool | None = None) -> str | None:
        """Return the commit of `revision`, which is fetched if it is not here; or None.

        See `core.gto.places` for what a name means; by default a branch is the server's in a job alone.
        A shallow checkout has only its own branch, and stays shallow. Raises ProcessError where the
        remote could not be asked.
        """
        if revision.startswith("-"):
            return None
        first = runner.in_workflow() if server_first is None else server_first
        # What is here for want of a branch serves where nobody can be asked for one.
        spare = self.commit_of(revision)
        for place in places(revision, server_first=first):
            if not place.on_server:
                found = self.commit_of(place.ref)
            else:
                try:
                    found = self._fetched(place.ref)
                except process.ProcessError:
                    if spare is None:
                        raise
                    found = None
            if found:
                return found
        return None

    def _fetched(self, ref: str) -> str | None:
        """Return the commit of `ref`, a name or a hash, of the remote; None where it has no such one."""
        takes = self.completed("check-ref-format", "--allow-onelevel", ref, check=False)
        if takes.returncode != 0 or not self.has_remote():
            return None
        return self.commit_of("FETCH_HEAD") if self.try_fetch(ref, *self.flat_depth()) else None

    def try_fetch(self, refspec: str, *depth: str) -> bool:
        """Fetch what the remote may not have, or not give us, and return whether it did.

        Raises ProcessError where the remote could not be asked: that is no "no".
        """
        try:
            self.remote(
                "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", *depth,
                "--", "origin", refspec,
            )  # fmt: skip
        except process.ProcessError as error:
            if retry.is_transient(error.completed.stderr):
                raise
            return False
        return True

    def made(self, commit: str) -> int:
        """Return when `commit` was made, or merged, in Unix seconds."""
        return int(self.run("log", "-1", "--format=%ct", commit))

    def file_at(self, commit: str, path: str) -> str | None:
        """Return the text of `path` (relative to the top, POSIX) at `commit`, or None."""
        found = self._again("cat-file", "blob", f"{commit}:{path}")
        if found.returncode == 0:
            return found.stdout
        if "promisor remote" in found.stderr or retry.is_transient(found.stderr):
            # It is there, but left out of a partial clone, and its server does not give it.
            raise process.ProcessError(found, fix=retry.advice(found.stderr))
        return None

    def contents_at(self, commit: str, path: str) -> dict[str, bytes]:
        """Return the files at or below `path` at `commit`, byte by byte, in two processes.

        Keys are relative to `path`, "" where it is a file itself; empty where there is nothing.
        Links and submodules are left out.
        """
        listing = self.completed(
            "ls-tree", "-r", "-z", "--full-tree", commit, "--", f":(top,literal){path}", check=False
        ).stdout
        names = {}
        for entry in listing.split("\0"):
            mode, _, rest = entry.partition(" ")
            if mode.startswith("100"):
                fields, _, name = rest.partition("\t")
                names[name[len(path) :].lstrip("/")] = fields.split(" ")[1]
        return dict(zip(names, self.blobs(list(names.values())), strict=True))

    def blobs(self, objects: Sequence[str]) -> list[bytes]:
        """Return the bytes of files, by their hashes, in one process.

        A text pipe would change line endings. Raises ExternalError where one can't be read.
        """
        return list(self.each_object(objects))

    def each_object(self, objects: Sequence[str], *, missing: bool = False) -> Iterator[bytes]:
        """Yield the bytes of objects, one after another, by one process.

        Raises ExternalError where one can't be read; with `missing` one that is not here is empty.
        """
        if not objects:
            return
        with self._written("\n".join(objects).encode(), "--batch") as answer:
            for one in objects:
                head = answer.readline().split()
                if missing and head[-1:] == [b"missing"]:  # after the name, which may have spaces
                    yield b""
                    continue
                if len(head) != 3:
                    raise ExternalError(f"a file of {self.directory} can't be read (object {one})")
                yield answer.read(int(head[2]))
                answer.read(1)

    def object_chunks(self, objects: bytes) -> Iterator[bytes]:
        """Yield the bytes of many objects, some whole ones at once, each after a line of hex digits.

        For a search among so many that a step in Python for each would cost more than reading them:
        `objects` are lines too. Nobody can know the line before an object beforehand.
        Raises ExternalError as `each_object` does.
        """
        if not objects:
            return
        line = secrets.token_hex(16)
        start = f"{line}\n".encode()
        found, rest = 0, bytearray()
        with self._written(objects, f"--batch={line}") as answer:
            while more := answer.read(_CHUNK):
                unseen = max(0, len(rest) - len(start))
                rest += more
                end = rest.rfind(start, unseen)
                if end > 0:
                    whole = bytes(rest[:end])
                    del rest[:end]
                    found += whole.count(start)
                    yield whole
        found += rest.count(start)
        count = len(objects.split())
        if found != count:
            raise ExternalError(f"git can't read the files of {self.directory} ({count - found})")
        if rest:
            yield bytes(rest)

    @contextmanager
    def _written(self, objects: bytes, form: str) -> Iterator[IO[bytes]]:
        """Have one process write these objects, and return the file of it."""
        with tempfile.TemporaryFile() as wanted, tempfile.TemporaryFile() as answer:
            wanted.write(objects + b"\n")
            wanted.seek(0)
            words = ["git", "-C", str(self.directory), "cat-file", form, "--buffer"]
            settings = git_settings.environment(self.credentials.settings)
            env = {**settings, **self.place, **self.credentials.env}
            if process.pipe(words, stdin=wanted, stdout=answer, env=env):
                raise ExternalError(f"git can't read the files of {self.directory}")
            answer.seek(0)
            yield answer

    def trees_of(self, commits: Sequence[str]) -> bytes:
        """Return the top trees of commits, a line each, in their order; commits not here are left out."""
        with tempfile.TemporaryFile() as answer:
            # Told of refs, of which there are none, git does not take HEAD where it has none of these.
            self.completed(
                "log", "--no-walk=unsorted", "--ignore-missing", "--format=%T", "--glob=refs/none/*", "--stdin",
                input="".join(f"{one}\n" for one in commits), output=answer,
            )  # fmt: skip
            answer.seek(0)
            return answer.read()

    def objects_of(self, *patterns: str) -> set[str]:
        """Return the objects that the refs here name which match a pattern; no server is asked."""
        with tempfile.TemporaryFile() as answer:
            self.completed("for-each-ref", "--format=%(objectname)", *patterns, output=answer)
            answer.seek(0)
            return set(answer.read().decode("ascii").split())

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` is in the history of `descendant` (a commit is in its own)."""
        done = self.completed("merge-base", "--is-ancestor", ancestor, descendant, check=False)
        if done.returncode not in (0, 1):
            raise process.ProcessError(done)  # what can't be told is no "no"
        return done.returncode == 0

    def remote_refs(self, remote: str, *patterns: str) -> dict[str, str]:
        """Return the refs that `remote` has now (full name → object). Raises ExternalError."""
        listing = self.remote("ls-remote", "--quiet", "--refs", "--", remote, *patterns)
        pairs = (line.split("\t", 1) for line in listing.splitlines() if line)
        return {name: value for value, name in pairs}

    def identity(self) -> dict[str, str]:
        """Return variables that name an author and committer, where git itself knows none."""
        configured = self.completed("config", "user.email", check=False).returncode == 0
        if configured or os.environ.get("GIT_COMMITTER_EMAIL"):
            return {}
        return {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", BOT_NAME), ("EMAIL", BOT_EMAIL))
        }

    def has_remote(self, remote: str = "origin") -> bool:
        """Whether the repository knows `remote`."""
        return remote in self.run("remote").splitlines()

    def is_shallow(self) -> bool:
        """Whether history is cut off, as actions/checkout does by default."""
        return self.run("rev-parse", "--is-shallow-repository").strip() == "true"

    def flat_depth(self) -> list[str]:
        """Return the option that keeps a fetch into a checkout of one commit small.

        It cuts history at what is fetched, which would take commits from a deeper checkout.
        """
        count = self.run("rev-list", "--count", "--max-count=2", "HEAD", check=False)
        return ["--depth=1"] if self.is_shallow() and count.strip() == "1" else []

    def use_own_tags(self, remote: str, error: ExternalError) -> None:
        """Warn that the tags of `remote` can't be fetched, and the checkout's own are taken.

        Raises ExternalError in a shallow checkout, as a missing tag there would be read as "no version yet".
        """
        if self.is_shallow():
            raise ExternalError(
                f"the tags of {remote!r} can't be fetched: {error.message}",
                fix="give actions/checkout `fetch-depth: 0`, or leave `persist-credentials` at true",
            ) from error
        runner.warning(
            f"the tags of {remote!r} can't be fetched; the checkout's own are used: {error.message}"
        )


def merge_file(base: Path, ours: Path, theirs: Path) -> None:
    """Merge line by line into `ours`, as git does without a driver, with its marks at conflicts."""
    labels = [f"-L{name}" for name in ("ours", "base", "theirs")]
    process.run(["git", "merge-file", *labels, "--", ours, base, theirs], check=False)


def until_won(attempt: Callable[[], T], what: str) -> T:
    """Call `attempt` (fetch, decide, write, push) until it loses no race.

    Raises RaceError, naming `what`, after `retry.ATTEMPTS` and `retry.RACE_SECONDS`.
    """
    end = time.monotonic() + retry.RACE_SECONDS
    race, lost = retry.Race(), 0
    while True:
        began = time.monotonic()
        try:
            return attempt()
        except LostRace as error:
            lost, ended = lost + 1, time.monotonic()
            pause = race.pause(ended - began, random.random())  # noqa: S311 - jitter
            if lost >= retry.ATTEMPTS and ended + pause > end:
                said = retry.reason(str(error))[:200]
                told = f" (git said: {said})" if said else ""
                raise RaceError(
                    f"{what}: other writers were first {lost} times in a row{told}",
                    fix="run the job again; if it happens often, look for a job that pushes in a loop",
                ) from error
        runner.say(f"another writer was first; once more in {pause:.1f} s")
        time.sleep(pause)


class UntrustedError(InputError):
    """A checkout of another account, which git does not open."""


def open_repository(directory: Path) -> Git:
    """Return the Git repository that `directory` is in.

    Raises InputError where it is in none, UntrustedError where git does not trust its owner.
    """
    done = Git(directory).completed("rev-parse", "--show-toplevel", check=False)
    if done.returncode == 0:
        return Git(Path(done.stdout.rstrip("\n")))
    where = f"the folder {str(directory.absolute())!r}"
    owned = re.search(r"(?:dubious ownership in|unsafe) repository (?:at )?\(?'(.+?)'", done.stderr)
    if owned:
        raise UntrustedError(
            f"{where} is in a checkout of another account, {owned[1]}, which git does not trust",
            fix=f"git config --global --add safe.directory {shlex.quote(owned[1])}",
        )
    if "must be run in a work tree" in done.stderr:
        raise InputError(
            f"{where} is in a bare repository, which has no files checked out",
            fix="git clone it, and start this in the clone",
        )
    broken = next(
        (one for one in (directory, *directory.absolute().parents) if (one / ".git").exists()), None
    )
    if broken:
        raise InputError(
            f"{where} is in a checkout that is damaged: git can't read {broken.absolute() / '.git'}:"
            f" {done.said}",
            fix="run actions/checkout again, or clone the repository anew",
        )
    raise InputError(f"{where} is in no Git checkout", fix="run actions/checkout, or git clone")
