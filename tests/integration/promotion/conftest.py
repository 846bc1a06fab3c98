"""A model repository and its deploy repository on a forge: nothing is deployed yet."""

from promotion_world import flow

__all__ = ["flow"]
