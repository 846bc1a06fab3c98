"""notify with real receivers: apprise's JSON and the signed POST, and each way in which they fail."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import started
from receiver import Receiver

import model_gitops
from model_gitops.__main__ import main
from model_gitops.actions import notify
from model_gitops.adapters import apprise_services, in_time, webhook
from model_gitops.options import variable

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
CANARY = "canary5d1f0c9e"
RUN = "https://github.com/acme/diabetes/actions/runs/41"


class Done(NamedTuple):
    code: int
    log: str
    outputs: dict[str, str]


def run(tmp_path: Path, **inputs: str) -> Done:
    """Run the action as a step does."""
    output = tmp_path / "output"
    output.write_text("")
    given = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
    done = started.run(
        "notify",
        cwd=tmp_path,
        inherit=False,
        env={
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output), "GITHUB_REPOSITORY": "acme/diabetes", "GITHUB_RUN_ID": "41",
            # A proxy of the runner's is not asked for what is on this machine.
            "http_proxy": "http://127.0.0.1:9", **given,
        },
    )  # fmt: skip
    log = "\n".join(
        line
        for line in (done.stdout + done.stderr).splitlines()
        if not line.startswith("::add-mask::")
    )
    found = re.findall(r"^([\w-]+)<<end-\w+\n(.*?)\nend-", output.read_text(), re.M | re.S)
    return Done(done.returncode, log, dict(found))


def genuine() -> Any:
    """Return the receiver's check, as docs/notifications.md has it."""
    page = (ROOT / "docs/notifications.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    found: dict[str, Any] = {}
    exec(code, found)  # the page's own
    return found["is_genuine"]


def test_a_signed_post_passes_the_pages_check(tmp_path: Path) -> None:
    with Receiver() as receiver:
        done = run(
            tmp_path, event="rollback", environment="production", model="diabetes", version="v0.0.1",
            message="p95 too high", webhook=f"{receiver.url}/x?token={CANARY}", webhook_secret=SECRET,
        )  # fmt: skip
    assert (done.code, done.outputs) == (0, {"operation": "sent", "told": "1", "failed": "0"})
    ((path, headers, body),) = receiver.got
    assert path == f"/x?token={CANARY}"
    is_genuine = genuine()
    assert is_genuine(SECRET, headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    assert not is_genuine(other, headers, body)
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 301)}
    assert not is_genuine(SECRET, old, body)
    schema = json.loads(
        (Path(model_gitops.__file__).parent / "notification.schema.json").read_text()
    )
    document = json.loads(body)
    jsonschema.validate(document, schema)
    page = (ROOT / "docs/notifications.md").read_text("utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.S)
    assert {**document, "timestamp": ""} == {
        **json.loads(shown),
        "timestamp": "",
        "data": {**json.loads(shown)["data"], "by": ""},
    }


def test_a_rerun_tells_the_same_message(tmp_path: Path) -> None:
    with Receiver() as receiver:
        for _ in range(2):
            run(tmp_path, event="hold", webhook=receiver.url, webhook_secret=SECRET)
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.got)
    assert first == second


def test_apprise_tells_a_real_receiver(tmp_path: Path) -> None:
    with Receiver() as receiver:
        done = run(
            tmp_path,
            event="drift",
            model="diabetes",
            message="2 of 3 windows <!channel> [x](https://evil.example)",
            urls=f"# the team's\njson://ada:{CANARY}@{receiver.host}/x?+X-Token={CANARY}\n"
            f"json://{receiver.host}/markdown?format=markdown",
        )
    assert (done.code, done.outputs["operation"]) == (0, "sent"), done.log
    assert CANARY not in done.log
    (_, headers, body), (_, _, other) = sorted(receiver.got, key=lambda one: one[0] == "/markdown")
    assert json.loads(other)["message"].endswith(f"  \n<{RUN}>")
    assert headers["x-token"] == CANARY
    told = json.loads(body)
    assert told["title"] == "Drift: diabetes"
    assert told["type"] == "warning"
    assert "2 of 3 windows" in told["message"]
    assert told["message"].endswith(RUN)
    assert "<!channel>" not in told["message"]
    assert "](" not in told["message"]
    assert "&lt;" not in told["message"]


def test_nobody_is_told_where_nothing_is_set(tmp_path: Path) -> None:
    done = run(tmp_path, event="promotion")
    assert (done.code, done.outputs) == (0, {"operation": "none", "told": "0", "failed": "0"})
    assert "nobody is told" in done.log
    assert "::warning" not in done.log


def test_each_target_is_tried_and_no_address_is_printed(tmp_path: Path) -> None:
    """A typo, a refusal, an error, clear text, a redirect elsewhere: warnings, and the last one is told."""
    with Receiver() as good, Receiver(status=500) as broken, Receiver() as thief:
        away = {"Location": f"{thief.url}/{CANARY}"}
        with Receiver(status=302, headers=away) as moved:
            done = run(
                tmp_path,
                event="promtion",
                urls="\n".join(
                    (
                        f"nosuchservice://{CANARY}",
                        f"slack://{CANARY}",
                        f"json://ada:{CANARY}@127.0.0.1:9/",
                        f"json://ada:{CANARY}@{broken.host}/?retry=0",
                        f"json://ada:{CANARY}@hooks.example/",
                        f"json://ada:{CANARY}@{moved.host}/?retry=0",
                        f"json://ada:{CANARY}@{good.host}/",
                    )
                ),
                webhook=f"{moved.url}/{CANARY}",
                webhook_secret=SECRET,
            )
    assert (done.code, done.outputs) == (0, {"operation": "partial", "told": "1", "failed": "7"})
    warned = [line for line in done.log.splitlines() if line.startswith("::warning")]
    assert warned == [
        "::warning::input `event`: there is no event 'promtion'; is promotion meant? It is told as `other`.",
        "::warning::line 1 of `urls` was not told: apprise knows no such service, or the address lacks a part",
        "::warning::line 2 of `urls` was not told: apprise knows no such service, or the address lacks a part",
        "::warning::line 3 of `urls` (JSON) was not told: it can't be reached, or did not answer in time",
        "::warning::line 4 of `urls` (JSON) was not told: it answers 500",
        "::warning::line 5 of `urls` (JSON) was not told: json:// would be sent in clear text: use jsons://",
        "::warning::line 6 of `urls` (JSON) was not told: it answers 302",
        "::warning::the webhook was not told: it answers 302: a redirect is not followed",
    ]
    assert (len(good.got), len(broken.got), len(thief.got), len(moved.got)) == (1, 1, 0, 2)
    for secret in (CANARY, SECRET, "127.0.0.1"):
        assert secret not in done.log


@pytest.mark.parametrize(
    ("url", "use"),
    [
        # Services that call themselves `http`, or a number, once they know their address.
        ("gotify://hooks.example/t0ken", "gotifys://"), ("rocket://ada:pw@hooks.example/#c", "rockets://"),
        ("mmost://hooks.example/t0ken", "mmosts://"), ("mastodon://t0ken@hooks.example", "mastodons://"),
        ("kodi://hooks.example", "kodis://"), ("emby://ada@hooks.example", "embys://"),
        ("KODI://hooks.example", "kodis://"), (" ntfy://hooks.example/topic", "ntfys://"),
        # A mail goes to the server, whatever the address' domain; TLS can be switched off.
        ("mailto://ada:pw@localhost?smtp=hooks.example", "mailtos://"),
        ("mailtos://ada:pw@hooks.example?mode=insecure", "leave out the mode"),
        # There is no other form.
        ("rsyslog://hooks.example", "knows no other form"), ("dapnet://ada:pw@localhost", "knows no other form"),
        ("kodi://localhost", ""), ("kodis://hooks.example", ""), ("rsyslog://127.0.0.1", ""), ("syslog://", ""),
        ("pushme://t0ken", ""), ("https://discord.com/api/webhooks/1234567890/abcdefg", ""),
        ("mailtos://ada:pw@hooks.example", ""), ("tgram://123456789:abcdefg_hijklmnop/12315544/", ""),
    ],
)  # fmt: skip
def test_no_service_is_told_in_clear_text(url: str, use: str) -> None:
    service, name, problem = apprise_services.service_of(url)
    assert name
    assert (service is None) == bool(problem) == bool(use)
    assert use in problem
    assert not use or "clear text" in problem


def test_a_service_that_stumbles_over_its_address_keeps_nobody_else_from_hearing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    real = apprise_services.service_of

    def stumbles(url: str) -> Any:
        if CANARY in url:
            raise TypeError(CANARY)
        return real(url)

    monkeypatch.setattr(apprise_services, "service_of", stumbles)
    with Receiver() as good:
        monkeypatch.setenv("MODEL_GITOPS_URLS", f"kodi://{CANARY}\njson://{good.host}/")
        assert main(["notify", "--event", "hold"]) == 0
    out = capsys.readouterr()
    assert "line 1 of `urls` was not told: apprise failed over it (TypeError)" in out.err
    assert CANARY not in out.out + out.err
    assert ("operation=partial" in out.out, len(good.got)) == (True, 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"webhook": f"https://hooks.example/{CANARY}"}, "`webhook-secret` is empty"),
        ({"webhook": f"https://hooks.example/{CANARY}", "webhook_secret": CANARY}, "`webhook-secret` is no key"),
        ({"webhook": f"http://hooks.example/{CANARY}", "webhook_secret": SECRET}, "clear text"),
        ({"webhook_secret": SECRET}, "`webhook` is empty"),
        ({"webhook": f"https://127.0.0.1:9/{CANARY}", "webhook_secret": SECRET}, "it refuses the connection"),
    ],
)  # fmt: skip
def test_a_webhook_that_is_not_told(tmp_path: Path, given: dict[str, str], says: str) -> None:
    done = run(tmp_path, event="hold", **given)
    assert (done.code, done.outputs["operation"]) == (0, "failed"), done.log
    (warned,) = [line for line in done.log.splitlines() if line.startswith("::warning")]
    assert says in warned
    for secret in (CANARY, SECRET, "hooks.example"):
        assert secret not in done.log


def post(receiver: Receiver, seconds: float, path: str = "/") -> tuple[str, float]:
    start = time.monotonic()
    why = webhook.post(receiver.url + path, b"{}", lambda at: {"x-at": str(at)}, start + seconds)
    return why, time.monotonic() - start


def test_what_may_pass_is_tried_again_and_what_is_refused_is_not() -> None:
    with Receiver(answer=lambda count: 503 if count < 3 else 204) as receiver:
        assert post(receiver, 20)[0] == ""
    assert len(receiver.got) == 3
    with Receiver(status=503, headers={"Retry-After": "3600"}) as receiver:
        why, took = post(receiver, 20)
    assert (why, len(receiver.got)) == ("it answers 503", 1)
    assert took < 5
    with Receiver(status=401) as receiver:
        assert post(receiver, 20)[0] == "it answers 401"
    assert len(receiver.got) == 1
    with Receiver(slow=5) as receiver:
        why, took = post(receiver, 1)
    assert why == "it did not answer in 1 s"
    assert took < 3


def test_a_target_that_never_ends_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that drips: a limit for each read is no limit for all."""
    monkeypatch.setattr(notify, "SECONDS", 1.5)
    for name in ("GITHUB_OUTPUT", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    with Receiver(slow=6) as slow, Receiver() as good:
        monkeypatch.setenv("MODEL_GITOPS_URLS", f"json://{slow.host}/?rto=60\njson://{good.host}/")
        start = time.monotonic()
        assert main(["notify", "--event", "hold"]) == 0
        took = time.monotonic() - start
    assert took < 5
    out = capsys.readouterr()
    assert "operation=partial" in out.out
    assert "line 1 of `urls` (JSON) was not told: it did not end in" in out.err
    assert len(good.got) == 1


def test_a_call_that_raises_tells_its_class_alone() -> None:
    def raises(_: float) -> str:
        raise ValueError(CANARY)

    assert in_time.run_all([raises, lambda _: ""], 5) == ["it failed (ValueError)", ""]
