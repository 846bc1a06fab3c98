"""The engines that run a training pipeline: what each is asked, and the wait for a run's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from model_gitops.core.training.runs import Offer, Run


class Engine(Protocol):
    """A system that runs the pipeline of one environment.

    Each question takes `seconds` at most. They raise json_api.Denied where asking again changes nothing,
    and web_client.NoAnswer for a fault that may pass.
    """

    name: str

    def offer(self, seconds: float) -> Offer:
        """Return what a run that is started now would be made of."""

    def runs(self, seconds: float) -> Sequence[Run]:
        """Return the runs of the pipeline that the engine still knows; their steps may be left out."""

    def look(self, name: str, seconds: float) -> Run | None:
        """Return one run with its steps; None where there is none of that name."""

    def start(self, name: str, parameters: Mapping[str, str], seconds: float) -> Run:
        """Start a run of this name, or return the one that has it already."""
