"""A model repository and its deploy repository on a forge, as for the promotions."""

from promotion_world import copy_of, deployed, flow

__all__ = ["copy_of", "deployed", "flow"]
