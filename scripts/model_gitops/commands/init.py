"""Make a model repository and its deploy repository from the templates.

    model-gitops init --name churn --owner newco --to churn

In a terminal it asks for what is left out. Both are Git repositories then, with one commit each.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import click

from model_gitops import runner
from model_gitops.adapters import installation, new_repository, paths, template_files
from model_gitops.core.scaffold import answers, record
from model_gitops.errors import InputError
from model_gitops.options import option

ARGUMENTS: dict[str, str | None] = {}
# What must be said: a person is asked for it, with an example.
_NEEDED = {
    "name": "the model's name",
    "owner": "the account or organisation on the server",
    "to": "the new folder",
}
# Argo CD reads it, whatever the model repository's branches are called.
_DEPLOY_BRANCH = "main"


def command(
    name: Annotated[
        str, option("name", "The model's name: lowercase letters, digits and `-`.")
    ] = "",
    owner: Annotated[
        str, option("owner", "The account or organisation that the repositories belong to.")
    ] = "",
    to: Annotated[str, option("to", "Folder of the new model repository.")] = "",
    deploy: Annotated[
        str,
        option(
            "deploy",
            "Folder of the new deploy repository. Default: the one of `to`, and `-deploy`.",
        ),
    ] = "",
    branches: Annotated[
        str, option("branches", "Branches of the environments, in promotion order, with commas.")
    ] = "main,staging,production",
    environments: Annotated[
        str,
        option(
            "environments",
            "Names of the environments. Default: dev, staging and production, as many as there are branches.",
        ),
    ] = "",
    host: Annotated[
        str, option("host", "The server that the repositories will be on.")
    ] = answers.GITHUB,
    registry: Annotated[
        str,
        option(
            "registry",
            "The image registry, without the owner. Default: ghcr.io for github.com, else the server.",
        ),
    ] = "",
) -> None:
    """Make both repositories, or none. Raises InputError, with nothing changed."""
    given = _ask_for_the_rest({"name": name, "owner": owner, "to": to}, deploy=deploy)
    found = answers.new(
        name=given["name"],
        owner=given["owner"],
        branches=_split(branches),
        environments=_split(environments),
        host=host,
        registry=registry,
        modules=sys.stdlib_module_names,
    )
    deploy = deploy or f"{new_repository.absolute(given['to'])}-deploy"
    model_folder = new_repository.check_target("to", given["to"])
    deploy_folder = new_repository.absolute(deploy)
    if paths.is_inside(deploy_folder, model_folder) or paths.is_inside(model_folder, deploy_folder):
        raise InputError.of(
            "deploy",
            deploy,
            "one repository would lie in the other",
            fix=f"--deploy {shlex.quote(str(model_folder))}-deploy",
        )
    version = template_files.version()
    if template_files.changed():
        runner.notice(
            f"templates/ has changes that are not in {version}, which the repositories name"
        )
    with ExitStack() as stack:
        made: dict[str, Path] = {}
        known = True
        branches_of = {"deploy": (_DEPLOY_BRANCH,), "model": found.branches}
        for template, option_name, value in (
            ("deploy", "deploy", deploy),
            ("model", "to", given["to"]),
        ):
            made[template] = new_repository.beside(option_name, value, stack)
            known = new_repository.make(
                made[template],
                record.Record(template, version, found).rendered(template_files.read(template)),
                branches=branches_of[template],
                message=f"Start from model-gitops' template of a {template} repository\n\nVersion: {version}",
            )
        # What an earlier run, which was stopped in between, has moved to its place stays there.
        if not new_repository.is_the_same(made["deploy"], deploy_folder):
            new_repository.check_target("deploy", deploy)
            new_repository.move(made["deploy"], deploy_folder)
        new_repository.move(made["model"], model_folder)
    if not known:
        runner.warning(
            "git does not know who you are, so the first commits are by model-gitops. To change that: git"
            " config --global user.name NAME, git config --global user.email ADDRESS, then in both"
            " repositories: git commit --amend --no-edit --reset-author"
        )
    for folder in (model_folder, deploy_folder):
        outer = new_repository.outer_repository(folder)
        if outer is not None:
            runner.notice(
                f"{folder} lies in another Git checkout, {outer}: let that ignore it, or move it"
            )
    runner.answer({}, _told(found, model_folder, deploy_folder))


def _ask_for_the_rest(given: dict[str, str], *, deploy: str) -> dict[str, str]:
    """Return what must be said; asked of a person in a terminal. Raises InputError elsewhere."""
    missing = [name for name, value in given.items() if not value]
    if missing and not (sys.stdin.isatty() and sys.stderr.isatty()):
        examples = {"name": "churn", "owner": "newco", "to": given["name"] or "churn"}
        words = [f"--{name} {shlex.quote(given[name] or examples[name])}" for name in given]
        words += [f"--deploy {shlex.quote(deploy)}"] if deploy else []
        raise InputError(
            f"input `{missing[0]}` is missing: {_NEEDED[missing[0]]}, which nobody can be asked for here",
            fix=f"{installation.call('init')} {' '.join(words)}",
        )
    for name, value in given.items():
        if name not in missing:
            _check(name, value)
            continue
        given[name] = click.prompt(
            _NEEDED[name].capitalize(),
            default=given["name"] if name == "to" else None,
            value_proc=partial(_accepted, name),
            err=True,
        )
    return given


def _accepted(name: str, value: str) -> str:
    """Return what a person typed; UsageError, after which the person is asked again, says what is wrong."""
    value = value.strip()
    try:
        _check(name, value)
    except InputError as error:
        raise click.UsageError(f"{error.message}. Fix: {error.fix}") from error
    return value


def _check(name: str, value: str) -> None:
    """Raise InputError for an answer that can't be used, before the next question."""
    if name == "name":
        answers.check_name(value)
    elif name == "owner":
        answers.check_owner(value)
    else:
        new_repository.check_target(name, value)


def _split(value: str) -> list[str]:
    return [one.strip() for one in value.split(",") if one.strip()]


def _told(found: answers.Answers, model: Path, deploy: Path) -> str:
    """Say what was made, and what to type next."""
    here, beside = shlex.quote(str(model)), shlex.quote(str(deploy))
    url = f"https://{found.host}"
    first = found.branches[0]
    pushed = " ".join(f"{first}:{branch}" for branch in found.branches)
    flow = ", ".join(
        f"{branch} → {name}"
        for branch, name in zip(found.branches, found.environments, strict=True)
    )
    return f"""\
{found.name}: two Git repositories, with one commit each
  {model}  (the model: {flow})
  {deploy}  (what runs where)

Next:
  1. Train the first model on this machine:
       make -C {here} reproduce
  2. Make {found.repository} and {found.deploy_repository} on {found.host}, empty; then, in this order:
       git -C {beside} remote add origin {url}/{found.deploy_repository}.git
       git -C {beside} push origin {_DEPLOY_BRANCH}
       git -C {here} remote add origin {url}/{found.repository}.git
       git -C {here} push origin {pushed}
  3. See what is still to be set up:
       cd {here} && {installation.call("doctor")} --deploy {beside}
README.md of each says the rest: DVC remote, secrets, the first pull request.
"""
