"""Train and predict on a small real sample, through the pipeline's own command lines.

Everything happens in a temporary folder; nothing tracked is touched. It says in seconds whether
the stages still fit together, before the full training is paid for.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = 100  # patients to train on
MODEL = "models/sample.onnx"


def stage(name: str, folder: Path, *arguments: str) -> None:
    """Run one stage as dvc.yaml does, in `folder`."""
    program = ROOT / "src" / "diabetes" / f"{name}.py"
    subprocess.run([sys.executable, str(program), *arguments], cwd=folder, check=True)


def main() -> int:
    """Smoke-test the pipeline and the serving application; 0 is good."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        stage("prepare", folder)
        sample = folder / "data" / "train.csv"
        sample.write_text("\n".join(sample.read_text().splitlines()[: SAMPLE + 1]) + "\n")
        stage("train", folder, MODEL)
        stage("evaluate", folder, MODEL)
        metrics = json.loads((folder / "eval" / "metrics.json").read_text())
        print(f"smoke: trained on {SAMPLE} patients: {metrics}")
        if not all(math.isfinite(value) for value in metrics.values()):
            print("smoke: a metric is not finite", file=sys.stderr)
            return 1

        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        sys.path.insert(0, str(ROOT / "src"))
        from diabetes.serve import create_app

        request = json.loads((ROOT / "tests" / "smoke-request.json").read_text())
        client = create_app(folder / MODEL).test_client()
        answer = client.post("/predict", json=request)
        if answer.status_code != 200:
            print(f"smoke: /predict says {answer.status_code}: {answer.text}", file=sys.stderr)
            return 1
        print(f"smoke: predicted {answer.json['predictions']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
