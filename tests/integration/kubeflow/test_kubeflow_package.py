"""The package that compile.py makes of a training overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeflow_world import STEPS, Compile, images, kustomization

pytestmark = pytest.mark.slow

TASKS = {"fetch": "deploy", "propose-model": "deploy"}


def compiled_of(folder: Path, compiled: Compile, have: dict[str, str]) -> Any:
    (folder / "kustomization.yaml").write_text(kustomization(have))
    done = compiled(folder, "--output", folder / "p.yaml")
    assert done.returncode == 0, done.stderr
    return next(yaml.safe_load_all((folder / "p.yaml").read_text()))


def image_of(spec: Any, task: str) -> str:
    found: str = spec["deploymentSpec"]["executors"][f"exec-{task}"]["container"]["image"]
    return found


def tasks_of(spec: Any) -> dict[str, Any]:
    return {
        name: task
        for dag in [spec["root"], *spec["components"].values()]
        for name, task in dag.get("dag", {}).get("tasks", {}).items()
        if not name.startswith("condition")
    }


def test_each_task_runs_the_image_of_the_overlay_by_its_digest(package: Path) -> None:
    spec = next(yaml.safe_load_all(package.read_text()))
    for task in ("fetch", "preprocess", "train", "test", "propose-model"):
        assert image_of(spec, task) == images()[TASKS.get(task, task)]


def test_the_same_images_give_the_same_bytes_and_a_file_is_as_good_as_its_folder(
    package: Path, compiled: Compile, tmp_path: Path
) -> None:
    done = compiled(package.parent / "kustomization.yaml", "--output", tmp_path / "again.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.yaml").read_bytes() == package.read_bytes()


def test_a_new_digest_changes_what_kubeflow_caches_by_for_its_task_alone(
    package: Path, compiled: Compile, tmp_path: Path
) -> None:
    # The key: image, command, arguments, inputs (backend/src/v2/cacheutils/cache.go).
    before = next(yaml.safe_load_all(package.read_text()))
    after = compiled_of(tmp_path, compiled, images(last="ff"))
    old, new = (one["deploymentSpec"]["executors"] for one in (before, after))
    assert [name for name in old if old[name] != new[name]] == ["exec-train"]
    assert old["exec-train"]["container"].pop("image") != new["exec-train"]["container"].pop(
        "image"
    )
    assert old == new
    cached = {
        name: task["cachingOptions"].get("enableCache") for name, task in tasks_of(after).items()
    }
    # What is in Git may have changed since: that is asked each time.
    assert cached == dict.fromkeys(["fetch", "preprocess", "train", "test"], True) | {
        "propose-model": None
    }


def test_every_task_is_retried_limited_and_restricted(package: Path) -> None:
    spec, platform = yaml.safe_load_all(package.read_text())
    for task in tasks_of(spec).values():
        assert task["retryPolicy"]["maxRetryCount"] == 2
    on_kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name, executor in spec["deploymentSpec"]["executors"].items():
        resources = executor["container"]["resources"]
        assert {
            "resourceCpuRequest",
            "resourceCpuLimit",
            "resourceMemoryRequest",
            "resourceMemoryLimit",
        } <= set(resources)
        assert on_kubernetes[name]["securityContext"] == {
            "runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True,
        }  # fmt: skip
        secrets = [one["secretName"] for one in on_kubernetes[name].get("secretAsVolume", [])]
        assert secrets == {
            "exec-fetch": ["diabetes-training-read"],
            "exec-propose-model": ["diabetes-training-write"],
        }.get(name, [])


@pytest.mark.parametrize(
    ("have", "said"),
    [
        ({**images(), "train": "ghcr.io/acme/diabetes-train"}, "has no digest"),
        ({step: images()[step] for step in STEPS[1:]}, "diabetes-preprocess"),
    ],
)
def test_what_is_not_ready_is_refused_in_one_line(
    compiled: Compile, tmp_path: Path, have: dict[str, str], said: str
) -> None:
    (tmp_path / "kustomization.yaml").write_text(kustomization(have))
    done = compiled(tmp_path, "--output", tmp_path / "p.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (tmp_path / "p.yaml").exists()


def test_the_overlay_of_the_template_is_not_deployed_yet(compiled: Compile, tmp_path: Path) -> None:
    overlays = Path(__file__).parents[3] / "templates/deploy/training/overlays"
    for overlay in overlays.iterdir():
        done = compiled(overlay, "--output", tmp_path / "p.yaml")
        assert done.returncode == 2
        assert "was not deployed yet" in done.stderr
