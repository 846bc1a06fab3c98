"""What act does, as docs/reference/real-tools.md says it, and why our actions are one step each."""

from __future__ import annotations

import pytest
from plain_repository import commit, made_repository

from model_gitops_local import toolchain
from model_gitops_local.act import Run, run_workflow

TWO = """\
name: two
description: Two steps that write outputs of one name.
outputs:
  said: {description: What the first step said., value: "${{ steps.one.outputs.said }}"}
runs:
  using: composite
  steps:
    - {id: one, shell: bash, run: echo "said=by one" >> "$GITHUB_OUTPUT"}
    - {id: other, shell: bash, run: printf 'said=by other\\nhidden=leaks\\n' >> "$GITHUB_OUTPUT"}
"""
ONE = """\
name: one
description: One step, which fails after it wrote an output.
outputs:
  said: {description: What the step said., value: "${{ steps.one.outputs.said }}"}
runs:
  using: composite
  steps:
    - {id: one, shell: bash, run: 'echo "said=by one" >> "$GITHUB_OUTPUT"; exit 3'}
"""
WORKFLOW = """\
on: push
jobs:
  try:
    runs-on: ubuntu-latest
    timeout-minutes: 0.02
    steps:
      - {id: two, uses: model-gitops/model-gitops/two@v0}
      - {id: one, uses: model-gitops/model-gitops/one@v0, continue-on-error: true}
      - name: tell
        run: |
          sleep 2
          echo "two=${{ steps.two.outputs.said }}, ${{ steps.two.outputs.hidden }}" >> "$GITHUB_OUTPUT"
          echo "one=${{ steps.one.outputs.said }}, ${{ steps.one.outcome }}" >> "$GITHUB_OUTPUT"
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    git = made_repository(tmp_path_factory.mktemp("act") / "work")
    top = git.directory
    for name, text in {
        "two/action.yml": TWO,
        "one/action.yml": ONE,
        ".github/workflows/try.yml": WORKFLOW,
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, encoding="utf-8")
    commit(git)
    return run_workflow(
        toolchain.ensure("act"),
        "try.yml",
        "push",
        {},
        checkout=top,
        env={},
        process_env={},
        secrets={},
        variables={},
        actions=top,
        log=top.parent / "log",
    )


def test_the_last_step_of_an_action_overwrites_and_leaks_outputs(ran: Run) -> None:
    """On GitHub it is `by one`, and nothing leaks."""
    assert ran.outputs["tell"]["two"] == "by other, leaks"


def test_outputs_of_an_action_of_one_step_are_its_own_when_it_fails_too(ran: Run) -> None:
    assert ran.outputs["tell"]["one"] == "by one, failure"


def test_limits_of_time_are_not_kept(ran: Run) -> None:
    """A step of 2 seconds in a job of 1.2 seconds."""
    assert ran.status == 0
