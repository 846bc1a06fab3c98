"""The links of a lineage: each fact held against its neighbours, and whether the two agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from model_gitops.core.deploy.trailers import is_commit
from model_gitops.core.lineage.facts import Deployed, Registered, Source, Stored, Trace

State = Literal["verified", "broken", "pending", "unknown"]

# How long a new commit of the same model may wait for its deployment, in seconds: a job may queue,
# or wait for a person's approval.
PATIENCE = 24 * 3600
_MOST_SHOWN = 10


@dataclass(frozen=True)
class Link:
    """One link of the chain: its two ends, what each says, and whether they agree."""

    ends: tuple[str, str]
    left: str
    right: str
    state: State
    fix: str = ""

    @property
    def name(self) -> str:
        """The link as people read it."""
        return " → ".join(self.ends)

    @property
    def sentence(self) -> str:
        """Both sides, in one sentence."""
        return f"{self.name}: {self.left}, and {self.right}"


def check(trace: Trace) -> tuple[Link, ...]:
    """Hold each fact against its neighbours. A link that nobody could ask about is `unknown`."""
    return tuple(_links(trace))


def broken(links: Sequence[Link]) -> tuple[Link, ...]:
    """Return the links that do not hold."""
    return tuple(link for link in links if link.state == "broken")


def _links(trace: Trace) -> Iterator[Link]:
    deployed, source, version = trace.deployed, trace.source, trace.version
    if deployed is not None:
        yield _overlay(deployed)
        yield from _rendered(trace, deployed)
    yield from _image(trace)
    yield from _signature(trace)
    if deployed is not None and (source is not None or deployed.recorded is not None):
        yield _origin(deployed, source)
        yield from _repository(trace, deployed)
    if deployed is not None and source is not None and source.known:
        yield _tagged(trace, deployed, source)
        yield _deployed_model(trace, deployed, source)
        if source.tip:
            yield _branch(deployed, source)
    if source is not None and source.edited:
        yield _link(
            ("checkout", "source commit"),
            f"the checkout has edited {', '.join(source.edited)}",
            f"commit {source.commit[:12]} has them otherwise",
            False,
            fix=f"git checkout -- {' '.join(source.edited)}",
        )
    # Without a deployment the version was found by its model: to compare the two would say nothing.
    if version is not None and deployed is not None:
        yield _version(trace, version, source)
    if trace.environment and trace.held is not None:
        yield _stage(trace)
    if source is not None and source.known:
        yield from _recipe(trace, source)
    yield from _pulls(trace)


def _overlay(deployed: Deployed) -> Link:
    ends = ("overlay", "deploy commit")
    left = f"{deployed.path} sets {deployed.image.reference}"
    fix = (
        "bump the image with bump-kustomize-tag (run the newest deploy workflow again), or revert"
        f" the edit of {deployed.path}"
    )
    if deployed.recorded is None:
        return _link(ends, left, "no deploy commit is found that set it", False, fix=fix)
    digests = ", ".join(deployed.trailers.get("image-digest", ())) or "no Image-Digest"
    right = f"commit {deployed.commit[:12]} set {deployed.recorded.reference} and says {digests}"
    holds = (
        bool(deployed.image.digest)
        and deployed.recorded == deployed.image
        and deployed.image.digest in deployed.trailers.get("image-digest", ())
    )
    return _link(ends, left, right, holds, fix=fix)


def _rendered(trace: Trace, deployed: Deployed) -> Iterator[Link]:
    """Yield what is wrong with the image that kustomize makes of the entry: nothing as a rule."""
    left = f"{deployed.path} sets {deployed.image.reference}"
    if deployed.overruled is not None:
        yield _link(
            ("overlay", "rendered image"),
            left,
            f"the entry `name: {deployed.overruled.name}` is for it too, and makes it"
            f" {deployed.overruled.reference}",
            False,
            fix=f"remove that entry from {deployed.path}: kustomize reads its name as an expression",
        )
    if trace.image and deployed.name != trace.image:
        yield _link(
            ("overlay", "promotion.yaml"), left, f"promotion.yaml says image: {trace.image}", False,
            fix=f"newName: {trace.image} in {deployed.path}, or `image: {deployed.name}` in promotion.yaml",
        )  # fmt: skip


def _image(trace: Trace) -> Iterator[Link]:
    deployed, stored, source = trace.deployed, trace.stored, trace.source
    ends = ("overlay" if deployed else "image", "registry")
    if stored is None:
        if deployed is not None:
            left = f"{deployed.path} sets {deployed.image.reference}"
            yield _link(
                ends, left, trace.unasked.get("registry", "the registry was not asked"), None
            )
        return
    yield _registry(ends, deployed, stored)
    if not stored.digest:
        return
    label = f"the image's label says {stored.model_hash or 'nothing of a model'}"
    if stored.model_name and stored.model_name != trace.model:
        yield _link(
            ("image", "model"), f"the image's label says model {stored.model_name}",
            f"promotion.yaml says model: {trace.model}", False,
            fix="deploy again from this repository, and find out who set another image",
        )  # fmt: skip
    if source is not None and source.known:
        yield _same_model(("image", "model"), label, stored.model_hash, source)
    ends, built = ("image", "build commit"), trace.built
    if built is None:
        said = repr(stored.revision) if stored.revision else "nothing"
        yield _link(
            ends, f"the image's label says {said} of its revision", "that is no commit's hash", False,
            fix="build the image with build-push-image, which labels it",
        )  # fmt: skip
    elif built.known:
        yield _same_model(ends, label, stored.model_hash, built)
    else:
        right = "that commit is gone from the repository (a squashed branch that was deleted?)"
        yield _link(ends, f"the image was built from {built.commit[:12]}", right, None)


def _registry(ends: tuple[str, str], deployed: Deployed | None, stored: Stored) -> Link:
    asked = deployed.image.digest if deployed else stored.digest
    left = f"{deployed.path} pins {asked or 'no digest'}" if deployed else f"the image is {asked}"
    if not asked:
        fix = "deploy again with bump-kustomize-tag, which pins the digest"
        return _link(ends, left, "a tag alone may move", False, fix=fix)
    if not stored.digest:
        return _link(
            ends, left, f"the registry has no {stored.name}@{asked}, or does not show it", False,
            fix="log in to the registry (`username`, `password`); is the image gone? Deploy again",
        )  # fmt: skip
    named = f"{stored.name}:{stored.tag}" if stored.tag else f"{stored.name}@{stored.digest}"
    return _link(
        ends,
        left,
        f"the registry's {named} is {(stored.tag_digest or 'not there') if stored.tag else 'there'}",
        stored.digest == asked and (not stored.tag or stored.tag_digest == asked),
        fix=f"find out who moved the tag; docker buildx imagetools create --prefer-index=false"
        f" --tag {named} {stored.name}@{asked} gives it back",
    )


def _signature(trace: Trace) -> Iterator[Link]:
    """Yield whether the image is signed as promotion.yaml demands: nothing where it demands nothing."""
    ends, signed = ("image", "signature"), trace.signature
    if signed is not None:
        yield _link(
            ends,
            f"promotion.yaml demands that {signed.by} signed {signed.says or 'it'}",
            signed.problem or "there is such a signature",
            not signed.problem,
            fix="run deploy.yml of the first environment's branch again, which signs what has no signature"
            " (build-push-image with `sign`); and find out who deployed it without",
        )
    elif why := trace.unasked.get("signature"):
        yield _link(ends, "promotion.yaml demands a signature", why, None)


def _same_model(ends: tuple[str, str], left: str, found: str, source: Source) -> Link:
    right = source.problem or (
        f"dvc.lock of {source.commit[:12]} says {source.model_hash} for {source.model_path}"
    )
    return _link(
        ends,
        left,
        right,
        bool(found) and found == source.model_hash,
        fix="deploy again from the commit that has the model, and find out which side was changed",
    )


def _tagged(trace: Trace, deployed: Deployed, source: Source) -> Link:
    """The image is the one that was made for the source commit: its tag is that commit's hash."""
    ends, tag = ("image", "source commit"), deployed.image.tag
    if is_commit(tag):
        return _link(
            ends,
            f"{deployed.path} sets tag {tag}",
            f"commit {deployed.commit[:12]} says Source-Commit {source.commit}",
            tag == source.commit,
            fix=f"deploy again from {source.branch or 'its branch'}, and find out which was changed",
        )
    named = f"{trace.image}:{source.commit}"
    left = f"{deployed.path} pins {deployed.image.digest or 'no digest'}"
    if not trace.tagged:
        why = trace.unasked.get("registry") or f"the registry has no tag {named}"
        return _link(ends, left, why, None)
    return _link(
        ends,
        left,
        f"the registry's {named} is {trace.tagged}",
        trace.tagged == deployed.image.digest,
        fix=f"deploy again from {source.branch or 'its branch'}, and find out which was changed",
    )


def _repository(trace: Trace, deployed: Deployed) -> Iterator[Link]:
    """Yield where the deploy commit names another repository: a renamed one, or none of ours."""
    said = deployed.origin.repository if deployed.origin else ""
    if said and trace.repository and said.lower() != trace.repository.lower():
        left = f"commit {deployed.commit[:12]} says Source-Repository {said}"
        right = f"the commit was looked for in {trace.repository}: was it renamed?"
        yield _link(("deploy commit", "model repository"), left, right, None)


def _origin(deployed: Deployed, source: Source | None) -> Link:
    ends = ("deploy commit", "source commit")
    if source is None:
        return _link(
            ends,
            f"commit {deployed.commit[:12]} says no Source-Repository and Source-Commit",
            "what it deploys can't be said",
            False,
            fix="deploy with bump-kustomize-tag: in a workflow of the model repository it writes these"
            " trailers",
        )
    left = f"commit {deployed.commit[:12]} says Source-Commit {source.commit[:12]}"
    if not source.known:
        return _link(
            ends, left, "the model repository has no such commit", False,
            fix="was history rewritten? Deploy again from a commit of the branch",
        )  # fmt: skip
    if not source.tip and source.on_branch is False:
        return _link(
            ends, left, f"the server has no branch {source.branch}", False,
            fix=f"git push origin {source.commit}:refs/heads/{source.branch} gives it back",
        )  # fmt: skip
    if source.on_branch is None:
        return _link(
            ends, left, f"whether it is on {source.branch} can't be told from this checkout", None
        )
    place = "is on" if source.on_branch else "is not on"
    return _link(
        ends,
        left,
        f"{source.commit[:12]} {place} branch {source.branch}",
        source.on_branch,
        fix=f"deploy again from {source.branch}; was its history rewritten?",
    )


def _deployed_model(trace: Trace, deployed: Deployed, source: Source) -> Link:
    said = deployed.says("model-hash", trace.model)
    if not said:
        return _link(
            ("deploy commit", "model"),
            f"commit {deployed.commit[:12]} says no Model-Hash",
            f"dvc.lock of {source.commit[:12]} says {source.model_hash or 'none'}",
            None,
        )
    left = f"commit {deployed.commit[:12]} says Model-Hash {said}"
    return _same_model(("deploy commit", "model"), left, said, source)


def _branch(deployed: Deployed, source: Source) -> Link:
    ends = ("branch", "source commit")
    left = f"{source.branch} is at {source.tip[:12]} with model {source.tip_hash or 'unknown'}"
    right = f"{source.commit[:12]} with model {source.model_hash or 'unknown'} is deployed"
    if source.tip == source.commit:
        return _link(ends, left, right, True)
    if source.tip_taken_back:
        return Link(ends, left, f"{right}, by a rollback", "pending")
    same = bool(source.model_hash) and source.tip_hash == source.model_hash
    if same and 0 <= source.tip_age < PATIENCE:
        return Link(ends, left, right, "pending", fix=_run_deploy(source))
    if deployed.proposes("source-commit") == source.tip:
        return Link(ends, left, f"{right}; the deploy pull request waits to be merged", "pending")
    return _link(ends, left, right, False, fix=_run_deploy(source))


def _run_deploy(source: Source) -> str:
    return (
        f"is deploy.yml of {source.tip[:12]} still running? Else run it again:"
        f" gh run list --workflow deploy.yml --branch {source.branch}"
    )


def _version(trace: Trace, version: Registered, source: Source | None) -> Link:
    ends = ("version", "model")
    if version.model != trace.model:
        return _link(
            ends, f"the deploy commit says {version.name}", f"promotion.yaml says model: {trace.model}",
            False, fix="deploy again from this repository, and find out who deployed another model",
        )  # fmt: skip
    if not version.commit:
        return _link(
            ends, f"the deploy commit says {version.name}", "the registry has no such version", False,
            fix=f"git push origin refs/tags/{version.tag or version.name}, from a clone that has it",
        )  # fmt: skip
    left = f"{version.tag} is at {version.commit[:12]} with model {version.model_hash or 'none'}"
    if source is None:
        return _link(ends, left, "no source commit is known", None)
    if not source.known:
        return _link(ends, left, f"{source.commit[:12]} is not in the repository", None)
    right = source.problem or f"dvc.lock of {source.commit[:12]} says {source.model_hash}"
    return _link(
        ends,
        left,
        right,
        bool(version.model_hash) and version.model_hash == source.model_hash,
        fix=f"was the tag moved? `git reflog` of a clone, or the stage tags, tell where {version.tag}"
        " was",
    )


def _stage(trace: Trace) -> Link:
    ends, version, deployed = ("stage", "version"), trace.version, trace.deployed
    left = f"{trace.model}#{trace.environment} holds {trace.held or 'no version'}"
    if trace.held_problem:
        left = f"what {trace.model}#{trace.environment} holds can't be said"
        return _link(ends, left, trace.held_problem, False, fix="delete the wrong tag of the two")
    if version is None:
        # A deployment by hand, or one without the trailer: the models can be compared all the same.
        known = trace.source.model_hash if trace.source else ""
        right = f"the deploy commit names no version; its model is {known or 'not known'}"
        holds = trace.held_hash == known if known and trace.held_hash else None
        return _link(ends, f"{left}, model {trace.held_hash or 'none'}", right, holds, fix=_ASSIGN)
    right = f"{version.name} is deployed"
    if trace.held == version.version and trace.model == version.model:
        return _link(ends, left, right, True)
    if deployed and deployed.proposes("model") == f"{trace.model}@{trace.held}":
        return Link(ends, left, f"{right}; the deploy pull request waits to be merged", "pending")
    early = "`stage-on: pull_request` moves the stage while a pull request is open"
    if trace.moves_early:
        return Link(ends, left, f"{right}; {early}", "pending")
    if why := trace.unasked.get("open pull requests"):
        return _link(ends, left, f"{right}; {early}, and none was asked for: {why}", None)
    return _link(
        ends,
        left,
        right,
        False,
        fix=f"model-gitops gto-register-stage --model {trace.model} --version {version.version}"
        f" --stage {trace.environment}, if what is deployed is right; else deploy the stage's version",
    )


_ASSIGN = "run deploy.yml of the environment's branch again: it deploys, and assigns the stage"


def _recipe(trace: Trace, source: Source) -> Iterator[Link]:
    ends, recipe = ("model", "data"), trace.recipe
    left = f"dvc.lock of {source.commit[:12]} says how {source.model_hash or 'the model'} was made"
    if recipe is None:
        return
    if recipe.problems:
        for problem in recipe.problems:
            said, _, found = problem.partition(", and ")
            yield _link(
                ends, said, found or "it can't be read", False,
                fix="dvc repro, then commit dvc.lock: the files of this commit did not make this model",
            )  # fmt: skip
    elif recipe.checked:
        yield _link(ends, left, f"{recipe.checked} hashes and params of the commit agree", True)
    elif not recipe.unchecked:
        yield _link(
            ends,
            left,
            "no stage of dvc.lock made it: what it was made of is not recorded here",
            None,
        )
    if recipe.unchecked:
        shown = "; ".join(recipe.unchecked[:_MOST_SHOWN])
        more = len(recipe.unchecked) - _MOST_SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        yield _link(ends, left, f"nothing can be held against {shown}{rest}", None)


def _pulls(trace: Trace) -> Iterator[Link]:
    for start, end, pull, base, commit in (
        (
            "source commit",
            "pull request",
            trace.pull,
            trace.source.branch if trace.source else "",
            trace.source.commit if trace.source else "",
        ),
        (
            "deploy commit",
            "deploy pull request",
            trace.deploy_pull,
            trace.deployed.branch if trace.deployed else "",
            trace.deployed.commit if trace.deployed else "",
        ),
    ):
        left = f"commit {commit[:12]} is on {base}" if base else f"commit {commit[:12]}"
        if pull is not None:
            approved = ", ".join(pull.approved_by) or "nobody"
            right = f"#{pull.number} brought it there, approved by {approved}"
            yield _link((start, end), left, right, True)
        elif end in trace.unasked:
            yield _link((start, end), left, trace.unasked[end], None)
        elif trace.environment and commit and end == "pull request":
            yield _link(
                (start, end), left, "no merged pull request brought it there", False,
                fix=f"protect {base}, so that pull requests are the only way in",
            )  # fmt: skip
        elif trace.by_pull and commit and end == "deploy pull request":
            yield _link(
                (start, end), left, "promotion.yaml says deploy: pull-request, and none brought it there",
                False, fix=f"protect {base} of the deploy repository, and deploy again",
            )  # fmt: skip


def _link(
    ends: tuple[str, str], left: str, right: str, holds: bool | None, *, fix: str = ""
) -> Link:
    state: State = "unknown" if holds is None else "verified" if holds else "broken"
    return Link(ends, left, right, state, fix if state == "broken" else "")
