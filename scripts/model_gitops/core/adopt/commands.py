"""Which commands set a project up, check it, test it and reproduce it: from its own files."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.flow.commands import MAKEFILES, NAMES

# What a person calls a target, ours first.
_TARGETS: Mapping[str, tuple[str, ...]] = {
    "env": ("env", "setup", "install", "requirements", "init", "deps", "dependencies", "venv", "bootstrap"),
    "check": ("check", "lint", "linting", "format-check", "check-format", "style"),
    "test": ("test", "tests", "unittest", "unit-test", "unit-tests", "test-unit", "pytest"),
    "reproduce": ("reproduce", "repro", "dvc-repro", "pipeline", "train", "run"),
    "smoke": ("smoke", "smoke-test", "smoketest"),
    "push": ("dvc-push", "push-data", "push"),
    "commit": (),
}  # fmt: skip
# Folders of the folder itself in which requirements lie, the nearest first.
_PLACES = ("", "requirements", "src", "app", "code", "env", "envs", "ci")
_REQUIREMENTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "dev.txt",
    "train.txt",
    "requirements.lock",
)

# What a target must run to be what we mean: `run` and `push` are the names of other things too.
_MUST_RUN = {
    "reproduce": re.compile(r"\bdvc\b.*\b(repro|exp)\b"),
    "push": re.compile(r"\bdvc\b.*\bpush\b"),
}

_MAKES = re.compile(
    r"\b(venv|virtualenv|uv (?:sync|venv|pip)|poetry install|conda|pipenv|pdm|hatch)\b"
)
_VENV = re.compile(r"(?:-m venv|virtualenv|uv venv)\s+(?:-\S+\s+)*([A-Za-z0-9_./-]+)")

_IN_VENV = 'PATH="$PWD/.venv/bin:$PATH" '
_NO_LIST = "DVC alone"

Read = Callable[[str], str | None]


@dataclass(frozen=True)
class Commands:
    """One shell line a command; None: the project has nothing for it. `ignored`: lines for .gitignore.

    `found` says where each comes from, in words.
    """

    of: Mapping[str, str | None]
    found: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Setup:
    """How packages are installed: the line that does it, and what starts a program among them."""

    line: str
    starts: str
    found: str
    has_dvc: bool
    ignored: tuple[str, ...] = ()

    def run(self, line: str) -> str:
        return f"{self.starts}{line}" if self.starts else line


def find(
    folder: str, in_git: frozenset[str], read: Read, *, extra: str = "", has_remote: bool = True,
    has_pipeline: bool = True,
) -> Commands:  # fmt: skip
    """Return the commands of the project in `folder` (from the top), each run there by bash.

    `extra` is DVC's for the project's remote (`s3`); `read` returns a file's text, None for no file.
    """
    files = _Files(folder, in_git, read)
    targets = _targets(files)
    setup = _setup(files, f"dvc[{extra}]" if extra else "dvc")
    # A target that makes an environment of its own is how the team does it; one that only installs would
    # install into the runner's Python.
    own = next((one for one in _TARGETS["env"] if _MAKES.search(targets.get(one, ""))), "")
    if own or setup.found == _NO_LIST:
        own = own or next((one for one in _TARGETS["env"] if targets.get(one)), "")
        place = _VENV.search(targets.get(own, ""))
        starts = f'PATH="$PWD/{place[1].rstrip("/")}/bin:$PATH" ' if place else ""
        if own:
            setup = _Setup(f"make {own}", starts, f"target {own} of the Makefile", True)
    found, told = dict[str, str | None](), list[str]()
    for name in NAMES:
        line, source = "", ""
        if name != "env" and (target := _target(name, targets)):
            line, source = setup.run(f"make {target}"), f"target {target} of the Makefile"
        elif name != "env":
            line, source = _without_make(name, files, setup, has_remote, has_pipeline)
        elif setup.line:
            line, source = setup.line, setup.found
        found[name] = line or None
        if line:
            told.append(f"{name}: {source}")
    notes = []
    if setup.found == _NO_LIST:
        notes.append(
            "no list of packages was found (requirements.txt, pyproject.toml, a lock file, environment.yml):"
            " `commands.env` in promotion.yaml installs DVC alone"
        )
    return Commands(found, tuple(told), setup.ignored, tuple(notes))


def _target(name: str, targets: Mapping[str, str]) -> str:
    """Return the Makefile's target that is this command, empty where it has none."""
    must = _MUST_RUN.get(name, re.compile(""))
    return next((one for one in _TARGETS[name] if one in targets and must.search(targets[one])), "")


class _Files:
    """The files of one folder, by their paths from there; a file of the top serves where it has none."""

    def __init__(self, folder: str, in_git: frozenset[str], read: Read) -> None:
        self.folder, self._all, self._read = folder, in_git, read

    def find(self, *names: str) -> str:
        """Return the path from the folder of the first of these files, here or at the top; else empty."""
        for name in names:
            if posixpath.join(self.folder, name) in self._all:
                return name
        for name in names:
            if self.folder and name in self._all:
                return posixpath.relpath(name, self.folder)
        return ""

    def text(self, path: str) -> str:
        return (
            self._read(posixpath.normpath(posixpath.join(self.folder, path))) or "" if path else ""
        )

    def has_any(self, start: str, pattern: str) -> bool:
        """Whether the folder has a file below `start` whose name fits."""
        place = posixpath.join(self.folder, start)
        return any(
            one.startswith(f"{place}/") and re.fullmatch(pattern, posixpath.basename(one))
            for one in self._all
        )


def _targets(files: _Files) -> dict[str, str]:
    """Return the targets of the folder's Makefile with their recipes."""
    name = next((one for one in MAKEFILES if files.find(one) == one), "")
    found, current = dict[str, str](), list[str]()
    for line in files.text(name).splitlines():
        if line.startswith("\t"):
            for target in current:
                found[target] += f"{line.strip()}\n"
        elif (head := re.match(r"([A-Za-z0-9_./ -]+?)\s*::?(?!=)(.*)", line)) and line[
            0
        ] not in ". ":
            current = head[1].split()
            for target in current:
                found.setdefault(target, "")
    return found


def _setup(files: _Files, dvc: str) -> _Setup:
    """Return how the project's packages are installed: by its lock file first."""
    project = files.text(files.find("pyproject.toml"))
    quoted = shlex.quote(dvc)
    if files.find("uv.lock"):
        has = _names_dvc(project) or _names_dvc(files.text(files.find("uv.lock")))
        starts = "uv run --frozen " + ("" if has else f"--with {quoted} ")
        get = "command -v uv >/dev/null || pipx install uv; "
        return _Setup(f"{get}uv sync --frozen", starts, "uv.lock", has, ("/.venv/",))
    if files.find("poetry.lock") or "[tool.poetry]" in project:
        has = _names_dvc(project)
        more = "" if has else f" && poetry run pip install {quoted}"
        get = "command -v poetry >/dev/null || pipx install poetry; "
        return _Setup(f"{get}poetry install{more}", "poetry run ", "Poetry", has)
    if files.find("Pipfile"):
        has = _names_dvc(files.text(files.find("Pipfile")))
        more = "" if has else f" && pipenv run pip install {quoted}"
        get = "command -v pipenv >/dev/null || pipx install pipenv; "
        lock = "--deploy --dev" if files.find("Pipfile.lock") else "--dev"
        return _Setup(f"{get}pipenv install {lock}{more}", "pipenv run ", "Pipfile", has)
    wanted = _requirements(files)
    if (
        conda := files.find(
            *(f"{one}.{end}" for one in ("environment", "conda", "env") for end in ("yml", "yaml"))
        )
    ) and not wanted:
        return _conda(files, conda, quoted)
    if (
        not wanted
        and not re.search(r"(?m)^\[(project|build-system)\]", project)
        and not files.find("setup.py")
    ):
        line = f"python3 -m venv .venv && .venv/bin/pip install {quoted}"
        return _Setup(line, _IN_VENV, _NO_LIST, False, ("/.venv/",))
    found = wanted or ([] if not project else ["pyproject.toml"]) or ["setup.py"]
    has = any(_names_dvc(files.text(one)) for one in [*wanted, files.find("pyproject.toml")])
    words = [part for one in wanted for part in ("-r", shlex.quote(one))]
    if not wanted:
        words = [
            "-e",
            shlex.quote(posixpath.dirname(files.find("pyproject.toml", "setup.py")) or "."),
        ]
    # The extra of the remote is wanted even where DVC itself is listed.
    line = f"python3 -m venv .venv && .venv/bin/pip install {' '.join(words)}"
    if not has or "[" in dvc:
        line += f" {quoted}"
    return _Setup(line, _IN_VENV, " and ".join(found), has, ("/.venv/",))


def _conda(files: _Files, path: str, dvc: str) -> _Setup:
    text = files.text(path)
    name = re.search(r"(?m)^name:\s*[\"']?([A-Za-z0-9_.-]+)", text)
    where = name[1] if name else "project"
    conda = '"${CONDA:+$CONDA/bin/}conda"'
    has = _names_dvc(text)
    more = "" if has else f" && {conda} run --name {where} pip install {dvc}"
    line = f"{conda} env update --quiet --name {where} --file {shlex.quote(path)}{more}"
    return _Setup(line, f"{conda} run --no-capture-output --name {where} ", path, has)


def _requirements(files: _Files) -> list[str]:
    """Return the files of requirements: the plain one, and the one for development beside it."""
    for place in _PLACES:
        names = [posixpath.join(place, one) for one in _REQUIREMENTS]
        here = [one for one in names if files.find(one) == one]
        if here:
            plain = [one for one in here if posixpath.basename(one) == "requirements.txt"]
            more = [
                one
                for one in here
                if posixpath.basename(one) in ("requirements-dev.txt", "dev.txt")
            ]
            return plain + more or here[:1]
    name = files.find("requirements.txt")
    return [name] if name else []


def _without_make(
    name: str, files: _Files, setup: _Setup, has_remote: bool, has_pipeline: bool
) -> tuple[str, str]:
    """Return a line for a command, and what it is from; empty where there is nothing for it."""
    project = files.text(files.find("pyproject.toml"))
    if name == "reproduce":
        if not has_pipeline:
            return "", ""
        # Run caches are not read: any branch may write there what a command is said to have made.
        line = "dvc repro --pull --no-run-cache" if has_remote else "dvc repro"
        return setup.run(line), "dvc.yaml"
    if name == "push":
        return (setup.run("dvc push"), "the DVC remote") if has_remote else ("", "")
    if name == "commit":
        return "", ""  # DVC's own files tell what there is to commit
    if name == "check":
        if files.find(".pre-commit-config.yaml"):
            return "pipx run pre-commit run --all-files", ".pre-commit-config.yaml"
        if re.search(r"(?m)^\[tool\.ruff", project) or files.find("ruff.toml", ".ruff.toml"):
            return "pipx run ruff check .", "ruff's settings"
        return "", ""
    if name == "test":
        return _tests(files, setup, project)
    script = next((one for one in _scripts("smoke") if files.find(one) == one), "")
    return _script(script, setup), script


def _tests(files: _Files, setup: _Setup, project: str) -> tuple[str, str]:
    for tool, file in (("tox", "tox.ini"), ("nox", "noxfile.py")):
        path = files.find(file)
        if tool == "tox" and not path and "[tool.tox" in project:
            path = files.find("pyproject.toml")
        if path:
            # Neither of them looks for its file in the folders above.
            above = posixpath.dirname(path)
            return f"{f'cd {above} && ' if above else ''}pipx run {tool}", posixpath.basename(path)
    settings = files.find("pytest.ini") or (
        "[tool.pytest" in project or "[tool:pytest]" in files.text(files.find("setup.cfg"))
    )
    found = next(
        (one for one in ("tests", "test") if files.has_any(one, r"test_.*\.py|.*_test\.py")), ""
    )
    if not (settings and (found or files.has_any("", r"test_.*\.py"))) and not found:
        script = next((one for one in _scripts("test") if files.find(one) == one), "")
        return _script(script, setup), script
    known = _lists(files, "pytest")
    if setup.starts.startswith("uv run") and not known:
        return f"{setup.starts}--with pytest python -m pytest{' ' + found if found else ''}", found
    if known or not setup.line:
        return setup.run(
            f"python -m pytest{' ' + found if found else ''}"
        ), found or "pytest's settings"
    if setup.starts.startswith("PATH="):
        line = f".venv/bin/pip install --quiet pytest && {setup.run('python -m pytest')}"
        return line + (f" {found}" if found else ""), found or "pytest's settings"
    line = f"{setup.run('pip install --quiet pytest')} && {setup.run('python -m pytest')}"
    return line + (f" {found}" if found else ""), found or "pytest's settings"


def _scripts(name: str) -> Sequence[str]:
    return [f"{place}{name}{end}" for place in ("scripts/", "bin/", "") for end in (".sh", ".py")]


def _script(path: str, setup: _Setup) -> str:
    if not path:
        return ""
    return setup.run(f"{'bash' if path.endswith('.sh') else 'python'} {path}")


def _lists(files: _Files, package: str) -> bool:
    """Whether a list of the project's packages names `package`."""
    pattern = rf"(?m)^[\s\"'-]*{re.escape(package)}\b|[\"']{re.escape(package)}\b"
    lists = [
        *_requirements(files),
        *(files.find(one) for one in ("pyproject.toml", "Pipfile", "environment.yml")),
    ]
    return any(re.search(pattern, files.text(one)) for one in lists if one)


def _names_dvc(text: str) -> bool:
    """Whether a list of packages, or a lock of them, names DVC."""
    return bool(
        re.search(
            r"(?m)^[\s\"'-]*(?:name = \")?dvc(?:$|[\s\"'\[=<>~!;])|[\"']dvc[\"'\[=<>~!]", text
        )
    )
