"""Projects of other shapes, and places that can't be asked: no false alarm, and no silence."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from doctor_world import IMAGE, SERVER, Place, told
from public_projects import dvc
from world import READER, World, push_image

from model_gitops.adapters import installation, process
from model_gitops.adapters.git import Git
from model_gitops.core.doctor import checks
from model_gitops_local.engine import Engine

OF_DEPLOY = {
    "overlays", "overlay-images", "container-user", "container-command", "container-ports",
    "argocd-applications", "argocd-project", "champion-metrics",
}  # fmt: skip


def by_check(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in findings}


def test_the_deploy_repository_is_fetched_with_the_token(place: Place, world: World) -> None:
    env = {"GITHUB_SERVER_URL": world.forge.url, "MODEL_GITOPS_TOKEN": READER}
    found = by_check(place.doctor(deploy=False, **env)[1])
    assert {found[one]["ok"] for one in OF_DEPLOY | {"deploy-repository", "token"}} == {True}
    assert "dev" in found["champion-metrics"]["found"]


def test_a_broken_token_is_said_once(place: Place, world: World) -> None:
    env = {"GITHUB_SERVER_URL": world.forge.url, "MODEL_GITOPS_TOKEN": "ghp_expired"}
    code, findings = place.doctor(deploy=False, **env)
    found = by_check(findings)
    assert code == 3
    assert [one["check"] for one in findings if one["ok"] is False] == ["token"]
    assert "401" in found["token"]["found"]
    assert "gh auth token" in found["token"]["fix"]
    others = [found[one] for one in OF_DEPLOY | SERVER - {"token"} | {"deploy-repository"}]
    assert {one["ok"] for one in others} == {None}
    assert not any("401" in one["found"] for one in others)
    assert "ghp_expired" not in json.dumps(findings)


def test_without_a_network_files_are_checked_all_the_same(place: Place) -> None:
    # Nothing listens there.
    env = {"GITHUB_SERVER_URL": "http://127.0.0.1:9", "MODEL_GITOPS_TOKEN": READER}
    Git(place.model).run("remote", "set-url", "origin", "http://127.0.0.1:9/acme/diabetes.git")
    code, findings = place.doctor(deploy=False, **env)
    found = by_check(findings)
    assert code == 0, [one for one in findings if one["ok"] is False]
    assert found["token"]["ok"] is found["deploy-repository"]["ok"] is None
    assert "can't be reached" in found["token"]["found"]
    assert found["model-pushed"]["ok"] is found["workflow-branches"]["ok"] is True


def test_what_runs_is_of_a_commit_that_a_shallow_clone_lacks(
    place: Place, world: World, tmp_path: Path
) -> None:
    shallow = Place(tmp_path / "shallow", place.deploy)
    place.edit("eval/metrics.json", "0.5", "0.6")
    place.commit()
    words = ["git", "clone", "--quiet", "--depth=1", place.model.as_uri(), shallow.model]
    process.run(words)
    Git(shallow.model).run("checkout", "--quiet", "--detach")
    Git(shallow.model).run("remote", "set-url", "origin", str(tmp_path / "gone"))
    found = by_check(shallow.doctor()[1])
    assert found["champion-metrics"]["ok"] is None
    assert found["champion-metrics"]["fix"] == "git fetch --unshallow origin"
    assert found["model"]["ok"] is found["metrics"]["ok"] is True


def plain(folder: Path, files: dict[str, str], *, commit: bool = True) -> Place:
    """A repository that has these files alone, and no deploy repository."""
    process.run(["git", "init", "--quiet", "--initial-branch=main", folder])
    git = Git(folder)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    if commit:
        git.run("add", "--all")
        git.run("commit", "--quiet", "--allow-empty", "-m", "Start")
    return Place(folder, folder)


def rules(**more: Any) -> str:
    environments = [{"name": "dev", "branch": "main"}]
    return json.dumps({"model": "m", "image": "ghcr.io/a/m", "environments": environments, **more})


def asked(place: Place, *words: str) -> dict[str, dict[str, Any]]:
    return by_check(place.doctor(*words, deploy=False)[1])


def test_in_a_workflow_json_is_all_that_stands_on_standard_output(tmp_path: Path) -> None:
    place = plain(tmp_path, {"promotion.yaml": rules()})
    env = {"GITHUB_ACTIONS": "true", "MODEL_GITOPS_REMOTE_CONFIG": "password=secret-value"}
    code, findings = place.doctor(deploy=False, **env)
    assert code == 3
    assert by_check(findings)["dockerfile"]["ok"] is False


def test_an_empty_repository_is_told_what_to_do_first(tmp_path: Path) -> None:
    found = asked(plain(tmp_path, {}, commit=False))
    assert [one["check"] for one in found.values() if one["ok"] is False] == ["promotion"]
    assert found["promotion"]["fix"] == installation.call("adopt")
    assert found["model"]["fix"] == "see the check promotion"


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    found = asked(plain(tmp_path, {"promotion.yaml": rules()}, commit=False))
    assert found["model"] == {
        "check": "model", "ok": False, "found": "there is no commit yet",
        "fix": "git add . && git commit -m Start",
    }  # fmt: skip
    assert found["deploy-repository"]["ok"] is None
    assert found["dockerfile"]["ok"] is False
    assert found["workflow-branches"]["fix"] == installation.call("adopt")


def test_an_image_that_is_built_elsewhere_needs_no_dockerfile(tmp_path: Path) -> None:
    image = {"name": "ghcr.io/a/m", "build": False, "digest": f"sha256:{'a' * 64}"}
    found = asked(plain(tmp_path, {"promotion.yaml": rules(image=image)}))
    assert {found[one]["ok"] for one in ("dockerfile", "buildx", "base-image")} == {True}


def test_the_artifact_that_is_proposed_is_the_models_file(tmp_path: Path) -> None:
    pipeline = "stages:\n  train: {cmd: x, outs: [log.txt, out/model.pkl]}\n"
    lock = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n" + "".join(
        f"    - {{path: {path}, hash: md5, md5: {'a' * 32}, size: 1}}\n"
        for path in ("out/model.pkl", "log.txt")
    )
    place = plain(tmp_path, {"promotion.yaml": rules(), "dvc.yaml": pipeline, "dvc.lock": lock})
    fix = asked(place)["model"]["fix"]
    assert fix == "add to dvc.yaml:\nartifacts:\n  m: {path: out/model.pkl, type: model}"
    place.mend(fix)
    place.commit()
    assert asked(place)["model"]["ok"] is True


def test_a_lock_that_was_never_committed(tmp_path: Path) -> None:
    pipeline = "artifacts:\n  m: {path: m.bin, type: model}\n"
    place = plain(tmp_path, {"promotion.yaml": rules()})
    (tmp_path / "dvc.yaml").write_text(pipeline, "utf-8")
    found = asked(place)["model"]
    assert "not at HEAD" in found["found"]
    place.mend(found["fix"])
    found = asked(place)
    assert found["model"]["ok"] is True
    assert found["model-pushed"]["ok"] is None


def test_a_remote_that_keeps_versions_is_not_called_empty(tmp_path: Path) -> None:
    lock = (
        "schema: '2.0'\nstages:\n  t:\n    cmd: x\n    outs:\n    - path: m.bin\n      hash: md5\n"
    )
    lock += (
        f"      md5: {'a' * 32}\n      size: 1\n      cloud: {{s: {{etag: e, version_id: v}}}}\n"
    )
    pipeline = (
        "stages:\n  t: {cmd: x, outs: [m.bin]}\nartifacts:\n  m: {path: m.bin, type: model}\n"
    )
    place = plain(tmp_path, {"promotion.yaml": rules(), "dvc.yaml": pipeline, "dvc.lock": lock})
    dvc(tmp_path, "init")
    (tmp_path / ".dvc/config").write_text(
        "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://b/p\n    version_aware = true\n",
        "utf-8",
    )
    place.commit()
    found = asked(place)
    assert found["dvc-remote"]["ok"] is True
    assert found["model-pushed"]["ok"] is None


def test_a_model_in_a_folder_and_two_of_them(place: Place, tmp_path: Path) -> None:
    """As in one repository of several models: each has its own lines, and `config` names one."""
    for name in ("a", "b"):
        folder = place.model / "models" / name
        folder.mkdir(parents=True)
        (folder / "promotion.yaml").write_text(rules(model="m"), "utf-8")
        (folder / "dvc.yaml").write_text("artifacts:\n  m: {path: m.bin, type: model}\n", "utf-8")
    (place.model / "models/b/dvc.yaml").unlink()
    place.commit()
    code, findings = place.doctor()
    found = by_check(findings)
    assert code == 3
    assert found["model (diabetes)"]["ok"] is found["model (models/a:m)"]["ok"] is True
    assert found["model (models/b:m)"]["ok"] is False
    # Both small ones are deployed nowhere: one place, asked once.
    assert {one for one in found if one.startswith("deploy-repository")} == {
        "deploy-repository (diabetes)", "deploy-repository (models/a:m)",
    }  # fmt: skip
    one = by_check(place.doctor("--config", "models/a")[1])
    assert one["model"]["ok"] is True
    shutil.rmtree(place.model / "models")


def test_each_model_is_looked_for_in_its_own_overlays(tmp_path: Path) -> None:
    place = Place(tmp_path / "model", tmp_path / "deploy")
    for folder in (place.model, place.deploy):
        process.run(["git", "init", "--quiet", folder])
    for name in ("churn", "fraud"):
        (place.model / name).mkdir()
        (place.model / name / "promotion.yaml").write_text(
            rules(
                model=name,
                image=f"r.example/{name}",
                deploy={"repository": "a/d", "path": "{model}/{environment}"},
            )
        )
        overlay = place.deploy / name / "dev"
        overlay.mkdir(parents=True)
        (overlay / "kustomization.yaml").write_text(
            f"images:\n- {{name: {name}, newName: r.example/{name}, newTag: a}}\n"
        )
    place.commit()
    found = by_check(place.doctor()[1])
    for name in ("churn", "fraud"):
        for check in ("overlays", "overlay-images"):
            one = found[f"{check} ({name}:{name})"]
            assert one["ok"] is True, one
            assert f"{name}/dev" in one["found"]


def test_what_only_this_machine_has_is_not_there_for_others(place: Place, tmp_path: Path) -> None:
    place.sh("git rm --quiet eval/metrics.json && git commit --quiet -m Forget")
    found = by_check(place.doctor()[1])["metrics"]
    assert found["ok"] is False
    place.mend(found["fix"])
    assert by_check(place.doctor()[1])["metrics"]["ok"] is True
    (place.model / "eval/metrics.json").write_text('{"r2": "0.5"}', "utf-8")
    # A folder, of which the remote has lost a file.
    place.edit(
        "dvc.yaml",
        "cp data/train.csv models/",
        "mkdir models/diabetes.onnx && cp data/train.csv models/diabetes.onnx/w && echo b >models/",
    )
    place.edit("dvc.yaml", "echo b >models/diabetes.onnx", "echo b >models/diabetes.onnx/b")
    place.sh(
        f"dvc remote add --force --default storage {tmp_path / 'lossy'} && dvc repro -q && dvc push -q"
    )
    lost = next((tmp_path / "lossy/files/md5/3b").iterdir())
    lost.unlink()
    (place.model / "eval/metrics.json").write_text('{"r2": "0.5"}', "utf-8")
    place.commit()
    found = by_check(place.doctor()[1])
    assert found["metrics"]["ok"] is found["model-pushed"]["ok"] is False  # a text is no number
    assert "diabetes.onnx/b" in found["model-pushed"]["found"]
    place.sh(found["model-pushed"]["fix"].partition(": ")[2])
    assert by_check(place.doctor()[1])["model-pushed"]["ok"] is True


def test_outside_a_checkout_a_list_says_so(tmp_path: Path) -> None:
    code, out = told(tmp_path, ["doctor", "--json"], {})
    found = json.loads(out)
    assert code == 3
    assert [one["check"] for one in found] == [one.id for one in checks.CHECKS]
    assert [one["check"] for one in found if one["ok"] is False] == ["promotion"]
    assert "no Git checkout" in found[0]["found"]
    assert told(tmp_path, ["doctor"], {})[0] == 2


def test_a_clone_that_is_not_there_is_the_deploy_repositorys_cross(place: Place) -> None:
    code, out = told(place.model, ["doctor", "--json", "--deploy", "no/such"], {})
    found = by_check(json.loads(out))
    assert code == 3
    assert [name for name, one in found.items() if one["ok"] is False] == ["deploy-repository"]


def test_what_is_told_in_a_terminal_and_in_a_workflow(place: Place, tmp_path: Path) -> None:
    summary, output = tmp_path / "summary", tmp_path / "output"
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(output),
    }
    place.edit("Dockerfile", "USER 10001:10001", "USER 7:7")
    words = ["doctor", "--deploy", str(place.deploy)]
    code, text = told(place.model, words, env)
    assert code == 3
    lines = [line for line in text.splitlines() if line[:1] in "✓✗–"]
    assert [line.split()[1] for line in lines] == [one.id for one in checks.CHECKS]
    cross = next(line for line in lines if line.startswith("✗"))
    assert "container-user" in cross
    assert cross.endswith("in base/deployment.yaml: runAsUser: 7")
    table = summary.read_text("utf-8")
    assert table.startswith("### Doctor:")
    assert "| ✗ | `container-user` |" in table
    assert IMAGE in table


@pytest.mark.parametrize("words", [["--deploy", "no/such"], ["--json", "maybe"]])
def test_an_option_that_is_wrong_is_bad_input(place: Place, words: list[str]) -> None:
    assert told(place.model, ["doctor", *words], {})[0] == 2


@pytest.mark.docker
def test_a_base_image_is_asked_of_its_registry(
    docker_environment: Engine, registry: str, tools_on_path: None, tmp_path: Path
) -> None:
    push_image(registry, "bases/python", "3", {})
    place = plain(tmp_path, {"promotion.yaml": rules(), "Dockerfile": ""})
    found = {}
    for tag in ("3", "4"):
        (tmp_path / "Dockerfile").write_text(f"FROM {registry}/bases/python:{tag}\n", "utf-8")
        env = {"DOCKER_HOST": os.environ.get("DOCKER_HOST", "")}
        found[tag] = by_check(place.doctor(deploy=False, **env)[1])
    assert found["3"]["base-image"]["ok"] is True, found["3"]["base-image"]
    assert "a tag that may move" in found["3"]["base-image"]["found"]
    assert found["4"]["base-image"]["ok"] is False, found["4"]["base-image"]
    assert found["3"]["buildx"]["ok"] is True, found["3"]["buildx"]
