"""Issues, their labels and comments."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Comment, Issue, Repository, account_id


class Issues(Accounts):
    """Shapes of issues. A pull request is one too."""

    def issue(self, repository: Repository, issue: Issue) -> Json:
        """Return an issue; a pull request's carries `pull_request`."""
        page = f"{self.page_url(repository)}/{'pull' if issue.pull else 'issues'}/{issue.number}"
        url = f"{self.repo_url(repository)}/issues/{issue.number}"
        shape: Json = {
            "id": issue.id,
            "node_id": node_id("Issue", issue.id),
            "url": url,
            "repository_url": self.repo_url(repository),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": page,
            **self._thread(repository, issue),
            "state_reason": issue.state_reason,
            "comments": sum(c.number == issue.number for c in repository.comments),
        }
        if issue.pull:
            shape["draft"] = issue.pull.draft
            shape["pull_request"] = {
                "url": f"{self.repo_url(repository)}/pulls/{issue.number}",
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": issue.pull.merged_at,
            }
        return shape

    def _thread(self, repository: Repository, issue: Issue) -> Json:
        """Return what an issue and a pull request have in common."""
        return {
            "number": issue.number,
            "state": issue.state,
            "locked": False,
            "active_lock_reason": None,
            "title": issue.title,
            "body": issue.body,
            "user": self.user(issue.author),
            "labels": [self.label(repository, name) for name in issue.labels],
            "milestone": None,
            "assignee": None,
            "assignees": [],
            "author_association": self.association(repository, issue.author),
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "closed_at": issue.closed_at,
        }

    def label(self, repository: Repository, name: str) -> Json:
        """Return a label."""
        number = account_id(f"label {name}")
        return {
            "id": number,
            "node_id": node_id("Label", number),
            "url": f"{self.repo_url(repository)}/labels/{quote(name, safe='')}",
            "name": name,
            "description": "",
            "color": "ededed",
            "default": False,
        }

    def comment(self, repository: Repository, comment: Comment) -> Json:
        """Return an issue-comment."""
        issue = repository.issue(comment.number)
        kind = "pull" if issue and issue.pull else "issues"
        page = f"{self.page_url(repository)}/{kind}/{comment.number}"
        return {
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": f"{self.repo_url(repository)}/issues/comments/{comment.id}",
            "html_url": f"{page}#issuecomment-{comment.id}",
            "issue_url": f"{self.repo_url(repository)}/issues/{comment.number}",
            "body": comment.body,
            "user": self.user(comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": self.association(repository, comment.author),
        }
