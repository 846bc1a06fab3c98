"""The command line: one subcommand an action, and a few for a person's machine."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from model_gitops import options, runner
from model_gitops.actions import ACTIONS
from model_gitops.adapters import installation
from model_gitops.commands import COMMANDS
from model_gitops.errors import ActionError, ExternalError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import click

# What fails for want of these is the runner's fault, and neither ours nor the user's.
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk may only be read",
    errno.EIO: "the disk fails",
    errno.ENOMEM: "the memory is used up",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}
HELP = "Carry a model from an experiment branch to production."
# The package beside this one, which only a checkout has, gives the command.
LOCAL = "local"
LOCAL_HELP = "Run the whole flow on this machine, without GitHub."


def action_command(name: str) -> click.Command:
    """Return the command of action `name`."""
    from model_gitops.commands import command_line

    return command_line.command(name, _module("actions", name), {})


def other_command(name: str) -> click.Command:
    """Return the command `name` that is no action, whose words are `ARGUMENTS` of its module."""
    from model_gitops.commands import command_line

    module = _module("commands", name)
    return command_line.command(name, module, module.ARGUMENTS)


def _module(kind: str, name: str) -> Any:
    return importlib.import_module(f"model_gitops.{kind}.{name.replace('-', '_')}")


def _run(args: Sequence[str], local: Callable[[], click.Command] | None) -> int:
    """Run what the words say, and return the exit code."""
    if len(args) == 1 and args[0] in ACTIONS:
        # A step of a workflow: the environment says it all, and click need not be imported.
        command = _module("actions", args[0]).command
        command(**options.from_environment(command))
        return 0
    from model_gitops.commands import command_line

    def find(name: str) -> click.Command | None:
        if name == LOCAL:
            if local is None:
                raise InputError(
                    "`local` is no part of the installed package: it needs a checkout",
                    fix=f"git clone {installation.REPOSITORY}, then `scripts/run.sh local --help` in it",
                )
            return local()
        if name in COMMANDS:
            return other_command(name)
        return action_command(name) if name in ACTIONS else None

    told = {**ACTIONS, **COMMANDS, LOCAL: LOCAL_HELP}
    known = bool(args) and args[0] in {**ACTIONS, **COMMANDS}
    fix = f"{installation.call(args[0])} --help" if known else ""
    return command_line.run(command_line.Commands(HELP, told, find), args, fix=fix)


def _check_machine() -> None:
    """Look for what every action needs, before one does half of its work. Raises ExternalError."""
    try:
        Path.cwd()
    except OSError as error:
        raise ExternalError(
            f"the working directory is gone, or can't be entered: {error.strerror}",
            fix="start the step in a folder that is there: is it removed by a step before this one?",
        ) from error
    runner.check_outputs()


def main(
    arguments: Sequence[str] | None = None, *, local: Callable[[], click.Command] | None = None
) -> int:
    """Run one command and return the exit code; the only place where errors are caught.

    `local` gives the command of that name where the package for one machine is there.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        # A step is over soon, and imports leave nothing to collect: looking is a sixth of their time.
        gc.set_threshold(50_000)
        # A cancelled job gets SIGTERM: leave as by Ctrl-C, so that temporary credentials are removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A message about odd text must not fail for the oddity.
            stream.reconfigure(errors="backslashreplace")
    try:
        if args and args[0] in ACTIONS:
            _check_machine()
        if args and args[0] in COMMANDS:
            installation.require(args)
        return _run(args, local)
    except ActionError as error:
        title = args[0] if args and args[0] in ACTIONS else ""
        runner.error(installation.typed(str(error)), title=title)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads us has seen enough, and Python need not say so when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            where = f" ({error.filename})" if error.filename else ""
            runner.error(
                f"{_NO_ROOM[error.errno]} on this runner{where}: {error.strerror}\n"
                "Fix: make room, or set RUNNER_TEMP and TMPDIR to a disk that has some, and run the"
                " job again",
                title=args[0] if args and args[0] in ACTIONS else "",
            )
            return ExternalError.exit_code
        # Nothing should come here. A person sees one sentence, and we get what we need to mend it.
        import traceback

        with runner.group("traceback"):
            runner.say(traceback.format_exc())
        runner.error(
            f"this is a bug in model-gitops: {type(error).__name__}: {str(error)[:500]}\n"
            f"Fix: report it, with the traceback above: {installation.REPOSITORY}/issues",
            title=args[0] if args and args[0] in ACTIONS else "",
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
