"""The site, for each test of this folder."""

from __future__ import annotations

from verify_site import server, site

__all__ = ["server", "site"]
