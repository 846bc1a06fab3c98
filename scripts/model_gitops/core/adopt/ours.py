"""The template's workflows, for a repository that is there: its branches, its folder, its own files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from model_gitops.core import workflow
from model_gitops.core.adopt import models, notes
from model_gitops.core.adopt.inventory import Inventory
from model_gitops.core.adopt.plan import NAME
from model_gitops.core.adopt.planned import Change, Plan
from model_gitops.core.scaffold import record
from model_gitops.core.scaffold.answers import Answers, python_package
from model_gitops.core.scaffold.render import File, render

# What of the template a repository that is there gets: the workflows, and the script of one.
_TAKEN = (".github/workflows/", ".github/scripts/")
# Of who has the template's components/: docs/components.md.
_LEFT_OUT = (".github/workflows/components.yml", ".github/workflows/kubeflow.yml")
# The actions that read promotion.yaml. Held to action.yml by a test.
WITH_CONFIG = (
    "build-push-image", "check-promotion", "cml-report", "compare-models", "gate-metrics", "run-command",
    "status", "trace-model",
)  # fmt: skip
# The input of a workflow that is started for one of several models.
_DEFAULT = re.compile(
    r"(?m)^((?P<indent> +)config:\n(?:(?P=indent)  .*\n)*?(?P=indent)  default: )promotion\.yaml$"
)
_STEP = re.compile(
    rf"^(?P<indent> *)(?P<item>- )?uses: model-gitops/model-gitops/actions/(?:{'|'.join(WITH_CONFIG)})@\S+.*\n"
    r"(?P<with>(?: *#.*\n)* *with:\n)?",
    re.MULTILINE,
)

_PROTECT = re.compile(r"(?m)^( +)MODEL_GITOPS_TOKEN: .*PROTECT_TOKEN.*\n")


def folders(plan: Plan, there: Inventory) -> list[str]:
    """Return the folders of all models: the plan's, and those that were adopted before."""
    known = sorted(one for one in there.in_git if posixpath.basename(one) == NAME)
    own = [one.folder for one in plan.models]
    return list(dict.fromkeys([*own, *map(posixpath.dirname, known)]))


def template(of: Sequence[str]) -> str:
    """Return the template whose workflows serve the models in these folders."""
    return "model" if len(of) == 1 else "several-models"


def added(plan: Plan, there: Inventory, files: Mapping[str, File], version: str) -> Plan:
    """Return the plan with the workflows of a template's `files`, and the record for `update`."""
    said, of = answers(there, plan), folders(plan, there)
    changes, kept, places = rendered(files, said, there, of)
    if there.read(record.FILE) is None:
        own = tuple(sorted(source for place, source in places.items() if place == source))
        text = record.Record(template(of), version, said, own).text()
        changes.append(Change(record.FILE, None, text))
    left = [
        *notes.one_model(kept, has_record=there.read(record.FILE) is not None),
        *notes.owners(there, of),
        *notes.overlapping(there, list(places)),
    ]
    return replace(
        plan, changes=(*plan.changes, *changes), kept=tuple(kept), open=(*plan.open, *left)
    )


def answers(there: Inventory, plan: Plan) -> Answers:
    """Return what the template is rendered with, here and by `update` later."""
    host, owner, name = there.server
    plain = models.slug(plan.models[0].name) or "model"
    repository = name or there.name
    return Answers(
        name=plain,
        package=python_package(plain),
        owner=owner or ["owner", *plan.image.split("/")][-2],
        host=host or "github.com",
        image=plan.image,
        repository=f"{owner or 'owner'}/{repository}",
        deploy_repository=plan.deploy_repository,
        branches=tuple(one.branch for one in plan.environments),
        environments=tuple(one.name for one in plan.environments),
    )


def taken(files: Mapping[str, File]) -> dict[str, File]:
    """Return those of the template's files that are written."""
    return {
        path: file
        for path, file in files.items()
        if path.startswith(_TAKEN) and path not in _LEFT_OUT
    }


def rendered(
    files: Mapping[str, File], said: Answers, there: Inventory, of: Sequence[str]
) -> tuple[list[Change], list[Change], dict[str, str]]:
    """Return the changes, those that are not made as a person's file is there, and path → template's path.

    `of` are the folders of the models' promotion.yaml. A workflow of ours that is there is a person's by
    now: it stays. One that is none of ours keeps its name, and ours gets another one.
    """
    changes, kept, places = list[Change](), list[Change](), dict[str, str]()
    for path, file in render(taken(files), said).items():
        place, before = _place(path, there)
        text = with_config(file.content.decode(), of)
        # A workflow that calls another one names its folder.
        text = text.replace("./.github/workflows/", f"./{posixpath.dirname(place)}/")
        if before is not None and before != text:
            kept.append(Change(place, before, text))
        elif before is None:
            changes.append(Change(place, None, text, file.executable))
        places[place] = path
    return changes, kept, places


def with_config(text: str, of: Sequence[str]) -> str:
    """Return a workflow whose steps read the promotion.yaml of the one folder; at the top none need be told."""
    # What runs for another run has no checkout of the project, and needs none.
    if len(of) != 1 or not of[0] or "workflow_run:" in text:
        return text

    def added(step: re.Match[str]) -> str:
        indent = step["indent"] + ("  " if step["item"] else "")
        line = f"{indent}  config: {of[0]}\n"
        block = re.match(rf"(?:{indent}  .*\n)*", step.string[step.end() :])
        if step["with"] and block and re.search(r"(?m)^ +config: ", block[0]):
            return step[0]  # told by the workflow's own input, whose default is set
        return f"{step[0]}{line}" if step["with"] else f"{step[0]}{indent}with:\n{line}"

    # protect-check.yml is told by the environment: it runs a command, and no action.
    text = _PROTECT.sub(rf"\g<0>\g<1>MODEL_GITOPS_CONFIG: {of[0]}\n", text)
    text = _DEFAULT.sub(rf"\g<1>{of[0]}", text)
    return _STEP.sub(added, text)


def _place(path: str, there: Inventory) -> tuple[str, str | None]:
    """Return where a file goes, and what is there: where the server looks, and over nothing of a person's."""
    folder = next(
        (one for one in (".gitea/workflows/", ".forgejo/workflows/")
         if any(path.startswith(one) for path in there.in_git)),
        "",
    )  # fmt: skip
    if folder and workflow.is_workflow(path):
        # Gitea and Forgejo look into the first of these folders alone.
        path = folder + posixpath.basename(path)
    before = there.read(path)
    if before is None or not workflow.is_workflow(path) or "model-gitops/" in before:
        return path, before
    other = posixpath.join(posixpath.dirname(path), f"model-{posixpath.basename(path)}")
    return other, there.read(other)
