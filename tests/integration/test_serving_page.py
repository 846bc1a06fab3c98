"""docs/how-to/serving.md: real kustomize builds what the page shows, and says what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model_gitops.adapters import process
from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image

pytestmark = pytest.mark.usefixtures("tools_on_path")
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serving.md"
DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("heading", "line"),
    [
        ("An image in a field of its own", f"image: ghcr.io/acme/churn:v2@{DIGEST}"),
        ("The address of a model", f"storageUri: oci://ghcr.io/acme/churn:v2@{DIGEST}"),
    ],
)
def test_a_bump_reaches_the_field(tmp_path: Path, heading: str, line: str) -> None:
    part = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", part, re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    overlay = tmp_path / "overlays" / "dev" / "kustomization.yaml"
    wanted = Image("churn", "", "v2", DIGEST)
    overlay.write_text(kustomization_edit.edit(overlay.read_text(), [wanted], source="overlay"))
    built = process.run(["kustomize", "build", overlay.parent]).stdout
    assert [one.strip() for one in built.splitlines() if "ghcr.io" in one] == [line]
    assert "kind: PodTemplate" not in built
