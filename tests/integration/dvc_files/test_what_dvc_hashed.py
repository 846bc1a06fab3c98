"""Hashes that differ though nothing changed: what a checkout makes of Git's files, kinds, frozen stages."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from dvc_project import Project

TRAIN = """\
stages:
  train: {cmd: "cat one.txt lib/b.txt > m.bin", deps: [one.txt, lib], outs: [m.bin]}
artifacts: {m: {path: "m.bin"}}
"""
TEXT = "ä one $Id$\ntwo\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def trained(project: Project, attributes: str, text: str = TEXT) -> Project:
    """Commit the files, check them out as Git makes them, and let DVC hash those."""
    project.write({
        ".gitattributes": attributes, "dvc.yaml": TRAIN,
        "lib/a.bat": "a\n", "lib/b.txt": "b\n", "lib/c.bin": b"\0\n",
    })  # fmt: skip
    blob = project.git.run("hash-object", "-w", "--stdin", input=text).strip()
    project.git.run("add", "--all")
    project.git.run("update-index", "--add", "--cacheinfo", f"100644,{blob},one.txt")
    project.git.run("commit", "--quiet", "--message", "Files")
    for name in ("one.txt", "lib/a.bat", "lib/b.txt", "lib/c.bin"):
        (project.top / name).unlink(missing_ok=True)
    project.git.run("checkout", "--", ".")
    project.dvc("repro")
    project.git.run("add", "dvc.lock", ".gitignore")
    project.git.run("commit", "--quiet", "--message", "Train")
    return project


@pytest.mark.parametrize(
    ("attributes", "on_disk"),
    [
        ("*.txt working-tree-encoding=UTF-16LE-BOM", "\ufeff".encode("utf-16-le") + TEXT.encode("utf-16-le")),
        ("*.txt text working-tree-encoding=UTF-16LE eol=crlf",
         TEXT.replace("\n", "\r\n").encode("utf-16-le")),
        ("*.txt working-tree-encoding=ISO-8859-1", TEXT.encode("latin-1")),
        ("one.txt working-tree-encoding=utf16", TEXT.encode("utf-16")),
        ("one.txt working-tree-encoding=UTF-32", TEXT.encode("utf-32")),
        ("*.txt eol=crlf", TEXT.replace("\n", "\r\n").encode()),
        ("*.txt crlf=input\nlib/* eol=crlf", TEXT.encode()),
        ("*.bat text eol=crlf\n*.bin -text", TEXT.encode()),
        ("* text=auto eol=crlf", TEXT.replace("\n", "\r\n").encode()),
        ("*.txt ident", b"\xc3\xa4 one $Id: 5c8d2e65f3a9b0d1e7b7c8f4 $\ntwo\n"),
        ("[attr]utf working-tree-encoding=UTF-16BE\n*.txt utf", TEXT.encode("utf-16-be")),
    ],
)  # fmt: skip
def test_what_a_checkout_writes_is_what_dvc_hashed(
    project: Project, attributes: str, on_disk: bytes
) -> None:
    """W6: working-tree-encoding, eol, ident; in a folder each file by its own attributes."""
    trained(project, attributes)
    found = (project.top / "one.txt").read_bytes()
    hidden = re.compile(rb"\$Id: [0-9a-f]+ \$")
    assert hidden.sub(b"$Id$", found) == hidden.sub(b"$Id$", on_disk)
    recipe = project.recipe("m")
    assert (recipe.problems, recipe.unchecked) == ((), ())
    # One letter in Git is another file, in every encoding.
    blob = project.git.run("hash-object", "-w", "--stdin", input=TEXT.replace("two", "six")).strip()
    project.git.run("update-index", "--cacheinfo", f"100644,{blob},one.txt")
    project.git.run("commit", "--quiet", "--message", "Edit")
    (problem,) = project.recipe("m").problems
    assert problem.startswith("dvc.lock: stage train has one.txt with hash ")


def test_attributes_are_those_of_the_commit(project: Project) -> None:
    """What the checkout, its index or its user say now does not count."""
    trained(project, "*.txt working-tree-encoding=UTF-16LE")
    commit = project.git.run("rev-parse", "HEAD").strip()
    project.write({".gitattributes": ""})
    project.git.run("add", ".gitattributes")
    everywhere = project.base / "attributes"
    everywhere.write_text("* filter=mine\n")
    project.git.run("config", "core.attributesFile", str(everywhere))
    assert project.recipe("m", commit).problems == ()
    assert project.git.run("diff", "--cached", "--name-only").split() == [".gitattributes"]


def test_of_a_file_that_a_filter_changes_nothing_is_said(project: Project) -> None:
    """W6: the program is of somebody's configuration, so it is not run here."""
    project.git.run("config", "filter.loud.clean", "tr A-Z a-z")
    project.git.run("config", "filter.loud.smudge", "tr a-z A-Z")
    trained(project, "*.txt filter=loud", text="one\n")
    assert (project.top / "one.txt").read_text() == "ONE\n"
    ran = project.base / "ran"
    project.git.run("config", "filter.loud.smudge", f"touch {ran}")
    recipe = project.recipe("m")
    assert (recipe.problems, recipe.unchecked) == (
        (),
        (
            "lib, which a filter of Git changes (loud)",
            "one.txt, which a filter of Git changes (loud)",
        ),
    )
    assert not ran.exists()


def lfs(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


def fetched(project: Project, content: bytes) -> Path:
    """Put an object where `git lfs fetch` puts it."""
    oid = hashlib.sha256(content).hexdigest()
    file = project.top / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_a_dependency_in_git_lfs_is_compared_where_its_object_was_fetched(project: Project) -> None:
    """F13, W6: DVC hashed the file; Git has a pointer."""
    project.write({"one.txt": "one\n", "lib/b.txt": "b\n", "dvc.yaml": TRAIN})
    project.dvc("repro")
    project.write({".gitattributes": "one.txt filter=lfs -text\n", "one.txt": lfs(b"one\n")})
    project.commit()
    assert project.recipe("m").unchecked == ("one.txt, of which Git has no content here",)
    file = fetched(project, b"one\n")
    recipe = project.recipe("m")
    assert (recipe.problems, recipe.unchecked) == ((), ())
    file.write_bytes(b"own\n")  # not what its name says
    assert project.recipe("m").unchecked == ("one.txt, of which Git has no content here",)
    project.write({"one.txt": lfs(b"two\n")})
    project.commit()
    fetched(project, b"two\n")
    (problem,) = project.recipe("m").problems
    assert problem.startswith("dvc.lock: stage train has one.txt with hash ")


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
def test_a_file_of_dvc_that_is_a_pointer_is_named_with_the_way_out(
    project: Project, name: str
) -> None:
    """F13: and the way out works."""
    text = TRAIN.replace("outs: [m.bin]", 'outs: ["${a}.bin"], params: [a]').replace(
        "m.bin", "${a}.bin"
    )
    project.write({"params.yaml": "a: x\n", "one.txt": "1\n", "lib/b.txt": "b\n", "dvc.yaml": text})
    project.dvc("repro")
    project.dvc("push")
    real = (project.top / name).read_bytes()
    project.write({name: lfs(real)})
    project.commit()
    clone = project.clone()
    ran = clone.run("dvc-pull-model", model="m")
    assert ran.code == 2
    assert f"{name} is here only a pointer of Git LFS, not the file itself" in ran.said
    assert "git lfs pull" in ran.said
    assert clone.run("dvc-pull-model", model="m", revision="HEAD").code == 2
    # What `git lfs pull` does: the object comes, and the file of the checkout is it.
    fetched(clone, real)
    clone.write({name: real})
    for revision in ("", "HEAD"):
        ran = clone.run("dvc-pull-model", model="m", revision=revision)
        assert (ran.code, ran.outputs["path"]) == (0, "x.bin")


CRLF = b"a\r\nb\r\n"
TWO_STAGES = """\
stages:
  prepare: {cmd: cp raw.csv data.csv, deps: [raw.csv], outs: [data.csv]}
  train: {cmd: cp data.csv m.bin, deps: [data.csv], outs: [m.bin]}
  evaluate: {cmd: 'echo "{\\"size\\": $(wc -c < m.bin)}" > size.json', deps: [m.bin], metrics: [size.json: {cache: false}]}
artifacts: {m: {path: m.bin}}
"""


@pytest.fixture
def of_two_kinds(project: Project) -> Project:
    """A lock as DVC 2 wrote it, where DVC 3 ran only `prepare` again."""
    project.write({"raw.csv": CRLF, "dvc.yaml": TWO_STAGES})
    project.dvc("add", "raw.csv")
    project.dvc("repro")
    lock = (project.top / "dvc.lock").read_text()
    head, tail = lock.split("  train:\n")
    order = [
        part.split(":\n")[0] for part in re.split(r"\n  (?=\w+:\n)", lock.split("stages:\n  ")[1])
    ]
    assert order == ["prepare", "train", "evaluate"]
    old = tail.replace("hash: md5\n", "").replace("      md5", "md5", 0)
    old = re.sub(r"\n      (?=md5)", "\n      ", re.sub(r"      hash: md5\n", "", tail))
    old = old.replace(md5(CRLF), md5(CRLF.replace(b"\r\n", b"\n")))
    project.write({"dvc.lock": f"{head}  train:\n{old}"})
    project.commit()
    return project


def test_hashes_of_two_kinds_contradict_nothing(of_two_kinds: Project) -> None:
    """W12: DVC itself sees no change."""
    lock = (of_two_kinds.top / "dvc.lock").read_text()
    assert (lock.count("hash: md5"), lock.count("md5: ")) == (2, 6)
    status = of_two_kinds.dvc("status").stdout
    assert status == "train:\n\tchanged outs:\n\t\tnot in cache:       m.bin\n"  # of the old kind
    recipe = of_two_kinds.recipe("m")
    assert (recipe.problems, recipe.unchecked) == (
        (),
        ("data.csv, whose hashes are of two kinds (DVC 2's and DVC 3's)",),
    )
    other = lock.replace(md5(CRLF.replace(b"\r\n", b"\n")), "e" * 32, 1)
    of_two_kinds.write({"dvc.lock": other})
    of_two_kinds.commit()
    # Nor can a real change be told; that of a model can, within its kind.
    assert of_two_kinds.recipe("m").problems == ()
    end = lock.rindex(f"md5: {md5(CRLF.replace(bytes((13, 10)), bytes((10,))))}")
    of_two_kinds.write({"dvc.lock": lock[:end] + f"md5: {'e' * 32}" + lock[end + 37 :]})
    of_two_kinds.commit()
    (problem,) = of_two_kinds.recipe("m").problems
    assert problem.startswith(
        f"dvc.lock: stage evaluate judged m.bin with hash {'e' * 32}, and the model"
    )


RULES = {
    "model": "m",
    "image": "registry.example/acme/m",
    "environments": [{"name": "dev", "branch": "main"}],
    "gate": [{"metric": "size.json:size", "better": "higher", "minimum": 0}],
}


def test_the_gate_takes_a_lock_of_two_kinds_but_no_other_model(of_two_kinds: Project) -> None:
    """W12: the gate must know which model was judged; the command that it shows helps."""
    of_two_kinds.write({"promotion.yaml": json.dumps(RULES)})
    of_two_kinds.commit()
    ran = of_two_kinds.run("gate-metrics", baseline="HEAD")
    assert (ran.code, ran.outputs["passed"]) == (0, "true")
    # DVC 3 ran the training again, and not the evaluation: it sees no change.
    of_two_kinds.dvc("repro")
    old = (of_two_kinds.top / "dvc.lock").read_text()
    of_two_kinds.dvc("cache", "migrate", "--dvc-files")
    new = (of_two_kinds.top / "dvc.lock").read_text()
    assert (old.count("hash: md5"), new.count("hash: md5")) == (2, 6)
    mixed = new.split("  evaluate:")[0] + "  evaluate:" + old.split("  evaluate:")[1]
    of_two_kinds.write({"dvc.lock": mixed})
    assert "up to date" in of_two_kinds.dvc("status").stdout
    of_two_kinds.commit()
    assert of_two_kinds.recipe("m").problems == ()
    ran = of_two_kinds.run("gate-metrics", baseline="HEAD")
    assert ran.code == 3
    told = "so nobody can say whether that is the same file (`dvc cache migrate --dvc-files` writes"
    assert told in ran.said
    of_two_kinds.dvc("cache", "migrate", "--dvc-files")
    of_two_kinds.commit()
    ran = of_two_kinds.run("gate-metrics", baseline="HEAD")
    assert (ran.code, ran.outputs["passed"]) == (0, "true")


def test_a_frozen_stage_is_not_broken_by_what_it_does_not_look_at(project: Project) -> None:
    """F4: DVC skips what a frozen stage reads, and still looks at its command and outputs."""
    project.write({
        "raw.csv": "1\n", "params.yaml": "a: 1\n",
        "dvc.yaml": TWO_STAGES.replace("deps: [raw.csv]", "deps: [raw.csv], params: [a]"),
    })  # fmt: skip
    project.dvc("repro")
    project.dvc("freeze", "prepare")
    project.write({"raw.csv": "2\n", "params.yaml": "a: 2\n"})
    project.commit()
    assert "changed" not in project.dvc("status").stdout
    recipe = project.recipe("m")
    assert (recipe.problems, recipe.unchecked) == (
        (),
        ("what stage prepare read: it is frozen, so DVC does not look",),
    )
    assert [(one.path, one.kind) for one in recipe.ingredients] == [
        ("data.csv", "data"), ("raw.csv", "code"),
    ]  # fmt: skip
    edited = (project.top / "dvc.yaml").read_text().replace("cp raw.csv", "cp  raw.csv")
    project.write({"dvc.yaml": edited})
    project.commit()
    assert "changed command" in project.dvc("status").stdout
    (problem,) = project.recipe("m").problems
    assert problem.startswith(
        "dvc.lock: stage prepare ran with the command 'cp raw.csv data.csv', and"
    )


def test_a_frozen_evaluation_of_another_model_passes_no_gate(project: Project) -> None:
    """F4: the lineage says it in words, and the gate refuses: these numbers are another model's."""
    project.write({"raw.csv": "1\n", "dvc.yaml": TWO_STAGES})  # fmt: skip
    project.dvc("repro")
    project.dvc("freeze", "evaluate")
    project.write({"raw.csv": "two\n"})
    project.dvc("repro")
    project.write({"promotion.yaml": json.dumps(RULES)})
    project.commit()
    recipe = project.recipe("m")
    assert recipe.problems == ()
    assert "m.bin, which stage evaluate judged: another model than this one" in recipe.unchecked
    ran = project.run("gate-metrics", baseline="HEAD")
    assert ran.code == 3
    assert (
        f"stage evaluate judged m.bin with hash {md5(b'1' + bytes((10,)))}, and the model's"
        in ran.said
    )


VERSIONED = """\
schema: '2.0'
stages:
  prepare:
    cmd: x
    outs:
    - path: data
      hash: md5
      files: [{relpath: a, md5: AAA, size: 2, cloud: {s3: {etag: '"e"', version_id: v}}}, {relpath: s/b, BBB size: 2}]
  train:
    cmd: y
    deps:
    - {path: data, hash: md5, files: [{relpath: a, md5: AAA, size: 2}, {relpath: s/b, CCC size: 2}]}
    outs:
    - path: m
      hash: md5
      files: [{relpath: x, md5: AAA, size: 2, cloud: {s3: {etag: '"e"', version_id: v}}}]
  evaluate: {cmd: z, deps: [{path: m, hash: md5, files: DDD}], outs: [{path: n, hash: md5, md5: AAA}]}
"""
DEFINED = """\
stages:
  prepare: {cmd: x, outs: [data]}
  train: {cmd: y, deps: [data], outs: [m]}
  evaluate: {cmd: z, deps: [m], outs: [n]}
artifacts: {m: {path: m}}
"""
A, B = md5(b"1\n"), md5(b"2\n")


@pytest.mark.parametrize(
    ("made", "read", "judged", "problems", "unchecked"),
    [
        (f"md5: {B},", f"md5: {B},", f"[{{relpath: x, md5: {A}}}]", [], []),
        (f"md5: {B},", f"md5: {A},", f"[{{relpath: x, md5: {A}}}]", ["stage train read data with"], []),
        ("", "", f"[{{relpath: x, md5: {A}}}]", [], ["data, of which DVC's files have no hash"]),
        (f"md5: {B},", "", f"[{{relpath: y, md5: {A}}}]", ["stage evaluate judged m with"],
         ["data, of which DVC's files have no hash"]),
        (f"md5: {B},", f"md5: {B},", "[]", [], ["m, which stage evaluate judged: whose hashes are of"]),
    ],
)  # fmt: skip
def test_folders_on_a_versioned_remote_are_compared_file_by_file(
    project: Project, made: str, read: str, judged: str, problems: list[str], unchecked: list[str]
) -> None:
    """W13: `files:` in place of an MD5; what has no hash is never taken for equal."""
    lock = (
        VERSIONED.replace("AAA", A).replace("BBB", made).replace("CCC", read).replace("DDD", judged)
    )
    project.write({"dvc.lock": lock, "dvc.yaml": DEFINED})
    project.commit()
    recipe = project.recipe("m")
    assert [
        one.partition("dvc.lock: ")[2][: len(said)]
        for one, said in zip(recipe.problems, problems, strict=True)
    ] == problems
    assert [
        one[: len(said)] for one, said in zip(recipe.unchecked, unchecked, strict=True)
    ] == unchecked


def test_a_model_folder_on_a_versioned_remote_is_verified_file_by_file(project: Project) -> None:
    """W13: its hash is the one that DVC gives the same folder without versions."""
    lock = VERSIONED.replace("AAA", A).replace("BBB", "").replace("CCC", "").replace("DDD", "[]")
    project.write({"dvc.lock": lock, "dvc.yaml": DEFINED})
    project.commit()
    ran = project.run("dvc-pull-model", model="m")
    assert ran.code == 4  # the folder remote of this project has no such object
    project.write({"m/x": "1\n"})
    ran = project.run("dvc-pull-model", model="m")
    assert ran.code == 0
    project.write({"other/x": "1\n"})
    project.dvc("add", "other")
    assert f"md5: {ran.outputs['hash']}" in (project.top / "other.dvc").read_text()
    project.write({"m/y": "more"})
    assert project.run("dvc-pull-model", model="m").code == 0  # from the cache, which has it now
    assert [file.name for file in (project.top / "m").iterdir()] == ["x"]
