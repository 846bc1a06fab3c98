"""The gate: the candidate's numbers beside the champion's, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import champion as champions
from model_gitops.adapters import (
    dvc_remote,
    event_checkout,
    git,
    judging,
    named_model,
    project_files,
    promotion_file,
)
from model_gitops.adapters.champion import Champion
from model_gitops.adapters.gto_registry import Tags
from model_gitops.adapters.metrics_files import MetricsFiles
from model_gitops.core.dvc import artifacts, evaluation
from model_gitops.core.flow import gate, measured, metrics
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.gate import Verdict
from model_gitops.core.flow.measured import Measured
from model_gitops.core.flow.promotion import Promotion, Rule
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import lines

_LONGEST = 60


def run(
    *,
    config: str,
    baseline: str,
    candidate: str,
    environment: str,
    measured_text: str,
    deploy_branch: str,
    token: str,
    ssh_key: str,
    known_hosts: str,
    remote: str,
    remote_config: str,
) -> None:
    """Judge each rule of the gate, show all verdicts, and refuse if one says no."""
    settings = dvc_remote.settings(lines(remote_config))
    context = runner.context()
    repository = git.open_repository(Path.cwd())
    base = event_checkout.base_of(context, repository)
    found = judging.rules(promotion_file.place(config), repository, context, base)
    known = cache(lambda: Tags.known(repository))
    proposed = _commit(repository, found.promotion.model, candidate or "HEAD", "candidate", known)
    promotion = named_model.settled(repository, found, proposed)
    model = promotion.model
    against: Champion | None
    if baseline:
        against = Champion(baseline, _commit(repository, model, baseline, "baseline", known))
    else:
        target = promotion.by_hand(environment) if environment else _of_event(promotion, repository)
        against = _champion(
            promotion, target, repository, deploy_branch, token, ssh_key, known_hosts, known
        )
    judged = MetricsFiles(repository, proposed, model, remote, settings)
    compared = (
        MetricsFiles(repository, against.commit, model, remote, settings)
        if against and against.commit
        else None
    )
    comparison = _comparison(measured_text, judged, compared)

    rules = _settled(promotion.gate, judged, compared)
    verdicts = [
        gate.judge_measured(rule, comparison.differences.get(rule.metric) if comparison else None)
        if rule.measured and against
        else _by_files(rule, judged, compared, must_compare=_must_compare(promotion, against))
        for rule in rules
    ]
    if not verdicts:
        runner.notice(f"{config} has no `gate:`, so every candidate passes")
    refused = [verdict for verdict in verdicts if not verdict.passed]
    before = MetricsFiles(repository, found.commit, model) if found.commit else None
    broken = _contradictions(promotion.gate, judged, [one for one in (before, compared) if one])
    table = gate.verdict_table(verdicts, against.name if against else gate.NOTHING_RUNS)
    passed = not refused and not broken
    said = _words(against, broken, verdicts)
    runner.write_outputs({"passed": "true" if passed else "false", "table": table + said})
    outcome = "refused" if broken else gate.outcome(verdicts)
    runner.write_summary(f"### Gate: {outcome}\n\n{table}{said}")
    if broken:
        raise RefusedError(
            f"the gate can't judge this candidate of {model}: " + "; ".join(broken),
            fix="run `dvc repro`, and commit dvc.lock together with the files that it writes",
        )
    if refused:
        raise _refusal(promotion, config, against, refused)


def _settled(
    rules: Sequence[Rule], judged: MetricsFiles, compared: MetricsFiles | None
) -> list[Rule]:
    """Say of each rule with `measured: when-changed` whether it asks for a measurement here."""
    found = []
    for rule in rules:
        if rule.measured_when_changed and compared:
            sides = [_side(one) for one in (compared, judged)]
            changed = None in sides or not evaluation.comparable(
                rule.file, *[one for one in sides if one]
            )
            found.append(replace(rule, measured=changed))
        else:
            found.append(rule)
    return found


def _side(files: MetricsFiles) -> tuple[artifacts.Artifact, Mapping[str, str]] | None:
    try:
        found = project_files.at(files.git, files.commit)
        return artifacts.find(files.model, found), found
    except InputError:
        return None


def _of_event(promotion: Promotion, repository: git.Git) -> Environment:
    context = runner.context()
    base = context.base_ref
    if not base and not context.event_name:
        return _by_checkout(promotion, repository)
    environment = promotion.of_branch(base)
    if environment is None:
        raise InputError.of(
            "baseline",
            "",
            f"and the event's branch {base!a} is no environment's, so nothing runs to compare with",
            fix=f"give `baseline`, for example {promotion.model}#{promotion.environments[-1].name}",
        )
    return environment


def _by_checkout(promotion: Promotion, repository: git.Git) -> Environment:
    """Return the target where a person judges: the checked out branch's, else the first, which takes changes."""
    branch = repository.run("symbolic-ref", "--quiet", "--short", "HEAD", check=False).strip()
    environment = promotion.of_branch(branch) or promotion.environments[0]
    runner.notice(f"there is no event: this is judged as a change into {environment.branch}")
    return environment


def _champion(
    promotion: Promotion,
    environment: Environment,
    repository: git.Git,
    deploy_branch: str,
    token: str,
    ssh_key: str,
    known_hosts: str,
    known: Callable[[], Tags],
) -> Champion | None:
    return champions.find(
        promotion,
        environment,
        repository,
        token=token,
        ssh_key=ssh_key,
        deploy_branch=deploy_branch,
        known_hosts=known_hosts,
        registry=lambda: known().registry,
    )


def _must_compare(promotion: Promotion, against: Champion | None) -> bool:
    return against is not None and not promotion.allow_new_metrics


def _by_files(
    rule: Rule, judged: MetricsFiles, compared: MetricsFiles | None, *, must_compare: bool
) -> Verdict:
    values = judged.values(rule.file)
    keys = [key for key, value in values.items() if metrics.number(value) is not None]
    if rule.key in values and rule.key not in keys:  # NaN, null, a text
        value = values[rule.key]
        shown = repr(value) if isinstance(value, str) else metrics.format_number(value)
        keys.append(f"{rule.key} = {shown[:_LONGEST]}")
    before = compared.values(rule.file).get(rule.key) if compared else None
    return gate.judge(
        rule,
        metrics.number(before),
        metrics.number(values.get(rule.key)),
        must_compare=must_compare,
        keys=keys,
    )


def _contradictions(
    rules: Sequence[Rule], judged: MetricsFiles, before: Sequence[MetricsFiles]
) -> list[str]:
    """Return where the stage that wrote the metrics disagrees with its lock, or with the commit."""
    found: list[str] = []
    for file in dict.fromkeys(rule.file for rule in rules):
        writer = judged.writer(file)
        if writer is None:
            if any(one.writer(file) for one in before):
                found.append(f"no stage in dvc.lock writes {file} any more, as one did before")
            elif judged.values(file):
                runner.notice(
                    f"no stage of dvc.yaml writes {file}: nobody can say what it measured"
                )
        else:
            found += writer.problems
    return list(dict.fromkeys(found))


def _comparison(text: str, judged: MetricsFiles, compared: MetricsFiles | None) -> Measured | None:
    """Read what compare-models measured. Raises RefusedError where that was of other models."""
    if not text.strip():
        return None
    found = measured.parse(text)
    for name, value, files in (
        ("candidate", found.candidate_hash, judged),
        ("champion", found.champion_hash, compared),
    ):
        known = _model_hash(files) if files else ""
        if value != known:
            raise RefusedError(
                f"compare-models measured another {name}: its model has the hash {value or 'of none'},"
                f" and the {name} of this gate {known or 'has none'}",
                fix="run compare-models again, with the same `champion` and `candidate` as the gate",
            )
    return found


def _model_hash(files: MetricsFiles) -> str:
    try:
        return artifacts.find(files.model, project_files.at(files.git, files.commit)).hash
    except InputError:
        return ""


def _words(against: Champion | None, broken: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """Return what the table can't say, as paragraphs."""
    said = []
    if against is None:
        said.append("There is nothing to compare with yet: only the rules' own bounds count.")
        if any(not one.judged for one in verdicts):
            said.append("`minimum` or `maximum` in a rule judges a first model too.")
    elif against.problem:
        said.append(f"There is nothing to compare with: {against.problem}.")
    said += [f"❌ {problem}" for problem in broken]
    return "".join(f"\n{one}\n" for one in said)


def _refusal(
    promotion: Promotion, config: str, against: Champion | None, refused: Sequence[Verdict]
) -> RefusedError:
    reasons = "; ".join(f"{verdict.rule.metric}: {verdict.reason}" for verdict in refused)
    if any(verdict.rule.measured and verdict.measured is None for verdict in refused):
        fix = "run compare-models before, and give its output `measured` to this step"
    elif any(verdict.candidate is None for verdict in refused):
        fix = (
            "commit the metrics file (`cache: false` in dvc.yaml keeps it in Git), or correct "
            f"`gate:` in {config}"
        )
    elif against and any(verdict.champion is None for verdict in refused):
        reasons += f" ({against.problem})" if against.problem else ""
        fix = f"give `baseline`, or let new metrics pass once: `new-metrics: allow` in {config}"
    else:
        fix = f"improve the model, or change `gate:` in {config} in a pull request of its own"
    return RefusedError(f"the gate refuses this candidate of {promotion.model}: {reasons}", fix=fix)


def _commit(
    repository: git.Git, model: str, named: str, input_name: str, known: Callable[[], Tags]
) -> str:
    commit = repository.commit_of(named) if named == "HEAD" else known().commit_of(model, named)
    if commit is None:
        raise InputError.of(
            input_name,
            named,
            f"it is no version or stage of {model}, and no Git revision of this checkout or its remote",
            fix="give a version (v1.2.3), a stage (name#stage), or a branch, tag or commit that exists",
        )
    return commit
