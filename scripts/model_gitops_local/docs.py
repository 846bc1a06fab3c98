"""The generated parts of READMEs and docs/: tables read off each action.yml, and what was measured."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click

from model_gitops import events
from model_gitops.__main__ import other_command
from model_gitops.actions import ACTIONS
from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.commands import COMMANDS
from model_gitops.core import document
from model_gitops.core.doctor import checks
from model_gitops.errors import RefusedError
from model_gitops_local import project_commands, several_models

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def write(*, check: bool) -> list[str]:
    """Fill every generated block; return the files that changed.

    With `check` nothing is written, and RefusedError names the files that would change.
    """
    changed = []
    generated = {
        ROOT / several_models.FOLDER / name: text for name, text in several_models.files().items()
    } | {ROOT / "docs" / "performance.svg": picture()}
    for page in [*pages(), *generated]:
        old = page.read_text(encoding="utf-8") if page.exists() else ""
        new = generated.get(page) or fill(old, page.parent)
        if new != old:
            changed.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(new, encoding="utf-8")
    if check and changed:
        raise RefusedError(
            f"generated tables are out of date in {', '.join(changed)}", fix="make docs"
        )
    return changed


def pages() -> list[Path]:
    """Return the pages that may hold generated blocks."""
    return [
        ROOT / "README.md",
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("actions/*/README.md")),
        ROOT / "examples" / "README.md",
    ]


def fill(text: str, folder: Path) -> str:
    """Return `text` with each generated block written anew, for the page in `folder`."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{_table(match[2], folder)}\n{match[3]}"

    return _BLOCK.sub(block, text)


def metadata(folder: Path) -> Any:
    """Return the parsed action.yml of the action in `folder`."""
    file = folder / "action.yml"
    return document.load_yaml(file.read_text(encoding="utf-8"), source=str(file.relative_to(ROOT)))


def _table(kind: str, folder: Path) -> str:
    if kind == "actions":
        rows = [
            f"| [{name}](actions/{name}/README.md) | {text} |" for name, text in ACTIONS.items()
        ]
        return "\n".join(["| action | what it does |", "|---|---|", *rows]) + "\n"
    if kind == "example":
        return f"```yaml\n{example(folder.name).read_text(encoding='utf-8')}```\n"
    if kind == "examples":
        return _examples()
    if kind == "keys":
        return _keys(promotion_schema())
    if kind == "events":
        return _events()
    if kind == "checks":
        return _checks()
    if kind == "commands":
        return _commands()
    if kind in ("targets", "measured"):
        return str(_benchmarks()[kind])
    entries = metadata(folder)[kind]
    if kind == "inputs":
        head = ["| input | what it is | default |", "|---|---|---|"]
        rows = [
            f"| `{name}` | {_cell(one['description'])} | {_default(one)} |"
            for name, one in entries.items()
        ]
    else:
        head = ["| output | what it is |", "|---|---|"]
        rows = [f"| `{name}` | {_cell(one['description'])} |" for name, one in entries.items()]
    return "\n".join([*head, *rows]) + "\n"


def example(action: str) -> Path:
    """Return the complete workflow that shows an action alone."""
    return ROOT / "examples" / action / f"{action}.yml"


def _examples() -> str:
    """Return each example, with the sentence that it starts with."""
    rows = []
    for action in ACTIONS:
        said = example(action).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        rows.append(f"| [{action}]({action}/{action}.yml) | {said} |")
    return "\n".join(["| workflow | what it answers or does |", "|---|---|", *rows]) + "\n"


def _keys(schema: Any) -> str:
    """Return each key of promotion.yaml: what it is, what it is without a word, and an example."""
    rows = []
    for place, one in _properties(schema, "", schema["$defs"]["verify"]):
        default = one.get("default")
        shown = "" if default is None else f"`{document.flow(default)}`"
        key = place.rpartition(".")[2]
        example = f"`{key}: {document.flow(one['examples'][0])}`"
        rows.append(
            f"| `{place}` | {_cell(one['description'])} | {shown} | {example.replace('|', chr(92) + '|')} |"
        )
    return (
        "\n".join(["| key | what it is | default | example |", "|---|---|---|---|", *rows]) + "\n"
    )


def _properties(schema: Any, prefix: str, verify: Any) -> Iterator[tuple[str, Any]]:
    for name, one in schema.get("properties", {}).items():
        yield f"{prefix}{name}", one
        # An environment's own `verify` has the same keys: they are listed once.
        inner = verify if (prefix, name) == ("", "verify") else one
        yield from _properties(inner, f"{prefix}{name}.", verify)
        yield from _properties(one.get("items", {}), f"{prefix}{name}[].", verify)


def _events() -> str:
    """Return where an event's commit, branches and pull request come from."""
    rows = []
    for one in (*events.EVENTS, events.OTHER):
        names = ", ".join(f"`{name}`" if one is not events.OTHER else name for name in one.names)
        if one.when:
            values = " or ".join(f"`{value}`" for value in one.when[1:])
            names += f" where `{one.when[0]}`" + (f" is {values}" if values else "")
        cells = [f"`{path}`" if path else "" for path in (one.base, one.head, one.pull_request)]
        commit = f"`{one.commit}`" if one.commit else "what is checked out"
        if one.kind is events.Kind.GONE:
            commit = "none"
        rows.append(f"| {names} | {commit} | {' | '.join(cells)} | {one.note} |")
    head = ["| event | commit | base | head | pull request | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _checks() -> str:
    """Return what `doctor` checks."""
    rows = [f"| `{one.id}` | {one.means} | {one.needs} |" for one in checks.CHECKS]
    return "\n".join(["| check | ✓ means | it asks |", "|---|---|---|", *rows]) + "\n"


def _commands() -> str:
    """Return each command that is no action, with its words and its options."""
    parts = [_command(name, other_command(name)) for name in COMMANDS]
    parts += [_command(f"local {one.name}", one) for one in project_commands.COMMANDS]
    return "\n".join(parts)


def _command(name: str, one: click.Command) -> str:
    """Return a command's heading, usage, description and table of options."""
    rows = []
    words = ""
    for entry in one.params:
        if isinstance(entry, click.Option):
            default = str(entry.default) if isinstance(entry.default, str | Path) else ""
            shown = "" if default in ("", "false") else f"`{default}`"
            # A secret has the name of its environment variable there, and is no option to type.
            variable = re.fullmatch(r"\((\w+)\)", entry.metavar or "")
            option = variable[1] if variable else entry.opts[0]
            rows.append(f"| `{option}` | {_cell(entry.help or '')} | {shown} |")
        else:
            word = str(entry.name).upper()
            words += f" {word}" if entry.required else f" [{word}]"
    parts = [f"## {name}", f"`{name}{words}`", *_paragraphs(one.help or "")]
    if rows:
        head = ["| option | what it is | default |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str) -> list[str]:
    """Return a docstring's paragraphs; what is indented is what a person types."""
    result = []
    for one in inspect.cleandoc(text).split("\n\n"):
        lines = one.splitlines()
        if all(line.startswith("    ") for line in lines):
            typed = "\n".join(f"$ {line.strip()}" for line in lines)
            result.append(f"```console\n{typed}\n```")
        else:
            result.append(" ".join(lines))
    return result


def picture() -> str:
    """Return docs/performance.svg: how what was measured grows."""
    return str(_benchmarks()["picture"])


@cache
def _benchmarks() -> dict[str, str]:
    """Return what benchmarks/ says of itself: only a checkout has it, and so no import at the top."""
    sys.path.append(str(ROOT))
    from benchmarks import run

    return run.told()


def _default(entry: Any) -> str:
    if entry.get("required"):
        return "required"
    default = str(entry.get("default", "")).replace("${{ github.token }}", "the job's token")
    return f"`{default}`" if default else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
