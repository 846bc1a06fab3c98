"""A lineage for people and programs: text, Markdown, a Mermaid graph, JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from model_gitops.core.flow.metrics import flatten, format_number
from model_gitops.core.line import plain
from model_gitops.core.lineage.facts import Approval, Pull, Source, Trace
from model_gitops.core.lineage.link import Link, State, broken
from model_gitops.core.markdown import code, escape

MARKS: dict[State, str] = {"verified": "✓", "broken": "✗", "pending": "…", "unknown": "?"}
_ICONS: dict[State, str] = {"verified": "✅", "broken": "❌", "pending": "⏳", "unknown": "❔"}
# A model may be made of thousands of files: people are shown the first, JSON has them all.
_MOST_SHOWN = 20
_LONGEST = 500


def moment(seconds: int) -> str:
    """Write a time (Unix seconds) for a person, in UTC; `–` for 0."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds else "–"


def verdict(trace: Trace, links: Sequence[Link]) -> str:
    """Return the first line: what was traced, and whether it holds."""
    wrong = len(broken(links))
    what = f"{trace.model} in {trace.environment}" if trace.environment else trace.subject
    if wrong:
        return f"{what}: {wrong} of {len(links)} links broken"
    verified = sum(one.state == "verified" for one in links)
    others = len(links) - verified
    rest = f", {others} could not be asked or wait" if others else ""
    return f"{what}: {verified} links verified{rest}"


def facts(trace: Trace) -> list[tuple[str, str]]:
    """Return what the chain says, from the deployment to the data: (name, value) pairs."""
    found: list[tuple[str, str]] = []
    if one := trace.deployed:
        found += [
            ("overlay", f"{one.path} of {one.repository}, branch {one.branch}"),
            ("image", one.image.reference),
            ("rollback", f"{one.back.sentence}, commit {one.back.commit}" if one.back else "–"),
            ("deploy commit", one.commit or "–"),
            ("since", moment(one.since)),
            ("deploy pull request", _pull(trace.deploy_pull)),
            ("approval", _approval(trace.approval)),
        ]
    elif trace.stored:
        found.append(("image", trace.stored.reference))
    if trace.built:
        found.append(("built from commit", trace.built.commit))
    if trace.source:
        found.append(("source commit", trace.source.commit))
    found += [
        ("pull request", _pull(trace.pull)),
        ("version", trace.version.name if trace.version else "–"),
    ]
    if trace.held is not None:
        found.append(("stage", f"{trace.model}#{trace.stage} holds {trace.held or 'nothing'}"))
    if trace.source and trace.source.model_path:
        found.append(("model", f"{trace.source.model_path}, MD5 {trace.source.model_hash}"))
    if recipe := trace.recipe:
        for kind in ("data", "code"):
            ingredients = recipe.of_kind(kind)
            found += [(kind, f"{one.path}, MD5 {one.hash}") for one in ingredients[:_MOST_SHOWN]]
            if (more := len(ingredients) - _MOST_SHOWN) > 0:
                found.append((kind, f"and {more} more"))
        for file, values in recipe.params.items():
            flat = flatten(values).items()
            shown = ", ".join(f"{key}={format_number(value)}" for key, value in flat)
            found.append(("params", f"{file}: {shown}"))
    return [(name, value) for name, value in found if value != "–"]


def text(trace: Trace, links: Sequence[Link]) -> str:
    """Return the lineage for a terminal."""
    lines = [plain(verdict(trace, links)), ""]
    pairs = facts(trace)
    width = max((len(name) for name, _ in pairs), default=0)
    lines += [f"  {name.ljust(width)}  {plain(value)}" for name, value in pairs]
    lines.append("")
    for link in links:
        lines.append(f"  {MARKS[link.state]} {link.name}")
        if link.state != "verified":
            lines += [f"      {plain(link.left)}", f"      {plain(link.right)}"]
        if link.fix:
            lines.append(f"      Fix: {plain(link.fix)}")
    return "\n".join(lines) + "\n"


def markdown(trace: Trace, links: Sequence[Link]) -> str:
    """Return the lineage as Markdown: verdict, graph, facts and links."""
    rows = [f"| {name} | {code(value, longest=_LONGEST)} |" for name, value in facts(trace)]
    checks = [
        f"| {_ICONS[link.state]} | {escape(link.name)} | {escape(link.left, longest=_LONGEST)} "
        f"| {escape(link.right, longest=_LONGEST)} |"
        for link in links
    ]
    fixes = [
        f"- {escape(link.name)}: {code(link.fix, longest=_LONGEST)}" for link in links if link.fix
    ]
    return "\n".join(
        [
            f"### Lineage of {escape(verdict(trace, links))}",
            "",
            "```mermaid",
            mermaid(trace, links),
            "```",
            "",
            "| | |",
            "|---|---|",
            *rows,
            "",
            "| | link | one side | the other side |",
            "|---|---|---|---|",
            *checks,
            "",
            *(["What to do:", "", *fixes, ""] if fixes else []),
        ]
    )


def mermaid(trace: Trace, links: Sequence[Link]) -> str:
    """Return the lineage as a Mermaid flowchart: https://mermaid.js.org/syntax/flowchart.html."""
    ends = list(dict.fromkeys(end for link in links for end in link.ends))
    nodes = {end: f"n{number}" for number, end in enumerate(ends)}
    lines = ["flowchart LR"]
    for end, node in nodes.items():
        detail = _detail(trace, end)
        shown = f"{_mermaid(end)}<br>{_mermaid(detail)}" if detail else _mermaid(end)
        lines.append(f'  {node}["{shown}"]')
    merged: dict[tuple[str, str], State] = {}
    for link in links:  # the worst of several links between the same two ends
        known = merged.get(link.ends, "verified")
        merged[link.ends] = max(known, link.state, key=_SEVERITY.index)
    for ends_of, state in merged.items():
        arrow = "-->" if state == "verified" else f"-.->|{_LABELS[state]}|"
        lines.append(f"  {nodes[ends_of[0]]} {arrow} {nodes[ends_of[1]]}")
    for number, state in enumerate(merged.values()):
        if state == "broken":
            lines.append(f"  linkStyle {number} stroke:#d1242f,stroke-width:3px")
    return "\n".join(lines)


_SEVERITY: list[State] = ["verified", "unknown", "pending", "broken"]
_LABELS: dict[State, str] = {"unknown": "not asked", "pending": "waiting", "broken": "broken"}


def document(trace: Trace, links: Sequence[Link]) -> dict[str, Any]:
    """Return the lineage as JSON data: its schema is trace.schema.json."""
    deployed, stored, recipe = trace.deployed, trace.stored, trace.recipe
    return {
        "subject": trace.subject,
        "model": trace.model,
        "environment": trace.environment or None,
        "verified": not broken(links),
        "deployment": deployed
        and {
            "repository": deployed.repository,
            "branch": deployed.branch,
            "path": deployed.path,
            "image": deployed.image.reference,
            "commit": deployed.commit or None,
            "since": iso(deployed.since),
            "trailers": {key: list(values) for key, values in deployed.trailers.items()},
            "pull_request": pull_data(trace.deploy_pull),
            "approval": trace.approval
            and {
                "where": trace.approval.where,
                "url": trace.approval.url,
                "approved_by": list(trace.approval.by),
            },
        },
        "image": stored
        and {
            "name": stored.name,
            "tag": stored.tag or None,
            "digest": stored.digest or stored.tag_digest or None,
            "labels": dict(stored.labels),
        },
        "built_from": trace.built and _source_data(trace.built),
        "source": trace.source and _source_data(trace.source),
        "pull_request": pull_data(trace.pull),
        "version": trace.version
        and {
            "name": trace.version.version,
            "tag": trace.version.tag or None,
            "commit": trace.version.commit or None,
            "model_hash": trace.version.model_hash or None,
            "sha256": trace.version.sha256 or None,
        },
        "stage": None
        if trace.held is None
        else {"name": trace.stage, "version": trace.held or None},
        "data": [{"path": one.path, "hash": one.hash} for one in recipe.of_kind("data")]
        if recipe
        else [],
        "code": [{"path": one.path, "hash": one.hash} for one in recipe.of_kind("code")]
        if recipe
        else [],
        "params": _plain_data(recipe.params) if recipe else {},
        "links": [
            {
                "from": link.ends[0],
                "to": link.ends[1],
                "state": link.state,
                "from_says": link.left,
                "to_says": link.right,
                "fix": link.fix or None,
            }
            for link in links
        ],
    }


def _plain_data(value: Any) -> Any:
    """Return YAML's or TOML's data as JSON has it: a date, bytes or a number that is none as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain_data(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_data(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def _source_data(source: Source) -> dict[str, Any]:
    return {
        "commit": source.commit,
        "known": source.known,
        "branch": source.branch or None,
        "model_path": source.model_path or None,
        "model_hash": source.model_hash or None,
    }


def pull_data(pull: Pull | None) -> dict[str, Any] | None:
    """Return a pull request as JSON data."""
    if pull is None:
        return None
    return {
        "number": pull.number,
        "url": pull.url,
        "head": pull.head or None,
        "commit": pull.commit or None,
        "approved_by": list(pull.approved_by),
        "approved_older": [
            {"login": login, "commit": commit or None} for login, commit in pull.approved_older
        ],
    }


def _pull(pull: Pull | None) -> str:
    if pull is None:
        return "–"
    return f"#{pull.number}, approved by {', '.join(pull.approved_by) or 'nobody'}, {pull.url}"


def _approval(approval: Approval | None) -> str:
    if approval is None or not approval.by:
        return "–"
    return f"{approval.where}, approved by {', '.join(approval.by)}, {approval.url}"


def iso(seconds: int) -> str | None:
    """Write a time (Unix seconds) for a program, in UTC; None for 0."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def _mermaid(value: str) -> str:
    """Return text from outside that is nothing but text in a quoted Mermaid label."""
    line = plain(value)[:80]
    return re.sub(r"[^\w .,:/@=+-]", lambda match: f"#{ord(match[0])};", line)


def _detail(trace: Trace, end: str) -> str:
    """Return what a node of the graph shows below its name."""
    deployed, stored, source, version = trace.deployed, trace.stored, trace.source, trace.version
    if end == "data" and trace.recipe:
        data = trace.recipe.of_kind("data")
        shown = [f"{one.path} {one.hash[:12]}" for one in data[:2]]
        return ", ".join([*shown, *([f"{len(data) - 2} more"] if len(data) > 2 else [])])
    details = {
        "overlay": deployed.path if deployed else "",
        "deploy commit": deployed.commit[:12] if deployed else "",
        "rollback": deployed.back.commit[:12] if deployed and deployed.back else "",
        "registry": f"{stored.name}:{stored.tag}" if stored else "",
        "image": (stored.digest or stored.tag_digest)[:19] if stored else "",
        "build commit": trace.built.commit[:12] if trace.built else "",
        "source commit": source.commit[:12] if source else "",
        "branch": source.branch if source else "",
        "model": f"{trace.model} {source.model_hash[:12]}" if source else trace.model,
        "version": version.name if version else "",
        "signature": trace.signature.by if trace.signature else "",
        "stage": f"{trace.model} {trace.stage}",
        "pull request": f"no. {trace.pull.number}" if trace.pull else "",
        "hop": f"{trace.pull.head} to {trace.pull.base}" if trace.pull else "",
        "approvals": (", ".join(trace.pull.approved_by) or "nobody") if trace.pull else "",
        "environment before": trace.before.environment if trace.before else "",
        "deploy pull request": f"no. {trace.deploy_pull.number}" if trace.deploy_pull else "",
        "approval": ", ".join(trace.approval.by) if trace.approval else "",
    }
    return details.get(end, "")
