"""What each git of ours is told by its environment: settings that a person's own must not change.

Git's answers are read by us. A person, a machine or a repository may set colors, an encoding, a pager,
signatures or hooks: what we tell git wins over all of these. What says how to reach a server (proxies,
`url.insteadOf`, credentials) and what the owner trusts (`safe.directory`) stays theirs.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence

from model_gitops.adapters import process
from model_gitops.errors import ExternalError

Pairs = Sequence[tuple[str, str]]

# Ubuntu 20.04's. Older ones lack `fetch --filter` as we use it.
LOWEST = (2, 25)
# Since then settings come by variables that git's manual has; before, by the one that `git -c` sets.
_COUNTED = (2, 31)

_COLORS = (
    "ui", "advice", "branch", "decorate", "diff", "grep", "interactive", "push", "remote", "showBranch",
    "status", "transport",
)  # fmt: skip
_OURS: Pairs = (
    *((f"color.{name}", "false") for name in _COLORS),
    ("column.ui", "never"),
    ("column.branch", "never"),
    ("core.pager", "cat"),
    ("core.quotePath", "true"),
    # Programs of the account or the repository are not for us.
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("log.showSignature", "false"),
    ("log.decorate", "false"),
    ("log.follow", "false"),
    ("log.mailmap", "false"),
    ("log.date", "default"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("grep.lineNumber", "false"),
    ("grep.column", "false"),
    ("grep.fullName", "false"),
    ("grep.patternType", "default"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("push.recurseSubmodules", "no"),
    # An empty one takes back those before it.
    ("push.pushOption", ""),
    ("fetch.prune", "false"),
    ("fetch.pruneTags", "false"),
    ("fetch.recurseSubmodules", "no"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.templateDir", ""),
    ("worktree.guessRemote", "false"),
)


def environment(more: Pairs = (), local: Pairs = ()) -> dict[str, str]:
    """Return the variables of a git process: the job's settings, ours over them, and `more` at last.

    `local` comes first: what another repository's own configuration would say.

    Raises ExternalError where there is no git, or one that is too old.
    """
    pairs = [*local, *_of_the_job(), *_OURS, *more]
    fixed = {"GIT_PAGER": "cat"}
    if version() < _COUNTED:
        # As `git -c` hands them on; a name never holds a quote, a value may.
        words = (
            f"{key}={value}".replace("'", "'\\''").replace("!", "'\\!'") for key, value in pairs
        )
        return fixed | {"GIT_CONFIG_PARAMETERS": " ".join(f"'{word}'" for word in words)}
    counted = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        counted |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return fixed | counted


def _of_the_job() -> Pairs:
    """Return what the workflow tells git by GIT_CONFIG_COUNT, GIT_CONFIG_KEY_0, GIT_CONFIG_VALUE_0, …

    Raises ExternalError where these don't fit together, as git itself then refuses everything.
    """
    get = os.environ.get
    count = get("GIT_CONFIG_COUNT", "")
    if not count:
        return []
    number = int(count) if re.fullmatch(r"[0-9]{1,4}", count) else -1
    found = [(get(f"GIT_CONFIG_KEY_{at}"), get(f"GIT_CONFIG_VALUE_{at}")) for at in range(number)]
    pairs = [(key, value) for key, value in found if key and value is not None]
    if number < 0 or len(pairs) < number:
        raise ExternalError(
            f"git's own variables do not fit together: GIT_CONFIG_COUNT is {count!r}, and not each of"
            " GIT_CONFIG_KEY_0, GIT_CONFIG_VALUE_0, … is there",
            fix="set as many pairs as GIT_CONFIG_COUNT says, or unset it",
        )
    return pairs


@functools.cache
def version() -> tuple[int, int]:
    """Return the version of git on this machine. Raises ExternalError where it is too old, or missing."""
    said = process.run(["git", "--version"]).stdout.strip()
    found = re.search(r"\b(\d+)\.(\d+)", said)
    numbers = (int(found[1]), int(found[2])) if found else (0, 0)
    if numbers < LOWEST:
        lowest = ".".join(map(str, LOWEST))
        raise ExternalError(
            f"the git on this machine is too old: it says {said!r}, and {lowest} is the lowest that serves",
            fix=f"install git {lowest} or newer on the runner, or in the job's container",
        )
    return numbers
