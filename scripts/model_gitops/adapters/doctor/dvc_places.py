"""The facts of DVC: metrics of commits, the project's remotes, and what they have."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import dvc, dvc_check, project_files
from model_gitops.adapters.doctor.model_repository import Checkout
from model_gitops.adapters.metrics_files import MetricsFiles
from model_gitops.core.doctor import dvc_project
from model_gitops.core.doctor.dvc_project import Measured
from model_gitops.core.doctor.finding import Finding
from model_gitops.core.dvc import artifacts, stages
from model_gitops.core.dvc.files import Project
from model_gitops.core.flow import metrics
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import ExternalError, InputError, RefusedError


@dataclass(frozen=True)
class Remote:
    """The remote that was asked for, and options of it; empty for the project's own."""

    name: str = ""
    settings: Mapping[str, str] | None = None


def measured(
    promotion: Promotion, checkout: Checkout, commit: str, where: str, remote: Remote
) -> Iterator[Measured]:
    """Yield what one commit has of each metric of the gate."""
    files = MetricsFiles(checkout.git, commit, promotion.model, remote.name, remote.settings or {})
    for rule in promotion.gate:
        if rule.measured:
            continue  # compare-models measures it anew: no file has it
        try:
            problem, fix = _unpushed(files, rule.file, checkout, remote)
            if problem:
                yield Measured(rule.metric, where, False, problem, fix)
                continue
            is_there = metrics.is_number(files.values(rule.file).get(rule.key))
        except InputError as error:
            yield Measured(rule.metric, where, False, error.message, error.fix)
        except ExternalError as error:
            missing = "does not have" in error.message
            yield Measured(rule.metric, where, False, error.message, error.fix, unasked=not missing)
        else:
            yield Measured(rule.metric, where, is_there)


def _unpushed(
    files: MetricsFiles, file: str, checkout: Checkout, remote: Remote
) -> tuple[str, str]:
    """Return why only this machine has a file that DVC tracks, and what mends it; empty otherwise."""
    if project_files.read_file(checkout.git, file, files.commit) is not None:
        return "", ""
    writer = files.writer(file)
    if writer is None or not writer.file.md5:
        return "", ""
    kept, top = writer.file, checkout.top
    if not kept.cached:
        fix = f"dvc repro && git add --force {shlex.quote(file)} && git commit -m 'Add the metrics'"
        return f"{file} is not in Git, and DVC keeps no copy of it (`cache: false`)", fix
    root = dvc.project_root((top / kept.path).parent, top)
    known = project_files.at(checkout.git, files.commit)
    try:
        dvc_check.check(known, top, root, remote.name, remote.settings or {}, None, only=kept.path)
    except RefusedError as error:
        return error.message, error.fix
    return "", ""


def remote(promotion: Promotion, checkout: Checkout) -> Finding:
    """Judge the project's default remote."""
    from dvc.config import Config

    root = dvc.project_root(checkout.top / promotion.folder, checkout.top)
    config = Config(str(root / ".dvc"))
    default = str(config["core"].get("remote") or "")
    return dvc_project.remote(default, sorted(config["remote"]), needed=_needs_remote(checkout))


def _needs_remote(checkout: Checkout) -> bool:
    """Whether DVC keeps anything here that others must be able to pull, or will."""
    if any(stages.pushed(Project(checkout.now))):
        return True
    return any("dvc.yaml" in path for path in checkout.now)


def model_pushed(promotion: Promotion, checkout: Checkout, wanted: Remote) -> Finding:
    """Ask the remote for the model of HEAD."""
    check = "model-pushed"
    if checkout.at_head is None or not checkout.is_trained(promotion):
        return Finding(check, None, "nothing was trained yet", dvc_project.TRAIN)
    model = artifacts.find(promotion.model, checkout.at_head)
    if not model.cached:
        return Finding(check, True, f"Git keeps {model.path} itself")
    if model.imported:
        return Finding(check, None, f"{model.path} is imported: its own repository has it")
    return _asked(check, checkout, promotion, wanted, only=model.path)


def data_pushed(promotion: Promotion, checkout: Checkout, wanted: Remote) -> Finding:
    """Ask the remotes for all else that DVC's files name at HEAD."""
    check = "data-pushed"
    if checkout.at_head is None or artifacts.is_empty(checkout.at_head):
        return Finding(check, None, "DVC tracks nothing yet", dvc_project.TRAIN)
    try:
        model = artifacts.find(promotion.model, checkout.at_head).path
    except InputError:
        model = ""
    return _asked(check, checkout, promotion, wanted, but=model)


def _asked(
    check: str,
    checkout: Checkout,
    promotion: Promotion,
    wanted: Remote,
    *,
    only: str = "",
    but: str = "",
) -> Finding:
    files: Mapping[str, str] = checkout.at_head or {}
    folder = Path(only).parent if only else Path(promotion.folder)
    root = dvc.project_root(checkout.top / folder, checkout.top)
    try:
        count = dvc_check.check(
            files, checkout.top, root, wanted.name, wanted.settings or {}, None, only=only, but=but,
            inside=bool(only),
        )  # fmt: skip
    except RefusedError as error:
        return Finding(check, False, error.message, error.fix)
    except InputError as error:
        # No remote, or none of that name.
        return Finding(check, None, error.message, "see the check dvc-remote")
    if count:
        told = f"{count} outputs" if count > 1 else only or "1 output"
        return Finding(check, True, f"the remote has {told}")
    if only:
        return Finding(
            check,
            None,
            f"nobody can say by its hash whether a remote has {only}",
            f"dvc pull {only}",
        )
    return Finding(check, True, "there is nothing else to push")
