"""`verify` of promotion.yaml: what a deployment must pass before the next hop is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_gitops.core import duration
from model_gitops.core.flow import spelling
from model_gitops.core.flow.champions import Champion
from model_gitops.core.flow.champions import parse as parse_champion
from model_gitops.core.flow.loads import Load
from model_gitops.core.flow.loads import parse as parse_load
from model_gitops.errors import InputError

TIMEOUT_SECONDS = 600.0
# The job `wait` of verify.yml has an hour, some of it for its set-up: what it kills is recorded nowhere.
LONGEST_TIMEOUT_SECONDS = 3000.0
_ENVIRONMENT, _MODEL = "{environment}", "{model}"
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[!-~]*)?")


@dataclass(frozen=True)
class Verify:
    """What is asked of a deployment to one environment. Lengths of time are in seconds.

    `url` is the service's address, empty where nobody says it. `integration` is a file of the smoke test's
    format, from the repository's top; None: tests/smoke.yaml beside promotion.yaml, where it is there;
    empty: none. `timeout` is how long the digest may take to come, `soak` how long the environment must
    have run an image before the next hop. `rollback`: a failed verification takes the deployment back.
    `writer` is the login of who must have written the status, empty for anybody.
    """

    url: str = ""
    integration: str | None = None
    load: Load | None = None
    champion: Champion | None = None
    timeout: float = TIMEOUT_SECONDS
    soak: float = 0.0
    rollback: bool = False
    writer: str = ""


def context_of(environment: str, model: str = "") -> str:
    """Return the context of the commit status that says what came of the verification of an environment.

    Of several models of one repository each has its own: that of GTO's name `folder:name` ends in the folder.
    """
    folder = model.rpartition(":")[0]
    return f"model-gitops/{environment}{f'/{folder}' if folder else ''}"


def parse(
    everywhere: Any, entry: Mapping[str, Any], source: str, *, model: str, folder: str = ""
) -> Verify | None:
    """Return what is asked of one environment, None where nothing is.

    `everywhere` is promotion.yaml's own `verify`, or None; the environment's `entry` may say `verify: false`,
    or other values for some keys, and `url` and `soak` of its own. `model` is the model's name without its
    folder. Raises InputError, naming `source`.
    """
    own = entry.get("verify", {})
    if own is False or (everywhere is None and "verify" not in entry):
        return None
    said = {**(everywhere or {}), **own}
    integration: Any = said.get("integration")
    named = f"verify (in {source})"
    return Verify(
        url=address(everywhere, entry, source, model=model),
        integration=spelling.from_top(
            integration, folder, f"verify.integration (in {source})", "tests/smoke.yaml"
        )
        if integration
        else (None if integration is None else ""),
        load=parse_load(said["load"], f"load of {named}") if said.get("load") else None,
        champion=_champion(said["champion"], entry["name"], source, model, folder)
        if said.get("champion")
        else None,
        timeout=_timeout(said["timeout"], named) if "timeout" in said else TIMEOUT_SECONDS,
        soak=soak(everywhere, entry, source),
        rollback=said.get("on-failure", "nothing") == "rollback",
        writer=_login(said.get("writer", "")),
    )


def soak(everywhere: Any, entry: Mapping[str, Any], source: str) -> float:
    """Return how many seconds an environment must run an image before the next hop; 0 for no wait.

    Raises InputError, naming `source`.
    """
    own = entry.get("verify", {})
    said = {**(everywhere or {}), **own} if own is not False else {}
    found = entry.get("soak", said.get("soak", ""))
    return duration.seconds(found, f"soak (in {source})") if found else 0.0


def address(everywhere: Any, entry: Mapping[str, Any], source: str, *, model: str) -> str:
    """Return an environment's service's address, placeholders filled in, without a slash at its end; or "".

    It has one whether it is verified or not. Raises InputError, naming `source`.
    """
    said = {**(everywhere or {}), **(entry.get("verify") or {})}
    url = entry.get("url", said.get("url", ""))
    return _address(url, entry["name"], model, f"url (in {source})")


def _timeout(text: str, named: str) -> float:
    """Return how many seconds are waited for the image. Raises InputError where no job would wait so long."""
    found = duration.seconds(text, f"timeout of {named}")
    if found > LONGEST_TIMEOUT_SECONDS:
        raise InputError.of(
            f"timeout of {named}", text,
            f"{duration.words(LONGEST_TIMEOUT_SECONDS)} is the most: the job of verify.yml that waits has an hour,"
            " its set-up included",
            fix="timeout: 10m; what is synced later is verified by verify.yml, started by hand",
        )  # fmt: skip
    return found


def _login(writer: str) -> str:
    """Return the login of `app:NAME` or `user:NAME`; empty for nobody."""
    kind, _, name = writer.partition(":")
    return f"{name}[bot]" if kind == "app" else name


def _champion(said: Any, environment: str, source: str, model: str, folder: str) -> Champion:
    """Return how the champion is asked, with its address filled in. Raises InputError."""
    what = f"champion of verify (in {source})"
    found = parse_champion(said, what, folder)
    return replace(found, url=_address(found.url, environment, model, f"url of {what}"))


def _address(url: str, environment: str, model: str, what: str) -> str:
    """Return an address with its placeholders filled in, without a slash at its end. Raises InputError."""
    filled = url.replace(_ENVIRONMENT, environment).replace(_MODEL, model)
    if url and not _ADDRESS.fullmatch(filled):
        raise InputError.of(
            what, url,
            f"it is no address, in which {_ENVIRONMENT} and {_MODEL} are the only placeholders there are",
            fix="url: https://churn.{environment}.example.com",
        )  # fmt: skip
    return filled.rstrip("/")
