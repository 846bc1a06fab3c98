"""Which commit of which repository the images of a deployment are made from."""

from __future__ import annotations

from collections.abc import Sequence

from model_gitops import runner
from model_gitops.adapters import event_checkout
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import Location
from model_gitops.core.deploy.trailers import Trailers
from model_gitops.core.image.names import commit_of_tag


def made_from(
    context: runner.Context, given: Trailers, location: Location, images: Sequence[Image]
) -> tuple[str, str]:
    """Return repository and commit that the images are of: the event's, and by hand the checkout's.

    By hand a commit that the images' tags name says more than HEAD. Empty where nobody knows. Raises InputError where the event is of a change and names no commit of
    it, RefusedError where the change was given up.
    """
    checkout = event_checkout.around_us()
    if any(key.lower() == "source-commit" for key, _ in given):
        commit = ""
    else:
        commit = event_checkout.of_event(context, checkout)
        event_checkout.refuse_undeployable(context, commit)
    if context.repository or checkout is None:
        return context.repository, commit
    origin = event_checkout.origin_of(checkout, context.server_url)
    if origin is None or not origin.slug or origin.slug == location.slug:
        return "", ""  # it is on no server, or we stand in the deploy repository itself
    named = {commit_of_tag(image.tag) for image in images} - {""}
    if commit and len(named) == 1 and (found := checkout.commit_of(*named)):
        commit = found
    if commit and not checkout.run("branch", "--remotes", "--contains", commit).strip():
        runner.warning(
            f"the commit {commit[:12]} of this checkout is not pushed: nobody else can tell what is deployed",
            title="not pushed",
        )
    return origin.slug, commit
