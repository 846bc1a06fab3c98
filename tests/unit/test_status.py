"""What people and programs are shown of all environments, word for word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jsonschema
import world
from chain import (
    COMMIT,
    DEPLOYED,
    DIGEST,
    HASH,
    HEAD,
    IMAGE,
    OTHER,
    TIP,
    TRACE,
    WHOLE,
)

from model_gitops.core.deploy.hold import Hold
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion, Rule
from model_gitops.core.lineage import status
from model_gitops.core.lineage.facts import Pull
from model_gitops.core.lineage.link import Link
from model_gitops.core.lineage.status import Candidate, Status

JOINED = "@\u2060"
NAMED = f"r.example/m:{COMMIT}@{DIGEST}"
LINKS = (
    Link(("overlay", "deploy commit"), "l1", "r1", "verified"),
    Link(("deploy commit", "source commit"), "l2", "r2", "unknown"),
    Link(("model", "data"), "l3 <b>", "r3", "pending", "wait"),
    Link(("model", "data"), "l4", "r4", "unknown"),
    Link(("stage", "version"), "l5", "r5\x07  x", "broken", "do it"),
)


def pull(number: int, repository: str, **more: Any) -> dict[str, Any]:
    found = {"number": number, "url": f"https://g.example/{repository}/pull/{number}", "head": None,
             "commit": None, "approved_by": [], "approved_older": []}  # fmt: skip
    return {**found, **more}


MODEL_PULL = pull(7, "acme/m", head="main", commit=HEAD, approved_by=["grace"])
DEPLOY_PULL = pull(8, "acme/deploy", approved_by=["ada", "grace"])


METRIC = "m.json:r2"
DEV = Status("dev", "main", trace=WHOLE, links=LINKS[:4], metrics={METRIC: 0.5}, waiting=("x", "y"))
TORN = Status("prod", "p", trace=replace(WHOLE, pull=None), links=LINKS, metrics={"m.json:b": 2.0})
ODD = Status("odd", "o", problem="why", fix="do")
NEW = Status("new", "n")
LOOSE = Status(
    "loose", "l", trace=replace(TRACE, pull=Pull(9, "javascript:x", "l")), metrics={METRIC: 1.0}
)
ALL = [DEV, TORN, ODD, NEW, LOOSE]


def test_what_a_status_is() -> None:
    assert [one.in_sync for one in ALL] == [True, False, False, True, True]
    assert [one.version for one in ALL] == ["v1.0.0", "v1.0.0", "", "", "v1.0.0"]
    assert [one.digest for one in ALL] == [DIGEST, DIGEST, "", "", DIGEST]
    assert [one.reference for one in ALL] == [NAMED, NAMED, "", "", NAMED]
    assert [one.since for one in ALL] == [1_700_000_000, 1_700_000_000, 0, 0, 1_700_000_000]
    assert TORN.problems == [("stage → version: l5, and r5\x07  x", "do it")]
    assert replace(TORN, problem="why", fix="do").problems[0] == ("why", "do")
    assert (DEV.problems, ODD.problems) == ([], [("why", "do")])
    # Where no deploy commit names a version, the stage's.
    held = replace(DEV, trace=replace(WHOLE, version=None, held="v9"))
    assert held.version == "v9"
    assert replace(DEV, trace=replace(WHOLE, version=None, held=None)).version == ""
    alone = replace(DEV, trace=replace(WHOLE, deployed=None))
    assert (alone.digest, alone.reference, alone.since) == ("", "", 0)


def test_a_status_for_a_terminal() -> None:
    assert status.text("m", ALL, ["note", "other"]).splitlines() == [
        "m",
        "",
        "   environment  version  r2   b  image         since                 by                      waiting",
        "✓  dev          v1.0.0   0.5  –  aaaaaaaaaaaa  2023-11-14 22:13 UTC  #7, approved by grace   x; y",
        "✗  prod         v1.0.0   –    2  aaaaaaaaaaaa  2023-11-14 22:13 UTC  111111111111            –",
        "✗  odd          –        –    –  –             –                     –                       –",
        "✓  new          –        –    –  –             –                     –                       –",
        "✓  loose        v1.0.0   1    –  aaaaaaaaaaaa  2023-11-14 22:13 UTC  #9, approved by nobody  –",
        "",
        "✗ prod: stage → version: l5, and r5 x",
        "  Fix: do it",
        "",
        "✗ odd: why",
        "  Fix: do",
        "",
        "? note",
        "? other",
    ]
    assert status.text("m", [replace(ODD, fix="")]).endswith("\n\n✗ odd: why\n")
    assert status.text("m", [NEW]).endswith("–\n")


def test_a_status_as_markdown() -> None:
    found = status.markdown("m", ALL, ["note"]).splitlines()
    assert found == [
        "### m: what runs where",
        "",
        "|  | environment | version | r2 | b | image | since | by | waiting |",
        "|---|---|---|---|---|---|---|---|---|",
        "| ✅ | dev | v1.0.0 | 0.5 | – | `aaaaaaaaaaaa` | 2023-11-14 22:13 UTC"
        " | [#7](https://g.example/acme/m/pull/7), approved by grace | x<br>y |",
        "| ❌ | prod | v1.0.0 | – | 2 | `aaaaaaaaaaaa` | 2023-11-14 22:13 UTC | `111111111111` | – |",
        "| ❌ | odd | – | – | – | – | – | – | – |",
        "| ✅ | new | – | – | – | – | – | – | – |",
        "| ✅ | loose | v1.0.0 | 1 | – | `aaaaaaaaaaaa` | 2023-11-14 22:13 UTC"
        " | `#9, approved by nobody` | – |",
        "",
        "- ❌ **prod**: stage → version: l5, and r5  x",
        "  What to run: `do it`",
        "- ❌ **odd**: why",
        "  What to run: `do`",
        "",
        "❔ note",
    ]
    nobody = replace(DEV, trace=replace(WHOLE, pull=Pull(7, "http://g/7", "staging")))
    assert "| [#7](http://g/7), approved by nobody |" in status.markdown("m", [nobody])


def test_a_long_problem_is_cut() -> None:
    found = status.markdown("m", [replace(ODD, problem="p" * 600, fix="f" * 600)])
    assert "p" * 490 in found
    assert "p" * 501 not in found
    assert "f" * 490 in found
    assert "f" * 501 not in found


def test_a_status_as_json() -> None:
    whole = {
        "name": "dev",
        "branch": "main",
        "in_sync": True,
        "version": "v1.0.0",
        "stage_version": "v1.0.0",
        "image": NAMED,
        "digest": DIGEST,
        "since": "2023-11-14T22:13:20+00:00",
        "source_commit": COMMIT,
        "deploy_commit": "d" * 40,
        "pull_request": MODEL_PULL,
        "deploy_pull_request": DEPLOY_PULL,
        "metrics": {METRIC: 0.5},
        "hold": None,
        "waiting": ["x", "y"],
        "problems": [],
    }
    nothing = {**dict.fromkeys(whole), "name": "odd", "branch": "o", "in_sync": False, "metrics": {},
               "waiting": [], "problems": [{"problem": "why", "fix": "do"}]}  # fmt: skip
    assert status.document("m", [DEV, ODD]) == {
        "model": "m", "in_sync": False, "environments": [whole, nothing]
    }  # fmt: skip
    assert status.document("m", [DEV, NEW])["in_sync"] is True
    assert status.document("m", [ODD, ODD])["in_sync"] is False
    bare = replace(DEV, trace=replace(WHOLE, source=None, deployed=None, held=""), links=())
    (one,) = status.document("m", [bare])["environments"]
    assert (one["source_commit"], one["deploy_commit"], one["stage_version"]) == (None, None, None)
    loose = replace(DEV, trace=replace(WHOLE, deployed=replace(DEPLOYED, commit="")))
    assert status.document("m", [loose])["environments"][0]["deploy_commit"] is None
    unfixed = status.document("m", [replace(ODD, fix="")])["environments"][0]["problems"]
    assert unfixed == [{"problem": "why", "fix": None}]


FLOW = Promotion(
    "m", "r.example/m", (Environment("dev", "main"), Environment("prod", "p")),
    gate=(Rule("m.json", "r2", "higher"),),
)  # fmt: skip


def test_a_candidate_beside_what_runs() -> None:
    proposed = Candidate(
        "exp", TIP, "v2.0.0", "f" * 32, f"r:t@{OTHER}", {METRIC: 0.75, "m.json:n": None}
    )
    assert status.comparison(TORN, proposed, FLOW, ["note"]).splitlines()[:11] == [
        "| | prod now | candidate |",
        "|---|---|---|",
        "| version | v1.0.0 | v2.0.0 |",
        f"| model | `{HASH}` | `{'f' * 32}` |",
        "| b | 2 | – |",
        "| r2 | – | 0.75 |",
        f"| image | `aaaaaaaaaaaa` | `{'b' * 12}` |",
        "| since | 2023-11-14 22:13 UTC | – |",
        "| by | `111111111111` | `exp` |",
        "| in sync | ❌ | – |",
        "",
    ]
    same = Candidate("exp", TIP, "", HASH, NAMED, {METRIC: 0.5})
    table = status.comparison(DEV, same, FLOW)
    assert f"| model | `{HASH}` | `{HASH}` (the same) |" in table
    assert "| image | `aaaaaaaaaaaa` | `aaaaaaaaaaaa` (the same) |" in table
    assert "| version | v1.0.0 | not registered yet |" in table
    assert "| r2 | 0.5 | 0.5 |" in table
    assert "| in sync | ✅ | – |" in table
    assert "| r2 | 0.5 | 0.25 ▼ |" in status.comparison(
        DEV, replace(same, metrics={METRIC: 0.25}), FLOW
    )
    nothing = status.comparison(NEW, replace(same, image=""), FLOW)
    assert nothing.splitlines() == [
        "| | new now | candidate |",
        "|---|---|---|",
        "| version | – | not registered yet |",
        f"| model | – | `{HASH}` |",
        "| r2 | – | 0.5 |",
        "| by | – | `exp` |",
    ]
    assert "| in sync | ❌ |  |" not in status.comparison(ODD, same, FLOW)
    assert "| in sync | ❌ | – |" in status.comparison(ODD, same, FLOW)


def test_what_waits_for_the_next_environment() -> None:
    later = replace(WHOLE, deployed=replace(DEPLOYED, image=replace(IMAGE, digest=OTHER)))
    prod = Status("prod", "p", trace=later, waiting=("x",))
    said = f"v1.0.0 with the code of {COMMIT[:12]} of dev (main → p)"
    assert status.waiting(FLOW, [DEV, prod]) == [("x", "y"), (said, "x")]
    assert status.waiting(FLOW, [NEW, prod]) == [(), ("x",)]
    sourceless = replace(DEV, trace=replace(WHOLE, source=None))
    assert status.waiting(FLOW, [sourceless, prod])[1] == ("v1.0.0 of dev (main → p)", "x")
    assert status.waiting(FLOW, [DEV, NEW])[1] == ("v1.0.0 of dev (main → p)",)


def test_one_line_says_what_runs_or_what_it_waits_for() -> None:
    runs = f"now runs m v1.0.0, r2 0.5, deploy commit `{DEPLOYED.commit[:12]}`."
    assert status.sentence("m", DEV) == f"dev {runs}"
    url = "https://g.example/acme/deploy/pull/1"
    waits = replace(DEV, proposal=("m@v1.0.1 in the deploy pull request", url))
    link = f"[m{JOINED}v1.0.1 in the deploy pull request]({url})"
    assert status.sentence("m", waits) == f"dev waits for {link}; it {runs}"
    new = replace(NEW, proposal=("an image in the deploy pull request", "javascript:x"))
    assert status.sentence("m", new) == (
        "new waits for an image in the deploy pull request, and runs nothing yet."
    )
    assert status.sentence("m", NEW) == "new runs nothing yet."
    assert status.sentence("m", ODD) == "❌ What odd runs can't be said: why."
    unknown = replace(DEV, trace=replace(WHOLE, version=None, held=None), metrics={"a": None})
    assert "dev now runs m of no version, deploy commit" in status.sentence("m", unknown)
    assert status.sentence("m", TORN).endswith(" ❌ stage → version: l5, and r5  x.")


def test_a_held_environment_is_in_sync_and_says_so() -> None:
    moment = datetime(2026, 11, 30, 12, tzinfo=UTC)
    held = Hold("p95 | *too* high @ada", "grace", moment, moment.replace(hour=14))
    one = replace(DEV, hold=held)
    assert one.in_sync
    told = (
        "held by grace since 2026-11-30 12:00 UTC, until 2026-11-30 14:00 UTC: p95 | *too* high @ada."
        " Behind it waits: x; y"
    )
    assert one.held == told
    release = "scripts/run.sh hold-environment --environment dev --operation release"
    shown = status.text("m", [one])
    assert f"ℹ dev: {told}\n  To do: {release}\n" in shown
    assert "✓  dev" in shown
    page = status.markdown("m", [one])
    assert "✅ | dev" in page and f"What to run: `{release}`" in page
    assert "p95 \\| \\*too\\* high @\u2060ada" in page
    assert "It is held by grace since" in status.sentence("m", one)
    (found,) = status.document("m", [one])["environments"]
    assert found["in_sync"] is True and found["waiting"] == ["x", "y"]
    assert found["hold"] == {
        "reason": "p95 | *too* high @ada", "by": "grace", "since": "2026-11-30T12:00:00+00:00",
        "until": "2026-11-30T14:00:00+00:00", "problem": None,
    }  # fmt: skip
    jsonschema.validate(status.document("m", [one]), world.schema("status"))


def test_a_hold_that_can_not_be_read_says_why() -> None:
    one = replace(NEW, hold=Hold("", "", None, problem="hold.yaml is not valid YAML"))
    assert one.held == "held, as what holds it can't be read: hold.yaml is not valid YAML"
    (found,) = status.document("m", [one])["environments"]
    assert found["hold"]["problem"] == "hold.yaml is not valid YAML"
