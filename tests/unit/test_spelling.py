from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.flow import promotion, spelling
from model_gitops.errors import InputError

FLOW: dict[str, Any] = {
    "model": "m",
    "image": "r.example/m",
    "environments": [{"name": "dev", "branch": "main"}],
}


@pytest.mark.parametrize(
    ("path", "folder", "found"),
    [
        ("eval/m.json", "", "eval/m.json"),
        ("./eval//m.json", "a/b", "a/b/eval/m.json"),
        ("../m.json", "a/b", "a/m.json"),
        ("../../m.json", "a/b", "m.json"),
        ("..m.json", "", "..m.json"),
    ],
)
def test_a_path_starts_in_the_folder_of_promotion_yaml(path: str, folder: str, found: str) -> None:
    assert spelling.from_top(path, folder, "metric") == found


@pytest.mark.parametrize(
    ("path", "folder"), [("../m.json", ""), ("..", ""), ("../../m.json", "a"), ("/etc/m.json", "a")]
)
def test_a_path_out_of_the_repository_is_refused(path: str, folder: str) -> None:
    with pytest.raises(InputError, match="leads out of the repository"):
        spelling.from_top(path, folder, "metric")


@pytest.mark.parametrize(
    ("name", "folder", "full"),
    [
        ("m", "", "m"), ("m", "a/b", "a/b:m"), ("a:m", "b", "a:m"), ("dvc.yaml:m", "a", "m"),
        ("b/dvc.yaml:m", "a", "b:m"), ("x/m", "a", "a:x/m"),
    ],
)  # fmt: skip
def test_a_plain_name_is_of_the_folder(name: str, folder: str, full: str) -> None:
    found = promotion.parse({**FLOW, "model": name}, folder=folder)
    assert (found.model, found.folder) == (full, folder)
    assert found.name == full.rpartition(":")[2]
    assert spelling.model_name(spelling.shown_name(full, folder), folder) == full


@pytest.mark.parametrize(
    ("name", "folder", "says"),
    [
        ("m", "my proj", "GTO would call it my proj:m, and takes no folder of that name"),
        ("../b:m", "a", "it is no name that GTO accepts"),
        ("m.bin", "a", "it is no name that GTO accepts"),
    ],
)
def test_a_name_that_gto_does_not_take(name: str, folder: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        promotion.parse({**FLOW, "model": name}, folder=folder)


def test_paths_from_the_top_are_found_and_written_anew() -> None:
    document = {
        **FLOW,
        "gate": [{"metric": "a/b/m.json:r2", "better": "higher"}, {"metric": "n.json:x", "better": "lower"}],
        "metrics": {"a/b/./k.json:x": "lower", "a/b": "higher"},
        "compare": {"predictions": "a/b/p.csv", "slices": "a/b/c"},
    }  # fmt: skip
    old = spelling.from_the_top(document, "a/b")
    assert old == {"a/b/m.json": "m.json", "a/b/k.json": "k.json", "a/b/p.csv": "p.csv"}
    new = spelling.rewritten(document, old)
    assert new["gate"][0]["metric"] == "m.json:r2"
    assert new["gate"][1] == document["gate"][1]
    assert new["metrics"] == {"k.json:x": "lower", "a/b": "higher"}
    assert new["compare"] == {"predictions": "p.csv", "slices": "a/b/c"}
    assert spelling.from_the_top(document, "") == {}
    assert spelling.from_the_top(document, "a/bc") == {}
