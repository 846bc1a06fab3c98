"""Measure champion and candidate on the same data, by the base's own code."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import champion as champions
from model_gitops.adapters import (
    dvc_remote,
    evaluation,
    event_checkout,
    git,
    judging,
    project_commands,
    project_files,
    promotion_file,
)
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc import evaluation as plans
from model_gitops.core.flow import commands, comparison, measured, metrics, scores
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion, Rule
from model_gitops.core.markdown import code
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    DvcRemote,
    DvcRemoteConfig,
    KnownHosts,
    lines,
    option,
)

OUTPUTS = ("measured", "table")

# Where the resampling begins: the same models and data always give the same intervals.
_SEED = 1993


@dataclass(frozen=True)
class _Model:
    commit: str
    artifact: artifacts.Artifact


@dataclass(frozen=True)
class _Deploy:
    branch: str
    token: str
    ssh_key: str
    known_hosts: str


def command(
    config: Config = "promotion.yaml",
    base_ref: Annotated[
        str,
        option("base-ref", "Branch whose code and data measure. Default: from the event."),
    ] = "",
    champion: Annotated[
        str,
        option(
            "champion",
            "What to compare with: a version, name#stage or Git revision. Default: what the target environment runs.",
        ),
    ] = "",
    candidate: Annotated[
        str, option("candidate", "What to measure, likewise. Default: the commit checked out.")
    ] = "",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
    setup: Annotated[
        str,
        option(
            "setup",
            "Commands that set the base's project up, one a line and without a shell: `make env`. `env`:"
            " the project's own, as run-command has it.",
        ),
    ] = "",
    timeout: Annotated[
        str,
        option("timeout", "Minutes that each command of the set-up and each evaluation may take."),
    ] = "30",
) -> None:
    """Run the base's evaluation once for each model, and put out the differences."""
    minutes, set_up = _minutes(timeout), _commands(setup)
    source = evaluation.Remote(remote, dvc_remote.settings(lines(remote_config)))
    repository = git.open_repository(Path.cwd())
    context = runner.context()
    base = base_ref.removeprefix("refs/heads/") or event_checkout.base_of(context, repository)
    if not base:
        raise InputError.of(
            "base-ref", base_ref, "the event has no branch", fix="give `base-ref`, for example main"
        )
    is_change = bool(base_ref) or event_checkout.is_change(context, repository, base)
    found = judging.rules(
        promotion_file.place(config), repository, context, base, is_change=is_change
    )
    promotion = found.promotion
    base_commit = found.commit if is_change else repository.commit_of("HEAD")
    if not base_commit:
        _nothing(f"{base} has no rules and no evaluation yet, so there is nothing to measure by")
        return
    environment = promotion.of_branch(base)
    if environment is None and not champion:
        names = ", ".join(one.branch for one in promotion.environments)
        raise InputError.of(
            "base-ref",
            base,
            f"it is no environment's branch: these are {names}",
            fix="base-ref: main",
        )

    proposed = _named(repository, promotion, candidate or "HEAD", "candidate")
    running: _Model | None = None
    if champion:
        running = _named(repository, promotion, champion, "champion")
    elif environment:
        deploy = _Deploy(deploy_branch, token, ssh_key, known_hosts)
        running = _running(repository, promotion, environment, deploy)
    if running is None:
        name = environment.name if environment else base
        _nothing(f"{name} runs nothing yet, so there is nothing to compare {promotion.model} with")
        return
    if _can_compare_files(repository, promotion, running, proposed):
        _nothing(
            f"the numbers in the two commits of {promotion.model} come from the same test data and the same"
            " evaluation, so they can be compared as they are"
        )
        return
    result, notes = _measure(
        repository, promotion, base_commit, running, proposed,
        config=promotion_file.place(config), source=source, setup=set_up, minutes=minutes,
    )  # fmt: skip
    table = comparison.table(result, promotion.gate, notes)
    runner.write_outputs({"measured": measured.dump(result), "table": table})
    runner.write_summary(
        f"### {promotion.model}: champion and candidate on the same data\n\n"
        f"Measured by {code(base_commit[:12])} of {code(base)}, stage {code(result.stage)}: the champion of"
        f" {code(running.commit[:12])}, the candidate of {code(proposed.commit[:12])}.\n\n{table}"
    )


def _measure(
    repository: git.Git,
    promotion: Promotion,
    base_commit: str,
    champion: _Model,
    candidate: _Model,
    *,
    config: Path,
    source: evaluation.Remote,
    setup: Sequence[Sequence[str]],
    minutes: int,
) -> tuple[measured.Measured, list[str]]:
    """Evaluate both models in a work tree of the base; return the differences, and notes on them."""
    files = project_files.at(repository, base_commit)
    place = artifacts.find(promotion.model, files)
    rules, notes = _rules(promotion, place, files)
    wanted = list(dict.fromkeys(rule.file for rule in rules))
    predictions = promotion.compare.predictions
    plan_of = [*wanted, *([predictions] if predictions else [])]
    plan = plans.plan(place, plan_of, files)
    project = _folder(config, repository)
    both = (("champion", champion), ("candidate", candidate))
    with evaluation.opened(repository, base_commit, project, minutes) as tree:
        models = {}
        for who, one in both:
            models[who] = tree.pull(one.artifact, place.path, who, source)
            evaluation.refuse_code(
                models[who], place.path, who, allowed=promotion.compare.allow_pickle
            )
        tree.pull_data(plan, source)
        if promotion.compare.test_data:
            theirs = _plan_of(repository, candidate, plan_of)
            notes = [
                *notes, *tree.take_grown(plan, theirs, promotion.compare.test_data, source)
            ]  # fmt: skip
        tree.set_up([_own(one, tree, promotion) for one in setup])
        runs: dict[str, comparison.Run] = {}
        for who, one in both:
            if runs and one.artifact.hash == champion.artifact.hash:
                runner.notice("champion and candidate are the same model: it is measured once")
                runs[who] = runs["champion"]
                continue
            tree.run(plan, models[who], place.path, who)
            runs[who] = _read(tree, rules, wanted, predictions)
    differences, more = comparison.differences(
        rules, runs["champion"], runs["candidate"], promotion.compare, _draws
    )
    result = measured.Measured(
        champion_hash=champion.artifact.hash,
        candidate_hash=candidate.artifact.hash,
        champion_commit=champion.commit,
        candidate_commit=candidate.commit,
        evaluation_commit=base_commit,
        stage=plan.name,
        differences=differences,
    )
    return result, [*notes, *more]


def _own(words: Sequence[str], tree: evaluation.Evaluation, promotion: Promotion) -> Sequence[str]:
    """Return a command of the set-up; `env` is the base's own, by its promotion.yaml or its Makefile."""
    if list(words) != ["env"]:
        return words
    makefile = None if "env" in promotion.commands else project_commands.makefile(tree.project)
    planned = commands.plan("env", promotion.commands, makefile)
    return ["bash", "-c", planned.line] if planned.line else ["true"]


def _can_compare_files(
    repository: git.Git, promotion: Promotion, champion: _Model, candidate: _Model
) -> bool:
    """Whether the gate asks for a measurement only where something changed, and nothing did."""
    asking = [rule for rule in promotion.gate if rule.measured_when_changed]
    if not asking or any(rule.measured for rule in promotion.gate):
        return False
    sides = [
        (one.artifact, project_files.at(repository, one.commit)) for one in (champion, candidate)
    ]
    return all(plans.comparable(rule.file, sides[0], sides[1]) for rule in asking)


def _plan_of(repository: git.Git, model: _Model, wanted: Sequence[str]) -> plans.Plan:
    """Return the evaluation by the model's own commit. Raises InputError."""
    return plans.plan(model.artifact, wanted, project_files.at(repository, model.commit))


def _rules(
    promotion: Promotion, place: artifacts.Artifact, files: project_files.ProjectFiles
) -> tuple[list[Rule], list[str]]:
    """Return the gate's rules that can be measured, and why others can't. Raises InputError."""
    if not promotion.gate:
        raise InputError(
            "promotion.yaml of the base has no `gate:`, so no metric is named that could be measured",
            fix="gate: [{metric: eval/metrics.json:r2, better: higher}]",
        )
    rules, notes = [], []
    for rule in promotion.gate:
        if rule.measured or rule.measured_when_changed or plans.measurable(place, rule.file, files):
            rules.append(rule)
        else:
            notes.append(f"{rule.metric} is not measured: no stage that reads the model writes it")
    if not rules:
        raise InputError(
            f"no metric of the gate can be measured: {'; '.join(notes)}",
            fix="make the evaluation a stage of its own in dvc.yaml, the model under its `deps:`",
        )
    return rules, notes


def _read(
    tree: evaluation.Evaluation, rules: Sequence[Rule], wanted: Sequence[str], predictions: str
) -> comparison.Run:
    """Read what an evaluation wrote. Raises InputError for metrics that can't be read."""
    values = {file: metrics.load(tree.read(file), source=file) for file in wanted}
    return comparison.Run(
        {rule.metric: metrics.number(values[rule.file].get(rule.key)) for rule in rules},
        tree.read(predictions, evaluation.LARGEST_PREDICTIONS) if predictions else None,
    )


def _folder(config: Path, repository: git.Git) -> str:
    """Return the folder of promotion.yaml, from the top; the top for one outside of the repository."""
    top = repository.directory.resolve()
    folder = config.resolve().parent
    return folder.relative_to(top).as_posix() if folder.is_relative_to(top) else "."


def _draws() -> scores.Draw:
    source = random.Random(_SEED)  # noqa: S311 - statistics
    return lambda count, draws: source.choices(range(count), k=draws)


def _running(
    repository: git.Git, promotion: Promotion, environment: Environment, place: _Deploy
) -> _Model | None:
    """Return what the environment runs; None where it runs nothing yet. Raises RefusedError."""
    found = champions.find(
        promotion,
        environment,
        repository,
        token=place.token,
        ssh_key=place.ssh_key,
        deploy_branch=place.branch,
        known_hosts=place.known_hosts,
        registry=lambda: Tags.known(repository).registry,
    )
    if found is None:
        return None
    if not found.commit:
        raise RefusedError(
            f"what {environment.name} runs can't be measured: {found.problem}",
            fix="champion: the commit of the model that runs",
        )
    model = _at(repository, promotion, found.commit)
    if found.model_hash and found.model_hash != model.artifact.hash:
        raise RefusedError(
            f"{environment.name} runs the model with the hash {found.model_hash}, and the commit"
            f" {found.commit} that it comes from has {model.artifact.hash}",
            fix="deploy again, or champion: the commit of the model that runs",
        )
    return model


def _named(repository: git.Git, promotion: Promotion, name: str, input_name: str) -> _Model:
    """Return the model at a version, stage or revision. Raises InputError."""
    commit = repository.commit_of("HEAD") if name == "HEAD" else None
    if commit is None:
        commit = Tags.known(repository).commit_of(promotion.model, name)
    if commit is None:
        raise InputError.of(
            input_name,
            name,
            f"it is no version or stage of {promotion.model}, and no Git revision of this checkout or"
            " its remote",
            fix="give a version (v1.2.3), a stage (name#stage), or a branch, tag or commit that exists",
        )
    return _at(repository, promotion, commit)


def _at(repository: git.Git, promotion: Promotion, commit: str) -> _Model:
    return _Model(commit, artifacts.find(promotion.model, project_files.at(repository, commit)))


def _nothing(why: str) -> None:
    """Say that there is nothing to compare, which is no error."""
    runner.notice(why)
    runner.write_outputs({"measured": "", "table": ""})
    runner.write_summary(f"### Nothing to compare\n\n{why}.\n")


def _commands(text: str) -> list[list[str]]:
    """Return the words of each command of the set-up. Raises InputError."""
    found = []
    for line in lines(text):
        try:
            words = shlex.split(line)
        except ValueError as error:
            problem = f"it is no command: {error}"
            raise InputError.of("setup", line, problem, fix="setup: make env") from error
        if not words or not words[0]:
            raise InputError.of("setup", line, "it names no program", fix="setup: make env")
        found.append(words)
    return found


def _minutes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 360:
        raise InputError.of("timeout", text, "it is no number from 1 to 360", fix="timeout: 30")
    return int(text)
