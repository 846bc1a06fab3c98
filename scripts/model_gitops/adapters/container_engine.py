"""The Docker engine: a container under test."""

from __future__ import annotations

import http.client
import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from model_gitops.adapters.engine_api import EngineApi, EngineFault
from model_gitops.core.image.smoke import Request, SmokeTest
from model_gitops.errors import ExternalError, RefusedError

# On a container under test, and its network: when it can only be a leftover, in seconds since 1970.
_UNTIL_LABEL = "io.model-gitops.smoke-test.until"
_CLOCKS_DIFFER_SECONDS = 600
_LARGEST_ANSWER = 10 * 1024 * 1024


class Container:
    """A started container, shut in as production would: see `Engine.start`."""

    def __init__(self, api: EngineApi, name: str, host: str, port: int, network: str) -> None:
        """Ask at `port` of the container in `network`, or where that is published on `host`."""
        self._api = api
        self.name = name
        # What the engine said of it last.
        self.attributes: dict[str, Any] = {}
        self._host = host
        self._port = port
        self._network = network

    def state(self) -> tuple[str, str]:
        """Return (`running`, `exited`, …) and the image's HEALTHCHECK's word, or an empty string.

        Raises ExternalError where the engine does not answer any more.
        """
        with _engine_errors("say how the container is"):
            self.attributes = self._api.ask("GET", f"/containers/{self.name}/json")
        state = self.attributes["State"]
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
        settings = self.attributes["NetworkSettings"]
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
            raw = self._api.read(
                "GET", f"/containers/{self.name}/logs", stdout="1", stderr="1", tail="200"
            )
        return _both_outputs(raw).decode("utf-8", errors="replace")


class Engine:
    """The Docker engine, by its API."""

    def __init__(self, host: str) -> None:
        """Connect. Raises ExternalError where no engine answers."""
        try:
            self._api = EngineApi(host)
        except EngineFault as error:
            raise ExternalError(
                f"no Docker engine answers, and the smoke test needs one: {error}",
                fix="start the engine (systemctl start docker), or set DOCKER_HOST to its address",
            ) from error
        parts = urlsplit(host)
        self._remote = parts.hostname if parts.scheme in ("tcp", "ssh") and parts.hostname else ""

    def _reaches_containers(self) -> bool:
        """Whether the addresses of containers are of this machine: of no other, and of no VM on it."""
        with _engine_errors("say what it is"):
            about = self._api.ask("GET", "/info")
        rootless = any("rootless" in str(one) for one in about.get("SecurityOptions") or ())
        is_desktop = "desktop" in str(about.get("OperatingSystem", "")).lower()
        return sys.platform == "linux" and not (self._remote or rootless or is_desktop)

    @property
    def platform(self) -> str:
        """The engine's own platform, such as `linux/amd64`."""
        about = self._api.version
        return f"{about.get('Os', 'linux')}/{about.get('Arch', 'amd64')}"

    def image_id(self, reference: str) -> str:
        """Return the ID of a loaded image. Raises ExternalError where there is none."""
        try:
            return str(self._api.ask("GET", f"{_image(reference)}/json")["Id"])
        except EngineFault as error:
            raise ExternalError(
                f"the builder did not load the image into the engine: {error}",
                fix="builder and engine must be on the same machine, see `docker buildx ls`",
            ) from error

    def has_image(self, reference: str) -> bool:
        """Whether the engine's store holds `reference`. Raises ExternalError as `state`."""
        with _engine_errors("say which images it has"):
            try:
                self._api.read("GET", f"{_image(reference)}/json")
            except EngineFault as error:
                if error.status != 404:
                    raise
                return False
        return True

    @contextmanager
    def start(self, reference: str, test: SmokeTest) -> Iterator[Container]:
        """Start an image without privileges and without a way out; remove the container after.

        Its network is of its own and leads nowhere: we ask it there. An engine that is elsewhere (on
        another machine, in a VM, rootless) publishes a port instead, and its container may reach
        the network. Raises ExternalError where the engine can't start it.
        """
        self._remove_leftovers()
        labels = {_UNTIL_LABEL: str(int(time.time() + _longest(test)))}
        name = f"model-gitops-smoke-{uuid.uuid4().hex[:12]}"
        with self._network(labels) as network:
            with _engine_errors("make a container of the image"):
                body = self._container_of(reference, test, labels, network)
                self._api.ask("POST", "/containers/create", body, name=name)
            try:
                # A command that does not exist shows as `created` with an error: told by state().
                with _engine_errors("start the container"):
                    try:
                        self._api.read("POST", f"/containers/{name}/start")
                    except EngineFault as error:
                        if not error.status:
                            raise
                yield Container(self._api, name, self._remote or "127.0.0.1", test.port, network)
            finally:
                self._remove_container(name)

    def _container_of(
        self, reference: str, test: SmokeTest, labels: Mapping[str, str], network: str
    ) -> dict[str, Any]:
        """Return the container as the engine's API describes one."""
        port = f"{test.port}/tcp"
        variables = {**self._api.proxy_variables, **test.env}
        host: dict[str, Any] = {
            "ReadonlyRootfs": test.read_only,
            "Tmpfs": dict.fromkeys(test.tmpfs, "mode=1777"),
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 512,
            "NetworkMode": network or "default",
        }
        body = {
            "Image": reference,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": dict(labels),
            "HostConfig": host,
            **({"Cmd": list(test.command)} if test.command else {}),
        }
        if not network:
            # Loopback only, the engine chooses the port. A remote engine has another loopback.
            published = "0.0.0.0" if self._remote else "127.0.0.1"  # noqa: S104
            body["ExposedPorts"] = {port: {}}
            host["PortBindings"] = {port: [{"HostIp": published, "HostPort": ""}]}
        return body

    @contextmanager
    def _network(self, labels: Mapping[str, str]) -> Iterator[str]:
        """Make a network without a way out; an empty string where we could not reach into it."""
        if not self._reaches_containers():
            yield ""
            return
        name = f"model-gitops-smoke-{uuid.uuid4().hex[:12]}"
        with _engine_errors("make a network"):
            body = {"Name": name, "Internal": True, "Labels": dict(labels)}
            self._api.ask("POST", "/networks/create", body)
        try:
            yield name
        finally:
            self._remove_network(name)

    def _remove_leftovers(self) -> None:
        """Remove what tests that were killed left: what is past the end that it could have."""
        filters = json.dumps({"label": [_UNTIL_LABEL]})
        with suppress(ExternalError), _engine_errors("list what it has"):
            for one in self._api.ask("GET", "/containers/json", all="1", filters=filters):
                if _is_leftover(one.get("Labels") or {}):
                    self._remove_container(one["Id"])
            for one in self._api.ask("GET", "/networks", filters=filters):
                if _is_leftover(one.get("Labels") or {}):
                    self._remove_network(one["Id"])

    def _remove_container(self, name: str) -> None:
        with suppress(EngineFault):
            self._api.read("DELETE", f"/containers/{name}", v="1", force="1")

    def _remove_network(self, name: str) -> None:
        with suppress(EngineFault):
            self._api.read("DELETE", f"/networks/{name}")

    def remove_image(self, reference: str) -> None:
        """Remove a name, and the image if no other name holds it. Never fails."""
        with suppress(EngineFault):
            self._api.read("DELETE", _image(reference))


def _image(reference: str) -> str:
    return f"/images/{quote(reference, safe='/:')}"


def _both_outputs(raw: bytes) -> bytes:
    """Return what a container wrote, in order: the engine puts 8 bytes before each part of it."""
    parts, start = [], 0
    while start + 8 <= len(raw):
        end = start + 8 + int.from_bytes(raw[start + 4 : start + 8], "big")
        parts.append(raw[start + 8 : end])
        start = end
    return b"".join(parts)


def _is_leftover(labels: Mapping[str, str]) -> bool:
    until = labels.get(_UNTIL_LABEL, "")
    return until.isdecimal() and int(until) < time.time()


def _longest(test: SmokeTest) -> float:
    """Return the seconds after which no container of this test can still be of use."""
    return test.timeout * (len(test.requests) + 1) + _CLOCKS_DIFFER_SECONDS


@contextmanager
def _engine_errors(doing: str) -> Iterator[None]:
    """Turn what the API raises, also of an engine that has gone, into ExternalError.

    Raises RefusedError where the image has nothing to start.
    """
    try:
        yield
    except EngineFault as error:
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
