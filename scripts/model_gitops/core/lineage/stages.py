"""The stage of an environment: a published view of what its overlay runs."""

from __future__ import annotations

from collections.abc import Sequence

from model_gitops.core.gto import tags
from model_gitops.core.lineage.facts import Trace
from model_gitops.core.lineage.link import Link, made

# Without these nobody can say which version it is that runs.
_NEEDED = (("overlay", "deploy commit"), ("version", "model"))


def unassigned(trace: Trace, links: Sequence[Link]) -> str:
    """Return the version that a deployment set and its stage does not say yet; empty for none.

    `links` are those of the trace.
    """
    known = [one.ends for one in links if one.state == "verified"]
    return due(trace) if all(ends in known for ends in _NEEDED) else ""


def due(trace: Trace) -> str:
    """Return the version that the deploy commit says, where the stage still says an older state.

    A stage's tag that is newer than the deployment was meant so, and one that names no version is
    none of ours: both are for people to look at. What was taken back is not meant, however new its tag.
    """
    deployed, source, version = trace.deployed, trace.source, trace.version
    if (
        deployed is None
        or source is None
        or version is None
        or trace.held in (None, version.version)
    ):
        return ""
    is_ours = version.model == trace.model and version.model_hash == source.model_hash
    # Nothing is held, and a tag says so: an unassignment, or a tag on a commit without a version.
    was_ours = tags.is_version(trace.held or "") or not (trace.held or trace.held_since)
    proposed = deployed.proposes("model") == f"{trace.model}@{trace.held}"
    early = trace.moves_early or "open pull requests" in trace.unasked
    is_taken_back = deployed.back is not None and deployed.back.version == trace.held
    newer = trace.held_since > deployed.since and not is_taken_back
    if not (is_ours and was_ours) or proposed or early or newer or trace.held_problem:
        return ""
    return version.version


def link_of(trace: Trace, patience: float) -> Link:
    """Hold what the stage's tag says against what is deployed.

    `patience` is how long (seconds) a stage may wait for its tag after the deploy pull request was
    merged.
    """
    ends, version, deployed = ("stage", "version"), trace.version, trace.deployed
    left = f"{trace.model}#{trace.stage} holds {trace.held or 'no version'}"
    if trace.held_problem:
        left = f"what {trace.model}#{trace.stage} holds can't be said"
        return made(ends, left, trace.held_problem, False, fix="delete the wrong tag of the two")
    if version is None:
        # A deployment by hand, or one without the trailer: the models can be compared all the same.
        known = trace.source.model_hash if trace.source else ""
        right = f"the deploy commit names no version; its model is {known or 'not known'}"
        holds = trace.held_hash == known if known and trace.held_hash else None
        return made(ends, f"{left}, model {trace.held_hash or 'none'}", right, holds, fix=_ASSIGN)
    right = f"{version.name} is deployed"
    if trace.held == version.version and trace.model == version.model:
        return made(ends, left, right, True)
    assign = (
        f"model-gitops gto-register-stage --model {trace.model} --version {version.version}"
        f" --stage {trace.stage}"
    )
    if deployed and deployed.back and due(trace):
        text = f"{right} again, by a rollback"
        fix = f"{assign}; or wait for stages.yml, which does the same at its next run"
        return Link(ends, left, text, "pending", fix=fix)
    if deployed and trace.by_pull and deployed.age < patience and due(trace):
        return Link(
            ends, left, f"{right}, since its pull request was merged", "pending", fix=_STAGES
        )
    if deployed and deployed.proposes("model") == f"{trace.model}@{trace.held}":
        return Link(ends, left, f"{right}; the deploy pull request waits to be merged", "pending")
    early = "`stage-on: pull_request` moves the stage while a pull request is open"
    if trace.moves_early:
        return Link(ends, left, f"{right}; {early}", "pending")
    if why := trace.unasked.get("open pull requests"):
        return made(ends, left, f"{right}; {early}, and none was asked for: {why}", None)
    return made(
        ends,
        left,
        right,
        False,
        fix=assign
        if deployed and deployed.back
        else f"{assign}, if what is deployed is right; else deploy the stage's version",
    )


_STAGES = "stages.yml assigns it at its next run; at once: gh workflow run stages.yml"
_ASSIGN = "run deploy.yml of the environment's branch again: it deploys, and assigns the stage"
