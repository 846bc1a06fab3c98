"""Workflows that somebody else copied: each of examples/, in a repository that is not from our templates."""

from __future__ import annotations

import base64
import json

import pytest
import yaml
from receiver import Receiver
from their_project import DEPLOY, MODEL, ODD, Project, git, project

from model_gitops.actions import ACTIONS
from model_gitops_local import act, docs

__all__ = ["project"]


def test_there_is_an_example_of_each_action() -> None:
    folders = {path.name for path in (act.ROOT / "examples").iterdir() if path.is_dir()}
    assert folders == set(ACTIONS)
    for action in ACTIONS:
        assert f"/actions/{action}@v0" in docs.example(action).read_text("utf-8")


def test_what_deployed_does_nothing_the_second_time(project: Project) -> None:
    before = project.refs()
    bump = project.example("bump-kustomize-tag", image=project.image, version="v0.0.1")
    assert bump["Set the image"]["operation"] == "none"
    register = project.example("gto-register-stage")["Register the version"]
    assert (register["operation"], register["version"]) == ("none", "v0.0.1")
    assert project.refs() == before
    text = git(project.deploy, "show", "main:overlays/dev/kustomization.yaml")
    assert "- name: diabetes # keep me" in text
    assert project.image.partition("@")[2] in text


def test_check_promotion(project: Project) -> None:
    found = project.example("check-promotion")["Is this hop allowed?"]
    assert (found["environment"], found["model"], found["deploy-mode"]) == (
        "dev",
        "diabetes",
        "push",
    )


def test_dvc_pull_model_with_an_odd_path(project: Project) -> None:
    found = project.example("dvc-pull-model")["Pull the model"]
    assert (found["path"], found["size"]) == (ODD, "3")


def test_push_model_pushes_once(project: Project) -> None:
    first = project.example("push-model")["Push it as an artifact"]
    second = project.example("push-model")["Push it as an artifact"]
    assert (first["operation"], second["operation"]) == ("pushed", "none")
    assert first["artifact"] == second["artifact"]


def test_the_readmes_first_example_works_when_it_is_copied(project: Project) -> None:
    text = (act.ROOT / "README.md").read_text("utf-8")
    run = project.run(text.partition("```yaml\n")[2].partition("```")[0])
    assert run.status == 0, (run.errors, run.log[-3000:])
    assert "pulled" in run.log


def test_compare_models_and_gate_what_was_measured(project: Project) -> None:
    found = project.example("compare-models")
    (metric,) = json.loads(found["Measure both models"]["measured"])["metrics"]
    assert (metric["champion"], metric["candidate"]) == (0.5, 0.75)
    assert "| 0.5 | 0.75 | +0.25 ▲ |" in found["Gate what was measured"]["table"]


@pytest.mark.parametrize("action", ["gate-metrics", "changed-models"])
def test_a_gate_asks_what_runs(project: Project, action: str) -> None:
    """A rule that asks for a measurement is refused without one, in a job of each changed model too."""
    run = project.run(docs.example(action).read_text("utf-8"))
    assert run.failed_step == "Gate the metrics"
    (error,) = [one for one in run.errors if "compare-models measured no such metric" in one]
    assert "Fix: run compare-models before" in error
    if action == "changed-models":
        models = json.loads(run.outputs["Which models are touched?"]["models"])
        assert [one["model"] for one in models] == ["diabetes"]


def test_changed_components_and_the_image_of_each(project: Project) -> None:
    found = project.example("changed-components")
    (component,) = json.loads(found["Which components are touched?"]["components"])
    assert (component["folder"], component["new"]) == ("components/train", True)
    built = found["Build the image"]
    assert (built["operation"], built["digest"]) == ("built", "")


def test_gate_drift(project: Project) -> None:
    found = project.example("gate-drift")["Did the data drift?"]
    assert (found["drift"], found["columns"]) == ("true", '["length"]')


def test_open_retraining(project: Project) -> None:
    found = project.example("open-retraining", reason="length drifted")
    branch = found["Check out the branch of the retraining"]["branch"]
    opened = found["Keep the issue and the pull request"]
    assert (opened["operation"], opened["branch"]) == ("opened", branch)
    again = project.example("open-retraining", reason="length drifted")
    assert again["Check out the branch of the retraining"]["operation"] == "continued"
    opened |= {"operation": "none"}
    assert again["Keep the issue and the pull request"] == opened


def test_run_command(project: Project) -> None:
    project.example("run-command")


def test_cml_report_comments_once(project: Project) -> None:
    first = project.example("cml-report")["Report"]
    second = project.example("cml-report")["Report"]
    assert (first["operation"], second["operation"]) == ("created", "none")
    assert second["url"] == first["url"]
    assert "/pull/2#" in first["url"]


def test_notify_tells_a_receiver(project: Project) -> None:
    key = "whsec_" + base64.b64encode(b"k" * 32).decode()
    with Receiver() as receiver:
        secrets = {
            "NOTIFY_URLS": f"json://{receiver.host}/apprise",
            "NOTIFY_WEBHOOK": f"{receiver.url}/signed",
            "NOTIFY_SECRET": key,
        }
        run = project.run(docs.example("notify").read_text("utf-8"), secrets=secrets)
    assert run.status == 0, (run.errors, run.log[-3000:])
    assert run.outputs["Tell people"] == {"operation": "sent", "told": "2", "failed": "0"}
    assert sorted(path for path, _, _ in receiver.got) == ["/apprise", "/signed"]
    assert all(b"Deployed to dev: diabetes" in body for _, _, body in receiver.got)
    assert not any(secret in run.log for secret in secrets.values())


def test_verify_deployment_where_nothing_is_asked(project: Project) -> None:
    found = project.example("verify-deployment")["Verify what dev runs"]
    assert (found["operation"], found["environment"]) == ("none", "dev")


def test_run_training_where_there_is_no_pipeline(project: Project) -> None:
    found = project.example("run-training")["Run the training pipeline"]
    assert (found["operation"], found["images"]) == ("none", "")


def test_hold_environment_holds_and_releases(project: Project) -> None:
    step, file = "Hold or release", "main:overlays/production/hold.yaml"
    asked = {"operation": "hold", "reason": "p95 $(is) `too` high", "until": "2h"}
    held = project.example("hold-environment", **asked)[step]
    assert (held["operation"], held["reason"]) == ("held", asked["reason"])
    assert f'until: "{held["until"]}"' in git(project.deploy, "show", file)
    released = project.example("hold-environment", operation="release")[step]
    assert (released["operation"], released["until"]) == ("released", "")
    assert "hold.yaml" not in git(project.deploy, "ls-tree", "-r", "--name-only", "main")


FACTS = {"environment": "staging", "model": "diabetes", "promote-version": "v0.0.2"}


@pytest.mark.parametrize(
    ("stubs", "told"),
    [
        ({"check": "", "deploy": "pushed"}, "promotion Deployed to staging: diabetes v0.0.2"),
        ({"check": "", "deploy": "opened"}, "approval Waits for approval to staging: diabetes v0.0.2"),
        ({"check": "exit 3", "deploy": ""}, "refusal Refused for main"),
        ({"check": "", "deploy": "none"}, ""),
    ],
)  # fmt: skip
def test_the_templates_tell_people(project: Project, stubs: dict[str, str], told: str) -> None:
    """The job of deploy.yml as it stands, after jobs that say what the real ones would."""
    file = act.ROOT / "templates/model/.github/workflows/deploy.yml"
    tell = yaml.safe_load(file.read_text("utf-8"))["jobs"]["tell"]
    done = {**FACTS, "operation": stubs["deploy"]}
    outputs = {"refusal": "it is held"} if stubs["check"] else done
    lines = [f'echo "{key}={value}" >> "$GITHUB_OUTPUT"' for key, value in outputs.items()]
    jobs = {
        name: {
            "runs-on": "ubuntu-latest",
            "outputs": {key: f"${{{{ steps.it.outputs.{key} }}}}" for key in outputs},
            "steps": [{"id": "it", "run": "\n".join([*lines, stubs["check"] or "true"])}],
        }
        for name in stubs
    }
    jobs["deploy"]["needs"] = "check"
    text = "on: {push: null}\n" + yaml.safe_dump({"jobs": {**jobs, "tell": tell}})
    with Receiver() as receiver:
        secrets = {
            "NOTIFY_WEBHOOK": receiver.url,
            "NOTIFY_SECRET": "whsec_" + base64.b64encode(b"k" * 32).decode(),
        }
        project.run(text, secrets=secrets, variables={"NOTIFY": "true"})
        if told == "":
            project.run(text, secrets=secrets)
    found = [json.loads(body)["data"] for _, _, body in receiver.got]
    assert [f"{one['event']} {one['title']}" for one in found] == ([told] if told else [])


def test_status_and_trace_model(project: Project) -> None:
    status = json.loads(project.example("status")["What runs where?"]["json"])
    assert [one["version"] for one in status["environments"]] == ["v0.0.1", None]
    trace = json.loads(
        project.example("trace-model", subject="dev")["Where does it come from?"]["json"]
    )
    assert trace["image"]["digest"] == project.image.partition("@")[2]


def test_pipeline_health(project: Project) -> None:
    found = project.example("pipeline-health")["Is the pipeline well?"]
    assert (found["healthy"], found["operation"]) == ("true", "none")
    (flow,) = json.loads(found["json"])["models"]
    assert [one["deployments"] for one in flow["environments"]] == [1, 0]


def test_rollback_of_what_others_deployed(project: Project) -> None:
    """Two deployments of production, as they stand in the deploy repository."""
    clone = project.root / "incident"
    git(project.root, "clone", "-q", str(project.deploy), str(clone))
    path = clone / "overlays/production/kustomization.yaml"
    start = path.read_text("utf-8")
    first = project.image.partition("@")[2]
    for number, digest in ((1, first), (2, f"sha256:{2:064x}")):
        tag = f"newTag: v0.0.{number}\n    digest: {digest}"
        path.write_text(start.replace("newTag: none", tag), "utf-8")
        said = f"Image-Digest: {digest}\nSource-Repository: {MODEL}\nSource-Commit: {number:040x}"
        git(clone, "commit", "-qam", f"Deploy\n\nModel: diabetes@v0.0.{number}\n{said}")
    git(clone, "push", "-q", "origin", "HEAD:main")
    try:
        done = project.example("rollback", reason="p95 too high")["Roll back"]
        assert (done["operation"], done["version"], done["from"]) == ("pushed", "v0.0.1", "v0.0.2")
        assert done["image"].endswith(first)
        held = git(project.deploy, "show", "main:overlays/production/hold.yaml")
        assert "rolled back from v0.0.2: p95 too high" in held
        assert "diabetes#production#" in git(project.bare, "tag")
    finally:  # the others know a production that runs nothing
        git(clone, "pull", "-q", "origin", "main")
        path.write_text(start, "utf-8")
        git(clone, "commit", "-qam", "Run nothing")
        git(clone, "push", "-q", "origin", "HEAD:main")


@pytest.mark.parametrize(
    ("action", "inputs", "says"),
    [
        ("dvc-pull-model", {"model": "no such model"}, "diabetes"),
        ("gto-register-stage", {"model": "no-such-model"}, "diabetes"),
        ("bump-kustomize-tag", {"repository": DEPLOY, "path": "overlays/dev", "images": "old=x:1", "token": "${{ secrets.DEPLOY_TOKEN }}"}, "diabetes"),
        ("bump-kustomize-tag", {"repository": DEPLOY, "path": "nowhere", "images": "diabetes=x:1", "token": "${{ secrets.DEPLOY_TOKEN }}"}, "nowhere"),
        ("build-push-image", {"image": "Upper/Case"}, "upper/case"),
        ("gate-metrics", {"baseline": "no-such-revision"}, "no-such-revision"),
    ],
)  # fmt: skip
def test_wrong_inputs_say_what_to_do_and_change_nothing(
    project: Project, action: str, inputs: dict[str, str], says: str
) -> None:
    before = project.refs()
    uses = f"model-gitops/model-gitops/actions/{action}@v0"
    steps = [{"uses": "actions/checkout@v7"}, {"name": "it", "uses": uses, "with": inputs}]
    job = {"runs-on": "ubuntu-latest", "steps": steps}
    run = project.run("on: {push: null}\n" + yaml.safe_dump({"jobs": {"job": job}}))
    assert run.status != 0
    assert "exitcode '2'" in run.log or "exit status 2" in run.log, run.log[-800:]
    assert any(says in text and "Fix:" in text for text in run.errors), run.errors
    assert project.refs() == before
