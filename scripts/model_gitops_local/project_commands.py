"""The subcommands of `local` for a repository of one's own."""

from __future__ import annotations

from pathlib import Path

import click

_REPOSITORY = click.option(
    "--repository",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Your clone of the model repository.",
)
_DEPLOY = click.option(
    "--deploy",
    type=click.Path(path_type=Path),
    help="Your clone of the deploy repository. Default: the folder of its name beside the other.",
)


@click.command()
@_REPOSITORY
@_DEPLOY
def start(repository: Path, deploy: Path | None) -> None:
    """Start servers for your own repository, with its branches."""
    from model_gitops_local.project import Project

    Project.of(repository, deploy).start()


@click.command()
@click.argument("workflow")
@click.option("--head", default="", help="Branch of the pull request.")
@click.option("--base", default="", help="Branch that it is for.")
@click.option("--branch", default="", help="Branch that is pushed.")
@_REPOSITORY
@_DEPLOY
def run(
    workflow: str, head: str, base: str, branch: str, repository: Path, deploy: Path | None
) -> int:
    """Run a workflow of your own repository, such as promote.yml.

    With --head and --base it is for that pull request; one that runs on a push alone merges it first.
    With --branch it is for a push.
    """
    from model_gitops_local.project import Project

    project = Project.of(repository, deploy)
    return project.run(workflow, head=head, base=base, branch=branch)


@click.command("merge-deployments")
@_REPOSITORY
@_DEPLOY
def merge_deployments(repository: Path, deploy: Path | None) -> None:
    """Approve and merge the pull requests that deploy.yml opened in the deploy repository."""
    from model_gitops_local.project import Project

    Project.of(repository, deploy).merge_deployments()


@click.command()
@_REPOSITORY
@_DEPLOY
def status(repository: Path, deploy: Path | None) -> None:
    """Say which servers run for your repository, and where everything is."""
    from model_gitops_local.project import Project

    click.echo(Project.of(repository, deploy).told())


@click.command()
@_REPOSITORY
def stop(repository: Path) -> None:
    """Stop the servers of your repository, and remove what they stored."""
    from model_gitops_local import project

    project.stop(repository)


COMMANDS = (start, run, merge_deployments, status, stop)
