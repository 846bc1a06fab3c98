"""What tests let go wrong on purpose: refusals, connections that are cut, waits."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Fault:
    """What is to go wrong with the next requests that match."""

    method: str
    path: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    drop: Literal["", "before", "after"] = ""
    delay: float = 0
    then: Callable[[], None] = lambda: None


class Faults:
    """The faults that are still to come; `lock` guards what is shared between connections."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.lock = threading.RLock()

    def fail_next(
        self,
        method: str,
        path: str,
        status: int = 500,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        times: int = 1,
    ) -> None:
        """Answer the next `times` requests whose path holds the expression `path` by `status`."""
        self.faults.append(Fault(method, path, times, status, headers or {}, body))

    def drop_next(
        self,
        method: str,
        path: str,
        *,
        when: Literal["before", "after"] = "before",
        times: int = 1,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Cut the connection before the work is done, or after it and before the answer.

        `then` is called first, for a client that is to be dead when it happens.
        """
        self.faults.append(Fault(method, path, times, drop=when, then=then))

    def delay_next(self, method: str, path: str, seconds: float, *, times: int = 1) -> None:
        """Let the next matching requests wait."""
        self.faults.append(Fault(method, path, times, delay=seconds))

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.method in (method, "*") and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None
