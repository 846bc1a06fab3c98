"""Judges whether a workflow does the verifications that promotion.yaml asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.doctor.workflows import Workflow, environment, is_of
from model_gitops.core.flow.promotion import Promotion

_CHECK = "workflow-verify"
_VERIFYING = "verify-deployment"
_DEPLOYING = "bump-kustomize-tag"
# What sets the images of the training pipeline: run-training waits for those.
_TRAINING = "changed-components"
_FILE = ".github/workflows/verify.yml"
_TEMPLATES = (
    "https://github.com/model-gitops/model-gitops/tree/v0/templates/model/.github/workflows"
)
# Events that follow a deployment by themselves, at once.
_AT_ONCE = ("push", "workflow_run", "deployment_status")


def workflows(
    found: Sequence[Workflow], promotions: Sequence[Promotion], one: Promotion
) -> Finding:
    """Judge whether each deployment of `one`, of all the flows that there are, is verified where it asks for it."""
    names = [each.name for each in one.environments if each.verify]
    if not names:
        return Finding(_CHECK, True, "promotion.yaml asks for no verification")
    ours = [flow for flow in found if is_of(flow, one, promotions)]
    asked = f"promotion.yaml asks for a verification of {', '.join(names)}"
    verifying = [flow for flow in ours if flow.uses(_VERIFYING)]
    elsewhere = [flow for flow in ours if flow.elsewhere]
    if not verifying and not elsewhere:
        return Finding(
            _CHECK,
            False,
            f"{asked}, and no workflow does one: the next hop waits for a status that nobody writes",
            f"copy verify.yml, and rollback.yml, which it calls, from {_TEMPLATES}",
        )
    at_once = [flow.path for flow in verifying if any(one in flow.triggers for one in _AT_ONCE)]
    if at_once:
        return Finding(_CHECK, True, f"{', '.join(at_once)}: {', '.join(names)}")
    if elsewhere:
        return joined(_CHECK, [_unread(asked, flow) for flow in elsewhere])
    pushed = [each.name for each in one.environments if each.verify and each.deploy == "push"]
    return joined(
        _CHECK,
        _uncalled(ours, verifying, pushed),
        nothing=", ".join(flow.path for flow in verifying),
    )


def _unread(asked: str, flow: Workflow) -> Part:
    names = ", ".join(flow.elsewhere)
    return Part(None, f"{asked}; {flow.path} calls {names}, which is not read here")


def _uncalled(
    ours: Sequence[Workflow], verifying: Sequence[Workflow], pushed: Sequence[str]
) -> Iterator[Part]:
    """Yield the workflows that deploy a push and have nothing verify it. What waits for a merge is none."""
    if not pushed:
        return
    callable_ones = [flow.path for flow in verifying if "workflow_call" in flow.triggers]
    called = callable_ones[0] if callable_ones else _FILE
    deploying = [
        flow
        for flow in ours
        if any(one.action == _DEPLOYING for one in flow.steps) and not flow.uses(_TRAINING)
    ]
    for flow in deploying:
        if not {"push", "workflow_call"} & set(flow.triggers):
            continue
        job = next(one.job for one in flow.steps if one.action == _DEPLOYING)
        named, needs = environment(flow), [job]
        if (check := named.split(".")[1]) in flow.jobs:
            needs = [check, job]
        else:
            named = pushed[0]
        yield Part(
            False,
            f"{flow.path} deploys to {', '.join(pushed)}, and has no workflow verify it",
            f"in {flow.path}, under jobs: verify: {{needs: [{', '.join(dict.fromkeys(needs))}],"
            f" permissions: {{contents: write, statuses: write}}, uses: ./{called},"
            f' with: {{environment: "{named}"}}, secrets: inherit}}',
        )
