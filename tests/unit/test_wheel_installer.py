"""Which wheel is for which machine, what of a lock and an index counts, and the table of light packages."""

from __future__ import annotations

import io
import json
import venv
import zipfile
from pathlib import Path

import pytest

from model_gitops.adapters import wheel_installer
from model_gitops.adapters.wheel_installer import Index, Locked, Machine, Unfit
from model_gitops_local import wheel_table

LINUX = Machine((3, 12), "cp312", "x86_64", glibc=(2, 31))
MAC = Machine((3, 12), "cp312", "arm64", macos=(14, 2))
MUSL = Machine((3, 12), "cp312", "x86_64")
NO_GIL = Machine((3, 13), "cp313t", "x86_64", glibc=(2, 31))
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("tags", "machine", "rank"),
    [
        ("py3-none-any", MUSL, 2),
        ("py2.py3-none-any", LINUX, 2),
        ("py2-none-any", LINUX, -1),
        ("cp312-none-any", LINUX, 2),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", LINUX, 0),
        ("cp312-cp312-manylinux2014_x86_64", LINUX, 0),
        ("cp312-cp312-manylinux_2_31_x86_64", LINUX, 0),
        ("cp312-cp312-manylinux_2_34_x86_64", LINUX, -1),
        ("cp312-cp312-manylinux_2_17_aarch64", LINUX, -1),
        ("cp312-cp312-manylinux_2_17_x86_64", MUSL, -1),
        ("cp312-cp312-musllinux_1_2_x86_64", MUSL, -1),
        ("cp312-cp312-musllinux_1_2_x86_64", LINUX, -1),
        ("cp311-cp311-manylinux_2_17_x86_64", LINUX, -1),
        ("cp313-cp313t-manylinux_2_17_x86_64", NO_GIL, 0),
        ("cp313-cp313-manylinux_2_17_x86_64", NO_GIL, -1),
        ("cp38-abi3-manylinux_2_17_x86_64", LINUX, 1),
        ("cp313-abi3-manylinux_2_17_x86_64", LINUX, -1),
        ("cp38-abi3-manylinux_2_17_x86_64", NO_GIL, -1),
        ("cp312-cp312-macosx_11_0_arm64", MAC, 0),
        ("cp312-cp312-macosx_10_13_universal2", MAC, 0),
        ("cp312-cp312-macosx_15_0_arm64", MAC, -1),
        ("cp312-cp312-macosx_10_12_x86_64", MAC, -1),
        ("cp312-cp312-macosx_11_0_arm64", LINUX, -1),
        ("cp312-cp312-win_amd64", LINUX, -1),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", LINUX, -1),
    ],
)
def test_a_wheel_is_for_some_machines(tags: str, machine: Machine, rank: int) -> None:
    assert machine.rank(f"package-1.0-{tags}.whl") == rank
    assert machine.rank(f"package-1.0-1-{tags}.whl") == rank  # with a number of its build


def test_this_machine_is_one_that_the_tags_of_its_packages_fit() -> None:
    """packaging says the same of the wheels that the table has for all machines."""
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    here, known = Machine.here(), set(sys_tags())
    table = json.loads((SCRIPTS / "wheels.json").read_bytes())
    names = [one.rpartition("/")[2] for found in table["wheels"].values() for one in found]
    fitting = {name for name in names if here.rank(name) >= 0}
    assert fitting == {name for name in names if parse_wheel_filename(name)[3] & known}
    assert fitting < set(names)


def test_the_nearest_wheel_is_taken() -> None:
    package = Locked("a-b", "1.0", frozenset())
    names = ["a_b-1.0-py3-none-any.whl", "a_b-1.0-cp312-cp312-manylinux2014_x86_64.whl"]
    found = wheel_installer.wheels_of(
        package,
        [
            *(f"https://index.example/x/{name}#sha256=0" for name in names),
            "https://index.example/x/a_b-1.0.tar.gz",
            "https://index.example/x/a_b-1.0.1-py3-none-any.whl",
            "https://index.example/x/a_bc-1.0-py3-none-any.whl",
        ],
    )
    assert list(found) == names
    assert wheel_installer.best(package, found, LINUX)[0] == names[1]
    assert wheel_installer.best(package, found, MAC)[0] == names[0]
    with pytest.raises(Unfit, match=r"a-b 1\.0 has no wheel for this machine"):
        wheel_installer.best(package, {names[1]: ""}, MAC)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_DEFAULT_INDEX", "https://me:canary@index.example/simple"),
        ("UV_DEFAULT_INDEX", "/srv/index"),
        ("UV_INDEX", "https://index.example/simple"),
        ("UV_INDEX_OURS_PASSWORD", "canary"),
        ("UV_EXTRA_INDEX_URL", "https://index.example/simple"),
        ("UV_FIND_LINKS", "/srv/wheels"),
        ("UV_OFFLINE", "1"),
    ],
)
def test_an_index_that_is_more_than_an_address_is_for_uv(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(Unfit) as caught:
        Index({})
    assert "canary" not in str(caught.value)


def test_one_page_tells_where_the_files_of_all_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def get(address: str) -> tuple[bytes, str]:
        asked.append(address)
        link = "https://files.example/a/packages/1/click-1.0-py3-none-any.whl#sha256=0"
        return f'<a href="{link}">click</a>'.encode(), address

    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setattr(wheel_installer, "_get", get)
    paths = {
        "click": ["packages/1/click-1.0-py3-none-any.whl"],
        "light": ["packages/2/light-2.0-py3-none-any.whl"],
    }
    index = Index(paths, tmp_path / "index")
    found = index.wheels(Locked("light", "2.0", frozenset()))
    assert found == {
        "light-2.0-py3-none-any.whl": "https://files.example/a/packages/2/light-2.0-py3-none-any.whl"
    }
    assert index.wheels(Locked("click", "1.0", frozenset()))
    assert [one.rpartition("/simple/")[2] for one in asked] == ["click/"]
    # The next action of the job need not ask.
    assert Index(paths, tmp_path / "index").wheels(Locked("light", "2.0", frozenset())) == found
    assert len(asked) == 1


def test_where_nothing_is_missing_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wheel_installer, "_get", pytest.fail)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    environment = tmp_path / "environment"
    venv.EnvBuilder(symlinks=True).create(environment)
    (packages,) = environment.glob("lib/python3*/site-packages")
    for name in json.loads((SCRIPTS / "wheels.json").read_bytes())["extras"]["init"]:
        (packages / f"{name.replace('-', '_')}-1.dist-info").mkdir()
        (packages / f"{name.replace('-', '_')}-1.dist-info/RECORD").touch()
    assert wheel_installer.install(environment, "init", SCRIPTS) == packages


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "a/../../evil.py", "a\\b", "light-1.0.data/scripts/evil"]
)
def test_a_wheel_that_would_write_elsewhere_writes_nothing(name: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("light/__init__.py", "")
        wheel.writestr(name, "")
    packages = tmp_path / "packages"
    packages.mkdir()
    with pytest.raises(Unfit):
        wheel_installer.unpack(made.getvalue(), packages)
    assert list(packages.iterdir()) == []
    assert list(tmp_path.iterdir()) == [packages]


def _wheel(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(f"light/{name}", content, zipfile.ZIP_DEFLATED)
            wheel.writestr(f"light/stored/{name}", content)
    return made.getvalue()


def test_a_wheel_is_unpacked_as_zipfile_does_it(tmp_path: Path) -> None:
    files = {"empty": b"", "small": b"x", "large": bytes(range(256)) * 1000}
    wheel_installer.unpack(_wheel(**files), tmp_path)
    for folder in ("light", "light/stored"):
        assert {name: (tmp_path / folder / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_half_a_wheel_is_for_uv(cut: int, tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        wheel_installer.unpack(_wheel(file=b"x" * 100)[:cut], tmp_path)


def test_a_package_counts_as_installed_when_all_of_it_is_there(tmp_path: Path) -> None:
    for name, last in (("Ruamel.yaml-1.0", "RECORD"), ("half-1.0", "METADATA")):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / last).touch()
    assert wheel_installer.installed(tmp_path) == {"ruamel-yaml"}


class TestTheTable:
    """scripts/wheels.json says of the lock what the lock itself leads to: `make lock` writes both."""

    TABLE = json.loads((SCRIPTS / "wheels.json").read_bytes())
    LOCK = wheel_installer.locked((SCRIPTS / "requirements.txt").read_text("utf-8"))

    def test_each_light_extra_has_all_that_its_requirements_lead_to(self) -> None:
        assert self.TABLE["extras"] == wheel_table.extras()
        assert {"check-promotion", "gto-register-stage", "bump-kustomize-tag"} <= set(
            self.TABLE["extras"]
        )

    def test_each_package_of_it_is_locked_and_has_a_wheel_for_each_machine(self) -> None:
        wanted = {name for names in self.TABLE["extras"].values() for name in names}
        assert wanted == set(self.TABLE["wheels"])
        for name in sorted(wanted):
            assert self.LOCK[name].hashes
            listed = wheel_installer.wheels_of(self.LOCK[name], self.TABLE["wheels"][name])
            assert len(listed) == len(self.TABLE["wheels"][name]), f"{name}: run `make lock`"
            for machine in wheel_table.MACHINES:
                wheel_installer.best(self.LOCK[name], listed, machine)

    def test_what_is_left_out_was_asked_for_and_is_locked(self) -> None:
        for name in wheel_table.LEFT_OUT:
            assert name in self.LOCK
            assert name not in self.TABLE["wheels"]
