"""What is to be built, tested and pushed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model_gitops.actions.build_push_image.bases import Bases
from model_gitops.core.image.build import Build, Builder
from model_gitops.core.image.names import fingerprint_tag
from model_gitops.core.image.smoke import SmokeTest


@dataclass(frozen=True)
class Job:
    """What is to be built, tested and pushed. `tags` are those asked for, the commit's first.

    Without a push, or where a base image is not known, there is no fingerprint, and no tag of it.
    """

    name: str
    tags: tuple[str, ...]
    fingerprint: str
    reuse: bool
    push: bool
    build: Build
    builder: Builder
    bases: Bases
    # The variable of the build's environment → the value.
    secrets: dict[str, str] = field(repr=False)
    platforms: tuple[str, ...]
    attestations: list[str]
    test: SmokeTest | None
    # Of the test: what passed it carries it as a label.
    test_identity: str

    @property
    def fingerprint_tag(self) -> str:
        """The tag that carries the fingerprint in the registry; empty without one."""
        return fingerprint_tag(self.fingerprint) if self.fingerprint else ""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """Those asked for, and the fingerprint's."""
        return tuple(filter(None, (*self.tags, self.fingerprint_tag)))


@dataclass(frozen=True)
class Result:
    """What the registry has now under the tags; the digest is empty without a push."""

    digest: str
    operation: str
    metadata: dict[str, Any]
