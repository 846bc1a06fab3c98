"""The site of a training, for each test of this folder."""

from __future__ import annotations

from training_site import training
from verify_site import github_description

__all__ = ["github_description", "training"]
