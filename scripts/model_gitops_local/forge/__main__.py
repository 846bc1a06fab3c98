"""`python -m model_gitops_local.forge`: the forge as a process of its own, until it is stopped."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from model_gitops_local.forge.server import Forge


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parsed = argparse.ArgumentParser(prog="python -m model_gitops_local.forge", description=__doc__)
    parsed.add_argument("--root", type=Path, required=True, help="folder of the state and the log")
    parsed.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parsed.add_argument(
        "--repository",
        action="append",
        default=[],
        metavar="OWNER/NAME=PATH",
        help="serve the bare repository at PATH",
    )
    parsed.add_argument("--public", action="store_true", help="repositories are public")
    parsed.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="LOGIN=VARIABLE",
        help="the secret in the environment variable VARIABLE stands for LOGIN, and may write",
    )
    parsed.add_argument(
        "--tokens",
        type=Path,
        metavar="FILE",
        help="JSON list of {token, login, permissions, repositories}",
    )
    return parsed


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the address is the first line of standard output."""
    options = parser().parse_args(argv)
    forge = Forge(options.root, port=options.port)
    for pair in options.repository:
        name, _, path = pair.partition("=")
        forge.add_repository(name, Path(path), private=not options.public)
    for pair in options.token:
        login, _, variable = pair.rpartition("=")
        if not os.environ.get(variable):
            parser().error(f"--token {pair}: the environment variable {variable} is not set")
        forge.add_token(os.environ[variable], login)
    for item in json.loads(options.tokens.read_text("utf-8")) if options.tokens else []:
        forge.add_token(
            item["token"], item["login"], item.get("permissions"), item.get("repositories")
        )
    # Blocked before the server's threads start, so that only `sigwait` gets them.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    print(forge.start(), flush=True)
    signal.sigwait(ends)
    forge.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
