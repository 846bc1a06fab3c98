"""build-push-image: an image that was deployed, beside one that is built."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.deploys import deploy_repository
from benchmarks.repositories import git
from benchmarks.rows import Point, Row
from benchmarks.timing import ROOT, RUN, Steps, answer, expect, folders, point, run

IMAGE = Row(
    name="image",
    work="build-push-image, the template's image unchanged",
    size="deploy commits",
    peer="the same action, which builds with an empty cache",
    tools=("docker",),
    targets=(),
    means="An image of this content was deployed before: its digest is found, and gets another tag.",
    floor="One fetch of the deploy repository, and a few requests to the registry.",
    slower="The first build of any content. Neither side is smoke-tested, which a reused image does not need.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """The template's image, with deploy repositories of so many commits."""
    return {IMAGE.name: [_measure(folder, size) for size, folder in folders(work, sizes)]}


def _measure(work: Path, size: int) -> Point:
    """The template's image, with a stand-in for the model, from an empty builder and reused.

    The built side is what a runner without a cache does: pull the base image from a registry of this
    machine, apt-get and pip from the network, push. No side is smoke-tested, which would only make the
    built one longer.
    """
    sys.path.insert(0, str(ROOT / "scripts"))
    from model_gitops_local import machine

    checkout = work / "model"
    shutil.copytree(ROOT / "templates/model", checkout, ignore=shutil.ignore_patterns(".venv"))
    (checkout / "models").mkdir()
    before = dict(os.environ)
    try:
        here = machine.start(work / "machine", ())
        os.environ.update(machine.environment(here))
        name = f"{here.registry.address}/acme/diabetes"
        deploy = deploy_repository(work / "deploy.git", name, commits=size)
        promotion = {
            "model": "diabetes",
            "image": name,
            "deploy": {"repository": str(deploy)},
            "environments": [{"name": "dev", "branch": "main"}],
        }
        (checkout / "promotion.yaml").write_text(json.dumps(promotion))
        git(checkout, "init", "--quiet")

        def hop(tag: str) -> Steps:
            given = ["--image", name, "--tag", tag, "--build-contexts", "model=models"]
            given += ["--build-args", f"BASE_IMAGE={here.base_image}"]
            return [([RUN, "build-push-image", *given], checkout)]

        def cold(number: int) -> Steps:
            (checkout / "models/diabetes.onnx").write_bytes(random.Random(number).randbytes(50_000))
            run(["docker", "buildx", "prune", "--all", "--force"], work)
            return hop(f"built{number}")

        def merge(number: int) -> Steps:
            inspect = ["docker", "buildx", "imagetools", "inspect", f"{name}:built{number}"]
            digest = answer([*inspect, "--format={{json .Manifest.Digest}}"], work).strip('"\n')
            said = answer([*inspect, "--format={{json .Image}}"], work)
            given = ["--repository", str(deploy), "--path", "overlays/dev"]
            given += ["--images", f"diabetes={name}:built{number}@{digest}"]
            trailer = f"Image-Fingerprint: {fingerprint(said)}"
            run([RUN, "bump-kustomize-tag", *given, "--trailers", trailer], work)
            return hop(f"reused{number}")

        found = point(size, ours=merge, peer=cold)
        inspect = ["docker", "buildx", "imagetools", "inspect"]
        digests = [
            [
                line
                for line in answer([*inspect, f"{name}:{side}{n}"], work).splitlines()
                if line.startswith("Digest:")
            ]
            for n in range(3)
            for side in ("built", "reused")
        ]
        expect(digests[::2] == digests[1::2], "each reused digest to be the built one's")
        expect(len({str(one) for one in digests}) == 3, "three images that were built")
        return found
    finally:
        os.environ.clear()
        os.environ.update(before)
        machine.remove(work / "machine")


def fingerprint(image: str) -> str:
    """Return the fingerprint that a label says in buildx's JSON of an image."""
    return str(re.findall(r'"io\.model-gitops\.fingerprint": *"([0-9a-f]{40})"', image)[0])
