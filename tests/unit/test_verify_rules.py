"""What `verify`, `url` and `soak` of promotion.yaml say of an environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from model_gitops.adapters.promotion_file import parse_text
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.loads import LONGEST_SECONDS
from model_gitops.core.flow.verifying import LONGEST_TIMEOUT_SECONDS, Verify
from model_gitops.errors import InputError

ROOT = Path(__file__).parents[2]

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


def test_the_longest_that_may_be_asked_fits_the_jobs_of_verify_yml() -> None:
    text = TEXT + VERIFY.replace("soak: 2h", "timeout: 50m").replace(
        "time: 2m", "time: 59m, warm-up: 56s"
    )
    dev = environments(text)[0].verify
    assert dev and dev.load
    assert (dev.timeout, dev.load.longest) == (LONGEST_TIMEOUT_SECONDS, LONGEST_SECONDS)
    for template in ("model", "several-models"):
        jobs = YAML(typ="safe").load(ROOT / f"templates/{template}/.github/workflows/verify.yml")[
            "jobs"
        ]
        assert jobs["wait"]["timeout-minutes"] * 60 >= LONGEST_TIMEOUT_SECONDS + 600
        assert jobs["check"]["timeout-minutes"] * 60 >= LONGEST_SECONDS + 1800


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
        ("soak: 2h", "timeout: 51m", "50 min is the most: the job of verify.yml"),
        ("soak: 2h", "timeout: 3d", "timeout of verify"),
        ("time: 2m", "time: 60m", "1 h is the most that the job of verify.yml has for it"),
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
