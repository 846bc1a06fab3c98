"""Where the deploy repository is, and which folder of it is meant."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from model_gitops.core.deploy.kustomization import FILE_NAMES
from model_gitops.errors import InputError

_SCP = re.compile(r"(?P<user>\w[\w.-]*)@(?P<host>\w[\w.-]*):(?P<path>[^/:].*)")
# An owner on Gitea may have dots, and a managed user of GitHub has an underscore.
_SLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Location:
    """Where the deploy repository is. `slug` is `owner/name` on `host`, or empty for a folder.

    `base` is the path that a web server has everything below, such as `/git`; mostly empty.
    """

    url: str
    scheme: str
    host: str
    slug: str
    base: str = ""


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
        base = server.path.rstrip("/")
        return Location(f"{server_url}/{slug}.git", server.scheme, server.netloc, slug, base)
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
    base = parts.path.rstrip("/").rpartition("/")[0].rpartition("/")[0]
    base = base if parts.scheme in ("http", "https") else ""
    return Location(repository, parts.scheme, host, _slug_of(parts.path), base)


def server_of(origin: Location, *, server_url: str) -> str:
    """Return the server's web address, for a person at a clone of `origin`; else the one given."""
    if not origin.host or is_on(origin, server_url):
        return server_url
    if origin.scheme in ("http", "https"):
        return f"{origin.scheme}://{origin.host}{origin.base}"
    return f"https://{origin.host.partition(':')[0]}"


def is_on(location: Location, server_url: str) -> bool:
    """Whether `server_url` serves the repository: `same_server`, and below the same path of it."""
    below = urlsplit(server_url).path.rstrip("/")
    over_web = location.scheme in ("http", "https")
    return same_server(location, server_url) and (not over_web or location.base == below)


def is_loopback(host: str) -> bool:
    """Whether `host`, with or without a port, is this machine by its loopback."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def authority(url: str) -> str:
    """Return the host of an http or https URL, in lowercase, with its port unless that is the usual one."""
    scheme, _, rest = url.lower().partition("://")
    return rest.partition("/")[0].removesuffix({"https": ":443", "http": ":80"}.get(scheme, "/"))


def same_server(location: Location, server_url: str) -> bool:
    """Whether a repository is on the server at `server_url`: by name and port, in any letter case.

    Over ssh the name alone counts, as its port is another service's. A folder is on no server.
    """
    if location.scheme in ("http", "https"):
        return authority(f"{location.scheme}://{location.host}") == authority(server_url)
    name = urlsplit(f"//{location.host.lower()}").hostname
    return name is not None and name == urlsplit(server_url.lower()).hostname


def check_token(location: Location, server_url: str) -> None:
    """Refuse to send a token of `server_url`'s accounts to another server, or in clear text.

    Raises InputError. Whoever may write a URL into promotion.yaml must not get the token by it.
    """
    if location.scheme not in ("http", "https"):
        return
    if not same_server(location, server_url):
        problem = f"`token` is for {authority(server_url)}, and is sent to no other server"
        fix = "leave `token` out, or give a repository there: owner/name"
        raise InputError.of("repository", location.url, problem, fix=fix)
    if location.scheme == "http" and not is_loopback(location.host):
        problem = "`token` would be sent in clear text"
        fix = f"repository: https://{location.host}/{location.slug}"
        raise InputError.of("repository", location.url, problem, fix=fix)


def is_slug(repository: str) -> bool:
    """Whether `repository` has the form `owner/name`."""
    return _SLUG.fullmatch(repository) is not None


def _slug_of(path: str) -> str:
    parts = path.strip("/").removesuffix(".git").split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 else ""


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
