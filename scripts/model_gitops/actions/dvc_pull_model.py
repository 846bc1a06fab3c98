"""Pull one model, and nothing else, from the DVC remote."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import (
    dvc,
    dvc_remote,
    git,
    git_outputs,
    model_files,
    paths,
    project_files,
)
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.dvc import artifacts, checksums
from model_gitops.core.gto import records, tags
from model_gitops.core.gto import revision as gto_revision
from model_gitops.core.markdown import code
from model_gitops.errors import InputError
from model_gitops.options import (
    Config,
    DvcRemote,
    DvcRemoteConfig,
    existing_folder,
    flag,
    lines,
    option,
)

OUTPUTS = ("path", "hash", "size", "type", "sha256")


def command(
    model: Annotated[
        str,
        option(
            "model",
            "Name of the artifact in dvc.yaml, or a path that DVC tracks. Default: the one of `config`.",
        ),
    ] = "",
    config: Config = "promotion.yaml",
    revision: Annotated[
        str,
        option(
            "revision",
            "Git revision, `name@v1.2.3` or `name#stage`. Default: the checkout as it is.",
        ),
    ] = "",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
    working_directory: Annotated[
        str, option("working-directory", "Folder of the DVC project.")
    ] = ".",
    jobs: Annotated[str, option("jobs", "Files to download at once. Default: DVC's.")] = "",
    sha256: Annotated[
        str,
        option(
            "sha256",
            "SHA-256 that the model must have. Default: what version tags here recorded for its hash.",
        ),
    ] = "",
    check_remote: Annotated[
        bool,
        flag(
            "check-remote",
            "Refuse (code 3) where an output that the project's DVC files name is not in the remote.",
        ),
    ] = False,
) -> None:
    """Find the model's hash in Git, and put the file or folder of that hash where it belongs."""
    settings = dvc_remote.settings(lines(remote_config))
    at_once = _jobs(jobs)
    checksums.check("sha256", sha256)
    folder = existing_folder("working-directory", working_directory or ".")
    repository = git.open_repository(folder)
    if not model:
        # A step that names its model need not load what reads the rules of a flow.
        from model_gitops.adapters import promotion_file

        model = promotion_file.model_of(config, model, repository)
    top = repository.directory.resolve()
    inner = folder.resolve().relative_to(top).as_posix()
    inner = "" if inner == "." else inner
    name, wanted = _split(model, revision)
    known = _published(repository, wanted)
    commit = _commit(repository, known, wanted, inner) if wanted else None
    files = project_files.at(repository, commit)
    artifact = artifacts.find(name, files, folder=inner)
    place = top / artifact.path
    if not paths.is_inside(place.parent, top):
        raise InputError.of(
            "model",
            model,
            f"its path {artifact.path!r} leads out of the repository by a symbolic link",
            fix="make it a real folder",
        )
    expected = records.Expected(sha256) if sha256 else _recorded(repository, known, artifact)

    def accept(subject: str, found: str) -> None:
        records.check(expected, subject, artifact.hash, found)

    root = dvc.project_root(place.parent, top) if artifact.cached or check_remote else top
    if check_remote:
        from model_gitops.adapters import dvc_check

        with runner.group("Checking the DVC remote"):
            checked = dvc_check.check(files, top, root, remote, settings, at_once)
            runner.say(f"{checked} outputs are in the DVC remote")
    with runner.group(f"Pulling {artifact.path}"):
        if artifact.cached:
            pulled = dvc.pull(
                artifact,
                place,
                root=root,
                remote=remote,
                settings=settings,
                jobs=at_once,
                accept=accept,
            )
        else:
            head = commit or _commit(repository, None, "HEAD", inner)
            pulled = git_outputs.take(repository, head, artifact, place, accept)
        runner.say("pulled" if pulled.changed else "it is there already")
    size = model_files.size_of(place)
    path = Path(os.path.relpath(place, Path.cwd())).as_posix()
    runner.write_outputs(
        {
            "path": path,
            "hash": artifact.hash,
            "size": str(size),
            "type": artifact.type,
            "sha256": pulled.sha256,
        }
    )
    label = artifact.name or artifact.path
    runner.write_summary(
        f"### {code(label)}\n\nMD5 `{artifact.hash}`, {size:,} bytes, verified.\n\n"
        f"SHA-256 `{pulled.sha256}`: {_held_against(expected)}.\n"
    )
    runner.say(f"its SHA-256: {_held_against(expected)}")


def _published(repository: git.Git, revision: str) -> Tags | None:
    """Return the server's tags, where `revision` is one of GTO's; None for any other."""
    return Tags.known(repository) if gto_revision.parts(revision) else None


def _recorded(
    repository: git.Git, known: Tags | None, artifact: artifacts.Artifact
) -> records.Expected:
    """Return what version tags record: the server's, if it was asked for them, else the checkout's own."""
    bodies = (known or Tags.own(repository)).messages(artifact.hash)
    return records.expected(bodies, artifact.hash)


def _held_against(expected: records.Expected) -> str:
    if expected.tag:
        return f"as {expected.tag} recorded"
    return "as the input says" if expected.sha256 else "no version tag here has recorded one"


def _split(model: str, revision: str) -> tuple[str, str]:
    """Return the model and the revision; `model` may say both: `name@v1.2.3`, `name#stage`."""
    parsed = tags.parse(model.replace(":", "="))
    if parsed is None or revision or parsed.action not in ("register", "assign"):
        return model, revision
    return parsed.model, model


def _commit(repository: git.Git, known: Tags | None, revision: str, folder: str) -> str:
    """Return the commit of a Git revision, a version or a stage.

    A plain name is that of the model in `folder`, else of the top, as it is for `model`. Raises InputError, and
    RefusedError for what somebody took back.
    """
    parsed = gto_revision.parts(revision)
    if known is None or parsed is None:
        commit = repository.find_commit(revision)
    elif not parsed.counter and parsed.action in ("register", "assign"):
        registry = known.registry
        if (full := artifacts.full_name(parsed.model, folder)) in registry.models:
            parsed = replace(parsed, model=full)
        entry = f"@{parsed.version}" if parsed.action == "register" else f"#{parsed.stage}"
        found = gto_revision.current(registry, parsed.model, parsed.model + entry)
        if parsed.action == "register":
            have = ", ".join(v.version for v in registry.versions(parsed.model)[-20:])
            what = "versions"
        else:
            have = ", ".join(sorted(registry.stages(parsed.model)))
            what = "stages that hold a version"
        if found is None:
            raise InputError.of(
                "revision",
                revision,
                f"the registry has no such entry; the {what} of {parsed.model!r}: {have or 'none'}",
                fix="give one of these, or register the model first (gto-register-stage)",
            )
        commit = repository.find_commit(found.commit)
    else:
        commit = known.commit_of(parsed.model, revision)
    if commit is None:
        raise InputError.of(
            "revision",
            revision,
            "neither this checkout nor its remote has such a revision",
            fix="give a commit, branch or tag that exists, `name@v1.2.3` or `name#stage`",
        )
    return commit


def _jobs(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"0*(1000|[1-9][0-9]{0,2})", text[:100]) or len(text) > 100:
        raise InputError.of("jobs", text, "it is no number from 1 to 1000", fix="jobs: 4")
    return int(text)
