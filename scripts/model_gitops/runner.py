"""The workflow runner: its context, and what a step tells it. Only owner of `GITHUB_*`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gitops import events
from model_gitops.errors import ExternalError, InputError

# A step summary may hold 1 MiB; GitHub shows none of a larger one.
SUMMARY_LIMIT = 1024 * 1024
# Where a step hands on to the runner. What is only to be measured must not have them.
STEP_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
# A terminal's sequences whole, then every other control character but tab and newline.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


_GITHUB = "https://github.com"


@dataclass(frozen=True)
class Context:
    """What the runner says of the event that started this job. Empty strings outside a workflow.

    `api_url` is empty for a server that is not GitHub's, and whose API nobody told.
    """

    event_name: str
    event: Mapping[str, Any]
    repository: str
    server_url: str
    api_url: str
    sha: str
    run_url: str
    workspace: Path
    # owner/name/.github/workflows/file@ref, which an identity token names too.
    workflow_ref: str
    subject: events.Subject

    @property
    def has_run(self) -> bool:
        """Whether a run of a workflow started us, which `run_url` is the page of."""
        return bool(self.repository) and not self.run_url.endswith("/")

    @property
    def sender(self) -> str:
        """The login of who started the workflow, or an empty string."""
        found = self.event.get("sender")
        return str(found.get("login", "")) if isinstance(found, Mapping) else ""

    @property
    def run(self) -> str:
        """The address of this workflow run; empty outside a workflow."""
        return "" if self.run_url.endswith("/") or not self.repository else self.run_url

    @property
    def base_ref(self) -> str:
        """The branch that a change goes into, or that has what the event is about."""
        return self.subject.base

    @property
    def base_sha(self) -> str:
        """The commit of a change's base, as the event has it, or an empty string."""
        for key, place in (("pull_request", ("base", "sha")), ("merge_group", ("base_sha",))):
            found: Any = self.event.get(key)
            for step in place:
                found = found.get(step) if isinstance(found, Mapping) else None
            if isinstance(found, str):
                return found
        return ""

    @property
    def before(self) -> str:
        """The commit that a push replaced, as the event has it, or an empty string."""
        return str(self.event.get("before") or "")

    @property
    def new_branch(self) -> str:
        """The branch that this push created, or an empty string."""
        if self.event_name == "create":
            return self.base_ref
        if self.event_name not in ("", "push"):
            return ""
        nothing_before = self.before != "" and not self.before.strip("0")
        return self.base_ref if nothing_before or self.event.get("created") is True else ""

    @property
    def head_ref(self) -> str:
        """The branch that a pull request comes from, or an empty string."""
        return self.subject.head

    @property
    def head_sha(self) -> str:
        """The commit that people mean: of a pull request its head, and once merged what it became."""
        return self.subject.commit


def context() -> Context:
    """Read the runner's variables and the event file.

    Raises InputError where the event file is not JSON, or is not there and tells what nothing else does.
    """
    get = os.environ.get
    name, repository = get("GITHUB_EVENT_NAME", ""), get("GITHUB_REPOSITORY", "")
    event = _event(get("GITHUB_EVENT_PATH", ""), name)
    server = (get("GITHUB_SERVER_URL") or _GITHUB).rstrip("/")
    # A token for another server must not go to GitHub's own.
    api = get("GITHUB_API_URL") or ("https://api.github.com" if server == _GITHUB else "")
    sha = get("GITHUB_SHA", "")
    return Context(
        event_name=name,
        event=event,
        repository=repository,
        server_url=server,
        api_url=api.rstrip("/"),
        sha=sha,
        run_url=f"{server}/{repository}/actions/runs/{get('GITHUB_RUN_ID', '')}",
        workspace=Path(get("GITHUB_WORKSPACE") or Path.cwd()),
        workflow_ref=get("GITHUB_WORKFLOW_REF", ""),
        subject=events.read(name, event, sha=sha, ref=get("GITHUB_REF", ""), repository=repository),
    )


def _event(path: str, name: str) -> Mapping[str, Any]:
    """Return the payload of the event. Raises InputError."""
    fix = "let the job keep the runner's own GITHUB_EVENT_PATH; in a container that file must be mounted"
    told = f"the runner's file of the event, GITHUB_EVENT_PATH={path!r},"
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8")) if path else None
    except FileNotFoundError as error:
        if events.needs_payload(name):
            raise InputError(
                f"{told} is not there: only it says what a {name} is about", fix=fix
            ) from error
        event = None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{told} can't be read as JSON: {error}", fix=fix) from error
    if not isinstance(event, dict | None):
        raise InputError(f"{told} holds no mapping", fix=fix)
    return event or {}


def in_workflow() -> bool:
    """Whether a workflow runner started this process."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def run_again() -> bool:
    """Whether this is a run that somebody started again: its second attempt, or a later one."""
    attempt = os.environ.get("GITHUB_RUN_ATTEMPT", "")
    return attempt.isdecimal() and int(attempt) > 1


def on_gitea() -> bool:
    """Whether the server is Gitea or Forgejo, which speak GitHub's API with differences."""
    return "true" in (os.environ.get("GITEA_ACTIONS"), os.environ.get("FORGEJO_ACTIONS"))


def temporary_folder() -> Path | None:
    """The runner's folder for temporary files, emptied after each job; None outside a workflow.

    Raises ExternalError where it is not there and can't be made, or can't be written.
    """
    folder = os.environ.get("RUNNER_TEMP")
    if not folder:
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _try_to_write(Path(folder))
    except OSError as error:
        raise ExternalError(
            f"the runner's folder for temporary files, RUNNER_TEMP={folder}, can't be used:"
            f" {error.strerror}",
            fix="let the runner name a folder that this job's account may write, or unset RUNNER_TEMP",
        ) from error
    return Path(folder)


def check_outputs() -> None:
    """Look whether outputs can be handed on, before anything is done that they tell of.

    Raises ExternalError.
    """
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        return
    try:
        # Nothing is created: a step that is refused leaves no file.
        if Path(path).exists():
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        else:
            _try_to_write(Path(path).parent)
    except OSError as error:
        raise ExternalError(
            f"the runner's file for outputs, GITHUB_OUTPUT={path}, can't be written: {error.strerror}",
            fix="let the job keep the runner's own GITHUB_OUTPUT, and run as an account that may write it",
        ) from error


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
            delimiter = f"end-{os.urandom(16).hex()}"
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
    """Append `markdown` to the step's summary; outside a workflow do nothing.

    Gitea and Forgejo show no summary: there it is printed to the log.
    """
    if on_gitea():
        with group("Summary"):
            say(markdown.rstrip("\n"))
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    text = markdown.rstrip("\n") + "\n"
    try:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as stream:
            if stream.tell() + len(text.encode(errors="backslashreplace")) > SUMMARY_LIMIT:
                notice("the summary is left out: a step may write 1 MiB of it")
                return
            stream.write(text)
    except OSError as problem:
        # What the step did stands: a page that nobody can show is no reason to call it failed.
        warning(f"the summary is left out: GITHUB_STEP_SUMMARY={path}: {problem.strerror}")


def summary_place() -> str:
    """Say where `write_summary` is read."""
    if on_gitea():
        return "in the log of this step"
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        return "in the step's summary"
    return "in the file that the output `report` names"


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


def _try_to_write(folder: Path) -> None:
    """Make and remove a file in `folder`. Raises OSError."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder):
        pass


def _plain(text: str) -> str:
    """Leave out what steers a terminal: colours, titles, a cleared screen."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _escape(text: str, *, of_property: bool = False) -> str:
    """Escape as the runner's toolkit does: https://github.com/actions/toolkit, core/src/command.ts."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if of_property else text
