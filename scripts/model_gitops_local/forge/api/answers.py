"""What the API answers with: values, pages of lists, and refusals in GitHub's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from model_gitops_local.forge.shapes import Json

MAX_BODY = 65536
_DOCS = "https://docs.github.com/rest"


@dataclass
class Answer:
    """What goes back: a status, a JSON value (None for no content) and headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An answer of 4xx, in GitHub's form."""

    def __init__(self, status: int, message: str, errors: list[Json] | None = None) -> None:
        super().__init__(message)
        body: Json = {"message": message}
        if errors is not None:
            body["errors"] = errors
        self.answer = Answer(status, body | {"documentation_url": _DOCS, "status": str(status)})


def not_found() -> ApiError:
    """Return GitHub's answer for what is not there, or must not be known to be there."""
    return ApiError(404, "Not Found")


def invalid(resource: str, code: str, *, field: str = "", message: str = "") -> ApiError:
    """Return GitHub's 422 with one error."""
    error = {"resource": resource, "code": code}
    error |= {"field": field} if field else {}
    error |= {"message": message} if message else {}
    return ApiError(422, "Validation Failed", [error])


def check_length(body: str, resource: str) -> str:
    """Refuse a body of more than 65,536 characters, as GitHub does."""
    if len(body) > MAX_BODY:
        message = f"Body is too long (maximum is {MAX_BODY} characters)"
        raise invalid(resource, "unprocessable", field="data", message=message)
    return body


def paginate(
    query: Mapping[str, str], items: list[Any], url: str
) -> tuple[list[Any], dict[str, str]]:
    """Return the page that the query asks for, and its Link header."""

    def number(name: str, default: int) -> int:
        try:
            return max(1, int(query.get(name, default)))
        except ValueError:
            return default

    size, page = min(100, number("per_page", 30)), number("page", 1)
    last = max(1, -(-len(items) // size))
    targets: dict[str, int] = {}
    if page > 1:
        targets |= {"prev": min(page - 1, last)}
    if page < last:
        targets |= {"next": page + 1, "last": last}
    if page > 1:
        targets |= {"first": 1}
    links = [
        f'<{url}?{urlencode({**query, "page": number})}>; rel="{name}"'
        for name, number in targets.items()
    ]
    return items[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}
