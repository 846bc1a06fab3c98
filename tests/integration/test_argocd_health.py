"""What Argo CD itself says of the health of the template's custom kinds: its own scripts, in its own interpreter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from manifest_checks import TABLE

from model_gitops.adapters import process
from model_gitops_local import toolchain

(ARGO_CD,) = (
    f"{one['module']}@{one['version']}"
    for one in TABLE["custom-resources"]
    if one["module"].startswith("github.com/argoproj/argo-cd/")
)
# usage: health SCRIPT < object: the status that the script gives.
PROGRAM = """\
package main

import (
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
)

func value(state *lua.LState, given any) lua.LValue {
	switch one := given.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range one {
			table.RawSetString(key, value(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range one {
			table.Append(value(state, item))
		}
		return table
	case string:
		return lua.LString(one)
	case float64:
		return lua.LNumber(one)
	case bool:
		return lua.LBool(one)
	}
	return lua.LNil
}

func main() {
	var object any
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		panic(err)
	}
	state := lua.NewState()
	state.SetGlobal("obj", value(state, object))
	if err := state.DoFile(os.Args[1]); err != nil {
		panic(err)
	}
	fmt.Print(state.Get(-1).(*lua.LTable).RawGetString("status"))
}
"""
GO = {"GO111MODULE": "on", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}


@pytest.fixture(scope="module")
def scripts() -> Path:
    """The folder of Argo CD's scripts, of the version whose schemas the template is checked with."""
    words = [toolchain.ensure("go"), "mod", "download", "-json", ARGO_CD]
    return Path(json.loads(process.run(words, env=GO).stdout)["Dir"]) / "resource_customizations"


@pytest.fixture(scope="module")
def program(scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("health")
    (interpreter,) = (
        line.strip()
        for line in (scripts.parent / "go.mod").read_text("utf-8").splitlines()
        if "yuin/gopher-lua v" in line
    )
    (folder / "main.go").write_text(PROGRAM, "utf-8")
    (folder / "go.mod").write_text(f"module health\n\ngo 1.24\n\nrequire {interpreter}\n", "utf-8")
    words = [toolchain.ensure("go"), "build", "-o", "health", "."]
    process.run(words, cwd=folder, env=GO, timeout=300)
    return folder / "health"


def condition(kind: str, status: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": "x", "message": "x"}]}


RUNS = {"replicas": 1}
CASES = [
    ("argoproj.io/Rollout", RUNS, {"phase": "Healthy"}, "Healthy"),
    ("argoproj.io/Rollout", RUNS, {"phase": "Paused", "message": "CanaryPauseStep"}, "Suspended"),
    ("argoproj.io/Rollout", RUNS, {"phase": "Degraded", "message": "RolloutAborted"}, "Degraded"),
    ("argoproj.io/Rollout", RUNS, {"phase": "Progressing"}, "Progressing"),
    ("argoproj.io/CronWorkflow", {}, {}, "Healthy"),
    ("argoproj.io/CronWorkflow", {}, {"failed": 3, "phase": "Active"}, "Healthy"),
    ("argoproj.io/CronWorkflow", {}, condition("SubmissionError", "True"), "Degraded"),
    ("argoproj.io/CronWorkflow", {}, condition("SpecError", "True"), "Degraded"),
    ("serving.kserve.io/InferenceService", {}, condition("PredictorReady", "True"), "Healthy"),
    (
        "serving.kserve.io/InferenceService",
        {},
        condition("PredictorReady", "Unknown"),
        "Progressing",
    ),
    (
        "serving.kserve.io/InferenceService",
        {},
        {
            **condition("PredictorReady", "False"),
            "modelStatus": {"transitionStatus": "BlockedByFailedLoad"},
        },
        "Degraded",
    ),
]


def test_a_workflow_template_has_no_health(scripts: Path) -> None:
    assert (scripts / "argoproj.io" / "WorkflowTemplate").is_dir()
    assert not (scripts / "argoproj.io" / "WorkflowTemplate" / "health.lua").exists()


@pytest.mark.parametrize(("kind", "spec", "status", "health"), CASES)
def test_argo_cd_knows_the_health_of_what_the_template_has(
    program: Path,
    scripts: Path,
    kind: str,
    spec: dict[str, Any],
    status: dict[str, Any],
    health: str,
) -> None:
    observed = {**status, "observedGeneration": "1"}
    one = {"metadata": {"generation": 1}, "spec": spec, "status": observed}
    words = [program, scripts / kind / "health.lua"]
    assert process.run(words, input=json.dumps(one)).stdout == health
