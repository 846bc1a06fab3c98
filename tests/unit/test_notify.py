"""What people are told: the words of each event, strangers' text in them, and the signature."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jsonschema
import markdown_it
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import model_gitops
from model_gitops.core.markdown import JOINER
from model_gitops.core.notify import events, signature, target
from model_gitops.core.notify.message import LONGEST_TEXT, LONGEST_TITLE, Message, is_page
from model_gitops.core.notify.target import Told

SCHEMA = json.loads(
    (Path(model_gitops.__file__).parent / "notification.schema.json").read_text("utf-8")
)
RUN = "https://github.com/acme/diabetes/actions/runs/41"
NOW = "2026-11-30T01:02:03Z"


def message(event: str = "promotion", **given: str) -> Message:
    parts = dict.fromkeys(("title", "text", "environment", "model", "version", "url"), "")
    known = {"repository": "acme/diabetes", "run": RUN, "by": "ada"}
    return Message.of(events.EVENTS[event], **{**parts, **known, **given})


def checked(document: Any) -> Any:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(
        document
    )
    return document


# --- words -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "given", "title"),
    [
        ("promotion", {"environment": "production", "model": "diabetes", "version": "v0.0.2"}, "Deployed to production: diabetes v0.0.2"),
        ("refusal", {"environment": "production"}, "Refused for production"),
        ("rollback", {"environment": "production", "model": "diabetes", "version": "v0.0.1"}, "Rolled back in production: diabetes v0.0.1"),
        ("drift", {"model": "diabetes"}, "Drift: diabetes"),
        ("health", {}, "The pipeline needs a look"),
        ("hold", {"environment": "dev", "title": "Hands off"}, "Hands off"),
    ],
)  # fmt: skip
def test_the_title_says_what_happened_and_where(
    event: str, given: dict[str, str], title: str
) -> None:
    assert message(event, **given).headline == title


def test_a_message_has_two_lines_and_a_link() -> None:
    title, body = message("hold", environment="dev", text="p95 too high").plain()
    assert (title, body) == ("On hold in dev", f"p95 too high\nacme/diabetes, by ada\n{RUN}")
    assert message("hold").markdown()[1] == (
        f"{JOINER}No promotion until somebody releases it.  \n{JOINER}acme/diabetes, by ada  \n<{RUN}>"
    )


@pytest.mark.parametrize("name", events.EVENTS)
def test_each_event_has_words_and_a_document(name: str) -> None:
    title, body = message(name).plain()
    assert title and len(body.splitlines()) == 3
    document = checked(message(name, environment="dev").document(NOW))
    assert document["type"] == f"model-gitops.{name}"
    assert document["data"]["event"] in SCHEMA["properties"]["data"]["properties"]["event"]["enum"]


def test_the_schema_has_no_event_that_is_none() -> None:
    asked = SCHEMA["properties"]["data"]["properties"]
    assert asked["event"]["enum"] == list(events.EVENTS)
    assert {one.kind for one in events.EVENTS.values()} <= set(asked["kind"]["enum"])
    broken = message().document(NOW)
    for wrong in (
        {**broken, "more": 1},
        {**broken, "timestamp": "yesterday"},
        {**broken, "data": {**broken["data"], "event": "party"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            checked(wrong)


def test_an_unknown_event_is_told_all_the_same() -> None:
    found, problem = events.find("rolback")
    assert (found.name, problem) == (
        "other",
        "input `event`: there is no event 'rolback'; is rollback meant? It is told as `other`.",
    )
    assert events.find("")[1] == "input `event`: it is empty. It is told as `other`."
    assert events.find("hold") == (events.EVENTS["hold"], "")


# --- strangers' text -----------------------------------------------------------------------------------


@given(st.text(max_size=2000), st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_text_of_strangers_is_bounded_and_stays_text(text: str, name: str) -> None:
    made = message(text=text, title=name, environment=name, model=name, version=name, by=name)
    checked(json.loads(json.dumps(made.document(NOW))))
    for title, body in (made.plain(), made.markdown()):
        assert "\n" not in title
        assert len(body.splitlines()) == 3
        assert len(title) <= 3 * LONGEST_TITLE
        assert len(body) <= 20 * LONGEST_TEXT
    html = markdown_it.MarkdownIt("commonmark").render(made.markdown()[1])
    # What is ours, and no more: a paragraph, two hard breaks, and the link to the run.
    assert html.count("<a ") == 1
    assert html.count("<") == 2 + 2 + 2, html


@pytest.mark.parametrize(
    "text",
    ["<!channel>", "@everyone", "[x](https://evil.example)", "https://evil.example", "www.evil.example", "<@U123>"],
)  # fmt: skip
def test_a_stranger_calls_nobody_and_links_nowhere(text: str) -> None:
    for _, body in (message(text=text).plain(), message(text=text).markdown()):
        first = body.splitlines()[0]
        assert text not in first
        for live in ("<!", "<@", "@e", "](", "://", "www."):
            assert live not in first, first


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "ftp://x", "https://a b", "https://user:pw@x", "https://x/<b>", "https://[", "https://x/" + "a" * 1000, "https://é"],
)  # fmt: skip
def test_a_link_that_is_none_is_left_out(url: str) -> None:
    made = message(url=url)
    assert not is_page(url)
    assert (made.url, made.problems) == (
        RUN,
        ("input `url` is no http or https address: the link is left out",),
    )
    assert message(url="https://x/report?a=1&b=2#c").url == "https://x/report?a=1&b=2#c"
    assert message(run="", url="").plain()[1].count("\n") == 1


def test_the_id_is_the_same_for_the_same_news_only() -> None:
    first = message("hold", environment="dev")
    assert first.id == message("hold", environment="dev").id
    assert first.id.startswith("msg_")
    others = [
        message("release", environment="dev"),
        message("hold", environment="production"),
        message("hold", environment="dev", run=f"{RUN}2"),
        message("hold", environment="dev", text="x"),
    ]
    assert len({first.id, *(one.id for one in others)}) == 5


# --- the signature ----------------------------------------------------------------------------------------


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    key = signature.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    made = signature.headers(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_key_that_is_none(size: int) -> None:
    encoded = base64.b64encode(b"k" * size).decode()
    assert signature.key_of(f"whsec_{encoded}") is None


def test_keys() -> None:
    encoded = base64.b64encode(b"k" * 32).decode()
    assert signature.key_of(f" whsec_{encoded}\n") == b"k" * 32
    assert signature.key_of(encoded) is None
    assert signature.key_of("whsec_not base64!") is None
    assert signature.key_of("whsec_é") is None


# --- targets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://hooks.example/x?token=1", ""),
        ("http://127.0.0.1:8080/x", ""),
        ("http://hooks.example/x", "clear text"),
        ("https://ada:pw@hooks.example/x", "account"),
        ("ftp://hooks.example/x", "no https address"),
        ("hooks.example/x", "no address"),
        ("https://hooks.example/a b", "no address"),
        ("https://hooks.example:port/", "no address"),
        ("https://[", "no address"),
        ("token", "no address"),
    ],
)  # fmt: skip
def test_where_a_signed_post_may_go(url: str, says: str) -> None:
    problem = target.problem_of(url)
    assert says in problem and bool(says) == bool(problem)
    assert not any(part in problem for part in ("pw", "token", "hooks", "ada"))


def test_the_operation_says_how_many_were_told() -> None:
    good, bad = Told("a"), Told("b", "it answers 500")
    assert [target.operation(one) for one in ([], [good], [bad], [good, bad])] == [
        "none",
        "sent",
        "failed",
        "partial",
    ]
