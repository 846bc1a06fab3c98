"""The demo's page: what runs, the time line of the hops, a lineage, and how to have it all oneself.

It opens without any server, in light and in dark, on a telephone too; nothing of it is from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from model_gitops.adapters import installation
from model_gitops_local import lineage_picture
from model_gitops_local.forge import pages

FROM = f"uvx --from git+{installation.REPOSITORY}@{installation.LINE} {installation.NAME}"
# What a person types, under what it is for.
YOURS = (
    ("A new project: both repositories, from the templates", f"{FROM} init --name churn --owner newco --to churn"),
    ("A DVC repository that you have: look first at what it would write, then write it", f"{FROM} adopt --dry-run\n{FROM} adopt --yes"),
    ("What is still missing, and the command that mends it", f"{FROM} doctor"),
)  # fmt: skip
STYLE = """
.scroll{overflow-x:auto}.yours pre{white-space:pre-wrap;overflow-wrap:anywhere}
.yours pre code{overflow-wrap:anywhere}
ol.hops{list-style:none;padding:0;margin:0}
ol.hops>li{border-left:.25rem solid var(--line);padding:0 0 1.5rem 1.25rem;margin:0}
ol.hops>li.deployed{border-color:var(--good)}ol.hops>li.refused{border-color:var(--bad)}
ol.hops>li.rolled-back,ol.hops>li.drifted,ol.hops>li.held{border-color:var(--wait)}
ol.hops>li.answered,ol.hops>li.released{border-color:var(--good)}
.hops h3{margin:0}.hops p{margin:.25rem 0}.quiet{color:var(--quiet)}
.deployed>.outcome{color:var(--good)}.refused>.outcome{color:var(--bad)}
.rolled-back>.outcome,.drifted>.outcome,.held>.outcome{color:var(--wait)}
.answered>.outcome,.released>.outcome{color:var(--good)}.outcome{font-weight:600}
.plots{display:flex;flex-wrap:wrap;gap:1rem;margin:.5rem 0}
.plots figure{margin:0;width:13rem;max-width:100%}
.plots img{width:100%;border:1px solid var(--line);border-radius:6px}
figcaption{font-size:.85rem;color:var(--quiet)}summary{cursor:pointer}
.yours{border:2px solid var(--link);border-radius:6px;padding:0 1.25rem 1rem;margin-top:2rem}
"""


@dataclass
class Hop:
    """One part of the way, as the page shows it; paths are relative to the demo's folder.

    `outcome` is `registered`, `deployed`, `rolled back` or `refused`; in the story of a model's life also
    `answered`, `drifted`, `held` or `released`. `commit` is the one of the deploy
    repository, and `diff` what it says and changes.
    """

    title: str
    outcome: str = ""
    said: str = ""
    seconds: float = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    report: str = ""
    pictures: list[dict[str, str]] = field(default_factory=list)
    commit: str = ""
    diff: str = ""


def html(result: Mapping[str, Any], lineage: Mapping[str, Any]) -> bytes:
    """Return the page of what `Demo.finish` found, and of what `trace-model --json` says."""
    refused = "".join(
        f"<li><b>{escape(one['branch'])}</b>: {escape(one['reason'])}</li>"
        for one in result["refused"]
    )
    body = (
        "<main><h1>model-gitops demo</h1>"
        f"<p>Two experiments: the better one reached production, the worse one was refused."
        f" All of it in {spell(result['seconds'])}, on this machine.</p>"
        f"<h2>What runs now</h2>{_environments(result['environments'])}"
        f"<h2>The hops</h2>{time_line(result['hops'])}"
        f"<h2>Where production comes from</h2>"
        f'<div class="scroll" tabindex="0" role="group" aria-label="Lineage of production">'
        f"{lineage_picture.draw(lineage)}</div>"
        f"<h2>Refused</h2><ul>{refused}</ul>{_yours()}</main>"
    )
    return pages.page("model-gitops demo", body, style=STYLE)


def time_line(hops: Sequence[Mapping[str, Any]]) -> str:
    """Return what happened, one after the other; each is a `Hop` as a mapping."""
    shown = "".join(_hop(number, one) for number, one in enumerate(hops, 1))
    return f'<ol class="hops">{shown}</ol>'


def in_words(view: Mapping[str, Any]) -> str:
    """Return what an environment runs, or waits for, by its part of `status --json`."""
    if not view["version"]:
        return f"{view['name']} waits: {'; '.join(view['waiting'])}"
    measured = [f"{name.partition(':')[2]} {value:.3g}" for name, value in view["metrics"].items()]
    return f"{view['name']} now runs {', '.join([view['version'], *measured])}"


def spell(seconds: float) -> str:
    """Write how long something took for a person: `0.4 s`, `41 s`, `1 min 23 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _environments(environments: Mapping[str, Mapping[str, Any]]) -> str:
    measured = list(next(iter(environments.values()))["metrics"])
    titles = ["environment", "version", *measured, "image digest", "deploy commit"]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(one["version"])}</td>'
        + "".join(f"<td>{one['metrics'][metric]:.4g}</td>" for metric in measured)
        + f'<td><code title="{escape(one["image"])}">{escape(one["digest"][:19])}…</code></td>'
        + f"<td><code>{escape(one['deploy_commit'][:12])}</code></td></tr>"
        for name, one in environments.items()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _hop(number: int, hop: Mapping[str, Any]) -> str:
    """Show one hop: how it ended, how long it took, its report, logs, plots and diff."""
    outcome = escape(hop["outcome"])
    links = [*_report(hop), *(_log(run) for run in hop["runs"])]
    shown = " · ".join(links)
    said = f"<p>{escape(hop['said'])}</p>" if hop["said"] else ""
    return (
        f'<li class="{outcome.replace(" ", "-")}"><h3>{number}. {escape(hop["title"])}</h3>'
        f'<p class="outcome">{outcome}</p>{said}'
        f'<p class="quiet">{spell(hop["seconds"])}{" · " if shown else ""}{shown}</p>'
        f"{_plots(hop['pictures'])}{_diff(hop)}</li>"
    )


def _report(hop: Mapping[str, Any]) -> Iterator[str]:
    if hop["report"]:
        name = f"Report of {escape(hop['title'])}"
        yield f'<a href="{escape(hop["report"])}" aria-label="{name}">report</a>'


def _log(run: Mapping[str, Any]) -> str:
    name = escape(run["workflow"])
    return f'<a href="{escape(run["log"])}">log of {name}</a> ({spell(run["seconds"])})'


def _plots(pictures: Sequence[Mapping[str, str]]) -> str:
    shown = "".join(
        f'<figure><a href="{escape(one["file"])}"><img src="{escape(one["file"])}"'
        f' alt="Plot: {escape(one["title"])}"></a><figcaption>{escape(one["title"])}</figcaption></figure>'
        for one in pictures
    )
    return f'<div class="plots">{shown}</div>' if shown else ""


def _diff(hop: Mapping[str, Any]) -> str:
    if not hop["diff"]:
        return ""
    commit = escape(hop["commit"][:12])
    # A line's own colour would be all that says what it does: its sign does so too.
    return (
        f"<details><summary>Diff of deploy commit <code>{commit}</code></summary>"
        f'<pre tabindex="0">{escape(hop["diff"])}</pre></details>'
    )


def _yours() -> str:
    blocks = "".join(
        f'<p>{escape(what)}:</p><pre tabindex="0"><code>{escape(command)}</code></pre>'
        for what, command in YOURS
    )
    return (
        '<section class="yours" aria-labelledby="yours"><h2 id="yours">Now do it in your repository</h2>'
        f"{blocks}</section>"
    )


def pictures_of(report: str, folder: str) -> list[dict[str, str]]:
    """Return the pictures that a report's Markdown shows from `folder`: their titles and files."""
    found = re.findall(rf"!\[([^\]]*)\]\(({re.escape(folder)}/[^)\s]+)\)", report)
    return [{"title": title.replace("\\", ""), "file": file} for title, file in found]
