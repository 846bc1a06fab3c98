"""What a person wants to read of a rollback: what ran, what runs now, who, why, and how it goes on."""

from __future__ import annotations

from model_gitops.actions.rollback.attempts import Result
from model_gitops.actions.rollback.stage import Assigned
from model_gitops.core.deploy.rollback import Asked
from model_gitops.core.markdown import code, escape

_LONG = 600


def markdown(asked: Asked, result: Result, stage: Assigned) -> str:
    """Return the summary of the step."""
    name = escape(asked.environment)
    rows = [
        ("ran", escape(result.previous or "–", longest=_LONG)),
        ("runs now" if not result.pull_request else "runs after the merge", escape(result.version)),
        ("image", code(result.image.reference, longest=_LONG)),
        ("by", escape(asked.by)),
        ("why", escape(asked.reason or "–", longest=_LONG)),
        ("deploy commit", code(result.commit[:12])),
        (
            "stage",
            code(stage.tag)
            if stage.tag
            else escape(stage.missing or "after the merge", longest=_LONG),
        ),
        ("run", escape(asked.run) or "–"),
    ]
    lines = [f"### {_head(asked, result)}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows if value]
    if result.pull_request:
        lines += [
            "",
            f"**Merge [the pull request]({result.pull_request}):** until then {name} runs what it ran.",
        ]
    if result.hold:
        lines += [
            "",
            f"🔒 **{name} is held**{_ends(result)}: it takes no promotion. {_release(asked)}",
        ]
    if stage.missing:
        lines += ["", f"⚠️ The tag of the stage is missing: {escape(stage.fix, longest=_LONG)}"]
    return "\n".join(lines) + "\n"


def text(asked: Asked, result: Result, stage: Assigned) -> str:
    """Return the same for a terminal."""
    lines = [f"{asked.environment}: {result.said}"]
    if result.pull_request:
        lines.append(f"merge the pull request: {result.pull_request}")
    if result.hold:
        lines.append(f"{asked.environment} is held{_ends(result)}. {_release(asked)}")
    if stage.missing:
        lines.append(f"the tag of the stage {stage.name} is missing: {stage.fix}")
    return "\n".join(lines)


def _head(asked: Asked, result: Result) -> str:
    words = {
        "pushed": f"⏪ {asked.environment} is rolled back",
        "opened": f"⏪ {asked.environment}: a rollback waits to be merged",
        "updated": f"⏪ {asked.environment}: a rollback waits to be merged",
    }
    return escape(words.get(result.operation, f"{asked.environment} is as it was"))


def _ends(result: Result) -> str:
    until = result.hold.until if result.hold else None
    return f" until {until.isoformat()}" if until else ""


def _release(asked: Asked) -> str:
    return (
        "After the fix, release it: hold.yml with `operation: release`, or"
        f" `model-gitops hold-environment --environment {asked.environment} --operation release`."
    )
