"""The services that apprise knows: https://appriseit.com/services/ (apprise 2.3.0).

An address of apprise is a secret as a whole. Its own `url(privacy=True)` and `json()` show values of custom
headers in clear, and its log shows hosts: neither is printed, and of its log only a status is read.
"""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from model_gitops.core.deploy.location import is_loopback
from model_gitops.core.notify.message import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

_RETRIES = 2
_STATUS = re.compile(r"\berror=(\d{3})\b")
_WORD = re.compile(r"[\w .+!&/()-]{1,40}")


def prepare() -> None:
    """Let no library print anything, nor ask a proxy for what is on this machine.

    What has no handler of a log goes to standard error, addresses included.
    """
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    os.environ["no_proxy"] = ",".join(filter(None, (known, "127.0.0.1", "localhost", "::1")))
    logging.getLogger().addHandler(logging.NullHandler())
    for name in ("apprise", "urllib3", "requests"):
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")


def service_of(url: str) -> tuple[NotifyBase | None, str, str]:
    """Return the service at apprise's address `url`, its public name, and why nothing is sent to it."""
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        # No thread of apprise's own: the interpreter would wait for it at the end.
        async_mode=False,
        service_timeout=0,
        # Nothing is kept on disk, and no key is made.
        storage_mode="memory",
        http_redirects=False,
        default_service_retry=_RETRIES,
    )
    made: Any = Apprise.instantiate(url, asset=asset)
    if made is None:
        return None, "", "apprise knows no such service, or the address lacks a part"
    name = str(getattr(made, "service_name", "") or "")
    name = name if _WORD.fullmatch(name) else type(made).__name__.removeprefix("Notify")
    if problem := _in_clear(made, url.strip().partition("://")[0].lower()):
        return None, name, problem
    return made, name, ""


def _in_clear(made: Any, scheme: str) -> str:
    """Return why the service at an address with `scheme` would be sent in clear text; empty where it is not.

    The class says which schemes are its clear ones. What the object says of itself is no help: some put `http`
    or a number there (Gotify, Rocket.Chat, Kodi).
    """
    of_class = type(made)
    clear, safe = _schemes(of_class.protocol), _schemes(of_class.secure_protocol)
    place = str(getattr(of_class, "notify_url", "") or "")
    # Of a mail it is the server that counts, not the address' own domain.
    host = str(getattr(made, "smtp_host", "") or getattr(made, "host", "") or "")
    no_other = "it would be sent in clear text, and apprise knows no other form of it"
    if place.startswith("http:"):
        return no_other
    if is_loopback(host):
        return ""
    if str(getattr(made, "secure_mode", "")) == "insecure" and scheme in safe:
        return f"{scheme}:// with mode=insecure would be sent in clear text: leave out the mode"
    if scheme in clear and safe:
        fix = min(safe, key=lambda one: (not one.startswith(scheme), one))
        return f"{scheme}:// would be sent in clear text: use {fix}://"
    # Without a host it is this machine's own, such as its log.
    return no_other if scheme in clear and host and not place.startswith("https:") else ""


def send(service: NotifyBase, message: Message, end: float) -> str:
    """Send `message` by one service; return why it was not taken, empty where it was.

    It is given as text, and as Markdown where the service takes no text or the address says
    `?format=markdown`: dialects differ in what they escape (Slack shows a backslash). Nothing is sent
    after `end`.
    """
    from apprise import Apprise, NotifyFormat, NotifyType

    if time.monotonic() >= end:
        return "there was no time to ask it"
    takes_markdown = service.resolve_format(NotifyFormat.TEXT) == NotifyFormat.MARKDOWN
    title, body = message.markdown() if takes_markdown else message.plain()
    one = Apprise()
    one.add(service)
    # Neither True, False nor None: an object with a status, true where that is SUCCESS.
    result = one.notify(
        body,
        title=title,
        notify_type=NotifyType(message.event.kind),
        body_format=NotifyFormat.MARKDOWN if takes_markdown else NotifyFormat.TEXT,
    )
    if result:
        return ""
    said = [entry.message for entry in result.logs()]
    return _cause(result.status.name, said)


def _cause(status: str, said: Iterable[str]) -> str:
    text = "\n".join(said)
    if found := _STATUS.findall(text):
        return f"it answers {found[-1]}"
    if "onnection error" in text:
        return "it can't be reached, or did not answer in time"
    return f"apprise says {status}"


def _schemes(given: Any) -> set[str]:
    return {given} if isinstance(given, str) else set(given or ())
