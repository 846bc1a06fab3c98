"""The model repository around us: what it is called on its server, and where that server's API is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from model_gitops import runner
from model_gitops.adapters import event_checkout, git
from model_gitops.adapters.github_client import find_api
from model_gitops.core.deploy.location import server_of


@dataclass(frozen=True)
class Place:
    """The model repository on its server: by the runner, else by the remote of the clone."""

    repository: str
    server_url: str

    @cached_property
    def api_url(self) -> str:
        """The API of the server; a server that is not the runner's is asked where it is."""
        context = runner.context()
        same = self.server_url == context.server_url
        return (context.api_url if same else "") or find_api(self.server_url)

    @classmethod
    def of(cls, checkout: git.Git) -> Place:
        """Return the place of the model repository that `checkout` is of."""
        context = runner.context()
        if context.repository:
            return cls(context.repository, context.server_url)
        origin = event_checkout.origin_of(checkout, context.server_url)
        if origin is None:
            return cls("", context.server_url)
        return cls(origin.slug, server_of(origin, server_url=context.server_url))
