"""Bring what a training outside of Git made into it, by a pull request.

Nothing of the repository runs. The repository is GITHUB_REPOSITORY on GITHUB_SERVER_URL.
"""

from __future__ import annotations

import posixpath
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import (
    clock,
    dvc,
    dvc_remote,
    git,
    model_files,
    paths,
    project_files,
    promotion_file,
    retraining_branch,
    retraining_proposal,
    training_repository,
)
from model_gitops.adapters.retraining_proposal import Place, Told
from model_gitops.adapters.training_repository import Data
from model_gitops.core import document
from model_gitops.core.dvc import training
from model_gitops.core.dvc.files import Project
from model_gitops.core.dvc.training import Record
from model_gitops.core.report import retraining
from model_gitops.core.report.retraining import Retraining
from model_gitops.errors import InputError
from model_gitops.options import Config, DvcRemote, DvcRemoteConfig, lines, option, secret

ARGUMENTS: dict[str, None] = {}
OUTPUTS = ("operation", "branch", "commit", "issue", "pull-request")


@dataclass(frozen=True)
class _Made:
    """What was handed over: each output (path from the model's folder → file), the records, the remote."""

    outputs: dict[str, Path]
    records: list[Record]
    remote: str
    settings: dict[str, str]


def command(
    outputs: Annotated[
        str,
        option("outputs", "Lines `PATH=FILE`: each output of dvc.yaml, and the file that is it."),
    ] = "",
    made_from: Annotated[
        str, option("made-from", "Files that the steps left beside their outputs, one a line.")
    ] = "",
    config: Config = "promotion.yaml",
    base: Annotated[
        str, option("base", "Branch to change. Default: the first environment's.")
    ] = "",
    date: Annotated[
        str, option("date", "The day in the branch's name. Default: today, in UTC.")
    ] = "",
    reason: Annotated[
        str, option("reason", "What drifted, in some words. Empty: a schedule started it.")
    ] = "",
    url: Annotated[str, option("url", "Address of the training's run.")] = "",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
    token: Annotated[
        str,
        secret(
            "token", "Token that may write contents, issues and pull requests of the repository."
        ),
    ] = "",
    pull_request_token: Annotated[
        str,
        secret("pull-request-token", "Token that opens the pull request instead. Default: token."),
    ] = "",
) -> None:
    """Put the outputs into a clean clone, lock and push them, and propose that."""
    runner.mask(token)
    runner.mask(pull_request_token)
    made = _Made(
        {path: _given("outputs", file) for path, file in training.pairs("outputs", lines(outputs)).items()},
        [_record(file) for file in lines(made_from)],
        remote,
        dvc_remote.settings(lines(remote_config)),
    )  # fmt: skip
    day = retraining.day_of(date, clock.now().date())
    address = retraining.link_of(url)
    with training_repository.cloned(token) as repository:
        training_repository.checkout(repository, base.removeprefix("refs/heads/") or "HEAD")
        file = training_repository.config_of(repository, config)
        promotion = promotion_file.read_promotion(file, repository)
        target = retraining_proposal.target_of(promotion, base)
        place = retraining_proposal.place_of(
            repository, promotion, target, token, pull_request_token
        )
        facts = Retraining(
            promotion.name, target, retraining.branch_of(promotion.folder, day),
            reason=" ".join(reason.split()), url=address, by_engine=True,
        )  # fmt: skip
        told, commit = git.until_won(
            lambda: _attempt(place, facts, made), "the branch is not written"
        )
    values = (told.operation, told.branch, commit, told.issue, told.pull_request)
    runner.write_outputs(dict(zip(OUTPUTS, values, strict=True)))


def _given(name: str, file: str) -> Path:
    if not paths.is_file(Path(file)):
        fix = f"{name}: what the training wrote; folders can't be handed over"
        raise InputError.of(name, file, "no such file", fix=fix)
    return Path(file)


def _record(file: str) -> Record:
    content = paths.read_bounded(_given("made-from", file), document.LARGEST_YAML)
    return training.read(content.decode("utf-8", errors="replace"), file)


def _attempt(place: Place, facts: Retraining, made: _Made) -> tuple[Told, str]:
    """Fetch, put in place, lock, check, push data, commit, push, propose: once. Raises LostRace."""
    repository, folder = place.checkout, place.promotion.folder
    repository.run("reset", "--quiet", "--hard")
    begun = retraining_proposal.begin(place, facts.branch)
    facts = replace(facts, branch=begun.branch)
    stages = _lock(repository, folder, made)
    _commit(repository, folder, stages, facts)
    commit = repository.run("rev-parse", "HEAD").strip()
    base = retraining_branch.base_tip(repository, place.base)
    if not retraining_branch.brings(repository, commit, base):
        runner.notice(f"there is nothing to propose: {place.base} has all that was made")
        return Told("none", pull_request=begun.pull_request), ""
    if not begun.pull_request and (declined := place.declined(begun.branch, commit)):
        return retraining_proposal.decline(place, replace(facts, declined=declined.url)), ""
    pushed = retraining_branch.tip(repository, begun.branch) != commit
    # The same outputs of a later run: it is the first one's work that is proposed.
    facts = replace(facts, url=_run_of(repository, commit) or facts.url)
    if pushed:
        repository.remote("push", "--quiet", "--", "origin", f"HEAD:refs/heads/{begun.branch}")
    told = retraining_proposal.propose(place, facts)
    if pushed and told.operation == "none":
        told = told._replace(operation="updated")
    return told, commit


def _run_of(repository: git.Git, commit: str) -> str:
    """Return the address of the run that a commit of ours names; empty without one."""
    words = ("log", "-1", "--format=%(trailers:key=Training-Run,valueonly,separator=)")
    found = repository.run(*words, commit).strip()
    return found if retraining.is_link(found) else ""


def _lock(repository: git.Git, folder: str, made: _Made) -> list[str]:
    """Put the outputs in place and lock their stages, data in the remote first. Raises RefusedError."""
    top = repository.directory / folder
    training.check_code(made.records, lambda path: _md5(top, path))
    project = Project(project_files.at(repository, None))
    outputs = {posixpath.join(folder, path): file for path, file in made.outputs.items()}
    stages = training.stages_of(project, folder, outputs)
    for path, file in outputs.items():
        target = repository.directory / path
        if not paths.is_inside(target, repository.directory):
            raise InputError.of("outputs", path, "its folder is a link out of the repository")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(file, target)
    data = Data(dvc.project_root(top, repository.directory), top, made.remote, made.settings)
    deps = {repository.directory / path for found in stages.values() for path in found}
    data.pull(sorted(path for path in deps if not path.exists()))
    data.commit(list(stages))
    training.check(Project(project_files.at(repository, None)), folder, stages, made.records)
    data.push(list(stages))
    return list(stages)


def _md5(top: Path, path: str) -> str | None:
    file = top / path
    if not paths.is_file(file) or not paths.is_inside(file, top):
        return None
    return model_files.hashes_of(file, "md5")[0]


def _commit(repository: git.Git, folder: str, stages: list[str], facts: Retraining) -> None:
    """Commit dvc.lock and what Git keeps of the outputs; nothing where that is up to date."""
    project = Project(project_files.at(repository, None))
    found = [posixpath.join(folder, "dvc.lock"), *training.uncached(project, folder, stages)]
    # DVC keeps an output that nothing ignored yet out of Git.
    ignored = repository.run(
        "ls-files",
        "-z",
        "--modified",
        "--others",
        "--exclude-standard",
        "--",
        ":(glob)**/.gitignore",
    )
    repository.run("add", "--", *found, *ignored.split("\0")[:-1])
    if repository.completed("diff", "--cached", "--quiet", check=False).returncode:
        message = "Record what the training pipeline made"
        run = f"\n\nTraining-Run: {facts.url}" if facts.url else ""
        repository.run(*retraining_branch.WE, "commit", "--quiet", "--message", f"{message}{run}")
