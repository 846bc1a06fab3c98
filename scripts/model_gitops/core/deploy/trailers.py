"""The trailers of a deploy commit: where it comes from, and when it must not replace another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.deploy.kustomization import Image
from model_gitops.errors import InputError

Trailers = tuple[tuple[str, str], ...]

LONGEST_TRAILER = 1000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{40}")
_PINNED = re.compile(r"[a-z0-9][^\s@]*@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class _Form:
    """How the value of a trailer looks that is read again; in `fix` stands `{key}` for its name."""

    pattern: re.Pattern[str]
    problem: str
    fix: str


_OF_A_COMMIT = _Form(
    _COMMIT, "a commit is given by its full hash, in lowercase", "{key}: ${{ github.sha }}"
)
_FORMS = {
    "source-commit": _OF_A_COMMIT,
    "rollback-from": _OF_A_COMMIT,
    "rollback": _Form(
        re.compile("true|false"), "it is neither `true` nor `false`", "Rollback: true"
    ),
    "image-fingerprint": _Form(
        _FINGERPRINT,
        "a fingerprint is 40 lowercase hex digits",
        "{key}: ${{ steps.image.outputs.fingerprint }}",
    ),
    "model-artifact": _Form(
        _PINNED,
        "a model's artifact is `repository@sha256:…`",
        "{key}: ${{ steps.artifact.outputs.artifact }}",
    ),
    "model-sha256": _Form(
        re.compile(r"[0-9a-f]{64}"),
        "a SHA-256 is 64 lowercase hex digits",
        "{key}: ${{ steps.model.outputs.sha256 }}",
    ),
}


def parse_trailers(lines: Iterable[str]) -> Trailers:
    """Parse lines `Key: value`. A trailer without a value is left out. Raises InputError."""
    found = []
    for line in lines:
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", key):
            fix = "trailers: |\n  Model: diabetes@v1.2.3"
            raise InputError.of("trailers", line, "it is not `Key: value`", fix=fix)
        if len(value) > LONGEST_TRAILER or any(ord(char) < 32 for char in value):
            raise InputError.of(
                "trailers", line, "the value is too long, or holds a control character"
            )
        form = _FORMS.get(key.lower())
        if form and value and not form.pattern.fullmatch(value):
            raise InputError.of("trailers", line, form.problem, fix=form.fix.replace("{key}", key))
        if value:
            found.append((key, value))
    return tuple(found)


def complete_trailers(
    given: Trailers,
    wanted: Sequence[Image],
    *,
    repository: str,
    commit: str,
    run: str = "",
    fingerprints: Mapping[str, str] | None = None,
) -> Trailers:
    """Add what is known and was not given: where the change comes from, the digests, and the run.

    `run` is the address of the workflow run: who approved a deployment is asked there. `fingerprints` are
    those of entries, by name. They belong to the digests by their place: they are said where each entry
    has both.
    """
    keys = {key.lower() for key, _ in given}
    added = [
        (key, value)
        for key, value in (("Source-Repository", repository), ("Source-Commit", commit))
        if value and key.lower() not in keys
    ]
    known = fingerprints or {}
    if known and all(image.digest and image.name in known for image in wanted):
        added += [("Image-Fingerprint", known[image.name]) for image in wanted]
        added += [("Image-Digest", image.digest) for image in wanted]
    elif "image-digest" not in keys:
        # A model's artifact is no image: its own trailer says its digest.
        artifacts = {
            value.partition("@")[2] for key, value in given if key.lower() == "model-artifact"
        }
        digests = dict.fromkeys(
            image.digest for image in wanted if image.digest and image.digest not in artifacts
        )
        added += [("Image-Digest", digest) for digest in digests]
    if run and "deploy-run" not in keys:
        added.append(("Deploy-Run", run))
    return (*given, *added)


@dataclass(frozen=True)
class Origin:
    """The commit of the model repository that a deployment comes from.

    `rolled_back` is the later commit that a rollback took back; empty for any other deployment.
    """

    repository: str
    commit: str
    rolled_back: str = ""

    @property
    def reached(self) -> str:
        """The latest commit that the environment has seen: a rollback does not undo that."""
        return self.rolled_back or self.commit


def with_rollback(trailers: Trailers, incumbent: Origin | None) -> Trailers:
    """Add to a rollback's trailers the commit that it takes back, unless they name one."""
    if incumbent is None or any(key.lower() == "rollback-from" for key, _ in trailers):
        return trailers
    return (*trailers, ("Rollback-From", incumbent.reached))


def read_trailers(message: str) -> dict[str, list[str]]:
    """Return the trailers of a commit message by lowercase key.

    Every line counts, as a squash merge moves trailers away from the end.
    """
    found: dict[str, list[str]] = {}
    for line in message.splitlines():
        if match := re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*):[ \t]+(\S.*?)\s*", line):
            found.setdefault(match[1].lower(), []).append(match[2])
    return found


def trailers_of(message: str, digest: str) -> dict[str, list[str]]:
    """Return the trailers of a commit message that speak of the image with `digest`.

    A squash merge joins the messages of several commits, a paragraph of trailers each; and one commit
    may set several images, whose values are given in the order of their digests. Where no paragraph
    speaks of it, these are all trailers.
    """
    for paragraph in reversed(re.split(r"\n[ \t\r]*\n", message)):
        found = read_trailers(paragraph)
        digests = found.get("image-digest", ())
        if digest and digest in digests and origin_of(found):
            place = len(digests) - 1 - digests[::-1].index(digest)
            return {
                key: [values[place]] if len(values) == len(digests) else values
                for key, values in found.items()
            }
    return read_trailers(message)


def is_commit(value: str) -> bool:
    """Whether `value` is a commit's whole hash: a name could be another commit tomorrow."""
    return _COMMIT.fullmatch(value) is not None


def origin_of(trailers: Mapping[str, Sequence[str]]) -> Origin | None:
    """Return where a deploy commit says that it comes from, or None."""
    repository = trailers.get("source-repository", [""])[-1]
    commit = trailers.get("source-commit", [""])[-1]
    if not repository or not is_commit(commit):
        return None
    rolled_back = trailers.get("rollback-from", [""])[-1] if is_rollback(trailers) else ""
    return Origin(repository, commit, rolled_back if is_commit(rolled_back) else "")


def is_rollback(trailers: Mapping[str, Sequence[str]]) -> bool:
    """Whether this deployment goes back on purpose."""
    return trailers.get("rollback", [""])[-1] == "true"


def digests_of(trailers: Mapping[str, Sequence[str]], fingerprint: str) -> tuple[str, ...]:
    """Return the digests of the images that a deploy commit says have the content `fingerprint`.

    A commit may set several images: fingerprint and digest belong together by their place. Where it
    says more of the one than of the other nobody can tell, and there is none.
    """
    fingerprints = trailers.get("image-fingerprint") or ()
    digests = trailers.get("image-digest") or ()
    if len(fingerprints) != len(digests):
        return ()
    pairs = zip(fingerprints, digests, strict=True)
    return tuple(digest for said, digest in pairs if said == fingerprint)


def is_superseded(
    ours: Origin | None,
    incumbent: Origin | None,
    is_ancestor: Callable[[str, str], bool | None],
) -> bool | None:
    """Whether the incumbent comes from a later commit of the same repository than ours.

    An incumbent that is a rollback counts as the commit that it took back: running that commit's
    workflow again must not undo what a person decided.
    `is_ancestor(ours, incumbent)` may answer None when it can't tell; so does this function.
    Histories that diverged (another branch, a force push) are no order: then ours is not superseded.
    """
    if ours is None or incumbent is None or ours.commit == incumbent.commit:
        return False
    if ours.repository.lower() != incumbent.repository.lower():
        return False
    return ours.commit == incumbent.rolled_back or is_ancestor(ours.commit, incumbent.reached)
