"""What an image is made of, and the fingerprint of it: equal content, equal fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# Changes when the recipe of the fingerprint does: old images are then built anew, once.
_RECIPE = "3"


class Entry(NamedTuple):
    """One file of a build context: POSIX path, kind (`file`, `exec`, `link`, `folder`), sha256.

    A link's hash is of its target's text; an empty folder has none. Owners and times don't count,
    and of the mode only the executable bit, as in Git: two checkouts of one commit are equal. What a
    step set beyond that (setuid, setgid, sticky) is part of the kind: `file4000`.
    """

    path: str
    kind: str
    sha256: str


@dataclass(frozen=True)
class Content:
    """All that an image is made of. Labels, tags, caches and secrets are not part of it."""

    files: Sequence[Entry]
    dockerfile: bytes
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    # Named contexts: a folder's entries, or the reference as it was given.
    contexts: Mapping[str, Sequence[Entry] | str] = field(default_factory=dict)
    # The images that the build takes from registries → the digest, "" where it is not known.
    images: Mapping[str, str] = field(default_factory=dict)
    platforms: Sequence[str] = ()
    model_hash: str = ""
    attestations: tuple[str, str] = ("", "")

    @property
    def dockerfile_text(self) -> str:
        """The Dockerfile as text; bytes that are no UTF-8 are replaced."""
        return self.dockerfile.decode("utf-8", errors="replace")


def fingerprint(content: Content) -> str:
    """Return the content's fingerprint, 40 hex digits: equal content, equal fingerprint."""
    # Canonical JSON keeps the parts apart: no value can pretend to be two.
    parts = {
        "recipe": _RECIPE,
        "files": _rows(content.files),
        "dockerfile": hashlib.sha256(content.dockerfile).hexdigest(),
        "target": content.target,
        "build-args": dict(content.build_args),
        "contexts": {
            name: value if isinstance(value, str) else _rows(value)
            for name, value in content.contexts.items()
        },
        "images": dict(content.images),
        "platforms": sorted(content.platforms),
        "model-hash": content.model_hash,
        "attestations": list(content.attestations),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _rows(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries)  # a list of path, kind and hash each, as JSON has it
