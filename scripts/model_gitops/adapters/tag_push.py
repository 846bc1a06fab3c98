"""Pushes tags from a repository that holds nothing else, so that it costs the same with any number of tags.

Before a push git reads what each ref of the server is at, to leave out what is there. From a checkout that
has all of a model's tags that is all of them; from one that has none of them, nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from model_gitops.adapters import git, scratch
from model_gitops.core import retry
from model_gitops.errors import ExternalError

# What a repository's own configuration may say of the way to its server: as git spells keys.
_OF_THE_WAY = (
    "http.", "remote.", "url.", "credential.", "protocol.", "ssh.", "core.sshcommand", "core.gitproxy",
    "core.askpass",
)  # fmt: skip
# Nothing is missing here that a promisor would have.
_LEFT_OUT = (".promisor", ".partialclonefilter")


def push(
    repository: git.Git,
    remote: str,
    options: Sequence[str],
    refs: Sequence[str],
    holds: Sequence[str],
) -> str:
    """Push `refs`, which are `OBJECT:REF`, and return what git said.

    `holds` are the objects to push, and those that the server has at a ref and that they are at; empty
    where that is not known. Raises LostRace and ExternalError as `Git.remote` does.
    """
    words = ("push", *options, "--", remote, *refs)
    if holds:
        with scratch.folder("model-gitops-push-") as folder:
            if sender := _sender(repository, folder, holds):
                done = sender.completed(*words, check=False)
                if done.returncode == 0:
                    return done.stdout
                if retry.is_lost_race(said := done.stderr + done.stdout):
                    raise git.LostRace(said)
    # Its refs moved, or its settings hold for its own place only, or the server was not reached: again, by all means.
    return repository.remote(*words)


def _sender(repository: git.Git, folder: Path, holds: Sequence[str]) -> git.Git | None:
    """Return a bare repository of these objects alone, set as `repository` is; None where that fails."""
    words = ("config", "--list", "--show-scope", "--includes", "-z")
    told = repository.completed(*words, check=False).stdout.split("\0")
    pairs = [
        (scope, *one.partition("\n")[::2])
        for scope, one in zip(told[::2], told[1::2], strict=False)
        if "\n" in one
    ]
    # What the account says of this place only, it does not say of another one.
    if not pairs or any(
        key == "extensions.worktreeconfig"
        or (scope in ("system", "global") and key.startswith("includeif."))
        for scope, key, _ in pairs
    ):
        return None
    kind = "sha256" if len(holds[0]) == 64 else "sha1"
    store = folder / "store"
    sender = git.Git(repository.directory, repository.credentials)
    sender.local = [
        (key, value)
        for scope, key, value in pairs
        if scope == "local" and key.startswith(_OF_THE_WAY) and not key.endswith(_LEFT_OUT)
    ]
    with suppress(ExternalError):
        repository.run(
            "init", "--quiet", "--bare", "--template=", str(store), env={"GIT_DEFAULT_HASH": kind}
        )
        # The checkout stays where git stands: a remote may be a path from there.
        sender.place = {"GIT_DIR": str(store.resolve())}
        # Git itself would make the pack in the checkout, and can't move it to another disk.
        pack = (store / "objects/pack/pack-tags.pack").resolve()
        lines = "".join(f"{one}\n" for one in holds)
        with pack.open("wb") as file:
            repository.completed("pack-objects", "--quiet", "--stdout", input=lines, output=file)
        sender.run("index-pack", str(pack))
        return sender
    return None
