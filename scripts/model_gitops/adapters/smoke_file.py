"""A smoke test as people give it: a file of the repository, or the text itself, with its requests' bodies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import paths
from model_gitops.core.image import smoke
from model_gitops.errors import InputError

# Of one request, in bytes.
_LARGEST_BODY = 50 * 1024 * 1024


def read(value: str, name: str = "smoke-test") -> smoke.SmokeTest:
    """Read the test from the input itself or the file that it names, with the bodies of its requests.

    Raises InputError for what can't be read or is no test.
    """
    source = f"input `{name}`"
    if not smoke.is_text(value):
        path = Path(value.strip())
        paths.refuse_a_way_out(name, path)
        try:
            value, source = path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError.of(
                name, str(path), f"this file can't be read: {error}",
                fix=f"{name}: a file's path, or the description itself",
            ) from error  # fmt: skip
    test = smoke.parse(value, source=source)
    return replace(test, requests=[_with_body(request, source) for request in test.requests])


def _with_body(request: smoke.Request, source: str) -> smoke.Request:
    if not request.body_file:
        return request
    file = Path(request.body_file)
    # The branch under test names it, and its image gets it: no /proc, and no credentials of Git's.
    if not _is_content(file):
        raise InputError(
            f"{source}: the `body-file` {request.body_file!r} is no file of the workspace",
            fix="commit the file, and give its path from the working directory",
        )
    try:
        body = paths.read_bounded(file, _LARGEST_BODY)
    except OSError as error:
        raise InputError(
            f"{source}: the `body-file` {request.body_file!r} can't be read: {error.strerror}",
            fix="give its path from the working directory",
        ) from error
    if len(body) > _LARGEST_BODY:
        raise InputError(
            f"{source}: the `body-file` {request.body_file!r} has more than {_LARGEST_BODY} bytes",
            fix="send a smaller one",
        )
    return replace(request, body=body)


def _is_content(file: Path) -> bool:
    """Whether `file`, its links followed, is in the workspace, and none of Git's own files."""
    top = runner.context().workspace
    if not any(paths.is_inside(file, folder) for folder in (top, Path.cwd())):
        return False
    return ".git" not in Path(os.path.realpath(file)).parts
