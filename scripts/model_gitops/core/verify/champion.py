"""Champion against candidate: the same recorded requests to both, and what is otherwise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.flow.champions import Champion
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import words
from model_gitops.core.verify.words import milliseconds, share
from model_gitops.errors import InputError

# Bytes of the file, of which so many requests are used.
LARGEST = 16 * 1024 * 1024
MOST = 1000
# Pairs of answers that are wanted at least: fewer recorded requests are sent again and again.
ENOUGH = 100
# Where the template's service is asked for one instance of its request log.
PREDICT = "/predict"
# What nobody notices, and no median of a hundred answers tells: differences below are not called slower.
_NOTICEABLE_SECONDS = 0.005
_METHODS = ("GET", "POST", "PUT")


@dataclass(frozen=True)
class Recorded:
    """One recorded request: line `line` of its file."""

    line: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True)
class Answer:
    """What one service answered: status 0 where nothing came, and `problem` why. `seconds` is how long it took."""

    status: int
    body: bytes = b""
    seconds: float = 0.0
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it answers what was asked."""
        return 200 <= self.status < 300

    @property
    def said(self) -> str:
        """What it is, in words."""
        return f"status {self.status}" if self.status else self.problem


@dataclass(frozen=True)
class Pair:
    """Both answers to one request, and in which line it stands."""

    line: int
    champion: Answer
    candidate: Answer


@dataclass(frozen=True)
class ChampionReport:
    """The judged comparison: its `rows`, and how many `pairs` of answers it is of."""

    rows: tuple[Row, ...]
    pairs: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing was broken; also where there was no champion."""
        return all(row.passed is not False for row in self.rows)


def parse(text: str, source: str) -> list[Recorded]:
    """Read recorded requests, one JSON object a line, at most the first 1,000.

    A line is a request (`path`, and `method`, `headers`, `json` if wanted), or one of the request log: its
    `instance` is sent to /predict. Skipped are empty lines, those of an access log beside it (`request_id`),
    and what is cut off as a killed process leaves it. Raises InputError, naming `source` and the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and "request_id" in data and "instance" not in data:
            continue
        found.append(_request(data, number, f"{source}, line {number}"))
        if len(found) == MOST:
            break
    if not found:
        raise InputError(
            f"{source} has no recorded request",
            fix='write one JSON object a line, such as {"path": "/predict", "json": {"instances": [[1, 2]]}},'
            " or take lines of the request log",
        )
    return found


def rounds(requests: int) -> int:
    """Return how often the recorded requests are sent: until there are enough pairs to tell times apart."""
    return max(1, math.ceil(ENOUGH / requests))


def judge(asked: Champion, pairs: Sequence[Pair], *, expected: bool) -> ChampionReport:
    """Compare the answers. `expected`: something is deployed where the champion is asked.

    Without a champion there is nothing to compare, which is said, and is no failure; where one is expected
    and answers no request well, it is.
    """
    both = [pair for pair in pairs if pair.champion.is_good]
    if not both:
        said = next((pair.champion.said for pair in pairs), "nobody was asked")
        told = (
            f"no request was answered well: {words(said)}"
            if expected
            else f"none yet ({words(said)})"
        )
        row = Row(
            "champion: there", "a champion to compare with", told, False if expected else None
        )
        return ChampionReport((row,), len(pairs))
    good = [pair for pair in both if pair.candidate.is_good]
    rows = [*_unanswered(pairs, both), _errors(asked, both)]
    if good:
        rows += [_answers(asked, good), *_times(asked, good)]
    return ChampionReport(tuple(rows), len(pairs))


def without_champion() -> ChampionReport:
    """Return the report where nobody says where a champion answers: the last environment has none."""
    row = Row(
        "champion: there",
        "a champion to compare with",
        "none: no later environment has an address",
        None,
    )
    return ChampionReport((row,))


def difference(champion: Any, candidate: Any, tolerance: float, ignored: Sequence[str]) -> str:
    """Return where two JSON values differ, and how (`$.predictions[0]: 152.1, not 98.3`); empty where they don't.

    Numbers may differ by the share `tolerance` of the larger one. What is called as one of `ignored`, at any
    depth, is not looked at.
    """
    waiting = [("$", champion, candidate)]
    while waiting:
        at, old, new = waiting.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [key for key in old if key not in ignored]
            if odd := (set(keys) ^ set(new)) - set(ignored):
                return f"{at}: only one has {sorted(odd)[0]}"
            waiting += [(f"{at}.{key}", old[key], new[key]) for key in reversed(keys)]
        elif isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new):
                return f"{at}: {len(new)} values, not {len(old)}"
            waiting += [
                (f"{at}[{place}]", *both)
                for place, both in reversed(list(enumerate(zip(old, new, strict=True))))
            ]
        elif not _are_equal(old, new, tolerance):
            return f"{at}: {json.dumps(new)[:60]}, not {json.dumps(old)[:60]}"
    return ""


def _are_equal(old: Any, new: Any, tolerance: float) -> bool:
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, int | float) and isinstance(new, int | float):
        if old == new:
            return True
        try:
            return math.isclose(old, new, rel_tol=min(tolerance, 1.0), abs_tol=1e-12)
        except OverflowError:
            return False
    return type(old) is type(new) and bool(old == new)


def _unanswered(pairs: Sequence[Pair], both: Sequence[Pair]) -> list[Row]:
    """Say what was not compared, as the champion does not answer it; more than half is a failure."""
    if len(both) == len(pairs):
        return []
    bad = next(pair for pair in pairs if not pair.champion.is_good)
    told = f"{len(both)} of {len(pairs)} (line {bad.line}: {words(bad.champion.said)})"
    passed = None if 2 * len(both) >= len(pairs) else False
    return [Row("champion: there", "a champion that answers at least half", told, passed)]


def _errors(asked: Champion, both: Sequence[Pair]) -> Row:
    failed = [pair for pair in both if not pair.candidate.is_good]
    told = f"; line {failed[0].line}: {words(failed[0].candidate.said)}" if failed else ""
    return Row(
        "champion: errors",
        f"at most {share(asked.errors)} of what the champion answers",
        f"{share(len(failed) / len(both))} ({len(failed)} of {len(both)}{told})",
        len(failed) / len(both) <= asked.errors,
    )


@dataclass
class _Differences:
    """Which lines were answered otherwise, and the first of them in words."""

    number: int = 0
    first: str = field(default="")

    def add(self, line: int, told: str) -> None:
        self.number += 1
        self.first = self.first or f"; line {line}: {words(told)}"


def _answers(asked: Champion, good: Sequence[Pair]) -> Row:
    found = _Differences()
    for pair in good:
        old, new = _value(pair.champion.body), _value(pair.candidate.body)
        if told := difference(old, new, asked.tolerance, asked.ignore):
            found.add(pair.line, told)
    return Row(
        "champion: answers",
        f"at most {share(asked.answers)} differ by more than {share(asked.tolerance)}",
        f"{share(found.number / len(good))} ({found.number} of {len(good)}{found.first})",
        found.number / len(good) <= asked.answers,
    )


def _times(asked: Champion, good: Sequence[Pair]) -> list[Row]:
    rows = []
    for name, part in (("p50", 0.5), ("p95", 0.95)):
        old = _percentile([pair.champion.seconds for pair in good], part)
        new = _percentile([pair.candidate.seconds for pair in good], part)
        ratio = f"{new / old:.3g} times" if old else "longer"
        rows.append(
            Row(
                f"champion: {name}",
                f"at most {asked.slower:g} times the champion's",
                f"{ratio} ({milliseconds(new)}, the champion {milliseconds(old)})",
                new <= asked.slower * old or new - old < _NOTICEABLE_SECONDS,
            )
        )
    return rows


def _percentile(values: Sequence[float], part: float) -> float:
    return sorted(values)[max(math.ceil(part * len(values)) - 1, 0)]


def _value(body: bytes) -> Any:
    """Return an answer's JSON, or its text where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", errors="replace")


def _request(data: Any, line: int, where: str) -> Recorded:
    """Build one request. Raises InputError."""
    if not isinstance(data, dict):
        raise InputError(
            f"{where}: it is no JSON object", fix=f'{{"path": "{PREDICT}", "json": {{…}}}}'
        )
    if "instance" in data:
        body = json.dumps({"instances": [data["instance"]]}).encode()
        return Recorded(line, "POST", PREDICT, {"Content-Type": "application/json"}, body)
    path, headers = data.get("path", PREDICT), data.get("headers", {})
    method = data.get("method", "POST" if "json" in data else "GET")
    if not isinstance(path, str) or not path.startswith("/") or not _is_plain(path) or " " in path:
        raise InputError(
            f"{where}: `path` is {path!r:.200}: it is none that starts with a slash",
            fix=f"path: {PREDICT}",
        )
    if method not in _METHODS:
        raise InputError(
            f"{where}: `method` is {method!r:.200}: it is none of {', '.join(_METHODS)}",
            fix="method: POST",
        )
    if not isinstance(headers, dict) or not all(
        isinstance(value, str) and _is_plain(name + value) for name, value in headers.items()
    ):
        raise InputError(
            f"{where}: `headers` is no object of texts",
            fix='"headers": {"Accept": "application/json"}',
        )
    if "json" not in data:
        return Recorded(line, method, path, headers, None)
    body = json.dumps(data["json"]).encode()
    return Recorded(line, method, path, {"Content-Type": "application/json", **headers}, body)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= 4000
