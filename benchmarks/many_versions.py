"""A model's repository with any number of versions of one model, and the deploy repository beside it."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.deploys import deploy_repository
from benchmarks.repositories import WHO, data, imported

MODEL = "diabetes"


def repositories(work: Path, versions: int) -> Path:
    """Make both in `work`, and return the model's bare one.

    Each version has a commit with a model of its own; dev got the first. Each hundredth was taken back.
    """
    image = "ghcr.io/acme/diabetes"
    deploy = deploy_repository(work / "deploy.git", image, commits=10)
    promotion = {
        "model": MODEL,
        "image": image,
        "deploy": {"repository": deploy.as_uri()},
        "environments": [
            {"name": "dev", "branch": "main"},
            {"name": "staging", "branch": "staging"},
        ],
        "gate": [{"metric": "metrics.json:accuracy", "better": "higher", "tolerance": 0.1}],
    }
    stream = []
    for number in range(1, versions + 1):
        stream.append(
            f"commit refs/heads/main\nmark :{number}\ncommitter {WHO} {1700000000 + number} +0000\n"
        )
        stream.append(data(f"model {number}"))
        files = {"model.bin.dvc": pointer(number)}
        if number == 1:
            files["dvc.yaml"] = f"artifacts:\n  {MODEL}: {{path: model.bin, type: model}}\n"
            files["metrics.json"] = '{"accuracy": 0.9}\n'
            files["promotion.yaml"] = json.dumps(promotion)
        stream += [f"M 644 inline {name}\n{data(body)}" for name, body in files.items()]
    for number in range(1, versions + 1):
        names = [f"{MODEL}@v0.0.{number}"]
        names += [f"{MODEL}@v0.0.{number}!"] if number % 100 == 50 else []
        names += [f"{MODEL}#dev#1"] if number == 1 else []
        for shift, name in enumerate(names):
            when = 1700000000 + number + shift
            stream.append(f"tag {name}\nfrom :{number}\ntagger {WHO} {when} +0000\n{data(name)}")
    stream.append(f"reset refs/heads/staging\nfrom :{versions}\n\n")
    return imported("".join(stream), work / "model.git")


def pointer(number: int) -> str:
    """Return a .dvc file whose model is number `number`."""
    return f"outs:\n- md5: a{number:031x}\n  size: 1\n  hash: md5\n  path: model.bin\n"
