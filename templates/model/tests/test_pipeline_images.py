from pathlib import Path

import pytest
from images import NotReadyError, images_of

DIGEST = "sha256:" + "a" * 64
GOOD = f"images:\n- name: m-train\n  newName: r.example/m-train\n  newTag: v1\n  digest: {DIGEST}\n"


def write(folder: Path, text: str, name: str = "kustomization.yaml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_an_image_is_its_name_and_digest(tmp_path: Path) -> None:
    found = images_of(write(tmp_path, GOOD), "m", ["train"])
    assert found == {"train": f"r.example/m-train@{DIGEST}"}
    assert images_of(tmp_path / "kustomization.yaml", "m", ["train"]) == found


def test_each_name_of_a_kustomization_is_found(tmp_path: Path) -> None:
    assert images_of(write(tmp_path, GOOD, "Kustomization"), "m", ["train"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("v1", "not-deployed-yet"), "not deployed yet"),
        (GOOD.replace(f"  digest: {DIGEST}\n", ""), "has no digest"),
        (GOOD.replace(DIGEST, "sha256:short"), "has no digest"),
        (GOOD.replace("m-train\n  newN", "other\n  newN"), "no such entry"),
        ("", "no such entry"),
        ("- a list\n", "can be read"),
        ("images: [", "can be read"),
    ],
)
def test_what_is_not_ready_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(NotReadyError, match=said):
        images_of(write(tmp_path, text), "m", ["train"])


def test_a_folder_without_a_kustomization_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="can be read"):
        images_of(tmp_path, "m", ["train"])
