"""Who approved a deployment in the run that made it: the reviewers of a GitHub environment."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops.adapters.github_client import Client


def approved_by(api: Client, run: int, environment: str) -> tuple[str, ...]:
    """Return the logins of the people who approved the run's deployment to `environment`, sorted.

    https://docs.github.com/en/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run
    An approval by an app, which a protection rule of its own may give, is no person's. Raises ApiError.
    """
    with api.errors(f"read who approved run {run}", "actions: read"):
        found = api.ask(f"/actions/runs/{quote(str(run))}/approvals")
        return tuple(
            sorted(
                {
                    str(one["user"]["login"])
                    for one in found
                    if one["state"] == "approved"
                    and one.get("user")  # the account may have been deleted
                    and one["user"].get("type") != "Bot"
                    and environment in [place["name"] for place in one["environments"]]
                }
            )
        )
