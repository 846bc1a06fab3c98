"""What the deploy repository says: which image was deployed with this content."""

from __future__ import annotations

from pathlib import Path

from model_gitops import runner
from model_gitops.actions.build_push_image.inputs import Inputs
from model_gitops.adapters import event_checkout, git, judging, paths, promotion_file
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.errors import ActionError


def deployed_digest(given: Inputs, fingerprint: str) -> str:
    """Return the digest of the image that was deployed with this content, or "", and say why.

    Whoever may push a branch may push tags, labels and all: only the deploy repository is believed.
    Nothing is raised: who can't be asked says "", as an image can be built instead.
    """
    config = promotion_file.place(given.config)
    if not paths.is_file(config):
        runner.say(f"no image is reused: there is no {config} that names a deploy repository")
        return ""
    context = runner.context()
    try:
        repository = git.open_repository(Path.cwd())
        base = event_checkout.base_of(context, repository)
        promotion = judging.rules(config, repository, context, base).promotion
        if not promotion.deploy_repository:
            runner.say(f"no image is reused: {config} names no deploy repository")
            return ""
        folders = promotion.overlays_of(given.name)
        if not folders:
            runner.say(f"no image is reused: {config} sets {given.name} nowhere")
            return ""
        with (
            runner.group("Asking the deploy repository for an image of this content"),
            opened_overlays(
                promotion, repository, given.token, given.ssh_key, given.deploy_branch
            ) as overlays,
        ):
            found = overlays.image_of(fingerprint, given.name, folders)
    except ActionError as error:
        fix = f" ({error.fix})" if error.fix else ""
        runner.notice(f"no image is reused: {error.message}{fix}")
        return ""
    if not found:
        runner.say(f"no image of this content was deployed from {promotion.deploy_repository}")
    return found
