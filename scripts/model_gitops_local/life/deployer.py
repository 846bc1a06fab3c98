"""What stands in for Argo CD and a cluster: runs on this machine what the deploy repository says.

It reads the branch as Argo CD does, builds each overlay with kustomize, and lets one container of each
Deployment answer at a port of its own, with the restrictions of the template. It is told nothing else.
"""

from __future__ import annotations

import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.errors import ActionError, ExternalError
from model_gitops_local.engine import Engine

_POLL_SECONDS = 1.0
_PORT = "8080"
# Where the image keeps the log of requests.
_LOG = "/tmp/requests"  # noqa: S108 - in the container


@dataclass(frozen=True)
class Pod:
    """What an overlay wants to run: one container of its Deployment."""

    image: str
    env: tuple[tuple[str, str], ...]
    command: tuple[str, ...]


@dataclass
class Place:
    """One environment: the overlay's folder, its port on loopback, and the folder of its request log."""

    overlay: str
    port: int
    logs: Path
    runs: Pod | None = None
    container: str = ""

    @property
    def url(self) -> str:
        """Where its service answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Synced:
    """That an environment came to run another image, by which commit, and when (monotonic seconds)."""

    environment: str
    image: str
    commit: str
    at: float


@dataclass
class Deployer:
    """Follows `branch` of the bare repository `deploy`. `on_sync` hears of each change."""

    engine: Engine
    kustomize: Path
    deploy: Git
    places: Mapping[str, Place]
    folder: Path
    branch: str = "main"
    on_sync: Callable[[Synced], None] = lambda synced: None
    events: list[Synced] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: str = ""

    def start(self) -> None:
        """Follow the branch from now on."""
        self._thread = threading.Thread(target=self._follow, name="deployer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following, and all that runs."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for place in self.places.values():
            self._remove(place)

    def sync(self) -> None:
        """Let each environment run what the branch's tip says. Raises ExternalError."""
        tip = self.deploy.commit_of(f"refs/heads/{self.branch}") or ""
        if not tip or tip == self._seen:
            return
        manifests = self._checked_out(tip)
        for name, place in self.places.items():
            built = process.run([self.kustomize, "build", manifests / place.overlay]).stdout
            wanted = pod_of(built)
            if wanted == place.runs:
                continue
            self._remove(place)
            if wanted is not None:
                place.container = self._run(name, place, wanted)
            place.runs = wanted
            synced = Synced(name, wanted.image if wanted else "", tip, time.monotonic())
            self.events.append(synced)
            self.on_sync(synced)
        self._seen = tip

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self.sync()
            except ActionError as error:
                # As Argo CD does: said, and tried again.
                self.problems.append(error.message)

    def _checked_out(self, tip: str) -> Path:
        folder = self.folder / "manifests"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = self.folder / "manifests.tar"
        self.deploy.run("archive", "--format=tar", f"--output={archive}", tip)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        return folder

    def _run(self, name: str, place: Place, pod: Pod) -> str:
        place.logs.mkdir(parents=True, exist_ok=True)
        place.logs.chmod(0o777)  # the service's account is none of this machine
        variables = [word for key, value in pod.env for word in ("--env", f"{key}={value}")]
        started = self.engine.docker(
            "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--user", "10001:10001",  # noqa: S108
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--volume", f"{place.logs}:{_LOG}", "--label", f"model-gitops-life={name}",
            "--publish", f"127.0.0.1:{place.port}:{_PORT}", *variables, pod.image, *pod.command,
        )  # fmt: skip
        return started.stdout.strip()

    def _remove(self, place: Place) -> None:
        if place.container:
            self.engine.docker("rm", "--force", place.container, check=False)
        place.container, place.runs = "", None


def pod_of(manifests: str) -> Pod | None:
    """Return what the one Deployment of rendered `manifests` runs; None for no pod. Raises ExternalError."""
    found = [one for one in documents(manifests) if one.get("kind") == "Deployment"]
    if len(found) != 1:
        raise ExternalError(f"an overlay has {len(found)} Deployments, not one")
    spec = found[0]["spec"]
    if spec.get("replicas") == 0:
        return None
    container = spec["template"]["spec"]["containers"][0]
    return Pod(
        container["image"],
        tuple((one["name"], str(one.get("value", ""))) for one in container.get("env", ())),
        tuple(container.get("command", ())),
    )


def documents(manifests: str) -> Sequence[Mapping[str, Any]]:
    """Return the YAML documents of what kustomize wrote."""
    texts = manifests.split("\n---\n")
    return [document.mapping(document.load_yaml(one, source="kustomize build")) for one in texts]
