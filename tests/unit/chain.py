"""The facts of a lineage that holds: what runs in dev, and how it came there."""

from __future__ import annotations

from dataclasses import replace

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.dvc.pipeline import Ingredient, Recipe
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage.facts import (
    Before,
    Deployed,
    Pull,
    Registered,
    Source,
    Stored,
    Trace,
)

COMMIT, HEAD, TIP = "1" * 40, "2" * 40, "3" * 40
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
HASH = "c" * 32
IMAGE = Image("m", "r.example/m", COMMIT, DIGEST)
LABELS = {"io.model-gitops.model.hash": HASH, "org.opencontainers.image.revision": HEAD}
SOURCE = Source(
    COMMIT, model_path="m.bin", model_hash=HASH, branch="main", on_branch=True, tip=COMMIT,
    tip_hash=HASH,
)  # fmt: skip
TRACE = Trace(
    subject="dev",
    model="m",
    environment="dev",
    deployed=Deployed(
        "acme/deploy", "main", "overlays/dev/kustomization.yaml", IMAGE, "d" * 40, IMAGE,
        {
            "model": ["m@v1.0.0"],
            "model-hash": [HASH],
            "image-digest": [DIGEST],
            "source-repository": ["acme/m"],
            "source-commit": [COMMIT],
        },
        since=1_700_000_000,
    ),
    stored=Stored("r.example/m", COMMIT, DIGEST, DIGEST, LABELS),
    built=replace(SOURCE, commit=HEAD),
    source=SOURCE,
    version=Registered("m", "v1.0.0", "m@v1.0.0", HEAD, HASH),
    held="v1.0.0",
    held_hash=HASH,
    image="r.example/m",
    recipe=Recipe(("train",), (Ingredient("d.csv", "e" * 32, "data"),), {"p.yaml": {"a": 1}}, checked=3),
    pull=Pull(7, "https://g.example/acme/m/pull/7", "main", ("grace",)),
)  # fmt: skip

# The same for staging, with all that can be asked.
FLOW = Promotion(
    "m", "r.example/m",
    (
        Environment("dev", "main"),
        Environment("staging", "staging", approvals=1),
        Environment("production", "production", approvals=2),
    ),
)  # fmt: skip
PULL = Pull(
    7, "https://g.example/acme/m/pull/7", "staging", ("grace",), (), "main", "", HEAD
)  # fmt: skip
DEPLOY_PULL = Pull(8, "https://g.example/acme/deploy/pull/8", "main", ("ada", "grace"))
FINGERPRINT, SHA256 = "f" * 64, "5" * 64
assert TRACE.deployed
assert TRACE.stored
assert TRACE.version
DEPLOYED: Deployed = replace(
    TRACE.deployed,
    path="overlays/staging/kustomization.yaml",
    age=7 * 24 * 3600,
    trailers={
        **TRACE.deployed.trailers, "image-fingerprint": [FINGERPRINT], "model-sha256": [SHA256]
    },
)  # fmt: skip
STORED = replace(TRACE.stored, labels={**LABELS, "io.model-gitops.fingerprint": FINGERPRINT})
STAGED = replace(SOURCE, branch="staging")
VERSION = replace(TRACE.version, sha256=SHA256)
WHOLE = replace(
    TRACE,
    subject="staging",
    environment="staging",
    deployed=DEPLOYED,
    stored=STORED,
    source=STAGED,
    version=VERSION,
    repository="acme/m",
    by_pull=True,
    flow=FLOW,
    before=Before("dev", "overlays/dev/kustomization.yaml", "9" * 40),
    pull=PULL,
    deploy_pull=DEPLOY_PULL,
)
