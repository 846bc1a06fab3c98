"""A checkout whose server is not waited for: where somebody waits, and the rest is done."""

from __future__ import annotations

import random
import time
from typing import IO

from model_gitops.adapters.git import Git
from model_gitops.adapters.process import Completed
from model_gitops.core import retry


class HurriedGit(Git):
    """As `of`, but which refs the server has is asked for `seconds` at most, in all attempts.

    Then ProcessError or TimedOutError is raised. A server that answers this is waited for as ever.
    """

    def __init__(self, of: Git, seconds: float) -> None:
        super().__init__(of.directory, of.credentials)
        self.place = of.place
        self._seconds = seconds

    def _again(self, *args: str, output: IO[bytes] | None = None) -> Completed:
        if args[0] != "ls-remote":
            return super()._again(*args, output=output)
        end = time.monotonic() + self._seconds
        for attempt in range(retry.ATTEMPTS):
            left = max(1.0, end - time.monotonic())
            if output is not None:
                output.seek(0)
                output.truncate()
            done = self.completed(*args, check=False, timeout=left, output=output)
            pause = retry.pause(attempt, random.random())  # noqa: S311 - jitter
            passing = done.returncode != 0 and retry.is_transient(done.stderr + done.stdout)
            if not passing or time.monotonic() + pause > end:
                break
            time.sleep(pause)
        return done
