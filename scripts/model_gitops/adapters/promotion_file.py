"""promotion.yaml, read and checked."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from model_gitops.adapters import paths
from model_gitops.core import document
from model_gitops.core.flow import promotion
from model_gitops.errors import InputError


def read_promotion(path: Path) -> promotion.Promotion:
    """Read and check the promotion.yaml at `path`. Raises InputError."""
    try:
        content = paths.read_bounded(path, document.LARGEST_YAML)
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        raise InputError.of(
            "config", str(path), "no such file", fix="add a promotion.yaml: see templates/model"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise InputError.of("config", str(path), f"it can't be read: {said}") from error
    if len(content) > document.LARGEST_YAML:
        problem = f"the file has more than {document.LARGEST_YAML} bytes"
        raise InputError.of("config", str(path), problem)
    data = document.load_yaml(text, source=path.name)
    document.validate(data, promotion_schema(), source=path.name)
    return promotion.parse(data, source=path.name)


def promotion_schema() -> Any:
    """Return the JSON Schema of promotion.yaml."""
    schema = resources.files("model_gitops") / "promotion.schema.json"
    return json.loads(schema.read_text(encoding="utf-8"))
