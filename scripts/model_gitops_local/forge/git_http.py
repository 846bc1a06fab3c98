"""Git over smart HTTP: who may fetch and push, and `git http-backend`, which does the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO

from model_gitops.adapters import process
from model_gitops_local.forge.state import Repository, Token

# GitHub lets a client ask for any commit it knows, leave out blobs, and never push to refs/pull.
_CONFIG = {
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "receive.hideRefs": "refs/pull",
    "safe.directory": "*",
}


class Refused(Exception):
    """An answer of 4xx: its status, a line of text, and for 401 how to sign in."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = f"{text}\n"
        self.headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}


def allowed(repository: Repository | None, token: Token | None, *, writes: bool) -> Repository:
    """Return the repository that may be read, or written to; Refused if it may not."""
    hidden = repository is None or (repository.private and token is None)
    if token is None and (hidden or writes):
        raise Refused(401, "No anonymous access.")
    if repository is None or (
        repository.private and token and not token.reaches(repository.full_name)
    ):
        raise Refused(404, "Repository not found.")
    level = "write" if writes else "read"
    within = token is not None and token.reaches(repository.full_name)
    within = within and token is not None and token.allows("contents", level)
    if not within and (writes or repository.private):
        actor = token.login if token else ""
        raise Refused(403, f"Permission to {repository.full_name}.git denied to {actor}.")
    return repository


def serve(bare: Path, variables: Mapping[str, str], body: IO[bytes], output: IO[bytes]) -> None:
    """Run `git http-backend` for a bare repository; its answer is in `output`, from the start.

    `variables` are CGI's own, with PATH_INFO below the repository, such as `/info/refs`.
    """
    env = {
        **variables,
        "GIT_PROJECT_ROOT": str(bare.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{bare.name}{variables['PATH_INFO']}",
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
    }
    for index, (key, value) in enumerate(_CONFIG.items()):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    process.pipe(["git", "http-backend"], stdin=body, stdout=output, env=env)
    output.seek(0)


def read_head(output: IO[bytes]) -> tuple[int, list[tuple[str, str]], int]:
    """Read what a CGI program wrote, up to the body: status, headers, and the body's size."""
    status = 200
    headers = []
    while line := output.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    start = output.tell()
    size = output.seek(0, 2) - start
    output.seek(start)
    return status, headers, size
