"""Component `deploy`: what a training starts from, and its results into Git.

    fetch    --repository URL --params OUT --labelled OUT --commit OUT
    propose  --repository URL --train FILE --test FILE --model FILE --curve FILE --metrics FILE
             --predictions FILE --made-from FILE --made-from FILE --made-from FILE

The work is done by model-gitops: its commands fetch-training and record-training. Secrets are
environment variables, or files that NAME_FILE names: MODEL_GITOPS_TOKEN,
MODEL_GITOPS_PULL_REQUEST_TOKEN, MODEL_GITOPS_REMOTE_CONFIG.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

# Where the project keeps what: dvc.yaml has the same names.
FETCHED = {"params": "params.yaml", "labelled": "data/labelled.csv"}
OUTPUTS = {
    "train": "data/train.csv",
    "test": "data/test.csv",
    "model": "models/diabetes.onnx",
    "curve": "eval/plots/learning_curve.csv",
    "metrics": "eval/metrics.json",
    "predictions": "eval/plots/predictions.csv",
}
SECRETS = ("TOKEN", "PULL_REQUEST_TOKEN", "REMOTE_CONFIG")


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Fetch from Git, or propose to Git.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", allow_abbrev=False)
    propose = commands.add_parser("propose", allow_abbrev=False)
    for one in (fetch, propose):
        one.add_argument("--repository", required=True, metavar="URL")
        one.add_argument("--folder", default=".", help="of promotion.yaml")
    fetch.add_argument("--revision", default="HEAD")
    for name in (*FETCHED, "commit"):
        fetch.add_argument(f"--{name}", type=Path, required=True, metavar="OUT")
    for name in OUTPUTS:
        propose.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    propose.add_argument("--made-from", type=Path, required=True, action="append", metavar="FILE")
    propose.add_argument("--url", default="", help="address of this run")
    propose.add_argument("--reason", default="", help="what drifted")
    propose.add_argument("--result", type=Path, metavar="OUT")
    return parser.parse_args(arguments)


def environment(repository: str) -> dict[str, str]:
    """Return the environment of model-gitops: the server, the repository, and the secrets."""
    parts = urlsplit(repository)
    base, _, slug = parts.path.rstrip("/").removesuffix(".git").rpartition("/")
    top, _, owner = base.rpartition("/")
    if parts.scheme not in ("http", "https") or not owner or not slug or "@" in parts.netloc:
        raise SystemExit(
            f"--repository {parts.hostname or repository}: it is not https://HOST/OWNER/NAME"
        )
    found = os.environ | {
        "GITHUB_SERVER_URL": f"{parts.scheme}://{parts.netloc}{top}",
        "GITHUB_REPOSITORY": f"{owner}/{slug}",
    }
    for name in (f"MODEL_GITOPS_{one}" for one in SECRETS):
        file = found.pop(f"{name}_FILE", "")
        if file and Path(file).is_file():
            found[name] = Path(file).read_text("utf-8").strip()
    return found


def run(arguments: Sequence[str] | None = None) -> int:
    """Call model-gitops, and return its exit code."""
    given = arguments_of(arguments)
    asked: dict[str, object] = {"config": given.folder}
    if given.command == "fetch":
        command = "fetch-training"
        files = [f"{path}={getattr(given, name)}" for name, path in FETCHED.items()]
        asked |= {"revision": given.revision, "files": "\n".join(files), "commit": given.commit}
    else:
        command = "record-training"
        files = [f"{path}={getattr(given, name)}" for name, path in OUTPUTS.items()]
        asked |= {"outputs": "\n".join(files), "made-from": "\n".join(map(str, given.made_from))}
        asked |= {"url": given.url, "reason": given.reason}
    program = shlex.split(os.environ.get("MODEL_GITOPS", "model-gitops"))
    options = [f"--{name}={value}" for name, value in asked.items()]
    done = subprocess.run(
        [*program, command, *options],
        env=environment(given.repository),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if given.command == "propose" and given.result and not done.returncode:
        told = dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line)
        given.result.parent.mkdir(parents=True, exist_ok=True)
        given.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(run())
