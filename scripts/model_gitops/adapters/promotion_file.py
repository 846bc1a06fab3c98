"""promotion.yaml, read and checked: of the checkout, or of the branch that judges a change.

Its paths start in its own folder, and its model is that of the dvc.yaml beside it.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import paths
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.flow import promotion, rules, spelling
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import ExternalError, InputError

NAME = "promotion.yaml"


@dataclass(frozen=True)
class Rules:
    """The rules that judge a change, and what the change does to them once it is merged.

    `commit` is the base's commit that they were read at; empty for the checkout's own file. `own` are
    the change's own rules then, which count after its merge.
    """

    promotion: Promotion
    commit: str = ""
    changes: tuple[rules.Change, ...] = ()
    own: Promotion | None = None


def place(config: str) -> Path:
    """Return the file that the input `config` means: the file itself, or its folder's promotion.yaml."""
    path = Path(config or NAME)
    return path / NAME if paths.is_folder(path) else path


def read_promotion(path: Path, repository: Git) -> Promotion:
    """Read and check the promotion.yaml at `path`. Raises InputError."""
    folder = _folder(path, repository)
    data = _load(path, repository)
    _refuse_paths_from_the_top(path, data, _from_the_top(repository, "", data, folder), folder)
    return _checked(data, path.name, folder)


def parse_text(text: str, *, source: str, folder: str = "") -> Promotion:
    """Return the promotion.yaml whose `text` another place has. Raises InputError, naming `source`."""
    return _checked(document.load_yaml(text, source=source), source, folder)


def model_of(config: str, model: str, repository: Git) -> str:
    """Return `model`, and where it is empty the one of `config`, as GTO has it. Raises InputError."""
    path = place(config)
    if model:
        return model
    if not paths.is_file(path):
        raise InputError.of(
            "model", model, f"it is empty, and there is no {path}",
            fix="model: the name under `artifacts:`, or config: the folder of promotion.yaml",
        )  # fmt: skip
    return read_promotion(path, repository).model


def require_environment(path: Path, repository: Git, branch: str, commit: str) -> None:
    """Refuse a branch that `path` at `commit` does not name as an environment's. Raises InputError."""
    found = repository.find_commit(commit)
    name = in_repository(path, repository)
    text = repository.file_at(found, name) if found and name else None
    known = document.load_yaml(text, source=name) if text else None
    listed = known.get("environments") if isinstance(known, Mapping) else None
    names = [one.get("branch") for one in listed or () if isinstance(one, Mapping)]
    if branch not in names:
        raise InputError(
            f"{branch!r} is no environment's branch in {path.name} of the default branch, in whose name"
            " this job runs: its own rules are not believed here",
            fix="run this step on `push` or `pull_request`, or merge the environment into the default branch",
        )


def read_rules(path: Path, repository: Git, *, base: str, is_change: bool) -> Rules:
    """Return the rules for a change into branch `base`, or for what that branch has already.

    A change (`is_change`) can't rewrite the rules that judge it: they are read at the tip of `base`
    on the server, else at the base of the event's pull request. Raises InputError, and ExternalError
    where a pull request's base can't be had.
    """
    own, folder = _load(path, repository), _folder(path, repository)
    judging = _checked(own, path.name, folder)
    wrong = _from_the_top(repository, "", own, folder)
    if not is_change:
        _refuse_paths_from_the_top(path, own, wrong, folder)
        return Rules(judging)
    commit = _base_commit(repository, base)
    name = in_repository(path, repository)
    if not commit or not name:
        runner.notice(
            f"{path} of this checkout judges the change: {base!a} is no branch of the server"
            if name
            else f"{path} is no file of the repository: it judges the change as it is"
        )
        _refuse_paths_from_the_top(path, own, wrong, folder)
        return Rules(judging)
    text = _text_at(repository, commit, name)
    if text is None:
        runner.notice(f"{base} has no {name} yet: this change's own one judges it")
        _refuse_paths_from_the_top(path, own, wrong, folder)
        return Rules(judging, "", rules.changes({}, own))
    source = f"{name} of {base}"
    known = document.load_yaml(text, source=source)
    document.validate(known, promotion_schema(), source=source)
    meant = known
    if old := _from_the_top(repository, commit, known, folder):
        # So the change that writes them rightly can be merged.
        _refuse_paths_from_the_top(path, own, wrong, folder)
        runner.notice(f"{source} has paths from the repository's top: {', '.join(old)}")
        meant = spelling.rewritten(known, old)
    return Rules(_checked(meant, source, folder), commit, rules.changes(known, own), judging)


def read_previous(path: Path, repository: Git, before: str) -> Promotion | None:
    """Return the rules that a branch had at `before`, the commit that a push replaced.

    None for a new branch, or where it had none. Raises InputError, and ExternalError where that commit
    can't be had.
    """
    if not before.strip("0"):
        return None
    commit, name = repository.find_commit(before), in_repository(path, repository)
    if commit is None:
        raise ExternalError(
            f"the commit {before}, whose rules held before this push, can't be fetched",
            fix="give actions/checkout `fetch-depth: 0` and `persist-credentials: true`",
        )
    return read_at(repository, commit, name) if name else None


def read_at(repository: Git, commit: str, name: str) -> Promotion | None:
    """Return the rules in file `name`, a path from the top, at `commit`; None without it. Raises InputError."""
    text = _text_at(repository, commit, name)
    if text is None:
        return None
    source, folder = f"{name} of {commit[:12]}", posixpath.dirname(name)
    known = document.load_yaml(text, source=source)
    document.validate(known, promotion_schema(), source=source)
    old = _from_the_top(repository, commit, known, folder)
    return _checked(spelling.rewritten(known, old) if old else known, source, folder)


def _text_at(repository: Git, commit: str, name: str) -> str | None:
    """Return the text of a file at `commit`; None without it. Raises InputError for a link."""
    text = repository.file_at(commit, name)
    # Only a short text without a line break may be a link's.
    if text and "\n" not in text and repository.run(
        "ls-tree", "--full-tree", commit, "--", f":(literal){name}"
    ).startswith("120000 "):  # fmt: skip
        raise InputError.of(
            "config", name, f"it is a link at {commit[:12]}, whose rules count as they were committed",
            fix="commit the file itself",
        )  # fmt: skip
    return text


def _folder(path: Path, repository: Git) -> str:
    """Return the folder of `path` from the top, POSIX; empty for the top, and outside of it."""
    folder = posixpath.dirname(in_repository(path, repository))
    return "" if folder == "." else folder


def _from_the_top(repository: Git, commit: str, data: Any, folder: str) -> dict[str, str]:
    """Return the paths that name the folder of promotion.yaml once more: as written → as meant.

    They were written where the paths started at the repository's top. In a folder that has one of its
    own name inside they may be right: of a `commit` in that alone, as a change would else say what the
    base's rules mean. `commit` is empty for the checkout.
    """
    if not folder:
        return {}
    inner = f"{folder}/{folder}"
    there = (
        repository.run("ls-tree", "--full-tree", commit, "--", inner) != ""
        if commit
        else (repository.directory / inner).exists()
    )
    return {} if there else spelling.from_the_top(data, folder)


def _refuse_paths_from_the_top(
    path: Path, data: Any, wrong: Mapping[str, str], folder: str
) -> None:
    """Raise InputError for paths that were written from the repository's top."""
    if wrong:
        raise InputError.of(
            "config",
            str(path),
            f"paths in it start in its own folder, {folder}, and there is no {folder}/{folder}",
            fix=f"in {path.name} write {spelling.told((new, old) for old, new in wrong.items())}",
        )


def _base_commit(repository: Git, base: str) -> str:
    """Return the commit that judges a change into `base`; empty where there is none to be had."""
    tips = repository.remote_refs("origin", f"refs/heads/{base}") if repository.has_remote() else {}
    context = runner.context()
    event = context.base_sha if context.base_ref == base else ""
    wanted = tips.get(f"refs/heads/{base}") or event
    if not wanted:
        return repository.commit_of(f"refs/heads/{base}") or ""
    found = repository.find_commit(wanted)
    if found is None:
        raise ExternalError(
            f"the commit {wanted} of {base}, whose rules judge this change, can't be fetched",
            fix="give actions/checkout `fetch-depth: 0` and `persist-credentials: true`",
        )
    return found


def in_repository(path: Path, repository: Git) -> str:
    """Return the path from the top of the repository, POSIX; empty for a place outside of it."""
    # As it is written first: a link that the change brings would lead past the base's rules.
    # And not Path.resolve, which raises for a loop of links.
    for place in (Path.cwd() / path, os.path.realpath(path)):
        where = Path(os.path.relpath(place, repository.directory.resolve()))
        if where.parts[:1] != ("..",):
            return where.as_posix()
    return ""


def _load(path: Path, repository: Git) -> Any:
    if paths.leads_out(path, Path.cwd()):
        problem = "it is a link that leads out of the working directory"
        raise InputError.of("config", str(path), problem, fix="commit the file itself")
    try:
        content = paths.read_bounded(path, document.LARGEST_YAML)
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        fix = meant(path) or others(repository) or f"add a {NAME}: see templates/model"
        raise InputError.of("config", str(path), "no such file", fix=fix) from error
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        problem = f"it can't be read: {said}"
        raise InputError.of("config", str(path), problem, fix=meant(path)) from error
    if len(content) > document.LARGEST_YAML:
        problem = f"the file has more than {document.LARGEST_YAML} bytes"
        raise InputError.of("config", str(path), problem)
    return document.load_yaml(text, source=path.name)


def meant(path: Path) -> str:
    """Return the fix for a `config` that is written as on Windows; empty for others."""
    other = Path(str(path).replace("\\", "/"))
    if paths.is_folder(other):
        other /= NAME
    return f"config: {other.as_posix()}" if other != path and paths.is_file(other) else ""


def others(repository: Git) -> str:
    """Return the fix for a `config` that is not there, where models are elsewhere; empty without one."""
    top = repository.directory
    tracked = repository.run("ls-files", "-z", "--", f":(top,glob)**/{NAME}").split("\0")
    folders = [Path(os.path.relpath(top / one)).parent.as_posix() for one in tracked if one]
    more = f", and {len(folders) - 10} more" if len(folders) > 10 else ""
    named = ", ".join(f"{one!a}"[1:-1] for one in folders[:10])
    return f"config: {'one of ' if len(folders) > 1 else ''}{named}{more}" if folders else ""


def _checked(data: Any, source: str, folder: str) -> Promotion:
    document.validate(data, promotion_schema(), source=source)
    return promotion.parse(data, source=source, folder=folder)


def promotion_schema() -> Any:
    """Return the JSON Schema of promotion.yaml."""
    schema = resources.files("model_gitops") / "promotion.schema.json"
    return json.loads(schema.read_text(encoding="utf-8"))
