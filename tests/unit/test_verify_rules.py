"""What `verify`, `url` and `soak` of promotion.yaml say of an environment."""

from __future__ import annotations

import pytest

from model_gitops.adapters.promotion_file import parse_text
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.verifying import Verify
from model_gitops.errors import InputError

TEXT = """\
model: churn
image: ghcr.io/acme/churn
environments:
  - {name: dev, branch: main}
  - {name: staging, branch: staging, url: "http://10.0.0.1:8080/", soak: 1d, verify: {integration: false, timeout: 90s}}
  - {name: production, branch: production, verify: false}
"""
VERIFY = """\
verify:
  url: https://{model}.{environment}.example.com
  load: {users: 20, rate: 5, time: 2m, failures: 1.5%, p95: 200ms}
  champion: {requests: tests/requests.jsonl}
  soak: 2h
  on-failure: rollback
"""


def environments(text: str, folder: str = "") -> list[Environment]:
    return list(parse_text(text, source="p.yaml", folder=folder).environments)


def test_the_flows_verify_is_each_environments_and_a_key_of_its_own_counts_first() -> None:
    dev, staging, production = environments(TEXT + VERIFY, "models/churn")
    assert dev.verify and staging.verify
    assert dev.verify.url == "https://churn.dev.example.com"
    assert dev.verify.load and (dev.verify.load.seconds, dev.verify.load.failures) == (120, 0.015)
    assert (dev.verify.load.p95, dev.verify.load.p99) == (0.2, None)
    assert (
        dev.verify.champion and dev.verify.champion.requests == "models/churn/tests/requests.jsonl"
    )
    assert (dev.verify.integration, dev.verify.timeout, dev.soak) == (None, 600, 7200)
    assert dev.verify.rollback
    assert (dev.verify.writer, dev.url, production.url) == (
        "",
        dev.verify.url,
        "https://churn.production.example.com",
    )
    assert (
        environments(TEXT + VERIFY + "  writer: app:checker\n")[0].verify.writer == "checker[bot]"
    )
    assert staging.verify.url == "http://10.0.0.1:8080"
    assert (staging.verify.integration, staging.verify.timeout, staging.soak) == ("", 90, 86400)
    assert staging.verify.load == dev.verify.load
    assert (production.verify, production.soak) == (None, 0)


def test_without_a_word_nothing_is_verified_and_nothing_waits() -> None:
    dev, *_ = environments(TEXT)
    assert (dev.verify, dev.soak) == (None, 0)
    assert environments(TEXT + "verify: {}\n")[0].verify == Verify()
    (_, staging, _) = environments(TEXT)
    assert staging.verify == Verify(
        url="http://10.0.0.1:8080", integration="", timeout=90, soak=86400
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("url: https://{model}", "url: ftp://{model}", "pattern|does not match|verify.url"),
        ("url: https://{model}", "url: https://{team}", "placeholders"),
        ("url: https://{model}", "url: https://user:secret@{model}", "no address"),
        ("soak: 2h", "soak: 2 hours", "verify.soak"),
        ("p95: 200ms", "p95: 200", "verify.load.p95"),
        ("failures: 1.5%", "failures: 0.015", "verify.load.failures"),
        ("tests/requests.jsonl", "../requests.jsonl", "leads out"),
        ("on-failure: rollback", "on-failure: rollbak", "on-failure"),
        ("champion: {", "champion: {answer: 1%, ", "answer"),
        ("users: 20", "user: 20", "users: 20"),
        ("load: {users: 20, rate: 5, time: 2m, failures: 1.5%, p95: 200ms}", "load: true", "load"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert old in VERIFY
    with pytest.raises(InputError) as error:
        environments(TEXT + VERIFY.replace(old, new))
    assert any(one in str(error.value) for one in said.split("|")), error.value
    assert error.value.fix
