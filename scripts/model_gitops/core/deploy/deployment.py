"""What a deploy commit says and where it goes: images, trailers, supersession, pull request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from model_gitops.core.deploy.kustomization import FILE_NAMES, Image
from model_gitops.core.image import content as images
from model_gitops.core.markdown import code
from model_gitops.errors import InputError

Trailers = tuple[tuple[str, str], ...]

_EXAMPLE = "images: diabetes=ghcr.io/acme/diabetes:v1.2.3@sha256:…"
_LONGEST_TRAILER = 1000
_LONGEST_SUBJECT = 200
# The branches of our pull requests.
_BRANCHES = "model-gitops/bump-"
# What decides something when a commit is read again, by lowercase key.
_DECIDING = frozenset(
    [
        "model",
        "model-version",
        "model-hash",
        "model-sha256",
        "source-repository",
        "source-commit",
        "image-digest",
        "rollback",
        "rollback-from",
    ]
)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCP = re.compile(r"(?P<user>\w[\w.-]*)@(?P<host>\w[\w.-]*):(?P<path>[^/:].*)")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")


# --- inputs --------------------------------------------------------------------------------------


def parse_images(lines: Iterable[str]) -> tuple[Image, ...]:
    """Parse lines `name=newname:tag@digest`, where parts may be left out. Raises InputError."""
    found: dict[str, Image] = {}
    for line in lines:
        # A space that is none (U+00A0, …) makes another name, and is refused as such.
        name, equals, reference = (part.strip(" \t") for part in line.partition("="))
        if not equals or not name or not reference:
            raise InputError.of("images", line, "it is not `name=newname:tag@digest`", fix=_EXAMPLE)
        if name in found:
            raise InputError.of("images", line, f"{name} is given twice", fix="leave one line out")
        found[name] = _parse_reference(name, reference, line)
    if not found:
        raise InputError("input `images` is empty: there is nothing to set", fix=_EXAMPLE)
    return tuple(found.values())


def _parse_reference(name: str, reference: str, line: str) -> Image:
    head, tag, digest = images.split_reference(reference)
    has_tag = reference.partition("@")[0].removeprefix(head).startswith(":")
    if "@" in reference and not images.is_digest(digest):
        problem = "a digest is `sha256:` and 64 lowercase hex digits"
        raise InputError.of("images", line, problem, fix=_EXAMPLE)
    try:
        new_name = images.check_name(head) if head else ""
        tag = images.check_tag(tag) if has_tag else ""
    except InputError as error:
        problem = error.message.partition(": ")[2]
        raise InputError.of("images", line, problem, fix=_EXAMPLE) from error
    return Image(name, new_name, tag, digest)


def parse_trailers(lines: Iterable[str]) -> Trailers:
    """Parse lines `Key: value`. A trailer without a value is left out. Raises InputError."""
    found = []
    for line in lines:
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", key):
            fix = "trailers: |\n  Model: diabetes@v1.2.3"
            raise InputError.of("trailers", line, "it is not `Key: value`", fix=fix)
        if len(value) > _LONGEST_TRAILER or any(ord(char) < 32 for char in value):
            raise InputError.of(
                "trailers", line, "the value is too long, or holds a control character"
            )
        if (
            key.lower() in ("source-commit", "rollback-from")
            and value
            and not _COMMIT.fullmatch(value)
        ):
            problem = "a commit is given by its full hash, in lowercase"
            raise InputError.of("trailers", line, problem, fix=f"{key}: ${{{{ github.sha }}}}")
        if key.lower() == "model-sha256" and value and not re.fullmatch(r"[0-9a-f]{64}", value):
            problem = "a SHA-256 is 64 lowercase hex digits"
            fix = f"{key}: ${{{{ steps.model.outputs.sha256 }}}}"
            raise InputError.of("trailers", line, problem, fix=fix)
        if key.lower() == "rollback" and value not in ("", "true", "false"):
            problem = "it is neither `true` nor `false`"
            raise InputError.of("trailers", line, problem, fix="Rollback: true")
        if value:
            found.append((key, value))
    return tuple(found)


def complete_trailers(
    given: Trailers, wanted: Sequence[Image], *, repository: str, commit: str
) -> Trailers:
    """Add what is known and was not given: where the change comes from, and the digests."""
    keys = {key.lower() for key, _ in given}
    added = [
        (key, value)
        for key, value in (("Source-Repository", repository), ("Source-Commit", commit))
        if value and key.lower() not in keys
    ]
    if "image-digest" not in keys:
        digests = dict.fromkeys(image.digest for image in wanted if image.digest)
        added += [("Image-Digest", digest) for digest in digests]
    return (*given, *added)


def check_path(path: str) -> str:
    """Return the folder in the deploy repository, `.` for its top. Raises InputError."""
    fix = "path: overlays/dev"
    if not path:
        raise InputError("input `path` is empty", fix=f"{fix} (`.` is the top of the repository)")
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path or ".git" in parts:
        problem = "it is not a folder inside the deploy repository"
        raise InputError.of("path", path, problem, fix=fix)
    if any(ord(char) < 32 for char in path):
        raise InputError.of("path", path, "it holds a control character", fix=fix)
    if parts and parts[-1] in FILE_NAMES:
        problem = "it is a file; give its folder"
        raise InputError.of("path", path, problem, fix=f"path: {'/'.join(parts[:-1]) or '.'}")
    return "/".join(parts) or "."


@dataclass(frozen=True)
class Location:
    """Where the deploy repository is. `slug` is `owner/name` on `host`, or empty for a folder."""

    url: str
    scheme: str
    host: str
    slug: str


def locate(repository: str, *, server_url: str, ssh: bool = False) -> Location:
    """Return the Git URL of `owner/name` (on `server_url`) or of any Git URL or absolute path.

    With `ssh`, `owner/name` is reached over ssh. Raises InputError for anything that git would
    take for an option, a command, or a place to keep a password.
    """
    fix = "repository: acme/diabetes-deploy"
    if not repository or repository != repository.strip() or any(ord(c) < 33 for c in repository):
        raise InputError.of("repository", repository, "it is empty or holds spaces", fix=fix)
    if _SLUG.fullmatch(repository):
        server = urlsplit(server_url)
        slug = repository.removesuffix(".git")
        if ssh:
            return Location(
                f"ssh://git@{server.hostname}/{slug}.git", "ssh", server.hostname or "", slug
            )
        return Location(f"{server_url}/{slug}.git", server.scheme, server.netloc, slug)
    if repository.startswith("/"):
        return Location(repository, "file", "", "")
    if scp := _SCP.fullmatch(repository):
        return Location(repository, "ssh", scp["host"], _slug_of(scp["path"]))
    try:
        parts = urlsplit(repository)
        host = parts.netloc.rpartition("@")[2]
        is_known = parts.scheme in ("https", "http", "ssh", "file") and parts.port != 0
    except ValueError:
        is_known = False
    if repository.startswith("-") or "::" in repository.split("/", maxsplit=1)[0] or not is_known:
        problem = "it is neither `owner/name` nor a Git URL (https, http, ssh, file)"
        raise InputError.of("repository", repository, problem, fix=fix)
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        # The value itself stays out of the message.
        raise InputError(
            "input `repository` holds a user or password, which would end in logs",
            fix=f"repository: {parts.scheme}://{host}{parts.path}\ntoken: ${{{{ secrets.DEPLOY_TOKEN }}}}",
        )
    if not parts.path.strip("/") or (parts.scheme != "file" and not host) or host.startswith("-"):
        raise InputError.of("repository", repository, "it names no repository", fix=fix)
    if parts.scheme == "file":
        return Location(repository, "file", "", "")
    return Location(repository, parts.scheme, host, _slug_of(parts.path))


def server_of(origin: Location, *, server_url: str, api_url: str) -> tuple[str, str]:
    """Return the server and its API, for a person at a clone of `origin`; else the defaults given.

    GitHub Enterprise Server, and what speaks its API, has it below the server's own address.
    """
    if not origin.host or server_url.partition("://")[2].lower() == origin.host.lower():
        return server_url, api_url
    host = origin.host if origin.scheme in ("http", "https") else origin.host.partition(":")[0]
    scheme = origin.scheme if origin.scheme in ("http", "https") else "https"
    return f"{scheme}://{host}", f"{scheme}://{host}/api/v3"


def is_slug(repository: str) -> bool:
    """Whether `repository` has the form `owner/name`."""
    return _SLUG.fullmatch(repository) is not None


def _slug_of(path: str) -> str:
    parts = path.strip("/").removesuffix(".git").split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 else ""


# --- the guard against going back ------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """The commit of the model repository that a deployment comes from.

    `rolled_back` is the later commit that a rollback took back; empty for any other deployment.
    """

    repository: str
    commit: str
    rolled_back: str = ""

    @property
    def reached(self) -> str:
        """The latest commit that the environment has seen: a rollback does not undo that."""
        return self.rolled_back or self.commit


def with_rollback(trailers: Trailers, incumbent: Origin | None) -> Trailers:
    """Add to a rollback's trailers the commit that it takes back, unless they name one."""
    if incumbent is None or any(key.lower() == "rollback-from" for key, _ in trailers):
        return trailers
    return (*trailers, ("Rollback-From", incumbent.reached))


def read_trailers(message: str) -> dict[str, list[str]]:
    """Return the trailers of a commit message by lowercase key.

    Every line counts, as a squash merge moves trailers away from the end.
    """
    found: dict[str, list[str]] = {}
    for line in message.splitlines():
        if match := re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*):[ \t]+(\S.*?)\s*", line):
            found.setdefault(match[1].lower(), []).append(match[2])
    return found


def is_commit(value: str) -> bool:
    """Whether `value` is a commit's whole hash: a name could be another commit tomorrow."""
    return _COMMIT.fullmatch(value) is not None


def origin_of(trailers: Mapping[str, Sequence[str]]) -> Origin | None:
    """Return where a deploy commit says that it comes from, or None."""
    repository = trailers.get("source-repository", [""])[-1]
    commit = trailers.get("source-commit", [""])[-1]
    if not repository or not is_commit(commit):
        return None
    rolled_back = trailers.get("rollback-from", [""])[-1] if is_rollback(trailers) else ""
    return Origin(repository, commit, rolled_back if is_commit(rolled_back) else "")


def is_rollback(trailers: Mapping[str, Sequence[str]]) -> bool:
    """Whether this deployment goes back on purpose."""
    return trailers.get("rollback", [""])[-1] == "true"


def is_superseded(
    ours: Origin | None,
    incumbent: Origin | None,
    is_ancestor: Callable[[str, str], bool | None],
) -> bool | None:
    """Whether the incumbent comes from a later commit of the same repository than ours.

    An incumbent that is a rollback counts as the commit that it took back: running that commit's
    workflow again must not undo what a person decided.
    `is_ancestor(ours, incumbent)` may answer None when it can't tell; so does this function.
    Histories that diverged (another branch, a force push) are no order: then ours is not superseded.
    """
    if ours is None or incumbent is None or ours.commit == incumbent.commit:
        return False
    if ours.repository.lower() != incumbent.repository.lower():
        return False
    return ours.commit == incumbent.rolled_back or is_ancestor(ours.commit, incumbent.reached)


# --- what people read --------------------------------------------------------------------------------


def subject(message: str, wanted: Sequence[Image], path: str, trailers: Trailers) -> str:
    """Return the first line of the commit and the title of the pull request."""
    if message.strip():
        return _one_line(message.strip().splitlines()[0])
    known = {key.lower(): value for key, value in trailers}
    model, _, version = known.get("model", "").partition("@")
    version = version or known.get("model-version", "")
    if model:
        deployed = f"{model} {version}".strip()
        return _one_line(f"Deploy {deployed} to {PurePosixPath(path).name or 'the cluster'}")
    names = ", ".join(image.name for image in wanted)
    tag = f" to {wanted[0].tag}" if len(wanted) == 1 and wanted[0].tag else ""
    return _one_line(f"Bump {names}{tag} in {path}")


def commit_message(first_line: str, message: str, trailers: Trailers) -> str:
    """Return the whole commit message; the trailers are its last paragraph.

    A line of the text that would be read as one of ours (`Rollback: true`) is set in by a space.
    """
    body = "\n".join(message.strip().splitlines()[1:]).strip()
    text = "\n\n".join(part for part in (first_line, body) if part)
    lines = (
        f" {line}" if _DECIDING.intersection(read_trailers(line)) else line
        for line in text.split("\n")
    )
    block = "\n".join(f"{key}: {value}" for key, value in trailers)
    return "\n\n".join(part for part in ("\n".join(lines), block) if part) + "\n"


def may_propose(branch: str, path: str) -> bool:
    """Whether `branch` may be one of ours into folder `path`, of whichever images."""
    return branch.startswith(f"{_BRANCHES}{_slug(path)}")


def branch_name(path: str, wanted: Sequence[Image], base: str) -> str:
    """Return the branch of the pull request: the same for the same images, folder and base."""
    names = sorted(image.name for image in wanted)
    key = "\0".join((base, path, *names))
    slug = _slug(f"{path}-{'-'.join(names)}")
    return f"{_BRANCHES}{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def changes_table(before: Sequence[Image], after: Sequence[Image]) -> str:
    """Return the Markdown table of what changes."""
    rows = ["| image | from | to |", "|---|---|---|"]
    rows += [
        f"| {code(old.name, longest=_LONGEST_TRAILER)} | {code(old.reference, longest=_LONGEST_TRAILER)} | {code(new.reference, longest=_LONGEST_TRAILER)} |"
        for old, new in zip(before, after, strict=True)
    ]
    return "\n".join(rows)


def pull_request_body(
    before: Sequence[Image],
    after: Sequence[Image],
    trailers: Trailers,
    *,
    path: str,
    server_url: str,
) -> str:
    """Return the Markdown of the pull request."""
    known = {key.lower(): value for key, value in trailers}
    repository, commit = known.get("source-repository", ""), known.get("source-commit", "")
    rows = []
    for key, value in trailers:
        if key.lower() == "source-commit" and _SLUG.fullmatch(repository):
            shown = f"[{code(commit)}]({server_url}/{repository}/commit/{commit})"
        else:
            shown = code(value, longest=_LONGEST_TRAILER)
        rows.append(f"| {key} | {shown} |")
    details = ["| | |", "|---|---|", *rows] if rows else []
    return "\n".join(
        [
            f"Sets the image in {code(path, longest=_LONGEST_TRAILER)}.",
            "",
            changes_table(before, after),
            "",
            *details,
            *([""] if details else []),
            "This pull request is kept up to date: a newer deployment replaces its commit, and the"
            " commits that others add to its branch. Close it to refuse the deployment.",
            "",
        ]
    )


def previous(before: Sequence[Image]) -> str:
    """Return what was set: one reference, or for several images the lines that bring it back."""
    if len(before) == 1:
        return before[0].reference
    return "\n".join(f"{image.name}={image.reference}" for image in before)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"
