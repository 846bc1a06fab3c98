"""What an existing repository has, read from its checkout and Git. Nothing is changed."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from model_gitops.adapters import dvc, paths
from model_gitops.adapters.git import Git, open_repository
from model_gitops.core import document
from model_gitops.core.adopt.inventory import Inventory, Remote
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.hashes import LEGACY_HASH
from model_gitops.errors import InputError

# Asking a remote is a help, not worth a long wait.
_ASK_SECONDS = 5.0


class Checkout(Mapping[str, str]):
    """Path from the top → text, of any file in the folder; going through all takes those of a commit.

    What is binary, very large, or a link that leads out is no text of the project, and is not there.
    """

    def __init__(self, top: Path, listed: frozenset[str]) -> None:
        self._top, self._listed = top, sorted(listed)
        self._read: dict[str, str | None] = {}

    def __getitem__(self, path: str) -> str:
        if path not in self._read:
            self._read[path] = self._text(path)
        text = self._read[path]
        if text is None:
            raise KeyError(path)
        return text

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and paths.is_file(self._top / path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def _text(self, path: str) -> str | None:
        file = self._top / path
        if (
            path.startswith("../")
            or not paths.is_file(file)
            or not paths.is_inside(file, self._top)
        ):
            return None
        try:
            content = paths.read_bounded(file, document.LARGEST)
        except OSError:
            return None
        if len(content) > document.LARGEST or b"\0" in content[:8192]:
            return None
        # As it stands, line ends too: what is edited must not change elsewhere.
        return content.decode("utf-8", errors="replace")


def read(folder: Path) -> Inventory:
    """Return what the repository has that `folder` is in. Raises InputError without Git or DVC."""
    git = open_repository(folder)
    top = git.directory
    here = Path(os.path.relpath(folder.resolve(), top.resolve())).as_posix()
    listed = _listed(git)
    return Inventory(
        folder="" if here == "." else here,
        name=_name(git, top),
        files=Checkout(top, listed),
        in_git=listed,
        branches=_branches(git),
        default_branch=_default(git),
        tags=tuple(git.run("tag", "--list", "--sort=creatordate").splitlines()),
        origin=_origin(git),
        changed=_names(git, "diff", "--name-only", "-z", "HEAD", "--")
        if git.commit_of("HEAD")
        else frozenset(),
        remotes=_remotes(folder, top, listed),
    )


def read_manifests(git: Git) -> Inventory:
    """Return the files of a deploy repository, and where it is on its server."""
    listed = _listed(git)
    return Inventory(
        "", _name(git, git.directory), Checkout(git.directory, listed), listed, origin=_origin(git)
    )


def is_pushed(artifact: Artifact, remote: Remote, root: Path) -> bool | None:
    """Whether a remote has the object of a model; None where it can't be asked without credentials."""
    place = _object(artifact.hash, artifact.hash_name)
    if folder := _local(remote, root):
        return (folder / place).is_file() if folder.is_dir() else None
    with suppress(OSError, ValueError):
        return _ask(remote, place, "HEAD") is not None
    return None


def text_of(artifact: Artifact, part: str, root: Path, remote: Remote | None) -> str | None:
    """Return the text of a file that DVC keeps: `part` of a folder, or all of a file. Nothing is stored.

    It is read in DVC's cache, else in a remote that needs no credentials; None where neither has it.
    """
    md5 = artifact.hash
    if artifact.is_folder:
        listed = _content(md5, artifact.hash_name, root, remote)
        entries = json.loads(listed) if listed else []
        md5 = next((str(one["md5"]) for one in entries if one.get("relpath") == part), "")
    elif part:
        return None
    content = _content(md5, artifact.hash_name, root, remote) if md5 else None
    return content.decode("utf-8", errors="replace") if content is not None else None


def _content(md5: str, kind: str, root: Path, remote: Remote | None) -> bytes | None:
    """Return an object by its hash, verified; None where it can't be had."""
    place = _object(md5, kind)
    local = remote and _local(remote, root)
    for folder in (root / ".dvc/cache", *([local] if local else [])):
        with suppress(OSError):
            return _verified(paths.read_bounded(folder / place, document.LARGEST), md5, kind)
    if remote and not local:
        with suppress(OSError, ValueError):
            content = _ask(remote, place, "GET")
            return _verified(content, md5, kind) if content is not None else None
    return None


def _verified(content: bytes, md5: str, kind: str) -> bytes | None:
    """Return the content where it is what its hash says. DVC 2's may be of another text than the file's."""
    same = hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir")
    return content if same or kind == LEGACY_HASH else None


def _object(md5: str, kind: str) -> str:
    legacy = "" if kind == LEGACY_HASH else "files/md5/"
    return f"{legacy}{md5[:2]}/{md5[2:]}"


def _local(remote: Remote, root: Path) -> Path | None:
    parts = urlsplit(remote.url)
    if parts.scheme not in ("", "file"):
        return None
    # A path of .dvc/config starts in that folder.
    return root / ".dvc" / (parts.path if parts.scheme else remote.url)


def _ask(remote: Remote, place: str, method: str) -> bytes | None:
    """Return an object of a web server; None where it says that there is none. Raises OSError, ValueError."""
    if urlsplit(remote.url).scheme not in ("http", "https"):
        raise ValueError("it needs credentials, or a package")
    url = f"{remote.url.rstrip('/')}/{place}"
    request = urllib.request.Request(url, method=method)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:  # noqa: S310 - as above
            return bytes(answer.read(document.LARGEST))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def _listed(git: Git) -> frozenset[str]:
    """Return the files that a commit of everything would have."""
    names = _names(git, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return frozenset(one for one in names if os.path.lexists(git.directory / one))


def _origin(git: Git) -> str:
    return git.run("config", "--get", "remote.origin.url", check=False).strip()


def _names(git: Git, *words: str) -> frozenset[str]:
    return frozenset(one for one in git.run(*words).split("\0") if one)


def _name(git: Git, top: Path) -> str:
    """Return what the repository is called: its folder's name, of a linked work tree the main one's."""
    common = git.run("rev-parse", "--git-common-dir", check=False).strip()
    place = (top / common).resolve()
    return place.parent.name if place.name == ".git" else top.resolve().name


def _branches(git: Git) -> tuple[str, ...]:
    """Return the branches of the clone and of its server, as it knew them last."""
    named = git.run("for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes/origin")
    found = dict.fromkeys(
        one.removeprefix("refs/heads/").removeprefix("refs/remotes/origin/")
        for one in named.splitlines()
    )
    # Before the first commit there is none yet, but a name for it.
    if not found and (first := git.run("symbolic-ref", "--short", "HEAD", check=False).strip()):
        found[first] = None
    found.pop("HEAD", None)
    return tuple(found)


def _default(git: Git) -> str:
    """Return the server's default branch, as a clone is told it; without one the branch that is checked out."""
    said = git.run("symbolic-ref", "--short", "refs/remotes/origin/HEAD", check=False).strip()
    if said:
        return said.removeprefix("origin/")
    here = git.run("symbolic-ref", "--short", "HEAD", check=False).strip()
    return here if here in ("main", "master", "trunk") else ""


def _remotes(folder: Path, top: Path, listed: frozenset[str]) -> dict[str, Remote | None]:
    """Return the DVC projects here: the one that `folder` is in, and those below it.

    Raises InputError where there is none.
    """
    found = {
        (top / one).parent.parent
        for one in listed
        if one.endswith(".dvc/config")
        and (top / one).parent.parent.is_relative_to(folder.resolve())
    }
    try:
        found.add(dvc.project_root(folder, top))
    except InputError as error:
        if not found:
            raise InputError(
                f"the folder {str(folder)!r} is in no DVC project: no folder `.dvc` there, above or below",
                fix="dvc init, or start this in the folder of the project",
            ) from error
    where = {Path(os.path.relpath(one, top.resolve())).as_posix(): one for one in found}
    return {"" if name == "." else name: _remote(root) for name, root in sorted(where.items())}


def _remote(root: Path) -> Remote | None:
    """Return the project's default DVC remote, by DVC's own reading of its configuration."""
    from dvc.config import Config, ConfigError

    try:
        config = Config(str(root / ".dvc"))
        name = str(config["core"].get("remote") or "").lower()
        url = dvc.resolved_url(config, name) if name in config["remote"] else ""
    except ConfigError as error:
        raise InputError(
            f"DVC's configuration is wrong: {error}", fix="correct .dvc/config"
        ) from error
    return Remote(name, dvc.without_password(url), dvc.remote_extra(url)) if url else None
