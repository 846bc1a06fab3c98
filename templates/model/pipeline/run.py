"""Run a compiled package on this machine: each step in its container, by Docker.

    python pipeline/run.py PACKAGE FOLDER [PARAMETER=VALUE…]

What the steps put out is left in FOLDER; a second run takes from there what the same image made of
the same inputs. Secrets for `fetch` and `propose` come from the environment: see components/deploy.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from kfp import components, local

HANDED_ON = ("MODEL_GITOPS_TOKEN", "MODEL_GITOPS_REMOTE_CONFIG", "GITHUB_API_URL")


def run(package: str, folder: str, *parameters: str) -> None:
    """Run `package`, and print its metrics. Raises RuntimeError where a step failed."""
    root = Path(folder).resolve()
    root.mkdir(parents=True, exist_ok=True)
    # The steps' user is not this one.
    root.chmod(0o777)
    runner = local.DockerRunner(
        # As Kubernetes does: a task's command takes the place of the image's.
        entrypoint=[],
        # `fetch` and `propose` talk to the Git server. The rest is as on a cluster, or stricter.
        network_mode="host", read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        environment={name: os.environ[name] for name in HANDED_ON if name in os.environ},
    )  # fmt: skip
    local.init(runner, pipeline_root=str(root), enable_caching=True)
    given = dict(one.split("=", 1) for one in parameters)
    # kfp takes booleans as such.
    values = {name: json.loads(v) if v in ("true", "false") else v for name, v in given.items()}
    components.load_component_from_file(package)(**values)


if __name__ == "__main__":
    run(*sys.argv[1:])
