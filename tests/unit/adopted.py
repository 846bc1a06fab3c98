"""A repository that adopt looks at, as values, and what its plan has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from world import schema

from model_gitops.core import document
from model_gitops.core.adopt.inventory import Inventory, Remote
from model_gitops.core.adopt.planned import Plan
from model_gitops.core.flow import promotion

MD5 = "0123456789abcdef0123456789abcdef"
S3 = Remote("storage", "s3://bucket/path", "s3")


def lock(*outs: str, **stages: list[str]) -> str:
    """A dvc.lock: stage → outputs."""
    return json.dumps(
        {
            "schema": "2.0",
            "stages": {
                name: {
                    "cmd": "x",
                    "outs": [{"path": one, "hash": "md5", "md5": MD5} for one in made],
                }
                for name, made in (stages or {"train": list(outs)}).items()
            },
        }
    )


def there(
    files: Mapping[str, str], *, kept: Mapping[str, str] | None = None, **more: Any
) -> Inventory:
    """An inventory of a repository with these files; `kept` are files that Git ignores."""
    given: dict[str, Any] = {
        "folder": "",
        "name": "churn",
        "branches": ("main",),
        "origin": "git@github.com:Newco/churn.git",
        "remotes": {"": S3},
        **more,
    }
    return Inventory(files={**files, **(kept or {})}, in_git=frozenset(files), **given)


def rules(made: Plan, path: str = "promotion.yaml") -> promotion.Promotion:
    """The promotion.yaml that a plan writes, checked as the actions check it."""
    text = next(one.after for one in made.changes if one.path == path)
    data = YAML(typ="safe").load(text)
    document.validate(data, schema("promotion"), source=path)
    return promotion.parse(data, folder=path.rpartition("/")[0])


def written(made: Plan) -> dict[str, str]:
    return {one.path: one.after for one in made.changes}


def left(made: Plan) -> str:
    return "\n".join(f"{one.what} | {one.fix}" for one in made.open)


TRAIN = """\
# ours
stages:
  train:
    cmd: python train.py
    deps: [train.py, data.csv]
    outs:
    - models/churn.pkl   # the model
  evaluate:
    cmd: python evaluate.py
    deps: [models/churn.pkl]
    metrics:
    - scores.json: {cache: false}
"""
PIPELINE = {
    "dvc.yaml": TRAIN,
    "dvc.lock": lock("models/churn.pkl"),
    "scores.json": '{"loss": 0.3, "auc": 0.9, "seconds": 4}',
    "requirements.txt": "pandas\nscikit-learn\n",
}
