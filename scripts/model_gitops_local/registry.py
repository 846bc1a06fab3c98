"""A container registry on loopback: plain HTTP, with deletion, and with a login if wanted."""

from __future__ import annotations

import http.client
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from model_gitops_local import toolchain
from model_gitops_local.daemon import Daemon, free_port, locked, remove_tree


@dataclass(frozen=True)
class Registry:
    """A registry whose whole state (images, settings, log) is in the folder `state`."""

    state: Path

    @property
    def _daemon(self) -> Daemon:
        return Daemon("the registry", self.state)

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`, or "" where it never ran. The port stays over restarts if it can."""
        return self._daemon.facts().get("address", "")

    @property
    def running(self) -> bool:
        """Whether it runs and answers."""
        return self._daemon.pid() is not None and self._answers(self.address)

    def start(self, *, htpasswd: Path | None = None, address: str = "") -> str:
        """Start it, unless it runs already, and return its address.

        `htpasswd`: a file of bcrypt entries; then only these users may read and write.
        `address`: `127.0.0.1:PORT` instead of a port chosen free.
        """
        with locked(self.state.with_name(f"{self.state.name}.lock")):
            if self.running:
                return self.address
            self._daemon.stop()
            program = toolchain.ensure("registry")
            self.state.mkdir(parents=True, exist_ok=True)
            port = free_port(int((address or self.address or ":0").rpartition(":")[2]))
            address = f"127.0.0.1:{port}"
            settings: dict[str, object] = {
                "version": "0.1",
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {
                    "filesystem": {"rootdirectory": str(self.state.resolve() / "images")},
                    "delete": {"enabled": True},
                },
                "http": {"addr": address, "secret": secrets.token_hex(16)},
            }
            if htpasswd is not None:
                login = {"realm": "model-gitops", "path": str(htpasswd.resolve())}
                settings["auth"] = {"htpasswd": login}
            config = self.state / "config.yml"
            config.touch(mode=0o600)
            config.write_text(json.dumps(settings, indent=1), "utf-8")  # JSON is YAML
            self._daemon.start(
                [program, "serve", config],
                lambda: self._answers(address),
                facts={"address": address},
                env={"OTEL_TRACES_EXPORTER": "none"},
                timeout=30,
            )
            return address

    def stop(self) -> None:
        """Stop it; what it stores stays."""
        self._daemon.stop()

    def remove(self) -> None:
        """Stop it and delete all that it stores."""
        self.stop()
        remove_tree(self.state)
        self.state.with_name(f"{self.state.name}.lock").unlink(missing_ok=True)

    @staticmethod
    def _answers(address: str) -> bool:
        connection = http.client.HTTPConnection(address, timeout=2)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
