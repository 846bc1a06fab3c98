"""What dvc.yaml, dvc.lock and .dvc files say, with paths from the repository's top."""

from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import stages as dvc_stages
from model_gitops.core.dvc.files import Project, Tracked
from model_gitops.core.dvc.hashes import LEGACY_HASH
from model_gitops.core.dvc.stages import LockedStage
from model_gitops.errors import InputError

MD5 = "0123456789abcdef0123456789abcdef"


def test_a_locked_stage_is_read_whole() -> None:
    definition = (
        "{cmd: x, wdir: w, deps: [in.csv], params: [seed],"
        " outs: [m.bin: {remote: r1}, o.bin: {cache: false}, p.bin: , q.bin]}"
    )
    lock = f"""\
schema: '2.0'
stages:
  train:
    cmd: ran
    deps:
    - {{path: in.csv, hash: md5, md5: {MD5}, size: 7}}
    - {{path: ../lib, hash: md5, md5: {MD5}.dir, size: 8, nfiles: 2}}
    - {{path: s3://b/raw, etag: e}}
    - {{path: hdfs://raw, checksum: c}}
    - {{path: none}}
    - odd
    params:
      params.yaml: {{seed: 4}}
      ../conf.toml: {{a.b: 1}}
      odd.yaml: 3
    outs:
    - {{path: m.bin, hash: md5, md5: {MD5}, size: x, nfiles: x}}
    - {{path: o.bin, md5: {MD5}, remote: r2}}
"""
    project = Project({"sub/dvc.yaml": f"stages: {{train: {definition}}}", "sub/dvc.lock": lock})
    assert list(dvc_stages.locked(project)) == [
        LockedStage(
            name="train",
            source="sub/dvc.lock",
            deps=(
                Tracked("sub/w/in.csv", MD5, size=7),
                Tracked("sub/lib", f"{MD5}.dir", size=8, files=2),
                Tracked("s3://b/raw", "e", "etag"),
                Tracked("hdfs://raw", "c", "checksum"),
                Tracked("sub/w/none", ""),
            ),
            outs=(
                Tracked("sub/w/m.bin", MD5, remote="r1"),
                Tracked("sub/w/o.bin", MD5, LEGACY_HASH, remote="r2", cached=False),
            ),
            params={"sub/w/params.yaml": {"seed": 4}, "sub/conf.toml": {"a.b": 1}},
            definition=project.load("sub/dvc.yaml")["stages"]["train"],
            command="ran",
            folder="sub/w",
        )
    ]


@pytest.mark.parametrize(
    ("lock", "dvc", "names"),
    [
        ("schema: '2.0'\nstages: {a: {}, b: 3, c: {}}", "stages: {a: {}, c: {}}", ["a", "c"]),
        # Before DVC 2 the stages stood at the top.
        ("a: {cmd: x}", None, ["a"]),
        ("schema: '2.0'\nstages: {a: {}}", None, ["a"]),
        ("schema: '2.0'\nstages: {a: {}}", "stages: 3", ["a"]),
        # What dvc.yaml does not define, or not as a stage, is none any more.
        ("schema: '2.0'\nstages: {a: {}, b: {}}", "stages: {b: 3}", []),
        ("schema: '2.0'\nstages: {a@x: {}, b@y: {}}", "stages: {a: {do: {cmd: x}}}", ["a@x"]),
        ("schema: '2.0'\nstages: 3", None, []),
        ("- odd", None, []),
    ],
)
def test_which_stages_are_locked(lock: str, dvc: str | None, names: list[str]) -> None:
    files = {"dvc.lock": lock, **({"dvc.yaml": dvc} if dvc else {})}
    assert [stage.name for stage in dvc_stages.locked(Project(files))] == names


def test_a_stage_of_foreach_has_the_definition_of_one() -> None:
    files = {
        "dvc.yaml": "stages: {a: {foreach: [x], do: {cmd: c, wdir: w}}, b: {cmd: d, do: 3}}",
        "dvc.lock": "schema: '2.0'\nstages: {a@x: {}, b: {}, a@gone: {}, b@x: {}, a: {}}",
    }
    first, second = dvc_stages.locked(Project(files))
    assert (first.definition, first.folder) == ({"cmd": "c", "wdir": "w"}, "w")
    assert (second.definition, second.folder) == ({"cmd": "d", "do": 3}, "")


def test_stages_that_never_ran() -> None:
    files = {
        "dvc.yaml": """\
stages:
  ran: {cmd: x}
  odd: 3
  each: {foreach: [a], do: {cmd: x}}
  cross: {matrix: {a: [b]}, cmd: x}
  plain: {cmd: x}
  never:
    cmd: x
    wdir: w
    deps: [a, s3://b/c]
    outs: [d, e: {cache: false}]
    metrics: [m.json: ]
    plots: p.csv
""",
        "dvc.lock": "schema: '2.0'\nstages: {ran: {cmd: x}}",
        "sub/dvc.yaml": "stages: {own: {cmd: x, deps: [../a]}}",
        "bare/dvc.yaml": "stages: 3",
        "odd/dvc.yaml": "stages: {own: {cmd: x}}",
        "odd/dvc.lock": "stages: 3",
    }
    assert list(dvc_stages.never_ran(Project(files))) == [
        ("dvc.yaml", "each@a", (), ()),
        ("dvc.yaml", "cross@b", (), ()),
        ("dvc.yaml", "plain", (), ()),
        ("dvc.yaml", "never", ("w/a", "s3://b/c"), ("w/d", "w/e", "w/m.json", "w/p.csv")),
        ("sub/dvc.yaml", "own", ("a",), ()),
        ("odd/dvc.yaml", "own", (), ()),
    ]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, []),
        ([], []),
        ("a", ["a"]),
        (["a", {"b": {"cache": False}, "c": None}, 3], ["a", "b", "c", "3"]),
        ({"a": {}}, ["a"]),
    ],
)
def test_names_of_a_list_in_dvc_yaml(value: Any, names: list[str]) -> None:
    assert list(dvc_files.names(value)) == names


@pytest.mark.parametrize(
    ("value", "dicts"), [([{"a": 1}, 3, {}], [{"a": 1}, {}]), ({"a": 1}, []), (None, [])]
)
def test_only_mappings_of_a_list(value: Any, dicts: list[Any]) -> None:
    assert dvc_files.dicts(value) == dicts


def test_what_dvc_files_track_in_a_folder() -> None:
    files = {
        "data/b.dvc": f"outs: [{{path: b, md5: {MD5}}}, {{path: ../other, md5: {MD5}}}]",
        "data/c/d.dvc": f"wdir: ..\nouts: [{{path: e, md5: {MD5}}}]",
        "data/notes": "a: [",
        "data2/f.dvc": "a: [",
        "data.dvc": "a: [",
    }
    below = dvc_files.below(Project(files), "data")
    assert [one.path for one in below] == ["data/b", "data/e"]


def test_the_dvc_file_that_tracks_a_path() -> None:
    files = {
        "broken.dvc": "a: [",
        "x.dvc": f"outs: [{{path: y, md5: {MD5}}}]",
        "other.dvc": f"wdir: in\nouts: [{{path: no, md5: {MD5}}}, {{path: a.bin, md5: {MD5}}}]",
        "in/a.bin.dvc": f"outs: [{{path: a.bin, md5: {MD5}, hash: md5, size: 3}}]",
        "notes": "a.bin z.bin: [",
        "z.dvc": "outs: [{path: z.bin}]",
    }
    project = Project(files)
    usual = (Tracked("in/a.bin", MD5, size=3), "in/a.bin.dvc")
    assert dvc_files.added(project, "in/a.bin") == usual
    # Files that do not name it are not read.
    assert dvc_files.added(project, "in/no") == (Tracked("in/no", MD5, LEGACY_HASH), "other.dvc")
    assert dvc_files.added(project, "z.bin") == (Tracked("z.bin", ""), "z.dvc")
    assert dvc_files.added(project, "a.bin") is None


def test_a_file_that_is_no_yaml_is_named() -> None:
    with pytest.raises(InputError, match=r"^sub/dvc\.lock is not valid YAML"):
        list(dvc_stages.locked(Project({"sub/dvc.lock": "a: ["})))


@pytest.mark.parametrize(
    ("path", "base", "full"),
    [
        ("a", "", "a"),
        ("./a/../b", "c", "c/b"),
        ("../a", "b/c", "b/a"),
        ("s3://b//c/../d", "e", "s3://b//c/../d"),
    ],
)
def test_paths_start_at_the_top(path: str, base: str, full: str) -> None:
    assert dvc_files.full_path(path, base) == full
