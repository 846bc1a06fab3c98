"""The smoke test of an image: its description, and whether an answer is the expected one."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import document
from model_gitops.errors import InputError

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Predictions differ in the last digits between processors.
_TOLERANCE = 1e-6


class Unset(enum.Enum):
    """What is not asked for: null is a value that can be expected."""

    UNSET = "unset"


@dataclass(frozen=True)
class Expect:
    """What an answer must be. `json` is the whole body, `json_contains` a part of it."""

    status: int = 200
    json: Any = Unset.UNSET
    json_contains: Any = Unset.UNSET
    body_contains: str = ""
    body_matches: str = ""


@dataclass(frozen=True)
class Request:
    """One request. `body` is what is sent; `body_file` names a file that holds it instead."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    body_file: str = ""
    expect: Expect = Expect()


@dataclass(frozen=True)
class SmokeTest:
    """How to start the image, when it is healthy, and what to ask it. Times in seconds."""

    port: int = 8080
    health: str = ""
    timeout: float = 60.0
    requests: Sequence[Request] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = True
    tmpfs: Sequence[str] = ("/tmp",)  # noqa: S108 - inside the container
    command: Sequence[str] = ()


def is_text(value: str) -> bool:
    """Whether the input is the description itself; else it is the path of a file with it."""
    return "\n" in value or value.lstrip().startswith("{") or ": " in value


def parse(text: str, *, source: str = "input `smoke-test`") -> SmokeTest:
    """Parse a description (YAML or JSON). Raises InputError with the key that is wrong."""
    data = document.load_yaml(text, source=source)
    at = _Reader(source, data)
    at.only(
        "port",
        "health",
        "timeout",
        "request",
        "requests",
        "expect",
        "env",
        "read-only",
        "tmpfs",
        "command",
    )
    requests = at.get("requests", [], lambda value: isinstance(value, list), "a list of requests")
    if "request" in at.data:
        # The plain form: one request, with `expect` beside it or inside.
        one = at.data["request"]
        if isinstance(one, dict) and "expect" in at.data:
            one = {**one, "expect": at.data["expect"]}
        requests = [one, *requests]
    elif "expect" in at.data:
        raise at.wrong("expect", "it belongs to a `request`, and there is none")
    return SmokeTest(
        port=at.get("port", 8080, _is_port, "a number from 1 to 65535"),
        health=at.get("health", "", _is_path, "a path that starts with `/`"),
        timeout=float(at.get("timeout", 60, _is_seconds, "seconds, from 1 to 3600")),
        requests=tuple(
            _request(one, f"{source}, request {n}") for n, one in enumerate(requests, 1)
        ),
        env=_texts(at, "env"),
        read_only=at.get("read-only", True, lambda value: isinstance(value, bool), "true or false"),
        tmpfs=tuple(at.get("tmpfs", ["/tmp"], _are_folders, "a list of absolute paths")),  # noqa: S108
        command=tuple(at.get("command", [], _are_texts, "a list of words")),
    )


def identity(test: SmokeTest) -> str:
    """Return the SHA-256 of a test, bodies of its requests included: equal tests, equal values."""
    text = json.dumps(dataclasses.asdict(test), sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def compare(expect: Expect, status: int, body: bytes) -> list[str]:
    """Return what is wrong with an answer, one sentence each; empty where all is as expected."""
    problems = []
    if status != expect.status:
        problems.append(f"the status is {status}, not {expect.status}")
    text = body.decode("utf-8", errors="replace")
    if expect.body_contains and expect.body_contains not in text:
        problems.append(f"the body does not contain {expect.body_contains!r}")
    if expect.body_matches and not re.search(expect.body_matches, text):
        problems.append(f"the body does not match /{expect.body_matches}/")
    if (expect.json, expect.json_contains) != (Unset.UNSET, Unset.UNSET):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            problems.append("the body is not JSON")
        else:
            if expect.json is not Unset.UNSET:
                problems += _differences(expect.json, data, "$", whole=True)
            if expect.json_contains is not Unset.UNSET:
                problems += _differences(expect.json_contains, data, "$", whole=False)
    return problems


def _differences(wanted: Any, found: Any, at: str, *, whole: bool) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        problems = [f"{at}.{key} is missing" for key in wanted if key not in found]
        if whole:
            problems += [f"{at}.{key} is not expected" for key in found if key not in wanted]
        for key in wanted:
            if key in found:
                problems += _differences(wanted[key], found[key], f"{at}.{key}", whole=whole)
        return problems
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return [f"{at} has {len(found)} elements, not {len(wanted)}"]
        return [
            problem
            for number, (one, other) in enumerate(zip(wanted, found, strict=True))
            for problem in _differences(one, other, f"{at}[{number}]", whole=whole)
        ]
    if _equal(wanted, found):
        return []
    return [f"{at} is {_short(found)}, not {_short(wanted)}"]


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        try:
            return math.isclose(wanted, found, rel_tol=_TOLERANCE, abs_tol=1e-9)
        except OverflowError:  # an integer that no float can hold
            return wanted == found
    return type(wanted) is type(found) and bool(wanted == found)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _request(data: Any, source: str) -> Request:
    at = _Reader(source, data)
    at.only("method", "path", "headers", "json", "body", "body-file", "expect")
    given = [key for key in ("json", "body", "body-file") if key in at.data]
    if len(given) > 1:
        raise at.wrong(given[1], f"only one of `{given[0]}` and `{given[1]}` can be sent")
    headers = _texts(at, "headers")
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or "\n" in value or "\r" in value:
            raise at.wrong("headers", f"{name!r} is no header")
    body: bytes | None = None
    if "json" in at.data:
        body = json.dumps(at.data["json"], default=str).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers = {**headers, "Content-Type": "application/json"}
    elif "body" in at.data:
        body = str(at.get("body", "", lambda value: isinstance(value, str), "text")).encode()
    default = "POST" if given else "GET"
    return Request(
        method=at.get(
            "method", default, lambda value: value in _METHODS, f"one of {', '.join(_METHODS)}"
        ),
        path=at.get("path", "/", _is_path, "a path that starts with `/`"),
        headers=headers,
        body=body,
        body_file=at.get(
            "body-file", "", lambda value: isinstance(value, str), "the path of a file"
        ),
        expect=_expect(at.data.get("expect", {}), f"{source}, expect"),
    )


def _expect(data: Any, source: str) -> Expect:
    at = _Reader(source, data)
    at.only("status", "json", "json-contains", "body-contains", "body-matches")
    pattern = at.get(
        "body-matches", "", lambda value: isinstance(value, str), "a regular expression"
    )
    try:
        re.compile(pattern)
    except re.error as error:
        raise at.wrong("body-matches", f"it is no regular expression: {error}") from error
    return Expect(
        status=at.get("status", 200, _is_status, "a number from 100 to 599"),
        json=at.data.get("json", Unset.UNSET),
        json_contains=at.data.get("json-contains", Unset.UNSET),
        body_contains=at.get("body-contains", "", lambda value: isinstance(value, str), "text"),
        body_matches=pattern,
    )


class _Reader:
    """One mapping of the description, with the place that messages name."""

    def __init__(self, source: str, data: Any) -> None:
        if not isinstance(data, dict):
            raise InputError(
                f"{source} must be keys with values, not {_short(data)}",
                fix="{port: 8080, health: /readyz, request: {path: /predict, json: {…}}}",
            )
        self.source, self.data = source, data

    def only(self, *known: str) -> None:
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(str(key), known)
                fix = f"write `{near[0]}`" if near else f"use one of {', '.join(known)}"
                raise InputError(f"{self.source}: the key {str(key)[:100]!r} is not known", fix=fix)

    def get(self, key: str, default: Any, good: Callable[[Any], bool], wanted: str) -> Any:
        value = self.data.get(key, default)
        if key in self.data and not good(value):
            raise self.wrong(key, f"it is {_short(value)}, not {wanted}")
        return value

    def wrong(self, key: str, problem: str) -> InputError:
        return InputError(f"{self.source}: `{key}`: {problem}", fix=f"correct `{key}`")


def _texts(at: _Reader, key: str) -> dict[str, str]:
    found = at.get(key, {}, lambda value: isinstance(value, dict), "names with values")
    plain = (str, int, float)
    if not all(
        isinstance(value, plain) and not isinstance(value, bool) for value in found.values()
    ):
        raise at.wrong(key, "each value must be text or a number (quote true and false)")
    return {str(name): str(value) for name, value in found.items()}


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 3600


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"/[!-~]*", value) is not None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_folders(value: Any) -> bool:
    return _are_texts(value) and all(one.startswith("/") for one in value)
