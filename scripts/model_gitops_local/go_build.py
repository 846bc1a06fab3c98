"""A tool built from its Go source, in a module of our own: `go install` refuses tools that replace modules."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import process

# Of a file that is left out of a tool: all of it.
WHOLE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Less:
    """What a tool is built without: most of its packages are for what a flow on one machine never does.

    `gone` says what is taken out of which files of `module`, the one that the program's package is in:
    regular expressions, whose `^` is the begin of a line, or WHOLE for a file that is left out. `beside`
    are modules at their versions of which another tool is made: what both have is compiled once only
    where both have it at one version.
    """

    module: str
    gone: Mapping[str, tuple[str, ...]]
    beside: tuple[str, ...] = ()


def build(
    go: Path,
    package: str,
    version: str,
    program: Path,
    *,
    stamp: str = "",
    tags: str = "",
    less: Less | None = None,
    replacing: str = "",
) -> None:
    """Build `package` at `version` as the file `program`. Raises ExternalError where Go can't.

    `stamp` is the variable that gets the version, `replacing` the tool's module where that replaces others.
    """
    work = program.parent.parent / "source"
    work.mkdir()
    env = environment(go)
    process.run([go, "mod", "init", "tools"], cwd=work, env=env)
    if replacing:
        _take_replacements(go, replacing, version, work, env)
    if less:
        take_module(go, version, less, work, env)
    else:
        process.run([go, "get", "-tool", f"{package}@{version}"], cwd=work, env=env)
    linker = "-s -w" + (f" -X {stamp}={version}" if stamp else "")
    process.run(
        [
            *(go, "build", "-trimpath", f"-tags={tags}", f"-ldflags={linker}"),
            # The linker would drop what debuggers read: -w. Without inlining a compiler takes a fifth less, and
            # BuildKit packs layers a tenth slower; without all optimization it would take twice as long.
            "-gcflags=all=-dwarf=false -l",
            *("-o", program, package),
        ],
        cwd=work,
        env=env,
        timeout=7200 if replacing else 1800,
    )
    shutil.rmtree(work)


def fetch(go: Path, package: str, version: str, less: Less, work: Path) -> None:
    """Fetch the sources of all packages of which `build` makes the tool. `work` is an empty folder."""
    env = environment(go)
    process.run([go, "mod", "init", "tools"], cwd=work, env=env)
    take_module(go, version, less, work, env)
    process.run([go, "list", "-deps", package], cwd=work, env=env)


def environment(go: Path) -> dict[str, str]:
    """Return what Go is told: nothing of the account's own Go settings but where modules come from."""
    return {
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "GOFLAGS": "-mod=mod -buildvcs=false",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOTOOLCHAIN": "local",
        "GOBIN": "",
        "GOOS": "",
        "GOARCH": "",
        "CGO_ENABLED": "0",
        # A compiler lives for a second: at Go's own pace its garbage takes a quarter of what a build takes.
        "GOGC": "400",
    }


def take_module(go: Path, version: str, less: Less, work: Path, env: dict[str, str]) -> None:
    """Copy the tool's module into `work`, less what it shall do without, and let the copy replace it."""
    wanted = [f"{less.module}@{version}", *less.beside]
    process.run([go, "mod", "edit", *(f"-require={one}" for one in wanted)], cwd=work, env=env)
    done = process.run([go, "mod", "download", "-json", wanted[0]], cwd=work, env=env)
    source, copy = Path(json.loads(done.stdout)["Dir"]), work / "module"
    # Go keeps modules read-only: only the files' contents are taken.
    for file in filter(Path.is_file, source.rglob("*")):
        name = file.relative_to(source)
        gone = less.gone.get(name.as_posix())
        if gone == WHOLE or name.match("*_test.go"):
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes()
        for pattern in gone or ():
            content = re.sub(pattern.encode(), b"", content, flags=re.MULTILINE)
        (copy / name).write_bytes(content)
    process.run([go, "mod", "edit", f"-replace={less.module}=./module"], cwd=work, env=env)


def _take_replacements(
    go: Path, module: str, version: str, work: Path, env: dict[str, str]
) -> None:
    """Let our module replace what the tool's own does; of Kubernetes' folders take the releases: v1.35.4 is v0.35.4."""
    done = process.run([go, "mod", "download", "-json", f"{module}@{version}"], cwd=work, env=env)
    file = json.loads(done.stdout)["GoMod"]
    said = process.run([go, "mod", "edit", "-json", file], cwd=work, env=env).stdout
    options = []
    for one in json.loads(said)["Replace"]:
        old, new = one["Old"]["Path"], one["New"]
        path, newer = new["Path"], new.get("Version", "")
        if path.startswith("./staging/"):
            path, newer = old, version.replace("v1.", "v0.", 1)
        options.append(f"-replace={old}={path}@{newer}")
    process.run([go, "mod", "edit", *options], cwd=work, env=env)
