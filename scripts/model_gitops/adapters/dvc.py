"""DVC, by its Python API, in this process: one model out of a remote, nothing else."""

from __future__ import annotations

import hashlib
import random
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from model_gitops import runner
from model_gitops.adapters import (
    direct_pull,
    dvc_git,
    model_files,
    objects,
    python_packages,
    scratch,
)
from model_gitops.core import retry
from model_gitops.core.dvc import artifacts, checksums, hashes
from model_gitops.errors import ActionError, ExternalError, InputError, RefusedError

# DVC and the libraries of its remotes have attempts of their own for most faults.
_ATTEMPTS = 4
_DENIED = re.compile(r"\b40[13]\b|forbidden|denied|credential", re.IGNORECASE)
# What DVC itself can't do without one more package: the scheme of a remote's URL → the extra.
_EXTRAS = {
    "s3": "s3", "gs": "gs", "gcs": "gs", "azure": "azure", "abfs": "azure", "gdrive": "gdrive",
    "hdfs": "hdfs", "webhdfs": "hdfs", "oss": "oss", "ssh": "ssh", "sftp": "ssh",
    "webdav": "webdav", "webdavs": "webdav",
}  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True)
class Pulled:
    """Whether anything was put in place, and the model's SHA-256."""

    changed: bool
    sha256: str


class _CorruptError(Exception):
    """A file is not what its hash says; the argument says which."""


class _UnreadableError(ExternalError):
    """The remote did not give an object; it may do so another time."""


class _MissingError(Exception):
    """The cache lacks an object; the argument is its hash."""


def project_root(directory: Path, top: Path) -> Path:
    """Return the folder of the DVC project that `directory` is in, `top` at the highest.

    Raises InputError where there is none.
    """
    here, top = directory.resolve(), top.resolve()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
        if folder == top:
            break
    raise InputError.of(
        "working-directory",
        str(directory),
        "it is in no DVC project: no folder `.dvc` there or above",
        fix="give the folder where `dvc init` was run",
    )


def remote_extra(url: str) -> str:
    """Return the DVC extra (`s3`, …) that a remote of this URL needs, or an empty string."""
    scheme, separator, _ = url.partition("://")
    return _EXTRAS.get(scheme.lower(), "") if separator else ""


def _any(what: str, sha256: str) -> None:
    """Accept a file whatever its SHA-256: nobody recorded one."""


def pull(
    artifact: artifacts.Artifact,
    place: Path,
    *,
    root: Path,
    remote: str = "",
    settings: Mapping[str, str] | None = None,
    jobs: int | None = None,
    accept: Callable[[str, str], None] = _any,
    part: str = "",
) -> Pulled:
    """Put the model at `place`: from DVC's cache, else from the remote.

    `root` is the DVC project's folder; `remote` empty is the output's own remote or the default
    one; `settings` are options of the remote, kept in memory. What is at `place` is replaced at
    once, after its hash was verified, or stays. `accept` is told which file it is and its SHA-256,
    and may raise RefusedError: then what this run downloaded does not stay in the cache either.
    `part` is a path in a folder: that file alone is put at `place`, nothing where there is none.
    Raises InputError, ExternalError.
    """
    if there := model_files.sha256_of(artifact, place):
        accept(f"what is at {artifact.path!r}", there)
        if artifact.executable:
            model_files.make_executable(place)
        return Pulled(False, there)
    remote = remote or artifact.remote
    try:
        return Pulled(
            True,
            direct_pull.of_project(
                *(root, remote, settings, artifact, place, accept), jobs=jobs, part=part
            ),
        )
    except objects.NotSure as reason:
        python_packages.ensure_dvc(f"which must pull {artifact.path!r}: {reason}")
    return _by_dvc(artifact, place, root, remote, settings, jobs, accept, part)


def _by_dvc(
    artifact: artifacts.Artifact,
    place: Path,
    root: Path,
    remote: str,
    settings: Mapping[str, str] | None,
    jobs: int | None,
    accept: Callable[[str, str], None],
    part: str,
) -> Pulled:
    with errors(artifact), opened(root, remote, settings, artifact) as (repo, name):
        from dvc_data.hashfile.hash_info import HashInfo

        from model_gitops.adapters import dvc_log

        modern = artifact.hash_name == "md5"
        cache = repo.cache.local if modern else repo.cache.legacy
        in_cache = f"what DVC's cache ({cache.path}) has of {artifact.path!r}"
        try:
            return Pulled(True, _place(cache, artifact, place, partial(accept, in_cache), part))
        except _MissingError:
            pass
        except _CorruptError as error:
            runner.say(f"DVC's cache holds a damaged {error}: pulling it again")
        _check_remote(repo, name, artifact)
        source = repo.cloud.get_remote_odb(name, "pull", hash_name=artifact.hash_name)

        fetched: set[str] = set()

        def fetch(*hashes: str) -> None:
            fetched.update(one for one in hashes if not Path(cache.oid_to_path(one)).exists())
            wanted = [HashInfo(artifact.hash_name, value) for value in hashes]
            with dvc_log.heard() as causes:
                failed = repo.cloud.transfer(source, cache, wanted, jobs=jobs).failed
            if failed:
                why = causes[-1] if causes else "DVC gives no reason"
                raise _UnreadableError(
                    f"{artifact.path!r} can't be downloaded from {where}: {why}",
                    fix="run the job again, or look whether the credentials may read there",
                )

        def attempt() -> str:
            try:
                fetch(artifact.hash)
                if artifact.is_folder:
                    fetch(*_manifest(cache, artifact, part).values())
                return _place(cache, artifact, place, partial(accept, of_remote), part)
            except _MissingError as error:
                # DVC takes a server that can't be reached for one that has nothing: ask once more.
                if problem := reading_error(source, str(error)):
                    raise _UnreadableError(
                        f"{where} can't be read: {problem}",
                        fix="look whether this runner can reach it, and whether the credentials"
                        " (`remote-config`, or the cloud's own variables) may read there",
                    ) from error
                if artifact.imported:
                    raise _imported(artifact) from error
                push = f"dvc push --remote {name} {shlex.quote(artifact.path)}"
                raise ExternalError(
                    f"{where} does not have {artifact.path!r}: no object {error}"
                    + (
                        "" if artifact.pushed else "; by `push: false` it is left out of every push"
                    ),
                    fix=f"where the model was trained: {push}"
                    if artifact.pushed
                    else f"take `push: false` of it out of {_definition(artifact)}, then: {push}",
                ) from error

        where = f"the DVC remote {name!r} ({shown_url(repo, name)})"
        of_remote = f"what {where} has of {artifact.path!r}"
        try:
            return Pulled(True, _again(attempt))
        except RefusedError:
            for one in fetched:
                Path(cache.oid_to_path(one)).unlink(missing_ok=True)
            raise
        except _CorruptError as error:
            raise ExternalError(
                f"{of_remote} is damaged: {error} is not what its hash says",
                fix=f"delete object {artifact.hash} in the remote, then, where the model was"
                f" trained: dvc push --remote {name} {shlex.quote(artifact.path)}",
            ) from error


def is_denied(message: str) -> bool:
    """Whether a message says that a remote refuses us: no further attempt mends that."""
    return _DENIED.search(message) is not None


def _imported(artifact: artifacts.Artifact) -> ExternalError:
    return ExternalError(
        f"{artifact.path!r} is imported from {without_password(artifact.imported)!r}, and `dvc push` leaves out what is"
        " imported: no remote of this project has it",
        fix=f"in a step before this one: dvc pull {shlex.quote(artifact.source)} (it asks that"
        " repository). This action then verifies what is there",
    )


def _definition(artifact: artifacts.Artifact) -> str:
    """Return the file that says how an output is kept."""
    return (
        f"{artifact.source.removesuffix('dvc.lock')}dvc.yaml"
        if artifact.source.endswith("dvc.lock")
        else artifact.source
    )


def _again(attempt: Callable[[], T]) -> T:
    """Call `attempt`, again after what may pass: DVC itself takes a limit (429) for the last word."""
    start = time.monotonic()
    number = 0
    while True:
        number += 1
        try:
            return attempt()
        except _UnreadableError as error:
            late = time.monotonic() - start > retry.FAULT_SECONDS
            if number == _ATTEMPTS or late or is_denied(error.message):
                raise
            runner.say(f"{error.message}: trying again")
            time.sleep(retry.pause(number + 1, random.random()))  # noqa: S311 - jitter


@contextmanager
def opened(
    root: Path,
    remote: str,
    settings: Mapping[str, str] | None,
    artifact: artifacts.Artifact | None = None,
) -> Iterator[tuple[Any, str]]:
    """Open the DVC project, and name the remote to use; its package is installed if missing."""
    from dvc.config import Config

    # DVC merges the settings over the project's in memory: no file ever holds them.
    config = Config(str(root / ".dvc"))
    name = remote or str(config["core"].get("remote") or "")
    known = sorted(config["remote"])
    if not name:
        if artifact and artifact.imported:
            raise _imported(artifact)
        raise InputError(
            "the DVC project has no default remote, and the input `remote` names none; "
            f"the remotes that there are: {', '.join(known) or 'none'}",
            fix=f"remote: {known[0]}" if known else "dvc remote add --default NAME URL",
        )
    if name.lower() not in config["remote"]:
        raise InputError.of(
            "remote",
            name,
            f"the DVC project has no such remote; it has: {', '.join(known) or 'none'}",
            fix=f"remote: {known[0]}" if known else f"dvc remote add --default '{name}' URL",
        )
    name = name.lower()
    merged = Config(str(root / ".dvc"), remote=name, remote_config=dict(settings or {}))
    extra = remote_extra(resolved_url(merged, name))
    if extra:
        python_packages.ensure_extra(
            f"remote-{extra}", module=f"dvc_{extra}", package=f"dvc[{extra}]"
        )

    from dvc.repo import Repo

    dvc_git.trust_as_git_does()
    with Repo(str(root), remote=name, remote_config=dict(settings or {})) as repo:
        yield repo, name


def resolved_url(config: Any, name: str) -> str:
    """Return the URL of a remote; one may be given in terms of another: `remote://other/path`."""
    url = str(config["remote"][name].get("url") or "")
    for _ in range(10):
        if not url.startswith("remote://"):
            break
        other = url.removeprefix("remote://").partition("/")[0].lower()
        url = str(config["remote"].get(other, {}).get("url") or "")
    return url


def reading_error(source: Any, md5: str) -> str:
    """Return what the remote's own library says of reading an object; "" if it is just missing."""
    try:
        with source.fs.open(source.oid_to_path(md5), "rb") as stream:
            stream.read(1)
        return "it gives the object only when it is asked again"
    except Exception as error:
        # HTTP's library calls every failure "not found", and names the real one as its cause.
        reason = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if reason is None or isinstance(reason, FileNotFoundError):
            return ""
        return "" if getattr(reason, "status", 0) == 404 else f"{type(reason).__name__}: {reason}"


def keeps_versions(repo: Any, name: str) -> bool:
    """Whether a remote has files by their names and versions, and not by their hash."""
    remote = repo.cloud.get_remote(name)
    return bool(remote.worktree or getattr(remote.fs, "version_aware", False))


def _check_remote(repo: Any, name: str, artifact: artifacts.Artifact) -> None:
    if keeps_versions(repo, name):
        raise InputError.of(
            "remote",
            name,
            "it is a cloud-versioned remote (`version_aware` or `worktree`), which has no objects"
            " named by their hash",
            fix=f"in a step before this one: dvc pull --remote {name} {shlex.quote(artifact.path)}."
            " This action then verifies what is there",
        )


@contextmanager
def errors(artifact: artifacts.Artifact) -> Iterator[None]:
    """Say in our words what DVC, and the many libraries of its remotes, raise."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException

    try:
        yield
    except ActionError:
        raise
    except ConfigError as error:
        raise InputError(
            f"DVC's configuration is wrong: {error}", fix="correct .dvc/config or `remote-config`"
        ) from error
    except OSError as error:
        raise ExternalError(f"{artifact.path!r} can't be pulled: {error}") from error
    except DvcException as error:
        raise ExternalError(f"DVC can't pull {artifact.path!r}: {error}") from error
    except Exception as error:
        raise ExternalError(
            f"{artifact.path!r} can't be pulled: {type(error).__name__}: {error}",
            fix="check the credentials: `remote-config`, or the variables of the remote's cloud",
        ) from error


def shown_url(repo: Any, name: str) -> str:
    """Return the remote's URL without a password in it."""
    return without_password(resolved_url(repo.config, name))


def without_password(url: str) -> str:
    """Return a URL without the name and password in it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url


def _place(
    cache: Any,
    artifact: artifacts.Artifact,
    place: Path,
    accept: Callable[[str], None],
    part: str = "",
) -> str:
    """Copy the model out of the cache, verified, then put it in place with one rename.

    Returns its SHA-256, which `accept` was asked about before; empty for a `part` that it has not.
    """
    listed = _manifest(cache, artifact, part) if artifact.is_folder else {}
    if part and not listed:
        return ""
    place.parent.mkdir(parents=True, exist_ok=True)
    with scratch.folder(".model-gitops-", place.parent) as folder:
        fresh = folder / "fresh"
        if artifact.is_folder and not part:
            fresh.mkdir()
            sha256 = checksums.of_folder(
                {
                    path: _copy(cache, md5, fresh / path, artifact.hash_name)
                    for path, md5 in listed.items()
                }
            )
        else:
            sha256 = _copy(cache, listed.get(part, artifact.hash), fresh, artifact.hash_name)
        accept(sha256)
        model_files.put(fresh, place, folder, executable=artifact.executable)
    return sha256


def _manifest(cache: Any, artifact: artifacts.Artifact, part: str = "") -> dict[str, str]:
    """Read the list of a folder's files: relative path → MD5; with `part` of that file only."""
    file = Path(cache.oid_to_path(artifact.hash))
    if not file.is_file():
        raise _MissingError(artifact.hash)
    content = file.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir" != artifact.hash:
        _discard(file, "list of files")
    entries = hashes.folder_files(content, artifact.path)
    return {path: md5 for path, md5 in entries.items() if part in ("", path)}


def _copy(cache: Any, md5: str, to: Path, hash_name: str) -> str:
    """Copy one object out of the cache, verified, and return its SHA-256."""
    source = Path(cache.oid_to_path(md5))
    if not source.is_file():
        raise _MissingError(md5)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    found, sha256 = model_files.hashes_of(to, hash_name)
    if found != md5:
        _discard(source, f"object {md5}")
    return sha256


def _discard(file: Path, what: str) -> NoReturn:
    """Remove a damaged file from the cache, where DVC would take it for good, and say so."""
    file.unlink(missing_ok=True)
    raise _CorruptError(what)
