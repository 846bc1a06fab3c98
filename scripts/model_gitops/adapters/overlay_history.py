"""The history of one overlay's file: each commit that changed it, and the entry as it left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from model_gitops.adapters.deploy_store import DeployStore
from model_gitops.adapters.git_store import Store
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.commit_log import arrivals, own_line
from model_gitops.core.deploy.history import Change
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops.errors import InputError

# How much history is looked at: a few commits tell as a rule, and all of it (git's own number for
# that) where production waits for months in a busy repository. Files' bytes are never among it.
_DEPTHS = (50, 500, 2**31 - 1)
# Of so many commits the file itself is read; of all others the trailers only.
_MOST_COMPARED = 50
# As a rule the newest files tell; from this one on so many come in one request.
_ALONE, _AT_ONCE = 2, 20
# Where all of history is read.
_MANY = 100
# How a moved kustomization may have been called.
_NAMES = tuple(f":(top,glob)**/{name}" for name in kustomization.FILE_NAMES)

# Which entry of a kustomization is meant, None where it has no such one.
Pick = Callable[[Sequence[Image]], Image | None]
# Whether the trailers of a commit, by lowercase key, say what is looked for.
Says = Callable[[Mapping[str, Sequence[str]]], bool]


class OverlayHistory(DeployStore):
    """A remote repository whose overlays are read with their history."""

    def __init__(self, store: Store, url: str) -> None:
        super().__init__(store, url)
        # What a file is at a commit, where that is known: (commit, path) → hash.
        self._at: dict[tuple[str, str], str] = {}

    def changes(
        self,
        branch: str,
        path: str,
        pick: Pick,
        *,
        tip: str = "",
        digest: str = "",
        only: Says | None = None,
        also: Says | None = None,
    ) -> Iterator[Change]:
        """Yield the commits of `branch` that changed the file `path`, newest first, also as it was moved.

        Each is fetched and read when it is asked for, from `tip` on, where that is here already. With
        `digest` only those whose trailers name it, with `only` those whose trailers it takes; without,
        the newest ones, and of the others those that name the digest of the newest, or that `also` takes.
        """
        known: set[str] = set()
        wanted, compared = digest, 0
        for depth in _DEPTHS:
            fetched = self.fetch(branch, depth=depth) if depth > _DEPTHS[0] or not tip else tip
            start, place = tip or fetched, path
            cut, last = self._git.cut_off() if depth < _DEPTHS[-1] else set(), ""
            while place:
                for commit, by, message in self._written(start, place):
                    if commit in cut:
                        place = ""  # what was before it is not here
                        break
                    last = commit
                    if commit in known:
                        continue
                    known.add(commit)
                    told = read_trailers(message)
                    says = wanted in told.get("image-digest", ())
                    if only or digest:
                        if not (says if digest else only and only(told)):
                            continue
                    elif not says and len(known) > _MOST_COMPARED and not (also and also(told)):
                        continue
                    compared += 1
                    if compared > _ALONE and not (only or digest) and compared % _AT_ONCE == 3:
                        self._read_ahead(commit, place)
                    image = pick(self.entries_at(commit, place))
                    wanted = wanted or (image.digest if image else "")
                    yield Change.of(commit, image, message, by)
                if place:
                    start, place = f"{last}~1", self._moved_from(last, place) if last else ""
                    if not place:
                        return

    def said(self, tip: str, path: str) -> list[Change]:
        """Return what the commits say that changed the file, newest first, without reading it.

        As far as history was fetched; what a move left behind is not looked at.
        """
        return [Change.of(commit, None, text, by) for commit, by, text in self._written(tip, path)]

    def _read_ahead(self, commit: str, path: str) -> None:
        """Read a file from `commit` on, as the next commits that changed it left it."""
        raw = self._git.run(
            "log", "--format=%H", "--raw", "--no-abbrev", "--no-renames", f"--max-count={_AT_ONCE}",
            commit, "--", f":(top,literal){path}",
        )  # fmt: skip
        found, at = dict[tuple[str, str], str](), commit
        for line in raw.splitlines():
            if not line.startswith(":"):
                at = line or at
            elif (sha := line.split(" ")[3]).strip("0"):
                found[at, path] = sha
        self.read_all(list(found.values()))
        self._at |= found

    def landings(self, branch: str, path: str, pick: Pick) -> list[tuple[Change, int]]:
        """Return by what the file `path` of `branch` came to be what it is, oldest first.

        Each is a change as it is on the branch, and when it landed there, in Unix seconds: of a merged
        pull request the merge, with the message of the commit that was merged. What the file was called
        before a move is not looked at. All of history is read, in as many requests as it has hundreds.
        """
        tip = self.fetch(branch, depth=_DEPTHS[-1])
        told = dict[str, tuple[str, str, str]]()
        line, landed_by = self._main_line(tip)
        for commit, by, message in self._written(tip, path):
            # Of several in one pull request the newest, which comes first.
            told.setdefault(landed_by.get(commit, commit), (commit, by, message))
        raw = self._git.run(
            "log", "--first-parent", "-m", "--format=%H", "--raw", "--no-abbrev", "--no-renames",
            tip, "--", f":(top,literal){path}",
        )  # fmt: skip
        blobs, commit = dict[str, str](), ""
        for one in raw.splitlines():
            if one.startswith(":"):
                blobs[commit] = one.split(" ")[3]
            elif one:
                commit = one
        read = self._entries_of(list(dict.fromkeys(blobs.values())), path)
        found = []
        for commit in reversed(blobs):
            own = told.get(commit) or (commit, "", self.message(commit))
            image = pick(read.get(blobs[commit], ()))
            found.append((Change.of(own[0], image, own[2], own[1]), line[commit]))
        return found

    def _main_line(self, tip: str) -> tuple[dict[str, int], dict[str, str]]:
        """Return when each commit of the branch's own line was made, and for all by which of them they came."""
        log = self._git.run("log", "--format=%H %ct %P", tip)
        parents, made = dict[str, list[str]](), dict[str, int]()
        for record in log.splitlines():
            commit, moment, *others = record.split(" ")
            parents[commit], made[commit] = [one for one in others if one], int(moment)
        line = own_line(parents, tip)
        return {one: made[one] for one in line}, arrivals(parents, line)

    def _entries_of(self, blobs: Sequence[str], path: str) -> dict[str, tuple[Image, ...]]:
        """Return the entries of each state of a kustomization, by its hash; none where it can't be read."""
        found: dict[str, tuple[Image, ...]] = {}
        wanted = [one for one in blobs if one.strip("0")]
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            self.bring(some)
            for one, content in zip(some, self._git.blobs(some), strict=True):
                with suppress(InputError, UnicodeDecodeError):
                    found[one] = kustomization.read(content.decode("utf-8"), source=path)
        return found

    def _written(self, tip: str, path: str) -> Iterator[tuple[str, str, str]]:
        """Yield the commits that changed a file, newest first: (commit, its author's name, message)."""
        log = self._git.run("log", "-z", "--format=%H%n%an%n%B", tip, "--", f":(top,literal){path}")
        for record in log.split("\0"):
            commit, _, rest = record.partition("\n")
            by, _, message = rest.partition("\n")
            if commit:
                yield commit, by, message

    def _moved_from(self, commit: str, path: str) -> str:
        """Return what the file that `commit` added was called before it; empty for a new file."""
        words = ("-r", "-z", f"{commit}~1", commit, "--", *_NAMES)
        added_or_gone = self._git.completed(
            "diff-tree", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=AD", *words,
            check=False,
        )  # fmt: skip
        fields = added_or_gone.stdout.split("\0")[:-1:2]
        if not any(field.endswith(" D") for field in fields):
            return ""
        # What is compared is fetched before: diff-tree asks no server, and is given no credentials.
        compared = {sha for field in fields for sha in field.split(" ")[2:4] if sha.strip("0")}
        self.bring(sorted(compared))
        for sha in compared:
            self.blob(sha)
        done = self._git.run(
            "diff-tree", "--find-renames", "--diff-filter=R", "--name-status", *words
        )
        moved = done.split("\0")
        moves = zip(moved[1::3], moved[2::3], strict=False)
        return next((before for before, after in moves if after == path), "")

    def entries_at(self, commit: str, path: str) -> tuple[Image, ...]:
        """Return the entries of the kustomization `path` at `commit`; none where it can't be read."""
        sha = (
            self._at.get((commit, path))
            or self._git.run(
                "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False
            ).strip()
        )
        try:
            text = self.blob(sha).decode("utf-8") if sha else ""
            return kustomization.read(text, source=path) if text else ()
        except (InputError, UnicodeDecodeError):
            return ()
