"""What a verification found: its rows, its verdict, and the words for people, jobs and the commit status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from model_gitops.core import document, duration
from model_gitops.core.flow.champions import Champion
from model_gitops.core.flow.loads import Load
from model_gitops.core.flow.verifying import Verify
from model_gitops.core.markdown import escape
from model_gitops.core.verify import target as targets
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import words
from model_gitops.core.verify.target import Target
from model_gitops.errors import InputError

Verdict = Literal["success", "failure", "error"]
# Bytes that one job hands to the next: it becomes a variable of the step, and Linux starts no program with one
# of more than 128 KiB (https://man7.org/linux/man-pages/man2/execve.2.html).
LARGEST = 100_000
_MOST_ROWS = 200
# A commit status takes 140 characters, and the digest's beginning is among them.
_LONGEST_REASON = 115
RUNS = "the deployed image runs"
_RESULTS = (
    "results: ${{ needs.wait.outputs.results }}",
    "checked: ${{ needs.check.outputs.results }}",
)


@dataclass(frozen=True)
class Waited:
    """What the job that waits hands on: the target, what is asked of it, and how the wait ended.

    `row` is the wait's. `problem` says why it could not be found out. `champion_url` is
    where the next environment's service is, empty where nobody says it; `champion_runs`: it has a deployment.
    """

    target: Target
    asked: Verify
    row: Row | None = None
    problem: str = ""
    champion_url: str = ""
    champion_runs: bool = False

    def text(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(
            {
                "target": self.target.document(),
                "asked": asdict(self.asked),
                "row": asdict(self.row) if self.row else None,
                "problem": self.problem,
                "champion_url": self.champion_url,
                "champion_runs": self.champion_runs,
            }
        )


@dataclass(frozen=True)
class Checked:
    """What the job that checks hands on: its rows, and why it could not go on, if so."""

    rows: Sequence[Row] = field(default_factory=tuple)
    problem: str = ""

    def text(self) -> str:
        """Return it as one line of JSON, short enough to be read again.

        Of too many rows those that failed stay, then one of each kind; the last row says how many are left out.
        """
        rows = [_short(one) for one in self.rows]
        text = self._text(rows)
        if len(rows) <= _MOST_ROWS and _fits(text):
            return text
        rows.sort(key=lambda one: (one.passed is not False, one.check.startswith("integration")))
        kept = _MOST_ROWS - 1
        while True:
            rest = rows[kept:]
            failed = any(one.passed is False for one in rest)
            more = Row("further checks", "", f"{len(rest)} more", passed=False if failed else None)
            text = self._text([*rows[:kept], more])
            if _fits(text):
                return text
            kept //= 2

    def _text(self, rows: Sequence[Row]) -> str:
        said = {"rows": [asdict(one) for one in rows], "problem": words(self.problem, longest=500)}
        return json.dumps(said, ensure_ascii=False)


def read_waited(text: str) -> Waited:
    """Read what the job that waits handed on. Raises InputError."""
    name = "results"
    found = _load(text, name, _RESULTS[0])
    asked = dict(document.mapping(found.get("asked")))
    try:
        load, champion = asked.pop("load", None), asked.pop("champion", None)
        verify = Verify(
            **asked,
            load=Load(**load) if load else None,
            champion=Champion(**champion) if champion else None,
        )
    except TypeError as error:
        raise InputError(
            f"input `{name}` is of another version of this action", fix=_RESULTS[0]
        ) from error
    row = found.get("row")
    return Waited(
        targets.read(document.mapping(found.get("target")), source=f"input `{name}`"),
        verify,
        _row(row) if row else None,
        words(found.get("problem") or ""),
        words(found.get("champion_url") or "", longest=1000),
        found.get("champion_runs") is True,
    )


def read_checked(text: str) -> Checked:
    """Read what the job that checks handed on: a branch's code ran in it. Raises InputError."""
    found = _load(text, "checked", _RESULTS[1])
    rows = document.sequence(found.get("rows"))
    if len(rows) > _MOST_ROWS:
        raise InputError(f"input `checked` has more than {_MOST_ROWS} rows", fix=_RESULTS[1])
    return Checked([_row(one) for one in rows], words(found.get("problem") or ""))


@dataclass(frozen=True)
class Outcome:
    """What comes of it: the verdict, the reason for any other than success, and all rows."""

    target: Target
    verdict: Verdict
    reason: str
    rows: Sequence[Row]

    @property
    def description(self) -> str:
        """The words of the commit status, the broken threshold first."""
        if self.verdict == "success":
            passed = sum(one.passed is True for one in self.rows)
            return f"{self.target.said} ({self.target.short}): {passed} checks passed"
        said = words(self.reason, longest=_LONGEST_REASON)
        broken = next((one for one in self.rows if one.passed is False), None)
        if broken and len(self.reason) > _LONGEST_REASON:
            # Number and threshold stay; what is cut is what was measured besides.
            asked = f"; asked: {words(broken.asked, longest=_LONGEST_REASON // 3)}"
            room = _LONGEST_REASON - len(asked)
            said = f"{words(f'{broken.check}: {broken.measured}', longest=room)}{asked}"
        return f"{said} ({self.target.short})"

    def document(self, run: str) -> dict[str, Any]:
        """Return the report as JSON's types."""
        return {
            **self.target.document(),
            "verdict": self.verdict,
            "reason": self.reason,
            "run": run,
            "checks": [asdict(one) for one in self.rows],
        }


def outcome(waited: Waited, checked: Checked | None) -> Outcome:
    """Decide. A check that promotion.yaml asks for and nobody made is an error, never a success.

    `checked` is None where that job ended without a word.
    """
    rows = [*([waited.row] if waited.row else []), *(checked.rows if checked else [])]
    broken = next((one for one in rows if one.passed is False), None)
    if broken:
        return Outcome(waited.target, "failure", _broken(broken), rows)
    problem = waited.problem
    if not problem and checked is None and wants_checks(waited.asked):
        problem = "the job that checks ended without a result"
    problem = problem or (checked.problem if checked else "") or _missing(waited, rows)
    if problem:
        return Outcome(waited.target, "error", problem, rows)
    return Outcome(waited.target, "success", "", rows)


def wants_checks(asked: Verify) -> bool:
    """Whether there is more to check than that the image runs."""
    return bool(asked.url and (asked.integration != "" or asked.load or asked.champion))


def table(found: Outcome) -> str:
    """Return the outcome as Markdown: a stranger's words are shown as they are, and are no markup."""
    sign = {True: "✓", False: "✗", None: "–"}
    lines = [
        f"### {escape(found.target.model)} {escape(found.target.said)} in {escape(found.target.environment)}:"
        f" {'verified' if found.verdict == 'success' else found.verdict}\n",
        *([f"{escape(found.reason, longest=500)}\n"] if found.reason else []),
        "| check | asked | measured | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {escape(one.check)} | {escape(one.asked, longest=200)} | {escape(one.measured, longest=300)}"
        f" | {sign[one.passed]} |"
        for one in found.rows
    ]
    return "\n".join(lines) + "\n"


def text(found: Outcome) -> str:
    """Return the outcome for a terminal."""
    sign = {True: "✓", False: "✗", None: "–"}
    head = (
        f"{found.target.model} {found.target.said} in {found.target.environment}: {found.verdict}"
    )
    lines = [head, *([found.reason] if found.reason else [])]
    lines += [
        f"{sign[one.passed]} {one.check}: {one.measured} (asked: {one.asked})" for one in found.rows
    ]
    return "\n".join(words(line, longest=500) for line in lines) + "\n"


def arrived(said: str, by: str, seconds: float, timeout: float) -> Row:
    """Return the row of the wait."""
    return Row(
        RUNS,
        f"in {duration.words(timeout)}",
        f"{words(said)} ({by}, after {duration.words(seconds)})",
        passed=True,
    )


def _broken(row: Row) -> str:
    return words(f"{row.check}: {row.measured}; asked: {row.asked}", longest=500)


def _missing(waited: Waited, rows: Sequence[Row]) -> str:
    """Return which kind of check was asked for and has no row, or an empty string."""
    asked = waited.asked
    kinds = {
        "integration": bool(asked.url and asked.integration),
        "load": asked.load is not None,
        "champion": asked.champion is not None,
    }
    for kind, is_asked in kinds.items():
        if is_asked and not any(one.check.startswith(kind) for one in rows):
            return f"promotion.yaml asks for `{kind}`, and no result of it is there"
    return ""


def _row(value: Any) -> Row:
    """Return one row that a job handed on; its words are made harmless and short."""
    found = document.mapping(value)
    passed = found.get("passed")
    return _short(
        Row(
            str(found.get("check") or "?"),
            str(found.get("asked") or ""),
            str(found.get("measured") or ""),
            # What is neither yes nor no did not pass.
            passed if passed is True or (passed is None and "passed" in found) else False,
        )
    )


def _short(row: Row) -> Row:
    """Return the row with harmless and short words."""
    asked, measured = words(row.asked, longest=300), words(row.measured, longest=300)
    return Row(words(row.check), asked, measured, row.passed)


def _fits(text: str) -> bool:
    # Bytes that are no text come from the environment as surrogates.
    return len(text.encode(errors="surrogatepass")) <= LARGEST


def _load(text: str, name: str, fix: str) -> Mapping[str, Any]:
    if not _fits(text):
        raise InputError(f"input `{name}` has more than {LARGEST} bytes", fix=fix)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"input `{name}` is no JSON", fix=fix) from error
    if not isinstance(found, dict):
        raise InputError(f"input `{name}` is no mapping", fix=fix)
    return found
