"""The JSON that GitHub answers with, made from the forge's state. Pure: no Git, no network."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model_gitops_local.forge.bare import Change, Commit
from model_gitops_local.forge.state import (
    Comment,
    Issue,
    Pull,
    Repository,
    Review,
    Run,
    Status,
    account_id,
)

Json = dict[str, Any]

_REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_UNVERIFIED: Json = {
    "verified": False,
    "reason": "unsigned",
    "signature": None,
    "payload": None,
    "verified_at": None,
}


def node_id(kind: str, number: int) -> str:
    """Return an opaque id, such as GraphQL would use."""
    return base64.b64encode(f"0:{kind}:{number}".encode()).decode()


class Shapes:
    """Builds answers for one forge, whose web address is `web`."""

    def __init__(self, web: str) -> None:
        self.web = web
        self.api = f"{web}/api/v3"

    def repo_url(self, repository: Repository) -> str:
        """Return the API address of a repository."""
        return f"{self.api}/repos/{repository.full_name}"

    def page_url(self, repository: Repository) -> str:
        """Return the address of a repository's page."""
        return f"{self.web}/{repository.full_name}"

    def user(self, login: str) -> Json:
        """Return a simple-user."""
        number = account_id(login)
        bot = login.endswith("[bot]")
        url = f"{self.api}/users/{quote(login)}"
        page = f"apps/{quote(login.removesuffix('[bot]'))}" if bot else quote(login)
        return {
            "login": login,
            "id": number,
            "node_id": node_id("User", number),
            "avatar_url": f"{self.web}/avatars/u/{number}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/{page}",
            **{key: url + tail for key, tail in _USER_URLS.items()},
            "type": "Bot" if bot else "User",
            "user_view_type": "public",
            "site_admin": False,
        }

    def account(self, login: str, created: str, *, private: bool) -> Json:
        """Return a public-user, or what users see of themselves (private-user)."""
        shown: Json = {
            **self.user(login),
            "name": login,
            "company": None,
            "blog": "",
            "location": None,
            "email": None,
            "hireable": None,
            "bio": None,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": created,
            "updated_at": created,
        }
        if private:
            counts = (
                "private_gists",
                "total_private_repos",
                "owned_private_repos",
                "disk_usage",
                "collaborators",
            )
            shown |= dict.fromkeys(counts, 0)
            shown |= {"two_factor_authentication": True, "user_view_type": "private"}
        return shown

    def repository(self, repository: Repository, default_branch: str) -> Json:
        """Return a full-repository, which is a repository and a minimal-repository too."""
        url, page = self.repo_url(repository), self.page_url(repository)
        opened = sum(issue.state == "open" for issue in repository.issues)
        return {
            "id": repository.id,
            "node_id": node_id("Repository", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "owner": self.user(repository.owner),
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "html_url": page,
            "description": None,
            "fork": repository.fork_of is not None,
            "url": url,
            **{key: url + tail for key, tail in _REPOSITORY_URLS.items()},
            "clone_url": f"{page}.git",
            "git_url": f"git:{page.partition(':')[2]}.git",
            "ssh_url": f"git@{self.web.partition('://')[2]}:{repository.full_name}.git",
            "svn_url": page,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "default_branch": default_branch,
            "size": 0,
            **dict.fromkeys(("forks", "forks_count", "network_count"), 0),
            **dict.fromkeys(("watchers", "watchers_count", "stargazers_count"), 0),
            "subscribers_count": 0,
            "open_issues": opened,
            "open_issues_count": opened,
            **dict.fromkeys(("has_issues", "has_downloads", "has_projects"), True),
            **dict.fromkeys(("has_wiki", "has_pages", "has_discussions"), False),
            **dict.fromkeys(("archived", "disabled", "is_template"), False),
            "topics": [],
            "allow_forking": True,
            "web_commit_signoff_required": False,
            "pushed_at": repository.created_at,
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
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

    def association(self, repository: Repository, login: str) -> str:
        """Return how an account belongs to a repository."""
        return "OWNER" if login == repository.owner else "CONTRIBUTOR"

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
            "state_reason": None,
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

    def ref(self, repository: Repository, name: str, sha: str, kind: str) -> Json:
        """Return a git-ref."""
        url = f"{self.repo_url(repository)}/git"
        return {
            "ref": name,
            "node_id": node_id(f"Ref{name}", repository.id),
            "url": f"{url}/{quote(name)}",
            "object": {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"},
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

    def content(
        self, repository: Repository, sha: str, entry: tuple[str, str, str, int, str]
    ) -> Json:
        """Return one entry of a contents answer, without the file's content."""
        mode, kind, item, size, path = entry
        what = {"tree": "dir", "commit": "submodule"}.get(kind, "file")
        what = "symlink" if mode == "120000" else what
        page = self.page_url(repository)
        url = f"{self.repo_url(repository)}/contents/{quote(path)}?ref={sha}"
        git = f"{self.repo_url(repository)}/git/{kind}s/{item}"
        html = f"{page}/{'tree' if what == 'dir' else 'blob'}/{sha}/{quote(path)}"
        return {
            "type": what,
            "size": size,
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": item,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": f"{page}/raw/{sha}/{quote(path)}" if what == "file" else None,
            "_links": {"self": url, "git": git, "html": html},
        }

    def artifact(self, repository: Repository, run: Run, name: str) -> Json:
        """Return an artifact of a workflow run."""
        number = run.artifact_ids[name]
        url = f"{self.repo_url(repository)}/actions/artifacts/{number}"
        return {
            "id": number,
            "node_id": node_id("Artifact", number),
            "name": name,
            "size_in_bytes": Path(run.artifacts[name]).stat().st_size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": False,
            "digest": None,
            **dict.fromkeys(("created_at", "updated_at", "expires_at"), run.created_at),
            "workflow_run": {
                "id": run.id,
                "head_branch": run.head_branch,
                "head_sha": run.head_sha,
            },
        }

    def run(self, repository: Repository, run: Run, base: Json, head: Json, commit: Commit) -> Json:
        """Return a workflow run, as the event of its end carries it."""
        url = f"{self.repo_url(repository)}/actions/runs/{run.id}"
        suite = f"{self.repo_url(repository)}/check-suites/{run.id}"
        parts = ("artifacts", "cancel", "jobs", "logs", "rerun")
        people = {
            role: {"name": who.name, "email": who.email}
            for role, who in (("author", commit.author), ("committer", commit.committer))
        }
        actor = self.user(run.head_repository.partition("/")[0])
        return {
            "id": run.id,
            "node_id": node_id("WorkflowRun", run.id),
            "name": run.workflow,
            "path": f".github/workflows/{run.workflow}.yml",
            "event": run.event,
            "status": "completed",
            "conclusion": run.conclusion,
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "head_commit": {
                "id": commit.sha,
                "tree_id": commit.tree,
                "message": commit.message,
                "timestamp": commit.committer.date,
                **people,
            },
            "repository": base,
            "head_repository": head,
            # GitHub leaves this empty for pull requests from forks.
            "pull_requests": [],
            "actor": actor,
            "triggering_actor": actor,
            "run_attempt": 1,
            "run_number": 1,
            "workflow_id": 1,
            "check_suite_id": run.id,
            "check_suite_node_id": node_id("CheckSuite", run.id),
            "check_suite_url": suite,
            "workflow_url": f"{self.repo_url(repository)}/actions/workflows/1",
            "url": url,
            "html_url": f"{self.page_url(repository)}/actions/runs/{run.id}",
            "previous_attempt_url": None,
            **{f"{part}_url": f"{url}/{part}" for part in parts},
            **dict.fromkeys(("created_at", "updated_at", "run_started_at"), run.created_at),
        }
