"""When to try again, and after how long, and what to do where that does not help."""

from __future__ import annotations

import re

ATTEMPTS = 10
# Whoever loses a race loses it to somebody who got further: with 50 writers ten attempts are too few
# for the unluckiest, so it is time that ends a race. 200 writers of a server that needs two seconds
# for each are done after seven minutes.
RACE_SECONDS = 1200.0
# A server that hangs takes its time limit at each attempt: after so long no further one is made.
FAULT_SECONDS = 180.0
_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 20.0
# How long the losers of a race wait, in attempts' lengths; found by simulating 3 to 200 writers, each on
# a machine of its own and all on one of two cores.
_RACE_FACTOR, _RACE_GROWTH, _RACE_MOST = 2.5, 1.2, 4.0
_LONGEST_RACE_SECONDS = 120.0

# Every wording in which git, locally or through a forge, says that another writer was first.
_LOST_RACE = re.compile(
    r"non-fast-forward|fetch first|cannot lock ref|incorrect old value|stale info"
    r"|failed to update ref|reference already exists|\[rejected\].*already exists"
    r"|unable to create .*\.lock",
    re.IGNORECASE,
)
# The same wordings come before a reason that no further attempt mends.
_NO_RACE = re.compile(
    r"permission denied|no space left|file ?name too long|read-only file system"
    r"|exists; cannot create|refname conflict",
    re.IGNORECASE,
)
_LOCAL_LOCK = re.compile(r"unable to create '([^'\n]+\.lock)': File exists", re.IGNORECASE)
_TRANSIENT = re.compile(
    r"returned error: (?:408|429|5\d\d)|HTTP (?:429|5\d\d)|timed out|timeout|early EOF|empty reply"
    r"|connection (?:was )?(?:reset|refused|closed|timed)|could not resolve host|remote end hung up"
    r"|temporary failure|RPC failed|unexpected disconnect|operation too slow|network is unreachable"
    r"|no route to host|name or service not known|broken pipe|transfer closed|unexpected eof"
    r"|gnutls_handshake|SSL_ERROR_SYSCALL|was not closed cleanly|expected flush"
    r"|fatal error in commit_refs|internal server error"
    # curl has many words for a connection that failed: all but those that name an answer.
    r"|unable to access 'https?://[^'\n]*': (?!.*(?:returned error|certificate|protocol|malformed|redirect))",
    re.IGNORECASE,
)


def is_lost_race(message: str) -> bool:
    """Whether git's message says that the remote's ref moved since it was read."""
    return _LOST_RACE.search(message) is not None and _NO_RACE.search(message) is None


def is_transient(message: str) -> bool:
    """Whether git's message names a fault of the network or the server that may pass."""
    return _TRANSIENT.search(message) is not None


def lock_file(message: str) -> str:
    """Return the lock file of this machine that stood in git's way, or an empty string."""
    # What the server said is not this machine's: its side channel, its error, its refusal of a ref.
    own = message.partition("remote error:")[0].split("\n")
    found = _LOCAL_LOCK.search(
        "\n".join(line for line in own if not re.match(r"remote:|.*\[remote ", line))
    )
    return found.group(1) if found else ""


def reason(message: str) -> str:
    """Return the line of git's message that says why: the refused ref, else the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for pattern in (r"!.*rejected", r"(?:error|fatal):", ""):
        if found := next((line for line in reversed(lines) if re.match(pattern, line)), ""):
            return found
    return ""


def pause(attempt: int, jitter: float) -> float:
    """Return the seconds to wait after failed `attempt` (from 0): exponential, with full jitter.

    `jitter` is a random number in [0, 1). Full jitter spreads competing writers best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = float(min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0**attempt))
    return longest * (0.1 + 0.9 * jitter)


class Race:
    """How long a writer waits after each race that it lost.

    Waits are multiples of how long an attempt took: where many writers share a server or a machine all
    attempts are slow, and only so many of them should run at once as it can carry. An attempt that was
    slow earlier counts on, half as much after each further one.
    """

    def __init__(self) -> None:
        self._lost = 0
        self._slow = 0.0

    def pause(self, took: float, jitter: float) -> float:
        """Return the seconds to wait after a lost attempt of `took` seconds; `jitter` is in [0, 1)."""
        self._slow = max(took, self._slow / 2)
        factor = min(_RACE_MOST, _RACE_GROWTH**self._lost) * _RACE_FACTOR
        self._lost += 1
        longest = min(_LONGEST_RACE_SECONDS, max(_FIRST_SECONDS, factor * self._slow))
        return longest * (0.1 + 0.9 * jitter)


def advice(said: str) -> str:
    """Return what mends the fault that git's message names, or an empty string."""
    lowered = said.lower()
    if "exists; cannot create" in lowered or "refname conflict" in lowered:
        return "a ref stands where a folder of refs must be: give another name, or remove that ref"
    # A file of this machine, or the server's: no token's matter.
    if "unable to create" in lowered:
        return "look at that file's folder: who may write it, and whether its disk has room"
    if any(text in lowered for text in ("403", "permission", "denied", "protected branch")):
        return (
            "the token or key may read but not write there: give one with `contents: write` on that"
            " repository (GITHUB_TOKEN can't write another repository: use a GitHub App token or a"
            " deploy key with write access)"
        )
    if any(
        text in lowered
        for text in ("401", "authentication", "could not read username", "404", "not found")
    ):
        return "check that the repository exists, and that the token or key is right, not expired, and may read it"
    return ""
