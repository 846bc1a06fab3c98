"""The history of one image in an overlay: by which deployment it is there, and what was taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin, is_rollback, origin_of, read_trailers

# What each value of a trailer is of, where a commit may set several: the others are of the commit.
_OF_A_MODEL = ("model", "model-version", "model-hash", "model-sha256", "model-artifact")
_OF_AN_IMAGE = ("image-digest", "image-fingerprint")
# Two models may come from two repositories; of one they have this in common.
_OF_A_SOURCE = ("source-repository", "source-commit", "rollback-from")


@dataclass(frozen=True)
class Change:
    """A commit that changed an overlay's file. `image` is the entry as it left it, None for none.

    `by` is its author's name, and `trailers` are those of its message, or, where a squash merge lost
    them, those of the pull request that it merged.
    """

    commit: str
    image: Image | None
    message: str = ""
    by: str = ""
    trailers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, commit: str, image: Image | None, message: str, by: str) -> Change:
        """Return the change with the trailers of its message."""
        return cls(commit, image, message, by, read_trailers(message))

    @property
    def says_its_digest(self) -> bool:
        """Whether the trailers name the digest that the entry has by it."""
        digest = self.image.digest if self.image else ""
        return bool(digest) and digest in self.trailers.get("image-digest", ())

    @property
    def is_rollback(self) -> bool:
        """Whether the deployment says that it goes back on purpose."""
        return is_rollback(self.trailers)


@dataclass(frozen=True)
class Standing:
    """How an entry came to be what it is.

    `arrival` is the commit by which it is so, `deployment` the one that first set this image and says
    where it comes from; None where no deployment did. `taken_back` is the newest deployment, where a
    person went back to an older image: by a revert, by hand, or by the trailer `Rollback: true`.
    `is_new` says that the entry has what it had before its first deployment.
    """

    arrival: Change | None = None
    deployment: Change | None = None
    taken_back: Change | None = None
    is_new: bool = False


# What the pull request of a change says that a squash merge left without trailers.
Brought = Callable[[Change], Mapping[str, Sequence[str]]]


def standing(
    changes: Iterable[Change], model: str, brought: Brought = lambda change: {}
) -> Standing:
    """Return how the entry came to be what it is, by the `changes` of its file, newest first.

    No more of them is read than needed: as a rule the newest one that sets the entry tells.
    """
    found = states(changes, model)
    now = next(found, None)
    if now is None:
        return Standing(is_new=True)
    own = now.deployment
    if own and not own.is_rollback:
        return Standing(now.arrival, own)
    known = [now, *found]
    deployments = [deployment(known, place, brought) for place in range(len(known))]
    if not any(deployments):
        return Standing(now.arrival, is_new=True)
    mine = deployments[0]
    # The state that a person went back to: its newest deployment that went forward.
    same = [place for place, one in enumerate(known) if place and one.image == now.image]
    first = next((place for place in same if _goes_on(deployments[place])), None)
    if first is None and mine is None:
        # What it had before its first deployment, or what somebody wrote.
        untouched = bool(same) and not any(deployments[same[-1] :])
        later = next((one for one in deployments if _goes_on(one)), None) if untouched else None
        return Standing(now.arrival, taken_back=later, is_new=untouched)
    if first is None and not (mine and mine.is_rollback):
        return Standing(now.arrival, mine)
    later = next((one for one in deployments[1:first] if _goes_on(one)), None)
    return Standing(
        now.arrival,
        mine if first is None else deployments[first],
        later or _written(known, range(1, first or 1)),
    )


@dataclass(frozen=True)
class State:
    """One image that the entry had: by which commit it came, and which of its commits deployed it."""

    image: Image | None
    arrival: Change
    deployment: Change | None


def states(changes: Iterable[Change], model: str) -> Iterator[State]:
    """Yield the images that the entry had, the newest first, each as soon as it is known."""
    run: list[Change] = []
    for change in changes:
        if run and change.image != run[-1].image:
            yield _state(run, model)
            run = []
        run.append(change)
        if change.says_its_digest and _names(change, model) and not change.is_rollback:
            # Whatever was before: this deployment says all that is asked.
            yield State(change.image, change, change)
            run = []
    if run:
        yield _state(run, model)


def _state(run: Sequence[Change], model: str) -> State:
    arrival = run[-1]
    # What left the entry as it was may have deployed another one, with the same digest.
    named = (one for one in run if one.says_its_digest and (one is arrival or _names(one, model)))
    return State(arrival.image, arrival, next(named, None))


def _names(change: Change, model: str) -> bool:
    return any(one.partition("@")[0] == model for one in change.trailers.get("model", ()))


def deployment(known: Sequence[State], place: int, brought: Brought) -> Change | None:
    """Return the deployment of one state, also of one whose trailers a squash merge lost."""
    state = known[place]
    if state.deployment or not (state.image and state.image.digest):
        return state.deployment
    if _is_known(known, place):
        return None  # somebody went back to it
    trailers = brought(state.arrival)
    found = replace(state.arrival, trailers=trailers)
    return found if found.says_its_digest else None


def _written(states: Sequence[State], places: Iterable[int]) -> Change | None:
    """Return the newest change among `places` that pinned another image, of which nobody says more."""
    for place in places:
        image = states[place].image
        if image and image.digest and not _is_known(states, place):
            return states[place].arrival
    return None


def version_of(change: Change, model: str) -> str:
    """Return the version of `model` that a deployment says it sets; empty where it says none."""
    digest = change.image.digest if change.image else ""
    name, _, version = said(change.trailers, "model", model=model, digest=digest).partition("@")
    if name != model:
        return ""
    return version or said(change.trailers, "model-version", model=model, digest=digest)


def _is_known(states: Sequence[State], place: int) -> bool:
    """Whether the entry had the image of this state earlier, too."""
    return any(one.image == states[place].image for one in states[place + 1 :])


def _goes_on(change: Change | None) -> bool:
    return change is not None and not change.is_rollback


def said(trailers: Mapping[str, Sequence[str]], key: str, *, model: str, digest: str) -> str:
    """Return what a deploy commit says by `key` of one model and image; empty where it does not.

    A commit may set the images of several models, and several images of one: a value belongs to the
    model, or to the digest, of its place. Where it can't be told whose a value is, it is nobody's.
    """
    values = trailers.get(key) or ()
    models = [one.partition("@")[0] for one in trailers.get("model") or ()]
    digests = trailers.get("image-digest") or ()
    if len(values) < 2 and len(models) < 2 and len(digests) < 2:
        return values[-1] if values else ""
    by_model = [place for place, one in enumerate(models) if one == model]
    by_digest = [place for place, one in enumerate(digests) if one == digest]
    of_model = by_model if len(models) == len(values) else []
    of_image = by_digest if len(digests) == len(values) else []
    if key in _OF_A_SOURCE:
        places = of_model if len(of_model) == 1 else [*of_model, *of_image][-1:]
        common = len(values) == 1 or set(models) <= {model}
        return values[places[0]] if places else values[-1] if values and common else ""
    if key in _OF_A_MODEL:
        if models == [model]:
            return values[-1] if values else ""  # several images of one model
        # The same model twice: a squash merge of several deployments.
        places = of_model if len(of_model) == 1 else [*of_model, *of_image][-1:]
        return values[places[0]] if places else _of_all(values, models)
    if key in _OF_AN_IMAGE:
        places = of_image if len(of_image) == 1 else of_model[-1:]
        return values[places[0]] if places else _of_all(values, digests)
    return values[-1] if values else ""


def origin(trailers: Mapping[str, Sequence[str]], *, model: str, digest: str) -> Origin | None:
    """Return where a deploy commit says that the image of one model comes from, or None."""
    own = {key: said(trailers, key, model=model, digest=digest) for key in _OF_A_SOURCE}
    return origin_of({**trailers, **{key: [value] for key, value in own.items()}})


def _of_all(values: Sequence[str], named: Sequence[str]) -> str:
    """Return the last value where nothing is named that it could be of; else it is another's."""
    return values[-1] if values and not named else ""


# What Git and servers write by themselves where somebody takes a commit back.
_BOILERPLATE = re.compile(
    r"This reverts commit [0-9a-f]{7,64}"
    r"(?:\s+\([^\n]*\)|,\s+reversing\s+changes\s+made\s+to\s+[0-9a-f]{7,64})?\.?"
    r"|^Reverts \S*[#!]\d+\.?$"
    r'|^(?:\* )?(?:Revert|Reapply) ".*$'
    r"|^(?:\* )?(?:Deploy|Bump) .*$"
    r"|^(?:\* )?Roll back \S+ to \S+ in \S+(?: \(#\d+\))?$"
    r"|^Merge (?:pull request|branch) .*$"
    r"|^(?:Model|Rollback|[A-Za-z]+(?:-[A-Za-z0-9]+)+): .*$",
    re.MULTILINE,
)


def reason(message: str) -> str:
    """Return why somebody went back, as one line: what of the message no program wrote; else empty."""
    lines = _BOILERPLATE.sub("", message).splitlines()
    return " ".join(" ".join(line.removeprefix("* ").split()) for line in lines if line.strip())
