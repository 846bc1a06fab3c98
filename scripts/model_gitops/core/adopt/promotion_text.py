"""A new promotion.yaml, as a person would write it: comments where a decision is left."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from model_gitops.core.adopt.artifact_edit import scalar
from model_gitops.core.adopt.branches import Environment
from model_gitops.core.adopt.measures import Measure, Measures
from model_gitops.core.adopt.models import Model
from model_gitops.core.adopt.serving import Image
from model_gitops.core.flow import spelling

SCHEMA = (
    "https://raw.githubusercontent.com/model-gitops/model-gitops/v0/scripts/model_gitops/"
    "promotion.schema.json"
)
# So many more numbers are offered for the gate.
_MOST_OFFERED = 8


@dataclass(frozen=True)
class Deploy:
    """The deploy repository, and where an environment's overlay is. `paths`: environment → its own."""

    repository: str
    path: str = "overlays/{environment}"
    paths: Mapping[str, str] = field(default_factory=dict)


def write(
    model: Model,
    *,
    image: str,
    digest: str = "",
    tag: str = "",
    build: Image | None,
    smoke_test: str,
    environments: Sequence[Environment],
    deploy: Deploy,
    measures: Measures,
    commands: Mapping[str, str | None],
    makes: frozenset[str],
) -> str:
    """Return the text of the promotion.yaml of `model`.

    `digest` (and `tag`) are of an image that is built elsewhere. `smoke_test` is the file of the smoke
    test from the top, empty for none. `makes` are the commands that the Makefile has by their own names.
    """
    return "\n".join(
        [
            f"# yaml-language-server: $schema={SCHEMA}",
            f"model: {scalar(spelling.shown_name(model.gto_name, model.folder))}",
            *_image(model, image, digest, tag, build, smoke_test),
            "deploy:",
            f"  repository: {scalar(deploy.repository)}",
            f"  path: {_templated(deploy.path)}",
            "environments: # in promotion order",
            *(_environment(one, deploy.paths) for one in environments),
            *_gate(model, measures),
            *_commands(model, commands, makes),
            "",
        ]
    )


def _image(
    model: Model, image: str, digest: str, tag: str, build: Image | None, smoke_test: str
) -> Iterator[str]:
    if digest:
        yield "image: # built elsewhere: it is known by its digest"
        yield f"  name: {scalar(image)}"
        yield "  build: false"
        yield f"  digest: {digest}"
        if tag:
            yield f"  tag: {scalar(tag)}"
        return
    more = dict[str, str]()
    if build:
        context = _from(model, build.context)
        if context != ".":
            more["context"] = scalar(context)
        usual = posixpath.join(context, "Dockerfile")
        if posixpath.normpath(usual) != _from(model, build.dockerfile):
            more["dockerfile"] = scalar(_from(model, build.dockerfile))
    usual_test = posixpath.join(model.folder, "tests/smoke.yaml")
    if smoke_test and smoke_test != usual_test:
        more["smoke-test"] = scalar(_from(model, smoke_test))
    if not more:
        yield f"image: {scalar(image)}"
        return
    yield "image:"
    yield f"  name: {scalar(image)}"
    yield from (f"  {key}: {value}" for key, value in more.items())


def _environment(one: Environment, paths: Mapping[str, str]) -> str:
    parts = [f"name: {scalar(one.name)}", f"branch: {scalar(one.branch)}"]
    if one.stage:
        parts.append(f"stage: {scalar(one.stage)}")
    if one.deploy != "push":
        parts.append(f"deploy: {one.deploy}")
    if one.name in paths:
        parts.append(f"path: {scalar(paths[one.name])}")
    return f"  - {{{', '.join(parts)}}}"


def _gate(model: Model, judged: Measures) -> Iterator[str]:
    """Yield the gate: the best measure is its rule, others stand below it as comments."""
    measures = judged.found
    known = [one for one in measures if one.better]
    rules = [f"{{metric: {_metric(model, one)}, better: {one.better}}}" for one in known]
    if rules:
        yield "gate: # a candidate must not be worse than what runs"
        yield f"  - {rules[0]}"
    elif measures:
        yield "# Nothing is gated: no name says which direction is better. To gate one, with the right direction:"
        yield "# gate:"
    elif judged.missing:
        yield "# Nothing is gated: the metrics were not here when this was written. With their key and direction:"
        yield "# gate:"
        yield from (
            f"#   - {{metric: {_from(model, one)}:KEY, better: higher}}" for one in judged.missing
        )
    else:
        yield "# Nothing is gated: no metric was found. `metrics:` of a stage in dvc.yaml names a file of them."
    yield from (f"  # - {rule}" for rule in rules[1:_MOST_OFFERED])
    if not rules:
        yield from (
            f"#   - {{metric: {_metric(model, one)}, better: higher}}"
            for one in measures[:_MOST_OFFERED]
        )


def _metric(model: Model, one: Measure) -> str:
    return scalar(f"{_from(model, one.file)}:{one.key}")


def _commands(
    model: Model, commands: Mapping[str, str | None], makes: frozenset[str]
) -> Iterator[str]:
    """Yield `commands:`, without what is a target of the Makefile of the same name anyway."""
    away = _from(model, model.project or ".")
    start = "" if away == "." else f"cd {away} && "
    told = {
        name: f"{start}{line}"
        for name, line in commands.items()
        if line and not (name in makes and line == f"make {name}" and not start)
    }
    if told:
        yield "commands: # what the workflows run, each one line of bash in this folder"
        yield from (f"  {name}: {_line(line)}" for name, line in told.items())


def _line(text: str) -> str:
    """Return a shell line as YAML: in single quotes, where a plain one could be read otherwise."""
    plain = text[:1].isalpha() and not any(mark in text for mark in (": ", " #", "\t"))
    return text if plain and text.strip() == text else "'" + text.replace("'", "''") + "'"


def _templated(path: str) -> str:
    """Return a path with placeholders as a plain scalar where it can be one."""
    return (
        path
        if scalar(path.replace("{", "").replace("}", "")) == path.replace("{", "").replace("}", "")
        and not path.startswith("{")
        else scalar(path)
    )


def _from(model: Model, path: str) -> str:
    return posixpath.relpath(path or ".", model.folder or ".")
