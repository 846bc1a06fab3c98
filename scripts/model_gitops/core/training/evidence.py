"""Which run says that the images of a training overlay train well, and what is to be done for one.

A run counts where it has exactly the overlay's images. Of those that have ended the newest decides: a
failed one takes back what an older one proved. One that goes on takes nothing away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.image.names import is_digest, split_reference
from model_gitops.core.training.runs import Run, State
from model_gitops.errors import InputError, RefusedError

Verdict = Literal["success", "failure", "error", "pending"]
VERDICTS: dict[State, Verdict] = {
    State.WAITS: "pending",
    State.RUNS: "pending",
    State.SUCCEEDED: "success",
    State.FAILED: "failure",
    State.ERROR: "error",
}
# A pod's label holds the name of its run: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
_LONGEST_NAME = 63
_KEY = 12


@dataclass(frozen=True)
class Wanted:
    """The images that a training overlay sets, and of which commit of the model repository they are.

    `workflow` is the name of the pipeline, `path` the overlay's kustomization.
    """

    environment: str
    workflow: str
    path: str
    images: tuple[Image, ...]
    commit: str

    @property
    def digests(self) -> dict[str, str]:
        """The digest that each image must have, by the image's name."""
        return {one.full_name: one.digest for one in self.images}

    @property
    def key(self) -> str:
        """What these images, and no others, have in common: 12 hex digits."""
        said = "\n".join(sorted(f"{name}@{digest}" for name, digest in self.digests.items()))
        return hashlib.sha256(said.encode()).hexdigest()[:_KEY]

    @property
    def lines(self) -> str:
        """The images as bump-kustomize-tag takes them."""
        return "\n".join(f"{one.name}={one.reference}" for one in self.images)

    def run_name(self, attempt: int) -> str:
        """Return the name of the run of these images; two callers give it the same one."""
        end = f"-{self.key}" + (f"-{attempt}" if attempt > 1 else "")
        return self.workflow[: _LONGEST_NAME - len(end)].rstrip("-.") + end

    def is_ours(self, run: Run) -> bool:
        """Whether a run was started for these images, by its name."""
        return self.key in run.name.split("-")

    def has(self, images: Iterable[str]) -> bool:
        """Whether `images` are these: each of ours is among them, and by no other digest."""
        found: dict[str, set[str]] = {}
        for one in images:
            name, _, digest = split_reference(one)
            found.setdefault(name, set()).add(digest)
        return all(found.get(name) == {digest} for name, digest in self.digests.items())

    def others(self, images: Iterable[str]) -> list[str]:
        """Return those of our images that `images` do not have, in words."""
        given = list(images)
        said = []
        for name, digest in self.digests.items():
            here = sorted({one for one in given if split_reference(one)[0] == name})
            if here != [] and all(split_reference(one)[2] == digest for one in here):
                continue
            said.append(f"{name} is {', '.join(here) if here else 'not there'}")
        return said


def wanted(
    environment: str, workflow: str, path: str, images: Sequence[Image], commit: str
) -> Wanted:
    """Return the images of an overlay. Raises RefusedError for one that is not deployed yet, or not pinned."""
    if not images:
        raise InputError(
            f"{path} has no entry under `images`, so there is no image whose run could be evidence",
            fix=f"add an entry for each step to {path}: name, newName, newTag: not-deployed-yet",
        )
    missing = [one.name for one in images if not is_digest(one.digest)]
    if missing:
        raise RefusedError(
            f"the training pipeline of {environment} has no image yet of {', '.join(missing)}: {path}",
            fix="build and push them, and set them with bump-kustomize-tag, by digest",
        )
    return Wanted(environment, workflow, path, tuple(images), commit)


class Next(Enum):
    """What is to be done: take a run's result, wait for a run, or start one."""

    TAKE = "take"
    WAIT = "wait"
    START = "start"


@dataclass(frozen=True)
class Decision:
    """What is to be done, with the run that it is about, or the name of the one to start."""

    do: Next
    run: Run | None = None
    name: str = ""


def decide(runs: Sequence[Run], asked: Wanted, *, forgiven: Collection[str] = ()) -> Decision:
    """Return what is to be done for a result of these images.

    `forgiven` are the names of runs that ended badly, and that do not count any more. A run whose images
    nobody says can fail for ours, by its name, and proves nothing.
    """
    relevant = sorted(
        (one for one in runs if _counts(one, asked)), key=lambda one: (one.started, one.name)
    )
    ended = [one for one in relevant if one.state.has_ended and one.name not in forgiven]
    going = [one for one in relevant if not one.state.has_ended]
    newest = ended[-1] if ended else None
    if newest and newest.state is State.SUCCEEDED:
        return Decision(Next.TAKE, newest)
    if going:
        return Decision(Next.WAIT, going[0])
    if newest:
        return Decision(Next.TAKE, newest)
    taken = {one.name for one in runs}
    attempt = next(n for n in range(1, len(taken) + 2) if asked.run_name(n) not in taken)
    return Decision(Next.START, name=asked.run_name(attempt))


def _counts(run: Run, asked: Wanted) -> bool:
    if run.images:
        return asked.has(run.images)
    return asked.is_ours(run) and run.state is not State.SUCCEEDED


def verdict_of(state: str) -> Verdict:
    """Return the verdict that a commit status' state is; `pending` for one that there is not."""
    return next((one for one in VERDICTS.values() if one == state), "pending")


def described(
    asked: Wanted, run: Run | None, verdict: Verdict | Literal["replaced"], why: str = ""
) -> str:
    """Return what the commit status says; `says_images` finds in it which images it is about.

    `why` is what ended the wait, where that was not the run.
    """
    reason = why or (run.reason if run else "")
    said = {
        "success": "trained well",
        "failure": f"failed: {reason}",
        "error": f"ended by an error: {reason}",
        "pending": "train",
        "replaced": "were replaced before they trained",
    }[verdict]
    return f"images {asked.key} {said}"


def says_images(asked: Wanted, description: str) -> bool:
    """Whether a commit status is about these images, and no others of the same commit."""
    return f"images {asked.key} " in f"{description} "
