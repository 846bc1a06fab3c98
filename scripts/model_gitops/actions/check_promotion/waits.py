"""What a hop that is allowed has to wait for: a hold, a window, a soak time, a verification.

Each is a question of its own, asked in this order, for pull requests and merges alike. One that says no
raises RefusedError, which says until when, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_gitops import runner
from model_gitops.actions.check_promotion.overlays import Overlays
from model_gitops.adapters import clock
from model_gitops.core.deploy import hold
from model_gitops.core.flow import windows
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import hop
from model_gitops.errors import ActionError, RefusedError


@dataclass(frozen=True)
class Asked:
    """The hop: into `target`, from `before` (None for the first environment), under the base's rules.

    `promoted` is what `before` runs and `target` would take over, None where nobody can say.
    `is_proposed`: a pull request asks, and the merge is asked again.
    """

    promotion: Promotion
    target: Environment
    before: Environment | None
    promoted: hop.Promoted | None
    is_proposed: bool


def require(asked: Asked, overlays: Overlays, *, own: Promotion | None = None) -> None:
    """Refuse a hop that has to wait. `own` are the rules of the change itself, which are only read.

    Raises RefusedError, InputError for a zone that there is not, and ExternalError.
    """
    _hold(asked, overlays)
    _window(asked, own)


def _hold(asked: Asked, overlays: Overlays) -> None:
    """Refuse a promotion to an environment that is held.

    bump-kustomize-tag asks again, at the very commit that it writes on. So where nobody can say it here,
    and the hop needs no other answer of the deploy repository, that is told and no more.
    """
    if not asked.promotion.deploy_repository:
        return
    try:
        found = overlays.hold(asked.target)
    except ActionError as error:
        if not asked.is_proposed and asked.before:
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
