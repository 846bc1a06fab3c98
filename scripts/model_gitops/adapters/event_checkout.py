"""The model repository around us, beside what the event is about: whose commit, judged by which branch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git
from model_gitops.core.deploy.location import Location, locate, same_server
from model_gitops.errors import InputError, RefusedError
from model_gitops.events import Checkout, Kind


def base_of(context: runner.Context, checkout: git.Git) -> str:
    """Return the branch that judges what the event is about; empty where it is of none, as a tag is.

    Raises InputError where the event does not say it of a change, or the checkout is of another commit.
    """
    subject = context.subject
    if subject.is_change and not subject.base:
        by_itself = context.event_name.startswith("pull_request")
        raise InputError(
            f"the event `{context.event_name}` does not say into which branch its pull request goes,"
            " so nobody knows whose rules judge it",
            fix="give the payload of a pull request: act pull_request --eventpath event.json"
            if by_itself
            else "run this step on the event `pull_request`",
        )
    require_its_own(context, checkout)
    if is_of_run(context):
        _require_a_branch(subject.base, checkout)
    return subject.base


def is_of_run(context: runner.Context) -> bool:
    """Whether it is about a branch that another workflow ran for, in a job of the default branch."""
    subject = context.subject
    return subject.source.checkout is Checkout.ANOTHER and not subject.is_change


def is_change(context: runner.Context, checkout: git.Git, base: str) -> bool:
    """Whether the rules of the branch `base` judge what is checked out, and not its own.

    So it is for a change, and for what was checked out on purpose and is not on the branch.
    Raises ExternalError where the server could not be asked.
    """
    if context.subject.is_change:
        return True
    head = checkout.commit_of("HEAD") or ""
    if not base or not context.sha or (head == context.sha and base == context.base_ref):
        return False
    return not is_on(checkout, head, base)


def is_on(checkout: git.Git, commit: str, branch: str) -> bool:
    """Whether the branch of the server has `commit`. Raises ExternalError where it could not be asked."""
    ref = f"refs/heads/{branch}"
    tips = checkout.remote_refs("origin", ref) if checkout.has_remote() else {}
    tip = tips.get(ref) or checkout.commit_of(ref)
    if not tip or tip == commit:
        return tip == commit
    shallow = checkout.is_shallow()
    if shallow or not checkout.commit_of(tip):
        checkout.try_fetch(ref, *(["--unshallow"] if shallow else []))
    return checkout.commit_of(tip) is not None and checkout.is_ancestor(commit, tip)


def require_its_own(context: runner.Context, checkout: git.Git) -> None:
    """Refuse the default branch's files in the place of those that the event is about. Raises InputError."""
    subject = context.subject
    if is_elsewhere(context, checkout):
        raise InputError(
            f"the event `{context.event_name}` is about {subject.commit[:12] or 'a pull request'}, and the"
            f" checkout is of {(checkout.commit_of('HEAD') or '')[:12]}, which is another commit",
            fix=_fix(context),
        )


def is_elsewhere(context: runner.Context, checkout: git.Git) -> bool:
    """Whether the checkout is what actions/checkout has by itself, and that is not the event's commit."""
    head = checkout.commit_of("HEAD")
    if head == context.subject.commit:
        return False
    if _is_head_of_merged(context, head):
        return True
    return (
        context.subject.source.checkout is Checkout.ANOTHER and head == context.sha and head != ""
    )


def of_files(context: runner.Context, checkout: git.Git | None) -> str:
    """Return the commit that the files here are of, as people mean it; empty where none is known.

    Of a pull request the head, though its merge into the base may be checked out.
    """
    head = _head(context, checkout)
    own = context.subject.source.checkout is Checkout.ITS_OWN
    if own and context.head_sha and not _is_head_of_merged(context, head):
        return context.head_sha
    return head or context.head_sha


def of_event(context: runner.Context, checkout: git.Git | None) -> str:
    """Return the commit that the event is about; empty where neither it nor the checkout says that.

    Where an event leaves that open, a commit that was checked out on purpose counts.
    """
    if context.subject.source.checkout is Checkout.ITS_OWN and context.head_sha:
        return context.head_sha
    head = _head(context, checkout)
    return head if head and head != context.sha else context.head_sha


def before_merge(context: runner.Context, checkout: git.Git) -> tuple[str, ...]:
    """Return the commits that may be what the base had before the merged change was there.

    After a merge or a squash that is the first parent. After a rebase it lies as many commits back as
    the change has, and no event tells a rebase from a squash. Raises InputError where the history can't
    be had.
    """
    commit, found = context.subject.commit, context.event.get("pull_request")
    count = found.get("commits") if isinstance(found, Mapping) else None
    steps = max(count, 1) if isinstance(count, int) else 1
    known = checkout.commit_of(f"{commit}~{steps}") if commit else None
    if commit and not known and checkout.is_shallow() and checkout.has_remote():
        checkout.try_fetch(commit, f"--depth={steps + 1}")
    parent = checkout.commit_of(f"{commit}^1") if commit else None
    if not parent:
        raise InputError(
            f"what the branch had before the merge into {context.base_ref} is not in this checkout",
            fix="give actions/checkout `fetch-depth: 0`",
        )
    if steps == 1 or checkout.commit_of(f"{commit}^2"):
        return (parent,)
    earlier = checkout.commit_of(f"{commit}~{steps}")
    return (parent, earlier) if earlier else (parent,)


def refuse_undeployable(context: runner.Context, commit: str) -> None:
    """Refuse to deploy for an event of a change that was given up, or that names no commit of it.

    `commit` is the one that the event is about. Raises RefusedError and InputError.
    """
    kind = context.subject.source.kind
    if kind is Kind.DROPPED:
        raise RefusedError(
            f"pull request {context.subject.number} was closed without a merge: its commit is on no branch"
            " that is deployed",
            fix="if: github.event.pull_request.merged == true",
        )
    if not commit and kind in (Kind.PROPOSED, Kind.MERGED, Kind.GONE):
        raise InputError(
            f"the event `{context.event_name}` names no commit that the image could be of",
            fix="check the commit out before this step, or give `trailers: Source-Commit: ` with its full hash",
        )


def _require_a_branch(name: str, checkout: git.Git) -> None:
    """Refuse a name that may be a tag's: whoever pushes tags could name an environment's branch so."""
    if checkout.has_remote() and checkout.remote_refs("origin", f"refs/tags/{name}"):
        raise InputError(
            f"{name!r} is a tag too, and the event does not say which of them its run was for",
            fix=f"git push origin --delete refs/tags/{name}, or run this step on `push`",
        )
    head = checkout.commit_of("HEAD") or ""
    if not is_on(checkout, head, name):
        raise InputError(
            f"{head[:12]} is not on the branch {name!r}, which the event says its run was for: that was a"
            " tag of this name, or the branch was rewritten",
            fix="run this step on `push`",
        )


def around_us() -> git.Git | None:
    """Return the checkout around us, or None where there is none, with a warning if git opens it not."""
    try:
        return git.open_repository(Path.cwd())
    except git.UntrustedError as error:
        runner.warning(f"what is checked out is not asked: {error}")
        return None
    except InputError:
        return None


def origin_of(checkout: git.Git, server_url: str) -> Location | None:
    """Return where the remote `origin` is; None without one, or with one that has a password in it."""
    try:
        url = checkout.run("remote", "get-url", "origin", check=False).strip()
        return locate(url, server_url=server_url)
    except InputError:
        return None


def _head(context: runner.Context, checkout: git.Git | None) -> str:
    """Return what is checked out, if that is of the repository whose workflow this is."""
    if checkout is None:
        return ""
    head = checkout.commit_of("HEAD") or ""
    if not context.repository:
        return head
    origin = origin_of(checkout, context.server_url)
    # A mirror has the commits too, by another name: only what names another repository here is none.
    another = (
        origin is not None
        and origin.slug != ""
        and same_server(origin, context.server_url)
        and origin.slug.lower() != context.repository.lower()
    )
    return "" if another else head


def _is_head_of_merged(context: runner.Context, head: str | None) -> bool:
    """Whether a merged change's own commit is checked out: not what became of it, and Gitea's default."""
    found = context.event.get("pull_request")
    own = found.get("head") if isinstance(found, Mapping) else None
    return (
        context.subject.is_merged
        and isinstance(own, Mapping)
        and own.get("sha") == head
        and head != context.subject.commit
    )


def _fix(context: runner.Context) -> str:
    ref = context.subject.source.ref
    if context.subject.is_merged:
        ref = "${{ github.event.pull_request.merge_commit_sha }}"
    if not ref:
        return "use the event `pull_request`: in this one code of a pull request must not run"
    return f"give actions/checkout `ref: {ref}`"
