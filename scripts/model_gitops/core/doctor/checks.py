"""The checks of `doctor`, in the order in which they are told. The table of docs/doctor.md is this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model_gitops.core.doctor.finding import Finding
from model_gitops.errors import InputError

Needs = Literal["", "the DVC remote", "the deploy repository", "a token", "docker"]


@dataclass(frozen=True)
class Check:
    """One check: its name in `--json`, what it means that it is ✓, and what must be reached for it."""

    id: str
    means: str
    needs: Needs = ""


CHECKS = (
    Check("promotion", "`promotion.yaml` is there, and is what its schema says"),
    Check("model", "`dvc.yaml` names the model, and at HEAD `dvc.lock` or a `.dvc` file tracks it"),
    Check(
        "workflow-branches",
        "the workflows run for the branches of `promotion.yaml`, and name its environments",
    ),
    Check(
        "workflow-secrets",
        "what writes the deploy repository is read only in jobs that name an `environment:`",
    ),
    Check(
        "workflow-packages",
        "the jobs that push an image to GitHub's registry have `packages: write`",
    ),
    Check(
        "workflow-verify",
        "a workflow verifies each deployment for which `promotion.yaml` has `verify:`",
    ),
    Check("dockerfile", "there is a Dockerfile to build the image from, if it is built here"),
    Check(
        "token", "the server takes the token that was given, and shows the repository", "a token"
    ),
    Check("deploy-repository", "the deploy repository can be read", "the deploy repository"),
    Check("overlays", "each environment's overlay is there", "the deploy repository"),
    Check(
        "overlay-images",
        "each overlay sets the image of `promotion.yaml`, and a manifest has it",
        "the deploy repository",
    ),
    Check(
        "container-user",
        "the pods run as the user that the Dockerfile sets, and not as root where they must not",
        "the deploy repository",
    ),
    Check("container-command", "what the pods start is in the image", "the deploy repository"),
    Check(
        "container-ports",
        "the pods' ports are those of the Dockerfile, and each probe asks one of them",
        "the deploy repository",
    ),
    Check(
        "argocd-applications",
        "Argo CD's Applications, also those of an ApplicationSet, are of the deploy repository and of each overlay",
        "the deploy repository",
    ),
    Check(
        "argocd-project",
        "their AppProject allows the repository, the namespaces and the kinds",
        "the deploy repository",
    ),
    Check(
        "branch-protection",
        "the environments' branches are there, and protected as `protect` does it",
        "a token",
    ),
    Check("tag-rule", "tags of versions, stages and releases can't be moved or removed", "a token"),
    Check(
        "merge-methods", "a promotion is merged by a merge commit, and by nothing else", "a token"
    ),
    Check(
        "environments", "each GitHub environment takes deployments of its branch alone", "a token"
    ),
    Check("reviewers", "somebody must approve what is deployed to the last environment", "a token"),
    Check("secrets", "each secret that the workflows read is where they read it", "a token"),
    Check(
        "secrets-scope",
        "what writes the deploy repository is a secret of environments alone: `DEPLOY_TOKEN`, `DEPLOY_KEY`",
        "a token",
    ),
    Check(
        "actions-permissions",
        "the workflows' own token reads by default, and opens pull requests only where a workflow does so",
        "a token",
    ),
    Check(
        "deploy-branch-protection",
        "nobody but the deployer pushes to the deploy repository's branch",
        "a token",
    ),
    Check(
        "metrics",
        "each metric of the gate has a number at HEAD: in Git, or where DVC keeps it in its remote",
        "the DVC remote",
    ),
    Check(
        "champion-metrics",
        "the same at the commit that each environment runs",
        "the deploy repository",
    ),
    Check("dvc-remote", "the DVC project has a default remote"),
    Check("model-pushed", "the remote has the model of HEAD", "the DVC remote"),
    Check(
        "data-pushed",
        "the remote has all else that `dvc.lock` and `.dvc` files name at HEAD",
        "the DVC remote",
    ),
    Check("buildx", "docker has buildx, and a builder", "docker"),
    Check("base-image", "the registry has each image that the Dockerfile starts from", "docker"),
)


def nothing_asked(error: InputError) -> list[Finding]:
    """Return the findings where doctor could not even start: there is no checkout around it."""
    first, *others = (one.id for one in CHECKS)
    wrong = Finding(first, False, error.message, error.fix)
    return [
        wrong,
        *(Finding(one, None, "nothing could be asked", f"see the check {first}") for one in others),
    ]
