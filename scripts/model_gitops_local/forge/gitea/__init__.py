"""A stand-in for Gitea and Forgejo: the forge's state, told by the part of Gitea's API that we use."""

from model_gitops_local.forge.gitea.server import GiteaForge, strict_gitea

__all__ = ["GiteaForge", "strict_gitea"]
