"""The demo's reports as pages that open without any server: comments with their pictures."""

from __future__ import annotations

import re
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops_local import demo_page
from model_gitops_local.forge import pages


def write_report(
    markdown: Path, server_url: str, repository: Git
) -> tuple[Path, list[dict[str, str]]]:
    """Write the page of a comment next to its Markdown file; return the page, and its pictures.

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
    return page, demo_page.pictures_of(text, assets.name)
