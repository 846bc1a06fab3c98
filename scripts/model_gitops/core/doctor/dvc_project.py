"""Judges the model, its metrics and its data, as Git and DVC have them."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.dvc import artifacts, stages
from model_gitops.core.dvc.files import Project
from model_gitops.errors import InputError

_LIKE_A_MODEL = re.compile(
    r"model|\.(?:onnx|pkl|pickle|joblib|pt|pth|h5|keras|safetensors|bin|cbm|ubj|gguf|tflite)\b",
    re.I,
)
HEAD = "HEAD"
TRAIN = "dvc repro && dvc push && git add --all && git commit -m 'Train the model'"


@dataclass(frozen=True)
class Measured:
    """A metric of the gate at one commit: its number, or why there is none.

    `unasked` says that nobody could look, `where` is the commit or what runs it.
    """

    metric: str
    where: str
    is_there: bool
    problem: str = ""
    fix: str = ""
    unasked: bool = False


def promotion_file(path: str, error: InputError | None, *, is_there: bool) -> Finding:
    """Judge promotion.yaml itself: `error` is why it can't be read."""
    if not is_there:
        return Finding("promotion", False, f"there is no {path}", "model-gitops adopt")
    if error is None:
        return Finding("promotion", True, path)
    return Finding("promotion", False, error.message, error.fix)


def model(name: str, head: Mapping[str, str] | None, checkout: Mapping[str, str]) -> Finding:
    """Judge whether HEAD has the model: `head` are its files, None without a commit."""
    if head is None:
        return Finding("model", False, "there is no commit yet", "git add . && git commit -m Start")
    try:
        found = artifacts.find(name, head)
    except InputError as error:
        if path := artifacts.awaited(name, head):
            return Finding(
                "model", True, f"dvc.yaml names {name} ({path}); nothing was trained yet"
            )
        return _no_model(name, head, checkout, error)
    if found.name != name:
        return _no_model(name, head, checkout, InputError(f"no dvc.yaml names the artifact {name}"))
    return Finding("model", True, f"{name} is {found.path}, {found.hash[:12]} in {found.source}")


def _no_model(
    name: str, head: Mapping[str, str], checkout: Mapping[str, str], error: InputError
) -> Finding:
    folder, colon, short = name.rpartition(":")
    definition = posixpath.join(folder, "dvc.yaml") if colon else "dvc.yaml"
    if name in artifacts.names(checkout) and name not in artifacts.names(head):
        add = f"git add {shlex.quote(definition)} && git commit -m 'Name the model'"
        return Finding(
            "model", False, f"{definition} names {name} in this checkout, not at HEAD", add
        )
    if name in artifacts.names(head):
        return Finding("model", False, error.message, error.fix)
    here = [one for one in artifacts.names(head) if one.rpartition(":")[0] == folder]
    if here:
        names = ", ".join(one.rpartition(":")[2] for one in here)
        fix = f"in promotion.yaml: model: {here[0].rpartition(':')[2]}"
        return Finding(
            "model", False, f"{definition} names {names}, and promotion.yaml {short}", fix
        )
    path = _likely_path(head, folder)
    return Finding(
        "model",
        False,
        f"{definition} names no artifact, and promotion.yaml the model {short}",
        f"add to {definition}:\nartifacts:\n  {short}: {{path: {path}, type: model}}",
    )


def _likely_path(files: Mapping[str, str], folder: str) -> str:
    """Return the path of what is most likely the model, from dvc.yaml's folder."""
    try:
        outs = [out.path for out, _ in stages.pushed(Project(files))]
    except InputError:
        outs = []
    inside = [one for one in outs if not folder or one.startswith(f"{folder}/")]
    likely = [one for one in inside if _LIKE_A_MODEL.search(posixpath.basename(one))] or inside
    return posixpath.relpath(likely[-1], folder or ".") if likely else "PATH"


def metrics(
    check: str, found: Sequence[Measured], *, gated: bool, trained: bool, new_pass: bool = False
) -> Finding:
    """Judge the gate's metrics at one or several commits. `new_pass`: what only a candidate has passes."""
    if not gated:
        return Finding(check, True, "promotion.yaml gates no metric")
    if not trained:
        return Finding(check, None, "nothing was trained yet", TRAIN)
    parts = [_metric(one, new_pass=new_pass) for one in found]
    return joined(check, parts, nothing="no environment runs anything yet")


def _metric(one: Measured, *, new_pass: bool) -> Part:
    if one.is_there:
        return Part(True, f"{one.metric} at {one.where}")
    problem = one.problem or f"{one.metric.partition(':')[0]} has no number of that name"
    if not one.problem and new_pass and one.where != HEAD:
        return Part(True, f"{one.metric} is new since {one.where}, and new metrics pass")
    fix = one.fix or f"dvc repro, and commit {one.metric.partition(':')[0]}"
    if not one.problem and one.where != HEAD:
        fix = "in promotion.yaml, until it runs there: new-metrics: allow"
    return Part(None if one.unasked else False, f"{one.metric} at {one.where}: {problem}", fix)


def remote(default: str, known: Sequence[str], *, needed: bool) -> Finding:
    """Judge whether the project has a remote that `dvc push` uses."""
    if default and default in known:
        return Finding("dvc-remote", True, f"the default remote is {default}")
    if not needed:
        return Finding(
            "dvc-remote", True, "no remote is needed: Git keeps all that the project tracks"
        )
    if default:
        return Finding(
            "dvc-remote",
            False,
            f"the default remote {default} is not defined",
            f"dvc remote add {shlex.quote(default)} URL && git add .dvc/config",
        )
    if known:
        names = ", ".join(known)
        return Finding(
            "dvc-remote",
            False,
            f"no default remote; there are: {names}",
            f"dvc remote default {shlex.quote(known[0])} && git add .dvc/config",
        )
    return Finding(
        "dvc-remote",
        False,
        "the DVC project has no remote: nobody else can pull its models",
        "dvc remote add --default storage s3://BUCKET/PATH && git add .dvc/config",
    )
