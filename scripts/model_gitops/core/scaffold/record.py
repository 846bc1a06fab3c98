"""`.model-gitops.yaml`: which template a repository was rendered from, with which answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core import document
from model_gitops.core.scaffold.answers import NO_TEXT, Answers
from model_gitops.core.scaffold.render import File, render
from model_gitops.errors import InputError

FILE = ".model-gitops.yaml"
TEMPLATES = ("model", "deploy", "several-models")
# A commit or a tag, and nothing that git could take for an option or for two commits.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Record:
    """What a repository keeps of its template: enough to render it again.

    `only` are the template's paths that were taken, where these are not all of them (see `adopt`).
    """

    template: str
    version: str
    answers: Answers
    only: tuple[str, ...] = ()

    def rendered(self, files: Mapping[str, File]) -> dict[str, File]:
        """Return the repository's files from the template's own, this record among them."""
        taken = {path: file for path, file in files.items() if not self.only or path in self.only}
        return {**render(taken, self.answers), FILE: File(self.text().encode())}

    def text(self) -> str:
        """Return the content of the file."""
        lines = [
            "# What this repository was made of. `model-gitops update` brings in what later templates change.",
            f"template: {self.template}",
            f"version: {_scalar(self.version)}",
            "answers:",
        ]
        for key, value in self.answers.as_data().items():
            shown = (
                f"[{', '.join(map(_scalar, value))}]" if isinstance(value, list) else _scalar(value)
            )
            lines.append(f"  {key}: {shown}")
        if self.only:
            lines += ["only:", *(f"  - {_scalar(path)}" for path in self.only)]
        return "\n".join(lines) + "\n"


def parse(text: str, *, source: str = FILE) -> Record:
    """Return what a `.model-gitops.yaml` says. Raises InputError where it is none."""
    data: Any = document.load_yaml(text, source=source)
    fix = f"git log -p -- {source} (and take back what changed it)"
    if not isinstance(data, dict) or not isinstance(data.get("answers"), dict):
        raise InputError(f"{source} is no list of answers that `init` wrote", fix=fix)
    if data.get("template") not in TEMPLATES:
        said = (
            f"{source}: `template` is {data.get('template')!r}: it is one of {', '.join(TEMPLATES)}"
        )
        raise InputError(said, fix=fix)
    version = data.get("version")
    if not isinstance(version, str) or not VERSION.fullmatch(version) or ".." in version:
        said = f"{source}: `version` is {version!r}: it is a commit or a tag of model-gitops, as a text"
        raise InputError(said, fix=fix)
    only = data.get("only", [])
    if not isinstance(only, list) or not all(isinstance(path, str) for path in only):
        raise InputError(f"{source}: `only` is no list of paths of the template", fix=fix)
    answers = Answers.from_data(data["answers"], where=source)
    return Record(data["template"], version, answers, tuple(only))


def _scalar(value: str) -> str:
    plain = _PLAIN.fullmatch(value) and not NO_TEXT.fullmatch(value)
    # A text of JSON is one of YAML.
    return value if plain else json.dumps(value, ensure_ascii=False)
