"""What the deploy repository's history tells: by which commit an image came, and from where.

An image is followed by what its entry is in the file of each commit, one entry at a time: two images
may have one digest, and a commit may set several. Messages say where an image comes from. A squash
merge may lose them: then the commit that was squashed still says it, and is found by the number of its
pull request. History is fetched only as deep as a question needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from model_gitops.adapters import commit_search
from model_gitops.adapters.deploy_store import KustomizationFile
from model_gitops.adapters.git_store import Store
from model_gitops.adapters.overlay_history import OverlayHistory
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.deployment import OUR_BRANCHES
from model_gitops.core.deploy.entry import is_said_again, is_same_image, named, renamed
from model_gitops.core.deploy.guard import Change
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import digests_of, origin_of, read_trailers, trailers_of
from model_gitops.errors import InputError

# How much history is looked at: the last commit tells as a rule, and all of it (git's own number for
# that) where production waits for months in a busy repository. Files' bytes are never among it.
_DEPTHS = (2, 50, 500, 2**31 - 1)
# After so many of these steps commits are looked through without their trees first.
_NEAR = 2
# Of so many commits the file itself is read; of all others the trailers only.
_MOST_COMPARED = 50
# So many files are fetched in one request.
_AT_ONCE = 40
# Of so many changes that say nothing the pull request is looked for, each of so many commits.
_MOST_SQUASHED, _MOST_OF_A_PULL_REQUEST = 5, 20

# The numbers of the pull requests that a commit came by.
Pulls = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class _Commit:
    """A commit, and the file asked about before and after it: a pair of hashes for each parent."""

    commit: str
    message: str
    files: tuple[tuple[str, str], ...] = ()

    @property
    def trailers(self) -> dict[str, list[str]]:
        return read_trailers(self.message)


@dataclass(frozen=True)
class _Told:
    """What `past` is without all trees, as far as a tip; and whether that was near it, with the tip's folders."""

    tip: str
    past: tuple[Change, ...]
    is_near: bool


class DeployHistory(OverlayHistory):
    """A remote repository whose commits say what was deployed.

    A `Change` is one of an entry of `images`: the commit that made it on the branch, what it set, by
    the entry's present name, and the trailers that speak of it, by lowercase key, where a squash merge lost them too. `pulls`
    answers by which merged pull requests a commit came; without it only the number tells that a squash
    merge writes into the subject, as in `Deploy diabetes v1.2.3 to production (#12)`.
    """

    def __init__(self, store: Store, url: str) -> None:
        super().__init__(store, url)
        self._read: dict[str, tuple[Image, ...]] = {}
        self._asked: dict[tuple[str, str, bool], Change] = {}
        self._by_number: set[str] = set()
        # What commits told of an image without all trees, and at which tip: None where they can't.
        self._found: dict[tuple[str, str, Image, str], _Told | None] = {}

    @cached_property
    def _alone(self) -> Store:
        """A store for commits alone: a server takes one that is here for a promise of all its trees."""
        folder = self._git.directory / "commits"
        folder.mkdir()
        return Store(folder, self.url, self._git.credentials)

    def fetch_to_push(self, branch: str, folder: str, repository: str) -> str:
        """Fetch the tip of `branch`, of which a file in `folder` is to change, and return its commit.

        `past` may be asked of that file then, for `repository`; without one nothing is asked of the history.
        Only the trees on the way come, where the server can leave out others.
        """
        self.only(folder, commits=commit_search.NEAR if repository else 1, repository=repository)
        return self.fetch(branch, depth=_DEPTHS[0] if repository else 1)

    def past(
        self,
        branch: str,
        file: KustomizationFile,
        image: Image,
        repository: str,
        *,
        pulls: Pulls | None = None,
    ) -> tuple[Change, ...]:
        """Return the changes of `image` on `branch`, newest first, to the first that says its origin.

        A change by hand says nothing: what was deployed before it counts on. Where the message of the
        newest was lost, its pull request tells, else by which commit of `repository` its digest was
        deployed first. Where the file itself came by a move, its digest tells in the same way. Of an
        image that is a placeholder these are all changes: a revert of all deployments looks like that.
        """
        if self.is_narrow():
            past = self._told_by_commits(branch, file, image, repository, pulls)
            if past is not None:
                return past
            self.all_trees()
        found: list[Change] = []
        for number, depth in enumerate(_DEPTHS):
            # Where a newer change says nothing, all that was between must be looked at.
            if number == _NEAR and not found:
                past = self._told_by_commits(branch, file, image, repository, pulls)
                if past is not None:
                    return past
            tip = self.at_depth(branch, depth)
            commits, is_whole = self._log_to_the_cut(tip, file.path)
            found = []
            for one in self._changes(commits, file.path, image):
                told = one
                if len(found) < _MOST_SQUASHED:
                    told = self.told(one, tip, file.path, pulls, branches=True)
                found.append(told)
                if image.is_placeholder:
                    continue
                # One of our branches that was left behind says less than the branch itself.
                if told.origin and (told is one or told.told_by in self._by_number):
                    return self._with_digest_told(found, tip, repository)
            if is_whole:
                if deployed := self._deployments_of(tip, image, repository):
                    return (*found, deployed[0])
                if not self._git.cut_off() or not image.digest:
                    return tuple(found)
        return ()

    def _told_by_commits(
        self,
        branch: str,
        file: KustomizationFile,
        image: Image,
        repository: str,
        pulls: Pulls | None,
    ) -> tuple[Change, ...] | None:
        """Return what `past` does, if commits say it that are found at a small price; None to look closer.

        After a race that was lost only what came meanwhile is looked through.
        """
        key = (branch, file.path, image, repository)
        known = self._found.get(key)
        if image.is_placeholder or (key in self._found and known is None):
            return None
        self._found[key] = None
        near = self._near(branch)
        if known and known.is_near != (near is not None):
            known = None
        since, past = (known.tip, known.past) if known else ("", ())
        place = near or commit_search.Commits(self._alone, branch)
        commits: list[_Commit] = []
        with suppress(commit_search.UntoldError):
            found = self._first_said(place, commits, file.path, image, repository, since)
            if not found and near and not known:
                far = near.followed_by(self._alone)
                found = self._first_said(far, commits, file.path, image, repository)
            past = found or past
            if past and is_same_image(past[0].image, image):
                if len(past) > 1:
                    if self._may_say_more(past[:-1], pulls):
                        return None
                    past = self._with_digest_told(list(past), place.tip(), repository)
                self._found[key] = _Told(place.tip(), past, near is not None)
                return past
        return None

    def _near(self, branch: str) -> commit_search.NearCommits | None:
        """Return the newest commits of a branch, where they came with its tip and not all their trees."""
        if self._narrow is None or not self._narrow.is_used or not self._narrow.has_commits:
            return None
        return commit_search.NearCommits(self._git, branch, self._narrow)

    def _first_said(
        self,
        place: commit_search.Commits,
        commits: list[_Commit],
        path: str,
        image: Image,
        repository: str,
        since: str = "",
    ) -> tuple[Change, ...]:
        """Return the changes of `image` to the first that says its origin itself; nothing where none changed it.

        `commits` are those that changed the file, and take more. Raises UntoldError where one says nothing:
        near the tip only, and as far as each stands on the next, what was before it may be asked.
        """
        is_near = isinstance(place, commit_search.NearCommits) and not since
        changes: tuple[Change, ...] = ()
        for one, files in commit_search.changing(place, path, repository, since):
            commits.append(_Commit(one.commit, one.message, files))
            changes = tuple(self._changes(commits, path, image))
            if changes and changes[-1].origin is not None:
                break
            if changes and not is_near:
                raise commit_search.UntoldError
        is_said = not changes or changes[-1].origin is not None
        if not is_said or (len(changes) > 1 and not _is_one_line(commits)):
            raise commit_search.UntoldError
        return changes

    def _may_say_more(self, changes: Sequence[Change], pulls: Pulls | None) -> bool:
        """Whether the server has a pull request or a branch of ours that may tell of these changes."""
        refs = [f"refs/heads/{OUR_BRANCHES}*"]
        for one in changes[:_MOST_SQUASHED]:
            refs += self._requests(one, pulls)
        return bool(self._git.remote_refs("origin", *refs))

    def image_of(self, branch: str, fingerprint: str, name: str, folders: Sequence[str]) -> str:
        """Return the digest of the newest image `name` deployed with this fingerprint, or "".

        A commit's trailers are believed where `branch` has the commit, and where by it the
        kustomization of one of `folders` came to set this very image. Commits come without their
        trees, some hundred bytes each: all of history is looked at.
        """
        tip = self.fetch(branch, depth=_DEPTHS[-1], without="tree:0")
        for one in self._log(tip, saying=fingerprint)[:_MOST_COMPARED]:
            for digest in digests_of(one.trailers, fingerprint):
                if any(self._sets(one.commit, folder, name, digest) for folder in folders):
                    return digest
        return ""

    def _sets(self, commit: str, folder: str, name: str, digest: str) -> bool:
        """Whether the overlay `folder` sets the image `name@digest` by this very commit."""
        after = [
            one
            for one in self._entries(commit, folder)
            if (one.new_name or one.name, one.digest) == (name, digest)
        ]
        return bool(after) and not set(after) <= set(self._entries(f"{commit}~1", folder))

    def _entries(self, commit: str, folder: str) -> tuple[Image, ...]:
        """Return the entries of an overlay at `commit`; what was left out of the fetch is fetched."""
        for path in kustomization.paths_in(folder):
            if (text := self._git.file_at(commit, path)) is not None:
                try:
                    return kustomization.read(text, source=path)
                except InputError:
                    return ()
        return ()

    # --- one entry, back through history ---------------------------------------------------------------

    def _changes(self, commits: Sequence[_Commit], path: str, image: Image) -> Iterator[Change]:
        """Yield the changes of the entry `image.name`, newest first, also where a person renamed it.

        Of the newest commits each is read, of the others those that say something of a deployment.
        """
        name = image.name
        wanted = [
            one
            for number, one in enumerate(commits)
            if number < _MOST_COMPARED or origin_of(one.trailers)
        ][: 2 * _MOST_COMPARED]
        for number, one in enumerate(wanted):
            if number % _AT_ONCE == 0:
                ahead = wanted[number : number + _AT_ONCE]
                self.bring([blob for each in ahead for pair in each.files for blob in pair])
            now = self._images(one.files[0][1], path) if one.files else ()
            after = named(now, name)
            earlier = [self._images(old, path) for old, _ in one.files]
            before = [named(images, name) for images in earlier]
            trailers = trailers_of(one.message, after.digest) if after else {}
            if after is None or (
                after in before and not is_said_again(after, trailers, now, earlier)
            ):
                continue
            if origin_of(one.trailers) is None and (old := renamed(after, now, earlier)):
                name = old.name
                continue
            made = replace(after, name=image.name)
            yield Change(one.commit, made, trailers, one.commit)

    def _images(self, blob: str, path: str) -> tuple[Image, ...]:
        """Return the entries of a kustomization by its hash; none where there is no such file."""
        if not blob.strip("0"):
            return ()
        if blob not in self._read:
            try:
                text = self.blob(blob).decode("utf-8")
                self._read[blob] = kustomization.read(text, source=path)
            except (InputError, UnicodeDecodeError):
                self._read[blob] = ()
        return self._read[blob]

    # --- where a message was lost -----------------------------------------------------------------------

    def told(
        self, change: Change, tip: str, path: str, pulls: Pulls | None, *, branches: bool = False
    ) -> Change:
        """Return `change` with the trailers of its pull request, where its own message lost them.

        With `branches` one of our own branches may tell too. It is good enough to hold an older image
        back, and for nothing more: whoever may write any branch may write that one.
        """
        if change.origin is not None:
            return change
        key = (change.commit, change.image.name, branches)
        if key not in self._asked:
            told = self._squashed(change, tip, path, self._requests(change, pulls))
            if told is None and branches:
                told = self._squashed(change, tip, path, [f"refs/heads/{OUR_BRANCHES}*"])
            elif told is not None:
                self._by_number.add(told.told_by)
            self._asked[key] = told or change
        return self._asked[key]

    def _requests(self, change: Change, pulls: Pulls | None) -> list[str]:
        """Return the refs of the pull requests that a change came by."""
        subject = self.message(change.commit).partition("\n")[0]
        # The server wrote the number of the pull request at the end.
        named = re.search(r"\(#([0-9]{1,9})\)$", subject)
        numbers = [int(named[1])] if named else list(pulls(change.commit) if pulls else ())
        return [f"refs/pull/{number}/head" for number in numbers[:3]]

    def _squashed(self, change: Change, tip: str, path: str, refs: Sequence[str]) -> Change | None:
        """Return `change` with what the commit says that was squashed into it, or None."""
        heads = self._git.remote_refs("origin", *refs) if refs else {}
        wanted = list(heads)[:_MOST_OF_A_PULL_REQUEST]
        if wanted:
            self._git.remote(
                "fetch", "--quiet", "--no-tags", "--filter=blob:none",
                f"--depth={_MOST_OF_A_PULL_REQUEST}", "--", "origin",
                *(f"+{one}:refs/model-gitops/{one.removeprefix('refs/')}" for one in wanted),
            )  # fmt: skip
        for ref in wanted:
            commits, _ = self._log_to_the_cut(heads[ref], path)
            found = self._changes(commits[:_MOST_OF_A_PULL_REQUEST], path, change.image)
            brought = next((one for one in found if one.image == change.image), None)
            if brought is None or brought.origin is None or self.is_merged(brought.commit, tip):
                continue
            return replace(change, trailers=brought.trailers, told_by=brought.commit)
        return None

    def _with_digest_told(
        self, found: list[Change], tip: str, repository: str
    ) -> tuple[Change, ...]:
        """Let the first deployment of the newest digest speak for it, where no change of it does."""
        newest = found[0]
        is_said = any(one.origin and is_same_image(one.image, newest.image) for one in found)
        if newest.image.digest and not is_said:
            deployed = self._deployments_of(tip, newest.image, repository)
            if deployed:
                first = deployed[-1]
                found[0] = replace(newest, trailers=first.trailers, told_by=first.commit)
        return tuple(found)

    def _deployments_of(self, tip: str, image: Image, repository: str) -> list[Change]:
        """List the deployments of an image's digest from `repository`, to whichever file."""
        found = []
        for one in self._log(tip, saying=image.digest) if image.digest else ():
            trailers = trailers_of(one.message, image.digest)
            origin = origin_of(trailers)
            is_from = origin is not None and origin.repository.lower() == repository.lower()
            if is_from and image.digest in trailers.get("image-digest", ()):
                found.append(Change(one.commit, image, trailers, one.commit))
        return found

    # --- the log ----------------------------------------------------------------------------------------

    def _log_to_the_cut(self, tip: str, path: str) -> tuple[list[_Commit], bool]:
        """List the commits that changed the file `path`, newest first, to where history is cut off.

        Also whether these are all: none of them is where the history that was fetched ends.
        """
        cut = self._git.cut_off()
        known: dict[str, list[tuple[str, str]]] = {}
        raw = self._git.run(
            "log", "--format=%H", "--raw", "--no-abbrev", "--no-renames", "-m",
            tip, "--", f":(top,literal){path}",
        )  # fmt: skip
        commit = ""
        for line in raw.splitlines():
            if line.startswith(":"):
                known.setdefault(commit, []).append((line.split(" ")[2], line.split(" ")[3]))
            elif line:
                commit = line
        listed: list[_Commit] = []
        for one in self._log(tip, path):
            if one.commit in cut:
                return listed, False
            files = tuple(known.get(one.commit, ()))
            listed.append(_Commit(one.commit, one.message, files))
        return listed, True

    def _log(self, tip: str, path: str = "", *, saying: str = "") -> list[_Commit]:
        """List the commits that changed the file `path`, or all, newest first.

        With `saying` only those whose message has this text.
        """
        only = ["--", f":(top,literal){path}"] if path else []
        grep = ["--fixed-strings", f"--grep={saying}"] if saying else []
        log = self._git.run("log", "-z", "--format=%H%n%B", *grep, tip, *only)
        records = (record.partition("\n") for record in log.split("\0") if record)
        return [_Commit(commit, message) for commit, _, message in records]


def _is_one_line(commits: Sequence[_Commit]) -> bool:
    """Whether each of these commits found the file as the next one, which is before it, had left it."""
    return all(
        older.files[0][1] in [before for before, _ in newer.files]
        for newer, older in pairwise(commits)
    )
