"""Models in the texts of dvc.yaml, dvc.lock and .dvc files."""

from __future__ import annotations

import json

import pytest

from model_gitops.core.dvc import artifacts, hashes
from model_gitops.errors import InputError

MD5 = "0123456789abcdef0123456789abcdef"
ROOT = {
    "dvc.yaml": "stages:\n  train: {cmd: x, outs: [models/m.onnx, plain]}\n"
    "artifacts:\n  m: {path: ./models/m.onnx, type: model}\n  lost: {path: lost.bin}\n"
    '  part: {path: folder/one}\n  away: {path: "s3://b/a m.pt"}\n',
    "dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n"
    f"    - {{path: models/m.onnx, hash: md5, md5: {MD5}, size: 5}}\n"
    "    - {path: plain, etag: x}\n",
    "folder.dvc": f"outs:\n- {{md5: {MD5}.dir, size: 9, nfiles: 2, hash: md5, path: folder}}\n",
}


def test_by_name_and_by_path() -> None:
    expected = artifacts.Artifact("m", "models/m.onnx", MD5, 5, "model")
    assert artifacts.find("m", ROOT) == expected
    assert artifacts.find("models/m.onnx", ROOT) == expected
    assert artifacts.find("models/../models//m.onnx", ROOT) == expected


def test_a_folder_and_a_dvc_file() -> None:
    found = artifacts.find("folder", ROOT)
    assert (found.name, found.hash, found.size, found.is_folder) == ("", f"{MD5}.dir", 9, True)


def test_a_subfolder_has_its_own_names_and_paths() -> None:
    files = ROOT | {
        "sub/dvc.yaml": "stages: {t: {cmd: x, wdir: ../sub/w, outs: [{a b.bin: {remote: r2}}]}}\n"
        "artifacts: {m: {path: w/a b.bin}}\n",
        "sub/dvc.lock": f"schema: '2.0'\nstages: {{t: {{outs: [{{path: a b.bin, md5: {MD5}}}]}}}}\n",
    }
    expected = artifacts.Artifact(
        "sub:m", "sub/w/a b.bin", MD5, hash_name=hashes.LEGACY_HASH, remote="r2"
    )
    for model, folder in [
        ("sub:m", ""),
        ("sub/dvc.yaml:m", ""),
        ("m", "sub"),
        ("w/a b.bin", "sub"),
    ]:
        assert artifacts.find(model, files, folder=folder) == expected
    assert artifacts.find("m", files).path == "models/m.onnx"
    assert artifacts.names(files) == ["away", "lost", "m", "part", "sub:m"]


def test_a_dvc_file_may_have_any_name_and_folder() -> None:
    files = {"meta/x.dvc": f'wdir: ..\nouts:\n- {{md5: {MD5}, path: "o\'k $(x).bin", hash: md5}}\n'}
    assert artifacts.find("o'k $(x).bin", files).path == "o'k $(x).bin"


def test_foreach_stages_are_locked_one_by_one() -> None:
    files = {
        "dvc.yaml": "stages: {t: {foreach: [a], do: {cmd: x, wdir: w, outs: ['${item}.bin']}}}\n",
        "dvc.lock": f"schema: '2.0'\nstages: {{t@a: {{outs: [{{path: a.bin, md5: {MD5}}}]}}}}\n",
    }
    assert artifacts.find("w/a.bin", files).hash == MD5


TRACK = "run `dvc repro` (or `dvc add`), commit what it writes, and `dvc push`"
COMMIT = "where the model was made: `dvc commit --force`, `dvc push`, and commit what they write"
NO_PATH = "that is outside of the repository"
INSIDE = "give a path inside of it"


@pytest.mark.parametrize(
    ("model", "message", "fix"),
    [
        ("nope", "input `model` is 'nope': it is no artifact of dvc.yaml, and no path that DVC tracks."
         " The artifacts that there are: 'm', 'lost', 'part', 'away', 'b:later', 'b:n', 'b:o', 'a/b:deep'",
         "give one of these names or a tracked path, or add to dvc.yaml:"
         " `artifacts: {NAME: {path: PATH, type: model}}`"),
        ("lost", "input `model` is 'lost': dvc.yaml names the path 'lost.bin', but no dvc.lock and no"
         " .dvc file tracks it here",
         "run `dvc repro`, and commit dvc.lock. What no stage makes: `dvc add`, after `git rm --cached`"
         " where Git keeps it, commit the .dvc file, and `dvc push`"),
        ("away", "input `model` is 'away': dvc.yaml names the address 's3://b/a m.pt', and DVC keeps"
         " nothing of it in this repository", "dvc import-url 's3://b/a m.pt' 'a m.pt'; give the"
         " artifact the `path: a m.pt` in dvc.yaml, commit both, and `dvc push`"),
        ("part", "input `model` is 'part': its path 'folder/one' lies inside of 'folder', which DVC"
         " tracks as one", "set the artifact's `path: folder` in dvc.yaml"),
        ("a/b:deep", "input `model` is 'a/b:deep': its path 'folder/one/two' lies inside of 'folder',"
         " which DVC tracks as one", "set the artifact's `path: folder` in dvc.yaml"),
        ("plain", "dvc.lock has no MD5 hash for 'plain'", TRACK),
        ("etag", "etag.dvc has no MD5 hash for 'etag'", TRACK),
        ("files", "files.dvc has no MD5 hash for 'files': its list of files is empty, as a push that"
         " failed leaves it", COMMIT),
        ("some", "files.dvc has no MD5 hash for 'some': its list of files has none for some of them",
         COMMIT),
        ("url", "url.dvc has no MD5 hash for 'url': it was imported without being downloaded",
         "run `dvc update url.dvc`, commit what it writes, and `dvc push`"),
        ("b:later", "b/dvc.yaml: the path of the artifact 'later' is 'x/${item}', and neither"
         " params.yaml beside it nor its `vars:` say at this commit what to fill in",
         "commit the file with the value, or give the artifact the path itself"),
        ("../secret", f"input `model` is '../secret': {NO_PATH}", INSIDE),
        ("/etc/passwd", f"input `model` is '/etc/passwd': {NO_PATH}", INSIDE),
        (".git/config", f"input `model` is '.git/config': {NO_PATH}", INSIDE),
    ],
)  # fmt: skip
def test_what_is_not_there(model: str, message: str, fix: str) -> None:
    files = {
        "a/b/dvc.yaml": "artifacts: {deep: {path: ../../folder/one/two}}\n",
        "b/dvc.yaml": "artifacts: {odd: 3, none: {}, later: {path: 'x/${item}'},"
        " n: {path: n.bin}, o: {path: o.bin, type: [x]}}\n",
        "etag.dvc": "outs: [{path: etag, etag: x}]\n",
        "files.dvc": "outs: [{path: files, hash: md5, files: []}, {path: some, hash: md5, files:"
        f" [{{relpath: a, md5: {MD5}}}, {{relpath: b, cloud: {{s: {{etag: x}}}}}}]}}]\n",
        "url.dvc": "deps: [{path: 's3://b/url', etag: x}]\nouts: [{path: url, hash: md5}]\n",
    }
    with pytest.raises(InputError) as caught:
        artifacts.find(model, files | ROOT)
    assert (caught.value.message, caught.value.fix) == (message, fix)


def test_the_dvc_file_stands_for_what_it_tracks() -> None:
    """As the registry of DVC's own data sets once had it."""
    files = {
        "dvc.yaml": "artifacts: {data: {path: sets/d.xml.dvc, type: dataset}}\n",
        "sets/d.xml.dvc": f"wdir: ..\nouts: [{{path: sets/d.xml, md5: {MD5}}}]\n",
        "two.dvc": f"outs: [{{path: a, md5: {MD5}}}, {{path: b, md5: {MD5}}}]\n",
        "out.dvc": f"outs: [{{path: ../out, md5: {MD5}}}]\n",
    }
    found = artifacts.find("data", files)
    assert (found.name, found.path, found.hash, found.type) == (
        "data", "sets/d.xml", MD5, "dataset",
    )  # fmt: skip
    assert artifacts.find("sets/d.xml.dvc", files).path == "sets/d.xml"
    for model in ("two.dvc", "out.dvc", "no.dvc"):
        with pytest.raises(InputError, match="no path that DVC tracks"):
            artifacts.find(model, files)


def test_an_artifact_outside_stops_no_other_one() -> None:
    files = {
        "dvc.yaml": "artifacts: {out: {path: /mnt/m.bin}, m: {path: m.bin}}\n",
        "m.bin.dvc": f"outs: [{{path: m.bin, md5: {MD5}}}]\n",
    }
    assert artifacts.find("m", files).hash == MD5
    assert artifacts.names(files) == ["m", "out"]


def test_without_artifacts_none_is_offered() -> None:
    with pytest.raises(InputError, match=r"The artifacts that there are: none\n"):
        artifacts.find("m", {})


@pytest.mark.parametrize("model", ["dvc.yaml:m", ":m", "m"])
def test_a_name_of_the_top_in_gtos_longer_forms(model: str) -> None:
    assert artifacts.find(model, ROOT).path == "models/m.onnx"


def test_a_type_that_is_no_text_is_none() -> None:
    files = ROOT | {"dvc.yaml": "artifacts: {f: {path: folder, type: [model]}}"}
    assert artifacts.find("f", files).type == ""


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(MD5, True), (f"{MD5}.dir", False), (MD5[1:], False), (f"{MD5}0", False), ("", False)],
)
def test_the_hash_of_one_file(value: str, is_one: bool) -> None:
    assert hashes.is_file_hash(value) is is_one


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "a/../../x", ".git/hooks/pre-push", ".dvc/config", ".GIT/x", ".Dvc", "a\\b", "a\0b"],
)  # fmt: skip
def test_a_declared_path_stays_inside(path: str) -> None:
    files = {"dvc.yaml": "artifacts: {m: {path: " + json.dumps(path) + "}}"}
    with pytest.raises(InputError) as caught:
        artifacts.find("m", files)
    assert caught.value.message == (
        f"dvc.yaml: the path of the artifact 'm' is {path!r}, outside of the repository"
    )
    assert caught.value.fix == "give the artifact a path inside the repository"


@pytest.mark.parametrize("text", ["artifacts: [", "artifacts: 3", "- 1", "", "artifacts: {m: 3}"])
def test_odd_files_are_input_errors(text: str) -> None:
    with pytest.raises(InputError):
        artifacts.find("m", {"dvc.yaml": text, "dvc.lock": text or "stages: {t: [1]}"})


def test_a_yaml_bomb_is_stopped() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    with pytest.raises(InputError, match="aliases"):
        artifacts.find("m", {"dvc.yaml": bomb})


def test_manifest_hash_is_dvcs() -> None:
    # Of `big/a` and `big/sub/b` holding "1\n" and "2\n", as `dvc add big` writes it.
    entries = {
        "sub/b": "26ab0db90d72e28ad0ba1e22ee510510",
        "a": "b026324c6904b2a9cb4b88d6d61c81d1",
    }
    assert hashes.manifest_hash(entries) == "326d7f26ce5379f53984b0ae8cf1f51f.dir"
