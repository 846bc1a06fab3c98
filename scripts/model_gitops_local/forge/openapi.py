"""GitHub's published OpenAPI description, and the check of the forge's exchanges against it."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from model_gitops.adapters import process
from model_gitops.errors import ExternalError
from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.api.routing import Route
from model_gitops_local.forge.server import Forge

PACKAGE = "@octokit/openapi"
VERSION = "23.0.2"
# What the npm registry says of this version (`npm view @octokit/openapi@23.0.2 dist.integrity`).
INTEGRITY = "sha512-pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
_MEMBER = "package/generated/api.github.com.json"
_URI = "urn:github"


def cache() -> Path:
    """Return the folder of the tools that tests and demo fetch."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "model-gitops"


def description() -> Path:
    """Return GitHub's description as a file, fetched with npm at the first call.

    Raises ExternalError if npm is missing or fails, or the package is not the pinned one.
    """
    target = cache() / f"api.github.com-{VERSION}.json"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "openapi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in parallel
        if not target.exists():
            _fetch(target)
    return target


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        process.run(
            ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}", f"--pack-destination={folder}"]
        )
        archive = next(Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            raise ExternalError(
                f"{PACKAGE} {VERSION} has the hash sha512-{digest}, not the pinned {INTEGRITY}",
                fix="look at the package; pin the new hash only if it is right",
            )
        with tarfile.open(archive) as tar:
            member = tar.extractfile(_MEMBER)
            if member is None:
                raise ExternalError(f"{PACKAGE} {VERSION} has no {_MEMBER}")
            draft = Path(folder) / "description.json"
            draft.write_bytes(member.read())
        draft.replace(target)


@lru_cache(maxsize=1)
def load() -> dict[str, Any]:
    """Return GitHub's description."""
    data: dict[str, Any] = json.loads(description().read_text("utf-8"), object_hook=_mend)
    return data


def _mend(node: dict[str, Any]) -> dict[str, Any]:
    """Spell out what the description means: `nullable` beside `oneOf` or `enum` allows null."""
    for keyword in ("oneOf", "anyOf"):
        if node.get("nullable") is True and "type" not in node and keyword in node:
            node[keyword].append({"enum": [None]})
    if node.get("nullable") is True and None not in node.get("enum", [None]):
        node["enum"].append(None)
    if "oneOf" in node:  # `oneOf` alone says the same, also for lists, which have no `type`
        node.pop("discriminator", None)
    return node


def _pointer(*parts: str) -> str:
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


class OpenApi:
    """Checks exchanges against the description (OpenAPI 3.0, so `nullable` counts)."""

    def __init__(self, document: Mapping[str, Any] | None = None) -> None:
        from openapi_schema_validator import oas30_format_checker
        from referencing import Registry
        from referencing.jsonschema import DRAFT4

        self.document = load() if document is None else document
        resource = DRAFT4.create_resource(self.document)
        self.registry: Any = Registry().with_resource(_URI, resource)
        self.formats = oas30_format_checker
        self.formats.checks("uri")(_is_uri)

    def errors(self, value: Any, pointer: str) -> list[str]:
        """Return what is wrong with a value, for the schema at a place of the description."""
        from openapi_schema_validator import OAS30Validator

        validator = OAS30Validator(
            {"$ref": f"{_URI}#{pointer}"}, registry=self.registry, format_checker=self.formats
        )
        found = validator.iter_errors(value)
        return [f"{error.json_path}: {error.message[:300]}" for error in found]

    def _at(self, *parts: str) -> tuple[Any, str]:
        """Return what is at a place and its pointer, `$ref` followed."""
        node: Any = self.document
        for part in parts:
            node = node[part]
        if "$ref" in node:
            return self._at(*node["$ref"].removeprefix("#/").split("/"))
        return node, _pointer(*parts)

    def check(
        self, route: Route, query: Mapping[str, str], body: bytes, answer: Answer
    ) -> list[str]:
        """Return the violations of one exchange, request and answer."""
        where = ("paths", route.template, route.method.lower())
        try:
            operation, _ = self._at(*where)
        except KeyError:
            return ["GitHub's description has no such operation"]
        problems = [] if answer.status == 400 else self._request(where, operation, query, body)
        # A client's mistake that the forge refuses, as GitHub does, is no violation.
        refused = answer.status in (404, 422)
        return ([] if refused else problems) + self._answer(where, operation, answer)

    def _request(
        self, where: tuple[str, ...], operation: Any, query: Mapping[str, str], body: bytes
    ) -> list[str]:
        problems = []
        known = {}
        for index, _ in enumerate(operation.get("parameters", [])):
            parameter, pointer = self._parameter(where, index)
            if parameter["in"] == "query":
                known[parameter["name"]] = (parameter, pointer)
        for name, text in query.items():
            if name not in known:
                problems.append(f"query parameter {name}: not in GitHub's description")
                continue
            parameter, pointer = known[name]
            kind = parameter["schema"].get("type")
            value: Any = int(text) if kind == "integer" and text.lstrip("-").isdecimal() else text
            value = {"true": True, "false": False}.get(text, text) if kind == "boolean" else value
            problems += [
                f"query parameter {name}: {error}"
                for error in self.errors(value, f"{pointer}/schema")
            ]
        if "requestBody" in operation:
            required = operation["requestBody"].get("required", False)
            if body.strip():
                pointer = _pointer(*where, "requestBody", "content", "application/json", "schema")
                data = json.loads(body)
                if where[1].endswith("/labels") and isinstance(data, list):
                    # "You can also pass an array of labels directly", says its text alone.
                    data = {"labels": data}
                problems += [f"request {e}" for e in self.errors(data, pointer)]
            elif required:
                problems.append("request has no body")
        return problems

    def _parameter(self, where: tuple[str, ...], index: int) -> tuple[Any, str]:
        operation, _ = self._at(*where)
        parameter = operation["parameters"][index]
        if "$ref" in parameter:
            return self._at(*parameter["$ref"].removeprefix("#/").split("/"))
        return parameter, _pointer(*where, "parameters", str(index))

    def _answer(self, where: tuple[str, ...], operation: Any, answer: Answer) -> list[str]:
        status = str(answer.status)
        if status not in operation["responses"]:
            # The description leaves most refusals out; they all have one form.
            if answer.status >= 400:
                return self.errors(answer.body, "/components/schemas/basic-error")
            return [f"status {status}: not in GitHub's description"]
        response, pointer = self._at(*where, "responses", status)
        content = response.get("content", {})
        if not content:
            return [] if answer.body is None else [f"status {status}: has a body"]
        media = "application/json" if "application/json" in content else next(iter(content))
        schema = f"{pointer}{_pointer('content', media, 'schema')}"
        return [f"answer {status} {error}" for error in self.errors(answer.body, schema)]


def _is_uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return bool(parts.scheme and (parts.netloc or parts.path)) and " " not in value


@contextmanager
def strict_forge(root: Path) -> Iterator[Forge]:
    """Run a forge that is held to GitHub's description; AssertionError at the end if it broke it."""
    with Forge(root, validator=OpenApi()) as forge:
        yield forge
    if forge.violations:
        raise AssertionError("\n".join(forge.violations))
