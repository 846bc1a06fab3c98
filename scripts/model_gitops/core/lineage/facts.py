"""The facts of a lineage, from the deploy commit to the data, each as its own source says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from model_gitops.core.deploy.history import Change, Standing, origin, reason, said, version_of
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin
from model_gitops.core.dvc.pipeline import Recipe
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image.labels import FINGERPRINT_LABEL, MODEL_LABELS, REVISION_LABEL
from model_gitops.core.image.names import commit_of_tag, is_digest
from model_gitops.errors import InputError


@dataclass(frozen=True)
class WentBack:
    """What a person took back: an `image`, the `version` of it, and the `origin` it came from.

    `version` is empty and `origin` None where no deployment says them; `is_same` says that what runs
    instead is of the same version. `by` is who did it, `reason` what that person wrote, if anything,
    and `commit` the one that did it.
    """

    image: Image
    version: str = ""
    origin: Origin | None = None
    by: str = ""
    reason: str = ""
    commit: str = ""
    is_same: bool = False

    @classmethod
    def of(cls, standing: Standing, model: str) -> WentBack | None:
        """Return what was taken back, by the history of an overlay's entry; None for nothing."""
        taken, arrival = standing.taken_back, standing.arrival
        if taken is None or taken.image is None or arrival is None:
            return None
        version = version_of(taken, model)
        return cls(
            taken.image,
            version,
            origin(taken.trailers, model=model, digest=taken.image.digest),
            *_who_and_why(arrival),
            arrival.commit,
            standing.deployment is not None and version == version_of(standing.deployment, model),
        )

    @property
    def sentence(self) -> str:
        """What happened, as people say it."""
        what = self.version or self.image.reference
        if self.version and self.is_same and self.origin:
            what += f" with the code of {self.origin.commit[:12]}"
        return f"rolled back from {what} by {self.by}{f': {self.reason}' if self.reason else ''}"


def _who_and_why(arrival: Change) -> tuple[str, str]:
    """Return who went back, and the reason: what a rollback's trailers say, else author and message."""
    trailers = arrival.trailers if arrival.is_rollback else {}
    by, why = ((trailers.get(f"rollback-{key}") or [""])[-1] for key in ("by", "reason"))
    return by or arrival.by, why or reason(arrival.message)


@dataclass(frozen=True)
class Deployed:
    """What an overlay sets, and the deploy commit that set it.

    `recorded` is the image as that commit has it, None where no such commit is found. `since` is
    when the overlay came to set it, in Unix seconds, and `age` the seconds since then. `waiting` are
    the trailers of our own pull request that is not merged yet, empty where none is open, and
    `proposed_in` is its address.
    `overruled` is another entry of the overlay that changes this image too. `is_new` says that the
    entry has what it had before its first deployment, and `missing` why there is none. `back` is what
    a rollback took back: the deploy commit is then the older one. `model` is whose entry it is.
    """

    repository: str
    branch: str
    path: str
    image: Image
    commit: str = ""
    recorded: Image | None = None
    trailers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: int = 0
    age: float = 0
    waiting: Mapping[str, Sequence[str]] = field(default_factory=dict)
    overruled: Image | None = None
    is_new: bool = False
    missing: str = ""
    back: WentBack | None = None
    model: str = ""
    proposed_in: str = ""
    # The overlay's entry that says the model's artifact; None where nothing is set.
    artifact: Image | None = None

    @property
    def name(self) -> str:
        """The image's name, where it is pulled from."""
        return self.image.new_name or self.image.name

    @property
    def runs_nothing(self) -> bool:
        """Whether nothing was deployed here, and no image is pinned all the same.

        A digest of one digit repeated is none: nobody has an image with it.
        """
        return self.is_new and not (
            is_digest(self.image.digest) and len(set(self.image.digest.partition(":")[2])) > 1
        )

    def says(self, key: str, model: str = "") -> str:
        """Return what the deploy commit says by a trailer of this image and `model`; else empty."""
        return said(self.trailers, key, model=model, digest=self.image.digest)

    def proposes(self, key: str) -> str:
        """Return the last value of a trailer of the pull request that waits, or an empty string."""
        return (self.waiting.get(key) or [""])[-1]

    @property
    def proposal(self) -> str:
        """What the pull request that waits would deploy, as a short phrase; empty for none."""
        if not self.waiting:
            return ""
        proposed = self.proposes("model") or self.proposes("source-commit")[:12]
        return f"{proposed or 'an image'} in the deploy pull request"

    @property
    def origin(self) -> Origin | None:
        """Where the deploy commit says that the image comes from, and what was taken back."""
        found = origin(self.trailers, model=self.model, digest=self.image.digest)
        if found is None or self.back is None:
            return found
        later = self.back.origin
        reached = later.reached if later else commit_of_tag(self.back.image.tag)
        return replace(found, rolled_back=reached or found.rolled_back)


@dataclass(frozen=True)
class Stored:
    """What the registry says of `name:tag@digest`; empty strings for what it does not have.

    `digest` is that of the image asked for, `tag_digest` what its tag names now.
    """

    name: str
    tag: str
    digest: str
    tag_digest: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The image as `name:tag@digest`."""
        return Image(self.name, "", self.tag, self.digest).reference

    @property
    def model_hash(self) -> str:
        """The model's hash that the image's label says."""
        return self.labels.get(f"{MODEL_LABELS}.hash", "")

    @property
    def model_name(self) -> str:
        """The model's name that the image's label says."""
        return self.labels.get(f"{MODEL_LABELS}.name", "")

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the image's content that its label says."""
        return self.labels.get(FINGERPRINT_LABEL, "")

    @property
    def revision(self) -> str:
        """The commit that the image was built from: of a promoted image an earlier hop's."""
        return self.labels.get(REVISION_LABEL, "")


@dataclass(frozen=True)
class ModelArtifact:
    """What the registry has of the model's artifact, `repository@digest`, that the deploy commit says.

    `found` says whether it is there, None where nobody could ask, for which `problem` says why. `sha256` is that of
    the model in it, empty where it holds none. `signature` is None where promotion.yaml demands none.
    """

    reference: str
    found: bool | None = None
    sha256: str = ""
    problem: str = ""
    signature: Signed | None = None


@dataclass(frozen=True)
class Source:
    """A commit of the model repository, and the model that its dvc.lock names.

    `known` says whether the repository has the commit, `branch` is the environment's, `on_branch`
    None where nobody can tell. `tip` and `tip_hash` are the branch's newest commit and its model,
    `tip_age` the seconds since it was made; `tip` is empty where the server has no such branch.
    `tip_taken_back` says that a rollback took it back. `edited` are DVC's files that the checkout,
    which is at this commit, has otherwise.
    """

    commit: str
    known: bool = True
    model_path: str = ""
    model_hash: str = ""
    problem: str = ""
    branch: str = ""
    on_branch: bool | None = None
    tip: str = ""
    tip_hash: str = ""
    tip_age: float = 0
    tip_taken_back: bool = False
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registered:
    """A version as GTO's tags have it; `commit` is empty where there is no such version.

    `sha256` is what the tag's message records of the file with `model_hash`; empty for nothing.
    """

    model: str
    version: str
    tag: str = ""
    commit: str = ""
    model_hash: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """The version as people write it: `diabetes@v1.2.3`."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True)
class Pull:
    """A merged pull request, and who approved it.

    `head` is the branch that it came from, and `fork` the repository of that branch, empty for our
    own. `commit` is the commit of `head` that was merged. `approved_by` approved that one,
    `approved_older` only an older one: (login, commit).
    """

    number: int
    url: str
    base: str
    approved_by: tuple[str, ...] = ()
    approved_older: tuple[tuple[str, str], ...] = ()
    head: str = ""
    fork: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Approval:
    """Who said yes to a deployment, sorted, and where: a workflow run, or a deploy pull request."""

    where: str
    url: str
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Before:
    """The environment before, and the deploy commit by which it ran the same digest.

    `path` is its kustomization, and `image` what that commit set there. `commit` is empty where it
    never ran it; `problem` says why nobody can tell.
    """

    environment: str
    path: str = ""
    commit: str = ""
    problem: str = ""
    image: Image | None = None


@dataclass(frozen=True)
class Signed:
    """What was asked of a deployed image's signature: who must have made it, and what it must say.

    `problem` is why there is no such signature, empty where there is one.
    """

    by: str
    says: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Trace:
    """All that was found about one subject: an environment, an image or a version.

    What was not asked for, or has no place here, is None; `unasked` says why, by the link's end.
    `held` is the version that the environment's stage holds, empty for none, `held_hash` its model
    and `held_problem` why that can't be said; `held_since` is when a tag last said so, in Unix
    seconds. `moves_early` says, where pull requests move the stage
    before they merge, whether one with the held model is open; None for the other rule, and
    `unasked` where nobody could tell. `image` is promotion.yaml's, `tagged` the digest that its tag
    of the source commit names. `by_pull` says whether only a merged pull request may deploy here,
    `repository` where we look for the source commit. `flow` is promotion.yaml: it says from which
    branch the pull request must come, and how many must have approved it. `built_by` is the one of the
    source commit, by which the image was made. `before` is None for the first environment.
    """

    subject: str
    model: str
    environment: str = ""
    # Where it is not the environment's name.
    stage_name: str = ""
    deployed: Deployed | None = None
    stored: Stored | None = None
    built: Source | None = None
    source: Source | None = None
    version: Registered | None = None
    held: str | None = None
    held_hash: str = ""
    held_problem: str = ""
    held_since: int = 0
    moves_early: bool | None = None
    image: str = ""
    tagged: str = ""
    by_pull: bool = False
    repository: str = ""
    flow: Promotion | None = None
    built_by: Promotion | None = None
    before: Before | None = None
    recipe: Recipe | None = None
    pull: Pull | None = None
    deploy_pull: Pull | None = None
    # None where nobody was asked.
    approval: Approval | None = None
    # None where promotion.yaml demands no signature.
    signature: Signed | None = None
    # None where the deploy commit says none.
    artifact: ModelArtifact | None = None
    unasked: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The GTO stage of the environment."""
        return self.stage_name or self.environment

    @property
    def is_built_elsewhere(self) -> bool:
        """Whether promotion.yaml of the source commit, else of now, says that no workflow of ours built it."""
        flow = self.built_by or self.flow
        return flow is not None and flow.build.elsewhere != ""


class NothingDeployed(InputError):
    """An environment runs nothing.

    `waiting` says what its first deployment would be, `proposed_in` is the address of its pull request,
    and `said` what else people should know.
    """

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        waiting: str = "",
        proposed_in: str = "",
        said: Sequence[str] = (),
    ) -> None:
        super().__init__(message, fix=fix)
        self.waiting = waiting
        self.proposed_in = proposed_in
        self.said = tuple(said)


def pick(images: Sequence[Image], model: str, name: str, *, source: str) -> Image:
    """Return the overlay's entry for the model: of its name, else of the image `name`.

    Raises InputError that lists the entries there are.
    """
    for found in (
        [one for one in images if one.name == model],
        [one for one in images if (one.new_name or one.name) == name],
    ):
        if len(found) == 1:
            return found[0]
    names = ", ".join(one.name for one in images) or "none"
    raise InputError(
        f"{source} has no one image for the model {model!r}: neither an entry of that name nor one"
        f" with `newName: {name}`; its entries: {names}",
        fix=f"add to {source}:\nimages:\n- name: {model}\n  newName: {name}\n  newTag: none",
    )
