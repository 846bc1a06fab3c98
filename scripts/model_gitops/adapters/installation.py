"""How this package came here: which version it is, and whether a command has its packages."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.errors import InputError

NAME = "model-gitops"
REPOSITORY = "https://github.com/model-gitops/model-gitops"
LINE = "v0"
# The short form in which other modules write a command, unless a longer one has said how it starts.
_COMMAND = re.compile(
    rf"(uvx --from (?:'[^']*'|\S+) )?(?<![\w./-]){NAME} (init|update|adopt|doctor|protect|merge-lock|fetch-training|record-training)(?![\w-])"
)
# Set for the second start, which must not start a third.
_AGAIN = "MODEL_GITOPS_WITH_EXTRA"


def source() -> str:
    """Return where pip and uv find this very package again: `git+https://…@commit`, or a path."""
    # Asked by few: every step would wait for it.
    from importlib import metadata

    try:
        told = metadata.distribution(NAME).read_text("direct_url.json")
        found: Any = json.loads(told) if told else {}
    except (metadata.PackageNotFoundError, ValueError):
        found = {}
    return source_of(found if isinstance(found, dict) else {})


def source_of(direct_url: Mapping[str, Any]) -> str:
    """Return what a `direct_url.json` names, as a requirement has it; by default the release line.

    Source: https://packaging.python.org/en/latest/specifications/direct-url/
    """
    url = direct_url.get("url")
    if not isinstance(url, str) or not url:
        return f"git+{REPOSITORY}@{LINE}"
    version_control = direct_url.get("vcs_info")
    if isinstance(version_control, dict) and version_control.get("vcs") == "git":
        return f"git+{url}@{version_control.get('commit_id') or LINE}"
    return url


def command_line(arguments: Sequence[str], *, extra: str) -> list[str]:
    """Return the command that runs `arguments` with the packages of `extra`, wherever uv is."""
    return ["uvx", "--from", f"{NAME}[{extra}] @ {source()}", NAME, *arguments]


def call(name: str) -> str:
    """Return what a person types to run `name` of this very package, from any folder.

    A workflow's log is read on another machine than the runner: there uvx is what can be typed.
    """
    script = Path(__file__).resolve().parents[2] / "run.sh"
    if runner.in_workflow() or (os.environ.get("UV") and not script.is_file()):
        return shlex.join(["uvx", "--from", source(), NAME, name])
    if script.is_file():
        return shlex.join([str(script), name])
    if shutil.which(NAME):
        return shlex.join([NAME, name])
    return shlex.join([sys.executable, "-m", __package__.partition(".")[0], name])


def typed(text: str) -> str:
    """Return `text` with each `model-gitops NAME` of one of our commands as it is typed here."""
    return _COMMAND.sub(lambda found: found[0] if found[1] else call(found[2]), text)


def missing(extra: str) -> list[str]:
    """Return the packages of `extra` that are not installed. In a checkout run.sh has installed them."""
    from importlib import metadata

    try:
        requirements = metadata.distribution(NAME).requires or []
    except metadata.PackageNotFoundError:
        return []
    marker = re.compile(rf"""extra *== *['"]{re.escape(extra)}['"]""")
    names = [
        re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0]
        for one in requirements
        if marker.search(one.partition(";")[2])
    ]
    return [name for name in names if not _is_installed(name)]


def require(arguments: Sequence[str]) -> None:
    """Let the command `arguments[0]` have its packages: uvx starts it anew with its extra.

    `uvx --from git+… model-gitops NAME` installs no extra. Raises InputError where no uvx started us.
    """
    lacks = missing(arguments[0])
    if not lacks or {"--help", "-h"} & set(arguments):
        return
    again = command_line(arguments, extra=arguments[0])
    uv = os.environ.get("UV", "")
    if not Path(uv).is_file() or os.environ.get(_AGAIN):
        raise InputError(
            f"`{arguments[0]}` needs packages that are not installed here: {', '.join(lacks)}",
            fix=shlex.join(again),
        )
    runner.notice(f"uvx installs {', '.join(lacks)} for `{arguments[0]}`")
    os.environ[_AGAIN] = "1"
    os.execv(uv, [uv, "tool", "run", *again[1:]])  # noqa: S606 - replaces us: no shell


def _is_installed(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
