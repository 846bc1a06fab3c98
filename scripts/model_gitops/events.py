"""What the event of a workflow is about: its commit, its branches, its pull request.

`EVENTS` says for each event where that stands in what the runner tells; the table of `docs/events.md`
is made of it. Only values are looked at here: `runner` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

# The names that an expression of a workflow has for the runner's own two values.
SHA, REF = "github.sha", "github.ref"


class Kind(Enum):
    """How far the change that an event is about has got."""

    PROPOSED = "a change that somebody proposes"
    QUEUED = "a change in the merge queue"
    DROPPED = "a change that was closed without a merge"
    MERGED = "a change that was merged"
    THERE = "what a branch or tag has"
    GONE = "a branch or tag that is gone"


class Checkout(Enum):
    """What actions/checkout, which is told nothing, has for an event."""

    ITS_OWN = "the event's own commit"
    ANY = "the default: another one that is checked out counts"
    ANOTHER = "another commit than the event is about"


@dataclass(frozen=True)
class Source:
    """Where the facts of an event are: paths in its payload, `github.sha`, `github.ref`, or nowhere.

    It is for the events `names` whose payload has something at `when`, or one of the values after it.
    """

    names: tuple[str, ...]
    commit: str
    base: str
    head: str = ""
    pull_request: str = ""
    when: tuple[str, ...] = ()
    kind: Kind = Kind.THERE
    checkout: Checkout = Checkout.ITS_OWN
    # What `actions/checkout` is given as `ref` to have the event's own commit.
    ref: str = ""
    note: str = ""


_OF_PULL_REQUEST = ("pull_request", "pull_request_review", "pull_request_review_comment")
_BASE, _HEAD, _NUMBER = "pull_request.base.ref", "pull_request.head.ref", "pull_request.number"
_RUN, _CHECKED = "workflow_run.pull_requests.0", "check_run.pull_requests.0"
_SUITE = "check_suite.pull_requests.0"

# The first that fits counts. What is not listed is about the branch that the runner names.
EVENTS = (
    Source(
        _OF_PULL_REQUEST, "pull_request.merge_commit_sha", _BASE, _HEAD, _NUMBER,
        when=("pull_request.merged",), kind=Kind.MERGED,
        note="After a squash or a rebase the head is on no branch: the commit is the one on the base.",
    ),
    Source(
        ("pull_request_target",), "pull_request.merge_commit_sha", _BASE, _HEAD, _NUMBER,
        when=("pull_request.merged",), kind=Kind.MERGED, checkout=Checkout.ANOTHER,
        ref="${{ github.event.pull_request.merge_commit_sha }}",
    ),
    Source(
        (*_OF_PULL_REQUEST, "pull_request_target"), "pull_request.head.sha", _BASE, _HEAD, _NUMBER,
        when=("pull_request.state", "closed"), kind=Kind.DROPPED,
        note="Its head is on no environment's branch: bump-kustomize-tag refuses to deploy it.",
    ),
    Source(_OF_PULL_REQUEST, "pull_request.head.sha", _BASE, _HEAD, _NUMBER, kind=Kind.PROPOSED),
    Source(
        ("pull_request_target",), "pull_request.head.sha", _BASE, _HEAD, _NUMBER,
        kind=Kind.PROPOSED, checkout=Checkout.ANOTHER,
        note="It has the secrets: code of the pull request must not run in it. Use `pull_request`.",
    ),
    Source(
        ("merge_group",), "merge_group.head_sha", "merge_group.base_ref", kind=Kind.QUEUED,
        note="A group may hold several pull requests: it has no head, and a report goes to its commit.",
    ),
    Source(
        ("issue_comment",), "pull_request.head.sha", _BASE, _HEAD, _NUMBER, when=(_HEAD,),
        kind=Kind.PROPOSED, checkout=Checkout.ANOTHER,
        ref="refs/pull/${{ github.event.issue.number }}/head",
        note="Gitea's and Forgejo's, which say it all.",
    ),
    Source(
        ("issue_comment",), "", "", "", "issue.number", when=("issue.pull_request",),
        kind=Kind.PROPOSED, checkout=Checkout.ANOTHER,
        ref="refs/pull/${{ github.event.issue.number }}/head",
        note="The event has only the number: the commit is what is checked out, and cml-report asks the"
        " server for the branches. Others need `base-ref` and `head-ref`, or refuse.",
    ),
    Source(
        ("workflow_run",), "workflow_run.head_sha", "workflow_run.head_branch",
        when=("workflow_run.event", "push", "schedule", "workflow_dispatch"),
        checkout=Checkout.ANOTHER, ref="${{ github.event.workflow_run.head_sha }}",
        note="That run's branch and commit, whatever is proposed from it. Refused where a tag has the"
        " branch's name, or the branch has not what is checked out: nobody can tell what ran. Judged"
        " only where the default branch's promotion.yaml has it as an environment's.",
    ),
    Source(
        ("workflow_run",), "workflow_run.head_sha", f"{_RUN}.base.ref", f"{_RUN}.head.ref",
        f"{_RUN}.number", when=(f"{_RUN}.number",), kind=Kind.PROPOSED, checkout=Checkout.ANOTHER,
        ref="${{ github.event.workflow_run.head_sha }}",
        note="Where it has one base. Of two nobody knows whose rules judge it.",
    ),
    Source(
        ("workflow_run",), "workflow_run.head_sha", "", kind=Kind.PROPOSED,
        checkout=Checkout.ANOTHER, ref="${{ github.event.workflow_run.head_sha }}",
        note="Of a fork: the event names no pull request, and cml-report looks for one with this head.",
    ),
    Source(
        ("check_run",), "check_run.head_sha", f"{_CHECKED}.base.ref", f"{_CHECKED}.head.ref",
        f"{_CHECKED}.number", when=(f"{_CHECKED}.number",), kind=Kind.PROPOSED,
        checkout=Checkout.ANOTHER, ref="${{ github.event.check_run.head_sha }}",
    ),
    Source(
        ("check_run",), "check_run.head_sha", "", kind=Kind.PROPOSED,
        checkout=Checkout.ANOTHER, ref="${{ github.event.check_run.head_sha }}",
    ),
    Source(
        ("check_suite",), "check_suite.head_sha", f"{_SUITE}.base.ref", f"{_SUITE}.head.ref",
        f"{_SUITE}.number", when=(f"{_SUITE}.number",), kind=Kind.PROPOSED,
        checkout=Checkout.ANOTHER, ref="${{ github.event.check_suite.head_sha }}",
    ),
    Source(
        ("check_suite",), "check_suite.head_sha", "", kind=Kind.PROPOSED,
        checkout=Checkout.ANOTHER, ref="${{ github.event.check_suite.head_sha }}",
    ),
    Source(
        ("status",), "sha", "", kind=Kind.PROPOSED, checkout=Checkout.ANOTHER,
        ref="${{ github.event.sha }}",
        note="A commit's status names no branch: one commit may be on several.",
    ),
    Source(("push",), "", "", when=("deleted",), kind=Kind.GONE, note="The push removed the branch."),
    Source(("delete",), "", "", kind=Kind.GONE, note="The runner names the default branch instead."),
    Source(
        ("push",), SHA, REF,
        note="Of a tag: the commit that it is at, and no branch, as it may be on several.",
    ),
    Source(("create",), SHA, REF, note="Of a tag: as a pushed tag."),
    Source(("release", "registry_package"), SHA, REF, note="The tag's commit, and no branch."),
    Source(
        ("deployment", "deployment_status"), "deployment.sha", REF,
        note="The commit that is deployed. No branch where a tag or a bare commit is.",
    ),
    Source(
        ("workflow_dispatch", "repository_dispatch", "schedule", "issue_comment", "issues"),
        SHA, REF, checkout=Checkout.ANY,
        note="What `client_payload` or an input says is not looked at: check that commit out, and it"
        " counts.",
    ),
)  # fmt: skip
OTHER = Source(("any other",), SHA, REF)
_NAMES = frozenset(name for one in EVENTS for name in one.names)
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"


@dataclass(frozen=True)
class Subject:
    """What an event is about. Empty text, and number 0, where it does not say.

    `commit` is the one that people mean, and `base` the branch that a change goes into, or that was
    pushed; `head` the branch that the change comes from, which is in the repository of the account
    `fork`, if that is another one.
    """

    source: Source = OTHER
    commit: str = ""
    base: str = ""
    head: str = ""
    number: int = 0
    fork: str = ""

    @property
    def is_change(self) -> bool:
        """Whether it is a change into `base`, merged or not: that branch's rules judge it, not its own."""
        return self.source.kind not in (Kind.THERE, Kind.GONE)

    @property
    def is_merged(self) -> bool:
        """Whether the change is on its base by now."""
        return self.source.kind is Kind.MERGED


def read(
    name: str, event: Mapping[str, Any], *, sha: str = "", ref: str = "", repository: str = ""
) -> Subject:
    """Return what the event `name` is about; `sha`, `ref` and `repository` are the runner's words."""
    source = next((one for one in EVENTS if _fits(one, name, event)), OTHER)
    if source is OTHER and name not in _NAMES and _at(event, _BASE):
        # Gitea and act have names of their own for what happens to a pull request.
        return read("pull_request", event, sha=sha, ref=ref, repository=repository)

    def text(path: str) -> str:
        said = {SHA: sha, REF: ref if ref.startswith("refs/heads/") else ""}
        found = said[path] if path in said else _at(event, path)
        return found if isinstance(found, str) else ""

    commit, number = text(source.commit), _at(event, source.pull_request)
    home = source.head.removesuffix(".head.ref")
    return Subject(
        source,
        commit if source.commit == SHA or re.fullmatch(_COMMIT, commit) else "",
        text(source.base).removeprefix("refs/heads/"),
        text(source.head),
        number if isinstance(number, int) and number > 0 else 0,
        _fork(_at(event, f"{home}.head"), _at(event, f"{home}.base"), repository) if home else "",
    )


def needs_payload(name: str) -> bool:
    """Whether the runner's other words do not say what the event `name` is about."""
    return any(name in one.names and one.commit not in (SHA, "") for one in EVENTS)


def _fork(head: Any, base: Any, repository: str) -> str:
    """Return the account of a pull request's fork, or an empty string for a branch of this repository."""
    if not isinstance(head, Mapping) or "repo" not in head:
        return ""
    home, target = head["repo"], _at(base, "repo")
    if not isinstance(home, Mapping):
        return "unknown"  # a fork that was deleted meanwhile
    if name := str(home.get("full_name") or ""):
        return "" if name == repository else name.partition("/")[0] or "unknown"
    # Of a run the event gives numbers alone.
    return "" if isinstance(target, Mapping) and home.get("id") == target.get("id") else "unknown"


def _fits(source: Source, name: str, event: Mapping[str, Any]) -> bool:
    if name not in source.names:
        return False
    if not source.when:
        return True
    found = _at(event, source.when[0])
    if len(source.when) > 1:
        return bool(found in source.when[1:])
    listed = _at(event, source.when[0].removesuffix(".0.number"))
    if not isinstance(listed, list):
        return bool(found)
    # A run's list may have pull requests of other repositories that have the same commit, and several of
    # this one: whoever makes a second one could choose the base.
    here = _at(event, "repository.id")
    ours = [one for one in listed if here in (None, _at(one, "base.repo.id") or here)]
    bases = {str(_at(one, "base.ref")) for one in ours}
    return bool(found) and len(bases) == 1 and listed[0] in ours


def _at(event: Any, path: str) -> Any:
    """Return what stands at a dotted path, a number being a place in a list; None where nothing does."""
    found = event if path else None
    for key in path.split(".") if path else ():
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdecimal():
            found = found[int(key)] if int(key) < len(found) else None
        else:
            return None
    return found
