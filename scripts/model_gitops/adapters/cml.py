"""CML's own command line, where the runner has it: https://cml.dev/doc/ref/comment."""

from __future__ import annotations

import shutil
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.errors import InputError


def require() -> None:
    """Raise InputError where there is no `cml` on PATH."""
    if shutil.which("cml") is None:
        raise InputError.of(
            "publisher",
            "cml",
            "the program `cml` is not on this runner's PATH",
            fix="run `npm install -g @dvcorg/cml` before this step, or leave `publisher` at native",
        )


def comment(
    verb: str, file: Path, *, target: str, title: str, token: str, repository_url: str = ""
) -> str:
    """Run `cml comment VERB` (create or update) on `file`; return the URL that it prints.

    The token goes by `REPO_TOKEN`, never by an argument. Raises ProcessError where CML fails.
    """
    arguments = [f"--target={target}", f"--watermark-title={title}"]
    if repository_url:
        arguments.append(f"--repo={repository_url}")
    # The pictures are in the repository: nothing is to be uploaded to CML's server.
    arguments.append("--publish=false")
    done = process.run(
        ["cml", "comment", verb, *arguments, str(file)],
        env={"REPO_TOKEN": token, "ITERATIVE_DO_NOT_TRACK": "true"},
    )
    urls = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("http")]
    return urls[-1] if urls else ""
