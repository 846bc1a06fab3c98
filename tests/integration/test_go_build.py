"""A tool that is built without what it is not needed for: by real Go, from a module proxy in a folder."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from model_gitops.errors import ExternalError
from model_gitops_local import go_build, toolchain
from model_gitops_local.go_build import WHOLE, Less

TOOL = "example.com/tool"
MAIN = """\
package main

import (
	"fmt"

	_ "example.com/tool/driver/far"
	"example.com/tool/driver"
	"example.com/tool/version"
)

func main() { fmt.Println(version.Version, driver.Names) }
"""
SOURCES = {
    "go.mod": f"module {TOOL}\n\ngo 1.20\n",
    "cmd/tool/main.go": MAIN,
    "cmd/tool/near.go": 'package main\n\nimport _ "example.com/tool/driver/near"\n',
    "cmd/tool/more_linux.go": 'package main\n\nimport _ "example.com/tool/driver/more"\n',
    "cmd/tool/main_test.go": "package main\n\nthis is no Go\n",
    "version/version.go": 'package version\n\nvar Version = "unknown"\n',
    "driver/driver.go": "package driver\n\nvar Names []string\n",
    "driver/driver_test.go": "package driver\n\nthis is no Go\n",
    **{
        f"driver/{name}/{name}.go": f'package {name}\n\nimport "{TOOL}/driver"\n\n'
        f'func init() {{ driver.Names = append(driver.Names, "{name}") }}\n'
        for name in ("far", "near", "more")
    },
}


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Go have its modules from a folder, which has the tool."""
    place = tmp_path / "proxy" / TOOL / "@v"
    place.mkdir(parents=True)
    (place / "v1.2.3.info").write_text('{"Version": "v1.2.3"}')
    (place / "v1.2.3.mod").write_text(SOURCES["go.mod"])
    with zipfile.ZipFile(place / "v1.2.3.zip", "w") as archive:
        for name, text in SOURCES.items():
            archive.writestr(f"{TOOL}@v1.2.3/{name}", text)
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    return tmp_path / "proxy"


def says(tmp_path: Path, less: Less | None) -> str:
    program = tmp_path / "made" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    go = toolchain.ensure("go")
    stamp = f"{TOOL}/version.Version"
    go_build.build(go, f"{TOOL}/cmd/tool", "v1.2.3", program, stamp=stamp, less=less)
    assert [one.name for one in program.parents[1].iterdir()] == ["bin"]
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.usefixtures("proxy")
def test_a_tool_is_built_whole(tmp_path: Path) -> None:
    assert says(tmp_path, None) == "v1.2.3 [far more near]"


@pytest.mark.usefixtures("proxy")
def test_lines_and_files_are_left_out(tmp_path: Path) -> None:
    gone = {
        "cmd/tool/main.go": (r'^\s*_ ".*/driver/far"\n',),
        "cmd/tool/more_linux.go": WHOLE,
        # In another package than the program's own, and more than a line.
        "driver/near/near.go": (r"^import .*\n", r"^func init\(\) {(?s:.*?)}\n"),
    }
    assert says(tmp_path, Less(TOOL, gone)) == "v1.2.3 []"


@pytest.mark.usefixtures("proxy")
def test_a_module_beside_it_is_taken_at_its_version(tmp_path: Path) -> None:
    less = Less(TOOL, {}, beside=("example.com/other@v9.9.9",))
    with pytest.raises(ExternalError, match=r"example\.com/other"):
        says(tmp_path, less)


def test_sources_are_fetched_before_the_build(proxy: Path, tmp_path: Path) -> None:
    less = Less(TOOL, {"cmd/tool/main.go": (r".*/driver/far.*\n",)})
    work = tmp_path / "work"
    work.mkdir()
    go_build.fetch(toolchain.ensure("go"), f"{TOOL}/cmd/tool", "v1.2.3", less, work)
    (proxy / TOOL / "@v" / "v1.2.3.zip").unlink()
    assert says(tmp_path, less) == "v1.2.3 [more near]"


@pytest.mark.parametrize("name", ["act", "docker-buildx", "buildkitd"])
def test_what_is_left_out_of_a_tool_is_in_it(name: str, tmp_path: Path) -> None:
    """Else a new version would be built whole without a word."""
    tool = toolchain.TOOLS[name]
    assert tool.less is not None
    env = go_build.environment(toolchain.ensure("go"))
    (tmp_path / "go.mod").write_text("module tools\n\ngo 1.25\n")
    whole = Less(tool.less.module, {})
    go_build.take_module(toolchain.ensure("go"), tool.version, whole, tmp_path, env)
    for file, gone in tool.less.gone.items():
        text = (tmp_path / "module" / file).read_text()
        for pattern in gone:
            assert re.search(pattern, text, re.MULTILINE), f"{file} has no {pattern}"
