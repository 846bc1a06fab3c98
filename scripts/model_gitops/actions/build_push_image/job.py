"""What is to be built, tested and pushed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model_gitops.actions.build_push_image.bases import Bases
from model_gitops.core.image.build import Build, Builder
from model_gitops.core.image.smoke import SmokeTest


@dataclass(frozen=True)
class Job:
    """What is to be built, tested and pushed.

    `tags` has the first one that is asked for, which is the commit's unless `has_own_tag`. Without a
    push, or where a base image is not known, there is no fingerprint.
    """

    name: str
    tags: tuple[str, ...]
    has_own_tag: bool
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


@dataclass(frozen=True)
class Result:
    """What the registry has now under `tags`; the digest is empty without a push."""

    digest: str
    tags: tuple[str, ...]
    operation: str
    metadata: dict[str, Any]
