"""Render a template: files in, files out, with other names, branches and environments.

The templates are plain files that run as they are, with the names of an example: the model `diabetes` of
the owner `acme`, and the environments below. `render` puts the answers' names in their place:

- names, by `_names`, wherever they are, in texts and in paths;
- branches and environments, by `_words`, only in the forms that are listed there, as `main` and
  `production` are plain words too;
- a file of one environment (`overlays/dev/…`, `argocd/dev.yaml`), and three lines in a row that are about
  the three environments, once for each environment that the answers have.

So a template may name branches and environments in these forms only: tests/unit/test_scaffold_render.py
finds what is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.scaffold.answers import Answers

# The template's own environments, each with its branch. The one in the middle is left out, or repeated.
ENVIRONMENTS = ("dev", "staging", "production")
BRANCHES = ("main", "staging", "production")


@dataclass(frozen=True)
class File:
    """One file: its content, and whether it may be run."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class _Place:
    """Which environment a text is about: its place in the answers, and what the template calls it."""

    at: int
    like: str


# A file with none of these is as it was.
_SPOKEN_OF = re.compile("|".join({"diabetes", "acme", *ENVIRONMENTS, *BRANCHES}))
# A pattern, and what is put in its place.
_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def render(files: Mapping[str, File], answers: Answers) -> dict[str, File]:
    """Return a template's files (path → file) with the names, branches and environments of `answers`.

    `files` are all of one template, or some of them. Line ends, and what is no UTF-8, stay as they are.
    """
    made: dict[str, File] = {}
    for path, file in files.items():
        for place in _places_of(path, answers):
            content = _content(file.content, answers, place)
            made[_change(path, answers, place)] = File(content, file.executable)
    return dict(sorted(made.items()))


def _content(content: bytes, answers: Answers, place: _Place | None) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    if "\0" in text or not _SPOKEN_OF.search(text):
        return content
    if place is not None:
        return _change(text, answers, place).encode()
    return "".join(_each_environments_lines(text, answers)).encode()


def _each_environments_lines(text: str, answers: Answers) -> Iterator[str]:
    """Yield a changed text in parts: three lines about the three environments once for each of ours."""
    lines = text.splitlines(keepends=True)
    plain: list[str] = []
    while lines:
        three = dict(zip(ENVIRONMENTS, lines, strict=False))
        if not _are_one_each(three):
            plain.append(lines.pop(0))
            continue
        yield _change("".join(plain), answers, None)
        yield from (_change(three[one.like], answers, one) for one in _all_places(answers))
        plain, lines = [], lines[len(three) :]
    yield _change("".join(plain), answers, None)


def _are_one_each(lines: Mapping[str, str]) -> bool:
    """Whether these lines (environment → line) are one about each: alike up to its name."""
    if len(lines) < len(ENVIRONMENTS) or not all(name in line for name, line in lines.items()):
        return False
    parts = [re.split(rf"\b{name}\b", line) for name, line in lines.items()]
    return all(len(part) > 1 and part[0] and part[0] == parts[0][0] for part in parts)


def _places_of(path: str, answers: Answers) -> Sequence[_Place | None]:
    """Return the environments that a file is rendered for; one None where it is of no environment."""
    words = re.split(r"[/.]", path)
    of = next((one for one in ENVIRONMENTS if one in words), None)
    return [None] if of is None else [one for one in _all_places(answers) if one.like == of]


def _all_places(answers: Answers) -> list[_Place]:
    """Return the answers' environments: the first as dev, the last as production, others as staging."""
    last = len(answers.environments) - 1
    first, middle, end = ENVIRONMENTS
    return [
        _Place(at, end if at == last else first if at == 0 else middle) for at in range(last + 1)
    ]


def _change(text: str, answers: Answers, place: _Place | None) -> str:
    """Put the answers into one text. It is read once: what was put in is never changed again."""
    rules = [*_words(answers, place), *_names(answers)]
    # The next match of each rule: of two at one place the earlier rule wins.
    waiting = {order: found for order, rule in enumerate(rules) if (found := rule[0].search(text))}
    made, at = [], 0
    while waiting:
        order = min(waiting, key=lambda one: (waiting[one].start(), one))
        match = waiting[order]
        made += [text[at : match.start()], rules[order][1](match)]
        at = match.end()
        for one in [one for one, next_match in waiting.items() if next_match.start() < at]:
            del waiting[one]
            if found := rules[one][0].search(text, at):
                waiting[one] = found
    return "".join([*made, text[at:]])


def _names(answers: Answers) -> list[_Rule]:
    """The names: what the template has, and what takes its place. An earlier one wins."""
    table = {
        r"load_diabetes": "load_diabetes",  # the data set's own loader, of scikit-learn
        r"ghcr\.io/acme/diabetes\b": answers.image,
        r"(?<=https://)github\.com(?=/acme\b)": answers.host,
        r"\bacme/diabetes-deploy\b": answers.deploy_repository,
        r"\bacme/diabetes\b": answers.repository,
        r"acme": answers.owner,
        # the Python package
        r'(?<=\bfrom )diabetes\b|(?<=\bsrc/)diabetes\b|(?<="src" / ")diabetes\b': answers.package,
        r"(?<=/app/)diabetes(?=/)|\bdiabetes(?=\.serve\b)": answers.package,
        # the component `deploy`, in manifests and overlays
        r"(?<=- name: )diabetes-deploy\b(?!-)|(?<=image: )diabetes-deploy\b": f"{answers.name}-deploy",
        r"diabetes-deploy\b": answers.deploy_repository.rpartition("/")[2],
        r"diabetes": answers.name,
    }
    return [(re.compile(pattern), _always(value)) for pattern, value in table.items()]


def _always(value: str) -> Callable[[re.Match[str]], str]:
    return lambda _: value


def _words(answers: Answers, place: _Place | None) -> list[_Rule]:
    """Branches and environments, in the forms that a template may use."""
    lists = [
        (_list_of(BRANCHES), lambda found: _listed(found, answers.branches, answers)),
        (_list_of(ENVIRONMENTS), lambda found: _listed(found, answers.environments, answers)),
    ]
    if place is None:
        ends = {"dev": answers.environments[0], "production": answers.environments[-1]}
        first = answers.branches[0]
        return [
            *lists,
            (re.compile(r"(?<=refs/heads/)main\b|(?<=\bbase: )main\b"), lambda _: first),
            (
                re.compile(r"(?<=base-ref: )main\b|(?<=\bdiff )main\b|(?<=`)main(?=`)"),
                lambda _: first,
            ),
            (re.compile(r"(?<=\[)main(?=\] # the first environment's)"), lambda _: first),
            (
                re.compile(r"(?<=overlays/)(dev|production)\b|(?<=diabetes-)(dev|production)\b"),
                lambda found: ends[found[0]],
            ),
            (
                re.compile(r"(?<=subject: )production\b|(?<=')production(?=')"),
                lambda found: ends[found[0]],
            ),
        ]
    branch = answers.branches[place.at]
    before = answers.branches[place.at - 1] if place.at else ""
    merged = f"`{before}` is merged" if before else "a pull request is merged"
    ours = BRANCHES[ENVIRONMENTS.index(place.like)]
    return [
        *lists,
        (re.compile(r"`\w+` is merged(?= into `)"), lambda _: merged),
        (
            re.compile(
                rf"(?<=merged into `){ours}(?=`)|(?<=\b[Bb]ranch: ){ours}\b|(?<=the branch ){ours}\b"
            ),
            lambda _: branch,
        ),
        (re.compile(rf"\b{place.like}\b"), lambda _: answers.environments[place.at]),
    ]


def _list_of(names: Sequence[str]) -> re.Pattern[str]:
    """Match the three names in a row: `a`, `b` and `c`; [a, b, c]; a → b → c; x-a, x-b, x-c; a:a a:b a:c."""
    first, middle, last = names
    return re.compile(
        rf"(?P<quote>[\"'`]?)(?P<start>\b(?:diabetes-|main:)?){first}(?P=quote)(?P<between>, | → | )"
        rf"(?P=quote)(?P=start){middle}(?P=quote)(?P<end>, and | and |, | → | )"
        rf"(?P=quote)(?P=start){last}\b(?P=quote)"
    )


def _listed(found: re.Match[str], names: Sequence[str], answers: Answers) -> str:
    start = found["start"].replace("diabetes", answers.name).replace("main", answers.branches[0])
    words = [f"{found['quote']}{start}{one}{found['quote']}" for one in names]
    text = found["between"].join(words[:-1])
    return f"{text}{found['end']}{words[-1]}" if text else words[-1]
