"""Who asks for something: the person behind a workflow run, or at a terminal."""

from __future__ import annotations

from model_gitops import runner
from model_gitops.adapters import git

_LONGEST = 100


def who(checkout: git.Git) -> str:
    """Return the login of who started the workflow, else the name that git knows for who works here."""
    name = runner.context().sender or checkout.run("config", "user.name", check=False)
    line = " ".join("".join(one if one.isprintable() else " " for one in name).split())
    return line[:_LONGEST] or git.BOT_NAME
