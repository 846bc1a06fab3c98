"""Several calls at once, all ended after one time: what still runs then is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def run_all(calls: Sequence[Callable[[float], str]], seconds: float) -> list[str | None]:
    """Run each call in a thread of its own; return what each one returned, in their order.

    A call is given the moment, of `time.monotonic`, at which nobody waits for it any more: its answer is
    None then. No call may raise: what one raises all the same is told by its class alone, as its text may
    hold an address.
    """
    end = time.monotonic() + seconds
    answers: list[str | None] = [None] * len(calls)

    def ask(place: int, call: Callable[[float], str]) -> None:
        try:
            answers[place] = call(end)
        except Exception as problem:
            answers[place] = f"it failed ({type(problem).__name__})"

    # A daemon: a service that never ends its answer does not keep the step from ending.
    threads = [
        threading.Thread(target=ask, args=(place, call), daemon=True)
        for place, call in enumerate(calls)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(max(0.0, end - time.monotonic()))
    return list(answers)
