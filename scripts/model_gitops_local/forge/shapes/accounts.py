"""People and bots."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops_local.forge.shapes.addresses import Addresses, Json, node_id
from model_gitops_local.forge.state import Repository, account_id

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


class Accounts(Addresses):
    """Shapes of accounts."""

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

    def association(self, repository: Repository, login: str) -> str:
        """Return how an account belongs to a repository."""
        return "OWNER" if login == repository.owner else "CONTRIBUTOR"
