"""Build everything in this repository that Argo CD or a person applies, one file each.

Usage: build_manifests.py FOLDER [ROOT], where FOLDER takes one NAME.yaml each. It needs kustomize on PATH.

- Each kustomization is built that is in a folder `overlays`, or that no other one takes. Where nothing is
  deployed yet, also as after the first deployment.
- Each kustomize Component is switched on, in a copy and alone, in each overlay of the nearest folder
  `overlays` above it. So one that nobody uses today can be switched on tomorrow. Where it does not go with an
  overlay's own patches, it is built without them.
- A YAML or JSON file with a manifest, in a folder without a kustomization (argocd/, policy/), is taken as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
NO_MANIFESTS = ("scripts",)  # at the top
PATCHES = ("patches", "patchesStrategicMerge", "patchesJson6902")
PART = "model-gitops/part-of-other-components"  # an annotation of one that is nothing by itself
NOT_DEPLOYED = "not-deployed-yet"

OTHER_KIND = (
    "Where canary, blue-green or kserve is on there is no Deployment to patch. Write a JSON patch with"
    " `target: {kind: Deployment|Rollout, name: …}`:"
    " https://github.com/model-gitops/model-gitops/blob/v0/docs/canary.md#change-what-an-overlay-says"
)


class BuildError(Exception):
    """A kustomization that can't be built: the text says which, and why."""


def kustomizations(root: Path) -> dict[Path, dict[str, Any]]:
    """Return each folder with a kustomization, and what it says."""
    found = {}
    for folder in folders(root):
        for name in NAMES:
            if (folder / name).is_file():
                try:
                    read = yaml.safe_load((folder / name).read_text("utf-8"))
                except yaml.YAMLError as error:
                    raise BuildError(f"{(folder / name).relative_to(root)}: {error}") from None
                found[folder] = read if isinstance(read, dict) else {}
    return found


def folders(root: Path) -> Iterator[Path]:
    """Yield the folders that may hold manifests."""
    for name, below, _ in os.walk(root):
        left_out = NO_MANIFESTS if Path(name) == root else ()
        below[:] = sorted(one for one in below if not one.startswith(".") and one not in left_out)
        if (Path(name) / "Chart.yaml").is_file():  # Helm's templates are no manifests yet
            below[:] = []
            continue
        yield Path(name)


def taken(found: dict[Path, dict[str, Any]]) -> set[Path]:
    """Return the folders that other kustomizations take."""
    return {
        Path(os.path.normpath(folder / str(entry)))
        for folder, says in found.items()
        for key in ("resources", "bases", "components")
        for entry in says.get(key) or []
    }


def overlays(root: Path, component: Path, found: dict[Path, dict[str, Any]]) -> list[Path]:
    """Return the overlays that a Component may be switched on in: of the nearest `overlays` above it."""
    for above in component.parents:
        near = [folder for folder in found if folder.parent == above / "overlays"]
        if near or above == root:
            return near
    return []


def build(root: Path, folder: Path) -> str:
    """Return what kustomize makes of a folder. Raises BuildError."""
    done = subprocess.run(
        ["kustomize", "build", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        told = f"{folder.relative_to(root)}: {done.stderr.strip()}"
        if 'strategic merge patch "Deployment' in told:
            told += f"\n{OTHER_KIND}"
        raise BuildError(told)
    return done.stdout


def changed(copy: Path, overlay: Path, change: dict[str, Any]) -> str:
    """Return what kustomize makes of an overlay with keys of its kustomization changed. Raises BuildError."""
    (file,) = (overlay / one for one in NAMES if (overlay / one).is_file())
    before = file.read_text("utf-8")
    file.write_text(yaml.safe_dump(yaml.safe_load(before) | change, sort_keys=False), "utf-8")
    try:
        return build(copy, overlay)
    finally:
        file.write_text(before, "utf-8")


def deployed(says: dict[str, Any]) -> dict[str, Any]:
    """Return the images of an overlay as after its first deployment, or nothing if it is deployed."""
    images = [one if isinstance(one, dict) else {} for one in says.get("images") or []]
    if not any(one.get("newTag") == NOT_DEPLOYED for one in images):
        return {}
    return {
        "images": [
            one | {"newTag": "v0", "digest": f"sha256:{'0' * 64}"}
            if one.get("newTag") == NOT_DEPLOYED
            else one
            for one in images
        ]
    }


def plain(root: Path, found: dict[Path, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file that is a manifest by itself."""
    for folder in folders(root):
        if any(one in found for one in (folder, *folder.parents)):
            continue
        for file in sorted(folder.iterdir()):
            if file.suffix in (".yaml", ".yml", ".json") and file.is_file():
                text = file.read_text("utf-8")
                if has_manifest(text, file.suffix):
                    yield label(file.relative_to(root).with_suffix("")), text


def has_manifest(text: str, suffix: str) -> bool:
    """Whether a file may have a manifest: kubectl takes each document with a kind."""
    needed = ("apiVersion", "kind") if suffix == ".json" else ("kind",)
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return suffix != ".json" and "\nkind:" in f"\n{text}"
    return any(isinstance(one, dict) and all(key in one for key in needed) for one in documents)


def label(path: Path) -> str:
    """Return a path as the name of a file."""
    return "-".join(path.parts) or "root"


def made(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and text of all that is built; writes into kustomizations of `root`. Raises BuildError."""
    found = kustomizations(root)
    used = taken(found)
    for folder, says in found.items():
        name = label(folder.relative_to(root))
        if says.get("kind") != "Component":
            if folder not in used or folder.parent.name == "overlays":
                yield name, build(root, folder)
                if change := deployed(says):
                    yield f"{name}-deployed", changed(root, folder, change)
            continue
        if PART in ((says.get("metadata") or {}).get("annotations") or {}):
            continue
        for overlay in overlays(root, folder, found):
            entry = os.path.relpath(folder, overlay)
            where = label(overlay.relative_to(root))
            # Alone: two that make the same Deployment something else exclude each other.
            change = deployed(found[overlay]) | {"components": [entry]}
            patches = {key: [] for key in PATCHES if found[overlay].get(key)}
            try:
                built = changed(root, overlay, change)
            except BuildError as error:
                try:
                    built = changed(root, overlay, change | patches)
                except BuildError:
                    raise BuildError(f"with `components: [{entry}]`: {error}") from None
                why = str(error).splitlines()[0]
                print(f"{where}: its own patches don't go with {name}: {why}")
            yield f"{where}-with-{name}", built
    yield from plain(root, found)


def main() -> int:
    """Write what is built."""
    target = Path(sys.argv[1])
    root = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    if not shutil.which("kustomize"):
        print(
            "::error::kustomize is not on PATH: see https://kubectl.docs.kubernetes.io/installation"
        )
        return 1
    try:
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name).resolve() / "copy"
            shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*"), symlinks=True)
            titles: Counter[str] = Counter()
            for title, text in made(copy):
                titles[title] += 1  # of x.yaml and x.yml both are applied
                number = f"-{titles[title]}" if titles[title] > 1 else ""
                (target / f"{title}{number}.yaml").write_text(text, "utf-8")
    except BuildError as error:
        print(
            "::error title=kustomize build::" + str(error).replace("%", "%25").replace("\n", "%0A")
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
