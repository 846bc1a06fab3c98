"""The registry of images: what it says of a name, tag and digest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from model_gitops.adapters import docker
from model_gitops.adapters.registry_client import unanswered
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.image.names import is_reference_of_image, registry_host
from model_gitops.core.image.published import Published
from model_gitops.core.lineage.facts import Stored
from model_gitops.errors import ExternalError


@dataclass(frozen=True)
class ImageRegistry:
    """Asks registries by `client`. A `tolerant` one leaves out what can't be asked, and says why.

    `silent` says by host why it can't be asked: it is not asked again for each environment, nor for an
    image that several run.
    """

    client: docker.Docker
    tolerant: bool = False
    silent: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, Published | None] = field(default_factory=dict)

    def stored(self, wanted: Image, unasked: dict[str, str]) -> Stored | None:
        """Return what the registry has of an image: its digest and its tag are asked for at once.

        None where the registry can't be asked: `unasked` then says why, for the end `registry`.
        Raises ExternalError for that where we are not tolerant.
        """
        name = wanted.new_name or wanted.name
        host = registry_host(name)
        if said := self.silent.get(host):
            unasked["registry"] = said
            return None
        references = [
            *([f"{name}@{wanted.digest}"] if wanted.digest else []),
            *([f"{name}:{wanted.tag}"] if wanted.tag else []),
        ]
        # No registry has an image whose name, tag or digest is none.
        references = [one for one in references if is_reference_of_image(one)]
        ask = partial(self.client.inspect, hidden=False)
        new = [one for one in references if one not in self._asked]
        try:
            with ThreadPoolExecutor(2) as pool:
                self._asked.update(zip(new, pool.map(ask, new), strict=True))
        except ExternalError as error:
            if not self.tolerant:
                raise
            unasked["registry"] = self.silent[host] = unanswered(error)
            return None
        answers = {one: self._asked[one] for one in references}
        pinned = answers.get(f"{name}@{wanted.digest}")
        tagged = answers.get(f"{name}:{wanted.tag}")
        found: Published | None = pinned or (None if wanted.digest else tagged)
        return Stored(
            name=name,
            tag=wanted.tag,
            digest=pinned.digest if pinned else "",
            tag_digest=tagged.digest if tagged else "",
            labels=found.labels if found else {},
        )
