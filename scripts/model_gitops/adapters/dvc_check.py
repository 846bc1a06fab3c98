"""Whether a project's DVC remotes have all that its files name. No object is downloaded for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import direct_pull, dvc, python_packages
from model_gitops.core.dvc import stages
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.files import Project, Tracked
from model_gitops.errors import ExternalError, InputError, RefusedError

_MOST_SHOWN = 20


def check(
    files: Mapping[str, str],
    top: Path,
    root: Path,
    remote: str,
    settings: Mapping[str, str],
    jobs: int | None,
    *,
    only: str = "",
    but: str = "",
    inside: bool = False,
) -> int:
    """Refuse a project of which an output was never pushed; return how many were looked for.

    Of one `only`, or of all `but` one: paths from `top`.

    `files` are DVC's, path from `top` → text; those of other DVC projects than `root` do not count.
    Of a folder its list is asked for: DVC pushes that last. `inside` has its files looked for too,
    which somebody may have removed since. Raises RefusedError with what is missing,
    ExternalError where a remote can't be read.
    """
    groups: dict[tuple[str, str], list[Tracked]] = {}
    for out, _ in stages.pushed(Project(files)):
        if _root_of(out, top) == root and only in ("", out.path) and out.path != but:
            groups.setdefault((remote or out.remote, out.hash_name), []).append(out)
    checked = 0
    for (name, kind), outs in groups.items():
        checked += _check(name, kind, outs, root, settings, jobs, inside=inside)
    return checked


def _check(
    wanted: str,
    kind: str,
    outs: Sequence[Tracked],
    root: Path,
    settings: Mapping[str, str],
    jobs: int | None,
    *,
    inside: bool,
) -> int:
    if not inside and direct_pull.has_all(root, wanted, settings, kind, {o.hash for o in outs}):
        return len(outs)  # DVC takes longer to load than to ask
    any_out = Artifact.of(outs[0])
    python_packages.ensure_dvc("which asks the remote what it has")
    with dvc.errors(any_out), dvc.opened(root, wanted, settings, any_out) as (repo, name):
        if dvc.keeps_versions(repo, name):
            runner.notice(f"the DVC remote {name!r} keeps versions: what it has is not checked")
            return 0
        source = repo.cloud.get_remote_odb(name, "check", hash_name=kind)
        there = set(source.oids_exist({out.hash for out in outs}, jobs=jobs))
        missing = [out for out in outs if out.hash not in there]
        whole = [out for out in outs if out not in missing]
        lost, lists = _lost(source, whole, jobs) if inside else ([], "")
        where = f"{name!r} ({dvc.shown_url(repo, name)})"
        # DVC takes a server that can't be reached for one that has nothing.
        if missing and (problem := dvc.reading_error(source, missing[0].hash)):
            raise ExternalError(
                f"the DVC remote {where} can't be read: {problem}",
                fix="look whether this runner can reach it, and whether the credentials"
                " (`remote-config`, or the cloud's own variables) may read there",
            )
    if missing or lost:
        paths = sorted({*(out.path for out in missing), *lost})
        more = f", and {len(paths) - _MOST_SHOWN} more" if len(paths) > _MOST_SHOWN else ""
        raise RefusedError(
            f"the DVC remote {where} lacks {len(paths)} outputs that dvc.lock and .dvc files name:"
            f" {', '.join(map(repr, paths[:_MOST_SHOWN]))}{more}",
            fix=f"where they were made: {lists}dvc push --remote {shlex.quote(name)}",
        )
    return len(outs)


def _lost(source: Any, outs: Sequence[Tracked], jobs: int | None) -> tuple[list[str], str]:
    """Return the paths of folders' files that the remote has in its lists alone, and how to push them.

    DVC takes a folder whose list is there for pushed, whatever else is not: the list must go first.
    """
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    lost, lists = list[str](), list[str]()
    for out in (one for one in outs if one.hash.endswith(".dir")):
        tree = Tree.load(source, HashInfo(out.hash_name, out.hash), hash_name=out.hash_name)
        files = {f"{out.path}/{'/'.join(key)}": one.value or "" for key, _, one in tree}
        there = set(source.oids_exist(set(files.values()), jobs=jobs))
        missing = [path for path, one in files.items() if one not in there]
        if missing:
            lost += missing
            path = source.oid_to_path(out.hash)
            lists.append(
                path if source.fs.protocol == "local" else source.fs.unstrip_protocol(path)
            )
    if source.fs.protocol == "local":
        return lost, "".join(f"rm -f {shlex.quote(one)} && " for one in lists)
    return lost, f"remove {' and '.join(lists)}, then: " if lists else ""


def _root_of(out: Tracked, top: Path) -> Path | None:
    try:
        return dvc.project_root((top / out.path).parent, top)
    except InputError:
        return None
