"""The schemas of custom resources: those that schemas.yaml names, out of their own projects' Go modules.

A module is fetched by `go mod download`, which checks it against Go's checksum database; only the modules of
kinds that are there. What is made of it is kept in a folder, by the version: later runs need neither Go
nor a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft4Validator

KEPT = ("type", "format", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
        "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "multipleOf", "const",
        "exclusiveMinimum", "exclusiveMaximum", "anyOf", "allOf", "oneOf", "not")  # fmt: skip
OPEN = (
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
)


class SchemaError(Exception):
    """A schema can't be had: the text says why, and what to do."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader, in C where there is one. A bare `=` is text, as Go reads it."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


class Schemas:
    """Each kind's validator, by the table of schemas.yaml; `folder` keeps what was fetched."""

    def __init__(self, table: dict[str, Any], folder: Path) -> None:
        self.without: dict[str, str] = table.get("without-schema") or {}
        self._folder = folder
        self._found: dict[tuple[str, str], Draft4Validator] = {}
        self._modules = {
            kind: (one, path)
            for one in table["custom-resources"]
            for kind, path in one["kinds"].items()
        }

    def validator(self, api: str, kind: str) -> Draft4Validator | None:
        """Return what validates a kind, or None where the table has none. Raises SchemaError."""
        group, _, version = api.rpartition("/")
        if (api, kind) not in self._found:
            if f"{group}/{kind}" not in self._modules:
                return None
            module, path = self._modules[f"{group}/{kind}"]
            schema = self._schema(module, path, version)
            self._found[api, kind] = Draft4Validator(schema)
        return self._found[api, kind]

    def _schema(self, module: dict[str, Any], path: str, version: str) -> Any:
        """Return one strict JSON schema: the kept one, else made of the module's file and kept."""
        recipe = json.dumps([module, path, version]) + Path(__file__).read_text("utf-8")
        name = hashlib.sha256(recipe.encode()).hexdigest()[:24]
        kept = self._folder / f"{Path(path).stem}-{version}-{name}.json"
        if kept.exists():
            return json.loads(kept.read_text("utf-8"))
        file, _, place = path.partition("#")
        source = fetch(f"{module['module']}@{module['version']}") / file
        if not source.is_file():
            raise SchemaError(
                f"{module['module']}@{module['version']} has no file {file}: correct it in scripts/schemas.yaml"
            )
        text = source.read_text("utf-8")
        if place:
            made = definitions(json.loads(text), place, module.get("optional") or {})
        else:
            crd = yaml.load(text, Loader)  # noqa: S506 it is a SafeLoader
            served = {one["name"]: one for one in crd["spec"]["versions"]}
            if version not in served:
                raise SchemaError(
                    f"{module['module']}@{module['version']} has no version {version!r} of this kind,"
                    f" only {', '.join(served)}: change the manifest, or the version in scripts/schemas.yaml"
                )
            made = strict(served[version]["schema"]["openAPIV3Schema"])
            made["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as new:
            json.dump(made, new)
        Path(new.name).rename(kept)
        return made


def fetch(module: str) -> Path:
    """Return the folder of MODULE@VERSION in Go's module cache, downloaded if need be. Raises SchemaError."""
    env = os.environ | {"GO111MODULE": "on", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            env=env, check=False, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    except FileNotFoundError:
        raise SchemaError(f"the schemas of {module} need `go` on PATH: install Go") from None
    except subprocess.TimeoutExpired:
        raise SchemaError(
            f"{module} can't be downloaded within 10 minutes: is the network slow?"
        ) from None
    try:
        found: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        found = {}
    if "Dir" not in found or done.returncode:
        why = (found.get("Error") or done.stderr).strip()
        raise SchemaError(f"{module} can't be downloaded: {why}: does this machine reach GOPROXY?")
    return Path(found["Dir"])


def strict(node: dict[str, Any]) -> dict[str, Any]:
    """Return a CustomResourceDefinition's schema as a JSON schema that refuses fields it does not name.

    A cluster drops such fields without a word. Rules in CEL are not kept: only a cluster evaluates them.
    """
    made = {key: node[key] for key in KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        made.pop("anyOf", None)
        made["type"] = ["integer", "string"]
    if node.get("nullable") and "type" in made:
        made["type"] = [*_types(made), "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    if isinstance(node.get("items"), dict):
        made["items"] = strict(node["items"])
    if "additionalProperties" in node:
        rest = node["additionalProperties"]
        made["additionalProperties"] = strict(rest) if isinstance(rest, dict) else rest
    if "properties" in node or node.get("type") == "object":
        made["properties"] = {
            key: strict(value) for key, value in (node.get("properties") or {}).items()
        }
        if not any(node.get(key) for key in OPEN):
            made["additionalProperties"] = False
    return made


def definitions(
    document: dict[str, Any], root: str, optional: dict[str, list[str]]
) -> dict[str, Any]:
    """Return one kind of a file of `definitions` (Argo Events), with those that it needs, strict."""
    made: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in made:
            continue
        node = document["definitions"][name]
        made[name] = _closed(node)
        made[name]["required"] = [
            one for one in node.get("required", []) if one not in optional.get(name, ())
        ]
        if not made[name]["required"]:
            del made[name]["required"]
        waiting += [one.rpartition("/")[2] for one in _references(node)]
    made[root]["properties"]["metadata"] = {"type": "object"}
    return {"definitions": made, "$ref": f"#/definitions/{root}"}


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    made = {key: node[key] for key in (*KEPT, "$ref", "additionalProperties") if key in node}
    if "const" in made:  # newer than draft 4
        made["enum"] = [made.pop("const")]
    if isinstance(node.get("items"), dict):
        made["items"] = _closed(node["items"])
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _closed(made["additionalProperties"])
    if "properties" in node:
        made["properties"] = {key: _closed(value) for key, value in node["properties"].items()}
        made.setdefault("additionalProperties", False)
    return made


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [one for item in node for one in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [one for value in node.values() for one in _references(value)]


def _types(node: dict[str, Any]) -> list[str]:
    found = node["type"]
    return found if isinstance(found, list) else [found]
