"""Commits, and what is said of them."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops_local.forge.bare import Change, Commit
from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Comment, Repository, Status

_UNVERIFIED: Json = {
    "verified": False,
    "reason": "unsigned",
    "signature": None,
    "payload": None,
    "verified_at": None,
}


class Commits(Accounts):
    """Shapes of commits, their files, comments and statuses."""

    def commit(self, repository: Repository, commit: Commit) -> Json:
        """Return a commit, without its files."""
        url, page = self.repo_url(repository), self.page_url(repository)
        comments = sum(c.sha == commit.sha for c in repository.commit_comments)
        people = {"author": commit.author, "committer": commit.committer}
        return {
            "sha": commit.sha,
            "node_id": node_id(f"Commit{commit.sha}", repository.id),
            "url": f"{url}/commits/{commit.sha}",
            "html_url": f"{page}/commit/{commit.sha}",
            "comments_url": f"{url}/commits/{commit.sha}/comments",
            "commit": {
                "url": f"{url}/git/commits/{commit.sha}",
                **{
                    role: {"name": person.name, "email": person.email, "date": person.date}
                    for role, person in people.items()
                },
                "message": commit.message,
                "comment_count": comments,
                "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
                "verification": _UNVERIFIED,
            },
            # Whose account an e-mail address is, the forge does not know.
            "author": None,
            "committer": None,
            "parents": [
                {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{page}/commit/{sha}"}
                for sha in commit.parents
            ],
        }

    def change(self, repository: Repository, sha: str, change: Change) -> Json:
        """Return a diff-entry: one file of a diff whose new side is the commit `sha`."""
        path, page = quote(change.path), self.page_url(repository)
        shape: Json = {
            "sha": change.sha,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": f"{page}/blob/{sha}/{path}",
            "raw_url": f"{page}/raw/{sha}/{path}",
            "contents_url": f"{self.repo_url(repository)}/contents/{path}?ref={sha}",
        }
        return shape | ({"previous_filename": change.previous} if change.previous else {})

    def commit_comment(self, repository: Repository, comment: Comment) -> Json:
        """Return a commit-comment."""
        page = f"{self.page_url(repository)}/commit/{comment.sha}"
        return {
            "id": comment.id,
            "node_id": node_id("CommitComment", comment.id),
            "url": f"{self.repo_url(repository)}/comments/{comment.id}",
            "html_url": f"{page}#commitcomment-{comment.id}",
            "body": comment.body,
            "path": comment.path,
            "position": comment.position,
            "line": comment.line,
            "commit_id": comment.sha,
            "user": self.user(comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": self.association(repository, comment.author),
        }

    def status(self, repository: Repository, status: Status, *, creator: bool = True) -> Json:
        """Return a status, or without its creator what a combined status lists."""
        shape: Json = {
            "url": f"{self.repo_url(repository)}/statuses/{status.sha}",
            "avatar_url": self.user(status.author)["avatar_url"],
            "id": status.id,
            "node_id": node_id("StatusContext", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created_at,
            "updated_at": status.created_at,
        }
        return shape | ({"creator": self.user(status.author)} if creator else {})
