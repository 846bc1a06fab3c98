"""Writes GTO's tags: registers a version and assigns it to a stage, in one atomic push."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git, model_files, process, project_files, tag_push
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core import document, retry
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
        """Ask, decide, write, push."""
        found = _published(repository, remote, request.model) if push else Tags.own(repository)
        plan = (
            _decide(repository, request, revision, commit, found)
            if registers
            else registration.decide(request, found.registry)
        )
        record = _record(repository, plan, request, sha256, sha256_of, found)
        # GTO orders by the tagger's second: ours must be later than all, whatever this clock says.
        newest = found.registry.newest_beside(request.model, plan.version, request.stage)
        made = _make_tags(repository, plan, request, message, record, newest)
        # Pushed first, then set here: a failure leaves no tag behind in the checkout.
        if not push:
            set_tags(repository, made, replace=False)
        elif made:
            told = _push(repository, remote, guard, plan.commit, made, found)
            if any(line.startswith("=") for line in told.splitlines()):
                # Up to date: another job wrote the very same tag, to the second.
                raise git.LostRace(told)
            _keep_tags(repository, made)
        for name in made:
            runner.say(f"tag {name} at {plan.commit[:12]}")
        return plan

    return git.until_won(attempt, f"the tags of {request.model!r}")


def _published(repository: git.Git, remote: str, model: str) -> Tags:
    """Return the remote's tags, and the guard of `model`. Raises LostRace where they move."""
    guard = tags.guard_ref(model)
    # Branches say which commits are there.
    found = Tags.published(repository, remote, guard, "refs/heads/*")
    held = found.listing.object_of(guard)
    # A server may show a push half done. The guard is moved first, and names the last tag of its push.
    if held and not found.listing.has_tag_of(held):
        # Somebody may have deleted that tag. What does not change is whole.
        again = Tags.published(repository, remote, guard).listing
        if again.object_of(guard) != held or again.of_model(model) != found.listing.of_model(model):
            raise git.LostRace("the tags moved while they were read")
    return found


def _push(
    repository: git.Git,
    remote: str,
    guard: str,
    commit: str,
    made: Mapping[str, str],
    found: Tags,
) -> str:
    """Push new tags at `commit`, all or none, if the guard is where it was; return what git said."""
    there = found.listing.at(commit)
    return tag_push.push(
        repository,
        remote,
        [
            "--porcelain", "--atomic", "--no-follow-tags", "--no-verify",
            f"--force-with-lease={guard}:{found.listing.object_of(guard)}",
        ],
        [
            f"{list(made.values())[-1]}:{guard}",
            *(f"{value}:refs/tags/{name}" for name, value in made.items()),
        ],
        [] if there is None else [commit, *there, *made.values()],
    )  # fmt: skip


def _decide(
    repository: git.Git,
    request: registration.Request,
    revision: str,
    commit: str,
    found: Tags,
) -> registration.Plan:
    registry = found.registry
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
    chosen = registration.Request(
        request.model, request.stage, request.version, request.bump, commit
    )
    return registration.decide(
        chosen, registry, _same(repository, chosen, existing, artifact, found)
    )


def _same(
    repository: git.Git,
    request: registration.Request,
    existing: tags.Version | None,
    artifact: artifacts.Artifact,
    found: Tags,
) -> frozenset[str]:
    """Return the commit of the version that has this very model, if it is not ours, where it matters."""
    model, commit = request.model, request.commit
    if request.version:
        candidates = iter([existing] if existing and existing.commit != commit else [])
    elif found.registry.version_at(model, commit):
        return frozenset()
    else:
        candidates = found.with_model(model, artifact.hash)
    for one in candidates:
        if repository.find_commit(one.commit) and (
            _hash_at(repository, model, one.commit) == artifact.hash
        ):
            return frozenset({one.commit})
    return frozenset()


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
    found: Tags,
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
        bodies = found.messages(artifact.hash)
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
    moment = max(int(time.time()), newest + 1)
    what = f"artifact {request.model} version {plan.version}"
    texts = {
        plan.version_tag: records.add(message or f"Registering {what}", *record),
        plan.stage_tag: message or f"Assigning stage {request.stage} to {what}",
    }
    return {
        name: make_tag(repository, name, plan.commit, texts[name], moment) for name in plan.new_tags
    }


def make_tag(repository: git.Git, name: str, commit: str, message: str, moment: int) -> str:
    """Write the object of an annotated tag, dated `moment` (Unix seconds), and return its hash.

    No ref is set. Raises InputError for a name that Git does not take.
    """
    if repository.completed("check-ref-format", f"refs/tags/{name}", check=False).returncode != 0:
        raise InputError(f"Git takes no tag named {name!r}", fix="give the model a plainer name")
    tagger = repository.completed("var", "GIT_COMMITTER_IDENT", env=repository.identity()).stdout
    who = tagger.strip().rsplit(" ", 2)[0]
    lines = [f"object {commit}", "type commit", f"tag {name}", f"tagger {who} {moment} +0000"]
    return repository.run("mktag", input="\n".join([*lines, "", message.strip()]) + "\n").strip()


def set_tags(repository: git.Git, made: Mapping[str, str], *, replace: bool) -> None:
    """Set local tags (name → object), all or none; git.LostRace if one exists and not `replace`."""
    if not made:
        return
    verb = "update" if replace else "create"
    orders = "".join(f"{verb} refs/tags/{name} {value}\n" for name, value in made.items())
    done = repository.completed("update-ref", "--stdin", input=orders, check=False)
    if done.returncode != 0:
        if retry.is_lost_race(done.stderr):
            repository.remove_stale_lock(done.stderr)
            raise git.LostRace(done.stderr)
        raise process.ProcessError(done)


def _keep_tags(repository: git.Git, made: Mapping[str, str]) -> None:
    """Set tags that are pushed already here too. A lock that stays in the way is no failure."""
    said = ""
    for attempt in range(retry.ATTEMPTS):
        try:
            set_tags(repository, made, replace=True)
            return
        except git.LostRace as error:
            said = retry.reason(str(error))
            time.sleep(retry.pause(attempt, random.random()))  # noqa: S311 - jitter
    runner.warning(
        f"the tags {', '.join(made)} are pushed, but this checkout does not take them: {said[:200]}"
    )
