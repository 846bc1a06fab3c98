"""What adopt makes of manifests, Dockerfiles, Makefiles and lists of packages, and of any dvc.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from adopted import PIPELINE, left, rules, there, written
from ruamel.yaml import YAML

from model_gitops import options
from model_gitops.commands import adopt
from model_gitops.core.adopt import artifact_edit, deployments, plan
from model_gitops.core.adopt.models import Model
from model_gitops.core.adopt.planned import Wishes
from model_gitops.core.image import smoke
from model_gitops.errors import InputError

KSERVE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: churn}
spec: {predictor: {model: {modelFormat: {name: onnx}, storageUri: s3://models/churn}}}
"""
BENTO = (
    "apiVersion: serving.yatai.ai/v2alpha1\nkind: BentoDeployment\nspec: {image: ghcr.io/a/b:v1}\n"
)


def test_the_deploy_repository_tells_where_overlays_are_and_what_they_deploy() -> None:
    manifests = {
        "apps/churn/envs/dev/kustomization.yaml": "images:\n- {name: churn, newTag: v1}\n",
        "apps/churn/envs/prod/kustomization.yaml": "resources: [../../base]\n",
        "apps/churn/base/model.yaml": KSERVE,
        "apps/churn/base/bento.yaml": BENTO,
        "apps/churn/base/template.yaml": "kind: Deployment\nspec: {{ .Values.x }}\n",
    }
    found = deployments.find(manifests, manifests.get, ["dev", "staging", "production"])
    made = plan.make(
        there(PIPELINE, branches=("main", "prod")), Wishes(branches=("main", "prod")), found
    )
    assert [one.overlay for one in rules(made).environments] == [
        "apps/churn/envs/dev", "apps/churn/envs/prod",
    ]  # fmt: skip
    told = "\n".join(made.found)
    assert "InferenceService in apps/churn/base/model.yaml: spec.predictor.model.storageUri" in told
    assert "'s3://models/churn' (the address of a model)" in told
    assert "images: [{kind: BentoDeployment, path: spec/image}]" in left(made)
    assert "storageUri: oci://churn, and in each overlay" in left(made)


def test_overlays_in_the_model_repository_are_to_move() -> None:
    files = {
        f"k8s/{name}/kustomization.yaml": "resources: []\n" for name in ("staging", "production")
    }
    made = plan.make(there({**PIPELINE, **files}), Wishes())
    assert [one.overlay for one in rules(made).environments] == [
        "k8s/dev",
        "k8s/staging",
        "k8s/production",
    ]
    assert "the deploy repository is another one" in left(made)


SERVER = """\
FROM python:3.12-slim
COPY requirements.txt app.py ./
COPY --from=model churn.pkl /srv/
EXPOSE 8000
CMD ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000"]
"""


def test_the_dockerfile_that_serves_is_built_and_asked() -> None:
    files = {
        **PIPELINE, "requirements.txt": "fastapi\n", "Dockerfile": "FROM python\nCMD python train.py\n",
        "serving/Dockerfile": SERVER, "serving/app.py": "import fastapi\n@app.get('/health')\n",
        "serving/requirements.txt": "", ".devcontainer/Dockerfile": "FROM x\nEXPOSE 1\n",
    }  # fmt: skip
    made = plan.make(there(files), Wishes())
    build = rules(made).build
    assert (build.dockerfile, build.context) == ("serving/Dockerfile", "serving")
    test = smoke.parse(written(made)["tests/smoke.yaml"])
    assert (test.port, test.health) == (8000, "/health")
    assert "Dockerfile" not in written(made)
    assert plan.make(there({**files, **written(made)}), Wishes()).changes == ()


def test_a_server_whose_port_nothing_tells_is_not_tested_and_that_is_said() -> None:
    made = plan.make(there({**PIPELINE, "Dockerfile": "FROM x\nRUN make\nCMD ./serve\n"}), Wishes())
    assert "tests/smoke.yaml" not in written(made)
    assert "no port of Dockerfile is known" in left(made)


WDIR = """\
stages:
  train: {wdir: ../.., cmd: x, outs: [models/churn.joblib]}
"""


def _in_a_pipelines_folder(**files: str) -> dict[str, str]:
    return {
        "pipelines/train/dvc.yaml": WDIR,
        **{key.replace("__", "/"): one for key, one in files.items()},
    }


def test_what_a_stage_writes_outside_of_its_folder_is_in_the_context_and_tools_run_at_the_top() -> (
    None
):
    made = plan.make(there(_in_a_pipelines_folder(**{"noxfile.py": ""})), Wishes())
    found = rules(made, "pipelines/train/promotion.yaml")
    assert (found.build.dockerfile, found.build.context) == ("pipelines/train/Dockerfile", ".")
    assert (
        'COPY --chmod=444 ["models/churn.joblib", ' in written(made)["pipelines/train/Dockerfile"]
    )
    assert found.commands["test"] == "cd ../.. && pipx run nox"

    server = "FROM x\nCOPY models/churn.joblib m/\nEXPOSE 8000\n"
    files = _in_a_pipelines_folder(docker__Dockerfile=server)
    build = rules(plan.make(there(files), Wishes()), "pipelines/train/promotion.yaml").build
    assert (build.dockerfile, build.context) == ("docker/Dockerfile", ".")


def test_two_models_of_one_project_are_carried_by_an_image_each() -> None:
    files = {
        "dvc.yaml": "stages:\n  a: {cmd: x, outs: [m/a.onnx]}\n  b: {cmd: x, outs: [m/b.onnx]}\n"
        "artifacts:\n  a: {path: m/a.onnx, type: model}\n  b: {path: m/b.onnx, type: model}\n",
    }
    made = plan.make(there(files), Wishes())
    paths = [one.path for one in made.changes]
    assert len(paths) == len(set(paths))
    for name in "ab":
        build = rules(made, f"promotion/{name}/promotion.yaml").build
        assert f'["m/{name}.onnx", ' in written(made)[build.dockerfile]
        assert build.context == "."
    for count in range(len(made.changes)):  # stopped after so many files, and run again
        there_are = {**files, **{one.path: one.after for one in made.changes[:count]}}
        assert {**there_are, **written(plan.make(there(there_are), Wishes()))} == {
            **files,
            **written(made),
        }
    mine = {**files, **written(made), "promotion/a/Dockerfile": "FROM mine\n"}
    assert plan.make(there(mine), Wishes()).changes == ()


VENV = 'PATH="$PWD/.venv/bin:$PATH" '
COMMANDS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "requirements and tests": (
        {"requirements.txt": "dvc\npytest\n", "tests/test_a.py": ""},
        {
            "env": "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt 'dvc[s3]'",
            "test": f"{VENV}python -m pytest tests",
            "reproduce": f"{VENV}dvc repro --pull --no-run-cache",
            "push": f"{VENV}dvc push",
        },
    ),
    "a Makefile with our names and an environment of its own": (
        {
            "requirements.txt": "dvc\n",
            "Makefile": "env:\n\tpython3 -m venv .venv\n\ntest: env\n\tpytest\n\nlint:\n\truff check\n\n"
            "reproduce:\n\tdvc repro\n",
        },
        {"env": None, "check": f"{VENV}make lint", "test": f"{VENV}make test",
         "reproduce": f"{VENV}make reproduce"},
    ),
    "targets that mean something else": (
        {"requirements.txt": "", "Makefile": "run:\n\tuvicorn app:app\npush:\n\tdocker push x\nVAR := 1\n"},
        {"reproduce": f"{VENV}dvc repro --pull --no-run-cache", "push": f"{VENV}dvc push"},
    ),
    "uv": (
        {"uv.lock": '[[package]]\nname = "dvc"\n', "pyproject.toml": "[project]\nname = 'x'\n[tool.ruff]\n",
         "noxfile.py": ""},
        {"env": "command -v uv >/dev/null || pipx install uv; uv sync --frozen",
         "reproduce": "uv run --frozen dvc repro --pull --no-run-cache", "check": "pipx run ruff check .",
         "test": "pipx run nox"},
    ),
    "conda": (
        {"environment.yml": "name: churn\ndependencies: [python]\n"},
        {"reproduce": '"${CONDA:+$CONDA/bin/}conda" run --no-capture-output --name churn dvc repro --pull'
         " --no-run-cache"},
    ),
    "nothing": ({}, {"env": "python3 -m venv .venv && .venv/bin/pip install 'dvc[s3]'"}),
    "requirements of the source": (
        {"src/requirements.txt": "pandas\n"},
        {"env": "python3 -m venv .venv && .venv/bin/pip install -r src/requirements.txt 'dvc[s3]'"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_commands_are_those_of_the_project(name: str) -> None:
    files, wanted = COMMANDS[name]
    pipeline = {path: text for path, text in PIPELINE.items() if path != "requirements.txt"}
    found = rules(plan.make(there({**pipeline, **files}), Wishes())).commands
    assert {key: found.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "artifacts: # ours\n  data: {path: data.csv, type: dataset}\n\nstages: {}\n",
        "stages: {}\nartifacts:\n    data:\n        path: data.csv\n        type: dataset\n# the end\n",
        "artifacts: {}\nstages:\n  a: {cmd: x, outs: [model.onnx]}",
        "artifacts:\nstages: {}\n",
        "# only a comment\n",
        "stages: {}\r\nvars:\r\n- a: 1\r\n",
    ],
)
def test_an_artifact_is_added_to_any_dvc_yaml(text: str) -> None:
    model = Model("net", "models/my model.onnx", "dvc.yaml", "", is_new=True)
    after = artifact_edit.added(text, [model], source="dvc.yaml")
    data = YAML(typ="safe").load(after)
    assert data["artifacts"]["net"] == {"path": "models/my model.onnx", "type": "model"}
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("artifacts:")]
    assert [line for line in kept if line.rstrip() not in after] == []
    assert ("\r\n" in text) == ("\r\n" in after)
    assert "\n" not in after.replace("\r\n", "") or "\r\n" not in after


def test_a_dvc_yaml_in_one_flow_mapping_is_left_to_a_person() -> None:
    model = Model("net", "net.onnx", "dvc.yaml", "", is_new=True)
    with pytest.raises(InputError, match="by hand"):
        artifact_edit.added("{stages: {}}\n", [model], source="dvc.yaml")


def test_the_page_names_each_option() -> None:
    page = (Path(__file__).parents[2] / "docs/adopt.md").read_text("utf-8")
    named = re.findall(r"(?m)^\| `--([a-z-]+)` \|", page)
    assert named == [one.name for one, _ in options.inputs_of(adopt.command).values()]


def test_an_artifact_that_is_left_to_a_person_is_told_once() -> None:
    files = {"dvc.yaml": "{stages: {train: {cmd: x, outs: [net.onnx]}}}"}
    made = plan.make(there(files), Wishes())
    assert left(made).count("net.onnx") == 1
    assert "no artifact of dvc.yaml" not in left(made)
