"""Judges the workflows of the model repository: their branches, permissions and secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_gitops.core import workflow
from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError

_ACTION = re.compile(r"model-gitops/(?:.*/)?actions/([a-z][a-z-]*)(?:@|$)")
_ADOPT = "model-gitops adopt"
# Actions whose step means that the workflow is of a pull request, of a merge, or of an experiment.
_JUDGING = ("check-promotion", "gate-metrics", "cml-report")
_DEPLOYING = "bump-kustomize-tag"
_BUILDING = "build-push-image"
_GITHUB_REGISTRY = "ghcr.io/"


@dataclass(frozen=True)
class Step:
    """A step that uses one of our actions, with its inputs; `job` is its job's name."""

    action: str
    inputs: Mapping[str, str]
    job: str


@dataclass(frozen=True)
class Workflow:
    """A workflow that uses our actions: its triggers, its jobs and these steps.

    `called` are the steps of the workflows that its jobs call, and of those that these call: they run by its
    triggers. `elsewhere`
    are those of other repositories, which nobody reads here.
    """

    path: str
    triggers: Mapping[str, Mapping[str, Any]]
    jobs: Mapping[str, Mapping[str, Any]]
    permissions: Any
    steps: tuple[Step, ...]
    called: tuple[Step, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def uses(self, *actions: str) -> bool:
        """Whether a step uses one of these actions."""
        return any(one.action in actions for one in (*self.steps, *self.called))


def read_all(documents: Mapping[str, Any]) -> list[Workflow]:
    """Read parsed workflows, path → document: those that use our actions, or call one that may."""
    found = (_read(path, document, documents) for path, document in documents.items())
    return [one for one in found if one is not None]


def _read(path: str, document: Any, others: Mapping[str, Any]) -> Workflow | None:
    if not isinstance(document, Mapping) or not isinstance(document.get("jobs"), Mapping):
        return None
    jobs = workflow.jobs(document)
    steps = tuple(one for name, job in jobs.items() for one in _steps(name, job))
    called = tuple(_below(jobs, others, {path}))
    uses = [str(job.get("uses", "")) for job in jobs.values()]
    elsewhere = tuple(one for one in uses if one and not one.startswith("./"))
    if not steps and not called and not elsewhere:
        return None
    triggers = workflow.triggers(document)
    return Workflow(path, triggers, jobs, document.get("permissions"), steps, called, elsewhere)


def _below(
    jobs: Mapping[str, Mapping[str, Any]], others: Mapping[str, Any], seen: set[str]
) -> Iterator[Step]:
    """Yield the steps of the workflows that jobs call, at any depth; `seen` are those that were looked into."""
    for path in dict.fromkeys(_called(job) for job in jobs.values()):
        if path in seen:
            continue
        seen.add(path)
        below = workflow.jobs(others.get(path))
        yield from (one for name, job in below.items() for one in _steps(name, job))
        yield from _below(below, others, seen)


def _called(job: Mapping[str, Any]) -> str:
    """Return the path of the workflow of this repository that a job calls."""
    return str(job.get("uses", "")).removeprefix("./").partition("@")[0]


def _steps(name: str, job: Mapping[str, Any]) -> Iterator[Step]:
    listed = job.get("steps")
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, Mapping):
            continue
        found = _ACTION.search(str(one.get("uses", "")))
        if found:
            given = one.get("with")
            pairs = given.items() if isinstance(given, Mapping) else ()
            yield Step(found[1], {str(key): str(value) for key, value in pairs}, name)


# --- branches -----------------------------------------------------------------------------------------


def branches(
    workflows: Sequence[Workflow],
    promotions: Sequence[Promotion],
    one: Promotion,
    broken: Sequence[InputError] = (),
) -> Finding:
    """Judge whether the workflows run for the branches of `one`, of all the flows that there are.

    `broken` says of each workflow that is no YAML why not.
    """
    if broken:
        unread = [Part(False, error.message, error.fix or "correct it") for error in broken]
        return joined("workflow-branches", unread)
    ours = [flow for flow in workflows if is_of(flow, one, promotions)]
    if not any(flow.steps or flow.called or flow.elsewhere for flow in ours):
        return Finding(
            "workflow-branches", False, "no workflow uses an action of model-gitops", _ADOPT
        )
    wanted = list(dict.fromkeys(each.branch for each in one.environments))
    known = {each.branch for flow in promotions for each in flow.environments}
    parts: list[Part] = []
    deploying = [flow for flow in ours if "push" in flow.triggers and flow.uses(_DEPLOYING)]
    judging = [
        flow
        for flow in ours
        if "pull_request" in flow.triggers and flow.uses(*_JUDGING) and not _is_of_forks(flow)
    ]
    for what, trigger, found in (
        ("deploys a push", "push", deploying),
        ("judges a pull request", "pull_request", judging),
    ):
        callers = [flow for flow in ours if trigger in flow.triggers and flow.elsewhere]
        if not found and callers:
            parts += [_unread(what, flow) for flow in callers]
        else:
            parts += _covering(what, trigger, found, wanted, known)
    for flow in (each for each in ours if each.steps or each.called):
        parts += _ignoring(flow, wanted)
        parts += _named(flow, one)
    return joined("workflow-branches", parts)


def is_of(flow: Workflow, one: Promotion, promotions: Sequence[Promotion]) -> bool:
    """Whether a workflow is of this flow: by `config`, where that is no expression and says another."""
    named = [step.inputs["config"] for step in flow.steps if "config" in step.inputs]
    plain = [text.removeprefix("./") for text in named if "${{" not in text]
    if len(promotions) == 1 or not plain or len(plain) < len(named):
        return True
    folders = {re.sub(r"/?[^/]*\.ya?ml$", "", text).rstrip("/") for text in plain}
    return one.folder in folders


def _is_of_forks(flow: Workflow) -> bool:
    """Whether a workflow leaves out the pull requests of the repository's own branches."""
    pattern = re.compile(r"head\.repo\.(full_name\s*!=|fork)")
    return any(pattern.search(str(job.get("if", ""))) for job in flow.jobs.values())


def _unread(what: str, flow: Workflow) -> Part:
    names = ", ".join(flow.elsewhere)
    return Part(None, f"no workflow here {what}; {flow.path} calls {names}, which is not read here")


def _covering(
    what: str, trigger: str, flows: Sequence[Workflow], wanted: Sequence[str], known: set[str]
) -> Iterator[Part]:
    if not flows:
        yield Part(False, f"no workflow {what}", _ADOPT)
        return
    line = f"branches: {_listed(wanted)}"
    for branch in wanted:
        if not any(workflow.runs_for(flow.triggers[trigger], branch) for flow in flows):
            path = flows[0].path
            # GitHub takes one of the two.
            instead = ", in place of branches-ignore" * (
                "branches-ignore" in flows[0].triggers[trigger]
            )
            yield Part(
                False,
                f"{path} does not run for {branch}",
                f"in {path}, under on.{trigger}{instead}: {line}",
            )
    for flow in flows:
        for name in workflow.texts(flow.triggers[trigger].get("branches")):
            if not re.search(r"[*?\[\]!+{}$]", name) and name not in known:
                yield Part(
                    False,
                    f"{flow.path} runs for {name}, which is no environment's branch",
                    f"in {flow.path}, under on.{trigger}: {line}",
                )
    yield Part(True, f"{', '.join(flow.path for flow in flows)} {trigger}: {', '.join(wanted)}")


def _ignoring(flow: Workflow, wanted: Sequence[str]) -> Iterator[Part]:
    """Yield what is wrong with a workflow of experiments: it must leave the environments out."""
    ignored = workflow.texts(flow.triggers.get("push", {}).get("branches-ignore"))
    if not ignored or flow.uses(_DEPLOYING):
        return
    missing = [one for one in wanted if not any(workflow.matches(glob, one) for glob in ignored)]
    if missing:
        others = [one for one in ignored if re.search(r"[*/]", one)]
        yield Part(
            False,
            f"{flow.path} takes {', '.join(missing)} for an experiment's branch",
            f"in {flow.path}, under on.push: branches-ignore: {_listed([*wanted, *others])}",
        )


def _named(flow: Workflow, one: Promotion) -> Iterator[Part]:
    """Yield what is wrong with the branches and environments that steps name."""
    known_branches = [each.branch for each in one.environments]
    known_names = [each.name for each in one.environments]
    for step in flow.steps:
        for action, key, known in (
            ("check-promotion", "base-ref", known_branches),
            ("trace-model", "subject", known_names),
            ("status", "environment", known_names),
        ):
            value = step.inputs.get(key, "")
            if step.action != action or value in ("", *known) or re.search(r"[${}@#:/.]", value):
                continue
            better = known[0] if key != "subject" else known[-1]
            yield Part(
                False,
                f"{flow.path} says {key}: {value}, and promotion.yaml has {', '.join(known)}",
                f"in {flow.path}, step {action}: {key}: {better}",
            )


def _listed(names: Sequence[str]) -> str:
    """Return a list in YAML, on one line."""
    plain = [one if re.fullmatch(r"[A-Za-z0-9._/-]+", one) else json.dumps(one) for one in names]
    return f"[{', '.join(dict.fromkeys(plain))}]"


# --- secrets and permissions --------------------------------------------------------------------------


def secrets(workflows: Sequence[Workflow]) -> Finding:
    """Judge whether what writes the deploy repository is read only by jobs of an environment."""
    writing = {name for flow in workflows for step in flow.steps for name in _writing(step)}
    parts: list[Part] = []
    for flow in workflows:
        for name, job in flow.jobs.items():
            used = sorted(writing & set(_secrets(job)))
            if not used:
                continue
            if job.get("environment"):
                parts.append(Part(True, f"{flow.path}, job {name}: {', '.join(used)}"))
                continue
            parts.append(
                Part(
                    False,
                    f"{flow.path}, job {name}, reads {', '.join(used)} and names no environment: only a"
                    " secret of the repository would reach it, which every branch's workflow can read",
                    f"in {flow.path}, job {name}: environment: {environment(flow)}",
                )
            )
    return joined(
        "workflow-secrets",
        parts,
        nothing="no workflow reads a secret that writes the deploy repository",
    )


def _writing(step: Step) -> list[str]:
    """Return the secrets by which a step writes the deploy repository."""
    if step.action != _DEPLOYING:
        return []
    return _secrets([step.inputs.get("token", ""), step.inputs.get("ssh-key", "")])


def _secrets(node: Any) -> list[str]:
    return list(dict.fromkeys(workflow.secrets(node)))


def environment(flow: Workflow) -> str:
    """Return what names the environment in this workflow: check-promotion's output, where it has one."""
    for name, job in flow.jobs.items():
        outputs = job.get("outputs")
        if isinstance(outputs, Mapping) and "environment" in outputs:
            return f"${{{{ needs.{name}.outputs.environment }}}}"
    return "${{ needs.check.outputs.environment }}"


def packages(workflows: Sequence[Workflow], promotions: Sequence[Promotion]) -> Finding:
    """Judge whether the jobs that push to GitHub's registry may write packages."""
    if not any(one.image.startswith(_GITHUB_REGISTRY) for one in promotions):
        return Finding("workflow-packages", True, "the image is in another registry than GitHub's")
    parts = []
    for flow in workflows:
        for step in flow.steps:
            if step.action != _BUILDING or step.inputs.get("push") == "false":
                continue
            password = step.inputs.get("password", "github.token")
            if not re.search(r"github[._]token", password, re.IGNORECASE):
                continue  # another account's password
            may = _may_write(flow, step.job)
            parts.append(
                Part(True, f"{flow.path}, job {step.job}")
                if may
                else Part(
                    False,
                    f"{flow.path}, job {step.job}, pushes an image and may not write packages",
                    f"in {flow.path}, job {step.job}, under permissions: packages: write",
                )
            )
    return joined("workflow-packages", parts, nothing="no workflow pushes an image")


def _may_write(flow: Workflow, job: str) -> bool:
    granted = flow.jobs[job].get("permissions", flow.permissions)
    if granted is None:
        return True  # the repository's default, which may be either
    if isinstance(granted, str):
        return granted == "write-all"
    return isinstance(granted, Mapping) and granted.get("packages") == "write"
