"""The links of the pull requests: which one brought it, from which branch, and who approved."""

from __future__ import annotations

from collections.abc import Iterator

from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage.facts import Pull, Trace
from model_gitops.core.lineage.link import Link, made


def links(trace: Trace) -> Iterator[Link]:
    """Yield the links of the pull request of the model's repository, then of the deploy repository's."""
    yield from _model(trace)
    yield from _deploy(trace)


def _model(trace: Trace) -> Iterator[Link]:
    source, pull, end = trace.source, trace.pull, "pull request"
    commit, base = (source.commit, source.branch) if source else ("", "")
    left = _left(commit, base)
    if pull is not None:
        yield made(("source commit", end), left, _brought(pull), True)
        if trace.flow is not None:
            yield from _hop(trace.flow, pull)
            yield from _approvals(trace.flow, pull)
    elif end in trace.unasked:
        yield made(("source commit", end), left, trace.unasked[end], None)
    elif trace.environment and commit:
        yield made(
            ("source commit", end), left, "no merged pull request brought it there", False,
            fix=f"protect {base}, so that pull requests are the only way in",
        )  # fmt: skip


def _deploy(trace: Trace) -> Iterator[Link]:
    deployed, end = trace.deployed, "deploy pull request"
    commit, base = (deployed.commit, deployed.branch) if deployed else ("", "")
    left = _left(commit, base)
    if trace.deploy_pull is not None:
        yield made(("deploy commit", end), left, _brought(trace.deploy_pull), True)
    elif end in trace.unasked:
        yield made(("deploy commit", end), left, trace.unasked[end], None)
    elif trace.by_pull and commit:
        yield made(
            ("deploy commit", end), left,
            "promotion.yaml says deploy: pull-request, and none brought it there", False,
            fix=f"protect {base} of the deploy repository, and deploy again",
        )  # fmt: skip


def _left(commit: str, base: str) -> str:
    return f"commit {commit[:12]} is on {base}" if base else f"commit {commit[:12]}"


def _brought(pull: Pull) -> str:
    return f"#{pull.number} brought it there, approved by {', '.join(pull.approved_by) or 'nobody'}"


def _hop(flow: Promotion, pull: Pull) -> Iterator[Link]:
    """Yield whether the pull request came from the branch that promotion.yaml demands.

    Its checks may have run while it had another base.
    """
    target = flow.of_branch(pull.base)
    if target is None:
        return
    before = flow.before(target)
    home = f" of {pull.fork}" if pull.fork else ""
    if before is None:
        rule = f"{target.name} takes changes from any branch that is no environment's"
        holds = bool(pull.fork) or flow.of_branch(pull.head) is None
    else:
        rule = f"{target.name} takes changes only from branch {before.branch} ({before.name})"
        holds = not pull.fork and pull.head == before.branch
    takes = before.branch if before else "a branch of its own"
    yield made(
        ("pull request", "hop"), f"#{pull.number} came from branch {pull.head}{home}", rule, holds,
        fix=f"revert #{pull.number} on {pull.base}, and open a pull request from {takes}; make"
        " promote.yml's checks required, and let them run on `edited` too",
    )  # fmt: skip


def _approvals(flow: Promotion, pull: Pull) -> Iterator[Link]:
    """Yield who approved what was merged, against the number that promotion.yaml asks for.

    Where it asks for none, and nobody approved, there is nothing that could hold.
    """
    target = flow.of_branch(pull.base)
    if target is None:
        return
    asked, count = target.approvals, len(pull.approved_by)
    names = ", ".join(pull.approved_by) or "nobody"
    left = f"#{pull.number} was approved by {names} at {pull.commit[:12]}, which was merged"
    for login, commit in pull.approved_older:
        left += f"; {login} approved {commit[:12] or 'a commit that is gone'}, and no later one"
    wanted = f"promotion.yaml asks for {asked or 'no'} approval{'' if asked == 1 else 's'}"
    yield made(
        ("pull request", "approvals"), left, wanted,
        count >= asked if asked or count else None,
        fix=f"let {asked - count} more review and approve {pull.url}, also after the merge; protect"
        f" {pull.base}: require approvals, and dismiss them when a commit is pushed",
    )  # fmt: skip
