"""The JSON that GitHub answers with, made from the forge's state.

A resource is one file here, and one base of `Shapes`. Pure: no Git, no network.
"""

from model_gitops_local.forge.shapes.actions import Actions
from model_gitops_local.forge.shapes.addresses import Json
from model_gitops_local.forge.shapes.commits import Commits
from model_gitops_local.forge.shapes.git import GitData
from model_gitops_local.forge.shapes.protection import Protections
from model_gitops_local.forge.shapes.pull_requests import PullRequests
from model_gitops_local.forge.shapes.repositories import Repositories

__all__ = ["Json", "Shapes"]


class Shapes(Actions, Commits, GitData, Protections, PullRequests, Repositories):
    """Builds answers for one forge, whose web address is `web`."""
