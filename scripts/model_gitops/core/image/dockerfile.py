"""Dockerfiles: which images a build takes from registries.

Read as BuildKit reads them (its frontend/dockerfile/parser, shell and dockerfile2llb), as far as the
names of images need it. dockerfile-parse on PyPI takes lines of heredocs for instructions and knows
no `${VAR:-default}`; dockerfile, which has BuildKit's own parser, is not there for Linux on ARM.
"""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.image.names import familiar

SCRATCH = "scratch"
_DIRECTIVE = r"\s*{}\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*"
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
# A name, from the start of its path, that may be `.git` or a folder with it.
_GIT = re.compile(r"\.?\Z|[*?$\[]|\.git\b|\.g?i?[*?\[]")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in lower case, its `--flags` without quotes, and what follows."""

    name: str
    flags: Sequence[str]
    words: str
    on_build: bool = False


@dataclass
class _Stage:
    """`FROM base AS name`, and the names that it copies or mounts from.

    `triggers` are those of its ONBUILD instructions: they run in a stage that is made from this one.
    """

    base: str
    name: str = ""
    reads: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)


def references(
    text: str,
    *,
    target: str = "",
    build_args: Mapping[str, str] | None = None,
    contexts: Iterable[str] = (),
    build_platform: str = "",
    platforms: Sequence[str] = (),
) -> list[str]:
    """Return the images that building `target` reads, each once: the frontend's, FROM, COPY, mounts.

    Not among them are stages, `scratch`, and what one of the named `contexts` stands for. A name that
    can't be worked out is returned as it is written, and is no valid reference then.
    """
    given = dict(build_args or {})
    found = [one] if (one := syntax(text, given)) else []
    replaced = {familiar(name) for name in contexts}
    for platform in platforms or ("",):
        arguments = _predefined(platform, build_platform, target) | given
        stages = _stages(text, arguments, given)
        for base in _bases(stages, target, replaced):
            found.append(base)
    # python:3.12 and docker.io/library/python:3.12 are one image.
    return list({familiar(one): one for one in reversed(found)}.values())[::-1]


def sources(text: str) -> set[str]:
    """Return the names in `--from=` of COPY and of mounts, as they are written."""
    return {name for one in instructions(text) for name in _sources(one)}


def takes_git(text: str) -> bool:
    """Whether a COPY, an ADD or a mount of the build context may take its `.git` in."""
    return any(
        _GIT.match(posixpath.normpath(source.strip("\"'")).lstrip("/"))
        for one in instructions(text)
        if not one.on_build
        for source in _of_context(one)
    )


def _of_context(instruction: Instruction) -> Iterator[str]:
    """Yield what an instruction takes from the build context."""
    if instruction.name in ("copy", "add"):
        if not any(flag.startswith("--from=") for flag in instruction.flags):
            words = instruction.words.removeprefix("[").removesuffix("]").replace(",", " ")
            yield from words.split()[:-1]
        return
    for flag in instruction.flags:
        key, _, value = flag.partition("=")
        options = dict(part.partition("=")[::2] for part in value.split(","))
        if key == "--mount" and options.get("type", "bind") == "bind" and "from" not in options:
            yield options.get("source", options.get("src", "."))


def syntax(text: str, build_args: Mapping[str, str]) -> str:
    """Return the image of the frontend that a file asks for, or an empty string."""
    lines = _lines(text)
    asked = build_args.get("BUILDKIT_SYNTAX", "").strip()
    for mark in ("#", "//"):
        asked = asked or _directives(lines, mark).get("syntax", "")
    return asked.split()[0] if asked else ""


# --- instructions ---------------------------------------------------------------------------------


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions: lines joined, comments and heredocs left out."""
    lines = _lines(text)
    escape = "`" if _directives(lines).get("escape") == "`" else "\\"
    # An escaped escape does not continue the line.
    continued = re.compile(rf"(^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    rest = iter(lines)
    for line in rest:
        if _is_comment(line):
            continue
        joined, more = continued.subn(r"\1", line.lstrip())
        while more and (following := next(rest, None)) is not None:
            # A comment or an empty line inside an instruction does not end it.
            if following.strip() and not _is_comment(following):
                following, more = continued.subn(r"\1", following)
                joined += following
        found = _instruction(joined, escape)
        if found is None:
            continue
        for chomp, name in _heredocs(found):
            for line_inside in rest:
                if (line_inside.lstrip("\t") if chomp else line_inside) == name:
                    break
        yield found


def words(text: str) -> Iterator[str]:
    """Yield the words of an instruction as they are written."""
    return _words(text, "\\")


def filled(word: str, values: Mapping[str, str]) -> str | None:
    """Return a word without its quotes, variables filled in; None where `values` lacks one."""
    known = _Asked(values)
    try:
        found = _expand(word, known, "\\")
    except ValueError:
        return None
    return None if known.missing else found


class _Asked(dict[str, str]):
    """Values that remember whether one was asked for that they don't have."""

    missing = False

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a variable."""
        self.missing = self.missing or key not in self
        return super().get(key, default)


def _lines(text: str) -> list[str]:
    return [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _directives(lines: Sequence[str], mark: str = "#") -> dict[str, str]:
    """Return the parser directives, which stand before anything else."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        match = re.fullmatch(_DIRECTIVE.format(mark), line)
        if match is not None:
            found.setdefault(match.group(1).lower(), match.group(2))
        elif number > 0 or not line.startswith("#!"):
            break
    return found


def _instruction(line: str, escape: str) -> Instruction | None:
    name, *after = line.split(None, 1)[:2] or [""]
    rest, flags = "".join(after), []
    if not name:
        return None
    if name.lower() == "onbuild":
        inner = _instruction(rest, escape)
        return inner and Instruction(inner.name, inner.flags, inner.words, on_build=True)
    while rest.startswith("--"):
        word = next(_words(rest, escape))
        rest = rest[len(word) :].lstrip()
        if word == "--":
            break
        flags.append(_known(word, {}, escape, variables=False))
    return Instruction(name.lower(), flags, rest)


def _words(text: str, escape: str) -> Iterator[str]:
    """Yield the words of a line as they are written; quotes keep spaces together."""
    one = re.escape(escape)
    for match in re.finditer(
        rf"(?:'[^']*(?:'|$)|\"(?:{one}.|[^\"])*(?:\"|$)|{one}.|[^\s'\"])+", text, re.DOTALL
    ):
        yield match.group()


def _heredocs(instruction: Instruction) -> list[tuple[bool, str]]:
    """Return the heredocs that an instruction opens: whether tabs are taken off, and the end."""
    if instruction.name not in ("run", "copy", "add") or "<<" not in instruction.words:
        return []
    if instruction.words.startswith("["):
        try:
            json.loads(instruction.words)
        except (ValueError, RecursionError):
            pass
        else:
            return []
    matches = (_HEREDOC.fullmatch(word) for word in _words(instruction.words, "\\"))
    return [
        (one.group(1) == "-", _known(one.group(2), {}, "\\", variables=False))
        for one in matches
        if one is not None
    ]


# --- stages ---------------------------------------------------------------------------------------


def _stages(text: str, arguments: Mapping[str, str], given: Mapping[str, str]) -> list[_Stage]:
    """Read the stages, variables of FROM filled in. `given` wins over the defaults of ARG."""
    values, stages = dict(arguments), list[_Stage]()
    escape = "`" if _directives(_lines(text)).get("escape") == "`" else "\\"
    for one in instructions(text):
        if one.name == "from" and not one.on_build:
            image, *more = [*one.words.split(), ""]
            name = more[1].lower() if len(more) > 1 and more[0].lower() == "as" else ""
            base = _known(image, values, escape)
            parent = _find(stages, base, by_number=False)
            reads = [] if parent is None else list(stages[parent].triggers)
            stages.append(_Stage(base, name, reads))
        elif one.name == "arg" and not stages:
            # Only an ARG before the first FROM has a say in a FROM.
            for word in _words(one.words, escape):
                key, equals, default = word.partition("=")
                if key not in given and equals:
                    values[key] = _known(default, values, escape)
        elif stages:
            stage = stages[-1]
            (stage.triggers if one.on_build else stage.reads).extend(_sources(one))
    return stages


def _known(word: str, values: Mapping[str, str], escape: str, *, variables: bool = True) -> str:
    """Expand a word; one that can't be worked out stays as it is, and BuildKit says what is wrong."""
    try:
        return _expand(word, values, escape, variables=variables)
    except ValueError:
        return word


def _sources(instruction: Instruction) -> Iterator[str]:
    """Yield what an instruction names with `--from=` and `--mount=…,from=`."""
    for flag in instruction.flags:
        key, _, value = flag.partition("=")
        if key == "--from" and instruction.name == "copy":
            yield value
        if key == "--mount" and instruction.name == "run":
            try:
                parts = next(csv.reader([value]), [])
            except csv.Error:  # longer than Python reads
                parts = [f"from={value}"]
            for part in parts:
                option, _, source = part.partition("=")
                if option.strip().lower() == "from":
                    yield source


def _bases(stages: Sequence[_Stage], target: str, replaced: set[str]) -> Iterator[str]:
    """Yield the images that the target's stage needs, itself or by other stages."""
    wanted = _find(stages, target) if target else len(stages) - 1
    left = list(range(len(stages))) if wanted is None else [wanted] if stages else []
    seen = set(left)
    while left:
        number = left.pop(0)
        stage = stages[number]
        if stage.name and familiar(stage.name) in replaced:
            continue
        # A base is an earlier stage; a copy or mount may name any.
        needs = [(stage.base, _find(stages[:number], stage.base, by_number=False))]
        needs += [(one, _find(stages, one)) for one in stage.reads]
        for name, found in needs:
            if found is not None:
                if found not in seen:
                    seen.add(found)
                    left.append(found)
            elif name and name != SCRATCH and familiar(name) not in replaced:
                yield name


def _find(stages: Sequence[_Stage], name: str, *, by_number: bool = True) -> int | None:
    """Return the number of the stage that has this name or number; of equal names the last."""
    if by_number and name.isascii() and name.isdigit():
        return int(name) if int(name) < len(stages) else None
    numbers = [n for n, stage in enumerate(stages) if stage.name and stage.name == name.lower()]
    return numbers[-1] if numbers else None


def _predefined(platform: str, build_platform: str, target: str) -> dict[str, str]:
    """Return the arguments that BuildKit sets for FROM by itself."""
    found = {"TARGETSTAGE": target or "default"}
    for name, value in (("BUILD", build_platform), ("TARGET", platform)):
        system, architecture, variant = [*value.split("/"), "", "", ""][:3]
        found |= {
            f"{name}PLATFORM": value,
            f"{name}OS": system,
            f"{name}ARCH": architecture,
            f"{name}VARIANT": variant,
        }
    return found


# --- words ----------------------------------------------------------------------------------------


def _expand(word: str, values: Mapping[str, str], escape: str, *, variables: bool = True) -> str:
    """Take off quotes and escapes and fill in variables, as BuildKit's shell does.

    Raises ValueError for a form that it does not know.
    """
    return _Word(word, values, escape, variables).until("")


class _Word:
    """A word being read from the left."""

    def __init__(self, text: str, values: Mapping[str, str], escape: str, variables: bool) -> None:
        self._text = text
        self._at = 0
        self._values = values
        self._escape = escape
        self._variables = variables

    def until(self, stop: str) -> str:
        """Read to `stop`, which is consumed, or to the end if it is empty."""
        found = []
        while (char := self._next()) != stop:
            if not char:
                raise ValueError
            if char == "'":
                found.append(self._quoted("'"))
            elif char == '"':
                found.append(self._quoted('"'))
            elif char == "$" and self._variables:
                found.append(self._variable())
            elif char == self._escape:
                found.append(self._next())
            else:
                found.append(char)
        return "".join(found)

    def _next(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += len(char)
        return char

    def _take(self, pattern: str) -> str:
        match = re.compile(pattern).match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match.group() if match else ""

    def _quoted(self, quote: str) -> str:
        found = []
        while (char := self._next()) != quote:
            if not char:
                raise ValueError
            if quote == '"' and char == "$" and self._variables:
                char = self._variable()
            elif quote == '"' and char == self._escape:
                char = self._next()
                if char not in ('"', "$", self._escape):
                    char = self._escape + char
            found.append(char)
        return "".join(found)

    def _variable(self) -> str:
        if not self._take(r"\{"):
            name = self._take(r"[A-Za-z_][A-Za-z0-9_]*")
            return self._values.get(name, "") if name else "$"
        name = self._take(r"[A-Za-z_][A-Za-z0-9_]*")
        value = self._values.get(name)
        operator = self._take(r"\}|:?[-+?]|##?|%%?|//?")
        if not name or not operator:
            raise ValueError
        if operator == "}":
            return value or ""
        if operator[0] in "#%/":
            return self._matched(value or "", operator)
        word = self.until("}")
        is_set = bool(value) if operator[0] == ":" else value is not None
        if operator[-1] == "+":
            return word if is_set else ""
        if is_set:
            return value or ""
        return word if operator[-1] == "-" else ""

    def _matched(self, value: str, operator: str) -> str:
        """Return `value` less a pattern at its start (#) or end (%), or with it replaced (/)."""
        longest = len(operator) == 2 or operator[0] == "/"
        pattern = _regex(self.until("/" if operator[0] == "/" else "}"), longest=longest)
        if operator[0] == "/":
            new = self.until("}")
            return re.sub(pattern, lambda _: new, value, count=0 if len(operator) == 2 else 1)
        if operator[0] == "#":
            return value[match.end() :] if (match := re.match(pattern, value, re.DOTALL)) else value
        starts = range(len(value) + 1) if longest else range(len(value), -1, -1)
        for start in starts:
            if re.fullmatch(pattern, value[start:], re.DOTALL):
                return value[:start]
        return value


def _regex(pattern: str, *, longest: bool) -> str:
    """Return a shell pattern (`*`, `?`) as a regular expression."""
    any_text = ".*" if longest else ".*?"
    return "".join({"*": any_text, "?": "."}.get(char) or re.escape(char) for char in pattern)
