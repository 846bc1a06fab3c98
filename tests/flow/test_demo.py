"""What the demo leaves, looked at with other tools than the ones that wrote it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import served_image
import yaml

from model_gitops_local import toolchain
from model_gitops_local.demo import BETTER, REASON, SLOWER, WORSE, Demo
from model_gitops_local.flow import DEPLOY, MODEL

ENVIRONMENTS = ("dev", "staging", "production")
MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


def git(folder: Path, *args: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *args], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="session")
def result(demo: Demo) -> Any:
    return json.loads((demo.folder / "result.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def deploy(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the deploy repository."""
    folder = tmp_path_factory.mktemp("deploy") / "clone"
    subprocess.run(
        ["git", "clone", "--quiet", demo.folder / "git" / "deploy.git", folder], check=True
    )
    return folder


def digest_of(registry: str, name: str, reference: str) -> str | None:
    """Ask the registry itself; None where it has no such tag."""
    request = urllib.request.Request(
        f"http://{registry}/v2/{name}/manifests/{reference}",
        headers={"Accept": MANIFESTS},
        method="HEAD",
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return None


def test_every_environment_holds_the_same_version(result: Any) -> None:
    versions = {result["environments"][name]["version"] for name in ENVIRONMENTS}
    assert versions == {"v0.0.1"}


def test_production_answers_with_its_version(result: Any) -> None:
    model = result["answer"]["model"]
    assert model["version"] == result["environments"]["production"]["version"]
    assert model["name"] == "diabetes"


def test_gto_itself_agrees(demo: Demo, result: Any, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", demo.folder / "git" / "model.git", clone], check=True)
    for name in ENVIRONMENTS:
        shown = subprocess.run(
            ["gto", "show", f"diabetes#{name}", "--repo", clone, "--json"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        assert [one["version"] for one in json.loads(shown)] == [
            result["environments"][name]["version"]
        ]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_kustomize_builds_what_the_registry_has(deploy: Path, result: Any, name: str) -> None:
    built = subprocess.run(
        [toolchain.ensure("kustomize"), "build", deploy / "overlays" / name],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (workload,) = [one for one in yaml.safe_load_all(built) if one["kind"] == "Deployment"]
    image = workload["spec"]["template"]["spec"]["containers"][0]["image"]
    environment = result["environments"][name]
    assert image == environment["image"]
    place, digest = image.split("@")
    tag = place.rpartition(":")[2]
    assert digest_of(result["registry"], MODEL, tag) == digest == environment["digest"]


def kept(demo: Demo, name: str) -> Any:
    return json.loads((demo.folder / name).read_text("utf-8"))


def test_the_status_of_all_environments_is_one_image_in_sync(demo: Demo, result: Any) -> None:
    status = kept(demo, "status.json")
    assert status["in_sync"] is True
    assert [one["name"] for one in status["environments"]] == list(ENVIRONMENTS)
    for one in status["environments"]:
        expected = result["environments"][one["name"]]
        assert (one["version"], one["stage_version"]) == (expected["version"], expected["version"])
        assert (one["image"], one["deploy_commit"]) == (
            expected["image"],
            expected["deploy_commit"],
        )
        assert one["metrics"]["eval/metrics.json:r2"] == expected["metrics"]["r2"]
        assert one["problems"] == []
    back = result["rolled_back"]
    code = git(demo.folder / "git" / "model.git", "rev-parse", "main")[:12]
    said = f"rolled back from v0.0.1 with the code of {code} by ada: {REASON}"
    waiting = [one["waiting"] for one in status["environments"]]
    assert waiting == [
        [f"pull request #5 ({WORSE} → main)", f"{said} (commit {back['by'][:12]})"], [], [],
    ]  # fmt: skip


def test_status_stays_right_after_a_squash_merge_and_after_a_rollback(
    demo: Demo, deploy: Path, result: Any
) -> None:
    squashed, rolled_back = result["views"]["the squash merge"], result["views"]["the rollback"]
    for view in (squashed, rolled_back):
        assert view["in_sync"] is True
        versions = [(one["version"], one["stage_version"]) for one in view["environments"]]
        assert versions == [("v0.0.1", "v0.0.1")] * 3
    production = squashed["environments"][2]
    # The commit says nothing, and is one commit: what it deployed is in its pull request.
    assert git(deploy, "log", "-1", "--format=%B", production["deploy_commit"]) == (
        "Deploy diabetes to production (#1)"
    )
    assert production["source_commit"] == git(demo.folder / "git" / "model.git", "rev-parse", "production")  # fmt: skip
    # Dev runs what it ran before the change of the code.
    dev, before = rolled_back["environments"][0], squashed["environments"][0]
    for key in ("image", "digest", "source_commit", "deploy_commit"):
        assert dev[key] == before[key], key
    assert git(deploy, "show", "--format=", "--name-only", result["rolled_back"]["by"]) == (
        "overlays/dev/kustomization.yaml"
    )


def test_the_lineage_of_production_ends_with_its_data_every_link_verified(
    demo: Demo, result: Any
) -> None:
    trace = kept(demo, "trace.json")
    assert {link["state"] for link in trace["links"]} == {"verified"}
    assert trace["verified"] is True
    last = trace["links"][-1]
    ends = [(link["from"], link["to"]) for link in trace["links"]]
    assert ("model", "data") in ends, last
    model = demo.folder / "git" / "model.git"
    lock = yaml.safe_load(git(model, "show", "production:dvc.lock"))
    (data,) = [one for one in lock["stages"]["prepare"]["outs"] if one["path"] == "data/train.csv"]
    (trained,) = [
        one for one in lock["stages"]["train"]["outs"] if one["path"] == "models/diabetes.onnx"
    ]
    assert trace["data"] == [{"path": "data/train.csv", "hash": data["md5"]}]
    assert trace["source"]["model_hash"] == trained["md5"] == result["answer"]["model"]["hash"]
    assert trace["source"]["commit"] == git(model, "rev-parse", "production")
    assert trace["image"]["digest"] == result["environments"]["production"]["digest"]


def test_the_lineage_says_who_approved(demo: Demo) -> None:
    trace = kept(demo, "trace.json")
    for pull, repository, number in (
        (trace["pull_request"], MODEL, 3),
        (trace["deployment"]["pull_request"], DEPLOY, 1),
    ):
        assert pull["approved_by"] == ["grace"]
        assert pull["number"] == number
        assert pull["url"] == f"{demo.flow.forge.url}/{repository}/pull/{number}"


def test_the_page_draws_the_lineage_without_anything_from_elsewhere(demo: Demo) -> None:
    page = (demo.folder / "index.html").read_text("utf-8")
    picture = page[page.index("<svg") : page.index("</svg>")]
    trace = kept(demo, "trace.json")
    for text in ("approved by grace", trace["data"][0]["hash"][:12], "diabetes@v0.0.1"):
        assert text in picture
    assert "var(--bad)" not in picture.partition("</defs>")[2]  # the red of a broken link
    assert not re.search(r"<script|(src|href)=.?(https?:)?//", page)


def test_the_page_shows_each_hop_with_its_report_logs_plots_and_diff(
    demo: Demo, result: Any
) -> None:
    hops = [(one["title"], one["outcome"]) for one in result["hops"]]
    assert hops == [
        (f"Experiment: a better one ({BETTER})", "registered"),
        (f"{BETTER} → main", "deployed"),
        ("main → staging", "deployed"),
        ("staging → production", "deployed"),
        (f"A rollback of dev ({SLOWER})", "rolled back"),
        (f"Experiment: a worse one ({WORSE})", "registered"),
        (f"{WORSE} → main", "refused"),
    ]
    page = (demo.folder / "index.html").read_text("utf-8")
    for number, hop in enumerate(result["hops"], 1):
        assert f"<h3>{number}. {hop['title']}</h3>" in page
        assert hop["seconds"] >= sum(run["seconds"] for run in hop["runs"]) > 0
        if hop["outcome"] in ("deployed", "refused"):
            assert f'<a href="{hop["report"]}"' in page
            assert len(hop["pictures"]) == 2
        if hop["outcome"] in ("deployed", "rolled back"):
            assert "+    newTag: " in hop["diff"]
    assert "staging now runs v0.0.1, r2 0.4" in page
    # Every link and picture is there, beside the page.
    for target in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert (demo.folder / target).is_file(), target


def test_production_runs_the_bits_that_dev_and_staging_ran(result: Any) -> None:
    assert len({result["environments"][name]["digest"] for name in ENVIRONMENTS}) == 1


def test_devs_image_is_built_once_in_the_protected_run(demo: Demo, result: Any) -> None:
    hops = [(one["environment"], one["workflow"], one["operation"]) for one in result["images"]]
    assert hops == [
        (name, workflow, "built" if name == "dev" else "none")
        for name in ENVIRONMENTS
        for workflow in ("promote.yml", "deploy.yml")
    ]
    rehearsal, merged = (one["digest"] for one in result["images"][:2])
    assert {result["environments"][name]["digest"] for name in ENVIRONMENTS} == {merged}
    assert rehearsal not in (merged, "")
    # The workflows' own logs: one that builds shows buildx's command, the others none.
    logs = sorted((demo.folder / "runs").glob("*.log"))
    built = [path.stem for path in logs if "docker buildx build: " in path.read_text("utf-8")]
    assert built == ["02-promote", "03-deploy", "09-deploy"]
    # Nor do later environments pull the model.
    pulled = [path.stem for path in logs if "Run Main Pull the" in path.read_text("utf-8")]
    assert not {"05-deploy", "07-deploy"} & set(pulled)
    assert "03-deploy" in pulled


def test_each_environment_has_the_image_of_the_first_merge(demo: Demo, result: Any) -> None:
    model = demo.folder / "git" / "model.git"
    tags = {
        result["environments"][name]["image"].split("@")[0].rpartition(":")[2]
        for name in ENVIRONMENTS
    }
    # What was merged into `main` since was taken back.
    assert tags == {git(model, "rev-parse", "main^1")}


def test_the_planted_image_is_deployed_nowhere(demo: Demo, result: Any) -> None:
    planted = result["planted"]
    fingerprint_tag, rehearsal, branch = planted["tags"]
    assert (re.sub(r"[0-9a-f]{40}", "…", fingerprint_tag), branch) == ("fp-…", "main")
    assert rehearsal == git(demo.folder / "git" / "model.git", "rev-parse", "main^1^2")
    # It is there, with the fingerprint that dev's image has, and all its other labels.
    for tag in planted["tags"]:
        assert digest_of(result["registry"], MODEL, tag) == planted["digest"]
    deploy = demo.folder / "git" / "deploy.git"
    trailers = git(deploy, "log", "--format=%(trailers:key=Image-Fingerprint,valueonly)", "main")
    ours = git(deploy, "log", "--format=%(trailers:key=Image-Fingerprint,valueonly)", "-1", result["rolled_back"]["deployed"])  # fmt: skip
    assert set(trailers.split()) - {ours} == {fingerprint_tag.removeprefix("fp-")}
    assert planted["digest"] not in git(deploy, "log", "--all", "--patch", "--format=%B")
    assert planted["digest"] not in {one["digest"] for one in result["images"]}


def test_production_has_its_stage_since_its_pull_request_was_merged(demo: Demo) -> None:
    logs = {path.stem: path.read_text("utf-8") for path in (demo.folder / "runs").glob("*.log")}
    assert "diabetes#production#" not in logs["07-deploy"]
    assert "diabetes#production#3" in logs["08-stages"]
    assert "diabetes#dev#1" in logs["03-deploy"]
    assert "diabetes#staging#2" in logs["05-deploy"]


def test_the_worse_experiment_reached_nothing(demo: Demo, result: Any) -> None:
    (refused,) = result["refused"]
    assert refused["branch"] == WORSE
    assert "r2" in refused["reason"]
    model = demo.folder / "git" / "model.git"
    head = git(model, "rev-parse", WORSE)
    assert digest_of(result["registry"], MODEL, head) is None
    holders = git(model, "tag", "--list", "diabetes#*", "--format=%(*objectname)").split()
    assert len(holders) == 3
    assert head not in holders
    assert head not in git(demo.folder / "git" / "deploy.git", "log", "--all", "--format=%B")


def test_the_deploy_history_says_where_each_image_came_from(demo: Demo, result: Any) -> None:
    for name in ENVIRONMENTS:
        environment = result["environments"][name]
        # Production's was squash merged: its pull request has what the commit lost.
        at = "refs/pull/1/head" if name == "production" else environment["deploy_commit"]
        said = git(demo.folder / "git" / "deploy.git", "log", "-1", "--format=%(trailers:only,unfold)", at)  # fmt: skip
        trailers = dict(line.split(": ", 1) for line in said.splitlines())
        assert trailers["Model"] == f"diabetes@{environment['version']}"
        assert trailers["Image-Digest"] == environment["digest"]
        assert trailers["Source-Repository"] == MODEL
        branch = {"dev": "main^1"}.get(name, name)
        model = demo.folder / "git" / "model.git"
        assert trailers["Source-Commit"] == git(model, "rev-parse", branch)
        assert trailers["Model-Hash"] == result["answer"]["model"]["hash"]


def test_a_bump_changes_two_lines(deploy: Path, result: Any) -> None:
    for name in ENVIRONMENTS:
        commit = result["environments"][name]["deploy_commit"]
        stat = git(deploy, "show", "--format=", "--numstat", commit)
        added, removed, path = stat.split("\t")
        assert path == f"overlays/{name}/kustomization.yaml"
        assert (int(added), int(removed)) == (2, 1)  # the tag, and the first digest


def test_production_changed_by_a_merged_pull_request_only(demo: Demo, deploy: Path) -> None:
    subjects = git(deploy, "log", "--format=%s", "--", "overlays/production")
    assert subjects.splitlines()[:-1] == ["Deploy diabetes to production (#1)"]  # then the template
    repository = demo.flow.forge.state.find(DEPLOY)
    assert repository is not None
    (pull,) = repository.issues
    assert pull.pull is not None
    assert pull.pull.merged_by == "ada"
    assert pull.author == "acme-deployer[bot]"


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_each_pull_request_has_one_report_with_pictures_that_show(demo: Demo, number: int) -> None:
    repository = demo.flow.forge.state.find(MODEL)
    assert repository is not None
    comments = [one for one in repository.comments if one.number == number]
    reports = [one for one in comments if "The gate of" in one.body]
    (report,) = reports
    assert report.author == "github-actions[bot]"
    assert ("refuses" in report.body) == (number == 5)
    # The first model of each environment is judged by the minimum; the fifth by what dev runs.
    name = {1: "dev", 2: "staging", 3: "production", 5: "dev"}[number]
    said = "refused: r2 is worse" if number == 5 else "may merge"
    assert report.body.startswith(f"## Promotion to {name}: {said}\n")
    assert "✅" in report.body  # the rule; of the fifth that dev is in sync
    assert len(report.body) < 65536
    assert "The project's own checks and tests passed." in report.body
    assert "This change rewrites" not in report.body
    assert ("It is a rehearsal, and is never deployed" in report.body) == (number == 1)
    assert ("Nothing is built for" in report.body) == (number in (2, 3))
    # The incumbent beside the candidate, also where the gate refuses.
    environment = {1: "dev", 2: "staging", 3: "production", 5: "dev"}[number]
    assert f"| | {environment} now | candidate |" in report.body
    assert "### Metrics" not in report.body  # one table says it all
    version = "| version | v0.0.1 | v0.0.2 |" if number == 5 else "| version | – | v0.0.1 |"
    assert version in report.body
    pictures = re.findall(rf"{re.escape(demo.flow.forge.url)}/[^\s\")]+\.png", report.body)
    assert pictures
    for picture in set(pictures):
        with urllib.request.urlopen(picture) as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"


def test_production_gave_a_prediction(result: Any) -> None:
    predictions = result["answer"]["predictions"]
    assert all(25 <= value <= 346 for value in predictions)  # the range of the set's target


def test_production_serves_and_logs_as_the_template_says(demo: Demo, result: Any) -> None:
    engine, image = demo.machine().engine, result["environments"]["production"]["image"]
    served_image.all_workers_write_one_request_log(engine, image)
    served_image.a_full_disk_breaks_no_answer(engine, image)
    served_image.standard_output_is_the_containers(engine, image)


def test_no_token_is_left_anywhere(demo: Demo) -> None:
    secrets = [secret.encode() for secret in demo.flow.tokens.values()]
    secrets += [base64.b64encode(b"x-access-token:" + secret) for secret in secrets]
    for path in demo.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def refs(demo: Demo) -> list[str]:
    return [
        git(demo.folder / "git" / name, "for-each-ref", "--format=%(refname) %(objectname)")
        for name in ("model.git", "deploy.git")
    ]


def test_running_a_deployment_again_changes_nothing(demo: Demo) -> None:
    before = refs(demo)
    run = demo.flow.pushed("production", "deploy.yml")
    assert run.status == 0, run.errors
    assert refs(demo) == before
    assert run.outputs["Assign the stage"]["operation"] == "none"
    assert run.outputs["Bump the image in the deploy repository"]["operation"] == "none"
    assert "Build, smoke-test and push the image" not in run.outputs


def test_a_late_run_of_what_was_rolled_back_builds_and_deploys_nothing(
    demo: Demo, result: Any
) -> None:
    before = refs(demo)
    run = demo.flow.pushed("main", "deploy.yml")
    assert run.status == 0, run.errors
    image = run.outputs["Build, smoke-test and push the image"]
    assert image["operation"] == "reused"
    assert image["digest"] != result["environments"]["dev"]["digest"]
    assert run.outputs["Bump the image in the deploy repository"]["operation"] == "superseded"
    assert "Assign the stage" not in run.outputs
    assert refs(demo) == before


def test_stages_that_are_right_are_left_alone(demo: Demo) -> None:
    before = refs(demo)
    run = demo.flow.scheduled("stages.yml")
    assert run.status == 0, run.errors
    assert run.outputs["What does each environment run?"]["unassigned"] == "[]"
    assert "Assign the stage" not in run.outputs
    assert refs(demo) == before
