"""A good project, good inputs, and what each action reads and may change: what hostile values replace."""

from __future__ import annotations

import json
from typing import Any

DIGEST = "sha256:" + "a" * 64
PROMOTION: dict[str, Any] = {
    "model": "m",
    "image": "ghcr.io/acme/m",
    "deploy": {"repository": "acme/deploy", "path": "overlays/{environment}"},
    "environments": [
        {"name": "dev", "branch": "main"},
        {"name": "production", "branch": "production", "deploy": "pull-request"},
    ],
    "gate": [{"metric": "metrics.json:r2", "better": "higher", "tolerance": 0.01}],
}
TRAINING: dict[str, Any] = {
    "components": "components",
    "context": ".",
    "image": "ghcr.io/acme/m-{component}",
    "path": "training/{environment}",
    "environments": ["production"],
    "engine": "argo",
    "workflow": "m-training",
    "namespace": "m-{environment}",
}
DVC: dict[str, Any] = {
    "artifacts": {"m": {"path": "models/m.bin", "type": "model"}},
    "stages": {"train": {"cmd": "true", "outs": ["models/m.bin"]}},
    "metrics": ["metrics.json"],
    "params": ["params.yaml"],
    "plots": [{"curve": {"x": "a", "y": {"curve.csv": "b"}}}],
}
# MD5 of `one`.
ONE = "f97c5d29941bfb1b2fdab0874906ab82"
LOCK: dict[str, Any] = {
    "schema": "2.0",
    "stages": {"train": {"cmd": "true", "outs": [{"path": "models/m.bin", "md5": ONE, "size": 3}]}},
}
DRIFT = {
    "windows": [
        {"window": "2026-W01", "rows": 500, "drift": False, "columns": {"a": {"drift": False}}}
    ]
}
HOLD = {"reason": "R", "by": "ada", "since": "2026-11-30", "until": "2099-01-01"}
METRICS = {"r2": 0.5, "error": {"rmse": 50.0}}
SMOKE = {"health": "/readyz", "timeout": 1, "request": {"path": "/x", "json": {"a": 1}}}
EVENT: dict[str, Any] = {
    "number": 7,
    "before": "0" * 40,
    "pull_request": {
        "number": 7,
        "title": "t",
        "base": {"ref": "main", "sha": "1" * 40},
        "head": {"ref": "exp", "sha": "2" * 40, "repo": {"full_name": "acme/m"}},
    },
    "repository": {"full_name": "acme/m", "default_branch": "main"},
    "sender": {"login": "ada"},
}
# What dev ran before KUSTOMIZATION, and the message of that deployment.
DEPLOYED = (
    f"images:\n- name: m # the model\n  newName: ghcr.io/acme/m\n  newTag: v0\n  digest: {DIGEST}\n"
)
DEPLOYMENT = f"Deploy m\n\nModel: m@v0.0.1\nImage-Digest: {DIGEST}\nSource-Repository: acme/m\nSource-Commit: {'3' * 40}\n"
KUSTOMIZATION = "images:\n- name: m # the model\n  newName: ghcr.io/acme/m\n  newTag: v1\n"
FILES: dict[str, str] = {
    "promotion.yaml": json.dumps(PROMOTION),
    "dvc.yaml": json.dumps(DVC),
    "dvc.lock": json.dumps(LOCK),
    "metrics.json": json.dumps(METRICS),
    "drift.json": json.dumps(DRIFT),
    "params.yaml": "a: 1\n",
    "curve.csv": "a,b\n1,2\n2,3\n",
    ".dvc/config": "[core]\n    remote = store\n    analytics = false\n"
    "['remote \"store\"']\n    url = ../../store\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/models\n",
    ".gto": "stages: [dev, production]\n",
    "Dockerfile": "FROM scratch\n",
    "components/train/Dockerfile": "FROM scratch\nCOPY params.yaml src/*.py /app/\n",
    "smoke.yaml": json.dumps(SMOKE),
    "body.md": "A body.\n",
    ".github/workflows/nightly.yml": "on: {schedule: [{cron: '1 2 * * *'}]}\njobs: {a: {steps: []}}\n",
}
# What each action is given when nothing is hostile; the inputs in the tuple are never mutated.
GOOD: dict[str, dict[str, str]] = {
    # The project has no Makefile: there is nothing to run.
    "run-command": {"command": "test"},
    "check-promotion": {},
    "changed-models": {"base": "HEAD"},
    "changed-components": {"base": "HEAD"},
    "dvc-pull-model": {"model": "m", "working-directory": "."},
    # Production runs nothing yet: what is measured is run, and nothing may run here.
    "compare-models": {"base-ref": "production"},
    "gate-metrics": {"baseline": "HEAD"},
    "gate-drift": {"file": "drift.json"},
    # A gate that came to no end: nobody is asked, as there is no server of issues.
    "open-retraining": {"operation": "judge", "gate": "cancelled"},
    "gto-register-stage": {"model": "m", "stage": "dev"},
    "build-push-image": {"image": "127.0.0.1:9/acme/m", "smoke-test": ""},
    "push-model": {
        "artifact": "127.0.0.1:9/acme/m-model",
        "path": "models/m.bin",
        "model": "m",
        "model-hash": ONE,
    },
    "bump-kustomize-tag": {
        "path": "overlays/dev",
        "images": f"m=ghcr.io/acme/m:v2@{DIGEST}",
        # Not the version that trace-model asks for: what a bump leaves is no whole lineage.
        "trailers": "Model: m@v9.9.9",
    },
    "rollback": {"environment": "dev", "reason": "R"},
    "hold-environment": {"environment": "production", "reason": "R", "until": "2h"},
    "cml-report": {
        "config": "promotion.yaml",
        "base": "HEAD",
        "body": "body.md",
        "plots": "false",
        "title": "T",
    },
    "trace-model": {"subject": "m@v0.0.1"},
    "verify-deployment": {"environment": "dev", "timeout": "1s"},
    "run-training": {"environment": "dev", "operation": "check"},
    "status": {"environment": "dev", "candidate": "HEAD"},
    # Nobody listens there.
    "notify": {"event": "hold", "environment": "dev", "urls": "json://127.0.0.1:9/?retry=0"},
    "pipeline-health": {"config": "promotion.yaml"},
}
# Refs that a success may change: (repository, pattern).
MAY_CHANGE: dict[str, list[tuple[str, str]]] = {
    "gto-register-stage": [
        ("remote.git", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
        ("work", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
    ],
    "bump-kustomize-tag": [("deploy.git", r"refs/heads/main")],
    "hold-environment": [("deploy.git", r"refs/heads/main")],
    "rollback": [
        ("deploy.git", r"refs/heads/main"),
        ("remote.git", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
        ("work", r"refs/tags/m[@#][\w.#-]+|refs/model-gitops/\S+"),
    ],
}
# Which files of the checkout an action reads, with good content to start from.
READS: dict[str, dict[str, Any]] = {
    "run-command": {"promotion.yaml": PROMOTION},
    "changed-models": {"promotion.yaml": PROMOTION, "dvc.yaml": DVC, "event.json": EVENT},
    "changed-components": {
        "promotion.yaml": PROMOTION | {"training": TRAINING},
        "components/train/Dockerfile": "x",
        "components/train/Dockerfile.dockerignore": "x",
        "event.json": EVENT,
    },
    "check-promotion": {"promotion.yaml": PROMOTION, "event.json": EVENT, "hold.yaml": HOLD},
    "compare-models": {"promotion.yaml": PROMOTION, "event.json": EVENT},
    "gate-metrics": {"promotion.yaml": PROMOTION, "metrics.json": METRICS, "event.json": EVENT},
    "gate-drift": {"drift.json": DRIFT},
    "open-retraining": {"promotion.yaml": PROMOTION},
    "dvc-pull-model": {"dvc.yaml": DVC, "dvc.lock": LOCK, ".dvc/config": "x"},
    "gto-register-stage": {"dvc.yaml": DVC, "dvc.lock": LOCK, ".gto": {"stages": ["dev"]}},
    "build-push-image": {
        "smoke.yaml": SMOKE,
        "event.json": EVENT,
        ".dockerignore": "x",
        "Dockerfile": "x",
    },
    "bump-kustomize-tag": {
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
        "hold.yaml": HOLD,
    },
    "hold-environment": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "hold.yaml": HOLD,
    },
    "rollback": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
    "cml-report": {
        "promotion.yaml": PROMOTION,
        "dvc.yaml": DVC,
        "metrics.json": METRICS,
        "params.yaml": {"a": 1},
        "body.md": "x",
        "curve.csv": "x",
        "event.json": EVENT,
    },
    "trace-model": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
    "pipeline-health": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
        ".github/workflows/nightly.yml": {
            "on": {"schedule": [{"cron": "1 2 * * *"}]},
            "jobs": {"a": {"steps": []}},
        },
    },
    "verify-deployment": {
        "promotion.yaml": PROMOTION,
        "event.json": EVENT,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
    "run-training": {"promotion.yaml": PROMOTION | {"training": TRAINING}, "event.json": EVENT},
    "status": {
        "promotion.yaml": PROMOTION,
        "metrics.json": METRICS,
        "event.json": EVENT,
        "hold.yaml": HOLD,
        "kustomization.yaml": {"images": [{"name": "m", "newTag": "v1"}]},
    },
    "notify": {"event.json": EVENT},
}
