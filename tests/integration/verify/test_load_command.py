"""The project's load test in a job: what it has of the job's environment, and what it could read beside it."""

from __future__ import annotations

import json
import os

from verify_site import READER, SCRIPTS, WRITER, Site

from model_gitops.adapters import process
from model_gitops.options import variable

REPORT = '{"requests": 9, "failures": 0, "seconds": 1, "p50": 1, "p95": 1, "p99": 1}'
LINE = f"env >.git/seen; echo '{REPORT}' >$LOAD_REPORT"


def with_a_load_test(site: Site) -> None:
    load = {"users": 1, "rate": 1, "time": "1s", "warm-up": "0s"}
    verify = {"url": site.service.url, "timeout": "3s", "load": load}
    rules = json.dumps(site.promotion(verify=verify, commands={"load": LINE}))
    site.commit(site.work, {"promotion.yaml": rules}, "A load test")


def seen(site: Site) -> dict[str, str]:
    text = (site.work.directory / ".git/seen").read_text("utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_a_load_test_beside_secrets_is_warned_of(site: Site) -> None:
    with_a_load_test(site)
    workflow = {"GITHUB_ACTIONS": "true"}
    told = site.run(env=workflow)
    assert (told.code, told.outputs["verdict"]) == (0, "success"), told.log
    assert "::warning" in told.log
    assert "a job that holds `token`, `source-token`, and may read them" in told.log
    # What its own environment has is the job's, without the action's inputs.
    found = seen(site)
    assert found["LOAD_USERS"] == "1"
    assert not {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", variable("token")} & set(found)
    assert not {READER, WRITER} & set(found.values())
    waited = site.run(part="wait", again="true", env=workflow)
    checked = site.run(part="check", results=waited.outputs["results"], token="", env=workflow)
    assert checked.code == 0, checked.log
    assert "may read them" not in checked.log
    by_hand = site.run(again="true")
    assert by_hand.code == 0
    assert "may read them" not in by_hand.log


def test_run_sh_gives_the_load_test_back_what_it_takes(site: Site) -> None:
    """Where packages come from, above all: the load test installs its own tool."""
    with_a_load_test(site)
    waited = site.run(part="wait")
    given = {variable("part"): "check", variable("results"): waited.outputs["results"]}
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    process.run(
        [SCRIPTS / "run.sh", "verify-deployment"],
        cwd=site.work.directory,
        env=kept
        | given
        | {"PYTHONPATH": "src", "UV_LINK_MODE": "copy", "UV_INDEX_STRATEGY": "first-index"},
        inherit=False,
    )
    found = seen(site)
    assert found["PYTHONPATH"] == "src"
    assert found["UV_LINK_MODE"] == "copy"
    assert found["UV_INDEX_STRATEGY"] == "first-index"
    assert "VIRTUAL_ENV" not in found
