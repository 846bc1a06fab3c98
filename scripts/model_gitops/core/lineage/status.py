"""What each environment runs, in one view: version, metrics, image, since when, by which change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model_gitops.core.deploy.hold import Hold
from model_gitops.core.flow.metrics import direction, format_number
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto.versions import precedence
from model_gitops.core.line import plain
from model_gitops.core.lineage import deciding, stages
from model_gitops.core.lineage.facts import Pull, Trace
from model_gitops.core.lineage.link import Link, broken
from model_gitops.core.lineage.report import iso, moment, pull_data
from model_gitops.core.markdown import code, escape

# Metric, as promotion.yaml names it → value.
Metrics = Mapping[str, float | None]

_NOTHING = "–"
_RELEASE = "scripts/run.sh hold-environment --environment {} --operation release"


@dataclass(frozen=True)
class Status:
    """One environment. `trace` is None where nothing runs, or where `problem` says why it is not known.

    `waiting` says in short sentences what may come next, and `said` what else people should know.
    `proposal` is what an open pull request into the deploy repository would deploy, and its address.
    `hold` is what holds the environment now, None for nothing: it takes no promotion, and is in sync.
    """

    environment: str
    branch: str
    trace: Trace | None = None
    links: tuple[Link, ...] = ()
    metrics: Metrics = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    problem: str = ""
    fix: str = ""
    said: tuple[str, ...] = ()
    proposal: tuple[str, str] = ("", "")
    hold: Hold | None = None

    @property
    def in_sync(self) -> bool:
        """Whether stage tag, overlay, image and branch agree, as far as they could be asked."""
        return not (self.problem or broken(self.links))

    @property
    def version(self) -> str:
        """The version that is deployed; where no deploy commit names one, the stage's."""
        if self.trace is None:
            return ""
        named = self.trace.version.version if self.trace.version else ""
        return named or self.trace.held or ""

    @property
    def reference(self) -> str:
        """The image that the overlay sets, or an empty string."""
        return self.trace.deployed.image.reference if self.trace and self.trace.deployed else ""

    @property
    def digest(self) -> str:
        """The digest that the overlay pins, or an empty string."""
        return self.trace.deployed.image.digest if self.trace and self.trace.deployed else ""

    @property
    def since(self) -> int:
        """When it was deployed, in Unix seconds; 0 where nothing is."""
        return self.trace.deployed.since if self.trace and self.trace.deployed else 0

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong, each with what to do."""
        found = [(self.problem, self.fix)] if self.problem else []
        return found + [(link.sentence, link.fix) for link in broken(self.links)]

    @property
    def held(self) -> str:
        """Who holds it, since when, until when, why, and what waits behind it; empty where nobody does."""
        if self.hold is None:
            return ""
        behind = f". Behind it waits: {'; '.join(self.waiting)}" if self.waiting else ""
        return f"{self.hold.sentence}{behind}"

    @property
    def notable(self) -> list[tuple[str, str]]:
        """What is right and should be known, each with what ends it, if anything does."""
        found = [(self.held, _RELEASE.format(self.environment))] if self.hold else []
        found += [(one, "") for one in self.said]
        back = self.trace.deployed.back if self.trace and self.trace.deployed else None
        if back is None:
            return found
        found.append((f"{back.sentence} (commit {back.commit[:12]})", ""))
        stage = [one for one in self.links if one.ends == ("stage", "version")]
        return found + [(one.sentence, one.fix) for one in stage if one.state == "pending"]


@dataclass(frozen=True)
class Candidate:
    """What a pull request proposes for one environment; `pull` is the one that was merged, if it was."""

    name: str
    commit: str
    version: str = ""
    model_hash: str = ""
    image: str = ""
    metrics: Metrics = field(default_factory=dict)
    # What came of the verification in the environment before; None where promotion.yaml asks for none.
    verified: deciding.Verified | None = None
    pull: Pull | None = None


def waiting(promotion: Promotion, statuses: Sequence[Status]) -> list[tuple[str, ...]]:
    """Return for each environment what the one before it runs and it does not."""
    found: list[tuple[str, ...]] = []
    for place, status in enumerate(statuses):
        before = statuses[place - 1] if place else None
        said = list(status.waiting)
        if before and (next_one := _next(before, status)):
            into = promotion.environments[place].branch
            way = "by hand" if promotion.is_trunk else f"{before.branch} → {into}"
            said.insert(0, f"{next_one} of {before.environment} ({way})")
        found.append(tuple(said))
    return found


def _next(before: Status, status: Status) -> str:
    """Return what `before` runs that `status` could run next; empty where that is nothing newer."""
    running = status.trace.deployed if status.trace else None
    taken_back = running.back.image.digest if running and running.back else ""
    if not before.version or before.digest in (status.digest, taken_back):
        return ""
    if before.version != status.version:
        older = status.version and precedence(before.version) < precedence(status.version)
        return "" if older else before.version
    commit = before.trace.source.commit[:12] if before.trace and before.trace.source else ""
    return f"{before.version} with the code of {commit}" if commit else before.version


def unassigned(model: str, statuses: Sequence[Status]) -> list[dict[str, str]]:
    """Return the stages whose version runs and no tag says so yet, with what gto-register-stage takes."""
    found = [(one, stages.unassigned(one.trace, one.links)) for one in statuses if one.trace]
    return [
        {
            "model": model,
            "stage": one.trace.stage if one.trace else one.environment,
            "environment": one.environment,
            "version": version,
        }
        for one, version in found
        if version
    ]


def to_verify(
    promotion: Promotion, statuses: Sequence[Status], config: str
) -> list[dict[str, str]]:
    """Return what runs and is to be verified, with what verify.yml takes and the branch to start it on.

    `config` is promotion.yaml's place, as it was given.
    """
    asked = {one.name for one in promotion.environments if one.verify}
    return [
        {"environment": one.environment, "branch": one.branch, "config": config}
        for one in statuses
        if one.trace and one.environment in asked
    ]


def notes(unasked: Iterable[Mapping[str, str]]) -> list[str]:
    """Return what could not be asked, each reason once: `unasked` are a link's end → why, a trace each."""
    ends: dict[str, list[str]] = {}
    for one in unasked:
        for end, why in one.items():
            known = ends.setdefault(why, [])
            known += [end] if end not in known else []
    return [f"{', '.join(found)}: {why}" for why, found in ends.items()]


def text(model: str, statuses: Sequence[Status], notes: Sequence[str] = ()) -> str:
    """Return the view for a terminal; `notes` say what could not be asked."""
    names = _metric_names(statuses)
    shown = [name.partition(":")[2] or name for name in names]
    head = ["", "environment", "version", *shown, "image", "since", "by", "waiting"]
    rows = [head]
    for one in statuses:
        values = [format_number(one.metrics.get(name)) for name in names]
        mark = "✓" if one.in_sync else "✗"
        rows.append(
            [
                mark, one.environment, one.version or _NOTHING, *values, _short(one.digest),
                moment(one.since), _by(one), "; ".join(one.waiting) or _NOTHING,
            ]
        )  # fmt: skip
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for one in statuses:
        for problem, fix in one.problems:
            lines += ["", f"✗ {plain(one.environment)}: {plain(problem)}"]
            lines += [f"  Fix: {plain(fix)}"] if fix else []
        for text_of_it, what in one.notable:
            lines += ["", f"ℹ {plain(one.environment)}: {plain(text_of_it)}"]
            lines += [f"  To do: {plain(what)}"] if what else []
    lines += [*([""] if notes else []), *(f"? {plain(note)}" for note in notes)]
    return "\n".join([plain(model), "", *lines]) + "\n"


def markdown(model: str, statuses: Sequence[Status], notes: Sequence[str] = ()) -> str:
    """Return the view as Markdown, for a step's summary; `notes` say what could not be asked."""
    names = _metric_names(statuses)
    shown = [escape(name.partition(":")[2] or name) for name in names]
    head = ["", "environment", "version", *shown, "image", "since", "by", "waiting"]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in statuses:
        values = [format_number(one.metrics.get(name)) for name in names]
        cells = [
            "✅" if one.in_sync else "❌", escape(one.environment), escape(one.version or _NOTHING), *values,
            _image(one.digest), moment(one.since), _by_link(one),
            "<br>".join(escape(text) for text in one.waiting) or _NOTHING,
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    head_line = f"### {escape(model)}: what runs where"
    return "\n".join([head_line, "", *rows, "", *_to_do(statuses), *_said(notes)])


def sentence(model: str, status: Status) -> str:
    """Return in one line of Markdown what an environment runs, or what it waits for."""
    name = escape(status.environment)
    if status.problem:
        return f"❌ What {name} runs can't be said: {escape(status.problem, longest=500)}."
    runs = ""
    if status.trace:
        what = [f"{escape(model)} {escape(status.version or 'of no version')}"]
        what += [
            f"{escape(key.partition(':')[2] or key)} {format_number(value)}"
            for key, value in status.metrics.items()
            if value is not None
        ]
        commit = status.trace.deployed.commit if status.trace.deployed else ""
        what += [f"deploy commit {code(commit[:12])}"] if commit else []
        runs = f"now runs {', '.join(what)}."
        runs += "" if status.in_sync else f" ❌ {escape(status.problems[0][0], longest=500)}."
    runs += f" It is {escape(status.hold.sentence, longest=500)}." if runs and status.hold else ""
    proposed, url = status.proposal
    if not proposed:
        return f"{name} {runs or 'runs nothing yet.'}"
    pull = f"[{escape(proposed)}]({url})" if _is_address(url) else escape(proposed)
    return f"{name} waits for {pull}" + (f"; it {runs}" if runs else ", and runs nothing yet.")


def comparison(
    status: Status, candidate: Candidate, promotion: Promotion, notes: Sequence[str] = ()
) -> str:
    """Return the incumbent of one environment beside the candidate, as Markdown, and the way back to it.

    `notes` say what could not be asked.
    """
    trace = status.trace
    if trace and trace.source and trace.source.tip == candidate.commit:
        # Of a merge that waits for a yes the branch is ahead: that is no fault of what runs.
        own = ("branch", "source commit")
        status = replace(status, links=tuple(one for one in status.links if one.ends != own))
    hash_now = trace.source.model_hash if trace and trace.source else ""
    better = {rule.metric: rule.better for rule in promotion.gate}
    rows = [
        (
            "version",
            escape(status.version or _NOTHING),
            escape(candidate.version or "not registered yet"),
        ),
        (
            "model",
            code(hash_now),
            _same(code(candidate.model_hash), hash_now, candidate.model_hash),
        ),
    ]
    for name in dict.fromkeys((*status.metrics, *candidate.metrics)):
        old, new = status.metrics.get(name), candidate.metrics.get(name)
        shown = format_number(new)
        if old is not None and new is not None and old != new:
            shown += f" {direction(new - old, better.get(name))}".rstrip()
        rows.append((escape(name.partition(":")[2] or name), format_number(old), shown))
    digest = candidate.image.partition("@")[2]
    rows += [
        ("image", _image(status.digest), _same(_image(digest), status.digest, digest)),
        ("since", moment(status.since), _NOTHING),
        ("by", _by_link(status), deciding.brought(candidate.pull) or code(candidate.name)),
        (
            "in sync",
            ("✅" if status.in_sync else "❌") if trace or status.problem else "",
            _NOTHING,
        ),
        *([deciding.row(candidate.verified)] if candidate.verified else []),
    ]
    rows = [row for row in rows if set(row[1:]) - {"", _NOTHING}]
    lines = [f"| | {escape(status.environment)} now | candidate |", "|---|---|---|"]
    lines += [f"| {name} | {now} | {then} |" for name, now, then in rows]
    back = deciding.way_back(status.environment, status.version if trace else "")
    return "\n".join([*lines, "", *back, *_to_do([status]), *_said(notes)])


def document(model: str, statuses: Sequence[Status]) -> dict[str, Any]:
    """Return the view as JSON data: its schema is status.schema.json."""
    return {
        "model": model,
        "in_sync": all(one.in_sync for one in statuses),
        "environments": [
            {
                "name": one.environment,
                "branch": one.branch,
                "in_sync": one.in_sync,
                "version": one.version or None,
                "stage_version": (one.trace.held or None) if one.trace else None,
                "image": one.reference or None,
                "digest": one.digest or None,
                "since": iso(one.since),
                "source_commit": one.trace.source.commit
                if one.trace and one.trace.source
                else None,
                "deploy_commit": (one.trace.deployed.commit or None)
                if one.trace and one.trace.deployed
                else None,
                "pull_request": pull_data(one.trace.pull if one.trace else None),
                "deploy_pull_request": pull_data(one.trace.deploy_pull if one.trace else None),
                "metrics": dict(one.metrics),
                "hold": _hold_data(one.hold),
                "waiting": [
                    *one.waiting,
                    *(said for said, _ in one.notable if said != one.held),
                ],
                "problems": [
                    {"problem": problem, "fix": fix or None} for problem, fix in one.problems
                ],
            }
            for one in statuses
        ],
    }


def _hold_data(hold: Hold | None) -> dict[str, Any] | None:
    if hold is None:
        return None
    return {
        "reason": hold.reason,
        "by": hold.by or None,
        "since": hold.since.isoformat() if hold.since else None,
        "until": hold.until.isoformat() if hold.until else None,
        "problem": hold.problem or None,
    }


def _to_do(statuses: Sequence[Status]) -> list[str]:
    lines: list[str] = []
    for one in statuses:
        for problem, fix in one.problems:
            lines.append(f"- ❌ **{escape(one.environment)}**: {escape(problem, longest=500)}")
            lines += [f"  What to run: {code(fix, longest=500)}"] if fix else []
        for said, what in one.notable:
            lines.append(f"- ℹ️ **{escape(one.environment)}**: {escape(said, longest=500)}")
            lines += [f"  What to run: {code(what, longest=500)}"] if what else []
    return [*lines, ""] if lines else []


def _said(notes: Sequence[str]) -> list[str]:
    return [f"❔ {escape(note, longest=500)}\n" for note in notes]


def _metric_names(statuses: Sequence[Status]) -> list[str]:
    return list(dict.fromkeys(name for one in statuses for name in one.metrics))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or _NOTHING


def _image(digest: str) -> str:
    return code(_short(digest)) if digest else _NOTHING


def _same(shown: str, now: str, then: str) -> str:
    return f"{shown} (the same)" if now and now == then else shown


def _by(status: Status) -> str:
    pull = status.trace.pull if status.trace else None
    if pull:
        return f"#{pull.number}, approved by {', '.join(pull.approved_by) or 'nobody'}"
    source = status.trace.source if status.trace else None
    return source.commit[:12] if source else _NOTHING


def _is_address(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _by_link(status: Status) -> str:
    if linked := deciding.linked(status.trace.pull if status.trace else None):
        return linked
    by = _by(status)
    return code(by) if by != _NOTHING else by
