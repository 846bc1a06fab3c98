"""Schemas of custom resources, as their own project has them: from its Go module, at one version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from model_gitops.adapters import process
from model_gitops_local import toolchain


def schema(module: str, path: str, version: str) -> Any:
    """Return the JSON Schema of a resource's `version`; `module` is NAME@VERSION.

    What the schema does not name is refused, as a cluster drops it without a word.
    """
    env = {"GO111MODULE": "on", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    words = [toolchain.ensure("go"), "mod", "download", "-json", module]
    folder = Path(json.loads(process.run(words, env=env).stdout)["Dir"])
    crd = yaml.safe_load((folder / path).read_text("utf-8"))
    (found,) = (one for one in crd["spec"]["versions"] if one["name"] == version)
    top = _strict(found["schema"]["openAPIV3Schema"])
    top["properties"]["metadata"] = {"type": "object"}
    return top


def _strict(node: Any) -> Any:
    """Return a schema of OpenAPI as JSON Schema, which refuses fields that it does not name."""
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _strict(one) for key, one in node.items()}
    if "x-kubernetes-int-or-string" in made:
        made.pop("anyOf", None)
        made["type"] = ["integer", "string"]
    open_ended = "x-kubernetes-preserve-unknown-fields" in made
    if isinstance(made.get("properties"), dict) and made.get("type") == "object" and not open_ended:
        made.setdefault("additionalProperties", False)
    return made
