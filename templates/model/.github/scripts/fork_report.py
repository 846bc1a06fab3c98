"""Check the report that the run of a fork's pull request left, and make it safe to post.

Called by report-fork.yml, which has a token that may comment, from the default branch's own files.
The fork's author can put anything into the artifact, so it is only data: size, names and encoding
are limited, nothing is written to disk under a name from it, the pull request that it names must be
the one that the server says this run was for, and its Markdown is quoted without links, mentions or
HTML. Before that it says, in our own voice, which files of the change decide what runs. It needs
Python's standard library only.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import sys
import time
import unicodedata
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

ARTIFACT = "fork-report"
REPORT, NUMBER = "report.md", "pull-request"
LARGEST_ARCHIVE = 1024 * 1024  # bytes
LARGEST_REPORT = 256 * 1024  # bytes
LONGEST = 30_000  # characters of the report that are shown
TIMEOUT = 30  # seconds
WAITS = (1, 4, 16)  # seconds between tries
# What decides which code runs, what is deployed and what is compared. Paths or, with `/`, folders.
SENSITIVE = (
    "promotion.yaml", ".github/", "Dockerfile", ".dockerignore", ".dvc/", ".dvcignore", "dvc.yaml",
    "Makefile", "requirements/", "tests/smoke.yaml", "tests/smoke-request.json", "tests/load/",
    "tests/recorded-requests.jsonl", ".gitattributes", "CODEOWNERS",
)  # fmt: skip
MOST_FILES = 3000  # GitHub lists no more
MOST_NAMES = 30  # sensitive files that are named
# Invisible, and enough to keep `@name`, `#1`, `](` and `https://` from being a mention or a link.
JOINER = "\u2060"
T = TypeVar("T")


class RefusedError(Exception):
    """The artifact is not what the run of a pull request leaves; says what is wrong with it."""


class NothingToPostError(Exception):
    """There is no report, or nobody waits for it any more; says why."""


class Api:
    """One repository's REST API, of GitHub or Gitea. Raises OSError where it can't be asked."""

    def __init__(self, url: str, repository: str, token: str) -> None:
        if urlsplit(url).scheme not in ("https", "http"):
            raise ValueError(f"{url!r} is no web address")
        self.url = f"{url.rstrip('/')}/repos/{repository}"
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "User-Agent": "model-gitops",
        }

    def get(self, path: str) -> Any:
        """Return the JSON at `path`."""
        return patiently(lambda: json.loads(self._open(path).read()))

    def download(self, path: str, limit: int) -> bytes:
        """Return at most `limit` + 1 bytes of what `path` sends on to.

        The token stays here: the address that the server answers with carries its own signature.
        """
        return patiently(lambda: self._download(path, limit))

    def _download(self, path: str, limit: int) -> bytes:
        try:
            with self._open(path) as answer:
                return bytes(answer.read(limit + 1))
        except urllib.error.HTTPError as error:
            place = error.headers.get("Location", "")
            if error.code not in (301, 302, 303, 307, 308) or not place:
                raise
        if urlsplit(place).scheme not in ("https", "http"):
            raise OSError(f"the artifact's address is no web address: {place[:100]!r}")
        with urllib.request.urlopen(place, timeout=TIMEOUT) as answer:
            return bytes(answer.read(limit + 1))

    def _open(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=self.headers)
        return urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT)


def patiently(call: Callable[[], T]) -> T:
    """Return what `call` returns; try again, ever later, where server or network fails."""
    for wait in WAITS:
        try:
            return call()
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(wait)
    try:
        return call()
    except http.client.HTTPException as error:
        raise OSError(f"the answer was cut off: {error!r}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the next request must not have our token."""


def read_artifact(archive: bytes) -> tuple[int, str]:
    """Return the pull request's number and the Markdown of an archive. Raises RefusedError."""
    if len(archive) > LARGEST_ARCHIVE:
        raise RefusedError(f"the artifact has more than {LARGEST_ARCHIVE} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            if sorted(files.namelist()) != sorted((NUMBER, REPORT)):
                raise RefusedError(f"the artifact holds other files than {NUMBER} and {REPORT}")
            number, report = (_member(files, name) for name in (NUMBER, REPORT))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        # RuntimeError: encrypted, or packed by a method that this Python lacks.
        raise RefusedError(f"the artifact is no archive that can be read: {error}") from error
    if not re.fullmatch(rb"[1-9][0-9]{0,9}\n?", number):
        raise RefusedError(f"{NUMBER} in the artifact holds no number")
    return int(number), report.decode("utf-8", errors="replace")


def _member(files: zipfile.ZipFile, name: str) -> bytes:
    # A header may lie about the size, so no more than that is unpacked.
    with files.open(name) as stream:
        content = stream.read(LARGEST_REPORT + 1)
    if len(content) > LARGEST_REPORT:
        raise RefusedError(f"{name} in the artifact has more than {LARGEST_REPORT} bytes")
    return content


def check_pull_request(pull: Any, run: Any, repository: str) -> None:
    """Hold the pull request that the artifact names to the run that the server tells us of.

    Raises RefusedError where it is of another branch or fork, NothingToPostError where it has
    moved on.
    """
    head, base = pull["head"], pull["base"]
    # The repository of a deleted fork is null.
    home = (head["repo"] or {}).get("full_name", "")
    if base["repo"]["full_name"] != repository or not home or not _is_of(pull, run, home):
        raise RefusedError(f"pull request {pull['number']} is not the one that this run was for")
    if home == repository:
        raise NothingToPostError(f"pull request {pull['number']} is not from a fork")
    if pull["state"] != "open":
        raise NothingToPostError(f"pull request {pull['number']} is closed")
    if head["sha"] != run["head_sha"]:
        raise NothingToPostError(
            f"pull request {pull['number']} has newer commits: their run reports"
        )


def _is_of(pull: Any, run: Any, home: str) -> bool:
    """Whether `run` was for `pull`, whose head is in `home`, by what the server says of the run."""
    if "head_repository" in run:
        came_from = (run["head_repository"] or {}).get("full_name", "")
        return bool(home == came_from and pull["head"]["ref"] == run["head_branch"])
    # Gitea says it by the ref alone, after the workflow's file.
    return str(run["path"]).endswith(f"@refs/pull/{int(pull['number'])}/head")


def neutralise(markdown: str) -> str:
    """Return Markdown as a quotation: tables and text stay; no link, image, mention or HTML."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(
        character
        for character in text
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs")
    )
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition("\n")[0] + "\n\n… cut here, see the run"
    text = re.sub(r"<!--.*?(-->|\Z)", "", text, flags=re.DOTALL)
    # What our own reports use; everything else between < and > is shown as text.
    text = re.sub(r"</?(sub|details|summary|br)>", "", text)
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\n]*\)", r"\1", text)
    text = re.sub(r"&(?!(amp|lt|gt|quot);)", "&amp;", text).replace("<", "&lt;")
    text = re.sub(r"\](?=\s*[(\[:])", f"]{JOINER}", text)
    text = re.sub(r"(@|#(?=\w)|\bGH-|www(?=\.))", rf"\1{JOINER}", text, flags=re.IGNORECASE)
    text = re.sub(r"(https?|ftp|mailto|xmpp):", rf"\1{JOINER}:", text, flags=re.IGNORECASE)
    # A diagram's language draws what it likes; a block may also stand in a list or a quotation.
    item = r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+|>[ \t]?)"
    text = re.sub(
        rf"^([ \t]*{item}*[ \t]*(?:`{{3,}}(?=[^`\n]*$)|~{{3,}})).*$",
        r"\1",
        text,
        flags=re.MULTILINE,
    )
    # `[!NOTE]` at a quotation's start is an alert, in GitHub's voice.
    text = text.replace("[!", f"[{JOINER}!")
    # A bare hash is a link to that commit, with its message when pointed at.
    text = re.sub(r"(?<![\w.])([0-9a-f]{4})([0-9a-f]{3,60})(?!\w)", rf"\1{JOINER}\2", text)
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\n").split("\n"))


def sensitive(names: Iterable[str]) -> list[str]:
    """Return those of the changed files that decide what runs, sorted."""
    return sorted(
        name
        for name in set(names)
        if name in SENSITIVE
        or name.startswith(tuple(one for one in SENSITIVE if one.endswith("/")))
        or name.rpartition("/")[2] in (".gitattributes", "CODEOWNERS", "Dockerfile", "dvc.yaml")
    )


def warning(names: Sequence[str], *, all_seen: bool) -> str:
    """Return our own words on the sensitive files that a change touches; empty for none."""
    said = ""
    if names:
        shown = [f"`{_in_code(name)}`" for name in names[:MOST_NAMES]]
        if len(names) > MOST_NAMES:
            shown.append(f"and {len(names) - MOST_NAMES} more")
        said = (
            "⚠️ This change touches files that decide what runs, and with which rules:"
            f" {', '.join(shown)}. Read these first.\n\n"
        )
    if not all_seen:
        said += "⚠️ The change has more files than the server lists: look at all of it.\n\n"
    return said


def _in_code(name: str) -> str:
    """A file's name is its author's: nothing in it ends the code span, or the line."""
    return "".join(one if one.isprintable() and one != "`" else "?" for one in name)[:200]


def changed_files(api: Api, number: int) -> tuple[list[str], bool]:
    """Return a pull request's files, old names of moved ones too, and whether these are all."""
    names: list[str] = []
    files, page = 0, 1
    size = "limit=50" if "/api/v1/" in api.url else "per_page=100"  # Gitea, GitHub
    while files < MOST_FILES:
        found = api.get(f"/pulls/{number}/files?{size}&page={page}")
        if not found:
            return names, True
        for one in found:
            names += [str(one[key]) for key in ("filename", "previous_filename") if one.get(key)]
        files, page = files + len(found), page + 1
    return names, False


def compose(report: str, run: Any, server: str, repository: str, said: str = "") -> str:
    """Return the comment's text: what the server says of the run, then what the fork's run says.

    `said` is what we say of the change, as whole paragraphs.
    """
    done = {"success": "✅ passed", "failure": "❌ failed"}.get(run["conclusion"], "did not finish")
    address = f"{server}/{repository}/actions/runs/{int(run['id'])}"
    return (
        f"The [run of this fork's change]({address}) {done}. It had no secrets, and pushed neither "
        f"model nor image.\n\n{said}"
        "What follows was written by that run, so by the change itself: read it as its author's "
        f"own words.\n\n{neutralise(report)}\n"
    )


def main() -> int:
    """Write the comment's text, and hand its file and the pull request to the next step."""
    environment = os.environ
    event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    run, repository = event["workflow_run"], environment["GITHUB_REPOSITORY"]
    api = Api(environment["GITHUB_API_URL"], repository, environment["GITHUB_TOKEN"])
    try:
        found = api.get(f"/actions/runs/{int(run['id'])}/artifacts?name={ARTIFACT}&per_page=100")
        alive = [one for one in found["artifacts"] if not one["expired"]]
        if not alive:
            raise NothingToPostError("the run left no report: it stopped before the first check")
        newest = max(alive, key=lambda one: int(one["id"]))
        path = f"/actions/artifacts/{int(newest['id'])}/zip"
        number, report = read_artifact(api.download(path, LARGEST_ARCHIVE))
        try:
            pull = api.get(f"/pulls/{number}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            raise RefusedError(f"there is no pull request {number}") from error
        check_pull_request(pull, run, repository)
        names, all_seen = changed_files(api, number)
    except NothingToPostError as reason:
        print(f"::notice::Nothing to post: {reason}")
        return 0
    except RefusedError as reason:
        print(f"::error::The report of the fork is refused: {_one_line(reason)}")
        return 3
    except OSError as error:
        print(f"::error::The report of the fork can't be read: {_one_line(error)}")
        return 4
    file = Path(environment["RUNNER_TEMP"]) / "fork-report.md"
    said = warning(sensitive(names), all_seen=all_seen)
    text = compose(report, run, environment["GITHUB_SERVER_URL"], repository, said)
    file.write_text(text, encoding="utf-8")
    with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"pull-request={number}\nbody={file}\n")
    return 0


def _one_line(error: Exception) -> str:
    return "".join(one if one.isprintable() else " " for one in str(error))[:300]


if __name__ == "__main__":
    sys.exit(main())
