"""Which metrics, params and plots DVC shows of a plain project, without DVC, which takes longer to start.

What is not read here with certainty is not read at all: whoever asks leaves it to DVC then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import document
from model_gitops.errors import InputError

# More of them than this is not gone through here.
_MOST_DVC_FILES = 30
_PARAMS = "params.yaml"
_KEY = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
# As in DVC's schema.py, less what means more than it says.
_TOP = {"stages", "metrics", "params", "plots", "artifacts"}
_STAGE = {"cmd", "wdir", "deps", "params", "outs", "metrics", "plots", "frozen", "desc", "always_changed"}  # fmt: skip
_OUT = {"cache": bool, "persist": bool, "push": bool, "desc": str, "type": str}
_OUT_PLOT = {"template": str, "x": str, "y": str, "x_label": str, "y_label": str, "title": str, "header": bool}  # fmt: skip
_PLOT = {"template", "x", "y", "x_label", "y_label", "title"}
_ENTRY = {"path": str, "md5": str, "hash": str, "size": int, "nfiles": int, "isexec": bool}
_PICTURES = (".gif", ".jpeg", ".jpg", ".png", ".svg")


class NotPlain(Exception):
    """DVC itself must say what is there."""


@dataclass
class Shown:
    """What DVC shows. Paths are POSIX, from the project's root.

    `params` has the keys that are shown of a file, none for all of it. `plots` has the definitions by
    the dvc.yaml that has them ("" for outputs of stages), each by its id. `made` is what dvc.lock and
    .dvc files have.
    """

    metrics: list[str] = field(default_factory=list)
    params: dict[str, list[str]] = field(default_factory=dict)
    plots: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    @property
    def sources(self) -> list[str]:
        """The files that the plots take their data from."""
        found = [
            path
            for plots in self.plots.values()
            for name, one in plots.items()
            for path in sources(name, one)
        ]
        return list(dict.fromkeys(found))

    def is_made(self, path: str) -> bool:
        """Whether a run, or a person, had DVC keep `path`, or a folder that it is in."""
        return any(path == one or path.startswith(f"{one}/") for one in self.made)


def sources(name: str, plot: Mapping[str, Any]) -> list[str]:
    """Return the files that a plot takes its data from."""
    found = list(plot["y"]) if isinstance(plot.get("y"), dict) else [name]
    return found + list(plot["x"])[:1] if isinstance(plot.get("x"), dict) else found


def of(paths: Collection[str], read: Callable[[str], str], is_own: Callable[[str], bool]) -> Shown:
    """Return what DVC shows of the files `paths`, as far as it `is_own`. Raises NotPlain.

    `read` returns the text of a file, and may raise NotPlain.
    """
    inside = [path for path in paths if not path.startswith(".dvc/")]
    if any("/.dvc/" in path or f"/{path}".find("/.hg/") >= 0 for path in inside):
        raise NotPlain("a project in the project")
    shown = Shown()
    for path in inside:
        name = posixpath.basename(path)
        if name == ".dvcignore" and not all(map(_is_comment, read(path).splitlines())):
            raise NotPlain(".dvcignore")
    tracking = [path for path in inside if path.endswith(".dvc")]
    if len(tracking) > _MOST_DVC_FILES:
        raise NotPlain("many .dvc files")
    for path in tracking:
        shown.made |= _tracked(_loaded(read(path)), posixpath.dirname(path))
    files = [path for path in inside if posixpath.basename(path) == "dvc.yaml"]
    found = [_File(path, _loaded(read(path)), shown) for path in files]
    outs = [out for one in found for out in one.outs] + list(shown.made)
    for one in found:
        folder = one.folder
        if any(folder == out or f"{folder}/".startswith(f"{out}/") for out in outs):
            raise NotPlain("a dvc.yaml in what a stage makes")
        if (default := posixpath.join(folder, _PARAMS)) in paths:
            _require_plain(_loaded(read(default)))
        if (lock := posixpath.join(folder, "dvc.lock")) in paths:
            shown.made |= _locked(_loaded(read(lock)), one)
    _put_together(shown, found, paths, is_own)
    return shown


def _put_together(
    shown: Shown, files: Sequence[_File], paths: Collection[str], is_own: Callable[[str], bool]
) -> None:
    """Add what the dvc.yaml files say. In which order DVC finds several is the file system's secret."""
    by_file = []
    for one in files:
        metrics = [path for path in one.metrics if is_own(path)]
        params = [{k: v for k, v in some.items() if is_own(k)} for some in one.params]
        outputs = {path: props for path, props in one.out_plots.items() if is_own(path)}
        plots = one.plots if is_own(one.path) else {}
        if metrics or any(params) or outputs or plots:
            by_file.append((one, metrics, params, outputs, plots))
    if len(by_file) > 1:
        raise NotPlain("several dvc.yaml files")
    listed: list[Mapping[str, Sequence[str]]] = []
    for one, metrics, params, outputs, plots in by_file:
        shown.metrics = list(dict.fromkeys(metrics))
        listed = [*params]
        shown.plots = {one.path: plots, "": outputs}
    if _PARAMS in paths and is_own(_PARAMS):
        listed.append({_PARAMS: []})
    shown.params = merged(listed)


def merged(listed: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Put the params of stages together, file by file: all of it, where one names no key."""
    whole = {file for one in listed for file, keys in one.items() if not keys}
    found: dict[str, list[str]] = {}
    for one in listed:
        for file, keys in one.items():
            found.setdefault(file, [])
            if file not in whole:
                found[file] += keys
    return found


def picked(data: Any, keys: Sequence[str]) -> Any:
    """Return of a params file's data what `keys` name, as DVC does; all of it where there are none.

    Raises NotPlain for what DVC may understand in another way.
    """
    if not keys:
        return data
    _require_plain(data)
    found: dict[str, Any] = {}
    for key in dict.fromkeys(keys):
        if any(key.startswith(f"{one}.") for one in keys):
            raise NotPlain("a key in another one")
        node, into = data, found
        steps = key.split(".")
        for at, step in enumerate(steps):
            if not isinstance(node, dict):
                raise NotPlain("a key in no mapping")
            if step not in node:
                break
            node = node[step]
            if at + 1 == len(steps):
                if node in ({}, []):
                    raise NotPlain("an empty value")
                into[step] = node
            elif isinstance(node, dict) and _reaches(node, steps[at + 1 :]):
                into = into.setdefault(step, {})
    return found


def _reaches(node: Any, steps: Sequence[str]) -> bool:
    for step in steps:
        if not isinstance(node, dict):
            raise NotPlain("a key in no mapping")
        if step not in node:
            return False
        node = node[step]
    return True


class _File:
    """One dvc.yaml, checked."""

    def __init__(self, path: str, data: Any, shown: Shown) -> None:
        self.path, self.folder = path, posixpath.dirname(path)
        self.outs: list[str] = []
        self.metrics: list[str] = []
        self.params: list[dict[str, list[str]]] = []
        self.plots: dict[str, dict[str, Any]] = {}
        self.out_plots: dict[str, dict[str, Any]] = {}
        _require(isinstance(data, dict) and set(data) <= _TOP, "dvc.yaml")
        if any("${" in text for text in _texts(data)):
            raise NotPlain("templating")
        for name, artifact in _mapping(data.get("artifacts", {})).items():
            _require(_is_name(name), "the name of an artifact")
            known = {"path": str, "desc": str, "type": str}
            _require(_typed(artifact, known) and "path" in artifact, "an artifact")
        self.stages = _mapping(data.get("stages", {}))
        for name, stage in self.stages.items():
            _require(_is_name(name), "the name of a stage")
            self._stage(stage)
        self.metrics += [_path(one, self.folder) for one in _list(data.get("metrics", []))]
        self.params += [{_path(one, self.folder): []} for one in _list(data.get("params", []))]
        for entry in _list(data.get("plots", [])):
            self._plot(entry)

    def _stage(self, stage: Any) -> None:
        _require(isinstance(stage, dict) and set(stage) <= _STAGE and "cmd" in stage, "a stage")
        commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
        _require(commands and all(isinstance(one, str) for one in commands), "a command")
        for key, wanted in (
            ("wdir", str),
            ("desc", str),
            ("frozen", bool),
            ("always_changed", bool),
        ):
            _require(isinstance(stage.get(key, wanted()), wanted), key)
        folder = _path(stage["wdir"], self.folder) if "wdir" in stage else self.folder
        folder = "" if folder == "." else folder
        for one in _list(stage.get("deps", [])):
            _path(one, folder)
        self._params(_list(stage.get("params", [])), folder)
        for kind in ("outs", "metrics", "plots"):
            options = _OUT | (_OUT_PLOT if kind == "plots" else {})
            found: dict[str, dict[str, Any]] = {}
            for one in _list(stage.get(kind, [])):
                for name, told in (one if isinstance(one, dict) else {one: {}}).items():
                    _require(_typed(told, options), "an output")
                    found.setdefault(_path(name, folder), {}).update(told)
            self.outs += found
            if kind == "metrics":
                self.metrics += found
            if kind == "plots":
                for path, told in found.items():
                    _require(path not in self.out_plots, "an output of two stages")
                    _require(not path.endswith(_PICTURES), "a picture")
                    _require(told.get("header", True), "a file without a head")
                    self.out_plots[path] = {k: v for k, v in told.items() if k in _OUT_PLOT}

    def _params(self, entries: Sequence[Any], folder: str) -> None:
        listed: list[dict[str, list[str]]] = []
        for one in entries:
            for name, keys in (one if isinstance(one, dict) else {_PARAMS: [one]}).items():
                keys = [] if keys is None else keys  # noqa: PLW2901
                _require(isinstance(keys, list), "params")
                for key in keys:
                    _require(isinstance(key, str) and _KEY.fullmatch(key), "a param")
                listed.append({_path(name, folder): keys})
        self.params += [{file: keys} for file, keys in merged(listed).items()]

    def _plot(self, entry: Any) -> None:
        if isinstance(entry, str):
            entry = {entry: None}
        _require(isinstance(entry, dict) and len(entry) == 1, "a plot")
        ((name, told),) = entry.items()
        told = dict({} if told is None else _mapping(told))
        _require(isinstance(name, str) and name and set(told) <= _PLOT, "a plot")
        for key, value in told.items():
            if key not in ("x", "y"):
                _require(isinstance(value, str), key)
        x, y = told.get("x"), told.get("y")
        _require(x is None or isinstance(x, str | dict), "x")
        if isinstance(y, dict):
            told["y"] = self._axis(y, several=True)
            # DVC puts it there.
            told["x"] = self._axis(x, several=False) if isinstance(x, dict) else x
            if x is None:
                del told["x"]
        else:
            _require(y is None or _is_field(y, several=True), "y")
            _require(not isinstance(x, dict), "x")
            name = _path(name, self.folder)
        _require(not name.endswith(_PICTURES), "a picture")
        _require(name not in self.plots, "a plot that is defined twice")
        self.plots[name] = told

    def _axis(self, fields: Mapping[Any, Any], *, several: bool) -> dict[str, Any]:
        _require(fields and all(_is_field(one, several=several) for one in fields.values()), "axis")
        found = {_path(name, self.folder): one for name, one in fields.items()}
        _require(len(found) == len(fields), "a file that is named twice")
        return found


def _locked(data: Any, file: _File) -> set[str]:
    """Return what the runs in a dvc.lock made."""
    _require(
        _mapping(data).get("schema") == "2.0" and set(data) <= {"schema", "stages"}, "dvc.lock"
    )
    made: set[str] = set()
    for name, run in _mapping(data.get("stages", {})).items():
        known = {"cmd", "deps", "params", "outs"}
        _require(isinstance(run, dict) and set(run) <= known, "dvc.lock")
        _require(isinstance(run.get("cmd"), str | list), "dvc.lock")
        for params in _mapping(run.get("params", {})).values():
            _require(all(isinstance(key, str) for key in _mapping(params)), "dvc.lock")
        stage = file.stages.get(name) or {}
        folder = _path(stage["wdir"], file.folder) if "wdir" in stage else file.folder
        _entries(run.get("deps", []), folder)
        made |= _entries(run.get("outs", []), folder)
    return made


def _tracked(data: Any, folder: str) -> set[str]:
    """Return what a .dvc file tracks."""
    _require(isinstance(data, dict) and set(data) <= {"outs"}, ".dvc file")
    return _entries(data.get("outs", []), folder)


def _entries(value: Any, folder: str) -> set[str]:
    found = _list(value)
    _require(all(_typed(one, _ENTRY) and "path" in one for one in found), "an entry")
    return {_path(one["path"], folder) for one in found}


def _loaded(text: str) -> Any:
    """Parse as DVC does, which takes an empty file for an empty mapping."""
    try:
        return document.load_yaml(text, source="") or {}
    except InputError as error:
        raise NotPlain(error.message) from error


def data_of(path: str, text: str) -> Any:
    """Return the data of a JSON or YAML file, as DVC reads it. Raises NotPlain."""
    if path.endswith(".json"):
        import json

        try:
            return json.loads(text) or {}
        except (ValueError, RecursionError) as error:
            raise NotPlain(str(error)) from error
    _require(path.endswith((".yaml", ".yml")), "another kind of file")
    return _loaded(text)


def _require_plain(data: Any) -> None:
    """Raise NotPlain for what DVC's templating may refuse, or search in another way."""
    _require(isinstance(data, dict), "params")
    waiting = [data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            _require(all(isinstance(key, str) and key for key in node), "a key that is no text")
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
        else:
            _require(node is None or isinstance(node, str | int | float), "a value of another kind")


def _require(held: Any, what: str) -> None:
    if not held:
        raise NotPlain(what)


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise NotPlain("no mapping")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotPlain("no list")
    return value


def _typed(value: Any, known: Mapping[str, type]) -> bool:
    """Whether a mapping has no other keys, and values of their types. A boolean is no integer."""
    return isinstance(value, dict) and all(
        key in known and type(one) is known[key] for key, one in value.items()
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_field(value: Any, *, several: bool) -> bool:
    if several and isinstance(value, list):
        return bool(value) and all(isinstance(one, str) for one in value)
    return isinstance(value, str)


def _path(value: Any, folder: str) -> str:
    """Return a path of dvc.yaml from the project's root. Raises NotPlain for one that leads out of it."""
    _require(isinstance(value, str) and value and "\\" not in value and "\0" not in value, "a path")
    _require("://" not in value and not value.startswith("/"), "a path")
    path = posixpath.normpath(posixpath.join(folder, value))
    _require(path != ".." and not path.startswith("../"), "a path out of the project")
    return path


def _texts(node: Any) -> Iterator[str]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _is_comment(line: str) -> bool:
    return not line.strip() or line.strip().startswith("#")
