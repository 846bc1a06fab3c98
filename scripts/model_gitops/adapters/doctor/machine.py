"""The facts of this machine's docker, and of the registries that it asks."""

from __future__ import annotations

from model_gitops import runner
from model_gitops.adapters import docker, docker_config, scratch
from model_gitops.adapters.doctor.model_repository import Checkout
from model_gitops.core.doctor import building
from model_gitops.core.doctor.building import Base
from model_gitops.core.doctor.finding import Finding
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image import dockerfile, faults
from model_gitops.core.image.names import is_reference_of_image
from model_gitops.errors import ActionError


def buildx(promotion: Promotion) -> Finding:
    """Ask docker for buildx and its builder."""
    needed = not promotion.build.elsewhere
    driver = problem = fix = ""
    if needed:
        with scratch.folder("model-gitops-doctor-", runner.temporary_folder()) as made:
            client = docker.Docker(docker_config.private_config(made, None), say=runner.say)
            try:
                driver = client.describe_builder().driver
            except ActionError as error:
                problem, fix = error.message, error.fix
    return building.buildx(
        driver, problem, fix, is_needed=needed, is_on_runner=runner.in_workflow()
    )


def base_images(promotion: Promotion, checkout: Checkout) -> Finding:
    """Ask the registries for the images that the Dockerfile starts from."""
    text = checkout.text(promotion.build.dockerfile)
    if promotion.build.elsewhere or not text:
        return building.base_images(None)
    names = dockerfile.references(
        text, target=promotion.build.target, contexts=promotion.build.contexts or ()
    )
    with scratch.folder("model-gitops-doctor-", runner.temporary_folder()) as made:
        client = docker.Docker(docker_config.private_config(made, None), say=runner.say)
        return building.base_images([_base(client, one) for one in names])


def _base(client: docker.Docker, reference: str) -> Base:
    if not is_reference_of_image(reference):
        return Base(reference, None)
    try:
        said = client.look(reference)
    except ActionError as error:
        return Base(reference, None, f"{reference} was not asked for: {error.message}", error.fix)
    if not said:
        return Base(reference, True)
    if faults.is_not_found(said) and not faults.is_denied(said):
        return Base(
            reference,
            False,
            f"no registry has {reference}",
            f"in {'the Dockerfile'}: FROM with a tag that is there",
        )
    fix = f"docker buildx imagetools inspect {reference}"
    return Base(
        reference, None, f"no registry told of {reference}: {said.splitlines()[-1][:200]}", fix
    )
