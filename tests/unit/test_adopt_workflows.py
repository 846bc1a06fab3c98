"""The workflows that adopt writes: their places, their folder, and what doctor says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from adopted import PIPELINE, there
from ruamel.yaml import YAML

from model_gitops.core import document
from model_gitops.core.adopt import ours, page, plan
from model_gitops.core.adopt.planned import Plan, Wishes
from model_gitops.core.doctor import workflows
from model_gitops.core.flow import promotion
from model_gitops.core.scaffold.render import File

ROOT = Path(__file__).parents[2]


def made(files: Mapping[str, str], *branches: str, **more: object) -> Plan:
    found = there(files, branches=branches or ("main",), **more)
    planned = plan.make(found, Wishes(branches=branches))
    folder = ROOT / "templates" / ours.template(ours.folders(planned, found))
    files = {
        path.relative_to(folder).as_posix(): File(path.read_bytes())
        for path in (folder / ".github").rglob("*.*")
        if path.is_file() and path.parent.name != "__pycache__"  # another test's import left it
    }
    return ours.added(planned, found, files, "v0.1.0")


def texts(found: Plan) -> dict[str, str]:
    return {one.path: one.after for one in found.changes}


def judged(found: Plan, config: str = "promotion.yaml") -> object:
    """What doctor says of the workflows, for the promotion.yaml at `config`."""
    written = texts(found)
    flows = workflows.read_all(
        {
            path: document.load_yaml(text, source=path)
            for path, text in written.items()
            if path.endswith(".yml")
        }
    )
    rules = [
        promotion.parse(YAML(typ="safe").load(text), folder=path.rpartition("/")[0])
        for path, text in written.items()
        if path.rpartition("/")[2] == "promotion.yaml"
    ]
    own = next(one for one in rules if one.folder == config.rpartition("/")[0])
    return workflows.branches(flows, rules, own)


@pytest.mark.parametrize(
    "branches", [("main", "staging", "production"), ("master", "prod"), ("trunk",)]
)
def test_the_workflows_have_the_branches_of_the_repository(branches: tuple[str, ...]) -> None:
    found = made(PIPELINE, *branches)
    assert judged(found).ok is True, judged(found)
    assert "acme" not in "".join(texts(found).values())
    assert ".github/CODEOWNERS" not in texts(found)


def test_in_a_folder_each_step_reads_the_promotion_yaml_there() -> None:
    found = made({f"services/churn/{path}": text for path, text in PIPELINE.items()})
    assert judged(found, "services/churn/promotion.yaml").ok is True
    protect = YAML(typ="safe").load(texts(found)[".github/workflows/protect-check.yml"])
    (told,) = (step["env"] for step in protect["jobs"]["check"]["steps"] if "env" in step)
    assert told["MODEL_GITOPS_CONFIG"] == "services/churn"
    for path, text in texts(found).items():
        if not path.endswith(".yml") or "workflow_run:" in text:
            continue
        data = YAML(typ="safe").load(text)
        starts = (
            (data.get("on") or data[True]) if isinstance(data.get("on") or data[True], dict) else {}
        )
        told = {"services/churn"}
        for way in starts.values():
            given = way.get("inputs", {}) if isinstance(way, dict) else {}
            if "config" in given:
                assert given["config"]["default"] == "services/churn", path
                told = {"services/churn", "${{ inputs.config }}"}
        for job in data["jobs"].values():
            for step in job.get("steps", ()):
                action = step.get("uses", "").rpartition("/")[2].partition("@")[0]
                if action in ours.WITH_CONFIG:
                    assert step["with"]["config"] in told, (path, step)


def test_two_models_get_workflows_that_run_for_what_changed() -> None:
    found = made({f"{name}/{path}": text for name in "ab" for path, text in PIPELINE.items()})
    assert ".github/workflows/deploy-model.yml" in texts(found)
    for name in "ab":
        assert judged(found, f"{name}/promotion.yaml").ok is True, judged(
            found, f"{name}/promotion.yaml"
        )


def test_a_second_model_is_told_how_to_get_the_workflows_of_several() -> None:
    def project(name: str) -> dict[str, str]:
        files = {f"{name}/{path}": text for path, text in PIPELINE.items()}
        files[f"{name}/dvc.yaml"] += f"artifacts: {{{name}: {{path: model.pkl, type: model}}}}\n"
        return files

    one = {**project("a"), **texts(made(project("a")))}
    two = {**one, **project("b")}
    found = made(two)
    (said,) = [one.fix for one in found.open if "those of one model" in one.what]
    assert said.startswith("git rm --quiet .github/workflows/")
    assert said.endswith(" .model-gitops.yaml && model-gitops adopt --yes")
    removed = said.split(" && ")[0].split()[3:]
    assert ".github/workflows/deploy.yml" in removed
    again = made({path: text for path, text in two.items() if path not in removed})
    assert "changed-models@" in texts(again)[".github/workflows/deploy.yml"]
    assert "template: several-models" in texts(again)[".model-gitops.yaml"]
    assert not [one for one in again.open if "those of one model" in one.what]
    owners = next(one.fix for one in found.open if "CODEOWNERS" in one.fix)
    assert "/a/promotion.yaml @Newco/TEAM" in owners
    assert "/b/dvc.yaml @Newco/TEAM" in owners


def test_a_workflow_of_the_same_name_keeps_it_and_ours_gets_another() -> None:
    own = {".github/workflows/deploy.yml": "on: push\njobs: {}\n# docker build . ; dvc pull\n"}
    found = made({**PIPELINE, **own})
    assert ".github/workflows/deploy.yml" not in texts(found)
    assert ".github/workflows/model-deploy.yml" in texts(found)
    left = " ".join(one.what for one in found.open)
    assert ".github/workflows/deploy.yml stays as it is; it pulls by `dvc pull`" in left
    assert judged(found).ok is True


def test_one_of_ours_that_was_changed_stays_and_the_difference_is_shown() -> None:
    first = made(PIPELINE)
    path = ".github/workflows/audit.yml"
    edited = texts(first)[path].replace("23 4", "11 1")
    again = made({**PIPELINE, **texts(first), path: edited})
    assert (again.changes, [one.path for one in again.kept]) == ((), [path])
    assert '-    - cron: "11 1 * * *"' in page.plan(again)


def test_on_gitea_they_go_where_its_runner_looks() -> None:
    found = made({**PIPELINE, ".gitea/workflows/ci.yml": "on: push\njobs: {}\n"})
    assert ".gitea/workflows/deploy.yml" in texts(found)
    assert not any(path.startswith(".github/workflows") for path in texts(found))


def test_the_actions_that_are_given_a_folder_take_one() -> None:
    for action in ours.WITH_CONFIG:
        text = (ROOT / "actions" / action / "action.yml").read_text("utf-8")
        assert "config" in document.load_yaml(text, source=action)["inputs"], action
