"""Which links a lineage has, what holds, and that nothing in it can act as markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from chain import COMMIT, DIGEST, HASH, HEAD, IMAGE, LABELS, OTHER, SOURCE, TIP, TRACE

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.dvc.pipeline import Ingredient
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion, Rule
from model_gitops.core.lineage import facts as lineage
from model_gitops.core.lineage import links as links_of
from model_gitops.core.lineage import report as lineage_report
from model_gitops.core.lineage import status
from model_gitops.core.lineage.facts import Pull, Registered, Source, Trace
from model_gitops.core.lineage.link import broken
from model_gitops.core.lineage.status import Candidate, Status
from model_gitops.errors import InputError


def states(trace: Trace) -> dict[str, str]:
    return {link.name: link.state for link in links_of.check(trace)}


def test_a_whole_chain_holds() -> None:
    found = states(TRACE)
    assert set(found.values()) == {"verified"}
    assert len(found) == 12
    assert broken(links_of.check(TRACE)) == ()


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
    told = lineage_report.text(trace, links_of.check(trace))
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


def test_a_deployment_of_the_same_model_may_wait_but_not_for_ever() -> None:
    newer = replace(TRACE, source=replace(SOURCE, tip=TIP, tip_age=links_of.PATIENCE + 1.0))
    assert states(newer)["branch → source commit"] == "broken"
    unknown = replace(SOURCE, tip=TIP, tip_hash="", model_hash="", problem="no dvc.lock")
    assert states(replace(TRACE, source=unknown))["branch → source commit"] == "broken"
    back = replace(SOURCE, tip=TIP, tip_hash="f" * 32, tip_taken_back=True)
    assert states(replace(TRACE, source=back))["branch → source commit"] == "pending"


def broken_by(**changes: object) -> set[str]:
    """The links that break where facts of the deployment change."""
    assert TRACE.deployed
    trace = replace(TRACE, deployed=replace(TRACE.deployed, **changes))  # type: ignore[arg-type]
    return {link.name for link in broken(links_of.check(trace))}


def test_a_deploy_commit_that_says_nothing_of_its_source_is_no_deployment() -> None:
    assert TRACE.deployed
    only_digest = replace(TRACE.deployed, trailers={"image-digest": [DIGEST]})
    trace = replace(TRACE, deployed=only_digest, source=None, version=None, pull=None, recipe=None)
    links = {link.name: link for link in links_of.check(trace)}
    assert links["deploy commit → source commit"].state == "broken"
    assert "no Source-Repository and Source-Commit" in links["deploy commit → source commit"].left
    assert links["stage → version"].state == "unknown"


def test_without_a_version_the_stage_is_compared_by_its_model() -> None:
    nameless = replace(TRACE, version=None)
    assert states(nameless)["stage → version"] == "verified"
    assert states(replace(nameless, held_hash="f" * 32))["stage → version"] == "broken"


def test_the_image_is_the_one_of_the_source_commit() -> None:
    assert broken_by(image=replace(IMAGE, tag=HEAD), recorded=replace(IMAGE, tag=HEAD)) == {
        "image → source commit"
    }
    assert TRACE.deployed
    release = replace(IMAGE, tag="v1")
    deployed = replace(TRACE.deployed, image=release, recorded=release)
    for tagged, state in ((DIGEST, "verified"), (OTHER, "broken"), ("", "unknown")):
        trace = replace(TRACE, deployed=deployed, tagged=tagged)
        assert states(trace)["image → source commit"] == state


def test_what_kustomize_makes_of_the_entry_is_the_entry() -> None:
    later = Image("r.example/m", "evil.example/m", "", OTHER)
    assert broken_by(overruled=later) == {"overlay → rendered image"}
    other = replace(IMAGE, new_name="evil.example/m")
    assert broken_by(image=other, recorded=other) == {"overlay → promotion.yaml"}


def test_production_takes_merged_pull_requests_only() -> None:
    assert {link.name for link in broken(links_of.check(replace(TRACE, by_pull=True)))} == {
        "deploy commit → deploy pull request"
    }
    unasked = {"deploy pull request": "no token"}
    asked = replace(TRACE, by_pull=True, unasked=unasked)
    assert states(asked)["deploy commit → deploy pull request"] == "unknown"


def test_a_branch_that_the_server_has_not_is_named() -> None:
    gone = replace(TRACE, source=replace(SOURCE, tip="", on_branch=False))
    (link,) = broken(links_of.check(gone))
    assert link.right == "the server has no branch main"


def test_another_models_version_is_no_version() -> None:
    trace = replace(TRACE, version=Registered("other", "v1.0.0", "other@v1.0.0", HEAD, HASH))
    names = {link.name for link in broken(links_of.check(trace))}
    assert names == {"version → model", "stage → version"}
    assert TRACE.stored
    labels = {**LABELS, "io.model-gitops.model.name": "other"}
    foreign = replace(TRACE, stored=replace(TRACE.stored, labels=labels))
    (link,) = broken(links_of.check(foreign))
    assert link.left == "the image's label says model other"


def test_a_stage_that_moves_while_a_pull_request_is_open_is_pending() -> None:
    early = replace(TRACE, held="v2.0.0", moves_early=True)
    assert states(early)["stage → version"] == "pending"
    assert states(replace(early, moves_early=False))["stage → version"] == "broken"


def test_a_registry_that_nobody_can_read_is_named() -> None:
    torn = replace(TRACE, held="", held_problem="several versions at commit abc: v1, v2")
    (link,) = broken(links_of.check(torn))
    assert (link.name, link.right) == ("stage → version", torn.held_problem)


def test_what_nobody_could_compare_is_said_beside_what_holds() -> None:
    assert TRACE.recipe
    trace = replace(TRACE, recipe=replace(TRACE.recipe, unchecked=("gone.py, which is gone",)))
    found = [link for link in links_of.check(trace) if link.name == "model → data"]
    assert [link.state for link in found] == ["verified", "unknown"]


def test_a_commit_that_is_gone_is_named_once() -> None:
    gone = replace(TRACE, source=Source(COMMIT, known=False, branch="main"), recipe=None)
    (link,) = broken(links_of.check(gone))
    assert link.right == "the model repository has no such commit"


def test_data_of_any_kind_is_json() -> None:
    assert TRACE.recipe
    import datetime

    odd = {"day": datetime.date(2024, 1, 2), "nan": float("nan"), 5: {"a", "b"}, "raw": b"x"}
    trace = replace(TRACE, recipe=replace(TRACE.recipe, params={"p.yaml": odd}))
    said = json.dumps(lineage_report.document(trace, links_of.check(trace)), allow_nan=False)
    assert "2024-01-02" in said
    assert lineage_report.text(trace, ())


def test_a_link_names_both_sides_and_what_to_do() -> None:
    assert TRACE.stored
    moved = replace(TRACE, stored=replace(TRACE.stored, tag_digest=OTHER))
    (link,) = broken(links_of.check(moved))
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
    links = links_of.check(trace)
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


def test_only_what_is_newer_waits() -> None:
    promotion = Promotion(
        "m", "r.example/m", (Environment("dev", "main"), Environment("prod", "p"))
    )
    assert TRACE.deployed
    assert TRACE.version
    other = replace(TRACE.deployed, image=replace(IMAGE, digest=OTHER))
    dev, prod = (
        Status("dev", "main", trace=TRACE),
        Status("prod", "p", trace=replace(TRACE, deployed=other)),
    )
    # The same model with other code waits; an older version, after a rollback of dev, does not.
    assert status.waiting(promotion, [dev, prod])[1] == (
        f"v1.0.0 with the code of {COMMIT[:12]} of dev (main → p)",
    )
    newer = replace(TRACE, deployed=other, version=replace(TRACE.version, version="v1.10.0"))
    assert status.waiting(promotion, [dev, Status("prod", "p", trace=newer)])[1] == ()
    assert status.waiting(promotion, [Status("dev", "main", trace=newer), dev])[1] == (
        "v1.10.0 of dev (main → p)",
    )


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


@pytest.mark.parametrize("end", ["", "-abcdef012345"])
def test_a_tag_that_could_not_move_names_its_commit_too(end: str) -> None:
    """Of a registry with immutable tags: the commit's own tag, or one that starts with it."""

    def state(commit: str) -> str:
        image = replace(IMAGE, tag=f"{commit}{end}")
        deployed = replace(TRACE.deployed, image=image, recorded=image)
        return states(replace(TRACE, deployed=deployed))["image → source commit"]

    assert TRACE.source
    assert state(TRACE.source.commit) == "verified"
    assert state("f" * 40) == "broken"


def test_a_signature_that_is_demanded_is_a_link() -> None:
    signed = lineage.Signed("the key sha256:1", "a=b")
    assert states(replace(TRACE, signature=signed))["image → signature"] == "verified"
    unsigned = replace(TRACE, signature=replace(signed, problem="it has no signature"))
    assert states(unsigned)["image → signature"] == "broken"
    (link,) = broken(links_of.check(unsigned))
    assert "the key sha256:1 signed a=b" in link.sentence
    assert "it has no signature" in link.sentence
    # Nobody could ask: that is not verified. Nothing is demanded: that is no link.
    unasked = replace(TRACE, unasked={"signature": "no cosign"})
    assert states(unasked)["image → signature"] == "unknown"
    assert "image → signature" not in states(TRACE)
