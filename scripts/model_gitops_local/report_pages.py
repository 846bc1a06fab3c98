"""The demo's reports as pages that open without any server: comments with their pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops_local import lineage_picture
from model_gitops_local.forge import pages


def write_report(markdown: Path, server_url: str, repository: Git) -> Path:
    """Write the page of a comment next to its Markdown file; return the page.

    Pictures that the comment shows from a branch of `repository` are copied next to it.
    """
    assets = markdown.with_suffix(".assets")

    def picture(match: re.Match[str]) -> str:
        commit, name = match["commit"], match["name"]
        assets.mkdir(exist_ok=True)
        process.run(
            [
                "git",
                "archive",
                "--format=tar",
                f"--output={assets}/{commit}.tar",
                commit,
                "--",
                name,
            ],
            cwd=repository.directory,
        )
        process.run(["tar", "--extract", f"--file={assets}/{commit}.tar"], cwd=assets)
        (assets / f"{commit}.tar").unlink()
        return f"{assets.name}/{name}"

    link = rf"{re.escape(server_url)}/[\w.-]+/[\w.-]+/raw/(?P<commit>[0-9a-f]{{40}})/(?P<name>[\w./-]+)"
    text = re.sub(link, picture, markdown.read_text(encoding="utf-8"))
    page = markdown.with_suffix(".html")
    page.write_bytes(
        pages.page(markdown.stem, f"<article><div>{pages.render(text)}</div></article>")
    )
    return page


def write_index(
    file: Path, result: Mapping[str, Any], reports: Sequence[Path], lineage: Mapping[str, Any]
) -> Path:
    """Write the page that lists the environments, draws a lineage and links the reports."""
    environments = result["environments"]
    measured = list(next(iter(environments.values()))["metrics"])
    titles = ["environment", "version", *measured, "image digest", "deploy commit"]
    head = "".join(f"<th>{escape(title)}" for title in titles)
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{escape(one['version'])}"
        + "".join(f"<td>{one['metrics'][metric]:.4g}" for metric in measured)
        + f'<td><code title="{escape(one["image"])}">{escape(one["digest"][:19])}…</code>'
        + f"<td><code>{escape(one['deploy_commit'][:12])}</code></tr>"
        for name, one in environments.items()
    )
    refused = "".join(
        f"<li><b>{escape(one['branch'])}</b>: {escape(one['reason'])}</li>"
        for one in result["refused"]
    )
    links = "".join(
        f'<li><a href="{escape(str(path.relative_to(file.parent)))}">{escape(path.stem)}</a></li>'
        for path in reports
        if path.suffix == ".html"
    )
    body = (
        f"<h1>model-gitops demo</h1><table><tr>{head}</tr>{rows}</table>"
        f"<h2>Where production comes from</h2>{lineage_picture.draw(lineage)}"
        f"<h2>Refused</h2><ul>{refused}</ul>"
        f"<h2>Reports</h2><ul>{links}</ul>"
    )
    file.write_bytes(pages.page("model-gitops demo", body))
    return file
