"""Who said yes to a deployment: a reviewer of the GitHub environment, or of the deploy pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from model_gitops.core.lineage.facts import Approval, Pull, Trace
from model_gitops.core.lineage.link import Link, made

ENDS = ("deploy commit", "approval")
_RUN = re.compile(r"https?://\S+?/([^/\s]+/[^/\s]+)/actions/runs/([0-9]{1,18})")


def run_of(address: str, repository: str) -> int:
    """Return the number of the run at `address`; 0 where that is none of `repository`, `owner/name`."""
    found = _RUN.fullmatch(address)
    if found is None or found[1].lower() != repository.lower():
        return 0
    return int(found[2])


def of_pull(pull: Pull) -> Approval:
    """Return the approval that a merged deploy pull request has."""
    return Approval(f"deploy pull request #{pull.number}", pull.url, pull.approved_by)


def link(trace: Trace) -> Iterator[Link]:
    """Yield who approved the deployment, against the reviewers that promotion.yaml names.

    Where it names none and nobody approved, there is nothing that could hold.
    """
    flow, deployed = trace.flow, trace.deployed
    place = (
        next((one for one in flow.environments if one.name == trace.environment), None)
        if flow
        else None
    )
    if place is None or deployed is None or not deployed.commit:
        return
    asked = f"promotion.yaml names {'the reviewers ' + ', '.join(place.reviewers) if place.reviewers else 'no reviewers'}"
    if trace.approval is None:
        if place.reviewers:
            why = trace.unasked.get("approval", "nobody can say who approved it")
            yield made(ENDS, why, asked, None)
        return
    by = trace.approval.by
    if not (by or place.reviewers):
        return
    people = {one.lower() for one in place.reviewers}
    # Who is in a team, the server alone knows.
    is_one = (
        not people or any("/" in one for one in people) or any(one.lower() in people for one in by)
    )
    yield made(
        ENDS,
        f"{trace.approval.where} was approved by {', '.join(by) or 'nobody'}",
        asked,
        bool(by) and is_one,
        fix=_fix(trace, trace.approval),
    )


def _fix(trace: Trace, approval: Approval) -> str:
    if trace.by_pull:
        return f"let a reviewer approve {approval.url}, also after the merge; require approvals in the deploy repository"
    return (
        f"run `protect`, which makes them reviewers of the GitHub environment {trace.environment}; the next"
        " deployment waits for one of them"
    )
