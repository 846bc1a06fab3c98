"""GitHub's rate limits: requests an hour for each account, and content created a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.state import account_id

HOUR = 3600.0
_DOCS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


@dataclass
class Limits:
    """Counts requests by login; "" is whoever comes without a token.

    `content` is the secondary limit: how many writing requests one account may make in `window`
    seconds (GitHub: about 80 in 60); None, the default, leaves it off, so that tests of races are
    no tests of waiting. `clock` is in seconds.
    """

    hourly: int = 5000
    anonymous: int = 60
    content: int | None = None
    window: float = 60
    clock: Callable[[], float] = time.time
    _hours: dict[str, tuple[float, int]] = field(default_factory=dict)
    _writes: dict[str, list[float]] = field(default_factory=dict)

    def admit(self, login: str, method: str) -> Answer | None:
        """Count a request; return GitHub's refusal where it is one too many, else None."""
        now = self.clock()
        reset, used = self._hour(login)
        if used >= self._limit(login):
            kind = "installation" if login.endswith("[bot]") else "user"
            whom = f"{kind} ID {account_id(login)}" if login else "127.0.0.1"
            return _refusal(f"API rate limit exceeded for {whom}.", {})
        self._hours[login] = (reset, used + 1)
        if self.content is None or method == "GET":
            return None
        recent = [at for at in self._writes.get(login, []) if at > now - self.window]
        self._writes[login] = recent
        if len(recent) >= self.content:
            # Whole seconds, as the header has them, and never too early.
            wait = int(recent[0] + self.window - now) + 1
            text = (
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try"
                " again."
            )
            return _refusal(text, {"Retry-After": str(wait)})
        recent.append(now)
        return None

    def headers(self, login: str) -> dict[str, str]:
        """Return the headers that every answer to `login` carries."""
        state = self.shape(login)
        names = ("Limit", "Remaining", "Used", "Reset")
        return {f"X-RateLimit-{name}": str(state[name.lower()]) for name in names} | {
            "X-RateLimit-Resource": "core"
        }

    def shape(self, login: str) -> dict[str, int]:
        """Return the account's counters, as `GET /rate_limit` shows them."""
        reset, used = self._hour(login)
        limit = self._limit(login)
        return {"limit": limit, "used": used, "remaining": limit - used, "reset": int(reset)}

    def _limit(self, login: str) -> int:
        return self.hourly if login else self.anonymous

    def _hour(self, login: str) -> tuple[float, int]:
        now = self.clock()
        reset, used = self._hours.get(login, (now + HOUR, 0))
        return (reset, used) if reset > now else (now + HOUR, 0)


def _refusal(message: str, headers: dict[str, str]) -> Answer:
    body = {"message": message, "documentation_url": _DOCS, "status": "403"}
    return Answer(403, body, headers)
