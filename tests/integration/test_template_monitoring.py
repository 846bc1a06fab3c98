"""The deploy template's optional monitoring: what kustomize builds of it, what its rules say, what Grafana shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_checks import problems

from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"
MONITORING = TEMPLATE / "monitoring"
ENVIRONMENTS = ("dev", "staging", "production")
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
MINUTES = 60


def build(folder: Path) -> list[dict[str, Any]]:
    words = [toolchain.ensure("kustomize"), "build", folder]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_is_off_and_one_line_turns_it_on(tmp_path: Path, name: str) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "deploy")
    overlay = tmp_path / "deploy" / "overlays" / name
    before = {one["kind"] for one in build(overlay)}
    assert not before & {"PrometheusRule", "PodMonitor", "ConfigMap"}
    with (overlay / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write("components: [../../monitoring]\n")
    after = {one["kind"]: one for one in build(overlay)}
    assert set(after) - before == {"PrometheusRule", "PodMonitor", "ConfigMap"}
    for kind in set(after) - before:
        assert after[kind]["metadata"]["namespace"] == f"diabetes-{name}"
    shown = after["ConfigMap"]
    assert json.loads(shown["data"]["dashboard.json"]) == DASHBOARD
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    # What is scraped is what runs, on the port that it has.
    pod = after["Deployment"]["spec"]["template"]
    wanted = after["PodMonitor"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= pod["metadata"]["labels"].items()
    (endpoint,) = after["PodMonitor"]["spec"]["podMetricsEndpoints"]
    (port,) = pod["spec"]["containers"][0]["ports"]
    assert endpoint["port"] == port["name"]
    assert pod["metadata"]["labels"][after["PodMonitor"]["spec"]["jobLabel"]] == "diabetes"


@pytest.mark.parametrize("kind", ["prometheusrule", "podmonitor"])
def test_the_operator_knows_each_field(kind: str) -> None:
    name = "alerts" if kind == "prometheusrule" else "podmonitor"
    resource = yaml.safe_load((MONITORING / f"{name}.yaml").read_text("utf-8"))
    assert resource["kind"].lower() == kind
    assert problems(resource) == []
    place = resource["spec"]["groups"][0]["rules"][0] if name == "alerts" else resource["spec"]
    place["annotation"] = {}
    assert ["annotation" in error for error in problems(resource)] == [True]


def promtool(verb: str, file: Path) -> str:
    words = [toolchain.ensure("promtool"), verb, "rules", file]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_prometheus_reads_every_rule_and_every_query(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(RULES["spec"]), "utf-8")
    assert promtool("check", file) == ""
    shown = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(queries())
    ]
    assert len(shown) > 10
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": shown}]}), "utf-8")
    assert promtool("check", file) == ""
    shown[0]["expr"] += ")"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": shown}]}), "utf-8")
    assert "could not parse expression" in promtool("check", file)


def queries() -> list[str]:
    """Return what the dashboard asks Prometheus for."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return panels + [one["expr"] for one in DASHBOARD["annotations"]["list"]]


def series(name: str, values: str, /, **labels: str) -> dict[str, str]:
    told = {"job": "diabetes", "namespace": "here", "pod": "a"} | labels
    return {
        "series": name + "{" + ",".join(f'{key}="{value}"' for key, value in told.items()) + "}",
        "values": values,
    }


def answers(status: str, each_minute: float, **labels: str) -> dict[str, str]:
    told = {"route": "/predict", "method": "POST", "status": status} | labels
    return series("http_requests_total", f"0+{each_minute}x3000", **told)


def times(quick: int, slow: int) -> list[dict[str, str]]:
    """So many answers a minute within 0.1 s, and so many within 0.5 s."""
    found = {"0.1": quick, "0.25": quick, "0.5": quick + slow, "+Inf": quick + slow}
    return [
        series("http_request_duration_seconds_bucket", f"0+{n}x3000", route="/predict", le=le)
        for le, n in found.items()
    ]


def predicted(before: int, after: int) -> list[dict[str, str]]:
    """A mean of `before` for 40 hours, then of `after` for 9 hours, one prediction a minute."""
    return [
        series("model_prediction_value_count", "0+1x3000"),
        series("model_prediction_value_sum", f"0+{before}x2400 {before * 2400}+{after}x540"),
    ]


MODEL = {"name": "diabetes", "version": "v1"}
ALERTS = {
    "2 % with 500": ("ModelAnswersWithErrors", [answers("200", 98), answers("500", 2)], True),
    "0.5 % with 500": ("ModelAnswersWithErrors", [answers("200", 199), answers("500", 1)], False),
    "another service's errors": ("ModelAnswersWithErrors", [answers("500", 9, job="x")], False),
    "probes that fail": ("ModelAnswersWithErrors", [answers("500", 9, route="none")], False),
    "no error yet": ("ModelAnswersWithErrors", [answers("200", 9)], False),
    "a tenth is slow": ("ModelAnswersSlowly", times(90, 10), True),
    "a hundredth is slow": ("ModelAnswersSlowly", times(99, 1), False),
    "a third is refused": ("ModelRefusesRequests", [answers("200", 2), answers("400", 1)], True),
    "a tenth is refused": ("ModelRefusesRequests", [answers("200", 9), answers("400", 1)], False),
    "the model went": ("ModelIsGone", [series("model_info", "1x100 _x100", **MODEL, hash="a")], True),
    "the model is still gone": (
        "ModelIsGone", [series("model_info", "1x20 _x200", **MODEL, hash="a")], True,
    ),
    "the model stays": ("ModelIsGone", [series("model_info", "1x3000", **MODEL, hash="a")], False),
    "nobody asks any more": (
        "NobodyAsksTheModel", [series("model_predictions_total", "0+5x2400 12000x600")], True,
    ),
    "nobody ever asked": ("NobodyAsksTheModel", [series("model_predictions_total", "0x3000")], False),
    "predictions moved": ("PredictionsHaveMoved", predicted(150, 200), True),
    "predictions are as ever": ("PredictionsHaveMoved", predicted(150, 155), False),
    "two models": (
        "SeveralModelsAnswer",
        [series("model_info", "1x3000", **MODEL, hash=h, pod=h) for h in ("a", "b")], True,
    ),
    "two pods": (
        "SeveralModelsAnswer",
        [series("model_info", "1x3000", **MODEL, hash="a", pod=pod) for pod in ("a", "b")], False,
    ),
    "lines are lost": ("RequestLogLosesLines", [series("request_log_lines_total", "0+1x3000", result="lost")], True),
    "lines are written": (
        "RequestLogLosesLines",
        [series("request_log_lines_total", "0+9x3000", result="written"),
         series("request_log_lines_total", "0x3000", result="lost")], False,
    ),
}  # fmt: skip


SLOW = ("NobodyAsksTheModel", "PredictionsHaveMoved")


def test_each_alert_comes_when_it_should_and_not_before(tmp_path: Path) -> None:
    """Prometheus' own evaluation, hours on."""
    rules = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]
    assert {name for name, _, fires in ALERTS.values() if fires} == {one["alert"] for one in rules}
    labels = {one["alert"]: one["labels"] for one in rules}
    plain = [{key: one[key] for key in one if key != "annotations"} for one in rules]
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "diabetes", "rules": plain}]}), "utf-8"
    )

    def tests(*, upside_down: bool = False) -> str:
        made = [
            {
                "name": name,
                "interval": "1m",
                "input_series": given,
                "alert_rule_test": [
                    {
                        "eval_time": "49h" if alert in SLOW else "2h",
                        "alertname": alert,
                        "exp_alerts": [{"exp_labels": labels[alert] | {"namespace": "here"}}]
                        if fires is not upside_down
                        else [],
                    }
                ],
            }
            for name, (alert, given, fires) in ALERTS.items()
        ]
        file = tmp_path / "tests.yaml"
        document = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": made}
        file.write_text(yaml.safe_dump(document), "utf-8")
        return promtool("test", file)

    assert tests() == ""
    assert tests(upside_down=True).count("    name: ") == len(ALERTS)


def test_what_an_alert_says(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]), "utf-8")
    (rule,) = (
        one
        for one in RULES["spec"]["groups"][0]["rules"]
        if one["alert"] == "ModelAnswersWithErrors"
    )
    said = {
        "summary": "2% of the answers in here are errors",
        "description": rule["annotations"]["description"],
    }
    document = {
        "rule_files": ["rules.yaml"], "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m", "input_series": [answers("200", 98), answers("500", 2)],
            "alert_rule_test": [{
                "eval_time": "30m", "alertname": rule["alert"],
                "exp_alerts": [{"exp_labels": rule["labels"] | {"namespace": "here"}, "exp_annotations": said}],
            }],
        }],
    }  # fmt: skip
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), "utf-8")
    assert promtool("test", tmp_path / "tests.yaml") == ""


def test_grafana_can_lay_the_dashboard_out() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= 24
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["type"] in {"stat", "timeseries", "table", "heatmap"}
        assert panel["title"] and panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    known = {one["name"] for one in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__all"}
    assert used == known
    # Importing it twice makes one dashboard, and it is nobody's instance that it was exported from.
    assert DASHBOARD["uid"] == "diabetes-model"
    assert "id" not in DASHBOARD
