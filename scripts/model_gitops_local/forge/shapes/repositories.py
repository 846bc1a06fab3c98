"""Repositories."""

from __future__ import annotations

from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Repository

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


class Repositories(Accounts):
    """Shapes of repositories."""

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
