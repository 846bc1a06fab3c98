"""run-training: the run of an overlay's images, found or started, and what is evidence."""

from __future__ import annotations

import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authorities import Authority
from training_site import (
    LABEL,
    SECRET,
    STEPS,
    ArgoServer,
    TrainingSite,
    digest,
    image_lines,
)
from verify_site import DEPLOY, WRITER

from model_gitops.adapters.git import Git

NO_ENGINE = {"argo_server": "", "argo_token": ""}


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": SECRET}}],
        }
    )


def bumped(training: TrainingSite, word: str = "v1") -> None:
    told = training.bump(image_lines(word))
    assert told.outputs["operation"] == "pushed", told.log


def test_a_run_is_waited_for_until_argo_cd_has_synced_and_is_started_once(
    training: TrainingSite,
) -> None:
    argo = training.argo
    training.sync()
    bumped(training)
    # Argo CD syncs when the run was asked for already.
    synced = training.overlay()
    argo.on_request = lambda: argo.apply(synced) if len(argo.asked) > 4 else None
    told = training.run(parameters="propose=false")
    assert told.code == 0, told.log
    assert (told.outputs["operation"], told.outputs["state"]) == ("started", "success")
    assert "the pipeline has not these images yet: ghcr.io/acme/diabetes-preprocess is" in told.log
    assert "fetch Succeeded, preprocess Succeeded, train Succeeded" in told.log
    (started,) = argo.started
    name = told.outputs["run"]
    assert started["submitOptions"]["name"] == name
    assert set(started["submitOptions"]["parameters"]) == {
        f"revision={training.commit}",
        "propose=false",
    }
    assert told.outputs["url"].endswith(f"/workflows/diabetes-training-staging/{name}")
    assert (told.outputs["commit"], told.outputs["images"]) == (training.commit, image_lines("v1"))
    key = name.removeprefix("diabetes-training-")
    assert training.statuses() == [
        ("success", f"images {key} trained well", told.outputs["url"]),
        ("pending", f"images {key} train", training.statuses()[1][2]),
    ]
    assert SECRET not in told.log + told.summary + json.dumps(told.outputs)

    again = training.run()
    assert (again.code, again.outputs["operation"]) == (0, "found")
    assert (again.outputs["run"], len(argo.started), len(training.statuses())) == (name, 1, 2)

    # Evidence: by the API, and by the status alone.
    for found in (training.check(source_token=""), training.believe()):
        assert (found.code, found.outputs["images"]) == (0, image_lines("v1")), found.log
        assert found.outputs["url"] == told.outputs["url"]
    # Its lines are what the next overlay takes, by a pull request.
    proposed = training.bump(found.outputs["images"], "production", mode="pull-request")
    assert proposed.outputs["operation"] == "opened", proposed.log


def test_images_that_were_replaced_before_argo_cd_synced_are_not_waited_for(
    training: TrainingSite,
) -> None:
    argo, bare = training.argo, training.site.forge.state.find(DEPLOY)
    assert bare is not None
    training.sync()
    bumped(training)
    first = training.commit
    deployed = training.deploy.run("ls-remote", "origin", "refs/heads/main").split()[0]
    later = training.rules()
    assert training.bump(image_lines("v2", *STEPS[:2]), commit=later).code == 0
    synced = training.overlay()
    newer = training.deploy.run("rev-parse", "HEAD").strip()
    git = Git(Path(bare.path))
    git.run("update-ref", "refs/heads/main", deployed)

    def replace() -> None:
        """The next merge's bump, and only then the sync."""
        if len(argo.asked) == 4:
            git.run("update-ref", "refs/heads/main", newer)
            argo.apply(synced)

    argo.on_request = replace
    told = training.run()
    assert (told.code, told.outputs["state"], told.outputs["commit"]) == (0, "success", later)
    assert len(argo.started) == 1
    assert "has other images by now" in told.log
    assert [one[0] for one in training.statuses(later)] == ["success", "pending"]
    said = training.statuses(first)
    assert [one[0] for one in said] == ["pending", "pending"]
    assert said[0][1].endswith("were replaced before they trained")


def test_a_run_of_other_images_is_no_evidence(training: TrainingSite) -> None:
    bumped(training)
    training.sync()
    assert training.run().code == 0
    bumped(training, "v2")
    for told in (training.check(source_token=""), training.believe()):
        assert (told.code, told.outputs["images"]) == (3, ""), told.log
        assert "nothing says that the images" in told.log
    # Nor is one of some of them: a sync in between.
    training.argo.apply(training.overlay())
    template = training.argo.template["spec"]["templates"]
    (train,) = [one for one in template if one["name"] == "train"]
    train["container"]["image"] = f"ghcr.io/acme/diabetes-train:v1@{digest('v1-train')}"
    training.argo.finished("by-hand", "Succeeded")
    told = training.check()
    assert (told.code, told.outputs["images"]) == (3, ""), told.log
    # And nothing is proposed of nothing.
    assert training.bump(told.outputs["images"], "production", mode="pull-request").code == 2


def test_a_failed_step_is_told_and_stays_the_answer(training: TrainingSite) -> None:
    argo = training.argo
    bumped(training)
    training.sync()
    argo.outcome = "Failed"
    told = training.run()
    assert (told.code, told.outputs["state"], told.outputs["images"]) == (3, "failure", "")
    assert told.outputs["reason"] == "train: OOMKilled (exit code 137)"
    assert "| train | Failed | OOMKilled \\(exit code 137\\) |" in told.summary
    assert training.statuses()[0][0] == "failure"
    assert "train: OOMKilled" in training.statuses()[0][1]
    argo.outcome = "Succeeded"
    assert (training.run().code, len(argo.started)) == (3, 1)
    for found in (training.check(), training.believe()):
        assert (found.code, found.outputs["images"]) == (3, ""), found.log
        assert (found.outputs["state"], "train: OOMKilled" in found.outputs["reason"]) == (
            "failure",
            True,
        )

    again = training.run(again="true")
    assert (again.code, again.outputs["operation"], len(argo.started)) == (0, "started", 2)
    assert again.outputs["run"] == f"{told.outputs['run']}-2"
    assert training.believe().code == 0
    # What the schedule ran later with the same images takes it back.
    argo.finished("diabetes-training-1764550000", "Failed")
    assert training.check().code == 3


def test_a_fault_of_the_engine_is_no_verdict_on_the_images(training: TrainingSite) -> None:
    bumped(training)
    training.sync()
    training.argo.outcome, training.argo.message = "Error", "pod deleted"
    told = training.run()
    assert (told.code, told.outputs["state"], told.outputs["reason"]) == (
        4,
        "error",
        "train: pod deleted",
    )
    assert training.statuses()[0][0] == "error"


def test_what_ended_too_early_goes_on_where_it_was(training: TrainingSite) -> None:
    argo = training.argo
    bumped(training)
    training.sync()
    argo.outcome = None
    told = training.run(timeout="2s")
    assert (told.code, told.outputs["state"]) == (4, "pending"), told.log
    assert "has not ended within `timeout`" in told.log
    assert training.check().code == 3
    argo.outcome = "Succeeded"
    # The answer to the start was lost too: the name is taken.
    argo.runs[told.outputs["run"]]["metadata"]["labels"] = {}
    kept = dict(argo.runs)
    argo.on_request = lambda: [one["metadata"]["labels"].update({LABEL: "diabetes-training"})
                               for one in kept.values() if argo.asked[-1][0] == "POST"]  # fmt: skip
    found = training.run()
    assert (found.code, len(argo.started)) == (0, 1), found.log


def test_two_at_once_start_one_run(training: TrainingSite) -> None:
    bumped(training)
    training.sync()
    with ThreadPoolExecutor(2) as both:
        told = list(both.map(lambda _: training.run(), range(2)))
    assert [one.code for one in told] == [0, 0]
    assert len(training.argo.started) == len(training.argo.runs) == 1
    assert told[0].outputs["run"] == told[1].outputs["run"]


def test_kubernetes_makes_the_run_that_argo_would(training: TrainingSite) -> None:
    argo = training.argo
    bumped(training)
    training.sync()
    given = {**NO_ENGINE, "kubeconfig": kubeconfig(training.server.url)}
    argo.broken = [(503, {}), (429, {})]
    told = training.run(**given)
    assert (told.code, told.outputs["operation"]) == (0, "started"), told.log
    (run,) = argo.started
    assert run["metadata"]["labels"] == {LABEL: "diabetes-training"}
    assert run["metadata"]["ownerReferences"][0]["kind"] == "CronWorkflow"
    parameters = {one["name"]: one["value"] for one in run["spec"]["arguments"]["parameters"]}
    # The overlay's own parameters stay.
    assert parameters == {"revision": training.commit, "propose": "false"}
    assert run["spec"]["workflowTemplateRef"] == {"name": "diabetes-training"}
    assert {method for method, path in argo.asked if path.startswith("/api/")} == set()
    assert training.check(**given).code == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {}), "refuses the token (401)"),
        ((403, {"message": "workflows.argoproj.io is forbidden"}), "(403: workflows.argoproj.io is forbidden)"),
        ((404, {}), "refuses to list the runs of the namespace diabetes-training-staging (404)"),
        ((400, {"message": "no such field"}), "(400: no such field)"),
        ((302, {}), "a redirect (302), which is not followed"),
    ],
)  # fmt: skip
def test_a_refusal_is_not_waited_for(
    training: TrainingSite, answer: tuple[int, dict[str, str]], said: str
) -> None:
    bumped(training)
    training.argo.broken = [answer] * 9
    told = training.run()
    assert (told.code, said in told.log, len(training.argo.asked)) == (4, True, 1), told.log
    training.argo.broken = []
    assert "has no cron-workflow diabetes-training" in training.run().log


def test_a_token_that_is_refused_while_it_waits_is_told_on_the_commit(
    training: TrainingSite,
) -> None:
    argo = training.argo
    bumped(training)
    training.sync()
    argo.outcome = None

    def refuse() -> None:
        if len(argo.asked) > 8:
            argo.broken = [(401, {})]

    argo.on_request = refuse
    told = training.run()
    assert (told.code, told.outputs["state"], told.outputs["images"]) == (4, "error", ""), told.log
    assert "refuses the token (401)" in told.outputs["reason"]
    state, said, _ = training.statuses()[0]
    assert (state, "refuses the token (401)" in said) == ("error", True)
    # Once more, with a good one: the run is waited for again.
    argo.on_request, argo.broken = (lambda: None), []
    assert training.run(timeout="2s").outputs["state"] == training.statuses()[0][0] == "pending"
    argo.outcome = "Succeeded"
    assert training.run().code == 0
    # The second one said `pending` of the images, and at its end of the run.
    told_states = [one[0] for one in training.statuses()]
    assert told_states == ["success", "pending", "pending", "error", "pending"]
    # What was proven stays: nobody had to wait.
    argo.broken = [(401, {})]
    assert (training.run().code, training.statuses()[0][0]) == (4, "success")


class NoRuns:
    """A Kubeflow that has run nothing yet."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str] = set()

    def answer(self, method: str, target: str, body: object) -> tuple[int, dict[str, str]]:
        return 200, {}


def test_a_pipeline_that_was_compiled_before_the_newest_images_came_is_superseded(
    training: TrainingSite, tmp_path: Path
) -> None:
    commit = training.rules(engine="kubeflow")
    server = ArgoServer(NoRuns())  # type: ignore[arg-type]
    package = tmp_path / "pipeline.yaml"

    def compiled(*words: str) -> dict[str, str]:
        images = [line.partition("=")[2] for word in words for line in image_lines(word).split()]
        executors = {f"exec-{n}": {"container": {"image": one}} for n, one in enumerate(images)}
        package.write_text(json.dumps({"deploymentSpec": {"executors": executors}}), "utf-8")
        return {
            **NO_ENGINE, "kubeflow_server": server.url, "kubeflow_token": SECRET,
            "kubeflow_package": str(package),
        }  # fmt: skip

    for word in ("v1", "v2"):
        assert training.bump(image_lines(word), commit=commit).outputs["operation"] == "pushed"
    told = training.run(**compiled("v1"))
    assert told.code == 0, told.log
    outputs = told.outputs
    assert (outputs["operation"], outputs["state"], outputs["images"]) == (
        "superseded", "pending", "",
    )  # fmt: skip
    assert "has other images since the pipeline was compiled" in told.log
    assert [one[0] for one in training.statuses(commit)] == ["pending"]
    # Of images that the overlay never had, or of two deployments at once: somebody's fault.
    for words in (("v3",), ("v1", "v3")):
        told = training.run(**compiled(*words))
        assert (told.code, "has other images than" in told.log) == (3, True), told.log
        assert training.statuses(commit)[0][0] == told.outputs["state"] == "error"
    server.stop()


def test_a_run_that_somebody_deleted_is_not_started_again(training: TrainingSite) -> None:
    argo = training.argo
    bumped(training)
    training.sync()
    argo.outcome = None
    argo.on_request = lambda: argo.runs.clear() if len(argo.asked) > 8 else None
    told = training.run()
    assert (told.code, len(argo.started)) == (4, 1), told.log
    assert "is there no more: it was deleted before its end was seen" in told.log
    argo.on_request, argo.outcome = (lambda: None), "Succeeded"
    assert (training.run().code, len(argo.started)) == (0, 2)


def test_a_list_that_is_late_starts_no_second_run(training: TrainingSite) -> None:
    argo = training.argo
    bumped(training)
    training.sync()

    def late() -> None:
        for one in argo.runs.values():
            one["metadata"]["labels"] = {LABEL: "diabetes-training"} if len(argo.asked) > 12 else {}

    argo.on_request = late
    told = training.run()
    assert (told.code, told.outputs["operation"], len(argo.started)) == (0, "started", 1), told.log
    assert [method for method, _ in argo.asked].count("POST") == 1


def test_argos_token_may_be_as_argo_prints_it(training: TrainingSite) -> None:
    bumped(training)
    training.sync()
    told = training.run(argo_token=f"Bearer {SECRET}")
    assert told.code == 0, told.log
    assert SECRET not in told.log.replace(f"::add-mask::{SECRET}", "") + told.summary


def test_only_the_believed_writer_counts(training: TrainingSite) -> None:
    bumped(training)
    training.sync()
    name = training.run().outputs["run"]
    assert training.believe(writer="github-actions[bot]").code == 0
    told = training.believe(writer="deployer[bot]")
    assert (told.code, "not by deployer[bot]" in told.log) == (3, True), told.log
    assert training.believe(source_token=WRITER).outputs["run"] == name


def test_what_no_deployment_set_is_not_asked_about(training: TrainingSite) -> None:
    told = training.run()
    assert (told.code, "has no image yet of diabetes-preprocess" in told.log) == (3, True), told.log
    # Two components later: the newest deployment says the commit.
    bumped(training)
    later = training.rules()
    assert training.bump(image_lines("v2", *STEPS[:2]), commit=later).code == 0
    training.sync()
    told = training.run()
    assert (told.code, told.outputs["commit"]) == (0, later), told.log
    path = training.deploy.directory / "training" / "overlays" / "staging" / "kustomization.yaml"
    training.overlay()
    text = path.read_text("utf-8").replace(digest("v2-train"), digest("mine"))
    training.site.commit(
        training.deploy, {"training/overlays/staging/kustomization.yaml": text}, "By hand"
    )
    told = training.check()
    assert (told.code, "was set by no deployment" in told.log) == (3, True), told.log


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"environment": "dev"}, "promotion.yaml trains in staging, production"),
        ({**NO_ENGINE}, "nobody can be asked to run the training pipeline of staging"),
        ({**NO_ENGINE, "operation": "check", "source_token": ""}, "and `source-token` is empty"),
        ({"argo_token": ""}, "`argo-token` is not"),
        ({"kubeconfig": "{}"}, "are both given"),
        ({"parameters": "propose"}, "it is not `name=value`"),
        ({"operation": "start"}, "neither `run` nor `check`"),
        ({"argo_authority": "x"}, "`argo-authority` is no certificate in PEM"),
        ({"argo_server": "https://argo.example.com:none"}, "it is no address of a server"),
    ],
)
def test_a_wrong_input_is_told(training: TrainingSite, inputs: dict[str, str], said: str) -> None:
    told = training.run(**inputs)
    assert (told.code, said in told.log) == (2, True), told.log
    assert training.argo.asked == []


def test_only_the_server_that_the_authority_signed_gets_the_token(
    training: TrainingSite, tmp_path: Path
) -> None:
    bumped(training)
    ours = Authority(tmp_path / "ours", "ours")
    ours.sign("server", "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ours.folder / "server.crt", ours.folder / "server.key")
    server = ArgoServer(training.argo, tls)
    told = training.check(argo_server=server.url)
    assert (told.code, "certificate is not trusted" in told.log) == (4, True), told.log
    assert training.argo.asked == []
    authority = (ours.folder / "ca.crt").read_text("ascii")
    told = training.check(argo_server=server.url, argo_authority=authority)
    assert (told.code, "Argo Server knows no run of them" in told.log) == (3, True), told.log
    server.stop()
