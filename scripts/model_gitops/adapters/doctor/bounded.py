"""Runs questions side by side, and waits for none of them for ever."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from model_gitops.adapters import process
from model_gitops.core.doctor.finding import Finding
from model_gitops.errors import ActionError

SECONDS = 60.0
_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Question:
    """One check, and what answers it."""

    check: str
    ask: Callable[[], Finding]


class _Lane(threading.Thread):
    """Asks questions one after the other. Nobody waits for it at the end of the program."""

    def __init__(
        self, questions: Sequence[Question], answers: queue.Queue[tuple[_Lane, Finding]]
    ) -> None:
        super().__init__(daemon=True)
        self.questions = list(questions)
        self.done = 0
        self.since = time.monotonic()
        self._answers = answers

    def run(self) -> None:
        for one in self.questions:
            self.since = time.monotonic()
            self._answers.put((self, answered(one)))
            self.done += 1


def answered(question: Question) -> Finding:
    """Ask one question. Whatever goes wrong is what could not be asked."""
    try:
        return question.ask()
    except ActionError as error:
        return Finding(question.check, None, error.message, error.fix)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error)[:300]}"
        return Finding(
            question.check, None, f"the check itself failed: {said}", "report it as a bug"
        )


def ask(
    lanes: Sequence[Sequence[Question]], *, seconds: float = SECONDS, tell: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield the findings as they come. The questions of one lane are asked one after the other.

    One that takes longer than `seconds` is given up, and its lane goes on with the next. `tell` hears
    of what is waited for.
    """
    answers: queue.Queue[tuple[_Lane, Finding]] = queue.Queue()
    waiting = [_Lane(questions, answers) for questions in lanes if questions]
    for lane in waiting:
        lane.start()
    left = {lane: len(lane.questions) for lane in waiting}
    while left:
        tell(
            ", ".join(
                lane.questions[lane.done].check for lane in left if lane.done < len(lane.questions)
            )
        )
        try:
            lane, found = answers.get(timeout=0.2)
        except queue.Empty:
            for late in [one for one in left if time.monotonic() - one.since > seconds]:
                yield from _give_up(late, left, answers, seconds)
            continue
        if lane not in left:
            continue  # it came after all, too late
        left[lane] -= 1
        if not left[lane]:
            del left[lane]
        yield found


def _give_up(
    late: _Lane, left: dict[_Lane, int], answers: queue.Queue[tuple[_Lane, Finding]], seconds: float
) -> Iterator[Finding]:
    rest = late.questions[-left.pop(late) :]
    yield Finding(
        rest[0].check,
        None,
        f"no answer within {seconds:.0f} seconds",
        "look at the network, then run it again",
    )
    if rest[1:]:
        fresh = _Lane(rest[1:], answers)
        left[fresh] = len(fresh.questions)
        fresh.start()


def leave_if_hung(code: int) -> None:
    """End the program with `code` where something that was given up still runs: nothing ends it else."""
    hung = [one for one in threading.enumerate() if isinstance(one, _Lane)]
    if not hung:
        return
    process.stop_all()
    until = time.monotonic() + _GRACE_SECONDS
    for one in hung:
        one.join(max(0.0, until - time.monotonic()))
    if any(one.is_alive() for one in hung):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
