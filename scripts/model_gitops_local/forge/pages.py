"""The few pages that a person looks at: a repository, a pull request, a commit, a file."""

from __future__ import annotations

import mimetypes
import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.state import Comment, Repository, State

# Comments may hold any HTML: nothing of it may run or be loaded from elsewhere.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root{color-scheme:light dark;--text:#1f2328;--quiet:#59636e;--page:#fff;--box:#f6f8fa;--line:#d1d9e0;
--link:#0969da;--good:#1a7f37;--bad:#cf222e;--wait:#9a6700;--odd:#59636e}
@media(prefers-color-scheme:dark){:root{--text:#f0f6fc;--quiet:#9198a1;--page:#0d1117;--box:#151b23;
--line:#3d444d;--link:#4493f8;--good:#3fb950;--bad:#f85149;--wait:#d29922;--odd:#9198a1}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
color:var(--text);background:var(--page);overflow-wrap:break-word}
a{color:var(--link)}article{border:1px solid var(--line);border-radius:6px;margin:1rem 0}
article>header{background:var(--box);padding:.5rem 1rem;border-bottom:1px solid var(--line)}
article>div{padding:0 1rem}table{border-collapse:collapse;display:block;width:max-content;max-width:100%;
overflow-x:auto}
td,th{border:1px solid var(--line);padding:.3rem .7rem;overflow-wrap:normal}
td:last-child{min-width:8rem}
img{max-width:100%;background:#fff}blockquote{border-left:.25rem solid var(--line);margin:1rem 0;
padding:0 1rem;color:var(--quiet)}
code,pre{background:var(--box);border-radius:4px;padding:.1rem .3rem}pre{padding:1rem;overflow:auto}
code{overflow-wrap:anywhere}pre code{padding:0;overflow-wrap:normal}td code{white-space:nowrap}
.state{color:#fff;border-radius:1rem;padding:.2rem .8rem;font-size:.9rem}
.open{background:#1a7f37}.merged{background:#8250df}.closed{background:#cf222e}
"""


def render(markdown: str) -> str:
    """Return GitHub-like HTML of Markdown; as plain text where no renderer is installed."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return f"<pre>{escape(markdown)}</pre>"
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return str(parser.render(markdown))


def page(title: str, body: str, *, style: str = "") -> bytes:
    """Return a whole page with the forge's style, and `style`, around HTML."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style>"
    )
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>".encode()


def _comments(comments: list[Comment], kind: str) -> str:
    return "".join(
        f'<article id="{kind}-{comment.id}"><header><b>{escape(comment.author)}</b> commented at '
        f"{comment.updated_at}</header><div>{render(comment.body)}</div></article>"
        for comment in comments
    )


def index(state: State) -> bytes:
    """Return the list of repositories."""
    names = [repository.full_name for repository in state.repositories.values()]
    rows = "".join(f'<li><a href="/{quote(name)}">{escape(name)}</a></li>' for name in names)
    return page("Repositories", f"<h1>Repositories</h1><ul>{rows}</ul>")


def repository(repo: Repository) -> bytes:
    """Return the page of a repository: branches and pull requests."""
    home = f"/{quote(repo.full_name)}"
    pulls = "".join(
        f'<li><a href="{home}/pull/{issue.number}">#{issue.number} {escape(issue.title)}</a> '
        f"({'merged' if issue.pull.merged_at else issue.state})</li>"
        for issue in repo.issues[::-1]
        if issue.pull
    )
    branches = "".join(
        f"<li>{escape(ref.removeprefix('refs/'))} "
        f'<a href="{home}/commit/{sha}"><code>{sha[:12]}</code></a></li>'
        for ref, (sha, kind) in Bare(Path(repo.path)).refs("refs/").items()
        if kind == "commit" and not ref.startswith("refs/pull/")
    )
    body = f"<h1>{escape(repo.full_name)}</h1><h2>Pull requests</h2><ul>{pulls}</ul>"
    return page(repo.full_name, f"{body}<h2>Refs</h2><ul>{branches}</ul>")


def pull(repo: Repository, number: int) -> bytes | None:
    """Return the page of a pull request with its comments."""
    issue = repo.issue(number)
    if issue is None or issue.pull is None:
        return None
    state = "merged" if issue.pull.merged_at else issue.state
    comments = [comment for comment in repo.comments if comment.number == number]
    reviews = "".join(
        f"<p><b>{escape(review.author)}</b>: {escape(review.state)} {escape(review.body)}</p>"
        for review in repo.reviews
        if review.number == number
    )
    title = f"{issue.title} #{number}"
    body = (
        f'<p><a href="/{quote(repo.full_name)}">{escape(repo.full_name)}</a></p>'
        f'<h1>{escape(title)}</h1><p><span class="state {state}">{state}</span> '
        f"<b>{escape(issue.author)}</b>: <code>{escape(issue.pull.base)}</code> ← "
        f"<code>{escape(issue.pull.head)}</code></p>{render(issue.body or '')}"
        f"{_comments(comments, 'issuecomment')}{reviews}"
    )
    return page(title, body)


def commit(repo: Repository, name: str) -> bytes | None:
    """Return the page of a commit with its comments."""
    bare = Bare(Path(repo.path))
    sha = bare.object(f"{name}^{{commit}}")
    if sha is None:
        return None
    found = bare.commit(sha)
    diff = bare.git.run("show", "--format=", "--stat", "--patch", sha)[:200_000]
    comments = [comment for comment in repo.commit_comments if comment.sha == sha]
    body = (
        f'<p><a href="/{quote(repo.full_name)}">{escape(repo.full_name)}</a></p>'
        f"<h1>Commit {sha[:12]}</h1><p>{escape(found.author.name)}, {found.author.date}</p>"
        f"<pre>{escape(found.message)}</pre>{_comments(comments, 'commitcomment')}"
        f"<pre>{escape(diff)}</pre>"
    )
    return page(f"Commit {sha[:12]}", body)


def raw(repo: Repository, rest: str) -> tuple[str, bytes] | None:
    """Return media type and content of `REF/PATH`; the ref may hold slashes."""
    bare = Bare(Path(repo.path))
    parts = rest.split("/")
    for end in range(1, len(parts)):
        path = "/".join(parts[end:])
        sha = bare.resolve("/".join(parts[:end]))
        content = bare.blob(f"{sha}:{path}") if sha else None
        if content is not None:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            # As on GitHub, a page from a repository is shown as text.
            if re.match(r"text/|application/(json|javascript|xml|xhtml)", kind):
                kind = "text/plain; charset=utf-8"
            return kind, content
    return None
