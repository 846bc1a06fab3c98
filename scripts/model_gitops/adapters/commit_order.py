"""Which of two commits of the model repository is later: whoever knows both is asked."""

from __future__ import annotations

from model_gitops.adapters import event_checkout, git, github


def is_ancestor(ours: str, incumbent: str, api: github.GitHub | None) -> bool | None:
    """Ask the checkout around us, then GitHub, then fetch what the checkout lacks.

    None where nobody knows both commits. Raises ExternalError where somebody could not be asked.
    """
    checkout = _checkout(ours)
    shallow = checkout is not None and checkout.is_shallow()
    if checkout and checkout.commit_of(incumbent):
        # Where history is cut off, "not an ancestor" may be wrong, and "ancestor" is right.
        if checkout.is_ancestor(ours, incumbent):
            return True
        if not shallow or checkout.is_ancestor(incumbent, ours):
            return False
    if api and (answer := api.is_ancestor(ours, incumbent)) is not None:
        return answer
    if checkout is None or not checkout.has_remote():
        return None
    if not checkout.try_fetch(incumbent, *(["--unshallow"] if shallow else [])):
        return None
    return checkout.is_ancestor(ours, incumbent)


def _checkout(commit: str) -> git.Git | None:
    """Return the checkout around us if it is of the repository that has `commit`."""
    checkout = event_checkout.around_us()
    return checkout if checkout and checkout.commit_of(commit) else None
