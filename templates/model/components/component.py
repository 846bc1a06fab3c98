"""What the components share: parameters, and the record of what a step was made from.

A component runs one function of src/ outside of a repository, in an engine for pipelines: each path
and each parameter is an argument. What it made goes into Git by the component `deploy`, which
believes the record `made-from.json` beside the outputs: JSON with

    step     the component's name
    params   the parameters it used, as in params.yaml
    code     each file of the project that it ran, path → MD5, as DVC writes it
    inputs   each file that it read, name of the argument → MD5
    outputs  each file that it wrote, likewise
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

# The image has the project's files where the project has them.
ROOT = Path(__file__).resolve().parents[1]


def parser(
    about: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> argparse.ArgumentParser:
    """Return a parser of `--NAME FILE` for all inputs and outputs, and `--made-from FILE`."""
    made = argparse.ArgumentParser(description=about, allow_abbrev=False)
    for name in inputs:
        made.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    for name in (*outputs, "made-from"):
        made.add_argument(f"--{name}", type=Path, required=True, metavar="OUT")
    return made


def add_params(to: argparse.ArgumentParser) -> None:
    """Let the parameters be given as a file or as text: YAML as params.yaml has it, or JSON."""
    one = to.add_mutually_exclusive_group(required=True)
    one.add_argument("--params-file", type=Path, metavar="FILE")
    one.add_argument("--params", metavar="TEXT")


def params_of(given: argparse.Namespace, stage: str) -> dict[str, Any]:
    """Return the parameters of a stage of dvc.yaml. Ends the program where there are none."""
    import yaml  # the component `test` takes no parameters and has no YAML

    text = given.params if given.params_file is None else given.params_file.read_text("utf-8")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SystemExit(f"the parameters are no YAML: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get(stage), dict):
        raise SystemExit(f"the parameters have no {stage!r}: give what params.yaml has")
    return found[stage]


def md5(file: Path) -> str:
    """Return the MD5 of a file, by which DVC knows it."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def put(file: Path, place: Path) -> None:
    """Copy a file to where the engine wants it: perhaps in a folder that is not there yet."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def code(requirements: str) -> dict[str, str]:
    """Return the project's files that this program is: its modules, and what its packages are."""
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    files = {Path(one).resolve() for one in loaded if one}
    own = {
        one for one in files if any(one.is_relative_to(ROOT / top) for top in ("src", "components"))
    }
    return {
        one.relative_to(ROOT).as_posix(): md5(one) for one in sorted({*own, ROOT / requirements})
    }


def record(
    place: Path,
    step: str,
    *,
    params: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
) -> None:
    """Write made-from.json, the last of the outputs."""
    made = {
        "step": step,
        "params": params,
        "code": code(f"components/{step}/requirements.txt"),
        "inputs": {name: md5(file) for name, file in inputs.items()},
        "outputs": {name: md5(file) for name, file in outputs.items()},
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8")
