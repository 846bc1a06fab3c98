from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import deploy_component
import pytest

URL = "https://git.example.com/team/model.git"
# Says what it was asked, as model-gitops says its outputs.
PROGRAM = """
import json, os, sys
names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "MODEL_GITOPS_TOKEN")
print("operation=opened")
print("asked=" + json.dumps(sys.argv[1:]))
print("told=" + json.dumps([os.environ.get(name) for name in names]))
"""
MADE = ["--made-from", "a.json", "--made-from", "b.json"]


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    monkeypatch.setenv("MODEL_GITOPS", shlex.join([sys.executable, str(file)]))
    return file


def propose(*more: str) -> int:
    files = [word for name in deploy_component.OUTPUTS for word in (f"--{name}", f"in/{name}")]
    return deploy_component.run(["propose", "--repository", URL, *files, *MADE, *more])


def test_propose_hands_the_outputs_over_by_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("MODEL_GITOPS_TOKEN_FILE", str(tmp_path / "token"))
    result = tmp_path / "new" / "result.json"
    assert propose("--url", "https://example.com/run/1", "--result", str(result)) == 0
    told = json.loads(result.read_text())
    assert told["operation"] == "opened"
    asked = json.loads(told["asked"])
    assert asked[0] == "record-training"
    assert "--made-from=a.json\nb.json" in asked
    assert (
        "--outputs="
        + "\n".join(f"{path}=in/{name}" for name, path in deploy_component.OUTPUTS.items())
        in asked
    )
    # A secret is in no argument, which every process can read.
    assert "secret" not in told["asked"]
    assert json.loads(told["told"]) == ["https://git.example.com", "team/model", "secret"]


def test_the_outputs_are_those_of_dvc_yaml():
    text = (Path(__file__).parents[2] / "dvc.yaml").read_text()
    assert all(f"- {path}" in text for path in deploy_component.OUTPUTS.values())
    assert all(
        Path(__file__).parents[2].joinpath(path).exists()
        for path in deploy_component.FETCHED.values()
    )


def test_fetch_asks_for_the_files(capfd: pytest.CaptureFixture[str]):
    outs = ["--params", "out/p", "--labelled", "out/l", "--commit", "out/c"]
    assert deploy_component.run(["fetch", "--repository", URL, *outs, "--revision", "v1"]) == 0
    asked = json.loads(capfd.readouterr().out.partition("asked=")[2].splitlines()[0])
    assert asked[0] == "fetch-training"
    assert {"--revision=v1", "--commit=out/c", "--config=."} < set(asked)
    assert "--files=params.yaml=out/p\ndata/labelled.csv=out/l" in asked


def test_an_exit_code_is_handed_on_and_leaves_no_result(tmp_path: Path, program: Path):
    program.write_text("raise SystemExit(3)")
    assert propose("--result", str(tmp_path / "result.json")) == 3
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    "url", ["team/model", "https://me:secret@example.com/team/model", "https://example.com/model"]
)
def test_a_repository_is_an_address_without_a_secret(url: str):
    with pytest.raises(SystemExit) as error:
        deploy_component.run(
            ["fetch", "--repository", url, "--params", "p", "--labelled", "l", "--commit", "c"]
        )
    assert "it is not https://HOST/OWNER/NAME" in str(error.value)
    assert "secret" not in str(error.value)
