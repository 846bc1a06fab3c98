"""Writes GTO's tags: registers a version and assigns it to a stage, in one atomic push."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git, model_files, project_files
from model_gitops.core import document
from model_gitops.core.dvc import artifacts, hashes
from model_gitops.core.gto import records, registration, tags
from model_gitops.errors import InputError


def write(
    repository: git.Git,
    request: registration.Request,
    commit: str,
    *,
    revision: str = "HEAD",
    message: str = "",
    remote: str = "origin",
    push: bool = True,
    sha256: str = "",
    registers: bool = True,
) -> registration.Plan:
    """Fetch, decide, write the missing tags and push them; on a lost race decide again.

    `revision` is what `commit` was given as. `sha256` is the model's, empty for that of its file here.
    Without `registers` only a version that is registered is assigned.
    Raises InputError, RefusedError, ExternalError and RaceError.
    """
    guard = tags.guard_ref(request.model)
    # Once, and not again after a lost race: a model may be large.
    sha256_of = cache(model_files.sha256_of)

    def attempt() -> registration.Plan:
        """Fetch, decide, write, push."""
        published = _published(repository, remote, request.model) if push else None
        repository.refresh_tags(remote)
        # A server may show a push half done. What did not change meanwhile was whole.
        if push and published != _published(repository, remote, request.model):
            raise git.LostRace("the tags moved while they were read")
        registry = _registry(repository, published)
        plan = (
            _decide(repository, request, revision, commit, registry)
            if registers
            else registration.decide(request, registry)
        )
        record = _record(repository, plan, request, sha256, sha256_of, published)
        made = _make_tags(
            repository, plan, request, message, record, registry.newest(request.model)
        )
        # Pushed first, then set here: a failure leaves no tag behind in the checkout.
        if not push:
            repository.set_tags(made, replace=False)
        elif made:
            told = repository.remote(
                "push", "--porcelain", "--atomic", "--no-follow-tags", "--no-verify",
                f"--force-with-lease={guard}:{(published or {}).get(guard, '')}", "--", remote,
                f"{list(made.values())[-1]}:{guard}",
                *(f"{value}:refs/tags/{name}" for name, value in made.items()),
            )  # fmt: skip
            if any(line.startswith("=") for line in told.splitlines()):
                # Up to date: another job wrote the very same tag, to the second.
                raise git.LostRace(told)
            repository.keep_tags(made)
        for name in made:
            runner.say(f"tag {name} at {plan.commit[:12]}")
        return plan

    return git.until_won(attempt, f"the tags of {request.model!r}")


def _published(repository: git.Git, remote: str, model: str) -> dict[str, str]:
    """Return the remote's refs of `model`: its tags, lightweight ones too, and its guard."""
    guard = tags.guard_ref(model)
    return {
        ref: value
        for ref, value in repository.remote_refs(remote, "refs/tags/*", guard).items()
        if ref == guard
        or ((tag := tags.parse(ref.removeprefix("refs/tags/"))) and tag.model == model)
    }


def _registry(repository: git.Git, published: Mapping[str, str] | None) -> tags.Registry:
    """Read the tags. Ones that were never pushed say nothing where the remote is the registry."""
    found = repository.tags()
    if published is None:
        names = repository.run("for-each-ref", "--format=%(refname:strip=2)", "refs/tags")
        return tags.Registry.read(found, names.splitlines())
    public = {ref.removeprefix("refs/tags/") for ref in published if ref.startswith("refs/tags/")}
    return tags.Registry.read([tag for tag in found if tag.name in public], public)


def _decide(
    repository: git.Git,
    request: registration.Request,
    revision: str,
    commit: str,
    registry: tags.Registry,
) -> registration.Plan:
    existing = registry.version(request.model, request.version) if request.version else None
    files = project_files.at(repository, commit)
    _check_stage(files, request.stage)
    if existing and request.stage and revision == "HEAD":
        # A version that was named is assigned wherever the checkout stands: a rollback.
        return registration.decide(request, registry)
    artifact = artifacts.find(request.model, files)
    if artifact.name != request.model:
        raise InputError.of(
            "model",
            request.model,
            f"dvc.yaml names no such artifact; it names: {', '.join(artifacts.names(files)) or 'none'}",
            fix=f"model: {artifact.name}"
            if artifact.name
            else "add it under `artifacts:` of dvc.yaml",
        )
    same = frozenset(
        candidate
        for candidate in project_files.commits_with(
            repository, artifact.hash, [v.commit for v in registry.versions(request.model)]
        )
        if _hash_at(repository, request.model, candidate) == artifact.hash
    )
    chosen = registration.Request(
        request.model, request.stage, request.version, request.bump, commit
    )
    return registration.decide(chosen, registry, same)


def _hash_at(repository: git.Git, model: str, commit: str) -> str:
    try:
        return artifacts.find(model, project_files.at(repository, commit)).hash
    except InputError:
        return ""


def _check_stage(files: project_files.ProjectFiles, stage: str) -> None:
    """Hold `stage` against the list in GTO's own configuration, where there is one."""
    if not stage or (text := files.get(".gto")) is None:
        return
    configuration = document.load_yaml(text, source=".gto")
    allowed = configuration.get("stages") if isinstance(configuration, dict) else None
    if isinstance(allowed, list) and stage not in allowed:
        raise InputError.of(
            "stage",
            stage,
            f"the file .gto allows only: {', '.join(str(one) for one in allowed)}",
            fix="give one of these, or add the stage to `stages:` in .gto",
        )


def _record(
    repository: git.Git,
    plan: registration.Plan,
    request: registration.Request,
    sha256: str,
    sha256_of: Callable[[artifacts.Artifact, Path], str],
    published: Mapping[str, str] | None,
) -> tuple[str, str]:
    """Return the model's MD5 at the plan's commit, and its SHA-256: as given, or of its file here.

    The SHA-256 is empty where nobody knows it, and where no version is new and nothing is given.
    Raises RefusedError for a SHA-256 that is not the one that a version recorded for this MD5.
    """
    if not sha256 and plan.version_tag not in plan.new_tags:
        return "", ""
    try:
        artifact = artifacts.find(request.model, project_files.at(repository, plan.commit))
    except InputError:
        return "", ""
    subject = "the model of input `sha256`"
    # For DVC's old kind of hash line endings do not count: one MD5 has several files.
    if not sha256 and artifact.hash_name != hashes.LEGACY_HASH:
        subject = f"what is at {artifact.path!r}"
        sha256 = sha256_of(artifact, repository.directory / artifact.path)
    if sha256:
        bodies = repository.version_messages()
        if published is not None:
            bodies = {name: bodies[name] for name in bodies if f"refs/tags/{name}" in published}
        records.check(records.expected(bodies, artifact.hash), subject, artifact.hash, sha256)
    return artifact.hash, sha256


def _make_tags(
    repository: git.Git,
    plan: registration.Plan,
    request: registration.Request,
    message: str,
    record: tuple[str, str],
    newest: int,
) -> dict[str, str]:
    """Write the objects of the plan's new tags, in the words of GTO; no ref is set yet."""
    # GTO orders by the tagger's second: ours must be later than all, whatever this clock says.
    moment = max(int(time.time()), newest + 1)
    what = f"artifact {request.model} version {plan.version}"
    texts = {
        plan.version_tag: records.add(message or f"Registering {what}", *record),
        plan.stage_tag: message or f"Assigning stage {request.stage} to {what}",
    }
    return {
        name: repository.make_tag(name, plan.commit, texts[name], moment) for name in plan.new_tags
    }
