"""The deploy template's canary, blue/green and KServe: one line in an overlay, built by kustomize, asked of Prometheus."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_checks import problems

from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"
REPLICAS = {"dev": 1, "staging": 2, "production": 3}
KINDS = {"Rollout", "AnalysisTemplate", "HTTPRoute", "InferenceService"}
SWITCHES = {
    "canary": {"AnalysisTemplate"},
    "canary-gateway": {"AnalysisTemplate", "HTTPRoute"},
    "canary-ingress": {"AnalysisTemplate", "Ingress"},
    "blue-green": {"AnalysisTemplate"},
    "kserve": set(),
}
TAG, DIGEST = "v1.2.3", "sha256:" + "a" * 64
IMAGE = f"ghcr.io/acme/diabetes:{TAG}@{DIGEST}"
BASE = {"Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"}
LABELS = {"app.kubernetes.io/name": "diabetes", "app.kubernetes.io/part-of": "diabetes"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, with an overlay SWITCH-ENVIRONMENT of each switch that is on."""
    top = tmp_path_factory.mktemp("rollouts") / "deploy"
    shutil.copytree(TEMPLATE, top)
    for switch in SWITCHES:
        for name in REPLICAS:
            made = shutil.copytree(top / "overlays" / name, top / "overlays" / f"{switch}-{name}")
            with (made / "kustomization.yaml").open("a", encoding="utf-8") as file:
                file.write(f"components: [../../{switch}]\n")
    return top


def build(folder: Path) -> list[dict[str, Any]]:
    words = [toolchain.ensure("kustomize"), "build", folder]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def bumped(overlay: Path) -> list[dict[str, Any]]:
    """Build an overlay after its first deployment, and leave it as it was."""
    file = overlay / "kustomization.yaml"
    old = file.read_text("utf-8")
    wanted = [Image("diabetes", "ghcr.io/acme/diabetes", TAG, DIGEST)]
    try:
        file.write_text(kustomization_edit.edit(old, wanted, source="k"), "utf-8")
        return build(overlay)
    finally:
        file.write_text(old, "utf-8")


def one(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (manifest,) = (manifest for manifest in found if manifest["kind"] == kind)
    return manifest


@pytest.mark.parametrize("name", REPLICAS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_one_line_switches_it_on(clone: Path, switch: str, name: str) -> None:
    kind = "InferenceService" if switch == "kserve" else "Rollout"
    overlay = clone / "overlays" / f"{switch}-{name}"
    found = bumped(overlay)
    assert {manifest["kind"] for manifest in found} == BASE | SWITCHES[switch] | {kind}
    assert all(manifest["metadata"]["namespace"] == f"diabetes-{name}" for manifest in found)
    made = one(found, kind)
    assert (
        made["metadata"]["labels"] | {"app.kubernetes.io/environment": name}
        == made["metadata"]["labels"]
    )
    assert made["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "1"
    pod = (
        made["spec"]["predictor"]
        if kind == "InferenceService"
        else made["spec"]["template"]["spec"]
    )
    # The pod is the one of the ordinary overlay: image, its digest as a variable, security, spread.
    ordinary = one(bumped(clone / "overlays" / name), "Deployment")["spec"]
    wanted = ordinary["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["env"] == [{"name": "IMAGE", "value": IMAGE}]
    if kind == "Rollout":
        assert pod == wanted
        assert ("topologySpreadConstraints" in pod) is (name == "production")
        assert made["spec"]["replicas"] == REPLICAS[name]
        assert made["spec"]["selector"] == ordinary["selector"]
        labels = made["spec"]["template"]["metadata"]["labels"]
    else:
        assert container == wanted["containers"][0] | {"name": "kserve-container"}
        assert pod["securityContext"] == wanted["securityContext"]
        assert pod.get("minReplicas", 1) == REPLICAS[name]
        assert pod["deploymentStrategy"] == ordinary["strategy"]
        labels = pod["labels"]
    # Services, budget and policy still choose these pods.
    chosen = [
        manifest["spec"]["podSelector"]["matchLabels"] if "podSelector" in manifest["spec"]
        else manifest["spec"]["selector"].get("matchLabels", manifest["spec"]["selector"])
        for manifest in found if manifest["kind"] in BASE - {"ServiceAccount"}
    ]  # fmt: skip
    assert chosen
    assert all(selector.items() <= labels.items() for selector in chosen)
    # Before the first deployment there is nothing that a controller could start.
    assert {manifest["kind"] for manifest in build(overlay)} == BASE | SWITCHES[switch]


def test_each_field_is_known(clone: Path) -> None:
    """And each pod is restricted, each image pinned: the template's own check of a deployed overlay."""
    seen = set()
    for switch in SWITCHES:
        for manifest in bumped(clone / "overlays" / f"{switch}-production"):
            assert problems(manifest) == [], switch
            seen.add(manifest["kind"])
            if manifest["kind"] in KINDS:
                manifest["spec"]["strategyy"] = {}
                assert ["strategyy" in problem for problem in problems(manifest)] == [True]
    assert seen > KINDS


def test_each_name_that_a_rollout_says_is_there(clone: Path) -> None:
    for switch in ("canary", "canary-gateway", "canary-ingress", "blue-green"):
        found = bumped(clone / "overlays" / f"{switch}-dev")
        names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in found}
        text = yaml.safe_dump(one(found, "Rollout")["spec"]["strategy"])
        said = {
            *(("Service", name) for name in re.findall(r"Service: (\S+)", text)),
            *(("AnalysisTemplate", name) for name in re.findall(r"templateName: (\S+)", text)),
            *(("HTTPRoute", name) for name in re.findall(r"httpRoute: (\S+)", text)),
            *(("Ingress", name) for name in re.findall(r"stableIngress: (\S+)", text)),
        }
        assert said and said <= names, switch
    # The plugin looks in the namespace that it is told.
    found = bumped(clone / "overlays" / "canary-gateway-staging")
    assert "namespace: diabetes-staging" in yaml.safe_dump(
        one(found, "Rollout")["spec"]["strategy"]
    )


def more(clone: Path, switch: str, text: str, *, first: str = "") -> list[dict[str, Any]]:
    """Build a deployed overlay with more in its kustomization, and a component before its own."""
    overlay = shutil.copytree(clone / "overlays" / f"{switch}-dev", clone / "overlays" / "x")
    try:
        file = overlay / "kustomization.yaml"
        old = file.read_text("utf-8")
        file.write_text(old.replace("components: [", f"components: [{first}") + text, "utf-8")
        return bumped(overlay)
    finally:
        shutil.rmtree(overlay)


@pytest.mark.parametrize("switch", SWITCHES)
def test_names_with_a_prefix_are_followed(clone: Path, switch: str) -> None:
    found = more(clone, switch, "namePrefix: eu-\nnameSuffix: -b\n")
    names = {manifest["metadata"]["name"] for manifest in found}
    assert all(name.startswith("eu-diabetes") and name.endswith("-b") for name in names)
    specs = [
        manifest["spec"] for manifest in found
        if manifest["kind"] in ("Rollout", "HTTPRoute", "Ingress", "InferenceService")
    ]  # fmt: skip
    for manifest in specs:
        manifest.pop("template", None)
    text = yaml.safe_dump(specs)
    assert "eu-diabetes-b" in text
    # No name is as it was; a label's value is no name.
    assert (
        re.findall(r"(?m)^(?!.*app\.kubernetes\.io).*: diabetes(?:-canary|-preview)?$", text) == []
    )


GENERATED = """
configMapGenerator: [{name: settings, literals: [a=b]}]
secretGenerator: [{name: keys, literals: [a=b]}]
"""
USED = [
    {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "a", "configMap": {"name": "settings"}}},
    {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "b", "secret": {"secretName": "keys"}}},
    {"op": "add", "path": "/spec/template/spec/imagePullSecrets", "value": [{"name": "keys"}]},
    {
        "op": "add", "path": "/spec/template/spec/containers/0/envFrom",
        "value": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}],
    },
]  # fmt: skip


@pytest.mark.parametrize("switch", ["canary", "kserve"])
def test_what_an_overlay_generates_is_named_by_its_hash(clone: Path, switch: str) -> None:
    base = clone / "base" / "kustomization.yaml"
    before = base.read_text("utf-8")
    patch = [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(USED)}]
    base.write_text(before + yaml.safe_dump({"patches": patch}), "utf-8")
    try:
        found = more(clone, switch, GENERATED)
    finally:
        base.write_text(before, "utf-8")
    text = yaml.safe_dump(one(found, "InferenceService" if switch == "kserve" else "Rollout"))
    assert len(re.findall(r"ame: settings-\w{10}\n", text)) == 2
    assert len(re.findall(r"ame: keys-\w{10}\n", text)) == 3
    assert not re.search(r"ame: (settings|keys)\n", text)


MODEL = "ghcr.io/acme/diabetes-model"


@pytest.mark.parametrize("how", ["model-artifact", "model-artifact/image-volume"])
@pytest.mark.parametrize("switch", ["canary", "canary-gateway", "blue-green", "kserve"])
def test_the_models_artifact_goes_with_each(clone: Path, switch: str, how: str) -> None:
    overlay = clone / "overlays" / f"{switch}-dev" / "kustomization.yaml"
    before = overlay.read_text("utf-8")
    entry = f"images:\n  - name: diabetes-model\n    newName: {MODEL}\n    digest: {DIGEST}\n"
    overlay.write_text(before.replace("images:\n", entry, 1), "utf-8")
    try:
        found = more(clone, switch, "", first=f"../../{how}, ")
    finally:
        overlay.write_text(before, "utf-8")
    made = one(found, "InferenceService" if switch == "kserve" else "Rollout")
    pod = made["spec"]["predictor"] if switch == "kserve" else made["spec"]["template"]["spec"]
    pinned = f"{MODEL}@{DIGEST}"
    if how == "model-artifact":
        assert {"name": "MODEL_ARTIFACT", "value": pinned} in pod["initContainers"][0]["env"]
    else:
        assert pinned in [one["image"]["reference"] for one in pod["volumes"] if "image" in one]
    assert pod["containers"][0]["image"] == IMAGE
    assert [text for manifest in found for text in problems(manifest)] == []


@pytest.mark.parametrize(
    ("switch", "first", "says"),
    [
        ("canary", "../../kserve, ", "only-one-of-canary-blue-green-kserve"),
        ("kserve", "../../canary, ", "only-one-of-canary-blue-green-kserve"),
        ("blue-green", "../../canary, ", "only-one-of-canary-blue-green-kserve"),
        ("model", "../../kserve, ", "no resource matches strategic merge patch"),
        ("model", "../../canary, ", "no resource matches strategic merge patch"),
    ],
)
def test_two_that_do_not_go_together_are_refused(
    clone: Path, switch: str, first: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = clone / "overlays" / "model-dev"
    shutil.copytree(clone / "overlays" / "dev", made, dirs_exist_ok=True)
    text = (clone / "overlays" / "dev" / "kustomization.yaml").read_text("utf-8")
    (made / "kustomization.yaml").write_text(text + "components: [../../model-artifact]\n", "utf-8")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        more(clone, switch, "", first=first)
    assert says in failed.value.stderr


# --- what Prometheus answers --------------------------------------------------------------------------------


ANALYSIS = yaml.safe_load((TEMPLATE / "rollout" / "analysis.yaml").read_text("utf-8"))["spec"]
ARGUMENTS = {arg["name"]: arg.get("value", "") for arg in ANALYSIS["args"]} | {
    "namespace": "here", "canary-hash": "new", "stable-hash": "old",
}  # fmt: skip
LIMITS = {"errors": "most-errors", "latency": "most-seconds", "drift": "most-drift"}


def query(metric: str, **more: str) -> str:
    """A metric's query as the controller asks it."""
    (found,) = (one for one in ANALYSIS["metrics"] if one["name"] == metric)
    text: str = found["provider"]["prometheus"]["query"]
    for name, value in (ARGUMENTS | more).items():
        text = text.replace("{{args." + name + "}}", value)
    assert "{{" not in text
    return text


def series(name: str, each_minute: float, pods: str, **labels: str) -> dict[str, str]:
    told = {"job": "diabetes", "namespace": "here", "rollouts_pod_template_hash": pods} | labels
    shown = ",".join(f'{key}="{value}"' for key, value in told.items())
    return {"series": f"{name}{{{shown}}}", "values": f"0+{each_minute}x120"}


def answers(pods: str, good: float, bad: float | None = None) -> list[dict[str, str]]:
    """So many answers a minute with 200, and with 500; without the latter there is no such series at all."""
    told = {"200": good} if bad is None else {"200": good, "500": bad}
    return [series("http_requests_total", n, pods, route="/predict", status=status) for status, n in told.items()]  # fmt: skip


def times(pods: str, quick: float, slow: float) -> list[dict[str, str]]:
    """So many answers a minute within 0.1 s, and so many within 0.5 s."""
    name, route = "http_request_duration_seconds", "/predict"
    found = {"0.05": 0, "0.1": quick, "0.25": quick, "0.5": quick + slow, "+Inf": quick + slow}
    return [
        *(series(f"{name}_bucket", n, pods, route=route, le=le) for le, n in found.items()),
        series(f"{name}_count", quick + slow, pods, route=route),
    ]


def predicted(pods: str, low: float, high: float) -> list[dict[str, str]]:
    """So many predictions a minute of 50 to 100, and so many of 200 to 250."""
    name = "model_prediction_value"
    found = {"50": 0, "100": low, "200": low, "250": low + high, "+Inf": low + high}
    return [
        *(series(f"{name}_bucket", n, pods, le=le) for le, n in found.items()),
        series(f"{name}_count", low + high, pods),
    ]


# What Prometheus has → whether the limit is broken; None where nothing can be said.
ASKED: dict[str, tuple[str, list[dict[str, str]], bool | None]] = {
    "5 % errors, and none before": ("errors", answers("new", 95, 5) + answers("old", 100), True),
    "5 % errors, as before": ("errors", answers("new", 95, 5) + answers("old", 95, 5), False),
    "errors end": ("errors", answers("new", 100) + answers("old", 90, 10), False),
    "no error": ("errors", answers("new", 100, 0) + answers("old", 100, 0), False),
    "errors, and nobody asked before": ("errors", answers("new", 95, 5), True),
    "errors, and nobody asks the stable one": ("errors", answers("new", 95, 5) + answers("old", 0, 0), True),
    "nobody asks the canary": ("errors", answers("new", 0, 0) + answers("old", 100, 0), None),
    "no pod of the canary": ("errors", answers("old", 100, 0), None),
    "three requests": ("errors", answers("new", 0.3, 0.3) + answers("old", 100, 0), None),
    "another namespace's errors": (
        "errors", [*answers("new", 100), series("http_requests_total", 99, "new", route="/predict", status="500", namespace="x")],
        False,
    ),
    "slower": ("latency", times("new", 90, 10) + times("old", 100, 0), True),
    "as fast": ("latency", times("new", 90, 10) + times("old", 90, 10), False),
    "quicker": ("latency", times("new", 100, 0) + times("old", 90, 10), False),
    "nobody waits for the canary": ("latency", times("new", 0, 0) + times("old", 90, 10), None),
    "nobody waits for the stable one": ("latency", times("new", 90, 10) + times("old", 0, 0), None),
    "others are predicted": ("drift", predicted("new", 10, 90) + predicted("old", 50, 50), True),
    "the same are predicted": ("drift", predicted("new", 55, 45) + predicted("old", 50, 50), False),
    "lower ones are predicted": ("drift", predicted("new", 90, 10) + predicted("old", 50, 50), True),
    "few predictions": ("drift", predicted("new", 1, 9) + predicted("old", 50, 50), None),
    "few predictions before": ("drift", predicted("new", 10, 90) + predicted("old", 5, 5), None),
}  # fmt: skip


def promtool(tmp_path: Path, *, upside_down: bool = False) -> str:
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": given,
            "promql_expr_test": [
                {
                    "expr": f"({query(metric)}) > bool {ARGUMENTS[LIMITS[metric]]}",
                    "eval_time": "1h",
                    "exp_samples": []
                    if (breaks is None) is not upside_down
                    else [{"labels": "{}", "value": int(bool(breaks))}],
                }
            ],
        }
        for name, (metric, given, breaks) in ASKED.items()
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": tests}), "utf-8")
    done = subprocess.run(
        [toolchain.ensure("promtool"), "test", "rules", file],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_prometheus_answers_whether_the_canary_is_worse(tmp_path: Path) -> None:
    assert {metric for metric, *_ in ASKED.values()} == {one["name"] for one in ANALYSIS["metrics"]}
    assert promtool(tmp_path) == ""
    assert promtool(tmp_path, upside_down=True).count("exp: ") == len(ASKED)


@pytest.mark.parametrize("metric", [one["name"] for one in ANALYSIS["metrics"]])
def test_what_says_nothing_is_inconclusive(metric: str) -> None:
    """Neither condition holds for an empty answer: success would promote what nobody asked."""
    (found,) = (one for one in ANALYSIS["metrics"] if one["name"] == metric)
    limit = f'asFloat("{{{{args.{LIMITS[metric]}}}}}")'
    assert found["successCondition"] == f"len(result) > 0 && result[0] <= {limit}"
    assert found["failureCondition"] == f"len(result) > 0 && result[0] > {limit}"
    assert found["inconclusiveLimit"] < found["count"]


def test_prometheus_has_what_is_asked_for() -> None:
    """The label by which the pods are told apart, and each metric, by its name and labels."""
    monitor = yaml.safe_load((TEMPLATE / "monitoring" / "podmonitor.yaml").read_text("utf-8"))
    assert monitor["spec"]["podTargetLabels"] == ["rollouts-pod-template-hash"]
    program = (TEMPLATE.parent / "model" / "src" / "diabetes" / "serve.py").read_text("utf-8")
    for name in set(re.findall(r"(\w+)\{job=", "".join(map(query, LIMITS)))):
        assert f'"{re.sub("_(total|bucket|count)$", "", name)}"' in program


PAGE = (Path(__file__).parents[2] / "docs" / "canary.md").read_text("utf-8")


def test_what_the_page_lets_a_person_write_is_built(clone: Path) -> None:
    shown = re.findall(r"(?ms)^ *```yaml\n(.*?)^ *```", PAGE)
    patches = [textwrap.dedent(text) for text in shown if "patches:" in text]
    assert len(patches) == 2
    found = more(clone, "canary-gateway", patches[0])
    assert one(found, "HTTPRoute")["spec"]["hostnames"] == ["diabetes.staging.example.com"]
    assert "path: spread.yaml" in patches[1]


def test_the_page_says_what_the_files_say() -> None:
    assert re.findall(r"^\| `../../([\w-]+)` \|", PAGE, re.M) == list(SWITCHES)
    shown = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+)(?: s)? \|$", PAGE, re.M)
    assert shown == [(metric, ARGUMENTS[limit]) for metric, limit in LIMITS.items()]
    (strategy,) = yaml.safe_load((TEMPLATE / "canary" / "strategy.yaml").read_text("utf-8"))
    steps = strategy["value"]["canary"]["steps"]
    assert [next(iter(step)) for step in steps] == ["setWeight", "pause", "analysis"] * 2
    assert [step["setWeight"] for step in steps[::3]] == [20, 50]
    for metric in ANALYSIS["metrics"]:
        said = (metric["count"], metric["interval"], metric["initialDelay"])
        limits = [
            metric[f"{name}Limit"] for name in ("failure", "inconclusive", "consecutiveError")
        ]
        assert (said, limits) == ((5, "1m", "1m"), [1, 2, 4])
    assert (ARGUMENTS["requests"], ARGUMENTS["predictions"]) == ("20", "200")
