"""A rollback: which of the images that an environment ran comes back, and how its commit says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.deploy import history
from model_gitops.core.deploy.history import Brought, Change, State
from model_gitops.core.deploy.kustomization import Image, artifact_entry
from model_gitops.core.deploy.trailers import LONGEST_TRAILER, Trailers
from model_gitops.core.gto.tags import is_version
from model_gitops.core.line import shortened
from model_gitops.core.markdown import escape
from model_gitops.errors import InputError, RefusedError

_LONGEST_REASON = 500
# A rollback went back to one of so many images before it.
_FURTHEST = 100
# The trailers of the deployment that comes back, which the rollback's commit repeats.
_REPEATED = (
    "Model",
    "Model-Version",
    "Model-Hash",
    "Model-SHA256",
    "Model-Artifact",
    "Image-Digest",
    "Image-Fingerprint",
    "Source-Repository",
    "Source-Commit",
)


@dataclass(frozen=True)
class Asked:
    """What a person asked for.

    `version` is empty for the last good one, `run` is the address of the workflow run, empty without one.
    `digest` is that of the image that is to go, empty for whatever runs.
    """

    environment: str
    model: str
    version: str = ""
    reason: str = ""
    by: str = ""
    run: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Target:
    """The image that comes back: `image` as the overlay had it, by the deployment `change`."""

    image: Image
    change: Change
    version: str

    @property
    def name(self) -> str:
        """The version, or where no deployment names one, the image."""
        return self.version or self.image.reference


def parse_version(text: str, model: str) -> str:
    """Return `text` as GTO writes a version: people leave out its `v`, or put the model before it.

    Empty stays empty. Raises InputError.
    """
    plain = text.strip()
    name, at, rest = plain.rpartition("@")
    if at and name == model:
        plain = rest
    version = plain if not plain or plain.startswith("v") else f"v{plain}"
    if version and not is_version(version):
        raise InputError.of(
            "version",
            text,
            "it is no version as GTO writes it",
            fix="version: v1.2.3, or leave `version` out: the last good one is taken",
        )
    return version


def one_line(text: str) -> str:
    """Return a reason or a name as one line; what is too long is cut: no rollback fails for its words."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return shortened(line, _LONGEST_REASON)


def decided(by: str, person: str) -> str:
    """Return who went back: `person`, or the program `by` that this person's run had decide."""
    program = one_line(by)[:100]
    return f"{program}, run by {person}" if program else person


def earlier(
    changes: Iterable[Change], model: str, brought: Brought = lambda change: {}
) -> Iterator[Target]:
    """Yield what ran before what runs now and was not taken back, the newest first.

    `changes` are those of the overlay's entry, newest first; no more of them is read than needed. What
    lies between a rollback (by the trailer, or by a revert) and the deployment that it went back to
    was taken back.
    """
    known = _Growing(history.states(changes, model))
    now = known.at(0)
    present = now.image.digest if now and now.image else ""
    place = 1
    while now and (state := known.at(place)):
        found = state.deployment
        if state.image is None or not state.image.digest:
            place += 1
            continue
        if found is None or found.is_rollback:
            same = known.find(state.image, place + 1)
            if same is not None:
                place = same
                continue
            found = found or history.deployment(known.read, place, brought)
        if found and found.says_its_digest and state.image.digest != present:
            yield Target(state.image, found, history.version_of(found, model))
        place += 1


class _Growing:
    """The states of an entry, which are read as they are asked for."""

    def __init__(self, states: Iterator[State]) -> None:
        self._states = states
        self.read: list[State] = []

    def at(self, place: int) -> State | None:
        while len(self.read) <= place:
            one = next(self._states, None)
            if one is None:
                return None
            self.read.append(one)
        return self.read[place]

    def find(self, image: Image, place: int) -> int | None:
        """Return the first place from `place` on that has this image, or None: it looks so far back."""
        last = place + _FURTHEST
        while place < last and (state := self.at(place)):
            if state.image == image:
                return place
            place += 1
        return None


def names_version(trailers: Mapping[str, Sequence[str]], model: str, version: str) -> bool:
    """Whether the trailers of a commit name this version of the model."""
    models = trailers.get("model", ())
    own = model in models and version in trailers.get("model-version", ())
    return f"{model}@{version}" in models or own


def versions(changes: Iterable[Change], model: str) -> list[str]:
    """Return the versions that these commits say they deployed, each once, the newest first."""
    named = [
        name.partition("@")[2] if name.startswith(f"{model}@") else history.version_of(one, model)
        for one in changes
        for name in one.trailers.get("model", ())
    ]
    return list(dict.fromkeys(one for one in named if one))


def refuse_version(asked: Asked, known: Sequence[str]) -> RefusedError:
    """Return the refusal of a version that was never deployed to the environment."""
    names = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return RefusedError(
        f"{asked.model} {asked.version} was never deployed to {asked.environment};"
        f" these were: {names or 'none that a deploy commit names'}",
        fix=f"version: {known[0]}" if known else "promote a version to it first",
    )


def refuse_nothing(asked: Asked, now: str, skipped: Sequence[str] = ()) -> RefusedError:
    """Return the refusal where no good version was deployed before `now`, the one that runs."""
    if skipped:
        return RefusedError(
            f"{asked.environment} runs {now}, and no version before it was good: the verification of"
            f" {', '.join(skipped)} failed",
            fix=f"version: {skipped[0]}, if that is still better than what runs; or promote a fixed version",
        )
    runs = f"runs {now}, its first deployment" if now else "runs nothing"
    return RefusedError(
        f"{asked.environment} {runs}: there is nothing to go back to",
        fix=f"stop promotions meanwhile: model-gitops hold-environment --environment {asked.environment};"
        " then promote a fixed version, or revert the deploy commit to run nothing",
    )


def artifact(asked: Asked, target: Target, entry: str, entries: Iterable[Image]) -> Image | None:
    """Return the entry of the model's artifact, as it comes back with the image of `entry`.

    None where the overlay has no such entry. Raises RefusedError where the deployment that comes back had none:
    the old image would then serve the new model.
    """
    name = artifact_entry(entry)
    if not any(one.name == name and not one.is_placeholder for one in entries):
        return None
    said = history.said(
        target.change.trailers, "model-artifact", model=asked.model, digest=target.image.digest
    )
    repository, _, digest = said.partition("@")
    if not digest:
        raise RefusedError(
            f"the deployment of {target.name} says no Model-Artifact, and {asked.environment} pulls its model by the"
            f" entry {name}: its image alone can't come back",
            fix="give a later `version`, or revert the deploy commits that came after it",
        )
    return Image(name, repository, "", digest)


def trailers(asked: Asked, target: Target, now: str, reached: str) -> Trailers:
    """Return the trailers of the rollback's commit.

    `now` is the version that it takes back, `reached` the latest commit of the model repository that
    the environment has seen: a late run of it, or of an older one, is no deployment any more. Either
    is empty where nobody knows.
    """
    digest = target.image.digest
    said = [
        (key, history.said(target.change.trailers, key.lower(), model=asked.model, digest=digest))
        for key in _REPEATED
    ]
    more = [
        ("Rollback", "true"),
        ("Rollback-From", reached),
        ("Rollback-Version", now),
        ("Rollback-By", asked.by),
        ("Rollback-Reason", asked.reason),
        ("Rollback-Run", asked.run),
    ]
    return tuple((key, value[:LONGEST_TRAILER]) for key, value in [*said, *more] if value)


def subject(asked: Asked, target: Target) -> str:
    """Return the first line of the commit, and the title of the pull request."""
    name = re.sub(r"\s+", "", target.name)
    return f"Roll back {asked.model} to {name} in {asked.environment}"[:200]


def sentence(asked: Asked, target: Target, now: str) -> str:
    """Say the decision as `status` does: `v0.0.1, rolled back from v0.0.2 by Ada: p95 too high`."""
    why = f": {asked.reason}" if asked.reason else ""
    return f"{target.name}, rolled back from {now or 'what ran'} by {asked.by}{why}"


def merge_text(asked: Asked, said: str) -> str:
    """Return the first paragraph of the pull request, as Markdown."""
    name = escape(asked.environment)
    return (
        f"**Rolls {name} back:** {escape(said, longest=2 * _LONGEST_REASON)}. Once this is merged, {name} is"
        " held: it takes no promotion until somebody releases it."
    )


def reached(changes: Iterable[Change], model: str) -> str:
    """Return the latest commit that the newest of `changes` with an origin has reached, or empty."""
    for one in changes:
        digest = one.image.digest if one.image else ""
        if found := history.origin(one.trailers, model=model, digest=digest):
            return found.reached
    return ""
