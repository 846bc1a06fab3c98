"""Rule sets, branch protection, environments, and the apps and teams that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Repository, account_id

# The number that this app has on github.com.
_ACTIONS = 15368
_SINCE = "2020-01-01T00:00:00Z"
_SWITCHES = (
    "required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations",
    "required_conversation_resolution", "lock_branch", "allow_fork_syncing",
)  # fmt: skip


class Protections(Accounts):
    """Shapes of what protects a repository."""

    def app(self, slug: str) -> Json:
        """Return a GitHub App."""
        number = _ACTIONS if slug == "github-actions" else account_id(slug) % 1_000_000
        return {
            "id": number,
            "slug": slug,
            "node_id": node_id("App", number),
            "owner": self.user("github"),
            "name": slug,
            "description": "",
            "external_url": self.web,
            "html_url": f"{self.web}/apps/{slug}",
            "created_at": _SINCE,
            "updated_at": _SINCE,
            "permissions": {"metadata": "read"},
            "events": [],
        }

    def team(self, organization: str, slug: str) -> Json:
        """Return a team, as lists of people name it."""
        number = account_id(f"{organization}/{slug}")
        url = f"{self.api}/organizations/{account_id(organization)}/team/{number}"
        return {
            "id": number,
            "node_id": node_id("Team", number),
            "name": slug,
            "description": "",
            "slug": slug,
            "privacy": "closed",
            "notification_setting": "notifications_enabled",
            "permission": "pull",
            "type": "organization",
            "organization_id": account_id(organization),
            "url": url,
            "html_url": f"{self.web}/orgs/{organization}/teams/{slug}",
            "members_url": f"{url}/members{{/member}}",
            "repositories_url": f"{url}/repos",
            "parent": None,
        }

    def full_team(self, organization: str, slug: str) -> Json:
        """Return a team on its own."""
        org = f"{self.api}/orgs/{organization}"
        number = account_id(organization)
        return self.team(organization, slug) | {
            "members_count": 2,
            "repos_count": 1,
            "created_at": _SINCE,
            "updated_at": _SINCE,
            "organization": {
                "login": organization,
                "id": number,
                "node_id": node_id("Organization", number),
                "url": org,
                **{f"{one}_url": f"{org}/{one}" for one in ("repos", "events", "hooks", "issues")},
                "members_url": f"{org}/members{{/member}}",
                "public_members_url": f"{org}/public_members{{/member}}",
                "avatar_url": f"{self.web}/avatars/u/{number}",
                "description": None,
                "has_organization_projects": True,
                "has_repository_projects": True,
                **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
                "html_url": f"{self.web}/{organization}",
                "created_at": _SINCE,
                "updated_at": _SINCE,
                "archived_at": None,
                "type": "Organization",
            },
        }

    def ruleset(self, repository: Repository, ruleset: Json, *, admin: bool, whole: bool) -> Json:
        """Return a rule set. Who may bypass it is shown to those alone who may change it."""
        url = f"{self.repo_url(repository)}/rulesets/{ruleset['id']}"
        shown: Json = {
            "id": ruleset["id"],
            "name": ruleset["name"],
            "target": ruleset.get("target", "branch"),
            "source_type": "Repository",
            "source": repository.full_name,
            "enforcement": ruleset["enforcement"],
            "node_id": node_id("RepositoryRuleset", ruleset["id"]),
            "_links": {
                "self": {"href": url},
                "html": {"href": f"{self.page_url(repository)}/rules/{ruleset['id']}"},
            },
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
        }
        if not whole:
            return shown
        shown["conditions"] = ruleset.get("conditions") or {
            "ref_name": {"include": [], "exclude": []}
        }
        shown["rules"] = ruleset.get("rules") or []
        if admin:
            shown["bypass_actors"] = ruleset.get("bypass_actors") or []
            shown["current_user_can_bypass"] = "never"
        return shown

    def protection(self, repository: Repository, branch: str, given: Json) -> Json:
        """Return the protection of a branch, made from the request that set it."""
        url = f"{self.repo_url(repository)}/branches/{branch}/protection"
        shown: Json = {
            "url": url,
            "enforce_admins": {
                "url": f"{url}/enforce_admins", "enabled": bool(given.get("enforce_admins")),
            },
        }  # fmt: skip
        for name in _SWITCHES:
            shown[name] = {"enabled": bool(given.get(name))}
        if required := given.get("required_status_checks"):
            listed = required.get("checks")
            if listed is None:
                listed = [{"context": one} for one in required["contexts"]]
            # -1 asks for any app, which the answer tells as null.
            entries = [(one["context"], one.get("app_id", -1)) for one in listed]
            shown["required_status_checks"] = {
                "url": f"{url}/required_status_checks",
                "contexts_url": f"{url}/required_status_checks/contexts",
                "strict": required["strict"],
                "contexts": [name for name, _ in entries],
                "checks": [
                    {"context": name, "app_id": None if app == -1 else app} for name, app in entries
                ],
            }
        reviews = given.get("required_pull_request_reviews")
        if reviews is not None:
            shown["required_pull_request_reviews"] = self._reviews(repository, url, reviews)
        limits = given.get("restrictions")
        if limits is not None:
            place = f"{url}/restrictions"
            shown["restrictions"] = self._people(repository, limits) | {
                "url": place,
                **{f"{kind}_url": f"{place}/{kind}" for kind in ("users", "teams", "apps")},
            }
        return shown

    def _reviews(self, repository: Repository, url: str, given: Mapping[str, Any]) -> Json:
        place = f"{url}/required_pull_request_reviews"
        shown: Json = {"url": place} | {
            name: bool(given.get(name))
            for name in (
                "dismiss_stale_reviews", "require_code_owner_reviews", "require_last_push_approval",
            )
        }  # fmt: skip
        shown["required_approving_review_count"] = given.get("required_approving_review_count", 1)
        if given.get("dismissal_restrictions"):
            limits = url + "/dismissal_restrictions"
            shown["dismissal_restrictions"] = self._people(
                repository, given["dismissal_restrictions"]
            ) | {"url": limits, "users_url": f"{limits}/users", "teams_url": f"{limits}/teams"}
        allowed = given.get("bypass_pull_request_allowances")
        if allowed and any(allowed.values()):
            shown["bypass_pull_request_allowances"] = self._people(repository, allowed)
        return shown

    def _people(self, repository: Repository, given: Mapping[str, Any]) -> Json:
        return {
            "users": [self.user(one) for one in given.get("users") or ()],
            "teams": [self.team(repository.owner, one) for one in given.get("teams") or ()],
            "apps": [self.app(one) for one in given.get("apps") or ()],
        }

    def environment(self, repository: Repository, name: str, given: Json) -> Json:
        """Return an environment, made from the requests that set it."""
        number = given["id"]
        rules: list[Json] = []
        rule = {"id": number, "node_id": node_id("GateRule", number)}
        if given.get("wait_timer"):
            rules.append(rule | {"type": "wait_timer", "wait_timer": given["wait_timer"]})
        if given.get("reviewers"):
            people = [
                {
                    "type": one["type"],
                    "reviewer": self.user(one["name"])
                    if one["type"] == "User"
                    else self.team(*one["name"].split("/")),
                }
                for one in given["reviewers"]
            ]
            own = bool(given.get("prevent_self_review"))
            rules.append(
                rule
                | {"type": "required_reviewers", "prevent_self_review": own, "reviewers": people}
            )
        policy = given.get("deployment_branch_policy")
        if policy:
            rules.append(rule | {"type": "branch_policy"})
        return {
            "id": number,
            "node_id": node_id("Environment", number),
            "name": name,
            "url": f"{self.repo_url(repository)}/environments/{name}",
            "html_url": f"{self.page_url(repository)}/deployments/activity_log?environments_filter={name}",
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
            "protection_rules": rules,
            "deployment_branch_policy": policy or None,
        }

    def policy(self, policy: Json) -> Json:
        """Return which branches or tags may deploy to an environment."""
        return policy | {"node_id": node_id("GateBranchPolicy", policy["id"])}
