"""Models in the texts of dvc.yaml, dvc.lock and .dvc files."""

from __future__ import annotations

import pytest

from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc import files as dvc_files
from model_gitops.errors import InputError

MD5 = "0123456789abcdef0123456789abcdef"
ROOT = {
    "dvc.yaml": "stages:\n  train: {cmd: x, outs: [models/m.onnx, plain]}\n"
    "artifacts:\n  m: {path: ./models/m.onnx, type: model}\n  lost: {path: lost.bin}\n"
    "  part: {path: folder/one}\n",
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
        "sub:m", "sub/w/a b.bin", MD5, hash_name=dvc_files.LEGACY_HASH, remote="r2"
    )
    for model, folder in [
        ("sub:m", ""),
        ("sub/dvc.yaml:m", ""),
        ("m", "sub"),
        ("w/a b.bin", "sub"),
    ]:
        assert artifacts.find(model, files, folder=folder) == expected
    assert artifacts.find("m", files).path == "models/m.onnx"
    assert artifacts.names(files) == ["lost", "m", "part", "sub:m"]


def test_a_dvc_file_may_have_any_name_and_folder() -> None:
    files = {"meta/x.dvc": f'wdir: ..\nouts:\n- {{md5: {MD5}, path: "o\'k $(x).bin", hash: md5}}\n'}
    assert artifacts.find("o'k $(x).bin", files).path == "o'k $(x).bin"


def test_foreach_stages_are_locked_one_by_one() -> None:
    files = {
        "dvc.yaml": "stages: {t: {foreach: [a], do: {cmd: x, wdir: w, outs: ['${item}.bin']}}}\n",
        "dvc.lock": f"schema: '2.0'\nstages: {{t@a: {{outs: [{{path: a.bin, md5: {MD5}}}]}}}}\n",
    }
    assert artifacts.find("w/a.bin", files).hash == MD5


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nope", "artifacts that there are: 'm', 'lost', 'part'"),
        ("lost", "no dvc.lock and no .dvc file tracks it"),
        ("part", "lies inside of 'folder'"),
        ("plain", "has no MD5 hash"),
        ("../secret", "outside of the repository"),
        ("/etc/passwd", "outside of the repository"),
        (".git/config", "outside of the repository"),
    ],
)
def test_what_is_not_there(model: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        artifacts.find(model, ROOT)
    assert caught.value.fix


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", ".git/hooks/pre-push", ".dvc/config"]
)
def test_a_declared_path_stays_inside(path: str) -> None:
    with pytest.raises(InputError, match="outside of the repository"):
        artifacts.find("m", {"dvc.yaml": f"artifacts: {{m: {{path: '{path}'}}}}"})


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
    assert artifacts.manifest_hash(entries) == "326d7f26ce5379f53984b0ae8cf1f51f.dir"
