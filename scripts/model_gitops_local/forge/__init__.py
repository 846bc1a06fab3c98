"""A stand-in for GitHub on loopback: REST API, Git over smart HTTP, and the pages people see."""

from model_gitops_local.forge.server import Forge
from model_gitops_local.forge.state import Token

__all__ = ["Forge", "Token"]
