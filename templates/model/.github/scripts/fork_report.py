"""Check the report that the run of a fork's pull request left, and make it safe to post.

Called by report-fork.yml, which has a token that may comment, from the default branch's own files.
The fork's author can put anything into the artifact, so it is only data: size, names and encoding
are limited, nothing is written to disk under a name from it, the pull request that it names must be
the one that GitHub says this run was for, and its Markdown is quoted without links, mentions or
HTML. It needs Python's standard library only.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

ARTIFACT = "fork-report"
REPORT, NUMBER = "report.md", "pull-request"
LARGEST_ARCHIVE = 1024 * 1024  # bytes
LARGEST_REPORT = 256 * 1024  # bytes
LONGEST = 30_000  # characters of the report that are shown
MOST_FILES = 1000  # of a pull request's files so many are looked at
MOST_SHOWN = 20
# What judges, builds or deploys all that follows, as in CODEOWNERS. A folder ends with `/`.
SENSITIVE = (
    *(".github/", "promotion.yaml", "Dockerfile", ".dockerignore", ".dvc/", "dvc.yaml", "Makefile"),
    *("requirements/", "tests/smoke.yaml", "tests/smoke-request.json"),
)
TIMEOUT = 30  # seconds
WAITS = (1, 4, 16)  # seconds between tries
# Invisible, and enough to keep `@name`, `#1`, `](` and `https://` from being a mention or a link.
JOINER = "\u2060"
T = TypeVar("T")


class RefusedError(Exception):
    """The artifact is not what the run of a pull request leaves; says what is wrong with it."""


class NothingToPostError(Exception):
    """There is no report, or nobody waits for it any more; says why."""


class Api:
    """GitHub's REST API for one repository. Raises OSError where it can't be asked."""

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

        The token stays here: the address that GitHub answers with carries its own signature.
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
    """Hold the pull request that the artifact names to the run that GitHub tells us of.

    Raises RefusedError where it is of another branch or fork, NothingToPostError where it has
    moved on.
    """
    head, base = pull["head"], pull["base"]
    # The repository of a deleted fork is null.
    home = (head["repo"] or {}).get("full_name", "")
    into = base["repo"]["full_name"]
    came_from = (run["head_repository"] or {}).get("full_name", "")
    if into != repository or not home or home != came_from or head["ref"] != run["head_branch"]:
        raise RefusedError(f"pull request {pull['number']} is not the one that this run was for")
    if pull["state"] != "open":
        raise NothingToPostError(f"pull request {pull['number']} is closed")
    if head["sha"] != run["head_sha"]:
        raise NothingToPostError(
            f"pull request {pull['number']} has newer commits: their run reports"
        )


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
    # A commit's hash, from seven digits on, is a link to it.
    text = re.sub(
        r"[0-9a-f]{7,}",
        lambda match: JOINER.join(re.findall(r".{1,6}", match[0])),
        text,
        flags=re.IGNORECASE,
    )
    # `[!WARNING]` at the start of a quotation would look like GitHub's own words.
    text = text.replace("[!", f"[{JOINER}!")
    # A diagram's language draws what it likes, in a list or a quotation too.
    text = re.sub(
        r"^((?:\s|[-+*>]|\d{1,9}[.)])*(?:`{3,}|~{3,})).*$", r"\1", text, flags=re.MULTILINE
    )
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\n").split("\n"))


def sensitive(files: list[Any]) -> list[str]:
    """Return the changed paths that judge, build or deploy later changes, sorted."""
    paths = {str(one.get(key, "")) for one in files for key in ("filename", "previous_filename")}
    return sorted(
        path
        for path in paths
        if any(path.startswith(one) if one.endswith("/") else path == one for one in SENSITIVE)
    )


def warning(files: list[Any]) -> str:
    """Return, as our own words, which sensitive files a change touches; empty for none."""
    found = sensitive(files)
    said = ""
    if found:
        # In a code span nothing is markup but a backtick, which a path may hold.
        names = [re.sub(r"[`\s|]+", " ", _one_line(path)) for path in found[:MOST_SHOWN]]
        more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        said = (
            "⚠️ **This change touches what judges, builds or deploys every change that follows:** "
            + ", ".join(f"`{name}`" for name in names)
            + f"{more}. Read these files before anything below.\n\n"
        )
    if len(files) >= MOST_FILES:
        said += f"⚠️ It changes {MOST_FILES} files or more: the others were not looked at.\n\n"
    return said


def compose(report: str, run: Any, server: str, repository: str, files: list[Any]) -> str:
    """Return the comment's text: what GitHub says of the run, then what the fork's run says."""
    done = {"success": "✅ passed", "failure": "❌ failed"}.get(run["conclusion"], "did not finish")
    address = f"{server}/{repository}/actions/runs/{int(run['id'])}"
    return (
        f"The [run of this fork's change]({address}) {done}. It had no secrets, and pushed neither "
        f"model nor image.\n\n{warning(files)}"
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
        files: list[Any] = []
        for page in range(1, MOST_FILES // 100 + 1):
            files += (found := api.get(f"/pulls/{number}/files?per_page=100&page={page}"))
            if len(found) < 100:
                break
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
    text = compose(report, run, environment["GITHUB_SERVER_URL"], repository, files)
    file.write_text(text, encoding="utf-8")
    with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"pull-request={number}\nbody={file}\n")
    return 0


def _one_line(text: object) -> str:
    return "".join(one if one.isprintable() else " " for one in str(text))[:300]


if __name__ == "__main__":
    sys.exit(main())
