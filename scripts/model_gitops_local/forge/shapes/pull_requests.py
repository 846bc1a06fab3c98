"""Pull requests and their reviews."""

from __future__ import annotations

from model_gitops_local.forge.bare import Change
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.shapes.issues import Issues
from model_gitops_local.forge.state import Issue, Pull, Repository, Review


class PullRequests(Issues):
    """Shapes of pull requests and reviews."""

    def pull(self, repository: Repository, issue: Issue, head: Json | None, base: Json) -> Json:
        """Return a pull-request-simple; `head` and `base` are repositories, as `repository` has."""
        pull = issue.pull
        if pull is None:
            raise ValueError(f"#{issue.number} is no pull request")
        page = f"{self.page_url(repository)}/pull/{issue.number}"
        url = f"{self.repo_url(repository)}/pulls/{issue.number}"
        as_issue = f"{self.repo_url(repository)}/issues/{issue.number}"
        links = {
            "self": url,
            "html": page,
            "issue": as_issue,
            "comments": f"{as_issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.repo_url(repository)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self.repo_url(repository)}/statuses/{pull.head_sha}",
        }
        return {
            "id": issue.id,
            "node_id": node_id("PullRequest", issue.id),
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "issue_url": as_issue,
            **{
                f"{name}_url": links[name]
                for name in ("commits", "review_comments", "review_comment", "comments", "statuses")
            },
            **self._thread(repository, issue),
            "draft": pull.draft,
            "requested_reviewers": [],
            "requested_teams": [],
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_commit_sha,
            "auto_merge": None,
            "head": self._end(
                pull.head_repository.partition("/")[0], pull.head, pull.head_sha, head
            ),
            "base": self._end(repository.owner, pull.base, pull.base_sha, base),
            "_links": {name: {"href": href} for name, href in links.items()},
        }

    def _end(self, owner: str, branch: str, sha: str, repository: Json | None) -> Json:
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": repository,
        }

    def pull_details(self, repository: Repository, issue: Issue, changes: list[Change]) -> Json:
        """Return what only a single pull request shows, besides `pull`."""
        pull = issue.pull or Pull("", "", "", "", "")
        merged = pull.merged_at is not None
        mergeable = None if issue.state == "closed" else pull.merge_commit_sha is not None
        return {
            "merged": merged,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "comments": sum(c.number == issue.number for c in repository.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": pull.commits,
            "additions": sum(change.additions for change in changes),
            "deletions": sum(change.deletions for change in changes),
            "changed_files": len(changes),
        }

    def review(self, repository: Repository, review: Review) -> Json:
        """Return a pull-request-review."""
        page = f"{self.page_url(repository)}/pull/{review.number}"
        page += f"#pullrequestreview-{review.id}"
        pull = f"{self.repo_url(repository)}/pulls/{review.number}"
        return {
            "id": review.id,
            "node_id": node_id("PullRequestReview", review.id),
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            "submitted_at": review.submitted_at,
            "commit_id": review.sha,
            "author_association": self.association(repository, review.author),
        }
