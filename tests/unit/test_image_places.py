"""Where a build takes its files from: a branch names the folders, and none leads out of the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.actions.build_push_image import inputs
from model_gitops.errors import InputError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("checkout/models", "credentials/below"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "checkout" / "link").symlink_to("../credentials")
    (tmp_path / "checkout" / "inner").symlink_to("models")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.mark.parametrize("place", ["link", "link/below", "models/../link"])
def test_a_link_that_leads_out_is_refused(checkout: Path, place: str) -> None:
    for given in (place, f"oci-layout://{place}:v1"):
        with pytest.raises(InputError, match="leads out of the working directory"):
            inputs.named_contexts(f"model={given}")
    with pytest.raises(InputError, match="leads out of the working directory"):
        inputs.context_folder(place)


def test_other_folders_are_taken(checkout: Path) -> None:
    assert inputs.context_folder("") == checkout
    assert inputs.context_folder("inner") == checkout / "models"
    # What a workflow itself names may be anywhere.
    outside = checkout.parent / "credentials"
    found = inputs.named_contexts(f"model=models\ndata={outside}\nbase=docker-image://debian")
    assert found == {
        "model": str(checkout / "models"),
        "data": str(outside),
        "base": "docker-image://debian",
    }
