"""The words of a command line: what a person types. A step of a workflow gives none, and needs no click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from model_gitops import options, runner

# On a command line `--json` alone is `--json true`.
_ALONE: dict[str, Any] = {"is_flag": False, "flag_value": "true"}


class Commands(click.Group):
    """Imports an action only when it runs: a step needs only one."""

    def __init__(
        self, help: str, told: Mapping[str, str], find: Callable[[str], click.Command | None]
    ) -> None:
        """Take what is told of each name, and what finds its command."""
        super().__init__("model-gitops", help=help)
        self._told = told
        self._find = find

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in order."""
        return list(self._told)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, or None."""
        return self._find(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each is for."""
        with formatter.section("Commands"):
            formatter.write_dl([*self._told.items()])


def run(group: click.Group, words: Sequence[str], *, fix: str) -> int:
    """Run what the words say, and return the exit code. A word that is wrong is told with `fix`."""
    try:
        result = group.main(list(words), prog_name="model-gitops", standalone_mode=False)
    except click.ClickException as error:
        runner.error(error.format_message() + (f"\nFix: {fix}" if fix else ""))
        return 2
    except click.Abort:
        return 130
    return result if isinstance(result, int) else 0


def command(name: str, module: Any, arguments: Mapping[str, Any]) -> click.Command:
    """Return the command `name`, made from its module's function `command`.

    Its words are `arguments`: name → default, or None where one must be given.
    """
    return click.Command(
        name,
        params=[
            # For click a default of None is one, with which nothing is required.
            *(
                click.Argument([word])
                if default is None
                else click.Argument([word], required=False, default=default)
                for word, default in arguments.items()
            ),
            *click_options(module.command),
        ],
        callback=module.command,
        help=module.__doc__,
    )


def click_options(function: Callable[..., None]) -> list[click.Parameter]:
    """Return the click options of a command function."""
    return [
        click.Option(
            [f"--{one.name}", parameter],
            envvar=options.variable(one.name),
            default=default,
            show_default=bool(default) or one.kind == "flag",
            **(_ALONE if one.kind == "flag" else {}),
            metavar={"flag": "true|false", "secret": f"({options.variable(one.name)})"}.get(
                one.kind, "TEXT"
            ),
            help=one.description,
            callback=_check(one),
        )
        for parameter, (one, default) in options.texts_of(function).items()
    ]


def _check(one: options.Input) -> Callable[[click.Context, click.Parameter, str], str | bool]:
    def check(context: click.Context, parameter: click.Parameter, value: str) -> str | bool:
        source = context.get_parameter_source(str(parameter.name))
        return options.checked(one, value, typed=source is click.core.ParameterSource.COMMANDLINE)

    return check
