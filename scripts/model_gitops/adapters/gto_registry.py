"""The registry of versions and stages, as a repository's tags have it.

The server is asked once, for names. What a tag says besides, and the commit that it is at, is read where
a question needs it, and only then fetched, if it is not here: a job's checkout has few tags as a rule.
"""

from __future__ import annotations

import os.path
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress

from model_gitops.adapters import git, partial_clone, project_files
from model_gitops.core.gto import revision as revisions
from model_gitops.core.gto import tags
from model_gitops.core.gto.listing import Listing
from model_gitops.core.gto.model_tags import Event, ReadEvent
from model_gitops.errors import ExternalError

# So many tags are fetched by their names, more by what all names begin with.
_MOST_NAMED = 50
# As git finds the moment in an object's head.
_WRITTEN = re.compile(rb"^(?:tagger|committer) [^\n]*?> ([0-9]{1,12})", re.MULTILINE)
_SIGNATURE = re.compile(
    r"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----", re.MULTILINE
)


class Tags:
    """The tags of one place. `remote` is what they are fetched from, empty for the checkout's own."""

    def __init__(self, repository: git.Git, remote: str, refs: bytes) -> None:
        self._git, self._remote = repository, remote
        self.listing = Listing(refs, self._created, self._committed)
        self.registry = tags.Registry(self.listing)

    # --- what the server says ----------------------------------------------------------------------

    @classmethod
    def published(cls, repository: git.Git, remote: str, *patterns: str) -> Tags:
        """Ask the server for its tags, and for the refs of `patterns`: one request.

        Raises ExternalError.
        """
        with tempfile.TemporaryFile() as answer:
            repository.remote(
                "ls-remote", "--quiet", "--", remote, "refs/tags/*", *patterns, output=answer
            )
            answer.seek(0)
            return cls(repository, remote, answer.read())

    @classmethod
    def own(cls, repository: git.Git) -> Tags:
        """Read the checkout's own tags."""
        with tempfile.TemporaryFile() as answer:
            # Its status is 1 where there is no tag.
            repository.completed("show-ref", "--tags", "--dereference", check=False, output=answer)
            answer.seek(0)
            return cls(repository, "", answer.read())

    @classmethod
    def known(cls, repository: git.Git, remote: str = "origin") -> Tags:
        """Return the server's tags, for reading; where there is no server, the checkout's own.

        A complete checkout of a repository that can't be reached any more (no credentials were
        kept) serves as it is, with a warning. Raises ExternalError for a shallow one, as a missing
        tag there would be read as "no version yet".
        """
        if not repository.has_remote(remote):
            return cls.own(repository)
        try:
            return cls.published(repository, remote)
        except ExternalError as error:
            repository.use_own_tags(remote, error)
            return cls.own(repository)

    # --- what the objects say ----------------------------------------------------------------------

    def _created(self, events: Sequence[Event]) -> list[int]:
        self._bring(events)
        return self._moments([one.object for one in events])

    def _committed(self, events: Sequence[Event]) -> list[int]:
        self._bring(events)
        commits = list(dict.fromkeys(one.commit for one in events))
        made = dict(zip(commits, self._moments(commits), strict=True))
        return [made[one.commit] for one in events]

    def _moments(self, objects: Sequence[str]) -> list[int]:
        found = []
        for content in self._git.each_object(objects):
            written = _WRITTEN.search(content, 0, content.find(b"\n\n"))
            found.append(int(written[1]) if written else 0)
        return found

    def _bring(self, events: Sequence[Event]) -> None:
        """Fetch those of these tags that are not here, with their commits: one request."""
        if not self._remote or not events:
            return
        names = [one.name for one in events]
        start = _common(names)
        asked = names if len(names) <= _MOST_NAMED else [f"{start}*", f"{start}*/**"]
        here = self._git.objects_of(*(f"refs/tags/{one}" for one in asked))
        names = [one.name for one in events if one.object not in here]
        if len(names) > _MOST_NAMED:
            names = [f"{_common(names)}*"]
        if names:
            self._git.remote(
                "fetch", "--quiet", "--no-recurse-submodules", "--no-tags", "--no-prune", "--force",
                *self._git.flat_depth(), "--", self._remote,
                *(f"+refs/tags/{name}:refs/tags/{name}" for name in names),
            )  # fmt: skip

    # --- what a question needs ---------------------------------------------------------------------

    def commit_of(self, model: str, revision: str) -> str | None:
        """Return the commit of a version, a stage, or what else Git knows by this name; None for nothing.

        Raises RefusedError for what was taken back.
        """
        if found := revisions.current(self.registry, model, revision):
            return self._git.find_commit(found.commit)
        self.bring(revision)
        return self._git.find_commit(revision)

    def bring(self, revision: str) -> None:
        """Fetch the tag of any kind that `revision` names, where it is not here as the server has it."""
        name = revisions.tag_name(revision).removeprefix("refs/").removeprefix("tags/")
        ref = f"refs/tags/{name}"
        wanted = self.listing.object_of(ref)
        # It may be here as it was before somebody moved it.
        if wanted and self._remote and wanted not in self._git.objects_of(ref):
            self._git.try_fetch(f"+{ref}:{ref}", *self._git.flat_depth())

    def with_model(self, model: str, model_hash: str) -> Iterator[tags.Version]:
        """Yield the versions of `model` in whose commits DVC's files have `model_hash`, highest first.

        A commit may have the hash for another reason: whoever asks looks closer.
        """
        if not model_hash:
            return
        events = self.registry.events(model)
        commits = list(dict.fromkeys(one.commit for one in events))
        # Of a commit that a partial clone lacks git would ask the server, one by one.
        tops = b"" if partial_clone.may_be(self._git) else self._git.trees_of(commits)
        if tops.count(b"\n") < len(commits):
            self._bring(events)
            tops = self._git.trees_of(commits)
        # As a rule a model that is asked about is a new one.
        if not project_files.has(self._git, model_hash, commits, tops):
            return
        versions = {one.commit: one for one in self.registry.versions(model)}
        highest_first = list(versions)[::-1]
        for commit in project_files.commits_with(self._git, model_hash, highest_first):
            yield versions[commit]

    def messages(self, text: str) -> dict[str, str]:
        """Return the messages of all models' version tags in which `text` stands, by their names.

        The first paragraph and a signature are left out.
        """
        if not self._is_said(text.encode()):
            return {}
        events = self.listing.versions()
        self._bring(events)
        objects = [one.object for one in events]
        found = {}
        for event, content in zip(events, self._git.each_object(objects), strict=True):
            if text.encode() in content:
                found[event.name] = _body(content)
        return found

    def _is_said(self, text: bytes) -> bool:
        """Whether `text` may stand in a version's tag: as a rule it stands in none. False is sure."""
        if partial_clone.may_be(self._git):
            return True
        objects = "\n".join(self.listing.version_objects()).encode()
        with suppress(ExternalError):
            return any(text in some for some in self._git.object_chunks(objects))
        return True  # they are not all here yet

    def message(self, name: str) -> str:
        """Return the message of the tag `name`, as `messages` does; empty where there is none."""
        found = self.listing.object_of(f"refs/tags/{name}")
        if not found:
            return ""
        self._bring([ReadEvent(name, "", found, "register")])
        content = next(iter(self._git.each_object([found])), b"")
        return _body(content) if content.startswith(b"object ") else ""


def _common(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    return os.path.commonprefix(names)  # noqa: RUF071 - their letters, not their folders


def _body(tag: bytes) -> str:
    message = tag.partition(b"\n\n")[2].decode("utf-8", errors="replace").lstrip("\n")
    return _SIGNATURE.split(message.partition("\n\n")[2], maxsplit=1)[0]
