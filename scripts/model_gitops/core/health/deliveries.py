"""How well changes are delivered: DORA's four measures of one environment, from Git alone.

The measures and their names: https://dora.dev/guides/dora-metrics-four-keys/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from model_gitops.core.deploy import history
from model_gitops.core.deploy.history import Change
from model_gitops.core.deploy.trailers import Origin


@dataclass(frozen=True)
class Landing:
    """A commit of the branch that is deployed from, by which an entry of the overlay changed.

    `change` is its image after it, with the trailers of the commit that says what was deployed, and
    `at` when it landed, in Unix seconds.
    """

    change: Change
    at: int


@dataclass(frozen=True)
class Deployment:
    """One deployment of a model: when it landed, and from which commit.

    `changed` are the times at which what it brought was committed, in Unix seconds; empty where that is
    not known. `taken_back` is when a person went back from it, and `restored` when something good ran
    again; None where that did not happen.
    """

    commit: str
    at: int
    version: str = ""
    origin: Origin | None = None
    taken_back: int | None = None
    restored: int | None = None
    changed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measures:
    """DORA's measures of one environment, over `days`. Lengths are in seconds, medians, None of nothing.

    `problem` says why they can't be told; empty where they can.
    """

    environment: str
    days: float
    deployments: tuple[Deployment, ...] = ()
    lead_time: float | None = None
    restore_time: float | None = None
    problem: str = ""
    failed: int = 0

    @property
    def a_week(self) -> float:
        """Deployments a week."""
        return len(self.deployments) * 7 / self.days

    @property
    def failure_rate(self) -> float | None:
        """Which part of the deployments was taken back; None where there was none."""
        return self.failed / len(self.deployments) if self.deployments else None


def deployments(landings: Iterable[Landing], model: str) -> list[Deployment]:
    """Return the deployments of an entry, oldest first, by what it was after each of `landings`.

    A deployment sets another image, and goes forward. Who sets an image that the entry had before,
    by the trailer `Rollback: true` or by hand, takes back the deployment that ran until then; who
    reverts that again does none of both. So does who sets no image at all.
    """
    found: list[Deployment] = []
    seen: dict[str, int] = {}  # digest → the last deployment of it
    last, runs = "", -1
    for one in landings:
        change = one.change
        digest = change.image.digest if change.image else ""
        if digest == last:
            continue
        last, known = digest, seen.get(digest, -1)
        forward = change.says_its_digest and not change.is_rollback
        if digest and not change.is_rollback and (forward or known < 0):
            _restore(found, one.at)
            found.append(_deployment(one, model))
            runs = seen[digest] = len(found) - 1
            continue
        if runs > known or (runs >= 0 and known < 0):
            found[runs] = replace(
                found[runs], taken_back=one.at, restored=one.at if digest else None
            )
        elif digest:
            _restore(found, one.at)
        runs = known
    return found


def _deployment(landing: Landing, model: str) -> Deployment:
    change = landing.change
    digest = change.image.digest if change.image else ""
    said = history.said(change.trailers, "model", model=model, digest=digest)
    name, _, version = said.partition("@")
    return Deployment(
        change.commit,
        landing.at,
        version if name == model else "",
        history.origin(change.trailers, model=model, digest=digest),
    )


def _restore(found: list[Deployment], at: int) -> None:
    """Note that something runs again, where what was taken back left nothing."""
    for place, one in enumerate(found):
        if one.taken_back is not None and one.restored is None:
            found[place] = replace(one, restored=at)


def measure(environment: str, found: Sequence[Deployment], *, since: int, now: int) -> Measures:
    """Return the measures of what landed from `since` to `now`, in Unix seconds.

    Lead time is from each commit that a deployment brought to its landing; time to restore from the
    landing of one that was taken back to when something good ran again.
    """
    inside = tuple(one for one in found if since <= one.at <= now)
    leads = [one.at - made for one in inside for made in one.changed]
    bad = [one for one in inside if one.taken_back is not None]
    restored = [one.restored - one.at for one in bad if one.restored is not None]
    return Measures(
        environment,
        max((now - since) / 86400, 1 / 24),
        inside,
        median(leads) if leads else None,
        median(restored) if restored else None,
        failed=len(bad),
    )


def ranges(found: Sequence[Deployment], repository: str) -> dict[str, tuple[str, str]]:
    """Return for each deployment, by its commit, what it brought: (commit before, its commit).

    The first one has nothing before it: an empty text. Left out is what comes from elsewhere than
    `repository`, or from the same commit as one before.
    """
    wanted: dict[str, tuple[str, str]] = {}
    before = ""
    for one in found:
        origin = one.origin
        if origin is None or origin.repository.lower() != repository.lower():
            continue
        if origin.commit != before:
            wanted[one.commit] = (before, origin.commit)
        before = origin.commit
    return wanted
