"""The workflow runner: its context, and what a step tells it. Only owner of `GITHUB_*`."""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gitops.errors import InputError

# A step summary may hold 1 MiB; GitHub shows none of a larger one.
SUMMARY_LIMIT = 1024 * 1024
# A terminal's sequences whole, then every other control character but tab and newline.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


@dataclass(frozen=True)
class Context:
    """What the runner says of the event that started this job. Empty strings outside a workflow."""

    event_name: str
    event: Mapping[str, Any]
    repository: str
    server_url: str
    api_url: str
    sha: str
    ref: str
    run_url: str
    workspace: Path
    # owner/name/.github/workflows/file@ref, which an identity token names too.
    workflow_ref: str = ""

    @property
    def sender(self) -> str:
        """The login of who started the workflow, or an empty string."""
        found = self.event.get("sender")
        return str(found.get("login", "")) if isinstance(found, Mapping) else ""

    @property
    def pull_request(self) -> Mapping[str, Any]:
        """The event's pull request, or an empty mapping."""
        found = self.event.get("pull_request")
        return found if isinstance(found, Mapping) else {}

    @property
    def base_ref(self) -> str:
        """The branch that a change goes into: the pull request's base, or the pushed branch."""
        base = self.pull_request.get("base")
        if isinstance(base, Mapping):
            return str(base.get("ref", ""))
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""

    @property
    def base_sha(self) -> str:
        """The commit of a pull request's base, as the event has it, or an empty string."""
        base = self.pull_request.get("base")
        return str(base.get("sha") or "") if isinstance(base, Mapping) else ""

    @property
    def before(self) -> str:
        """The commit that a push replaced, as the event has it, or an empty string."""
        return str(self.event.get("before") or "")

    @property
    def head_ref(self) -> str:
        """The branch that a pull request comes from, or an empty string."""
        head = self.pull_request.get("head")
        return str(head.get("ref", "")) if isinstance(head, Mapping) else ""

    @property
    def head_sha(self) -> str:
        """The commit that people mean: of a pull request its head, not the merge commit."""
        head = self.pull_request.get("head")
        return str(head.get("sha", "")) if isinstance(head, Mapping) else self.sha


def context() -> Context:
    """Read the runner's variables and the event file.

    Raises InputError where the event file is not JSON.
    """
    get = os.environ.get
    event: Any = {}
    if path := get("GITHUB_EVENT_PATH"):
        try:
            event = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            event = {}
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"the event file {path!r} can't be read as JSON: {error}") from error
    server = get("GITHUB_SERVER_URL") or "https://github.com"
    repository = get("GITHUB_REPOSITORY", "")
    return Context(
        event_name=get("GITHUB_EVENT_NAME", ""),
        event=event if isinstance(event, dict) else {},
        repository=repository,
        server_url=server.rstrip("/"),
        api_url=(get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"),
        sha=get("GITHUB_SHA", ""),
        ref=get("GITHUB_REF", ""),
        run_url=f"{server}/{repository}/actions/runs/{get('GITHUB_RUN_ID', '')}",
        workspace=Path(get("GITHUB_WORKSPACE") or Path.cwd()),
        workflow_ref=get("GITHUB_WORKFLOW_REF", ""),
    )


def in_workflow() -> bool:
    """Whether a workflow runner started this process."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def on_gitea() -> bool:
    """Whether the server is Gitea or Forgejo, which speak GitHub's API with differences."""
    return "true" in (os.environ.get("GITEA_ACTIONS"), os.environ.get("FORGEJO_ACTIONS"))


def temporary_folder() -> Path | None:
    """The runner's folder for temporary files, emptied after each job; None outside a workflow."""
    folder = os.environ.get("RUNNER_TEMP")
    return Path(folder) if folder else None


def write_outputs(outputs: Mapping[str, str]) -> None:
    """Hand `outputs` to later steps; outside a workflow print them as `name=value` lines."""
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        for name, value in outputs.items():
            print(f"{name}={value}")
        return
    # JSON may hold half a surrogate pair, which UTF-8 has no bytes for.
    with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
        for name, value in outputs.items():
            # A random delimiter: a value can't end its own block and add an output.
            delimiter = f"end-{uuid.uuid4().hex}"
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    for name, value in outputs.items():
        say(f"{name}: {value}" if "\n" not in value else f"{name}: ({len(value)} characters)")


def answer(outputs: Mapping[str, str], text: str) -> None:
    """Give the result of a question: `text` to a person or a pipe, `outputs` to later steps."""
    if os.environ.get("GITHUB_OUTPUT"):
        say(text)
        write_outputs(outputs)
    else:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()


def write_summary(markdown: str) -> None:
    """Append `markdown` to the step's summary; outside a workflow do nothing."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    file = Path(path)
    used = file.stat().st_size if file.exists() else 0
    text = markdown.rstrip("\n") + "\n"
    if used + len(text.encode(errors="backslashreplace")) > SUMMARY_LIMIT:
        notice("the summary is left out: a step may write 1 MiB of it")
        return
    with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def say(text: str) -> None:
    """Print progress for a person. What comes from outside can't act as a workflow command."""
    text = _plain(text)
    if in_workflow():
        # The runner reads `::command::` at the start of a line, and `##[command]` anywhere in it.
        text = "\n".join(
            f"\u200b{line}" if line.lstrip().startswith("::") else line
            for line in text.replace("##[", "##\u200b[").split("\n")
        )
    print(text, file=sys.stderr, flush=True)


def mask(secret: str) -> None:
    """Ask the runner to hide `secret`, and each of its lines, in all logs from now on."""
    if not in_workflow():
        return
    for line in {secret, *secret.splitlines()}:
        if line.strip():
            print(f"::add-mask::{_escape(line)}", flush=True)


def notice(text: str, *, title: str = "") -> None:
    """Tell something that needs no action."""
    _annotate("notice", text, title)


def warning(text: str, *, title: str = "") -> None:
    """Tell something that somebody should look at."""
    _annotate("warning", text, title)


def error(text: str, *, title: str = "") -> None:
    """Tell why the step failed."""
    _annotate("error", text, title)


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold what is printed inside under `title` in the runner's log."""
    if not in_workflow():
        say(title)
        yield
        return
    sys.stderr.flush()
    print(f"::group::{_escape(title)}", flush=True)
    try:
        yield
    finally:
        sys.stderr.flush()
        print("::endgroup::", flush=True)


def _annotate(level: str, text: str, title: str) -> None:
    text = _plain(text)
    if not in_workflow():
        print(f"{level}: {text}", file=sys.stderr, flush=True)
        return
    properties = f" title={_escape(title, of_property=True)}" if title else ""
    print(f"::{level}{properties}::{_escape(text)}", flush=True)


def _plain(text: str) -> str:
    """Leave out what steers a terminal: colours, titles, a cleared screen."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _escape(text: str, *, of_property: bool = False) -> str:
    """Escape as the runner's toolkit does: https://github.com/actions/toolkit, core/src/command.ts."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if of_property else text
