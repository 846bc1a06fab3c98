"""What is verified: the deployment of an environment, and the words in which jobs hand it on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from model_gitops.core.image.names import is_digest
from model_gitops.errors import InputError

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LONGEST = 1000


@dataclass(frozen=True)
class Target:
    """One deployment, as the overlay and its deploy commit say it.

    `image` is the image's name, `digest` what the overlay pins, `commit` the model repository's commit that was
    deployed, and `also` another commit of the environment's branch with the same model, which gets the same
    status; empty for none. `model` is GTO's name, `version` and `model_hash` are empty where nobody says
    them. `since` is when the overlay came to pin it, in Unix seconds.
    """

    environment: str
    model: str
    version: str
    model_hash: str
    image: str
    digest: str
    commit: str
    also: str = ""
    since: int = 0

    @property
    def name(self) -> str:
        """The model's name without its folder."""
        return self.model.rpartition(":")[2]

    @property
    def said(self) -> str:
        """The deployment as people name it: its version, else its digest."""
        return self.version or self.short

    @property
    def short(self) -> str:
        """The digest's beginning, as people compare it."""
        return short(self.digest)

    def document(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return asdict(self)


def short(digest: str) -> str:
    """Return a digest's beginning, as the commit status names it: `sha256:` and 12 digits."""
    return digest[:19]


def read(found: Mapping[str, Any], *, source: str) -> Target:
    """Return the target that a job handed on. Raises InputError, naming `source`."""
    values = {one.name: found.get(one.name, one.default) for one in fields(Target)}
    texts = {name: value for name, value in values.items() if name != "since"}
    good = all(isinstance(one, str) and len(one) <= _LONGEST for one in texts.values())
    if (
        not good
        or not isinstance(values["since"], int)
        or not is_digest(texts["digest"])
        or not _COMMIT.fullmatch(texts["commit"])
        or (texts["also"] and not _COMMIT.fullmatch(texts["also"]))
    ):
        raise InputError(
            f"{source} does not say what is verified as this action writes it",
            fix="results: ${{ needs.wait.outputs.results }}",
        )
    return Target(**values)
