"""The health of a pipeline as people and programs read it: Markdown, text and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from model_gitops.core import duration
from model_gitops.core.health.deliveries import Measures
from model_gitops.core.health.runs import Problem, Run, Watched, middle
from model_gitops.core.markdown import code, escape

_NOTHING = "–"
_MARKS = {"success": "🟢", "failure": "🔴", "timed_out": "🔴", "startup_failure": "🔴"}
_LAST = 10


@dataclass(frozen=True)
class Flow:
    """What was delivered of one model. `problem` says why nobody can tell; empty where they can."""

    model: str
    measures: tuple[Measures, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Health:
    """What was found at the moment `now`; deliveries are of the last `days`. `notes` is what could not be asked."""

    now: datetime
    days: float
    watched: tuple[Watched, ...] = ()
    problems: tuple[Problem, ...] = ()
    flows: tuple[Flow, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def sentence(health: Health) -> str:
    """Return in a few words whether the pipeline is well, plain text."""
    if health.is_well:
        return "the pipeline is well"
    files = ", ".join(dict.fromkeys(_plain(one.workflow) for one in health.problems))
    return f"the pipeline is not well: {files}"


def markdown(health: Health) -> str:
    """Return all of it for a step's summary."""
    lines = [
        f"### {'✅' if health.is_well else '❌'} {escape(_upper(sentence(health)), longest=500)}",
        "",
    ]
    lines += problem_lines(health)
    if health.watched:
        lines += [
            "| workflow | runs | last | its newest runs | takes | waits |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(one, health) for one in health.watched]
        lines += [
            "",
            "The newest run is on the left. Takes and waits: the middle of the last runs.",
            "",
        ]
    for flow in health.flows:
        lines += [
            f"### {escape(flow.model)}: deliveries in {duration.words(health.days * 86400)}",
            "",
        ]
        if flow.problem:
            lines += [f"❔ {escape(flow.problem, longest=500)}", ""]
            continue
        lines += [
            "| environment | deployments | a week | lead time | taken back | time to restore |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_measured(one) for one in flow.measures]
        lines.append("")
    lines += [f"❔ {escape(one, longest=500)}\n" for one in health.notes]
    return "\n".join(lines)


def problem_lines(health: Health) -> list[str]:
    """Return what is wrong as a list in Markdown, each with what to do."""
    lines = []
    for one in health.problems:
        run = f" ([run]({one.url}))" if _is_address(one.url) else ""
        lines.append(f"- ❌ **{escape(one.workflow)}** {escape(one.problem, longest=500)}{run}")
        lines += [f"  What to do: {code(one.fix, longest=300)}"] if one.fix else []
    return [*lines, ""] if lines else []


def text(health: Health) -> str:
    """Return all of it for a terminal."""
    lines = [sentence(health), ""]
    for one in health.problems:
        lines.append(f"✗ {_plain(one.workflow)}: {_plain(one.problem)}")
        lines += [f"  Fix: {_plain(one.fix)}"] if one.fix else []
    for watched in health.watched:
        last = _last(watched)
        said = (
            f"{last.created:%Y-%m-%d %H:%M} {last.conclusion or last.status}" if last else "no run"
        )
        lines.append(f"  {_plain(watched.expected.file)}: {_plain(said)}")
    for flow in health.flows:
        lines += ["", _plain(flow.model) + (f": {_plain(flow.problem)}" if flow.problem else "")]
        for each in flow.measures:
            cells = _cells(each)
            lines.append(
                f"  {_plain(each.environment)}: {_plain(each.problem)}"
                if each.problem
                else f"  {_plain(each.environment)}: {cells[0]} deployments ({cells[1]} a week), lead time"
                f" {cells[2]}, taken back {cells[3]}, time to restore {cells[4]}"
            )
    lines += [*([""] if health.notes else []), *(f"? {_plain(one)}" for one in health.notes)]
    return "\n".join(lines) + "\n"


def document(health: Health) -> dict[str, Any]:
    """Return all of it as JSON data: its schema is health.schema.json."""
    return {
        "healthy": health.is_well,
        "time": _iso(health.now),
        "days": health.days,
        "problems": [
            {
                "workflow": one.workflow,
                "problem": one.problem,
                "fix": one.fix or None,
                "url": one.url or None,
            }
            for one in health.problems
        ],
        "workflows": [
            {
                "file": one.expected.file,
                "name": one.expected.name,
                "state": one.state or None,
                "schedules": list(one.expected.schedules),
                "takes": middle(one.lengths),
                "waits": middle(one.waits),
                "runs": [
                    {
                        "url": run.url or None,
                        "event": run.event,
                        "branch": run.branch,
                        "result": run.conclusion or run.status,
                        "created": _iso(run.created),
                    }
                    for run in one.runs[:_LAST]
                ],
            }
            for one in health.watched
        ],
        "models": [
            {
                "model": flow.model,
                "problem": flow.problem or None,
                "environments": [
                    {
                        "name": one.environment,
                        "problem": one.problem or None,
                        "deployments": len(one.deployments),
                        "deployments_a_week": round(one.a_week, 3),
                        "lead_time": one.lead_time,
                        "failed": one.failed,
                        "change_failure_rate": one.failure_rate,
                        "time_to_restore": one.restore_time,
                    }
                    for one in flow.measures
                ],
            }
            for flow in health.flows
        ],
        "notes": list(health.notes),
    }


def _row(one: Watched, health: Health) -> str:
    last = _last(one)
    bad = any(problem.workflow == one.expected.file for problem in health.problems)
    when = _NOTHING
    if last:
        ago = f"{duration.words((health.now - last.created).total_seconds())} ago"
        when = f"[{ago}]({last.url})" if _is_address(last.url) else ago
    dots = "".join(_MARKS.get(run.conclusion, "⚪") for run in one.runs[:_LAST])
    cells = [
        f"{'❌' if bad else '✅'} {escape(one.expected.file)}",
        ", ".join(code(text) for text in one.expected.schedules)
        or escape(", ".join(one.expected.events)),
        when,
        dots or _NOTHING,
        _length(middle(one.lengths)),
        _length(middle(one.waits)),
    ]
    return f"| {' | '.join(cells)} |"


def _measured(one: Measures) -> str:
    if one.problem:
        return f"| {escape(one.environment)} | ❔ {escape(one.problem, longest=300)} | | | | |"
    return f"| {escape(one.environment)} | {' | '.join(_cells(one))} |"


def _cells(one: Measures) -> list[str]:
    rate = one.failure_rate
    return [
        str(len(one.deployments)),
        f"{one.a_week:.1f}",
        _length(one.lead_time),
        _NOTHING if rate is None else f"{one.failed} ({rate:.0%})",
        _length(one.restore_time),
    ]


def _last(one: Watched) -> Run | None:
    return next(iter(one.runs), None)


def _length(seconds: float | None) -> str:
    return _NOTHING if seconds is None else duration.words(seconds)


def _is_address(url: str) -> bool:
    return url.startswith(("https://", "http://")) and not set(url) & set(" ()<>\\\n\r\t")


def _plain(text: str) -> str:
    return " ".join("".join(one for one in text if one.isspace() or one.isprintable()).split())


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
