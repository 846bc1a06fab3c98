"""DVC's own git library, beside the git that we ask."""

from __future__ import annotations


def trust_as_git_does() -> None:
    """Let DVC open the checkout of another account, which git has opened by then.

    Git was told to trust it, perhaps by variables, which the library does not read.
    """
    import pygit2

    pygit2.option(pygit2.enums.Option.SET_OWNER_VALIDATION, False)
