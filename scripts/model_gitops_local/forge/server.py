"""The forge's server on loopback: the REST API, Git over smart HTTP, files and pages."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Self

from model_gitops_local.forge.api.dispatch import Api
from model_gitops_local.forge.handler import Handler
from model_gitops_local.forge.instance import Instance, Validator
from model_gitops_local.forge.shapes import Shapes


class _Server(ThreadingHTTPServer):
    """Takes a burst of clients at once, as tests of races make."""

    daemon_threads = True
    request_queue_size = 128


class Forge(Instance):
    """A stand-in for GitHub on loopback, over bare repositories, with state in `root`.

    With a `validator`, what breaks GitHub's description is collected in `violations`.
    """

    def __init__(self, root: Path, *, port: int = 0, validator: Validator | None = None) -> None:
        super().__init__(root, port=port, validator=validator)
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        """Serve in a thread of this process; return the web address."""

        class Connection(Handler):
            forge = self

        self._server = _Server(("127.0.0.1", self.port), Connection)
        self.port = self._server.server_address[1]
        self.api = Api(self.state, Shapes(self.url, self.api_url))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self.url

    def stop(self) -> None:
        """Stop serving; the port is kept for another `start`."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        """Start serving."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.stop()
