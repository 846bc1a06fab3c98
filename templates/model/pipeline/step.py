"""Runs inside each task: a component's program, then tells Kubeflow what it put out.

A component knows nothing of Kubeflow. compile.py puts this file's text into the package, so it
needs the standard library only. Arguments: Kubeflow's executor input (JSON), the file of a metrics
artifact or `-`, and the program with its arguments.

The format is `ExecutorOutput` of kfp's pipeline_spec.proto. The UI shows a metrics artifact's
metadata, and compares it between runs. kfp's local runner knows of no artifacts but these.
"""

import json
import subprocess
import sys
from pathlib import Path

given, metrics, *program = sys.argv[1:]
status = subprocess.call(program)
if status:
    # A signal's number is negative, which is no exit code.
    sys.exit(status if status > 0 else 128 - status)
outputs = json.loads(given)["outputs"]
told = outputs.get("artifacts", {})
if metrics != "-":
    told["metrics"]["artifacts"][0]["metadata"] = json.loads(Path(metrics).read_text())
for entry in told.values():
    for artifact in entry["artifacts"]:
        artifact.pop("type", None)
file = Path(outputs["outputFile"])
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text(json.dumps({"artifacts": told}))
