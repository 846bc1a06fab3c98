"""The JSON that GitHub answers with, a file for each resource."""

from model_gitops_local.forge.shapes.repositories import Json, Shapes

__all__ = ["Json", "Shapes"]
