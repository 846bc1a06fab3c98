"""Git repositories and DVC projects of any size, made quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import listening
from benchmarks.timing import TOOLS, run

WHO = "bench <bench@example.com>"


def git(cwd: Path, *args: str) -> None:
    """Run git in `cwd`."""
    run(["git", *args], cwd)


def clone(origin: Path, to: Path) -> Path:
    """Clone `origin`, with an author."""
    run(["git", "clone", "--quiet", str(origin), str(to)], origin)
    git(to, "config", "user.name", "bench")
    git(to, "config", "user.email", "bench@example.com")
    return to


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the repositories in `folder`, and return their URL. It takes any push."""

    def daemon(port: int) -> list[str]:
        words = ["--export-all", "--enable=receive-pack", "--listen=127.0.0.1", f"--port={port}"]
        return ["git", "daemon", *words, f"--base-path={folder}", str(folder)]

    with listening(daemon) as port:
        yield f"git://127.0.0.1:{port}"


def imported(stream: str, to: Path) -> Path:
    """Make a bare repository from a fast-import stream.

    It can leave files out, and is packed: as a server is whose git maintains itself.
    """
    git(to.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(to))
    git(to, "config", "uploadpack.allowFilter", "true")
    run(["git", "fast-import", "--quiet"], to, stream.encode())
    git(to, "gc", "--quiet")
    return to


def data(text: str) -> str:
    """Return `text` as fast-import's data."""
    return f"data {len(text.encode())}\n{text}\n"


def project(work: Path, files: dict[str, bytes], add: list[str]) -> Path:
    """Make a DVC project with a local remote and an origin, all pushed; return its checkout."""
    git(work, "init", "--quiet", "--bare", "--initial-branch=main", str(work / "origin.git"))
    checkout = clone(work / "origin.git", work / "project")
    run([str(TOOLS / "dvc"), "init", "--quiet"], checkout)
    remote = [str(TOOLS / "dvc"), "remote", "add", "-d", "store", str(work / "store")]
    run(remote, checkout)
    run([str(TOOLS / "dvc"), "config", "core.analytics", "false"], checkout)
    for name, content in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(content)
    if add:
        run([str(TOOLS / "dvc"), "add", "--quiet", *add], checkout)
        run([str(TOOLS / "dvc"), "push", "--quiet"], checkout)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "base")
    git(checkout, "push", "--quiet", "origin", "HEAD:main")
    return checkout
