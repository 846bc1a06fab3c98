"""What proves to a Git server who we are: a token or a key, by variables of git's environment."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from model_gitops.adapters import scratch

# How long a server may send nothing, in seconds.
STALLED_SECONDS = 60


@dataclass(frozen=True)
class Credentials:
    """How git proves who we are: by its environment, never by arguments or files of it.

    `env` are variables, `settings` what git's configuration would have, handed on by variables too.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Sequence[tuple[str, str]] = field(default=(), repr=False)


ANONYMOUS = Credentials()

# https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
_GITHUB = (
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)


def token_credentials(url: str, token: str) -> Credentials:
    """Return the credentials that send `token` to the server of `url` (http or https) only."""
    parts = urlsplit(url)
    if not token or parts.scheme not in ("http", "https"):
        return ANONYMOUS
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    key = f"http.{parts.scheme}://{parts.netloc}/.extraheader"
    # An empty value first drops the header that actions/checkout may have left in the local
    # configuration: two Authorization headers are refused by the server.
    return Credentials(settings=((key, ""), (key, f"Authorization: Basic {basic}")))


@contextmanager
def ssh_credentials(private_key: str, known_hosts: str = "") -> Iterator[Credentials]:
    """Give git `private_key` for ssh, in a file that only we can read and that is removed after.

    `known_hosts` are lines as ssh has them: no server with another key hears us. Without them only
    github.com is known, and of other servers the first key that is seen is believed.
    """
    with scratch.folder("model-gitops-ssh-") as folder:
        key, known = folder / "key", folder / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(private_key.rstrip("\n") + "\n", encoding="utf-8")
        known.write_text(f"{(known_hosts or _GITHUB).strip()}\n", encoding="utf-8")
        own = os.environ.get("GIT_SSH_COMMAND", "ssh")
        checking = "yes" if known_hosts else "accept-new"
        yield Credentials(
            {
                "GIT_SSH_COMMAND": f"{own} -i '{key}' -o IdentitiesOnly=yes"
                f" -o BatchMode=yes -o StrictHostKeyChecking={checking}"
                f" -o UserKnownHostsFile='{known}' -o GlobalKnownHostsFile=/dev/null"
                f" -o ConnectTimeout={STALLED_SECONDS}"
                f" -o ServerAliveInterval={STALLED_SECONDS // 4 or 1} -o ServerAliveCountMax=4"
            }
        )
