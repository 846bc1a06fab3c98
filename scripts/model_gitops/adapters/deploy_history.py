"""What the deploy repository's history tells: by which commit an image came, and from where.

History is fetched only as deep as a question needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_gitops.adapters.deploy_store import DeployStore, KustomizationFile
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.trailers import digests_of, origin_of, read_trailers
from model_gitops.errors import InputError

# How much history is looked at: one commit tells as a rule, and all of it (git's own number for that)
# where production waits for months in a busy repository. Files' bytes are never among it.
_DEPTHS = (1, 50, 500, 2**31 - 1)
# The same for who also asks how a commit got onto the branch.
DEEPER = _DEPTHS[1:]
# Of so many commits the file itself is read; of all others the trailers only.
_MOST_COMPARED = 50


@dataclass(frozen=True)
class Deployment:
    """The commit that last changed an image, and its trailers by lowercase key."""

    commit: str
    trailers: Mapping[str, list[str]]


class DeployHistory(DeployStore):
    """A remote repository whose commits say what was deployed."""

    def last_change(
        self,
        branch: str,
        file: KustomizationFile,
        image: kustomization.Image,
        *,
        depths: Sequence[int] = _DEPTHS,
    ) -> Deployment | None:
        """Return the commit that gave `image` its present state on `branch`, or None.

        None means that it was always so. The cost does not grow with history: as a rule the tip, or
        the digest in a commit's trailers, tells.
        """
        for depth in depths:
            tip = self.fetch(branch, depth=depth)
            cut = self._cut_off()
            for number, one in enumerate(self._log(tip, file.path)):
                if image.digest and image.digest in one.trailers.get("image-digest", ()):
                    return one
                if one.commit in cut:
                    break
                if number >= _MOST_COMPARED:
                    continue
                if self.image_at(f"{one.commit}~1", file.path, image.name) != image:
                    return one
            else:
                return None
        return None

    def find_deployment(self, branch: str, path: str, name: str, digest: str) -> str:
        """Return the last deploy commit by which the entry `name` of the file `path` had `digest`.

        Empty where none ever did, by all of the branch's history.
        """
        for depth in DEEPER:
            tip = self.fetch(branch, depth=depth)
            for one in self._log(tip, path):
                if digest in one.trailers.get("image-digest", ()):
                    image = self.image_at(one.commit, path, name)
                    if image and image.digest == digest:
                        return one.commit
            if not self._cut_off():
                break
        return ""

    def was_deployed(self, branch: str, path: str) -> bool:
        """Whether a deployment ever changed the file `path`: some commit of it says a digest."""
        tip = self.fetch(branch, depth=_DEPTHS[-1])
        return any(one.trailers.get("image-digest") for one in self._log(tip, path))

    def last_origin(
        self, branch: str, file: KustomizationFile, image: kustomization.Image, repository: str
    ) -> Deployment | None:
        """Return the last commit on `branch` that set `image` and says where it comes from, or None.

        A change by hand says nothing of that: what was deployed before it counts on. Where the file
        itself came by a move, its image's digest, deployed from `repository`, tells.
        """
        for depth in _DEPTHS:
            tip = self.fetch(branch, depth=depth)
            cut = self._cut_off()
            compared = 0
            for one in self._log(tip, file.path):
                says = origin_of(one.trailers) is not None
                if says and image.digest and image.digest in one.trailers.get("image-digest", ()):
                    return one
                if one.commit in cut:
                    break
                if says and compared < _MOST_COMPARED:
                    compared += 1
                    before = self.image_at(f"{one.commit}~1", file.path, image.name)
                    if before != self.image_at(one.commit, file.path, image.name):
                        return one
            else:
                if found := self._deployed(tip, image.digest, repository):
                    return found
                if not cut or not image.digest:
                    return None
        return None

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

    def _entries(self, commit: str, folder: str) -> tuple[kustomization.Image, ...]:
        """Return the entries of an overlay at `commit`; what was left out of the fetch is fetched."""
        for file in kustomization.FILE_NAMES:
            path = file if folder == "." else f"{folder}/{file}"
            if (text := self._git.file_at(commit, path)) is not None:
                try:
                    return kustomization.read(text, source=path)
                except InputError:
                    return ()
        return ()

    def _deployed(self, tip: str, digest: str, repository: str) -> Deployment | None:
        """Return the last commit that deployed `digest` from `repository`, to whichever file."""
        for one in self._log(tip) if digest else ():
            origin = origin_of(one.trailers)
            is_from = origin is not None and origin.repository.lower() == repository.lower()
            if is_from and digest in one.trailers.get("image-digest", ()):
                return one
        return None

    def _log(self, tip: str, path: str = "", *, saying: str = "") -> list[Deployment]:
        """List the commits that changed the file `path`, or all, newest first.

        With `saying` only those whose message has this text.
        """
        only = ["--", f":(top,literal){path}"] if path else []
        grep = ["--fixed-strings", f"--grep={saying}"] if saying else []
        log = self._git.run("log", "-z", "--format=%H%n%B", *grep, tip, *only)
        records = (record.partition("\n") for record in log.split("\0") if record)
        return [Deployment(commit, read_trailers(message)) for commit, _, message in records]
