"""Change core, one small change at a time, and count the changes that its unit tests notice.

usage: run.sh dev python tests/mutants/run.py [MODULE…]   (core/deploy/trailers; none means all of core)
A change is a mutant, one that no test notices a survivor. Each module is tried in a scratch copy, by
mutmut, with the unit tests that import it; not with hypothesis's, which take other examples each day,
and most of the time. Prints a line a module and what each survivor changed;
ends with status 1 where a module is below the wanted share.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scripts/model_gitops"
UNIT = ROOT / "tests/unit"
WANTED = 0.92
# pytest's status of a run, as mutmut keeps it, or how mutmut ended it: anything else is a survivor.
KILLED = {1: "failed", 3: "failed", 36: "timeout", 24: "timeout", -24: "timeout", 152: "timeout"}
LONGEST_SECONDS = 3600


def main(modules: Sequence[str]) -> int:
    """Try each module, in turn: a second one beside it would make time-outs out of survivors."""
    shares = [_try(one) for one in modules or [*_all_of_core()]]
    return 0 if min(shares, default=1) >= WANTED else 1


def _all_of_core() -> Iterator[str]:
    for file in sorted(PACKAGE.glob("core/**/*.py")):
        if any(isinstance(one, ast.FunctionDef) for one in ast.walk(ast.parse(file.read_text()))):
            yield file.relative_to(PACKAGE).with_suffix("").as_posix()


def _try(module: str) -> float:
    """Return the share of the module's mutants that its tests kill."""
    source = PACKAGE / f"{module}.py"
    if not source.is_file():
        raise SystemExit(f"there is no {source.relative_to(ROOT)}: name it as core/deploy/trailers")
    # A test of the whole repository (its pages, its local flow) finds little of it in a copy.
    tests = [
        one
        for one in sorted(UNIT.glob("test_*.py"))
        if _imports(one, module) and "model_gitops_local" not in one.read_text("utf-8")
    ]
    if not tests:
        print(f"{module}: no unit test imports it", flush=True)
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        scratch = Path(made)
        _copy(scratch, module, [f"tests/unit/{one.name}" for one in tests])
        _run(scratch, "-m", "mutmut", "run", "--max-children", "1")
        meta = scratch / f"mutants/src/model_gitops/{module}.py.meta"
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        counts = Counter(KILLED.get(code or 0, "survived") for code in codes.values())
        share = 1 - counts["survived"] / (len(codes) or 1)
        print(
            f"{module}: {len(codes) - counts['survived']} of {len(codes)} killed, {share:.1%}"
            f" ({counts['timeout']} by time-out)",
            flush=True,
        )
        survivors = [name for name, code in codes.items() if (code or 0) not in KILLED]
        for name, diff in zip(survivors, _diffs(scratch, source, survivors), strict=True):
            print(_shown(name, diff), flush=True)
    return share


def _imports(test: Path, module: str) -> bool:
    name = f"model_gitops.{module.replace('/', '.')}"
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.ImportFrom) and name in (
            node.module,
            *(f"{node.module}.{one.name}" for one in node.names),
        ):
            return True
    return False


def _copy(scratch: Path, module: str, tests: Sequence[str]) -> None:
    """Lay the packages out as mutmut wants them, in src/, beside the files that the tests read."""
    # No bytecode of the original may be found.
    without = shutil.ignore_patterns("__pycache__", ".hypothesis")
    shutil.copytree(PACKAGE.parent, scratch / "src", ignore=without)
    shutil.copytree(UNIT, scratch / "tests/unit", ignore=without)
    read = [one for one in ROOT.iterdir() if one.name[0] != "." and one.name != "tests"]
    for one in read:
        if one.is_dir():
            shutil.copytree(one, scratch / one.name, ignore=without)
        else:
            shutil.copy(one, scratch)
    config = {
        "source_paths": ["src"],
        "only_mutate": [f"src/model_gitops/{module}.py"],
        "also_copy": [one.name for one in read],
        "pytest_add_cli_args": ["-m", "not hypothesis"],
        "pytest_add_cli_args_test_selection": list(tests),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items()]
    (scratch / "pyproject.toml").write_text("[tool.mutmut]\n" + "\n".join(lines) + "\n")


def _run(scratch: Path, *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=scratch,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"mutmut failed:\n{found.stdout[-4000:]}\n{found.stderr}")
    return found.stdout


# What `mutmut show` prints, for all survivors at once: each start of it takes seconds.
_SHOW = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
path, *names = sys.argv[1:]
print(json.dumps([get_diff_for_mutant(name, path=path) for name in names]))
"""


def _diffs(scratch: Path, source: Path, names: Sequence[str]) -> list[str]:
    path = Path("src") / source.relative_to(PACKAGE.parent)
    found: list[str] = json.loads(_run(scratch, "-c", _SHOW, str(path), *names))
    return found


def _shown(name: str, diff: str) -> str:
    """Return the lines that a survivor changed, below its name."""
    changed = (
        one for one in diff.splitlines() if one[:1] in "+-" and one[:3] not in ("+++", "---")
    )
    return "\n".join([f"  {name.rpartition('.')[2]}", *(f"    {one}" for one in changed)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
