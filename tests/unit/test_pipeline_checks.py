"""Each check of a stage's run: the whole sentence that it says, and what it takes for agreement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from model_gitops.core.dvc import hashes, pipeline
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.files import Tracked
from model_gitops.core.dvc.pipeline import Ingredient, Writer


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


ONE, TWO, MODEL = "1" * 32, "2" * 32, "3" * 32
CODE, NEW = md5(b"code\n"), md5(b"new\n")
GIT = {"a.py": b"code\n"}


def entry(path: str, value: str = "", **more: Any) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": value, **more}


def stage(
    deps: list[dict[str, Any]] | None = None, outs: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    return {"cmd": "x", "deps": deps or [], "outs": outs or [], **more}


def train(*deps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return stage([*deps], [entry("m.bin", MODEL)], **more)


def project(
    stages: Mapping[str, Any], git: Mapping[str, bytes], dvc: str, files: Mapping[str, str]
) -> tuple[dict[str, str], pipeline.Content]:
    """Return DVC's files, and what Git has; where `dvc` is empty, dvc.yaml has no stage."""
    every = {"dvc.lock": json.dumps({"schema": "2.0", "stages": stages}), **files}
    if dvc:
        every["dvc.yaml"] = f"stages: {{{dvc}}}"

    def content(path: str) -> dict[str, bytes]:
        if path in git:
            return {"": git[path]}
        inside = f"{path}/"
        return {name[len(inside) :]: data for name, data in git.items() if name.startswith(inside)}

    return every, content


def read(
    stages: Mapping[str, Any], *, git: Mapping[str, bytes] = GIT, dvc: str = "", **files: str
) -> pipeline.Recipe:
    every, content = project(stages, git, dvc, files)
    return pipeline.read(Artifact("m", "m.bin", MODEL), every, content)


def writer(
    path: str,
    stages: Mapping[str, Any],
    model: Artifact | None = None,
    *,
    git: Mapping[str, bytes] = GIT,
    dvc: str = "",
) -> Writer | None:
    every, content = project(stages, git, dvc, {})
    return pipeline.writer(path, model, every, content)


RAN = "dvc.lock: stage train ran with the"
MADE_DATA = stage([], [entry("data", ONE)])
MANIFEST = hashes.manifest_hash({"x": CODE})
PARAMS = {"params.yaml": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("stages", "dvc", "git", "files", "problem"),
    [
        ({"train": train(entry("a.py", ONE))}, "", GIT, {},
         f"dvc.lock: stage train has a.py with hash {ONE}, and the commit's a.py has hash {CODE}"),
        ({"train": train(entry("d", ONE + ".dir", nfiles=1))}, "", {"d/x": b"code\n"}, {},
         f"dvc.lock: stage train has d with hash {ONE}.dir, and the commit's d has hash {MANIFEST}"),
        ({"train": train(entry("d", ONE + ".dir", nfiles=1))}, "",
         {"d/x": b"code\n", ".dvcignore": b""}, {},
         f"dvc.lock: stage train has d with hash {ONE}.dir, and the commit's d has hash {MANIFEST}"),
        ({"train": train(entry("a.py", ONE))}, "", {"a.py": b"1\r\n", ".dvcignore": b""}, {},
         f"dvc.lock: stage train has a.py with hash {ONE}, and the commit's a.py has hash"
         f" {md5(b'1' + bytes((13, 10)))}"),
        ({"p": MADE_DATA, "train": train(entry("data", TWO))}, "", {}, {},
         f"dvc.lock: stage train read data with hash {TWO}, and stage p made it with hash {ONE}"),
        ({"train": train(entry("r", ONE))}, "", {}, {"r.dvc": f"outs: [{{path: r, hash: md5, md5: {TWO}}}]"},
         f"dvc.lock: stage train read r with hash {ONE}, and r.dvc has hash {TWO}"),
        ({"train": train(), "e": stage([entry("m.bin", TWO)])}, "", {}, {},
         f"dvc.lock: stage e judged m.bin with hash {TWO}, and the model's hash is {MODEL}"),
        ({"train": train()}, "train: {cmd: y, outs: [m.bin]}", {}, {},
         f"{RAN} command 'x', and dvc.yaml says 'y'"),
        ({"train": train(cmd=["x", "y"])}, "train: {cmd: [x, z], outs: [m.bin]}", {}, {},
         f"{RAN} command 'x, y', and dvc.yaml says 'x, z'"),
        ({"train": train()}, "train: {cmd: [x, x], outs: [m.bin]}", {}, {},
         f"{RAN} command 'x', and dvc.yaml says 'x, x'"),
        ({"train": train()}, "train: {outs: [m.bin]}", {}, {},
         f"{RAN} command 'x', and dvc.yaml says ''"),
        ({"train": train(entry("a.py", CODE))}, "train: {cmd: x, deps: [b.py, a.py], outs: [m.bin]}",
         GIT, {}, f"{RAN} dependencies 'a.py', and dvc.yaml says 'a.py, b.py'"),
        ({"train": train()}, "train: {cmd: x, outs: [z, m.bin], live: l}", {}, {},
         f"{RAN} outputs 'm.bin', and dvc.yaml says 'l, m.bin, z'"),
        ({"train": train(params=PARAMS)}, "train: {cmd: x, outs: [m.bin], params: [a, c]}",
         {"params.yaml": b"{a: 1, b: 2}"}, {},
         f"{RAN} params of params.yaml 'a, b', and dvc.yaml says 'a, c'"),
        ({"train": train()}, "train: {cmd: x, outs: [m.bin], params: [{p.yaml: [b, a]}]}", {}, {},
         f"{RAN} params of p.yaml '', and dvc.yaml says 'a, b'"),
        ({"train": train(params=PARAMS)}, "", {"params.yaml": b"{a: 1, b: x}"}, {},
         "dvc.lock: stage train ran with b = 2 of params.yaml, and the commit's params.yaml says 'x'"),
        ({"train": train(params=PARAMS)}, "", {"params.yaml": b"b: 2"}, {},
         "dvc.lock: stage train ran with a = 1 of params.yaml, and the commit's params.yaml says None"),
        ({"train": train(params=PARAMS)}, "", {}, {},
         "dvc.lock: stage train ran with a, b of params.yaml, and the commit has no such file"),
        ({"train": train(params={"c.toml": {"a": 1}})}, "", {"c.toml": b"a = "}, {},
         "c.toml can't be parsed: Invalid value (at end of document)"),
        ({"train": train(entry("data", ONE))}, "", {},
         {"sub/dvc.yaml": "stages: {p: {cmd: x, outs: [../data, n]}}"},
         "sub/dvc.yaml: stage p makes data, sub/n, and sub/dvc.lock has no run of it"),
    ],
)  # fmt: skip
def test_a_contradiction_is_told_with_both_sides(
    stages: dict[str, Any], dvc: str, git: dict[str, bytes], files: dict[str, str], problem: str
) -> None:
    assert read(stages, git=git, dvc=dvc, **files).problems == (problem,)


LFS = b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("stages", "dvc", "git", "said"),
    [
        ({"train": stage([], [entry("out", ONE + ".dir")]), "e": stage([entry("m.bin", MODEL)])},
         "", {}, ()),
        ({"train": train(), "e": stage([entry("m.bin/x", TWO)])}, "", {},
         ("m.bin/x, which has the model with other things",)),
        ({"p": stage([], [entry("data/a", ONE)]), "train": train(entry("data", TWO))}, "", {},
         ("data, of which stage p made data/a",)),
        ({"p": stage([], [entry("data", ONE)]), "train": train(entry("data/a", TWO))}, "", {},
         ("data/a, of which stage p made data",)),
        ({"train": train(entry("r", ONE), entry("s3://b/r", ONE))}, "", {},
         ("r, of which no file of this commit has a hash",)),
        ({"train": train(entry("a.py", ONE))}, "", {"a.py": LFS},
         ("a.py, of which Git has no content here",)),
        ({"train": train(entry("a.py"))}, "", GIT, ("a.py, of which Git has no content here",)),
        ({"train": train(entry("d", ONE + ".dir", nfiles=2))}, "", {"d/x": b""},
         ("d, which had other files when it was read",)),
        ({"train": train(params={"${x}.yaml": {"a": 1}})}, "", {},
         ("${x}.yaml, whose name DVC fills in",)),
        ({"train": train()}, "train: {cmd: x, outs: [m.bin]}, e: {cmd: x, deps: [m.bin]}", {},
         ("stage e of dvc.yaml, which reads the model and never ran",)),
        # Each is said once.
        ({"p": stage([entry("r", ONE)], [entry("data", ONE)]),
          "train": train(entry("data", ONE), entry("r", ONE))}, "", {},
         ("r, of which no file of this commit has a hash",)),
    ],
)  # fmt: skip
def test_what_can_not_be_compared_is_said(
    stages: dict[str, Any], dvc: str, git: dict[str, bytes], said: tuple[str, ...]
) -> None:
    recipe = read(stages, git=git, dvc=dvc)
    assert (recipe.problems, recipe.unchecked) == ((), said)


@pytest.mark.parametrize(
    ("stages", "dvc", "git", "checked"),
    [
        ({"train": train()}, "", {}, 0),
        ({"train": train()}, "train: {cmd: x, outs: m.bin}", {}, 3),
        ({"train": train(entry("a.py", CODE))}, "", GIT, 1),
        ({"train": stage([], [entry("m.bin", MODEL), entry("p.csv", ONE), entry("l", ONE)])},
         "train: {cmd: x, outs: [m.bin], plots: [p.csv], live: l}", {}, 3),
        ({"train": train(params={"p.yaml": {"a": 1}})}, "", {"p.yaml": b"a: 1 # \xff"}, 1),
        ({"p": MADE_DATA, "train": train(entry("data", ONE))}, "", {}, 1),
        ({"train": train(params=PARAMS)}, "", {"params.yaml": b"{a: 1, b: 2}"}, 2),
        ({"train": train(params=PARAMS)}, "train: {cmd: x, outs: [m.bin], params: [b, a]}",
         {"params.yaml": b"{a: 1, b: 2}"}, 6),
        ({"train": train(params=PARAMS)}, "train: {cmd: x, outs: [m.bin], params: [b, params.yaml: ]}",
         {"params.yaml": b"{a: 1, b: 2}"}, 5),
        ({"train": train(params=PARAMS)}, "train: {cmd: x, outs: [m.bin], params: [params.yaml: , b]}",
         {"params.yaml": b"{a: 1, b: 2}"}, 5),
        ({"train": train(params=PARAMS)},
         "train: {cmd: x, outs: [m.bin], params: [a, params.yaml: [b]]}",
         {"params.yaml": b"{a: 1, b: 2}"}, 6),
        ({"train": train(params=PARAMS)}, "train: {cmd: x, outs: [m.bin], params: ['${k}']}",
         {"params.yaml": b"{a: 1, b: 2}"}, 5),
        # A file of params that a stage made is held where that stage wrote it.
        ({"p": stage([], [entry("params.yaml", ONE)]), "train": train(params=PARAMS)}, "", {}, 0),
        ({"train": train(params={"c.toml": {"a.b": 1, "l.1": 3, "d.e": 4}})}, "",
         {"c.toml": b"l = [2, 3]\n'd.e' = 4\n[a]\nb = 1\n"}, 3),
        ({"train": train(params={"c.json": {"a": None, "l.1": None, "a.x": None}})}, "",
         {"c.json": b'{"a": null, "l": [1]}'}, 3),
        ({"train": train(cmd=["python t.py 1", "y"])},
         "train: {cmd: ['python t.py ${a}', y], outs: [m.bin]}", {}, 3),
        ({"train": train(cmd="a\nb ${c} d.")}, 'train: {cmd: "a${x}b \\\\${c} d.", outs: [m.bin]}', {}, 3),
        ({"train": train(entry("s1", CODE), entry("s2", CODE), entry("s3", CODE))},
         "train: {cmd: x, deps: ['s${a}', s2, '${b}3'], outs: [m.bin]}",
         {"s1": b"code\n", "s2": b"code\n", "s3": b"code\n"}, 6),
    ],
)  # fmt: skip
def test_what_agrees_is_counted(
    stages: dict[str, Any], dvc: str, git: dict[str, bytes], checked: int
) -> None:
    recipe = read(stages, git=git, dvc=dvc)
    assert (recipe.problems, recipe.checked, recipe.unchecked) == ((), checked, ())


@pytest.mark.parametrize(
    ("cmd", "said"),
    [("xd.", "x.d."), ("x.d.\n", "x.d."), ("x", "x${a}y"), ("", "x")],
)
def test_a_command_is_compared_as_text(cmd: str, said: str) -> None:
    (problem,) = read(
        {"train": train(cmd=cmd)}, dvc=f"train: {{cmd: {said!r}, outs: [m.bin]}}"
    ).problems
    assert problem == f"{RAN} command {cmd!r}, and dvc.yaml says {said!r}"


@pytest.mark.parametrize(
    "deps",
    ["[a.py, '${a}', '${b}']", "['${a}']", "[a.py, 'x${a}']", "[a.py]"],
)
def test_a_filled_in_path_stands_for_one(deps: str) -> None:
    stages = {"train": train(entry("a.py", CODE), entry("b.py", CODE))}
    git = {"a.py": b"code\n", "b.py": b"code\n"}
    (problem,) = read(
        stages, git=git, dvc=f"train: {{cmd: x, deps: {deps}, outs: [m.bin]}}"
    ).problems
    assert problem.startswith(f"{RAN} dependencies 'a.py, b.py', and dvc.yaml says ")


CRLF = {"x": b"1\r\n", "y": b"2\n"}


@pytest.mark.parametrize(
    ("hash_name", "git", "value", "agrees"),
    [
        ("md5", {"a": b"1\r\n"}, md5(b"1\r\n"), True),
        ("md5", {"a": b"1\r\n"}, md5(b"1\n"), True),
        ("md5", {"a": b"1\n"}, md5(b"1\r\n"), True),
        ("md5", {"a": b"1\r\n2\n"}, md5(b"1\r\n2\r\n"), True),
        ("md5-dos2unix", {"a": b"1\r\n"}, md5(b"1\n"), True),
        ("md5-dos2unix", {"a": b"1\n"}, md5(b"1\r\n"), False),
        ("md5", {"a/x": b"1\r\n", "a/y": b"2\n"},
         hashes.manifest_hash({"x": md5(b"1\n"), "y": md5(b"2\n")}), True),
        ("md5", {"a/x": b"1\n", "a/y": b"2\n"},
         hashes.manifest_hash({"x": md5(b"1\r\n"), "y": md5(b"2\r\n")}), True),
        ("md5", {"a/x": b"1\n", "a/y": b"2\n"},
         hashes.manifest_hash({"x": md5(b"1\r\n"), "y": md5(b"2\n")}), False),
    ],
)  # fmt: skip
def test_line_endings_of_a_checkout_are_no_change(
    hash_name: str, git: dict[str, bytes], value: str, agrees: bool
) -> None:
    dep = {"path": "a", "hash": hash_name, "md5": value, "nfiles": len(git)}
    recipe = read({"train": train(dep)}, git=git)
    assert (recipe.problems == (), recipe.checked) == (agrees, 1)


def test_ingredients_are_code_in_git_and_data_elsewhere() -> None:
    pointer = f"outs: [{{path: w.bin, md5: {TWO}, hash: md5}}]"
    lib = {"x": CODE, "w.bin": TWO, "w.bin.dvc": md5(pointer.encode())}
    stages = {
        "late": stage([entry("m.bin", MODEL)], [entry("r.json", NEW)]),
        "train": train(
            entry("data", ONE), entry("a.py", CODE),
            entry("lib", hashes.manifest_hash(lib), nfiles=3), entry("src", MANIFEST, nfiles=1),
            params={"p.yaml": {"a": 1}},
        ),
        "p": stage([entry("z", ONE)], [entry("data", ONE)], params={"p.yaml": {"b": 2}}),
        "later": stage([entry("r.json", NEW)], [entry("a.json", NEW), entry("none", ONE)]),
    }  # fmt: skip
    git = {
        **GIT, "lib/x": b"code\n", "lib/w.bin.dvc": pointer.encode(), "src/x": b"code\n",
        "r.json": b"new\n", "a.json": b"new\n", "p.yaml": b"{a: 1, b: 2}",
    }  # fmt: skip
    assert read(stages, git=git, **{"lib/w.bin.dvc": pointer}) == pipeline.Recipe(
        stages=("p", "train"),
        ingredients=(
            Ingredient("a.py", CODE, "code"),
            Ingredient("data", ONE, "data"),
            Ingredient("lib", hashes.manifest_hash(lib), "data"),
            Ingredient("src", MANIFEST, "code"),
            Ingredient("z", ONE, "data"),
        ),
        params={"p.yaml": {"a": 1, "b": 2}},
        results=("a.json", "r.json"),
        checked=10,
        unchecked=("z, of which no file of this commit has a hash",),
    )


def test_every_way_to_and_from_the_model_is_followed() -> None:
    stages = {
        "e3": stage([entry("y", ONE)], [entry("w.json", NEW)]),
        "e2": stage([entry("x", ONE)], [entry("z.json", NEW)]),
        "e1": stage([entry("m.bin", MODEL)], [entry("x", ONE), entry("y", ONE)]),
        "train": train(entry("a", ONE), entry("b", ONE)),
        "q": stage([entry("c", ONE)], [entry("b", ONE)]),
        "p": stage([entry("d", ONE)], [entry("a", ONE)]),
    }
    recipe = read(stages, git={"w.json": b"new\n", "z.json": b"new\n"})
    assert sorted(recipe.stages) == ["p", "q", "train"]
    assert recipe.stages[-1] == "train"
    assert recipe.results == ("w.json", "z.json")


def test_the_writer_of_a_file_is_held_against_the_commit() -> None:
    stages = {
        "train": train(entry("a.py", ONE)),
        "e": stage([entry("m.bin", MODEL), entry("a.py", CODE)], [entry("s.csv", NEW, size=4)]),
    }
    file = Tracked("s.csv", NEW, size=4)
    model = Artifact("m", "m.bin", MODEL)
    assert writer("s.csv", stages, model) == Writer("e", file)
    other = Artifact("m", "m.bin", TWO)
    judged = f"dvc.lock: stage e judged m.bin with hash {MODEL}, and the model's hash is {TWO}"
    assert writer("s.csv", stages, other) == Writer("e", file, (judged,))
    # Without a model, what the stage read is held against the stage that made it.
    assert writer("s.csv", stages) == Writer("e", file)
    wrong = {**stages, "train": stage([], [entry("m.bin", TWO)])}
    read_wrong = (
        f"dvc.lock: stage e read m.bin with hash {MODEL}, and stage train made it with hash {TWO}"
    )
    assert writer("s.csv", wrong) == Writer("e", file, (read_wrong,))
    edited = f"dvc.lock: stage e has s.csv with hash {NEW}, and the commit's s.csv has hash {CODE}"
    assert writer("s.csv", stages, model, git={**GIT, "s.csv": b"code\n"}) == Writer(
        "e", file, (edited,)
    )
    assert writer("none.csv", stages, model) is None


def test_the_writer_of_a_file_in_a_folder_is_the_folders() -> None:
    """As DVCLive has it: `eval` is the stage's output, and `eval/m.json` the file of metrics."""
    folder = entry("eval", MANIFEST, nfiles=1)
    stages = {"t": train(), "e": stage([entry("m.bin", MODEL)], [folder])}
    model = Artifact("m", "m.bin", MODEL)
    found = Tracked("eval", MANIFEST, files=1)
    assert writer("eval/x", stages, model) == Writer("e", found)
    assert writer("eval", stages, model) == Writer("e", found)
    assert writer("evaluation", stages, model) is None
    # `cache: false`: Git has the folder, and all of it counts.
    assert writer("eval/x", stages, model, git={"eval/x": b"code\n"}) == Writer("e", found)
    forged = hashes.manifest_hash({"x": CODE, "m.json": NEW})
    told = (
        f"dvc.lock: stage e has eval with hash {MANIFEST}, and the commit's eval has hash {forged}"
    )
    git = {"eval/x": b"code\n", "eval/m.json": b"new\n"}
    assert writer("eval/m.json", stages, model, git=git) == Writer("e", found, (told,))
