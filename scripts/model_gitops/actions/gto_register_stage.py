"""Register a model version, and assign it to a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, gto_writer, promotion_file
from model_gitops.core.dvc import checksums
from model_gitops.core.gto import registration
from model_gitops.errors import InputError
from model_gitops.options import Config, flag, option

OUTPUTS = ("version", "version-tag", "stage-tag", "previous-version", "operation")


def command(
    model: Annotated[
        str,
        option(
            "model",
            "Name of the artifact in dvc.yaml; `folder:name` in a subfolder. Default: the one of `config`.",
        ),
    ] = "",
    config: Config = "promotion.yaml",
    stage: Annotated[
        str, option("stage", "Stage to assign the version to. Empty: register only.")
    ] = "",
    version: Annotated[
        str,
        option(
            "version",
            "Version, as v1.2.3. Default: the one that has this model's hash, else a bump.",
        ),
    ] = "",
    bump: Annotated[
        str, option("bump", "What a new version counts up: major, minor or patch.")
    ] = "patch",
    revision: Annotated[
        str, option("revision", "Commit, branch or tag that has the model.")
    ] = "HEAD",
    message: Annotated[str, option("message", "Message of the tags. Default: GTO's.")] = "",
    remote: Annotated[str, option("remote", "Git remote that holds the registry.")] = "origin",
    push: Annotated[
        bool, flag("push", "Whether to push the tags; if not, they stay in this checkout.")
    ] = True,
    sha256: Annotated[
        str,
        option(
            "sha256",
            "The model's SHA-256, for a new version's tag. Default: that of its file, if it is here.",
        ),
    ] = "",
) -> None:
    """Write the annotated tags that GTO would write, and push them in one atomic push."""
    repository = git.open_repository(Path.cwd())
    model = promotion_file.model_of(config, model, repository)
    request = registration.Request(model, stage, version, bump or "patch")
    registration.check(request)
    checksums.check("sha256", sha256)
    remote = remote or "origin"
    if push and not repository.has_remote(remote):
        raise InputError.of(
            "remote",
            remote,
            "this checkout has no such remote",
            fix="remote: origin, or push: false",
        )
    commit = repository.find_commit(revision or "HEAD")
    if commit is None:
        raise InputError.of(
            "revision",
            revision,
            "there is no such commit, neither in this checkout nor on its remote",
            fix="give actions/checkout `fetch-depth: 0`, or a revision that exists",
        )

    with runner.group(f"Registering {model}"):
        plan = gto_writer.write(
            repository, request, commit,
            revision=revision or "HEAD", message=message, remote=remote, push=push, sha256=sha256,
        )  # fmt: skip
    runner.write_outputs(
        {
            "version": plan.version,
            "version-tag": plan.version_tag,
            "stage-tag": plan.stage_tag,
            "previous-version": plan.previous,
            "operation": plan.operation,
        }
    )
    at = f" at commit `{plan.commit[:12]}`"
    held = f", in stage `{stage}` (before: {plan.previous or 'none'})" if stage else ""
    runner.write_summary(
        f"### {model} {plan.version}\n\n{plan.operation}: {plan.version}{at}{held}\n"
    )
