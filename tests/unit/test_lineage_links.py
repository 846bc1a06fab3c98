"""Which links a lineage has, what holds, and that nothing in it can act as markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from model_gitops.core import lineage, lineage_report, status
from model_gitops.core.kustomization import Image
from model_gitops.core.lineage import Deployed, Pull, Registered, Source, Stored, Trace
from model_gitops.core.pipeline import Ingredient, Recipe
from model_gitops.core.promotion import Environment, Promotion, Rule
from model_gitops.core.status import Candidate, Status
from model_gitops.errors import InputError

COMMIT, HEAD, TIP = "1" * 40, "2" * 40, "3" * 40
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
HASH = "c" * 32
IMAGE = Image("m", "r.example/m", COMMIT, DIGEST)
LABELS = {"io.model-gitops.model.hash": HASH, "org.opencontainers.image.revision": HEAD}
SOURCE = Source(
    COMMIT, model_path="m.bin", model_hash=HASH, branch="main", on_branch=True, tip=COMMIT,
    tip_hash=HASH,
)  # fmt: skip
TRACE = Trace(
    subject="dev",
    model="m",
    environment="dev",
    deployed=Deployed(
        "acme/deploy", "main", "overlays/dev/kustomization.yaml", IMAGE, "d" * 40, IMAGE,
        {
            "model": ["m@v1.0.0"],
            "model-hash": [HASH],
            "image-digest": [DIGEST],
            "source-repository": ["acme/m"],
            "source-commit": [COMMIT],
        },
        since=1_700_000_000,
    ),
    stored=Stored("r.example/m", COMMIT, DIGEST, DIGEST, LABELS),
    built=replace(SOURCE, commit=HEAD),
    source=SOURCE,
    version=Registered("m", "v1.0.0", "m@v1.0.0", HEAD, HASH),
    held="v1.0.0",
    recipe=Recipe(("train",), (Ingredient("d.csv", "e" * 32, "data"),), {"p.yaml": {"a": 1}}, checked=3),
    pull=Pull(7, "https://g.example/acme/m/pull/7", "main", ("grace",)),
)  # fmt: skip


def states(trace: Trace) -> dict[str, str]:
    return {link.name: link.state for link in lineage.check(trace)}


def test_a_whole_chain_holds() -> None:
    found = states(TRACE)
    assert set(found.values()) == {"verified"}
    assert len(found) == 11
    assert lineage.broken(lineage.check(TRACE)) == ()


def test_what_was_not_asked_is_unknown_and_not_broken() -> None:
    trace = replace(
        TRACE,
        stored=None,
        built=None,
        pull=None,
        unasked={"registry": "no docker", "pull request": "no token"},
    )
    assert {name for name, state in states(trace).items() if state == "unknown"} == {
        "overlay → registry",
        "source commit → pull request",
    }
    told = lineage_report.text(trace, lineage.check(trace))
    assert "no docker" in told
    assert "no token" in told


def test_an_image_of_a_commit_that_is_gone_is_unknown() -> None:
    """A squashed pull request whose branch was deleted."""
    found = states(replace(TRACE, built=Source(HEAD, known=False)))
    assert found["image → build commit"] == "unknown"


def test_a_newer_commit_of_the_same_model_is_pending() -> None:
    newer = replace(TRACE, source=replace(SOURCE, tip=TIP))
    assert states(newer)["branch → source commit"] == "pending"
    other = replace(SOURCE, tip=TIP, tip_hash="f" * 32)
    assert states(replace(TRACE, source=other))["branch → source commit"] == "broken"


def test_a_link_names_both_sides_and_what_to_do() -> None:
    assert TRACE.stored
    moved = replace(TRACE, stored=replace(TRACE.stored, tag_digest=OTHER))
    (link,) = lineage.broken(lineage.check(moved))
    assert DIGEST in link.left
    assert OTHER in link.right
    assert f"--tag r.example/m:{COMMIT} r.example/m@{DIGEST}" in link.fix


def test_the_overlays_entry_is_found_by_name_or_by_image() -> None:
    side = Image("sidecar", "", "v1")
    assert lineage.pick([side, IMAGE], "m", "r.example/m", source="k") == IMAGE
    renamed = replace(IMAGE, name="app")
    assert lineage.pick([side, renamed], "m", "r.example/m", source="k") == renamed
    for images in ([], [side], [renamed, replace(renamed, name="b")]):
        with pytest.raises(InputError, match="no one image for the model 'm'"):
            lineage.pick(images, "m", "r.example/m", source="k")


HOSTILE = '"]; click n0 href "javascript:x"\n```\n<script>x</script> @octocat #1 |`$(x)`\x1b[2J'


def test_nothing_in_a_lineage_acts_as_markup() -> None:
    assert TRACE.deployed
    assert TRACE.recipe
    trace = replace(
        TRACE,
        subject=HOSTILE,
        model=HOSTILE,
        environment=HOSTILE,
        deployed=replace(TRACE.deployed, path=HOSTILE, image=Image(HOSTILE, HOSTILE, HOSTILE)),
        pull=Pull(7, "javascript:x", HOSTILE, (HOSTILE,)),
        recipe=replace(
            TRACE.recipe,
            ingredients=(Ingredient(HOSTILE, HOSTILE, "data"),),
            params={HOSTILE: {HOSTILE: HOSTILE}},
            problems=(HOSTILE,),
        ),
    )
    links = lineage.check(trace)
    graph = lineage_report.mermaid(trace, links)
    assert "`" not in graph
    for line in graph.splitlines():
        assert re.fullmatch(
            r'flowchart LR|  n\d+\["[^"\[\];]*(?:#\d+;[^"\[\];]*)*"\]|  n\d+ (?:-->|-\.->\|\w[\w ]*\|) n\d+'
            r"|  linkStyle \d+ stroke:#d1242f,stroke-width:3px",
            line,
        ), line
    told = lineage_report.markdown(trace, links)
    outside = re.sub(r"`[^`\n]*`", "", told.replace(graph, ""))
    assert "<script" not in outside
    assert "@octocat" not in outside
    assert "\x1b" not in told
    plain = lineage_report.text(trace, links)
    assert "\x1b" not in plain
    json.dumps(lineage_report.document(trace, links))
    view = Status(
        "dev", HOSTILE, trace=trace, links=links, waiting=(HOSTILE,), metrics={HOSTILE: 1.0}
    )
    proposed = Candidate(HOSTILE, COMMIT, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: 2.0})
    promotion = Promotion(HOSTILE, "r.example/m", (Environment("dev", "main"),))
    for text in (
        status.markdown(HOSTILE, [view], [HOSTILE]),
        status.comparison(view, proposed, promotion),
    ):
        outside = re.sub(r"`[^`\n]*`", "", text)
        assert "<script" not in outside
        assert "@octocat" not in outside
        assert "](javascript" not in outside
    assert "\x1b" not in status.text(HOSTILE, [view], [HOSTILE])


def test_the_next_environment_waits_for_what_the_one_before_runs() -> None:
    promotion = Promotion(
        "m", "r.example/m", (Environment("dev", "main"), Environment("prod", "p"))
    )
    dev = Status("dev", "main", trace=TRACE)
    assert status.waiting(promotion, [dev, dev]) == [(), ()]
    assert status.waiting(promotion, [dev, Status("prod", "p", waiting=("x",))]) == [
        (),
        ("v1.0.0 of dev (main → p)", "x"),
    ]


def test_a_candidate_is_better_or_worse_by_the_gates_direction() -> None:
    rule = Rule("m.json", "rmse", "lower")
    promotion = Promotion("m", "r.example/m", (Environment("dev", "main"),), gate=(rule,))
    now = Status("dev", "main", trace=TRACE, metrics={rule.metric: 50.0})
    table = status.comparison(
        now, Candidate("exp", TIP, "", HASH, "", {rule.metric: 40.0}), promotion
    )
    assert "| rmse | 50 | 40 ▲ |" in table
    assert f"| model | `{HASH}` | `{HASH}` (the same) |" in table
    assert "| version | v1.0.0 | not registered yet |" in table
