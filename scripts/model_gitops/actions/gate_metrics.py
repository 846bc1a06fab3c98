"""Refuse a candidate that is worse than the incumbent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, project_files, promotion_file
from model_gitops.core.flow import gate, metrics
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import revision, tags
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import Config, option

OUTPUTS = ("passed", "table")


def command(
    config: Config = "promotion.yaml",
    baseline: Annotated[
        str,
        option(
            "baseline",
            "What to compare with: a version, name#stage or Git revision. Default: the incumbent.",
        ),
    ] = "",
    candidate: Annotated[
        str, option("candidate", "What to judge, likewise. Default: the checkout.")
    ] = "",
) -> None:
    """Judge each rule of the gate, show all verdicts, and refuse if one says no."""
    promotion = promotion_file.read_promotion(Path(config))
    repository = git.open_repository(Path.cwd())
    repository.refresh_tags()
    registry = tags.Registry.read(repository.tags())

    against = _baseline(repository, registry, promotion, baseline)
    proposed = (
        _commit(repository, registry, promotion.model, candidate, "candidate")
        if candidate
        else None
    )
    files: dict[tuple[str, str | None], dict[str, object]] = {}

    def value(file: str, key: str, commit: str | None) -> float | None:
        if (file, commit) not in files:
            text = project_files.read_file(repository, file, commit)
            files[file, commit] = metrics.load(text, source=file) if text is not None else {}
        return metrics.number(files[file, commit].get(key))

    verdicts = [
        gate.judge(
            rule,
            value(rule.file, rule.key, against[1]) if against else None,
            value(rule.file, rule.key, proposed),
        )
        for rule in promotion.gate
    ]
    if not verdicts:
        runner.notice(f"{config} has no `gate:`, so every candidate passes")
    refused = [verdict for verdict in verdicts if not verdict.passed]
    table = gate.verdict_table(verdicts, against[0] if against else "no incumbent")
    runner.write_outputs({"passed": "false" if refused else "true", "table": table})
    runner.write_summary(f"### Gate: {'refused' if refused else 'passed'}\n\n{table}")
    if refused:
        reasons = "; ".join(f"{verdict.rule.metric}: {verdict.reason}" for verdict in refused)
        missing = any(verdict.candidate is None for verdict in refused)
        raise RefusedError(
            f"the gate refuses this candidate of {promotion.model}: {reasons}",
            fix="commit the metrics file (`cache: false` in dvc.yaml keeps it in Git), or correct "
            f"`gate:` in {config}"
            if missing
            else f"improve the model, or change `gate:` in {config} in a pull request of its own",
        )


def _baseline(
    repository: git.Git, registry: tags.Registry, promotion: Promotion, baseline: str
) -> tuple[str, str] | None:
    """Return the baseline's name and commit, or None where the environment runs nothing yet."""
    if baseline:
        return baseline, _commit(repository, registry, promotion.model, baseline, "baseline")
    base = runner.context().base_ref
    environment = promotion.of_branch(base)
    if environment is None:
        raise InputError.of(
            "baseline",
            baseline,
            f"and the event's branch {base!r} is no environment's, so there is no incumbent",
            fix=f"give `baseline`, for example {promotion.model}#{promotion.environments[-1].name}",
        )
    incumbent = registry.stage(promotion.model, environment.name)
    return (f"{environment.name} {incumbent.version}", incumbent.commit) if incumbent else None


def _commit(
    repository: git.Git, registry: tags.Registry, model: str, named: str, input_name: str
) -> str:
    found = revision.find(registry, model, named)
    commit = repository.find_commit(found.commit if found else named)
    if commit is None:
        raise InputError.of(
            input_name,
            named,
            f"it is no version or stage of {model}, and no Git revision of this checkout or its remote",
            fix="give a version (v1.2.3), a stage (name#stage), or a branch, tag or commit that exists",
        )
    return commit
