"""`python -I scripts NAME`: run an action with this folder, and no other, added to the path."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from model_gitops.__main__ import main

if TYPE_CHECKING:
    import click


def local() -> click.Command:
    """Return the command `local`, imported only when it is asked for."""
    from model_gitops_local.commands import local as command

    return command


sys.exit(main(local=local))
