"""dev (by a push) and production (by a pull request) run v0.0.2, over v0.0.1."""

from rollbacks import incident, kept_incident

__all__ = ["incident", "kept_incident"]
