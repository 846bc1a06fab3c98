"""The workflows for several models: each of the template's own, as one that is called for each model.

`promote.yml` becomes two files: `promote-model.yml`, its jobs for the model of `inputs.config`, and a
`promote.yml` that finds out which models are touched and calls it for each. The steps are the same text,
so what is mended for one model is mended for several. A workflow that takes `config` itself stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from model_gitops.core import document

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("templates/several-models/.github/workflows")
_SOURCE = ROOT / "templates/model/.github/workflows"
_ACTION = re.compile(r"uses: model-gitops/model-gitops/actions/([\w-]+)@v0")
# They get the whole name of the model, as check-promotion puts it out.
_BY_NAME = ("dvc-pull-model", "gto-register-stage")
_OWN = "github.event.pull_request.head.repo.full_name == github.repository"
_FORK = "github.event.pull_request.head.repo.full_name != github.repository"
_WHY = {
    ("actions", "read"): "to say who approved the run that deployed",
    ("actions", "write"): "to start verify.yml",
    ("contents", "read"): "to check out",
    ("contents", "write"): "to push tags, reports' pictures, and an experiment's dvc.lock",
    ("packages", "read"): "to ask the registry",
    ("packages", "write"): "to push the image",
    ("issues", "write"): "to say in a retraining's issue what the gate found",
    ("pull-requests", "read"): "to say which pull request brought it",
    ("pull-requests", "write"): "to comment",
    ("statuses", "write"): "to write what came of a verification",
    ("statuses", "read"): "to say what came of a verification",
}


@dataclass(frozen=True)
class _Called:
    """How one workflow is called: what its jobs may at most, and what is the same for all of its runs."""

    permissions: dict[str, str]
    condition: str = ""
    base: str = ""
    gather: str = ""
    secrets: bool = True
    strategy: str = ""
    concurrency: str = ""


WORKFLOWS = {
    "promote": _Called(
        {
            "contents": "write",
            "issues": "write",
            "packages": "write",
            "pull-requests": "write",
            "statuses": "read",
        },
        condition=_OWN,
        gather="Check every changed model",
    ),
    "fork": _Called(
        {"contents": "read"},
        condition=_FORK,
        gather="Check every changed model of a fork",
        secrets=False,
    ),
    "deploy": _Called(
        {"contents": "write", "packages": "write", "pull-requests": "read", "statuses": "write"},
        concurrency="deploy-${{ github.ref }}-${{ matrix.config }}",
    ),
    "experiment": _Called(
        {"contents": "write", "pull-requests": "write"},
        condition="${{ !github.event.deleted }}",
        base="main",
        strategy="      max-parallel: 1 # each commits its dvc.lock to the one branch\n",
    ),
    "stages": _Called(
        {"contents": "write", "packages": "read", "pull-requests": "read", "actions": "write"}
    ),
    "monitor": _Called(
        {"contents": "write", "issues": "write", "packages": "read", "pull-requests": "write"}
    ),
    "audit": _Called(
        {"contents": "read", "packages": "read", "pull-requests": "read", "actions": "read"}
    ),
}
# One run is for one model, whose `config` a person gives.
AS_THEY_ARE = ("components", "hold", "kubeflow", "retrain", "rollback", "verify")


def files() -> dict[str, str]:
    """Return the workflows by their names: the callers, and what they call."""
    found = {f"{name}.yml": (_SOURCE / f"{name}.yml").read_text("utf-8") for name in AS_THEY_ARE}
    for name, how in WORKFLOWS.items():
        text = (_SOURCE / f"{name}.yml").read_text(encoding="utf-8")
        found[f"{name}.yml"] = _caller(name, text, how)
        found[f"{name}-model.yml"] = _called(name, text, how)
    return found


def _caller(name: str, text: str, how: _Called) -> str:
    head = text[: text.index("\njobs:\n") + 1]
    comment, _, rest = head.partition(f"name: {name}\n")
    if how.concurrency:
        rest = re.sub(
            r"(?m)^concurrency:\n(?:  .*\n)+",
            f"# Each commit by itself: of the runs that wait in one group only the newest stays.\n"
            f"concurrency:\n  group: {name}-${{{{ github.sha }}}}\n  cancel-in-progress: false\n",
            rest,
        )
    checkout = re.search(r"uses: (actions/checkout@.*)", text)
    assert checkout is not None  # noqa: S101 - each of them checks out
    pull_request = "github.event.pull_request.head.sha" in text
    lines = [
        f"{comment}# For several models: {name}-model.yml is called for each that is touched.\n",
        f"name: {name}\n{rest}",
        "jobs:\n  changed:\n    name: Which models are touched?\n",
        f"    if: {how.condition}\n" if how.condition else "",
        "    runs-on: ubuntu-latest\n    timeout-minutes: 10\n",
        "    permissions:\n      contents: read # to compare with the base\n",
        "    outputs:\n      models: ${{ steps.changed.outputs.models }}\n      any: ${{ steps.changed.outputs.any }}\n",
        f"    steps:\n      - {checkout[0]}\n        with:\n          fetch-depth: 0\n",
        "          persist-credentials: true # what is compared with is fetched with it\n\n",
    ]
    if pull_request:
        step = text.index("      - name: Check out the head of the pull request\n")
        lines.append(text[step : text.index("\n\n", step)] + "\n\n")
    lines += [
        "      - name: Which models are touched?\n        id: changed\n"
        "        uses: model-gitops/model-gitops/actions/changed-models@v0\n",
        f"        with:\n          base: {how.base}\n" if how.base else "",
        "\n  model:\n    name: ${{ matrix.model }}\n    needs: changed\n",
        "    if: needs.changed.outputs.any == 'true'\n",
        f"    concurrency:\n      group: {how.concurrency}\n      cancel-in-progress: false\n"
        if how.concurrency
        else "",
        "    permissions: # at most: each job of the called workflow takes less\n",
        *(f"      {key}: {value} # {_WHY[key, value]}\n" for key, value in how.permissions.items()),
        f"    strategy:\n      fail-fast: false\n{how.strategy}",
        "      matrix:\n        include: ${{ fromJSON(needs.changed.outputs.models) }}\n",
        f"    uses: ./.github/workflows/{name}-model.yml\n",
        "    with:\n      config: ${{ matrix.config }}\n",
        "    secrets: inherit # zizmor: ignore[secrets-inherit] a job takes those of its own environment\n"
        if how.secrets
        else "",
        _gather(how) if how.gather else "",
    ]
    return "".join(lines)


def _gather(how: _Called) -> str:
    """Return the job whose check is required: its name stays, whichever models are touched."""
    return f"""
  models:
    name: {how.gather}
    needs: [changed, model]
    # The required check. Whatever the others found: a skipped one would count as passed.
    if: always() && {how.condition}
    runs-on: ubuntu-latest
    timeout-minutes: 5
    permissions: {{}}
    steps:
      - name: Did each changed model pass?
        env:
          CHANGED: ${{{{ needs.changed.result }}}}
          ANY: ${{{{ needs.changed.outputs.any }}}}
          MODELS: ${{{{ needs.model.result }}}}
        run: |
          if [ "${{CHANGED}}" = success ] && [ "${{ANY}}" = false ]; then
            echo "::notice::No model is touched: nothing is checked, built or promoted."
          elif [ "${{CHANGED}}" != success ] || [ "${{MODELS}}" != success ]; then
            echo "::error::Which models are touched: ${{CHANGED}}; their checks: ${{MODELS}}."
            exit 1
          fi
"""


def _called(name: str, text: str, how: _Called) -> str:
    jobs = text[text.index("\njobs:\n") + 1 :]
    head = (
        f"# {name}.yml for one of several models. The jobs are those of templates/model, with `config`.\n"
        f"name: {name}-model\n\non:\n  workflow_call:\n    inputs:\n      config:\n"
        "        description: The model's promotion.yaml.\n        type: string\n        required: true\n\n"
        "permissions: {}\n\n"
    )
    if name == "fork":
        # Its report is in the run's summary: report-fork.yml posts that of one model.
        jobs = jobs[: jobs.index("\n      - name: Keep the report for report-fork.yml\n")] + "\n"
    # What it calls is of the same model.
    jobs = re.sub(
        r"(?m)^(    uses: \./\.github/workflows/[\w-]+\.yml\n    with:\n)",
        r"\1      config: ${{ inputs.config }}\n",
        jobs,
    )
    parts = re.split(r"(?m)^(?=      - )", jobs)
    return head + "".join(_with_config(one) for one in parts).rstrip("\n") + "\n"


def _with_config(step: str) -> str:
    found = _ACTION.search(step)
    if found and found[1] == "notify" and "\n          model: " not in step:
        # People are told which of the models it is.
        given = "          model: ${{ inputs.config }}\n"
        return step.replace("\n        with:\n", f"\n        with:\n{given}", 1)
    if not found or found[1] in _BY_NAME or "config" not in _inputs(found[1]):
        return step
    given = "          config: ${{ inputs.config }}\n"
    if "\n        with:\n" in step:
        return step.replace("\n        with:\n", f"\n        with:\n{given}", 1)
    end = step.index("\n", found.end()) + 1
    return f"{step[:end]}        with:\n{given}{step[end:]}"


def _inputs(action: str) -> dict[str, object]:
    text = (ROOT / "actions" / action / "action.yml").read_text(encoding="utf-8")
    inputs = document.load_yaml(text, source=action)["inputs"]
    return dict(inputs)
