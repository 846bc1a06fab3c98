"""Waits until a run of a set of images has ended, and starts one where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from model_gitops import runner
from model_gitops.adapters import json_api, web_client
from model_gitops.adapters.training_engines import Engine
from model_gitops.core import duration
from model_gitops.core.training.evidence import Decision, Next, Wanted, decide
from model_gitops.core.training.runs import Run, State
from model_gitops.errors import ExternalError, InputError, RefusedError

_ASK_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_SAY_SECONDS = 60.0
# At how many looks that find other images it is asked whether ours are still wanted.
_MOST_LOOKS = 3
# A template that changes between the look and the start gives a run of other images.
_MOST_STARTED = 3


@dataclass(frozen=True)
class Outcome:
    """How the wait ended. `run` is None where none was started; `said` is why it is not at its end.

    `is_replaced`: other images are wanted by now, and the engine never had these.
    """

    operation: Literal["started", "found", "superseded", "none"]
    run: Run | None
    said: str = ""
    is_replaced: bool = False


class OtherImages(RefusedError):
    """The pipeline that is given has other `images` than the overlay, and never gets those."""

    def __init__(self, asked: Wanted, images: Sequence[str]) -> None:
        super().__init__(
            f"the pipeline that is given has other images than {asked.path}:"
            f" {'; '.join(asked.others(images))}",
            fix="make it again, of this overlay as it is now",
        )
        self.images = images


@dataclass
class _Wait:
    engine: Engine
    asked: Wanted
    parameters: Mapping[str, str]
    began: float = field(default_factory=time.monotonic)
    started: list[str] = field(default_factory=list)
    # The run whose end is waited for.
    awaited: str = ""
    told: str = ""
    told_at: float = 0.0

    def tell(self, said: str) -> None:
        """Print what is new, and every minute that nothing is."""
        now = time.monotonic()
        if said != self.told or now - self.told_at >= _SAY_SECONDS:
            runner.say(f"{duration.words(now - self.began)}: {self.engine.name}: {said}")
            self.told, self.told_at = said, now

    def decision(self, seconds: float, forgiven: Collection[str]) -> Decision:
        """Ask for the runs; of one that ended and whose images the list leaves out, ask alone.

        A list may be older than the run that is waited for. Raises ExternalError where that was deleted: who did
        it wanted no other one.
        """
        end = time.monotonic() + seconds
        runs = []
        for one in self.engine.runs(seconds):
            is_bare = not one.images and one.state.has_ended and self.asked.is_ours(one)
            left = max(end - time.monotonic(), 0.1)
            runs.append((self.engine.look(one.name, left) or one) if is_bare else one)
        if self.awaited and all(one.name != self.awaited for one in runs):
            found = self.engine.look(self.awaited, max(end - time.monotonic(), 0.1))
            if found is None:
                raise ExternalError(
                    f"the run {self.awaited} is there no more: it was deleted before its end was seen",
                    fix="run this job again, which starts another one",
                )
            runs.append(found)
        return decide(runs, self.asked, forgiven=forgiven)

    def start(self, name: str, seconds: float) -> str:
        """Start a run where the engine has our images; return what there is to say."""
        end = time.monotonic() + seconds
        offer = self.engine.offer(seconds)
        if not self.asked.has(offer.images):
            if offer.is_fixed:
                raise OtherImages(self.asked, offer.images)
            return f"the pipeline has not these images yet: {'; '.join(self.asked.others(offer.images))}"
        if len(self.started) >= _MOST_STARTED:
            raise ExternalError(
                f"{len(self.started)} runs were started with the images of {self.asked.path}, and each took others:"
                f" {', '.join(self.started)}",
                fix="look at what changes the pipeline in the cluster besides Argo CD, and run this job again",
            )
        unknown = sorted(set(self.parameters) - set(offer.parameters))
        if unknown:
            raise InputError.of(
                "parameters", ", ".join(unknown),
                f"the pipeline has no such one; it has {', '.join(offer.parameters) or 'none'}",
                fix="leave it out, or add it to `arguments` of the WorkflowTemplate",
            )  # fmt: skip
        given = {"revision": self.asked.commit} if "revision" in offer.parameters else {}
        self.engine.start(name, {**given, **self.parameters}, max(end - time.monotonic(), 0.1))
        self.started.append(name)
        self.awaited = name
        return f"the run {name} is started"

    def is_wanted(self, ask: Callable[[], bool]) -> bool:
        """Whether the images still are wanted, as far as anybody says."""
        try:
            return ask()
        except ExternalError as error:
            self.tell(f"{error.message}; and {self.told}")
            return True


def run(
    engine: Engine,
    asked: Wanted,
    parameters: Mapping[str, str],
    *,
    timeout: float,
    again: bool,
    is_wanted: Callable[[], bool],
) -> Outcome:
    """Find or start the run of these images, and wait for its end, for `timeout` seconds at most.

    With `again` runs that have failed before do not count. `is_wanted` says whether the deploy repository still
    has these images: it is asked while the engine does not have them, as it will never get those that were
    replaced before it looked. Each turn decides anew by what the engine knows, so it may be killed at any
    time, and two at once end with one run. Raises ExternalError, InputError and OtherImages.
    """
    wait, pause = _Wait(engine, asked, parameters), _FIRST_PAUSE
    looks = 0
    forgiven: set[str] = set()
    latest: Run | None = None
    while True:
        left = timeout - (time.monotonic() - wait.began)
        asked_pause, moved = 0.0, False
        try:
            found = wait.decision(max(min(_ASK_SECONDS, left), 1.0), forgiven)
            latest = found.run or latest
            if found.do is Next.TAKE and found.run:
                is_bad = found.run.state is not State.SUCCEEDED
                if again and is_bad and found.run.name not in wait.started:
                    forgiven.add(found.run.name)
                    wait.awaited = ""
                    continue
                return _ended(wait, found.run)
            if found.do is Next.WAIT and found.run:
                wait.awaited = found.run.name
                latest = engine.look(found.run.name, max(min(_ASK_SECONDS, left), 1.0)) or found.run
                wait.tell(_progress(latest))
            else:
                before, wait.awaited = len(wait.started), ""
                wait.tell(wait.start(found.name, max(min(_ASK_SECONDS, left), 1.0)))
                moved = len(wait.started) > before
                looks = 0 if moved else looks + 1
                if looks == _MOST_LOOKS:
                    looks = 0
                    if not wait.is_wanted(is_wanted):
                        return Outcome("none", None, wait.told, is_replaced=True)
        except json_api.Denied as error:
            raise ExternalError(
                f"{engine.name} does not run the training pipeline of {asked.environment}: {error}",
                fix="docs/training.md says what its token may need, and how its resources are called",
            ) from error
        except web_client.NoAnswer as error:
            wait.tell(str(error))
            asked_pause = error.pause if isinstance(error, json_api.Later) else 0.0
        left = timeout - (time.monotonic() - wait.began)
        if left <= 0:
            return Outcome(_operation(wait, latest), latest, wait.told)
        pause = _FIRST_PAUSE if moved else min(pause * 1.5, _LONGEST_PAUSE)
        time.sleep(min(max(pause, asked_pause), left))


def look(engine: Engine, asked: Wanted) -> Outcome:
    """Return what the engine knows now of these images, without a wait. Raises ExternalError."""
    wait = _Wait(engine, asked, {})
    try:
        found = wait.decision(_ASK_SECONDS, ())
        if found.run and found.run.state.has_ended:
            return _ended(wait, found.run)
    except (json_api.Denied, web_client.NoAnswer) as error:
        raise ExternalError(
            f"{engine.name} does not say what ran in {asked.environment}: {error}",
            fix="docs/training.md says what its token may need, and how its resources are called",
        ) from error
    return Outcome("found" if found.run else "none", found.run)


def _ended(wait: _Wait, run: Run) -> Outcome:
    """Return the outcome of a run that has ended, with its steps where the engine still has them."""
    try:
        whole = wait.engine.look(run.name, _ASK_SECONDS)
    except (json_api.Denied, web_client.NoAnswer):
        whole = None
    whole = replace(whole or run, state=run.state)
    wait.tell(_progress(whole))
    return Outcome(_operation(wait, whole), whole)


def _operation(wait: _Wait, run: Run | None) -> Literal["started", "found", "none"]:
    if run is None:
        return "none"
    return "started" if run.name in wait.started else "found"


def _progress(run: Run) -> str:
    steps = ", ".join(f"{one.name} {one.state}" for one in run.steps)
    why = f" ({run.message})" if run.message and not run.state.has_ended else ""
    return f"{run.name} {run.state.value}{why}{f': {steps}' if steps else ''}"
