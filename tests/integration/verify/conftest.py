"""The site, for each test of this folder."""

from __future__ import annotations

from verify_site import gitea_site, github_description, server, site

__all__ = ["gitea_site", "github_description", "server", "site"]
