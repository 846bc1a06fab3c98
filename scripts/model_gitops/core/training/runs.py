"""A run of the training pipeline, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """How far a run is. `ERROR`: the engine failed, and not a step."""

    WAITS = "waits"
    RUNS = "runs"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ERROR = "error"

    @property
    def has_ended(self) -> bool:
        """Whether a run in this state changes no more."""
        return self in (State.SUCCEEDED, State.FAILED, State.ERROR)


@dataclass(frozen=True)
class Step:
    """One step of a run: its name, how the engine calls its state, and what it says about it."""

    name: str
    state: str
    message: str = ""
    has_failed: bool = False


@dataclass(frozen=True)
class Run:
    """One run. `images` are those of its steps, empty while the engine does not say them.

    `started` orders runs (ISO 8601, UTC), `message` is why it is as it is, and `url` is its page.
    """

    name: str
    state: State
    images: tuple[str, ...] = ()
    started: str = ""
    message: str = ""
    url: str = ""
    steps: Sequence[Step] = ()

    @property
    def reason(self) -> str:
        """Why it ended badly: what its failed steps say, else what the engine says of the whole."""
        failed = [f"{one.name}: {one.message or one.state}" for one in self.steps if one.has_failed]
        return "; ".join(failed) or self.message or "it gives no reason"


@dataclass(frozen=True)
class Offer:
    """What a run that is started now would have: images of its steps, and parameters with their defaults.

    `is_fixed` says that it has no other images later: there is nothing to wait for.
    """

    images: tuple[str, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_fixed: bool = False
