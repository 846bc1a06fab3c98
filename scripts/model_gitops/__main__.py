"""The command line: one subcommand an action, and a few for a person's machine."""

from __future__ import annotations

import errno
import importlib
import io
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from model_gitops import options, runner
from model_gitops.actions import ACTIONS
from model_gitops.adapters import installation
from model_gitops.commands import COMMANDS
from model_gitops.errors import ActionError, ExternalError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


class _Commands(click.Group):
    """Imports an action only when it runs: a step needs only one."""

    def __init__(self, local: Callable[[], click.Command] | None) -> None:
        super().__init__("model-gitops", help=HELP)
        self._local = local

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*ACTIONS, *COMMANDS, LOCAL]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == LOCAL:
            if self._local is None:
                raise InputError(
                    "`local` is no part of the installed package: it needs a checkout",
                    fix=f"git clone {installation.REPOSITORY}, then `scripts/run.sh local --help` in it",
                )
            return self._local()
        if cmd_name in COMMANDS:
            return other_command(cmd_name)
        return action_command(cmd_name) if cmd_name in ACTIONS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*ACTIONS.items(), *COMMANDS.items(), (LOCAL, LOCAL_HELP)])


def action_command(name: str) -> click.Command:
    """Return the command of action `name`, made from its module's function `command`."""
    module = importlib.import_module(f"model_gitops.actions.{name.replace('-', '_')}")
    return click.Command(
        name,
        params=options.click_options(module.command),
        callback=module.command,
        help=module.__doc__,
    )


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


def other_command(name: str) -> click.Command:
    """Return the command `name` that is no action.

    Its words are `ARGUMENTS` of its module: name → default, or None where one must be given. Its options
    are declared as an action's inputs.
    """
    module = importlib.import_module(f"model_gitops.commands.{name.replace('-', '_')}")
    return click.Command(
        name,
        params=[
            # For click a default of None is one, with which nothing is required.
            *(
                click.Argument([word])
                if default is None
                else click.Argument([word], required=False, default=default)
                for word, default in module.ARGUMENTS.items()
            ),
            *options.click_options(module.command),
        ],
        callback=module.command,
        help=module.__doc__,
    )


def main(
    arguments: Sequence[str] | None = None, *, local: Callable[[], click.Command] | None = None
) -> int:
    """Run one command and return the exit code; the only place where errors are caught.

    `local` gives the command of that name where the package for one machine is there.
    """
    group = _Commands(local)
    args = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
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
        result = group.main(args, prog_name="model-gitops", standalone_mode=False)
    except ActionError as error:
        title = args[0] if args and args[0] in ACTIONS else ""
        runner.error(installation.typed(str(error)), title=title)
        return error.exit_code
    except click.ClickException as error:
        known = args and args[0] in {**ACTIONS, **COMMANDS}
        fix = f"\nFix: {installation.call(args[0])} --help" if known else ""
        runner.error(f"{error.format_message()}{fix}")
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
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
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
