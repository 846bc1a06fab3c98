"""Compile the pipeline to a package, with the images that the deploy repository has.

    python pipeline/compile.py KUSTOMIZATION [--output FILE]

KUSTOMIZATION is a kustomization.yaml, or its folder (`training/overlays/…` of a checkout of the
deploy repository). The same images and the same inputs in Git give the same bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from images import NAME, REPOSITORY, STEPS, NotReadyError, images_of

# What `fetch` takes of a commit. The newest commit that changed one of them is as good as a later
# one, and what was made of it before is still in Kubeflow's cache.
INPUTS = ("params.yaml", "data/labelled.csv", "data/labelled.csv.dvc")


def commit_of(folder: Path) -> str:
    """Return the newest commit of this checkout that changed what `fetch` takes of it.

    Raises NotReadyError where there is none.
    """
    command = ["git", "-C", str(folder), "log", "-1", "--format=%H", "--", *INPUTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        said = done.stderr.strip() or f"none has any of {', '.join(INPUTS)}"
        raise NotReadyError(f"which commit is trained on? Git finds none, or give --commit: {said}")
    return done.stdout.strip()


def run(arguments: list[str]) -> int:
    """Compile, and print the package's file; 2 where there is nothing to compile."""
    top = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kustomization", type=Path, help="a kustomization.yaml, or its folder")
    parser.add_argument("--output", type=Path, default=top / "pipeline" / "pipeline.yaml")
    parser.add_argument("--name", default=f"{NAME}-training", help="of the pipeline")
    parser.add_argument("--repository", default=REPOSITORY, help="the model's repository")
    parser.add_argument("--folder", default=".", help="of promotion.yaml in the repository")
    parser.add_argument("--commit", default="", help="default: the newest that changed its inputs")
    asked = parser.parse_args(arguments)
    try:
        images = images_of(asked.kustomization, NAME, STEPS)
        commit = asked.commit or commit_of(top)
    except NotReadyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Here, as kfp takes seconds to import.
    from kfp import compiler

    from pipeline import build

    pipeline = build(
        images, name=asked.name, repository=asked.repository, folder=asked.folder, commit=commit
    )  # fmt: skip
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(asked.output))
    print(asked.output)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
