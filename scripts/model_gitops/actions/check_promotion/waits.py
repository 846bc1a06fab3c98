"""What a hop that is allowed has to wait for: a hold, a window, a soak time, a verification.

Each is a question of its own, asked in this order, for pull requests and merges alike. One that says no
raises RefusedError, which says until when, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from model_gitops import runner
from model_gitops.actions.check_promotion.overlays import Overlays
from model_gitops.adapters import clock, commit_statuses, git
from model_gitops.core import duration
from model_gitops.core.deploy import hold
from model_gitops.core.flow import windows
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import hop
from model_gitops.core.verify.running import words
from model_gitops.core.verify.target import short
from model_gitops.errors import ActionError, InputError, RefusedError


@dataclass(frozen=True)
class Asked:
    """The hop: into `target`, from `before` (None for the first environment), under the base's rules.

    `promoted` is what `before` runs and `target` would take over, None where nobody can say.
    `is_proposed`: a pull request asks, and the merge is asked again. `source_token` reads the statuses of
    `repository`.
    """

    promotion: Promotion
    target: Environment
    before: Environment | None
    promoted: hop.Promoted | None
    is_proposed: bool
    repository: git.Git
    source_token: str = field(default="", repr=False)


def require(asked: Asked, overlays: Overlays, *, own: Promotion | None = None) -> None:
    """Refuse a hop that has to wait. `own` are the rules of the change itself, which are only read.

    Raises RefusedError, InputError for a zone that there is not, and ExternalError.
    """
    _hold(asked, overlays)
    _window(asked, own)
    _soak(asked, overlays)
    _verification(asked)


def _hold(asked: Asked, overlays: Overlays) -> None:
    """Refuse a promotion to an environment that is held.

    bump-kustomize-tag asks again, at the very commit that it writes on. So where nobody can say it here,
    and the hop needs no other answer of the deploy repository, that is told and no more.
    """
    if not asked.promotion.deploy_repository:
        return
    is_needed = not asked.is_proposed and asked.before is not None
    try:
        found = overlays.hold(asked.target, once=not is_needed)
    except ActionError as error:
        if is_needed:
            raise
        runner.notice(f"whether {asked.target.name} is held can't be said now: {error.message}")
        return
    if found and found.is_active(clock.now()):
        raise hold.refused(found, asked.target.name, asked.target.overlay)


def _window(asked: Asked, own: Promotion | None) -> None:
    """Refuse a promotion out of the hours of `promote:`."""
    for one in own.environments if own else ():
        for window in one.windows:
            clock.zone(window.zone, f"promote (in promotion.yaml, environment {one.name})")
    target, now = asked.target, clock.now()
    zones = {
        one.zone: clock.zone(one.zone, f"promote (in promotion.yaml, environment {target.name})")
        for one in target.windows
    }
    if windows.is_open(target.windows, now, zones):
        return
    opens = windows.opens(target.windows, now, zones)
    when = f"{opens:%A %Y-%m-%d %H:%M %Z}" if opens else "never"
    raise RefusedError(
        f"{target.name} takes promotions at {target.promote!r} only, and it is"
        f" {now.astimezone(next(iter(zones.values()))):%A %H:%M %Z} now; it opens next: {when}",
        fix=f"run this job again then ({opens:%Y-%m-%d %H:%M %Z}). A rollback waits for no window"
        if opens
        else "correct `promote` in promotion.yaml",
    )


def _soak(asked: Asked, overlays: Overlays) -> None:
    """Refuse to take over an image that the environment before has not run for long enough."""
    before, promoted = asked.before, asked.promoted
    if before is None or promoted is None or not before.soak:
        return
    since = overlays.since(before)
    ready = datetime.fromtimestamp(since + before.soak, UTC)
    if clock.now() < ready:
        # People are told a whole minute, at which it is ready.
        told = ready + timedelta(seconds=-ready.timestamp() % 60)
        raise RefusedError(
            f"{before.name} must run {promoted.version or promoted.image} for {duration.words(before.soak)}"
            f" before {asked.target.name} may take it, and runs it since"
            f" {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC",
            fix=f"run this job again at {told:%Y-%m-%d %H:%M} UTC or later",
        )


def _verification(asked: Asked) -> None:
    """Refuse to take over what the environment before was not verified to run well.

    Whoever may write the repository can write a status: `verify.writer` says whose count.
    """
    before, promoted = asked.before, asked.promoted
    if before is None or promoted is None or before.verify is None:
        return
    if not asked.source_token:
        raise InputError(
            f"promotion.yaml asks for a verification of {before.name}, and input `source-token` is empty: nobody"
            " can read its commit status",
            fix="source-token: ${{ github.token }}, in a job with `statuses: read`",
        )
    context = commit_statuses.context_of(before.name, asked.promotion.model)
    what = f"{promoted.version or promoted.image} in {before.name}"
    again = f"run verify.yml for {before.name}, and this job again after it"
    found = (
        commit_statuses.latest(
            commit_statuses.opened(asked.repository, asked.source_token), promoted.commit, context
        )
        if promoted.commit
        else None
    )
    if found is None:
        raise RefusedError(
            f"nobody has verified {what}: the commit {promoted.commit[:12] or '(unknown)'} has no status"
            f" {context}",
            fix=again,
        )
    link = words(found.target_url)
    if found.state == "pending":
        raise RefusedError(
            f"the verification of {what} has not ended: {link}",
            fix="run this job again when it has",
        )
    if found.state != "success":
        raise RefusedError(
            f"the verification of {what} says {words(found.state)}: {words(found.description)}; {link}",
            fix=f"mend what it says and deploy to {before.name} again; if that has passed: {again}",
        )
    # The same commit may have been built twice: what was verified is an image.
    digest = promoted.image.partition("@")[2]
    if short(digest) not in found.description:
        raise RefusedError(
            f"{what} runs {short(digest)}, and the verification was of another image of the same commit:"
            f" {words(found.description)}; {link}",
            fix=again,
        )
    writer = before.verify.writer
    if writer and found.creator.lower() != writer.lower():
        raise RefusedError(
            f"the verification of {what} was written by {words(found.creator) or 'nobody'}, and promotion.yaml"
            f" takes only what {writer} wrote",
            fix=f"let the job that records have a token of {writer}, and {again}",
        )
    runner.say(f"verified: {words(found.description)}, {link}")
