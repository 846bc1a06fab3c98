"""The Docker engine, by its SDK: a container under test."""

from __future__ import annotations

import http.client
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from model_gitops.core.image.smoke import Request, SmokeTest
from model_gitops.errors import ExternalError, RefusedError

# On a container under test, and its network: when it can only be a leftover, in seconds since 1970.
_UNTIL_LABEL = "io.model-gitops.smoke-test.until"
_CLOCKS_DIFFER_SECONDS = 600
_LARGEST_ANSWER = 10 * 1024 * 1024


class Container:
    """A started container, shut in as production would: see `Engine.start`."""

    def __init__(self, container: Any, host: str, port: int, network: str) -> None:
        """Ask at `port` of the container in `network`, or where that is published on `host`."""
        self._container = container
        self._host = host
        self._port = port
        self._network = network

    def state(self) -> tuple[str, str]:
        """Return (`running`, `exited`, …) and the image's HEALTHCHECK's word, or an empty string.

        Raises ExternalError where the engine does not answer any more.
        """
        with _engine_errors("say how the container is"):
            self._container.reload()
        state = self._container.attrs["State"]
        if state["Status"] == "exited":
            return f"exited with status {state.get('ExitCode')}", ""
        return str(state["Status"]), str((state.get("Health") or {}).get("Status", ""))

    def ask(self, request: Request, timeout: float) -> tuple[int, bytes]:
        """Send `request`; return the status and body. Raises OSError or HTTPException."""
        # No urllib: a proxy of the environment must not stand between us and the loopback.
        host, port = self._address()
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST_ANSWER)
        finally:
            connection.close()

    def _address(self) -> tuple[str, int]:
        settings = self._container.attrs["NetworkSettings"]
        if self._network:
            host = settings["Networks"].get(self._network, {}).get("IPAddress", "")
            port = self._port if host else 0
        else:
            published = (settings["Ports"] or {}).get(f"{self._port}/tcp") or [{}]
            host, port = self._host, int(published[0].get("HostPort", 0))
        if not port:
            raise ConnectionError(f"port {self._port} is not open yet")
        return host, port

    def log(self) -> str:
        """Return the last lines that the container wrote. Raises ExternalError as `state`."""
        with _engine_errors("show the container's log"):
            raw: bytes = self._container.logs(tail=200)
        return raw.decode("utf-8", errors="replace")


class Engine:
    """The Docker engine, by its SDK."""

    def __init__(self, host: str) -> None:
        """Connect. Raises ExternalError where no engine answers."""
        import docker
        import requests

        try:
            # The SDK knows nothing of docker contexts, so it is told the address.
            self._client: Any = docker.from_env(
                environment={**os.environ, **({"DOCKER_HOST": host} if host else {})}
            )
            self._version = self._client.version()
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise ExternalError(
                f"no Docker engine answers, and the smoke test needs one: {error}",
                fix="start the engine (systemctl start docker), or set DOCKER_HOST to its address",
            ) from error
        parts = urlsplit(host)
        self._remote = parts.hostname if parts.scheme in ("tcp", "ssh") and parts.hostname else ""

    def _reaches_containers(self) -> bool:
        """Whether the addresses of containers are of this machine: of no other, and of no VM on it."""
        with _engine_errors("say what it is"):
            about = self._client.info()
        rootless = any("rootless" in str(one) for one in about.get("SecurityOptions") or ())
        is_desktop = "desktop" in str(about.get("OperatingSystem", "")).lower()
        return sys.platform == "linux" and not (self._remote or rootless or is_desktop)

    @property
    def platform(self) -> str:
        """The engine's own platform, such as `linux/amd64`."""
        return f"{self._version.get('Os', 'linux')}/{self._version.get('Arch', 'amd64')}"

    def image_id(self, reference: str) -> str:
        """Return the ID of a loaded image. Raises ExternalError where there is none."""
        import docker

        try:
            return str(self._client.images.get(reference).id)
        except docker.errors.DockerException as error:
            raise ExternalError(
                f"the builder did not load the image into the engine: {error}",
                fix="builder and engine must be on the same machine, see `docker buildx ls`",
            ) from error

    def has_image(self, reference: str) -> bool:
        """Whether the engine's store holds `reference`. Raises ExternalError as `state`."""
        import docker

        with _engine_errors("say which images it has"):
            try:
                self._client.images.get(reference)
            except docker.errors.ImageNotFound:
                return False
        return True

    @contextmanager
    def start(self, reference: str, test: SmokeTest) -> Iterator[Container]:
        """Start an image without privileges and without a way out; remove the container after.

        Its network is of its own and leads nowhere: we ask it there. An engine that is elsewhere (on
        another machine, in a VM, rootless) publishes a port instead, and its container may reach
        the network. Raises ExternalError where the engine can't start it.
        """
        import docker

        self._remove_leftovers()
        labels = {_UNTIL_LABEL: str(int(time.time() + _longest(test)))}
        with self._network(labels) as network:
            # Loopback only, the engine chooses the port. A remote engine has another loopback.
            published = ("0.0.0.0" if self._remote else "127.0.0.1", None)  # noqa: S104
            reached = (
                {"network": network} if network else {"ports": {f"{test.port}/tcp": published}}
            )
            with _engine_errors("make a container of the image"):
                container = self._client.containers.create(
                    reference,
                    list(test.command) or None,
                    name=f"model-gitops-smoke-{uuid.uuid4().hex[:12]}",
                    labels=labels,
                    environment=dict(test.env),
                    read_only=test.read_only,
                    tmpfs=dict.fromkeys(test.tmpfs, "mode=1777"),
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                    pids_limit=512,
                    **reached,
                )
            try:
                # A command that does not exist shows as `created` with an error: told by state().
                with _engine_errors("start the container"), suppress(docker.errors.APIError):
                    container.start()
                yield Container(container, self._remote or "127.0.0.1", test.port, network)
            finally:
                with suppress(ExternalError), _engine_errors("remove the container"):
                    container.remove(force=True, v=True)

    @contextmanager
    def _network(self, labels: Mapping[str, str]) -> Iterator[str]:
        """Make a network without a way out; an empty string where we could not reach into it."""
        if not self._reaches_containers():
            yield ""
            return
        with _engine_errors("make a network"):
            made = self._client.networks.create(
                f"model-gitops-smoke-{uuid.uuid4().hex[:12]}", internal=True, labels=dict(labels)
            )
        try:
            yield str(made.name)
        finally:
            with suppress(ExternalError), _engine_errors("remove the network"):
                made.remove()

    def _remove_leftovers(self) -> None:
        """Remove what tests that were killed left: what is past the end that it could have."""
        filters = {"label": _UNTIL_LABEL}
        with suppress(ExternalError), _engine_errors("list what it has"):
            for one in self._client.containers.list(all=True, filters=filters):
                if _is_leftover(one.labels):
                    with suppress(ExternalError), _engine_errors("remove the container"):
                        one.remove(force=True, v=True)
            for one in self._client.networks.list(filters=filters):
                if _is_leftover(one.attrs.get("Labels") or {}):
                    with suppress(ExternalError), _engine_errors("remove the network"):
                        one.remove()

    def remove_image(self, reference: str) -> None:
        """Remove a name, and the image if no other name holds it. Never fails."""
        with suppress(ExternalError), _engine_errors("remove the image"):
            self._client.images.remove(reference, force=False)


def _is_leftover(labels: Mapping[str, str]) -> bool:
    until = labels.get(_UNTIL_LABEL, "")
    return until.isdecimal() and int(until) < time.time()


def _longest(test: SmokeTest) -> float:
    """Return the seconds after which no container of this test can still be of use."""
    return test.timeout * (len(test.requests) + 1) + _CLOCKS_DIFFER_SECONDS


@contextmanager
def _engine_errors(doing: str) -> Iterator[None]:
    """Turn what the SDK raises, also of an engine that has gone, into ExternalError.

    Raises RefusedError where the image has nothing to start.
    """
    import docker
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        if "no command specified" in str(error).lower():
            raise RefusedError(
                "the smoke test failed: the image starts nothing, its Dockerfile has no CMD and no ENTRYPOINT",
                fix="let the Dockerfile start your server, or leave `smoke-test` out for an image that only"
                " carries files",
            ) from error
        raise ExternalError(
            f"the Docker engine can't {doing}: {error}",
            fix="look whether the engine still runs (docker version), and run the job again",
        ) from error
