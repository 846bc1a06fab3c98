"""A hop to a later environment, which builds nothing: today's steps beside those of an older commit."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.deploys import deploy_repository
from benchmarks.repositories import git, project
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import ROOT, RUN, Command, Steps, answer, expect, folders, point, run

# Where a hop pulled the model, found its image by a tag, gave it another and asked for its version.
BEFORE = "fdba187"


HOP = Row(
    name="hop",
    work="a hop to a later environment, which builds nothing, without the stage's tag",
    size="deploy commits",
    peer=f"the steps of commit {BEFORE}: check, pull, tag the image, version, bump",
    tools=("docker", "git"),
    targets=(Target(Kind.FASTER, 1, "cpu"),),
    means="The image and the version are those of the environment before it, from the deploy repository.",
    floor="Two actions start; one fetch, and one push.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Promote what dev runs to staging, in deploy repositories of so many commits."""
    return {HOP.name: [_measure(folder, size) for size, folder in folders(work, sizes)]}


def _measure(work: Path, size: int) -> Point:
    """Measure one size.

    Both sides are the steps of a merge's jobs, without the stage's tag, which is the same.
    """
    sys.path.insert(0, str(ROOT / "scripts"))
    from model_gitops_local import machine

    git(ROOT, "worktree", "add", "--quiet", "--detach", str(work / "before"), BEFORE)
    old = str(work / "before/scripts/run.sh")
    before = dict(os.environ)
    try:
        here = machine.start(work / "machine", ())
        os.environ.update(machine.environment(here))
        name = f"{here.registry.address}/acme/diabetes"
        deploy = deploy_repository(work / "deploy.git", name, commits=size)
        checkout = _model(work, name, deploy)
        for step in (
            "dvc-pull-model",
            "build-push-image",
            "gto-register-stage",
            "bump-kustomize-tag",
        ):
            run([old, step, "--help"], work)  # makes its environment
        image = [
            "build-push-image", "--image", name, "--build-contexts", "model=models", "--tag",
        ]  # fmt: skip
        run([old, *image, "first"], checkout)
        run([old, "gto-register-stage", "--model", "diabetes"], checkout)
        inspect = ["docker", "buildx", "imagetools", "inspect", f"{name}:first"]
        digest = answer([*inspect, "--format={{json .Manifest.Digest}}"], work).strip('"\n')
        model_hash = answer([RUN, "dvc-pull-model", "--model", "diabetes"], checkout)
        trailers = f"Model: diabetes@v0.0.1\nModel-Hash: {_output(model_hash, 'hash')}"

        def bump(run_sh: str, environment: str, tag: str) -> tuple[Command, Path]:
            given = ["--repository", str(deploy), "--path", f"overlays/{environment}"]
            given += ["--images", f"diabetes={name}:{tag}@{digest}", "--trailers", trailers]
            return [run_sh, "bump-kustomize-tag", *given], checkout

        def steps_before(number: int) -> Steps:
            return [
                ([old, "check-promotion", "--base-ref", "staging"], checkout),
                ([old, "dvc-pull-model", "--model", "diabetes"], checkout),
                ([old, *image, f"before{number}"], checkout),
                ([old, "gto-register-stage", "--model", "diabetes"], checkout),
                bump(old, "staging", f"before{number}"),
            ]

        def steps_now(number: int) -> Steps:
            command, cwd = bump(RUN, "dev", f"now{number}")
            run(command, cwd)
            check = ([RUN, "check-promotion", "--base-ref", "staging"], checkout)
            return [check, bump(RUN, "staging", f"now{number}")]

        found = point(size, ours=steps_now, peer=steps_before)
        said = answer([RUN, "check-promotion", "--base-ref", "staging"], checkout)
        expect(
            _output(said, "promote-image") == f"{name}:now2@{digest}", "dev's image, not " + said
        )
        overlay = answer(["git", "show", "main:overlays/staging/kustomization.yaml"], deploy)
        expect(
            "newTag: now2" in overlay and digest in overlay,
            f"dev's image in staging, not {overlay}",
        )
        return found
    finally:
        os.environ.clear()
        os.environ.update(before)
        git(ROOT, "worktree", "remove", "--force", str(work / "before"))
        machine.remove(work / "machine")


def _model(work: Path, image: str, deploy: Path) -> Path:
    """Make the model's repository, with branches for both environments, and return its checkout."""
    promotion = {
        "model": "diabetes",
        "image": image,
        "deploy": {"repository": str(deploy)},
        "environments": [
            {"name": "dev", "branch": "main"},
            {"name": "staging", "branch": "staging"},
        ],
    }
    files = {
        "models/model.bin": os.urandom(50_000),
        "dvc.yaml": b"artifacts:\n  diabetes: {path: models/model.bin, type: model}\n",
        "Dockerfile": b"FROM scratch\nCOPY --from=model model.bin /\n",
        ".dockerignore": b"*\n",
        "promotion.yaml": json.dumps(promotion).encode(),
    }
    checkout = project(work, files, ["models/model.bin"])
    git(checkout, "push", "--quiet", "origin", "HEAD:staging")
    shutil.rmtree(checkout / ".dvc/cache", ignore_errors=True)
    return checkout


def _output(said: str, name: str) -> str:
    """Return an output that an action printed outside of a workflow."""
    lines = [line.partition("=") for line in said.splitlines()]
    return next(value for key, _, value in lines if key == name)
