"""The links of a lineage: each fact held against its neighbours, and whether the two agree."""

from __future__ import annotations

from collections.abc import Iterator

from model_gitops.core.image.names import commit_of_tag
from model_gitops.core.lineage import approval, artifact, pulls, stages
from model_gitops.core.lineage.facts import Deployed, Registered, Source, Stored, Trace
from model_gitops.core.lineage.link import Link, made

# How long a new commit of the same model may wait for its deployment, in seconds: a job may queue,
# or wait for a person's approval.
PATIENCE = 24 * 3600
_MOST_SHOWN = 10
_ELSEWHERE = "promotion.yaml says `build: false`: it is built elsewhere, and what that was made of is not known"


def check(trace: Trace) -> tuple[Link, ...]:
    """Hold each fact against its neighbours. A link that nobody could ask about is `unknown`."""
    return tuple(_links(trace))


def _links(trace: Trace) -> Iterator[Link]:
    deployed, source, version = trace.deployed, trace.source, trace.version
    if deployed is not None:
        yield _overlay(deployed)
        yield from _went_back(deployed)
        yield from _rendered(trace, deployed)
        yield from _before(trace, deployed)
    yield from _image(trace)
    if deployed is not None and trace.stored is not None and trace.stored.digest:
        yield from _fingerprint(trace, deployed, trace.stored)
    yield from _signature(trace)
    yield from artifact.links(trace)
    if deployed is not None and (source is not None or deployed.recorded is not None):
        yield _origin(deployed, source)
        yield from _repository(trace, deployed)
    if deployed is not None and source is not None and source.known:
        yield _tagged(trace, deployed, source)
        yield _deployed_model(trace, deployed, source)
        # Of a trunk's later environments the branch says nothing: a person promotes to them.
        by_hand = trace.flow is not None and trace.flow.is_trunk and trace.flow.environments[0].name
        if source.tip and by_hand in (False, trace.environment):
            yield _branch(deployed, source)
    if source is not None and source.edited:
        yield made(
            ("checkout", "source commit"),
            f"the checkout has edited {', '.join(source.edited)}",
            f"commit {source.commit[:12]} has them otherwise",
            False,
            fix=f"git checkout -- {' '.join(source.edited)}",
        )
    # Without a deployment the version was found by its model: to compare the two would say nothing.
    if version is not None and deployed is not None:
        yield _version(trace, version, source)
        yield from _sha256(trace, deployed, version)
    if trace.environment and trace.held is not None:
        yield stages.link_of(trace, PATIENCE)
    if source is not None and source.known:
        yield from _recipe(trace, source)
    yield from pulls.links(trace)
    yield from approval.link(trace)


def _overlay(deployed: Deployed) -> Link:
    ends = ("overlay", "deploy commit")
    left = f"{deployed.path} sets {deployed.image.reference}"
    fix = (
        f"revert the edit of {deployed.path}, or bump the image with bump-kustomize-tag and the trailer"
        " `Rollback: true`"
    )
    if deployed.recorded is None:
        return made(ends, left, "no deploy commit is found that set it", False, fix=fix)
    digests = ", ".join(deployed.trailers.get("image-digest", ())) or "no Image-Digest"
    right = f"commit {deployed.commit[:12]} set {deployed.recorded.reference} and says {digests}"
    holds = (
        bool(deployed.image.digest)
        and deployed.recorded == deployed.image
        and deployed.image.digest in deployed.trailers.get("image-digest", ())
    )
    return made(ends, left, right, holds, fix=fix)


def _went_back(deployed: Deployed) -> Iterator[Link]:
    """Yield what a rollback took back, and who did it: it is meant so."""
    if back := deployed.back:
        yield made(
            ("overlay", "rollback"),
            f"{deployed.path} sets {deployed.image.reference}",
            f"commit {back.commit[:12]} says so: {back.sentence}",
            True,
        )


def _rendered(trace: Trace, deployed: Deployed) -> Iterator[Link]:
    """Yield what is wrong with the image that kustomize makes of the entry: nothing as a rule."""
    left = f"{deployed.path} sets {deployed.image.reference}"
    if deployed.overruled is not None:
        yield made(
            ("overlay", "rendered image"),
            left,
            f"the entry `name: {deployed.overruled.name}` is for it too, and makes it"
            f" {deployed.overruled.reference}",
            False,
            fix=f"remove that entry from {deployed.path}: kustomize reads its name as an expression",
        )
    if trace.image and deployed.name != trace.image:
        yield made(
            ("overlay", "promotion.yaml"), left, f"promotion.yaml says image: {trace.image}", False,
            fix=f"newName: {trace.image} in {deployed.path}, or `image: {deployed.name}` in promotion.yaml",
        )  # fmt: skip


def _before(trace: Trace, deployed: Deployed) -> Iterator[Link]:
    """Yield whether the environment before ran this image: else its hop was not taken."""
    before = trace.before
    if before is None:
        return
    ends = ("overlay", "environment before")
    left = f"{deployed.path} sets {deployed.image.reference}"
    if before.problem:
        yield made(
            ends, left, f"what {before.environment} ran can't be said: {before.problem}", None
        )
    elif before.commit:
        yield made(ends, left, f"commit {before.commit[:12]} set it in {before.path}", True)
    else:
        yield made(
            ends, left, f"no deploy commit ever set that digest in {before.path}: {before.environment}"
            " never ran it", False,
            fix=f"deploy to {before.environment} first, then promote what it runs; find out who"
            f" deployed to {trace.environment}",
        )  # fmt: skip


def _fingerprint(trace: Trace, deployed: Deployed, stored: Stored) -> Iterator[Link]:
    """Yield whether the image has the content that the deploy commit says, where that says one."""
    if not (said := deployed.says("image-fingerprint", trace.model)):
        return
    labelled = stored.fingerprint
    yield made(
        ("deploy commit", "image"),
        f"commit {deployed.commit[:12]} says Image-Fingerprint {said}",
        f"the image's label says {labelled or 'no fingerprint'}",
        labelled == said,
        fix="deploy again from the commit that has the model, and find out which side was changed",
    )


def _image(trace: Trace) -> Iterator[Link]:
    deployed, stored, source = trace.deployed, trace.stored, trace.source
    ends = ("overlay" if deployed else "image", "registry")
    if stored is None:
        if deployed is not None:
            left = f"{deployed.path} sets {deployed.image.reference}"
            yield made(
                ends, left, trace.unasked.get("registry", "the registry was not asked"), None
            )
        return
    yield _registry(ends, deployed, stored)
    if not stored.digest:
        return
    label = f"the image's label says {stored.model_hash or 'nothing of a model'}"
    if stored.model_name and stored.model_name != trace.model:
        yield made(
            ("image", "model"), f"the image's label says model {stored.model_name}",
            f"promotion.yaml says model: {trace.model}", False,
            fix="deploy again from this repository, and find out who set another image",
        )  # fmt: skip
    ends, built = ("image", "build commit"), trace.built
    if trace.is_built_elsewhere and not stored.model_hash:
        yield made(("image", "model"), label, _ELSEWHERE, None)
        yield made(ends, "no commit of this repository built the image", _ELSEWHERE, None)
        return
    if source is not None and source.known:
        yield _same_model(("image", "model"), label, stored.model_hash, source)
    if trace.is_built_elsewhere and (built is None or not built.known):
        yield made(ends, "no commit of this repository built the image", _ELSEWHERE, None)
    elif built is None:
        said = repr(stored.revision) if stored.revision else "nothing"
        yield made(
            ends, f"the image's label says {said} of its revision", "that is no commit's hash", False,
            fix="build the image with build-push-image, which labels it",
        )  # fmt: skip
    elif built.known:
        yield _same_model(ends, label, stored.model_hash, built)
    else:
        right = "that commit is gone from the repository (a squashed branch that was deleted?)"
        yield made(ends, f"the image was built from {built.commit[:12]}", right, None)


def _registry(ends: tuple[str, str], deployed: Deployed | None, stored: Stored) -> Link:
    asked = deployed.image.digest if deployed else stored.digest
    left = f"{deployed.path} pins {asked or 'no digest'}" if deployed else f"the image is {asked}"
    if not asked:
        fix = "deploy again with bump-kustomize-tag, which pins the digest"
        return made(ends, left, "a tag alone may move", False, fix=fix)
    if not stored.digest:
        return made(
            ends, left, f"the registry has no {stored.name}@{asked}, or does not show it", False,
            fix="log in to the registry (`username`, `password`); is the image gone? Deploy again",
        )  # fmt: skip
    named = f"{stored.name}:{stored.tag}" if stored.tag else f"{stored.name}@{stored.digest}"
    return made(
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
        yield made(
            ends,
            f"promotion.yaml demands that {signed.by} signed {signed.says or 'it'}",
            signed.problem or "there is such a signature",
            not signed.problem,
            fix="run deploy.yml of the first environment's branch again, which signs what has no signature"
            " (build-push-image with `sign`); and find out who deployed it without",
        )
    elif why := trace.unasked.get("signature"):
        yield made(ends, "promotion.yaml demands a signature", why, None)


def _same_model(ends: tuple[str, str], left: str, found: str, source: Source) -> Link:
    right = source.problem or (
        f"dvc.lock of {source.commit[:12]} says {source.model_hash} for {source.model_path}"
    )
    return made(
        ends,
        left,
        right,
        bool(found) and found == source.model_hash,
        fix="deploy again from the commit that has the model, and find out which side was changed",
    )


def _tagged(trace: Trace, deployed: Deployed, source: Source) -> Link:
    """The image is the one that was made for the source commit: its tag is that commit's hash."""
    ends, tag = ("image", "source commit"), deployed.image.tag
    if trace.is_built_elsewhere:
        return made(ends, f"{deployed.path} pins {deployed.image.digest}", _ELSEWHERE, None)
    if commit := commit_of_tag(tag):
        return made(
            ends,
            f"{deployed.path} sets tag {tag}",
            f"commit {deployed.commit[:12]} says Source-Commit {source.commit}",
            commit == source.commit
            or (trace.before is not None and trace.before.image == deployed.image),
            fix=f"deploy again from {source.branch or 'its branch'}, and find out which was changed",
        )
    named = f"{trace.image}:{source.commit}"
    left = f"{deployed.path} pins {deployed.image.digest or 'no digest'}"
    if not trace.tagged:
        why = trace.unasked.get("registry") or f"the registry has no tag {named}"
        return made(ends, left, why, None)
    return made(
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
        yield made(("deploy commit", "model repository"), left, right, None)


def _origin(deployed: Deployed, source: Source | None) -> Link:
    ends = ("deploy commit", "source commit")
    if source is None:
        return made(
            ends,
            f"commit {deployed.commit[:12]} says no Source-Repository and Source-Commit",
            "what it deploys can't be said",
            False,
            fix="deploy with bump-kustomize-tag: in a workflow of the model repository it writes these"
            " trailers",
        )
    left = f"commit {deployed.commit[:12]} says Source-Commit {source.commit[:12]}"
    if not source.known:
        return made(
            ends, left, "the model repository has no such commit", False,
            fix="was history rewritten? Deploy again from a commit of the branch",
        )  # fmt: skip
    if not source.tip and source.on_branch is False:
        return made(
            ends, left, f"the server has no branch {source.branch}", False,
            fix=f"git push origin {source.commit}:refs/heads/{source.branch} gives it back",
        )  # fmt: skip
    if source.on_branch is None:
        return made(
            ends, left, f"whether it is on {source.branch} can't be told from this checkout", None
        )
    place = "is on" if source.on_branch else "is not on"
    return made(
        ends,
        left,
        f"{source.commit[:12]} {place} branch {source.branch}",
        source.on_branch,
        fix=f"deploy again from {source.branch}; was its history rewritten?",
    )


def _deployed_model(trace: Trace, deployed: Deployed, source: Source) -> Link:
    said = deployed.says("model-hash", trace.model)
    if not said:
        return made(
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
        return made(ends, left, right, True)
    if source.tip_taken_back:
        return Link(ends, left, f"{right}, by a rollback", "pending")
    same = bool(source.model_hash) and source.tip_hash == source.model_hash
    if same and 0 <= source.tip_age < PATIENCE:
        return Link(ends, left, right, "pending", fix=_run_deploy(source))
    if deployed.proposes("source-commit") == source.tip:
        return Link(ends, left, f"{right}; the deploy pull request waits to be merged", "pending")
    return made(ends, left, right, False, fix=_run_deploy(source))


def _run_deploy(source: Source) -> str:
    return (
        f"is deploy.yml of {source.tip[:12]} still running? Else run it again:"
        f" gh run list --workflow deploy.yml --branch {source.branch}"
    )


def _version(trace: Trace, version: Registered, source: Source | None) -> Link:
    ends = ("version", "model")
    if version.model != trace.model:
        return made(
            ends, f"the deploy commit says {version.name}", f"promotion.yaml says model: {trace.model}",
            False, fix="deploy again from this repository, and find out who deployed another model",
        )  # fmt: skip
    if not version.commit:
        return made(
            ends, f"the deploy commit says {version.name}", "the registry has no such version", False,
            fix=f"git push origin refs/tags/{version.tag or version.name}, from a clone that has it",
        )  # fmt: skip
    left = f"{version.tag} is at {version.commit[:12]} with model {version.model_hash or 'none'}"
    if source is None:
        return made(ends, left, "no source commit is known", None)
    if not source.known:
        return made(ends, left, f"{source.commit[:12]} is not in the repository", None)
    right = source.problem or f"dvc.lock of {source.commit[:12]} says {source.model_hash}"
    return made(
        ends,
        left,
        right,
        bool(version.model_hash) and version.model_hash == source.model_hash,
        fix=f"was the tag moved? `git reflog` of a clone, or the stage tags, tell where {version.tag}"
        " was",
    )


def _sha256(trace: Trace, deployed: Deployed, version: Registered) -> Iterator[Link]:
    """Yield whether deployment and version recorded the same file, where one recorded any."""
    said = deployed.says("model-sha256", trace.model)
    if not (said or version.sha256) or version.model != trace.model:
        return
    yield made(
        ("deploy commit", "version"),
        f"commit {deployed.commit[:12]} says {f'Model-SHA256 {said}' if said else 'no Model-SHA256'}",
        f"{version.tag or version.name} records {f'SHA-256 {version.sha256}' if version.sha256 else 'no SHA-256'}",
        said == version.sha256 if said and version.sha256 else None,
        fix="two files have the same MD5: find out which one was tested (`sha256sum` where the model was"
        " trained), and deploy that one",
    )


def _recipe(trace: Trace, source: Source) -> Iterator[Link]:
    ends, recipe = ("model", "data"), trace.recipe
    left = f"dvc.lock of {source.commit[:12]} says how {source.model_hash or 'the model'} was made"
    if recipe is None:
        return
    if recipe.problems:
        for problem in recipe.problems:
            said, _, found = problem.partition(", and ")
            yield made(
                ends, said, found or "it can't be read", False,
                fix="dvc repro, then commit dvc.lock: the files of this commit did not make this model",
            )  # fmt: skip
    elif recipe.checked:
        yield made(ends, left, f"{recipe.checked} hashes and params of the commit agree", True)
    elif not recipe.unchecked:
        yield made(
            ends,
            left,
            "no stage of dvc.lock made it: what it was made of is not recorded here",
            None,
        )
    if recipe.unchecked:
        shown = "; ".join(recipe.unchecked[:_MOST_SHOWN])
        more = len(recipe.unchecked) - _MOST_SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        yield made(ends, left, f"nothing can be held against {shown}{rest}", None)
