"""The history of one overlay's file: each commit that changed it, and the entry as it left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from model_gitops.adapters.deploy_store import DeployStore
from model_gitops.core.deploy import kustomization
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
# How a moved kustomization may have been called.
_NAMES = tuple(f":(top,glob)**/{name}" for name in kustomization.FILE_NAMES)

# Which entry of a kustomization is meant, None where it has no such one.
Pick = Callable[[Sequence[Image]], Image | None]
# Whether the trailers of a commit, by lowercase key, say what is looked for.
Says = Callable[[Mapping[str, Sequence[str]]], bool]


class OverlayHistory(DeployStore):
    """A remote repository whose overlays are read with their history."""

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
            cut, last = self._cut_off() if depth < _DEPTHS[-1] else set(), ""
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
                        self.bring(self._files_from(commit, place))
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

    def _files_from(self, commit: str, path: str) -> list[str]:
        """Return the hashes of a file from `commit` on, as the next commits that changed it left it."""
        raw = self._git.run(
            "log", "--format=", "--raw", "--no-abbrev", "--no-renames", f"--max-count={_AT_ONCE}",
            commit, "--", f":(top,literal){path}",
        )  # fmt: skip
        return [line.split(" ")[3] for line in raw.splitlines() if line.startswith(":")]

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
        found = self._git.completed(
            "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False
        )
        try:
            text = self.blob(found.stdout.strip()).decode("utf-8") if found.stdout else ""
            return kustomization.read(text, source=path) if text else ()
        except (InputError, UnicodeDecodeError):
            return ()
