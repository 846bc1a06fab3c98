"""The deploy repository: read and changed through Git's object store, without a work tree.

Only one file of it is ever downloaded, and byte by byte: no checkout filter, hook or symbolic link
has a say. History is fetched only as deep as a question needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from model_gitops.adapters import git, git_credentials, process, scratch
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.location import Location, check_token
from model_gitops.core.deploy.trailers import digests_of, origin_of, read_trailers
from model_gitops.errors import ExternalError, InputError

# ext::, git:// and other helpers of git run programs, or prove nothing.
_PROTOCOLS = "https:http:ssh:file"
# How much history is looked at: one commit tells as a rule, and all of it (git's own number for that)
# where production waits for months in a busy repository. Files' bytes are never among it.
_DEPTHS = (1, 50, 500, 2**31 - 1)
# The same for who also asks how a commit got onto the branch.
DEEPER = _DEPTHS[1:]
# Of so many commits the file itself is read; of all others the trailers only.
_MOST_COMPARED = 50


@dataclass(frozen=True)
class KustomizationFile:
    """A kustomization at one commit. `path` is relative to the top, `mode` is Git's."""

    path: str
    mode: str
    text: str


@dataclass(frozen=True)
class Deployment:
    """The commit that last changed an image, and its trailers by lowercase key."""

    commit: str
    trailers: Mapping[str, list[str]]


@dataclass(frozen=True)
class Refs:
    """The remote's branches that matter, as one answer: name → commit."""

    default: str
    branches: Mapping[str, str]


class DeployRepository:
    """A remote repository, and the temporary object store for what is fetched of it."""

    def __init__(self, store: git.Git, url: str) -> None:
        self._git = store
        self.url = url

    def refs(self, *branches: str) -> Refs:
        """Ask the remote for its default branch and for `branches`: one request."""
        names = [f"refs/heads/{branch}" for branch in branches]
        # Every branch is asked for where none is named: the default branch must be among them.
        names = names or ["refs/heads/*"]
        answer = self._git.remote("ls-remote", "--symref", "--", "origin", "HEAD", *names)
        default, found = "", {}
        for line in answer.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: refs/heads/") and name == "HEAD":
                default = value.removeprefix("ref: refs/heads/")
            elif name.startswith("refs/heads/"):
                found[name.removeprefix("refs/heads/")] = value
        return Refs(default, found)

    def fetch(self, branch: str, *, depth: int = 1, without: str = "blob:none") -> str:
        """Fetch the tip of `branch`, trees without files, and return its commit.

        `without` is what is left out of the answer, as git's `--filter` has it.
        """
        local = f"refs/remotes/origin/{branch}"
        self._git.remote(
            "fetch", "--quiet", "--no-tags", f"--filter={without}", f"--depth={depth}",
            "--", "origin", f"+refs/heads/{branch}:{local}",
        )  # fmt: skip
        return self._git.run("rev-parse", "--verify", "--quiet", local).strip()

    def read_kustomization(self, commit: str, folder: str) -> KustomizationFile:
        """Read the kustomization of `folder`. Raises InputError where there is not exactly one."""
        listing = self._tree(commit, folder)
        found = [name for name in kustomization.FILE_NAMES if name in listing]
        shown = f"folder {folder!r} of {self.url}"
        if not found:
            others = ", ".join(sorted(listing)[:20]) or "nothing"
            problem = f"the {shown} has no kustomization.yaml; it holds {others}"
            raise InputError.of("path", folder, problem, fix="path: overlays/dev")
        if len(found) > 1:
            problem = f"the {shown} has {' and '.join(found)}; kustomize takes only one"
            raise InputError.of("path", folder, problem, fix=f"git rm {found[1]}")
        mode, sha = listing[found[0]]
        path = found[0] if folder == "." else f"{folder}/{found[0]}"
        if mode not in ("100644", "100755"):
            raise InputError.of(
                "path", folder, f"{path} is a symbolic link or no file", fix="give its target"
            )
        try:
            text = self._blob(sha).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} of {self.url} is not UTF-8", fix="save it as UTF-8"
            ) from error
        return KustomizationFile(path, mode, text)

    def parents(self, commit: str) -> list[str]:
        """Return the parents that the commit names, also where history is cut off."""
        head = self._git.run("cat-file", "commit", commit).partition("\n\n")[0]
        return [line[7:] for line in head.splitlines() if line.startswith("parent ")]

    def message(self, commit: str) -> str:
        """Return the message of a commit."""
        return self._git.run("cat-file", "commit", commit).partition("\n\n")[2]

    def commit(self, parent: str, file: KustomizationFile, message: str) -> str:
        """Write a commit on `parent` that changes only `file`, and return its hash."""
        blob = self._git.run(
            "hash-object", "-w", "--stdin", "--no-filters", input=file.text
        ).strip()
        index = {"GIT_INDEX_FILE": str(self._git.directory / "index.model-gitops")}
        self._git.run("read-tree", parent, env=index)
        entry = f"{file.mode},{blob},{file.path}"
        self._git.run("update-index", "--cacheinfo", entry, env=index)
        tree = self._git.run("write-tree", "--missing-ok", env=index).strip()
        done = self._git.run(
            "commit-tree", tree, "-p", parent, "-F", "-", input=message, env=self._git.identity()
        )
        return done.strip()

    def push(self, commit: str, branch: str, *, expected: str | None = None) -> None:
        """Move `branch` to `commit`.

        Without `expected` only forward. With it, from exactly that commit (empty: the branch must
        be new) to anywhere: for a branch that is our own. Raises LostRace where somebody was first.
        """
        ref = f"refs/heads/{branch}"
        lease = [] if expected is None else [f"--force-with-lease={ref}:{expected}"]
        try:
            self._git.remote(
                "push", "--quiet", "--porcelain", "--no-verify", *lease,
                "--", "origin", f"{commit}:{ref}",
            )  # fmt: skip
        except process.ProcessError as error:
            said = error.completed.stderr + error.completed.stdout
            if any(
                text in said for text in ("hook declined", "GH006", "GH013", "protected branch")
            ):
                raise ExternalError(
                    f"{self.url} does not take a push to {branch}: {error.message}",
                    fix="the branch is protected: use `mode: pull-request`, or let the token's app"
                    " (or the deploy key) bypass the rule",
                ) from error
            raise

    def remove(self, branch: str, *, expected: str) -> None:
        """Remove a branch that is our own, if it is still at `expected`; a failure is no matter."""
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:{expected}"
        self._git.completed(
            "push", "--quiet", "--no-verify", lease, "--", "origin", f":{ref}", check=False
        )

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

    def landed(self, branch_tip: str, commit: str) -> tuple[str, int]:
        """Return the commit by which `commit` got onto the branch, and when (Unix seconds).

        Of a merged pull request that is the merge. It looks as far as history was fetched.
        """
        later = self._git.run("rev-list", "--first-parent", "--reverse", f"{commit}..{branch_tip}")
        arrived = commit
        for one in later.split():
            # As a rule the first answers: what came later stands on what is there.
            if self._git.is_ancestor(commit, one):
                first = self.parents(one)[0]
                arrived = commit if self._git.is_ancestor(commit, first) else one
                break
        return arrived, int(self._git.run("log", "-1", "--format=%ct", arrived))

    def is_merged(self, commit: str, branch_tip: str) -> bool:
        """Whether `commit` is in the branch's history, as far as that was fetched."""
        return self._git.is_ancestor(commit, branch_tip)

    def image_at(self, commit: str, path: str, name: str) -> kustomization.Image | None:
        """Return the entry `name` of the kustomization `path` at `commit`; None where it has none."""
        found = self._git.completed(
            "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False
        )
        if found.returncode != 0:
            return None
        try:
            text = self._blob(found.stdout.strip()).decode("utf-8")
            return kustomization.find(kustomization.read(text, source=path), name, source=path)
        except (InputError, UnicodeDecodeError):
            return None

    def _tree(self, commit: str, folder: str) -> dict[str, tuple[str, str]]:
        """List a folder: name → (mode, hash). Raises InputError where it is none."""
        expression = f"{commit}:" if folder == "." else f"{commit}:{folder}"
        done = self._git.completed("ls-tree", "-z", expression, check=False)
        if done.returncode != 0:
            raise InputError.of(
                "path", folder, f"{self.url} has no such folder{self._link_in(commit, folder)}",
                fix="path: overlays/dev",
            )  # fmt: skip
        found = {}
        for entry in done.stdout.split("\0"):
            if entry:
                fields, _, name = entry.partition("\t")
                mode, _, sha = fields.split(" ")
                found[name] = (mode, sha)
        return found

    def _link_in(self, commit: str, folder: str) -> str:
        parts = folder.split("/")
        for count in range(1, len(parts) + 1):
            prefix = "/".join(parts[:count])
            listing = self._git.completed("ls-tree", commit, "--", prefix, check=False).stdout
            if listing.startswith("120000"):
                return f": {prefix!r} is a symbolic link"
            if listing.startswith("160000"):
                return f": {prefix!r} is a submodule"
        return ""

    def _blob(self, sha: str) -> bytes:
        """Return a file's bytes."""
        self._git.remote("cat-file", "-s", sha)  # fetches what the clone left out
        return self._git.blobs([sha])[0]

    def _cut_off(self) -> set[str]:
        file = self._git.directory / "shallow"
        return set(file.read_text(encoding="ascii").split()) if file.exists() else set()


def check_secrets(location: Location, token: str, ssh_key: str, server_url: str) -> None:
    """Refuse credentials that do not fit the place, `server_url` being theirs. Raises InputError."""
    if token and ssh_key:
        raise InputError(
            "inputs `token` and `ssh-key` are both given; one of them is enough",
            fix="leave `ssh-key` out, or leave `token` out",
        )
    if token and location.scheme == "ssh":
        problem = "`token` is for http and https; this URL is for ssh"
        fix = f"repository: {location.slug or 'owner/name'}"
        raise InputError.of("repository", location.url, problem, fix=fix)
    if token:
        check_token(location, server_url)
    if ssh_key and location.scheme in ("http", "https"):
        problem = "`ssh-key` is for ssh; this URL is for http"
        fix = f"repository: git@{location.host}:{location.slug}.git"
        raise InputError.of("repository", location.url, problem, fix=fix)


@contextmanager
def connected(
    location: Location, token: str, ssh_key: str, known_hosts: str = ""
) -> Iterator[DeployRepository]:
    """Open the deploy repository with what proves who we are; say so where nothing was given."""
    with _credentials(location, token, ssh_key, known_hosts) as credentials:
        try:
            with opened(location.url, credentials) as deploy:
                yield deploy
        except process.ProcessError as error:
            said = error.completed.stderr.lower()
            marks = (
                "could not read username",
                "authentication failed",
                "permission denied (publickey",
            )
            if "host key verification failed" in said:
                raise InputError(
                    f"{location.host} does not have the key that `known-hosts` names",
                    fix=f"compare its key with what its owner publishes: ssh-keyscan {location.host}",
                ) from error
            if token or ssh_key or not any(mark in said for mark in marks):
                raise
            raise InputError(
                "inputs `token` and `ssh-key` are both empty, and the deploy repository asks who we"
                " are",
                fix="token: ${{ secrets.DEPLOY_TOKEN }} (of a GitHub App: GITHUB_TOKEN can't write"
                " another repository), or ssh-key: ${{ secrets.DEPLOY_KEY }}",
            ) from error


@contextmanager
def _credentials(
    location: Location, token: str, ssh_key: str, known_hosts: str
) -> Iterator[git_credentials.Credentials]:
    if ssh_key:
        with git_credentials.ssh_credentials(ssh_key, known_hosts) as credentials:
            yield credentials
    else:
        yield git_credentials.token_credentials(location.url, token)


@contextmanager
def opened(url: str, credentials: git_credentials.Credentials) -> Iterator[DeployRepository]:
    """Make the temporary store for the repository at `url`; removed after."""
    with scratch.folder("model-gitops-deploy-") as folder:
        limits = {"GIT_ALLOW_PROTOCOL": _PROTOCOLS}
        store = git.Git(folder, git_credentials.Credentials({**credentials.env, **limits}))
        store.run("init", "--quiet", "--bare", "--template=", ".")
        store.run("config", "remote.origin.url", url)
        store.run("config", "gc.auto", "0")
        # The account's own hooks are not for us.
        store.run("config", "core.hooksPath", "/dev/null")
        yield DeployRepository(store, url)
