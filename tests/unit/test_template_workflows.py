"""The templates' workflows: which job is trusted with what, and no program hidden in YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from model_gitops.core.notify.events import EVENTS
from model_gitops_local import docs

ROOT = Path(__file__).parents[2]
TELLING = {"NOTIFY_URLS", "NOTIFY_WEBHOOK", "NOTIFY_SECRET"}
MODEL = ROOT / "templates" / "model"
# Beyond this it is a program: it belongs into a file, where it can be read and tested.
LONGEST_SCRIPT = 10
WORKFLOWS = sorted(
    path
    for pattern in (".github/workflows/*.y*ml", "templates/*/.github/workflows/*.y*ml", "examples/**/*.y*ml")
    for path in ROOT.glob(pattern)
)  # fmt: skip
# What writes the deploy repository.
WRITING = ("DEPLOY_TOKEN", "DEPLOY_KEY")


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def workflow(name: str) -> Any:
    return load(MODEL / ".github" / "workflows" / f"{name}.yml")


def steps(jobs: Any) -> Iterator[tuple[str, Any]]:
    for name, job in jobs.items():
        for step in job.get("steps", []):
            yield name, step


def secrets(node: Any) -> set[str]:
    return set(re.findall(r"secrets\.([A-Z_]+)", json.dumps(node)))


def runs_branch_code(job: Any) -> bool:
    """Whether a job runs what the checkout says, outside BuildKit: the project's commands."""
    return any(
        re.search(r"\bmake\b|\bdvc\b|python", step.get("run", ""))
        or "/run-command@" in step.get("uses", "")
        for step in job["steps"]
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_in_a_workflow_is_long(path: Path) -> None:
    long = {
        f"{job}: {step.get('name', step['run'][:40])}": len(step["run"].splitlines())
        for job, step in steps(load(path).get("jobs", {}))
        if len(step.get("run", "").splitlines()) > LONGEST_SCRIPT
    }
    assert long == {}


def test_the_workflows_are_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in WORKFLOWS}
    assert "templates/model/.github/workflows/promote.yml" in names
    assert "templates/deploy/.github/workflows/notify.yml" in names
    assert ".github/workflows/ci.yml" in names


@pytest.mark.parametrize("name", ["promote", "fork"])
def test_a_branchs_code_runs_where_nothing_is(name: str) -> None:
    job = workflow(name)["jobs"]["test"]
    assert job["permissions"] == {"contents": "read"}
    assert secrets(job) == set()
    assert "env" not in job
    (checkout,) = (step for step in job["steps"] if "checkout@" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False
    # What runs after a branch's code is its own, too: nothing else of ours, which would be believed.
    ours = [step["uses"] for step in job["steps"] if "model-gitops" in step.get("uses", "")]
    assert set(ours) == {"model-gitops/model-gitops/actions/run-command@v0"}


def test_of_promote_only_the_job_test_runs_a_branchs_code() -> None:
    jobs = workflow("promote")["jobs"]
    assert list(jobs) == ["test", "compare", "candidate", "report", "retraining"]
    assert [name for name, job in jobs.items() if runs_branch_code(job)] == ["test"]
    assert jobs["candidate"]["permissions"] == {
        "contents": "read",
        "packages": "write",
        "pull-requests": "read",
        "statuses": "read",
    }
    assert jobs["report"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert jobs["report"]["needs"] == ["test", "candidate"]
    assert secrets(jobs["report"]) == TELLING
    assert jobs["candidate"]["needs"] == "compare"
    assert "!cancelled()" in jobs["candidate"]["if"], (
        "a job that waits for a failed one is skipped: it passes"
    )
    # The target branch's code runs there on the branch's model: what it holds only reads.
    assert jobs["compare"]["permissions"] == {"contents": "read"}
    assert secrets(jobs["compare"]) == {"DEPLOY_READ_TOKEN"}
    assert jobs["retraining"]["permissions"] == {
        "contents": "read",
        "issues": "write",
        "pull-requests": "read",
    }
    assert secrets(jobs["retraining"]) == set()


def test_a_forks_run_has_nothing_in_any_job() -> None:
    jobs = workflow("fork")["jobs"]
    assert list(jobs) == ["test", "candidate", "report"]
    for name, job in jobs.items():
        assert job["permissions"] == {"contents": "read"}, name
        assert secrets(job) == set(), name


@pytest.mark.parametrize("name", ["promote", "fork"])
def test_a_changed_base_runs_every_job_again(name: str) -> None:
    found = workflow(name)
    event = (found.get("on") or found[True])["pull_request"]
    assert set(event["types"]) == {"opened", "synchronize", "reopened", "edited"}
    for job in found["jobs"].values():
        # A job that is left out counts as passed, so no job may look at what was edited.
        assert "event.action" not in str(job.get("if", ""))
        assert "event.changes" not in str(job.get("if", ""))


def test_what_writes_the_deploy_repository_is_seen_in_an_environment_only() -> None:
    known = {
        ("components.yml", "bump"): "${{ matrix.environment }}",
        ("components.yml", "propose"): "${{ matrix.environment }}",
        ("deploy.yml", "deploy"): "${{ needs.check.outputs.environment }}",
        ("hold.yml", "hold"): "${{ inputs.environment }}",
        ("rollback.yml", "rollback"): "${{ inputs.environment }}",
    }
    for path in sorted((MODEL / ".github" / "workflows").glob("*.yml")):
        for name, job in load(path)["jobs"].items():
            if secrets(job) & set(WRITING):
                assert (path.name, name) in known
                assert job["environment"] == known[path.name, name]


@pytest.mark.parametrize("name", ["audit", "stages"])
def test_what_only_asks_has_a_token_that_only_reads(name: str) -> None:
    assert secrets(workflow(name)) - TELLING <= {"DEPLOY_READ_TOKEN", "REGISTRY_PASSWORD"}


def test_what_a_pull_request_deployed_is_verified_on_the_environments_own_branch() -> None:
    """`protect` lets no other branch use the environment, which verify.yml's `rollback` needs."""
    job = workflow("stages")["jobs"]["verify"]
    assert job["permissions"] == {"actions": "write"}
    assert not [step for step in job["steps"] if "uses" in step], "it reads nothing, and calls none"
    assert secrets(workflow("stages")["jobs"]["verify"]) == set()
    (step,) = job["steps"]
    assert "${{" not in step["run"], "values come through the environment only"
    assert {key: step["env"][key] for key in ("BRANCH", "ENVIRONMENT", "CONFIG")} == {
        "BRANCH": "${{ matrix.branch }}",
        "ENVIRONMENT": "${{ matrix.environment }}",
        "CONFIG": "${{ matrix.config }}",
    }
    # One of the two that are started at once waits for the other, and finds its answer.
    assert workflow("verify")["concurrency"] == {
        "group": "verify-${{ inputs.environment }}-${{ inputs.config }}",
        "cancel-in-progress": False,
    }


def test_who_tells_people_holds_nothing_else_and_is_off() -> None:
    """A step that has the addresses is in a job that runs no branch's code; it fails nothing."""
    told = set()
    for path in sorted((MODEL / ".github" / "workflows").glob("*.yml")):
        for name, job in load(path)["jobs"].items():
            uses = [one for one in job.get("steps", []) if "actions/notify@" in one.get("uses", "")]
            assert bool(uses) == bool(secrets(job) & TELLING), (path.name, name)
            for step in uses:
                told.add(path.stem)
                assert not runs_branch_code(job)
                assert step["continue-on-error"] is True
                where = step if name in ("candidate", "report") else job
                assert "vars.NOTIFY == 'true'" in where["if"]
                assert "always()" in where["if"] or name == "reviewers"
                words = set(
                    re.findall(r"[a-z]+", re.sub(r"\S+\.\S+|==|!=", " ", step["with"]["event"]))
                )
                assert words & set(EVENTS) or "inputs.operation" in step["with"]["event"]
            if name in ("reviewers", "tell"):
                assert (job["permissions"], secrets(job)) == ({}, TELLING)
    assert {
        "deploy",
        "promote",
        "rollback",
        "hold",
        "audit",
        "health",
        "monitor",
        "verify",
        "retrain",
    } <= told


def test_nothing_is_built_or_pulled_for_a_later_environment() -> None:
    jobs = workflow("deploy")["jobs"]
    first_only = [
        step["uses"].split("/")[3].partition("@")[0]
        for _, step in steps(jobs)
        if str(step.get("if")).startswith("needs.check.outputs.promote-image == ''")
    ]
    assert first_only == ["dvc-pull-model", "build-push-image"]
    # The artifact is pushed where none is taken over, and the model is pulled for it.
    of_artifact = "needs.check.outputs.artifact != '' && needs.check.outputs.promote-artifact == ''"
    conditions = {
        step["id"]: str(step.get("if")).strip() for _, step in steps(jobs) if "id" in step
    }
    assert conditions["artifact"] == of_artifact
    assert conditions["model"].endswith(f"|| ({of_artifact})")
    assert conditions["image"] == "needs.check.outputs.promote-image == ''"
    everywhere = [step["uses"] for _, step in steps(jobs) if "if" not in step and "uses" in step]
    assert not any("build-push" in one or "dvc-pull" in one for one in everywhere)


def test_main_reads_no_cache_that_a_pull_request_writes() -> None:
    (pull,) = (step for _, step in steps(workflow("promote")["jobs"]) if step.get("id") == "image")
    (merged,) = (step for _, step in steps(workflow("deploy")["jobs"]) if step.get("id") == "image")
    own = "type=gha,scope=${{ github.ref }}"
    for step in (pull, merged):
        assert step["with"]["cache-to"] == f"{own},mode=max,ignore-error=true"
    assert merged["with"]["cache-from"] == own
    assert pull["with"]["cache-from"].splitlines() == [own, "type=gha,scope=refs/heads/main"]


def test_the_commit_of_dvc_lock_does_not_cancel_the_run_that_pushed_it() -> None:
    """With an App's token it starts a run of the same branch. act knows no concurrency."""
    experiment = workflow("experiment")
    assert experiment["concurrency"] == {
        "group": "experiment-${{ github.ref }}",
        "cancel-in-progress": "${{ github.event.head_commit.committer.name != 'github-actions[bot]' }}",
    }
    # The same name as the one that commits.
    assert "-c user.name='github-actions[bot]'" in (MODEL / "Makefile").read_text("utf-8")


def test_the_version_is_known_before_the_image_that_says_it_is_built() -> None:
    """In the rehearsal the same one, or its fingerprint would be of other content than the merge's."""
    for name, job, pushes in (("deploy", "deploy", None), ("promote", "candidate", "false")):
        ids = [step.get("id") for step in workflow(name)["jobs"][job]["steps"]]
        assert ids.index("model") < ids.index("version") < ids.index("image")
        by_id = {step.get("id"): step for step in workflow(name)["jobs"][job]["steps"]}
        version, image = by_id["version"], by_id["image"]
        assert version["with"].get("push") == pushes
        assert version["with"]["sha256"] == "${{ steps.model.outputs.sha256 }}"
        assert image["with"]["build-args"].splitlines() == [
            "MODEL_VERSION=${{ steps.version.outputs.version }}",
            "${{ vars.BUILD_ARGS }}",
        ]
        assert image["with"]["model-version"] == "${{ steps.version.outputs.version }}"
    served = (MODEL / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    assert "\nARG MODEL_VERSION=\nENV MODEL_VERSION=${MODEL_VERSION}\n" in served


def test_a_stage_is_assigned_when_the_deployment_is() -> None:
    (assign,) = (
        step
        for _, step in steps(workflow("deploy")["jobs"])
        if step.get("name") == "Assign the stage"
    )
    assert " ".join(assign["if"].split()) == (
        "steps.bump.outputs.operation == 'pushed'"
        " || (steps.bump.outputs.operation == 'none' && steps.bump.outputs.pull-request == '')"
    )


@pytest.mark.parametrize("template", ["model", "deploy"])
def test_the_owners_files_are_there(template: str) -> None:
    folder = ROOT / "templates" / template
    lines = (folder / ".github" / "CODEOWNERS").read_text("utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules
    for path, *owners in rules:
        assert (folder / path.strip("/")).exists(), path
        assert all(owner.startswith("@acme/") for owner in owners)


def test_the_owners_of_the_deploy_repository_are_asked_for_what_checks_a_deployment() -> None:
    """A pull request's check runs as the pull request has it: it could let its own image pass a hold."""
    text = (ROOT / "templates/deploy/.github/CODEOWNERS").read_text("utf-8")
    for path in ("/.github/", "/scripts/", "/overlays/production/"):
        assert re.search(rf"(?m)^{re.escape(path)} +@", text), path


def test_the_owners_of_the_model_are_asked_for_what_judges_and_builds() -> None:
    text = (MODEL / ".github" / "CODEOWNERS").read_text("utf-8")
    for path in (
        *("/promotion.yaml", "/.github/", "/Dockerfile", "/.dvc/config", "/dvc.yaml", "/Makefile"),
        "/tests/smoke.yaml",
    ):
        assert re.search(rf"(?m)^{re.escape(path)} +@", text), path


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_actions_get_inputs_that_exist(path: Path) -> None:
    for _, step in steps(load(path).get("jobs", {})):
        found = re.fullmatch(r"model-gitops/model-gitops/actions/([\w-]+)@v0", step.get("uses", ""))
        if found:
            known = docs.metadata(ROOT / "actions" / found[1])["inputs"]
            assert set(step.get("with", {})) <= set(known), step.get("name")


def test_what_a_forks_report_names_has_owners() -> None:
    script = (MODEL / ".github" / "scripts" / "fork_report.py").read_text("utf-8")
    (block,) = re.findall(r"SENSITIVE = \((.*?)\)  #", script, re.DOTALL)
    named = set(re.findall(r'"([^"]+)"', block))
    text = (MODEL / ".github" / "CODEOWNERS").read_text("utf-8")
    owned = {line.split()[0].strip("/") for line in text.splitlines() if line.startswith("/")}
    # `.dvc/` is named whole, of it the configuration is in Git; CODEOWNERS itself lies in .github.
    assert owned <= {one.strip("/") for one in named} | {".dvc/config"}
    assert {one.strip("/") for one in named} - {".dvc", "CODEOWNERS"} <= owned
