"""The page that tells the story of a model's life, with its pictures. It opens without any server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from model_gitops_local import demo_page
from model_gitops_local.demo_page import spell
from model_gitops_local.forge import pages

_STYLE = """
figure.wide{margin:1rem 0}figure.wide img{width:100%;border:1px solid var(--line);border-radius:6px}
table.rows td:last-child{min-width:4rem}
"""


def html(result: Mapping[str, Any]) -> bytes:
    """Return the page of what the story left in `result`."""
    body = (
        "<main><h1>A model's life</h1>"
        "<p>A model is promoted and verified, the world changes, drift is found, a new model is trained, judged"
        " and promoted; a bad one gets past the gate, fails its verification, and is taken back by itself."
        f" All of it in {spell(result['seconds'])}, on this machine.</p>"
        f"<h2>What happened</h2>{demo_page.time_line(result['hops'])}"
        f"<h2>What production ran</h2>{_ran(result['ran'])}"
        f"<h2>How well it went</h2>{_pictures(result['pictures'])}"
        "</main>"
    )
    return pages.page("A model's life", body, style=demo_page.STYLE + _STYLE)


def _ran(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in ("after", "version", "image", "commit"))
    lines = "".join(
        f"<tr><td>{spell(one['after'])}</td><td>{escape(one['version'])}</td>"
        f"<td><code>{escape(one['image'])}</code></td><td><code>{escape(one['commit'][:12])}</code></td></tr>"
        for one in rows
    )
    return f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _pictures(pictures: Sequence[Mapping[str, str]]) -> str:
    return "".join(
        f'<figure class="wide"><a href="{escape(one["file"])}"><img src="{escape(one["file"])}"'
        f' alt="{escape(one["title"])}"></a><figcaption>{escape(one["title"])}</figcaption></figure>'
        for one in pictures
    )
