"""The rules of the rooms that import-linter can't say, read off the text of every module.

Who may import whom stands in pyproject.toml, `[tool.importlinter]`; `make lint` runs both. A rule
takes the folder of a checkout and yields one `FILE:LINE: what` for each place that breaks it.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("model_gitops", "model_gitops_local")
OURS = ("scripts", "tests", "benchmarks", "findings", "examples", "templates", ".github")
MOST_LINES = 450
# A longer file says why in its docstring, after these words.
LONG = "Long because"

Rule = Callable[[Path], Iterator[str]]


def modules(root: Path, *packages: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield each module's path below `scripts`, and its syntax tree."""
    for package in packages:
        for path in sorted((root / "scripts" / package).rglob("*.py")):
            name = path.relative_to(root / "scripts").as_posix()
            yield name, parse(path)


@cache
def parse(path: Path) -> ast.Module:
    """Return a file's syntax tree: each rule reads all of them."""
    return ast.parse(path.read_text("utf-8"))


def origins(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for: `join` → `os.path.join`."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return known


def full_name(node: ast.expr, known: dict[str, str]) -> str:
    """Return `a.b.c` with its first name as it was imported; "" for what is no plain name."""
    if isinstance(node, ast.Attribute):
        before = full_name(node.value, known)
        return f"{before}.{node.attr}" if before else ""
    if not isinstance(node, ast.Name):
        return ""
    unknown = f"builtins.{node.id}" if hasattr(builtins, node.id) else node.id
    return known.get(node.id, unknown)


def uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of all that a module imports, names or calls."""
    known = origins(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.lineno, full_name(node, known)


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the value of each string, docstrings and parts of f-strings too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


STARTS = re.compile(
    r"(subprocess|pty|multiprocessing|_posixsubprocess|concurrent\.futures\.process)\b"
    r"|concurrent\.futures\.ProcessPool|asyncio\.(create_)?subprocess|os\.(system|popen|fork|spawn|posix_spawn)"
)


def processes(root: Path) -> Iterator[str]:
    """Only adapters/process.py starts processes; a few modules let a program take our place."""
    replaced = {
        "model_gitops/adapters/installation.py",
        "model_gitops_local/commands.py",
        "model_gitops_local/runtime.py",
    }
    for name, tree in modules(root, *PACKAGES):
        for line, used in uses(tree):
            if (STARTS.match(used) and name != "model_gitops/adapters/process.py") or (
                used.startswith("os.exec") and name not in replaced
            ):
                yield f"{name}:{line}: {used} starts a process: use adapters/process.py"


def runner_variables(root: Path) -> Iterator[str]:
    """Only the runner's module knows `GITHUB_*`. The second package plays the runner: it may."""
    # process drops the token's variable.
    owners = ("model_gitops/runner.py", "model_gitops/adapters/process.py")
    for name, tree in modules(root, "model_gitops"):
        if name in owners:
            continue
        for line, text in texts(tree):
            if text.startswith("GITHUB_") and text.isupper():
                yield f"{name}:{line}: {text} is the runner's: ask runner.py"


IMPURE = re.compile(
    r"builtins\.(open|print|input|breakpoint|exec|eval|compile|__import__)$"
    r"|urllib\.(?!parse\b)|pathlib\.(?!Pure)|io\.open|datetime\.(\w+\.)?(now|today|utcnow)$"
)


def purity(root: Path) -> Iterator[str]:
    """Core opens, prints and asks nothing, the clock neither; import-linter knows only whole modules."""
    for name, tree in modules(root, "model_gitops/core"):
        for line, used in uses(tree):
            if IMPURE.match(used):
                yield f"{name}:{line}: {used} reaches the world: take the value as an argument"


def imports_by_name(root: Path) -> Iterator[str]:
    """Only the command line imports by name, so that import-linter sees every other import."""
    by_name = re.compile(
        r"builtins\.(__import__|exec|eval)$|importlib\.(import_|machinery|util\.\w+_from_)|runpy\."
    )
    for name, tree in modules(root, *PACKAGES):
        for line, used in uses(tree):
            if by_name.match(used) and name != "model_gitops/__main__.py":
                yield f"{name}:{line}: {used} hides an import: write the import"
        if name.startswith("model_gitops/"):
            for line, text in texts(tree):
                if "model_gitops_local" in text:
                    yield f"{name}:{line}: the text names model_gitops_local, which users don't have"


def at_import(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield all that runs when a module is imported: no function's body, lambda or annotation."""
    for node in statements:
        parts: list[ast.AST]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            parts = [*node.decorator_list, *defaults]
        elif isinstance(node, ast.ClassDef):
            parts = [*node.decorator_list, *node.bases, *node.keywords]
            yield from at_import(node.body)
        elif isinstance(node, ast.If):
            parts = [node.test]
            # What only a type checker or the program itself runs is no import.
            if not {"TYPE_CHECKING", "__name__"} & set(ast.unparse(node.test).split()):
                yield from at_import(node.body)
            yield from at_import(node.orelse)
        elif isinstance(node, ast.AnnAssign):
            parts = [node.value] if node.value else []
        else:
            parts = [node]
        while parts:
            part = parts.pop()
            yield part
            if not isinstance(part, ast.Lambda):
                parts.extend(ast.iter_child_nodes(part))


# What may be called while a module is imported: it only makes a value or a declaration.
HARMLESS = re.compile(
    r"re\.compile|functools\.(lru_)?cache|typing\.\w+|dataclasses\.(dataclass|field)"
    r"|builtins\.(dict|frozenset|list|map|max|min|range|set|sorted|tuple|zip)|pathlib\.\w*Path"
    r"|model_gitops\.options\.(option|secret)"
)
HERE = "Path(__file__).resolve"


def import_work(root: Path) -> Iterator[str]:
    """Importing a module declares, and does nothing: a step pays for what it uses alone."""
    for name, tree in modules(root, "model_gitops"):
        dotted = name.removesuffix(".py").replace("/", ".")
        own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        known = {**origins(tree), **{function: f"{dotted}.{function}" for function in own}}
        plain = {  # our dataclasses: to make one only keeps its values
            node.name
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        }
        for node in at_import(tree.body):
            if not isinstance(node, ast.Call):
                continue
            written = ast.unparse(node.func)
            harmless = (
                HARMLESS.fullmatch(full_name(node.func, known))
                or written in plain
                or written == HERE
                or (
                    isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Constant)
                )
            )
            if not harmless:
                yield f"{name}:{node.lineno}: {written}() runs at import: call it in a function"


def light_imports(root: Path) -> Iterator[str]:
    """A package from outside is imported where it is used, so that `--help` waits for none but click."""
    light = {*sys.stdlib_module_names, *PACKAGES, "click"}
    for name, tree in modules(root, "model_gitops"):
        for node in at_import(tree.body):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module]
            for module in found:
                if module.split(".")[0] not in light:
                    yield f"{name}:{node.lineno}: {module} is imported at once: import it where used"


def lengths(root: Path) -> Iterator[str]:
    """A file holds one thing: at most 450 lines, or its docstring says why."""
    for folder in OURS:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            lines = len(text.splitlines())
            if lines > MOST_LINES and LONG not in (ast.get_docstring(ast.parse(text)) or ""):
                name = path.relative_to(root).as_posix()
                yield f"{name}:{lines}: more than {MOST_LINES} lines: split it, or say `{LONG} …`"


def names_of_tests(root: Path) -> Iterator[str]:
    """Each file of tests has a name of its own: pytest imports it by that, and stops at the second one."""
    first: dict[str, Path] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        known = first.setdefault(path.name, path)
        if known != path:
            names = " and ".join(one.relative_to(root).as_posix() for one in (known, path))
            yield f"{names}: pytest takes no two files of one name: give one another name"


RULES = (
    processes,
    runner_variables,
    purity,
    imports_by_name,
    import_work,
    light_imports,
    lengths,
    names_of_tests,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Rule) -> None:
    broken = list(rule(ROOT))
    assert not broken, "\n".join(broken)


ADAPTER = "scripts/model_gitops/adapters/planted.py"
ACTION = "scripts/model_gitops/actions/planted.py"
CORE = "scripts/model_gitops/core/flow/planted.py"
FORGE = "scripts/model_gitops_local/forge/planted.py"


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (processes, ADAPTER, "import subprocess"),
        (processes, FORGE, "from subprocess import run"),
        (processes, FORGE, "from os import system as run"),
        (processes, ACTION, "import os\ndef go(): os.posix_spawnp('x', [], {})"),
        (processes, ACTION, "import os\ndef go(): os.execv('x', [])"),
        (processes, FORGE, "import os\ndef go(): os.execv('x', [])"),
        (processes, ADAPTER, "from concurrent.futures import ProcessPoolExecutor"),
        (runner_variables, ADAPTER, "NAME = 'GITHUB_TOKEN'"),
        (runner_variables, CORE, "def get(x): return f'GITHUB_{x}'"),
        (purity, CORE, "def read(x): return open(x)"),
        (purity, CORE, "def say(x): print(x)"),
        (purity, CORE, "from urllib.request import urlopen"),
        (purity, CORE, "from pathlib import Path"),
        (purity, CORE, "import datetime as d\ndef now(): return d.datetime.now()"),
        (purity, CORE, "from datetime import date\ndef now(): return date.today()"),
        (imports_by_name, ACTION, "from importlib import import_module"),
        (imports_by_name, FORGE, "def get(x): return __import__(x)"),
        (
            imports_by_name,
            "scripts/model_gitops/__main__.py",
            "LOCAL = 'model_gitops_local.commands'",
        ),
        (import_work, ADAPTER, "import os\nHOME = os.environ.get('HOME')"),
        (import_work, ACTION, "from pathlib import Path\nTEXT = Path('x').read_text()"),
        (
            import_work,
            ADAPTER,
            "from model_gitops import runner\nclass A:\n    c = runner.context()",
        ),
        (import_work, ADAPTER, "def load(): ...\ndef get(x=load()): ..."),
        (import_work, ACTION, "import tempfile\nwith tempfile.TemporaryDirectory(): ..."),
        (light_imports, ADAPTER, "import dvc.api"),
        (light_imports, CORE, "try:\n    from ruamel.yaml import YAML\nexcept ImportError: ..."),
        (lengths, CORE, "\n" * (MOST_LINES + 1)),
        (lengths, "tests/unit/test_planted.py", "x = 1\n" * (MOST_LINES + 1)),
    ],
)
def test_the_rule_finds_what_breaks_it(rule: Rule, file: str, text: str, tmp_path: Path) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    found = list(rule(tmp_path))
    assert found
    assert all(Path(line.split(":")[0]).name == planted.name for line in found)


def test_two_files_of_tests_have_two_names(tmp_path: Path) -> None:
    for folder in ("unit", "flow", "flow/more"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_planted.py").write_text("")
        (tmp_path / "tests" / folder / "conftest.py").write_text("")
    found = list(names_of_tests(tmp_path))
    assert len(found) == 2
    assert all("test_planted.py" in line for line in found)


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (processes, "scripts/model_gitops/adapters/process.py", "import subprocess"),
        (
            processes,
            "scripts/model_gitops_local/runtime.py",
            "import os\ndef go(): os.execv('x', [])",
        ),
        (runner_variables, FORGE, "NAME = 'GITHUB_TOKEN'"),
        (runner_variables, ADAPTER, "FIX = 'GITHUB_TOKEN may not'"),
        (purity, CORE, "from pathlib import PurePosixPath\nfrom urllib.parse import quote"),
        (purity, ADAPTER, "def read(x): return open(x)"),
        (import_work, ADAPTER, "import re\nA = re.compile('x')\ndef now(): return open('x')"),
        (import_work, ADAPTER, "if __name__ == '__main__':\n    print(1)"),
        (light_imports, ADAPTER, "def get():\n    import dvc"),
        (light_imports, ADAPTER, "if TYPE_CHECKING:\n    import dvc"),
        (lengths, CORE, f'"""What. {LONG} one table."""\n' + "\n" * MOST_LINES),
    ],
)
def test_the_rule_leaves_what_is_allowed(rule: Rule, file: str, text: str, tmp_path: Path) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    assert list(rule(tmp_path)) == []
