"""What a plan tells a person: what was found, and what to type for what is left open."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from model_gitops.core.adopt import workflows
from model_gitops.core.adopt.branches import Environment
from model_gitops.core.adopt.inventory import Inventory, Remote
from model_gitops.core.adopt.measures import Measures
from model_gitops.core.adopt.models import Model
from model_gitops.core.adopt.planned import Change, Made, Open
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.scaffold import record

# Model, folder of its DVC project, and the remote → whether it is there; None where that can't be asked.
IsPushed = Callable[[Artifact, str, Remote], bool | None]


def missing_branches(there: Inventory, found: Sequence[Environment]) -> list[Open]:
    """Return how to create the branches that are not there."""
    missing = [one.branch for one in found if not one.exists]
    first = found[0].branch
    start = first if found[0].exists else (there.default_branch or "HEAD")
    if not missing:
        return []
    pushed = " ".join(f"{start}:refs/heads/{one}" for one in missing)
    return [
        Open(
            f"there is no branch {', '.join(missing)} yet; the push that creates one deploys nothing",
            f"git push origin {pushed}",
        )
    ]


def tell_models(there: Inventory, taken: Sequence[Model], made: Made) -> None:
    """Tell which models were found, and which versions of them GTO knows."""
    for one in taken:
        how = "an output, new under `artifacts:`" if one.is_new else "an artifact"
        made.found.append(f"model {one.gto_name}: {one.path}, {how} of {one.pipeline}")
    if versions := [one for one in there.tags if re.search(r"@v\d", one)]:
        made.found.append(f"GTO tags: {len(versions)} versions, the last {versions[-1]}")


def tell_gate(judged: Measures, path: str, made: Made) -> None:
    """Tell what is wrong with a gate of these metrics; nothing where all is right."""
    best = next((one for one in judged.found if one.better), None)
    if best is None:
        what = (
            "no name of a metric says which direction is better, so nothing is gated"
            if judged.found
            else "no metric was found, so nothing is gated"
        )
        file = next(iter(judged.missing), "FILE")
        fix = f"in {path}: gate: [{{metric: {file}:KEY, better: higher}}]"
        if judged.missing:
            what = "the metrics are not here, so nothing is gated"
            fix = f"dvc pull {file}, then remove {path} and run this again; or {fix}"
        made.open.append(Open(what, fix))
    elif best.is_of_training:
        made.open.append(
            Open(f"the gate's metric {best.file}:{best.key} was measured on the training data; no other was found")
        )  # fmt: skip


def shown(judged: Measures) -> str:
    """Return the metrics in words, those with a known direction first."""
    known = [f"{one.file}:{one.key} ({one.better} is better)" for one in judged.found if one.better]
    rest = [f"{one.file}:{one.key}" for one in judged.found if not one.better]
    shown = [*known, *rest]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    return ", ".join(shown[:6]) + more


def remotes(
    there: Inventory, tracked: Mapping[Model, Artifact | None], is_pushed: IsPushed, made: Made
) -> None:
    """Tell of the DVC remotes, and which model is not in its own."""
    for project in dict.fromkeys(there.project_of(one.path) for one in tracked):
        remote = there.remotes.get(project)
        where = f" of {project}" if project else ""
        if remote is None:
            made.open.append(
                Open(f"DVC{where} has no default remote: other machines can't pull the model",
                     "dvc remote add --default storage s3://BUCKET/PATH && dvc push")
            )  # fmt: skip
            continue
        extra = f", which needs dvc[{remote.extra}]" if remote.extra else ""
        made.found.append(f"DVC remote {remote.name}{where}: {remote.url}{extra}")
        if remote.extra:
            what = f"the workflows need credentials for the DVC remote {remote.name}"
            made.open.append(
                Open(what, "docs/how-to/remotes.md of model-gitops: under `env:` of three jobs")
            )
        for model, artifact in tracked.items():
            own = artifact is not None and there.project_of(model.path) == project
            if own and artifact and is_pushed(artifact, project, remote) is False:
                what = f"the DVC remote {remote.name} does not have {model.path}"
                made.open.append(Open(what, f"dvc push {model.path}"))


def one_model(kept: Sequence[Change], *, has_record: bool) -> list[Open]:
    """Return what to do where the workflows that are there run one model, and there are several."""
    said = "actions/changed-models@"
    old = [one.path for one in kept if said in one.after and said not in (one.before or "")]
    if not old:
        return []
    what = "the workflows that are there are those of one model: they run no other"
    files = " ".join(map(shlex.quote, [*old, *([record.FILE] if has_record else [])]))
    return [Open(what, f"git rm --quiet {files} && model-gitops adopt --yes")]


def owners(there: Inventory, folders: Sequence[str] = ("",)) -> list[Open]:
    """Return what is missing where nobody is named who reviews changes of the rules."""
    if any(one in there.in_git for one in ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS")):
        return []
    what = "nobody is named who must review a change of the rules, the workflows and the Dockerfile"
    team = f"@{there.server[1] or 'OWNER'}/TEAM"
    judging = ("promotion.yaml", "dvc.yaml", "Dockerfile")
    own = [posixpath.join("/", folder, one) for folder in folders for one in judging]
    lines = "; ".join(f"{one} {team}" for one in ("/.github/", *own))
    return [Open(what, f"in .github/CODEOWNERS, a line each: {lines}")]


def overlapping(there: Inventory, ours: Sequence[str]) -> list[Open]:
    """Return what workflows that are there do, which ours do too."""
    return [Open(one) for one in workflows.told(there.in_git, there.read, ours)]
