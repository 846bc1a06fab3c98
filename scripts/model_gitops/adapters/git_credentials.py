"""What proves to a Git server who we are: a token or a key, by variables of git's environment."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from model_gitops.adapters import scratch

# How long a server may send nothing, in seconds.
STALLED_SECONDS = 60


@dataclass(frozen=True)
class Credentials:
    """How git proves who we are: variables for its environment, never arguments or files of it."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)


ANONYMOUS = Credentials()


def token_credentials(url: str, token: str) -> Credentials:
    """Return the credentials that send `token` to the server of `url` (http or https) only."""
    parts = urlsplit(url)
    if not token or parts.scheme not in ("http", "https"):
        return ANONYMOUS
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return Credentials(
        {
            "GIT_CONFIG_COUNT": "2",
            # An empty value first drops the header that actions/checkout may have left in the
            # local configuration: two Authorization headers are refused by the server.
            "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraheader",
            "GIT_CONFIG_VALUE_0": "",
            "GIT_CONFIG_KEY_1": f"http.{parts.scheme}://{parts.netloc}/.extraheader",
            "GIT_CONFIG_VALUE_1": f"Authorization: Basic {basic}",
        }
    )


@contextmanager
def ssh_credentials(private_key: str) -> Iterator[Credentials]:
    """Give git `private_key` for ssh, in a file that only we can read and that is removed after."""
    with scratch.folder("model-gitops-ssh-") as folder:
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_text(private_key.rstrip("\n") + "\n", encoding="utf-8")
        known = os.environ.get("GIT_SSH_COMMAND", "ssh")
        yield Credentials(
            {
                "GIT_SSH_COMMAND": f"{known} -i '{key}' -o IdentitiesOnly=yes"
                " -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
                f" -o ConnectTimeout={STALLED_SECONDS}"
                f" -o ServerAliveInterval={STALLED_SECONDS // 4 or 1} -o ServerAliveCountMax=4"
            }
        )
