"""`model-gitops local`: the whole flow on this machine, without GitHub."""

from __future__ import annotations

import os
from pathlib import Path

import click

from model_gitops_local import project_commands

_FOLDER = click.option(
    "--folder",
    default=".demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything goes.",
)


@click.group("local", help=__doc__)
def local() -> None:
    """Hold the subcommands."""


@local.command()
@_FOLDER
@click.option("--keep", is_flag=True, help="Leave the registry and the forge running.")
def demo(folder: Path, keep: bool) -> None:
    """Carry two experiments towards production: one gets there, one is refused."""
    from model_gitops_local import demo as module

    module.run(folder.resolve(), keep=keep)


@local.command()
@click.option(
    "--folder",
    default=".demo-life",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything goes.",
)
def life(folder: Path) -> None:
    """Live a model's life: verification, drift, retraining, a bad model that is taken back."""
    from model_gitops_local.life import story

    story.run(folder.resolve())


@local.command()
@_FOLDER
def clean(folder: Path) -> None:
    """Stop what a demo left running, and remove its folder."""
    from model_gitops_local import demo as module

    module.clean(folder.resolve())


for _one in project_commands.COMMANDS:
    local.add_command(_one)


@local.command()
def setup() -> None:
    """Find or build every tool that the flow needs, and say where each is: none of `make test-cluster`."""
    from model_gitops_local import toolchain

    wanted = [name for name, tool in toolchain.TOOLS.items() if not tool.for_cluster]
    for name, path in toolchain.ensure_all(wanted).items():
        click.echo(f"{name}: {path}")


@local.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def tool(name: str, arguments: tuple[str, ...]) -> None:
    """Run a tool of the flow (act, kustomize, actionlint) at its pinned version."""
    from model_gitops.errors import InputError
    from model_gitops_local import toolchain

    if name not in toolchain.TOOLS:
        known = ", ".join(sorted(toolchain.TOOLS))
        raise InputError.of("NAME", name, "no such tool", fix=f"use one of: {known}")
    program = toolchain.ensure(name)
    os.execv(program, [str(program), *arguments])  # noqa: S606 - replaces us: no shell


@local.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def forge(arguments: tuple[str, ...]) -> int:
    """Serve bare repositories as GitHub would: its API, and Git over HTTP."""
    from model_gitops_local.forge import __main__ as module

    return module.main(list(arguments))


@local.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where something would change.")
def docs(check: bool) -> None:
    """Write the generated tables of READMEs and docs/."""
    from model_gitops_local import docs as module

    for name in module.write(check=check):
        click.echo(f"written: {name}")
