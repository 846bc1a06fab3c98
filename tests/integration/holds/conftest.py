"""A model repository and its deploy repository on a forge: dev runs a model, the rest nothing."""

from promotion_world import copy_of, deployed

__all__ = ["copy_of", "deployed"]
