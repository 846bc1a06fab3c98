"""One workflow run on this machine, by act, without containers and without network."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops.adapters import process
from model_gitops.runner import say
from model_gitops_local import toolchain
from model_gitops_local.demo_page import spell

# GitHub's own actions. Two need GitHub's storage: their stand-ins keep the files in a folder. The other is
# act's business, but for `ref` and for another repository: its stand-in copies the checkout as act does, and
# checks that out; another repository it clones.
_UPLOAD, _CHECKOUT = "actions/upload-artifact", "actions/checkout"
_DOWNLOAD = "actions/download-artifact"
# What hears of a step that ended: its job, its name, its result, and how many seconds it took.
OnStep = Callable[[str, str, str, float], None]
# This checkout.
ROOT = Path(__file__).resolve().parents[2]


def show_step(job: str, step: str, result: str, seconds: float) -> None:
    """Tell a person that a step of a workflow ended, and how long it took; not one that was skipped."""
    mark = {"success": "✓", "failure": "✗"}.get(result, "-")
    if result != "skipped":
        say(f"  {mark} {step.partition('@')[0]:<52} {spell(seconds):>10}")


@dataclass
class Run:
    """What a workflow run did.

    `steps` are (job, step, result) in order, results as GitHub's; `errors` are the error
    annotations, as a person would see them on the run's page; `outputs` are by the step's name.
    `log` is what `log_file` holds.
    """

    status: int
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    log: str = ""
    seconds: float = 0
    workflow: str = ""
    log_file: Path = Path()

    @property
    def failed_step(self) -> str:
        """The name of the first step that failed, or an empty string."""
        return next((step for _, step, result in self.steps if result == "failure"), "")


def run_workflow(
    act: Path,
    workflow: str,
    event_name: str,
    event: Mapping[str, Any],
    *,
    checkout: Path,
    env: Mapping[str, str],
    process_env: Mapping[str, str],
    secrets: Mapping[str, str],
    variables: Mapping[str, str],
    actions: Path,
    log: Path,
    on_step: OnStep = lambda job, step, result, seconds: None,
) -> Run:
    """Run `.github/workflows/WORKFLOW` of `checkout` as the runner would for `event`.

    `env` reaches the steps, `process_env` act itself, `secrets` the `secrets` context and
    `variables` the `vars` context. `actions` is the folder in which the workflows' `uses:
    model-gitops/model-gitops/actions/…@v0` are found. `on_step` hears of each step that ends: (job, name, result, seconds).
    Raises ExternalError where act can't run at all; a failed workflow is a Run with its status.
    """
    found = Run(status=0, workflow=workflow, log_file=log)
    started = time.monotonic()
    lines: list[str] = []

    def on_line(line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            lines.append(line.rstrip("\n"))
            return
        message = str(entry.get("msg", "")).rstrip("\n")
        lines.append(f"[{entry.get('job', '')}] {message}" if message else "")
        outer = len(entry.get("stepID", [])) == 1
        if entry.get("command") == "error":
            found.errors.append(str(entry.get("arg", "")))
        if entry.get("command") == "set-output" and outer:
            step = found.outputs.setdefault(str(entry.get("step", "")), {})
            step[str(entry.get("name", ""))] = str(entry.get("arg", ""))
        result = entry.get("stepResult")
        # The steps inside a composite action have longer ids; a person sees only the outer one.
        if result and outer and entry.get("stage") == "Main":
            name = str(entry.get("step", "")).removeprefix("Main ")
            found.steps.append((str(entry.get("job", "")), name, str(result)))
            on_step(*found.steps[-1], entry.get("executionTime", 0) / 1e9)

    with tempfile.TemporaryDirectory(prefix="model-gitops-act-") as folder:
        event_file = Path(folder) / "event.json"
        event_file.write_text(json.dumps(event), encoding="utf-8")
        arguments: list[str | Path] = [
            act, event_name, "--json",
            "--directory", checkout,
            "--workflows", checkout / ".github/workflows" / workflow,
            "--platform", "ubuntu-latest=-self-hosted",
            "--local-repository", f"model-gitops/model-gitops@v0={actions}",
            *_stand_ins(checkout, workflow, Path(folder)),
            "--action-offline-mode", "--no-cache-server",
            "--eventpath", event_file,
            "--actor", "octocat",
        ]  # fmt: skip
        # act's RUNNER_TEMP is new in each job: without a store each would install the actions again.
        store = {
            "MODEL_GITOPS_STORE": str(toolchain.cache_folder() / "store"),
            # As on GitHub, one job of a run finds what another one has uploaded.
            "MODEL_GITOPS_ARTIFACTS": str(Path(folder) / "artifacts"),
        }
        for name, value in {**store, **env}.items():
            arguments += ["--env", f"{name}={value}"]
        for name, value in variables.items():
            arguments += ["--var", f"{name}={value}"]
        for name in secrets:
            # Without a value act takes it from its own environment: argv can be read by anyone.
            arguments += ["--secret", name]
        done = process.run(
            arguments,
            env={**process_env, **secrets},
            check=False,
            timeout=3600,
            on_line=on_line,
        )
    found.status = done.returncode
    found.seconds = time.monotonic() - started
    found.log = "\n".join(lines) + "\n"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(found.log, encoding="utf-8")
    return found


def _stand_ins(checkout: Path, workflow: str, folder: Path) -> list[str]:
    """Return act's options for the stand-ins of GitHub's own pinned actions in `workflow`.

    That of upload-artifact copies `path` to `$MODEL_GITOPS_ARTIFACTS/NAME`, that of download-artifact all whose
    names fit `pattern` from there to folders in `path`.
    """
    options = []
    text = "\n".join(_texts(checkout / ".github/workflows", workflow, set()))
    here = _CHECKOUT_ACTION.replace("@CHECKOUT@", json.dumps(str(checkout)))
    for name, action in (
        (_UPLOAD, _UPLOAD_ACTION),
        (_DOWNLOAD, _DOWNLOAD_ACTION),
        (_CHECKOUT, here),
    ):
        place = folder / name
        place.mkdir(parents=True)
        (place / "action.yml").write_text(action, encoding="utf-8")
        found = set(re.findall(rf"uses: {name}@([0-9a-f]{{40}})", text))
        options += [f"--local-repository={name}@{commit}={place}" for commit in sorted(found)]
    return options


def _texts(folder: Path, workflow: str, seen: set[str]) -> list[str]:
    """Return the text of a workflow, and of those that it calls."""
    if workflow in seen:
        return []
    seen.add(workflow)
    text = (folder / workflow).read_text("utf-8")
    called = re.findall(r"uses: \./\.github/workflows/([\w.-]+)", text)
    return [text, *(each for one in called for each in _texts(folder, one, seen))]


_CHECKOUT_ACTION = """\
name: checkout
description: Check out a commit of the repository that is here, or clone another one.
inputs:
  ref: {description: Commit., default: ""}
  repository: {description: "OWNER/NAME.", default: ""}
  path: {description: "Folder for another repository.", default: .}
  token: {description: "Token that may read another repository.", default: ""}
  fetch-depth: {description: Unused., default: "1"}
  persist-credentials: {description: "Unused: of another repository no token is kept.", default: "true"}
runs:
  using: composite
  steps:
    - if: inputs.repository == ''
      shell: bash
      run: cp -a "${FROM}/." . && git checkout --quiet --detach "${REF}"
      env:
        FROM: @CHECKOUT@
        REF: ${{ inputs.ref }}
    - if: inputs.repository != ''
      shell: bash
      run: |
        GIT_CONFIG_VALUE_0="AUTHORIZATION: basic $(printf 'x-access-token:%s' "${TOKEN}" | base64 --wrap 0)"
        export GIT_CONFIG_VALUE_0
        git clone --quiet --depth 1 ${REF:+--branch "${REF}"} -- "${GITHUB_SERVER_URL}/${REPOSITORY}.git" "${TO}"
      env:
        GIT_CONFIG_COUNT: "1"
        GIT_CONFIG_KEY_0: http.extraheader
        REF: ${{ inputs.ref }}
        REPOSITORY: ${{ inputs.repository }}
        TO: ${{ inputs.path }}
        TOKEN: ${{ inputs.token }}
"""
_DOWNLOAD_ACTION = """\
name: download-artifact
description: Bring the files from a folder of this machine.
inputs:
  pattern: {description: Names., required: true}
  path: {description: Folder., required: true}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        mkdir -p "${TO}"
        shopt -s nullglob
        for found in "${MODEL_GITOPS_ARTIFACTS}"/${PATTERN}; do cp -r "${found}" "${TO}/"; done
      env:
        PATTERN: ${{ inputs.pattern }}
        TO: ${{ inputs.path }}
"""
_UPLOAD_ACTION = """\
name: upload-artifact
description: Keep the files in a folder of this machine.
inputs:
  name: {description: Name., required: true}
  path: {description: "Files or folders, or patterns, a line each.", required: true}
  if-no-files-found: {description: Unused., default: warn}
  overwrite: {description: Unused., default: "false"}
  retention-days: {description: Unused., default: "0"}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        place="${MODEL_GITOPS_ARTIFACTS:-${RUNNER_TEMP}/artifacts}/${NAME}"
        mkdir -p "${place}"
        shopt -s globstar nullglob
        IFS= # a path may have blanks
        while read -r path; do
          for found in ${path}; do
            if [ -d "${found}" ]; then found="${found}/."; fi
            cp -r "${found}" "${place}/"
          done
        done <<<"${FROM}"
      env:
        NAME: ${{ inputs.name }}
        FROM: ${{ inputs.path }}
"""
