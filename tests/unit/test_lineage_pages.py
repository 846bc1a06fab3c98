"""What people and programs are shown of a lineage and of a status, word for word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from chain import (
    COMMIT,
    DEPLOYED,
    DIGEST,
    FINGERPRINT,
    HASH,
    HEAD,
    IMAGE,
    LABELS,
    OTHER,
    SHA256,
    STORED,
    TIP,
    TRACE,
    WHOLE,
)

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.dvc.pipeline import Ingredient, Recipe
from model_gitops.core.flow.promotion import Environment, Promotion, Rule
from model_gitops.core.lineage import facts, hop, report, reviews, status
from model_gitops.core.lineage.facts import Deployed, Pull, Registered, Source, Stored, Trace
from model_gitops.core.lineage.link import Link
from model_gitops.core.lineage.reviews import Approvals, Review
from model_gitops.core.lineage.status import Candidate, Status
from model_gitops.errors import InputError, RefusedError

NAMED = f"r.example/m:{COMMIT}@{DIGEST}"
FACTS = [
    ("overlay", "overlays/staging/kustomization.yaml of acme/deploy, branch main"),
    ("image", NAMED),
    ("deploy commit", "d" * 40),
    ("since", "2023-11-14 22:13 UTC"),
    ("deploy pull request", "#8, approved by ada, grace, https://g.example/acme/deploy/pull/8"),
    ("built from commit", HEAD),
    ("source commit", COMMIT),
    ("pull request", "#7, approved by grace, https://g.example/acme/m/pull/7"),
    ("version", "m@v1.0.0"),
    ("stage", "m#staging holds v1.0.0"),
    ("model", f"m.bin, MD5 {HASH}"),
    ("data", f"d.csv, MD5 {'e' * 32}"),
    ("params", "p.yaml: a=1"),
]
LINKS = (
    Link(("overlay", "deploy commit"), "l1", "r1", "verified"),
    Link(("deploy commit", "source commit"), "l2", "r2", "unknown"),
    Link(("model", "data"), "l3 <b>", "r3", "pending", "wait"),
    Link(("model", "data"), "l4", "r4", "unknown"),
    Link(("stage", "version"), "l5", "r5\x07  x", "broken", "do it"),
)


def test_the_facts_of_a_chain() -> None:
    assert report.facts(WHOLE) == FACTS


def test_facts_that_are_not_there_are_left_out() -> None:
    assert report.facts(Trace("s", "m")) == []
    alone = replace(WHOLE, deployed=None, source=None, built=None, pull=None, deploy_pull=None,
                    version=None, held=None, recipe=None)  # fmt: skip
    assert report.facts(alone) == [("image", NAMED)]
    empty = replace(alone, stored=None, deployed=replace(DEPLOYED, commit="", since=0), held="")
    assert report.facts(empty) == [*FACTS[:2], ("stage", "m#staging holds nothing")]
    unapproved = replace(WHOLE, pull=Pull(7, "u", "staging"))
    assert ("pull request", "#7, approved by nobody, u") in report.facts(unapproved)
    unknown = replace(alone, source=Source(COMMIT))
    assert report.facts(unknown) == [("image", NAMED), ("source commit", COMMIT)]


@pytest.mark.parametrize(("count", "shown"), [(20, 20), (21, 20), (25, 20)])
def test_of_many_files_the_first_are_shown(count: int, shown: int) -> None:
    many = tuple(Ingredient(f"f{number}", "e" * 32, "code") for number in range(count))
    params = {"p.yaml": {"a": {"b": 0.5}, "c": True}}
    found = report.facts(replace(WHOLE, recipe=Recipe(("train",), many, params)))
    code = [value for name, value in found if name == "code"]
    assert code[:shown] == [f"f{number}, MD5 {'e' * 32}" for number in range(shown)]
    assert code[shown:] == ([f"and {count - shown} more"] if count > shown else [])
    assert found[-1] == ("params", "p.yaml: a.b=0.5, c=True")


def test_the_verdict() -> None:
    assert report.verdict(WHOLE, LINKS) == "m in staging: 1 of 5 links broken"
    assert report.verdict(WHOLE, LINKS[:4]) == (
        "m in staging: 1 links verified, 3 could not be asked or wait"
    )
    assert report.verdict(replace(WHOLE, environment=""), LINKS[:1]) == "staging: 1 links verified"


def test_a_lineage_for_a_terminal() -> None:
    small = Trace("v1", "m", version=Registered("m", "v1"), source=Source(COMMIT))
    assert report.text(small, LINKS).splitlines() == [
        "v1: 1 of 5 links broken",
        "",
        f"  source commit  {COMMIT}",
        "  version        m@v1",
        "",
        "  ✓ overlay → deploy commit",
        "  ? deploy commit → source commit",
        "      l2",
        "      r2",
        "  … model → data",
        "      l3 <b>",
        "      r3",
        "      Fix: wait",
        "  ? model → data",
        "      l4",
        "      r4",
        "  ✗ stage → version",
        "      l5",
        "      r5 x",
        "      Fix: do it",
    ]
    assert report.text(Trace("v1", "m"), ()) == "v1: 0 links verified\n\n\n"


GRAPH = """flowchart LR
  n0["overlay<br>overlays/staging/kustomization.yaml"]
  n1["deploy commit<br>dddddddddddd"]
  n2["source commit<br>111111111111"]
  n3["model<br>m cccccccccccc"]
  n4["data<br>d.csv eeeeeeeeeeee"]
  n5["stage<br>m staging"]
  n6["version<br>m@v1.0.0"]
  n0 --> n1
  n1 -.->|not asked| n2
  n3 -.->|waiting| n4
  n5 -.->|broken| n6
  linkStyle 3 stroke:#d1242f,stroke-width:3px"""


def test_a_lineage_as_a_graph() -> None:
    assert report.mermaid(WHOLE, LINKS) == GRAPH


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        ("registry", f"<br>r.example/m:{COMMIT}"),
        ("image", "<br>sha256:aaaaaaaaaaaa"),
        ("build commit", "<br>222222222222"),
        ("branch", "<br>staging"),
        ("pull request", "<br>no. 7"),
        ("hop", "<br>main to staging"),
        ("approvals", "<br>grace"),
        ("environment before", "<br>dev"),
        ("deploy pull request", "<br>no. 8"),
        ("promotion.yaml", ""),
    ],
)
def test_the_boxes_of_a_graph(end: str, detail: str) -> None:
    graph = report.mermaid(WHOLE, [Link((end, "x"), "", "", "verified")])
    assert f'  n0["{end}{detail}"]\n' in graph
    nothing = report.mermaid(Trace("s", "m"), [Link((end, "x"), "", "", "verified")])
    assert f'  n0["{end}"]\n' in nothing


def test_the_boxes_of_a_chain_that_is_half_known() -> None:
    ends = ["overlay", "deploy commit", "source commit", "model", "data", "version", "image"]
    half = replace(
        Trace("s", "m"),
        stored=Stored("r", "t", "", OTHER),
        recipe=Recipe((), tuple(Ingredient(f"f{n}", "e" * 32, "data") for n in range(3)), {}),
        pull=Pull(7, "u", "main", head="x"),
    )
    graph = report.mermaid(half, [Link((end, "approvals"), "", "", "verified") for end in ends])
    assert [line for line in graph.splitlines() if '["' in line] == [
        '  n0["overlay"]',
        '  n1["approvals<br>nobody"]',
        '  n2["deploy commit"]',
        '  n3["source commit"]',
        '  n4["model<br>m"]',
        '  n5["data<br>f0 eeeeeeeeeeee, f1 eeeeeeeeeeee, 1 more"]',
        '  n6["version"]',
        '  n7["image<br>sha256:bbbbbbbbbbbb"]',
    ]
    two = replace(half, recipe=Recipe((), half.recipe.ingredients[:2], {}) if half.recipe else None)
    graph = report.mermaid(two, [Link(("data", "x"), "", "", "verified")])
    assert '"data<br>f0 eeeeeeeeeeee, f1 eeeeeeeeeeee"' in graph


def test_text_in_a_graph_is_text() -> None:
    odd = replace(WHOLE, environment='"<a>\n`' + "x" * 100)
    graph = report.mermaid(odd, [Link(("stage", "x"), "", "", "verified")])
    shown = "m #34;#60;a#62; #96;" + "x" * 72
    assert f'  n0["stage<br>{shown}"]' in graph


def test_a_lineage_as_markdown() -> None:
    found = report.markdown(WHOLE, LINKS)
    rows = [f"| {name} | `{value}` |" for name, value in FACTS]
    head, _, rest = found.partition("```mermaid\n")
    assert head == "### Lineage of m in staging: 1 of 5 links broken\n\n"
    assert rest == "\n".join(
        [
            GRAPH, "```", "", "| | |", "|---|---|", *rows, "",
            "| | link | one side | the other side |", "|---|---|---|---|",
            "| ✅ | overlay → deploy commit | l1 | r1 |",
            "| ❔ | deploy commit → source commit | l2 | r2 |",
            "| ⏳ | model → data | l3 &lt;b&gt; | r3 |",
            "| ❔ | model → data | l4 | r4 |",
            "| ❌ | stage → version | l5 | r5  x |",
            "", "What to do:", "", "- model → data: `wait`", "- stage → version: `do it`", "",
        ]
    )  # fmt: skip
    assert "What to do" not in report.markdown(WHOLE, LINKS[:2])
    long = report.markdown(WHOLE, [replace(LINKS[4], left="y" * 600, fix="z" * 600)])
    assert "y" * 490 in long
    assert "y" * 501 not in long
    assert "z" * 490 in long
    assert "z" * 501 not in long


def pull(number: int, repository: str, **more: Any) -> dict[str, Any]:
    found = {"number": number, "url": f"https://g.example/{repository}/pull/{number}", "head": None,
             "commit": None, "approved_by": [], "approved_older": []}  # fmt: skip
    return {**found, **more}


MODEL_PULL = pull(7, "acme/m", head="main", commit=HEAD, approved_by=["grace"])
DEPLOY_PULL = pull(8, "acme/deploy", approved_by=["ada", "grace"])


def test_a_lineage_as_json() -> None:
    source = {"commit": COMMIT, "known": True, "branch": "staging", "model_path": "m.bin", "model_hash": HASH}  # fmt: skip
    assert report.document(WHOLE, LINKS[4:]) == {
        "subject": "staging",
        "model": "m",
        "environment": "staging",
        "verified": False,
        "deployment": {
            "repository": "acme/deploy",
            "branch": "main",
            "path": "overlays/staging/kustomization.yaml",
            "image": NAMED,
            "commit": "d" * 40,
            "since": "2023-11-14T22:13:20+00:00",
            "trailers": {
                "model": ["m@v1.0.0"],
                "model-hash": [HASH],
                "image-digest": [DIGEST],
                "source-repository": ["acme/m"],
                "source-commit": [COMMIT],
                "image-fingerprint": [FINGERPRINT],
                "model-sha256": [SHA256],
            },
            "pull_request": DEPLOY_PULL,
        },
        "image": {"name": "r.example/m", "tag": COMMIT, "digest": DIGEST, "labels": STORED.labels},
        "built_from": {**source, "commit": HEAD, "branch": "main"},
        "source": source,
        "pull_request": MODEL_PULL,
        "version": {"name": "v1.0.0", "tag": "m@v1.0.0", "commit": HEAD, "model_hash": HASH, "sha256": SHA256},
        "stage": {"name": "staging", "version": "v1.0.0"},
        "data": [{"path": "d.csv", "hash": "e" * 32}],
        "code": [],
        "params": {"p.yaml": {"a": 1}},
        "links": [
            {"from": "stage", "to": "version", "state": "broken", "from_says": "l5",
             "to_says": "r5\x07  x", "fix": "do it"}
        ],
    }  # fmt: skip


def test_what_is_not_known_is_null_in_json() -> None:
    nothing = report.document(Trace("s", "m"), LINKS[:1])
    assert nothing == {
        "subject": "s", "model": "m", "environment": None, "verified": True, "deployment": None,
        "image": None, "built_from": None, "source": None, "pull_request": None, "version": None,
        "stage": None, "data": [], "code": [], "params": {},
        "links": [{"from": "overlay", "to": "deploy commit", "state": "verified", "from_says": "l1",
                   "to_says": "r1", "fix": None}],
    }  # fmt: skip
    half = Trace(
        "s", "m", deployed=Deployed("d", "main", "k", Image("m")), stored=Stored("r", "", "", OTHER),
        source=Source(COMMIT), version=Registered("m", "v1"), held="",
        recipe=Recipe((), (Ingredient("c.py", "1" * 32, "code"),), {}),
        pull=Pull(7, "u", "main", approved_older=(("ada", TIP), ("eve", ""))),
    )  # fmt: skip
    found = report.document(half, ())
    assert found["deployment"]["commit"] is None
    assert found["deployment"]["since"] is None
    assert found["image"] == {"name": "r", "tag": None, "digest": OTHER, "labels": {}}
    assert found["source"] == {
        "commit": COMMIT, "known": True, "branch": None, "model_path": None, "model_hash": None
    }  # fmt: skip
    assert found["version"] == {
        "name": "v1", "tag": None, "commit": None, "model_hash": None, "sha256": None
    }  # fmt: skip
    assert found["stage"] == {"name": "", "version": None}
    assert found["code"] == [{"path": "c.py", "hash": "1" * 32}]
    assert found["pull_request"]["approved_older"] == [
        {"login": "ada", "commit": TIP}, {"login": "eve", "commit": None}
    ]  # fmt: skip
    bare = report.document(replace(half, stored=Stored("r", "", "", "")), ())
    assert bare["image"]["digest"] is None


def test_params_of_any_kind_are_json() -> None:
    odd = {1: (1.5, None, True), "n": float("inf"), "s": {"x"}, "b": b"y"}
    recipe = Recipe((), (), {"p.yaml": odd})
    assert report.document(replace(WHOLE, recipe=recipe), ())["params"] == {
        "p.yaml": {"1": [1.5, None, True], "n": "inf", "s": ["x"], "b": "b'y'"}
    }


# --- who approved ---------------------------------------------------------------------------------


def approved(*found: Review) -> Approvals:
    return reviews.approvals(found, author="Ada", head=HEAD)


def test_the_last_verdict_of_each_person_counts() -> None:
    yes = Review("grace", "APPROVED", HEAD)
    assert approved(Review("zoe", "APPROVED", HEAD), yes).by == ("grace", "zoe")
    for verdict in ("CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED"):
        assert approved(yes, replace(yes, verdict=verdict)) == Approvals()
        assert approved(replace(yes, verdict=verdict), yes) == Approvals(("grace",))
    for verdict in ("COMMENTED", "PENDING", "COMMENT"):
        assert approved(yes, replace(yes, verdict=verdict)) == Approvals(("grace",))


def test_neither_the_author_nor_a_bot_approves() -> None:
    assert approved(Review("ada", "APPROVED", HEAD)) == Approvals()
    assert approved(Review("b", "APPROVED", HEAD, is_person=False)) == Approvals()


def test_an_older_commit_is_not_what_was_merged() -> None:
    old = Review("grace", "APPROVED", TIP)
    assert approved(old, Review("eve", "APPROVED")) == Approvals(
        older=(("eve", ""), ("grace", TIP))
    )
    assert approved(old, replace(old, commit=HEAD)) == Approvals(("grace",))


# --- facts ----------------------------------------------------------------------------------------


def test_what_a_deploy_commit_says_of_several_models() -> None:
    two = replace(
        DEPLOYED,
        trailers={"model": ["a@v1", "m@v2", "m"], "model-hash": ["1", "2", "3"], "x": ["4", "5"]},
    )
    assert [two.says("model-hash", name) for name in ("a", "m", "b", "")] == ["1", "3", "3", "3"]
    assert (two.says("x", "a"), two.says("y", "a")) == ("5", "")
    assert replace(two, trailers={"model-hash": ["1", "2"]}).says("model-hash", "m") == "2"


def test_what_a_pull_request_proposes() -> None:
    waits = {"source-commit": [COMMIT], "model": ["a@v1", "m@v2"]}
    assert replace(DEPLOYED, waiting=waits).proposal == "m@v2 in the deploy pull request"
    waits.pop("model")
    assert replace(DEPLOYED, waiting=waits).proposal == "111111111111 in the deploy pull request"
    assert replace(DEPLOYED, waiting={"x": ["y"]}).proposal == "an image in the deploy pull request"
    assert DEPLOYED.proposal == ""
    assert DEPLOYED.proposes("model") == ""
    assert DEPLOYED.name == "r.example/m"
    assert replace(DEPLOYED, image=Image("m")).name == "m"


@pytest.mark.parametrize("tag", ["", "none", "not-deployed-yet"])
def test_a_placeholder_sets_nothing(tag: str) -> None:
    assert replace(DEPLOYED, image=Image("m", tag=tag)).is_placeholder
    assert not replace(DEPLOYED, image=Image("m", tag=tag, digest=DIGEST)).is_placeholder
    assert not replace(DEPLOYED, image=Image("m", tag="v1")).is_placeholder


def test_what_the_registry_has() -> None:
    found = Stored("r", "t", DIGEST, OTHER, {**LABELS, "io.model-gitops.model.name": "m"})
    assert (found.reference, found.model_hash) == (f"r:t@{DIGEST}", HASH)
    assert (found.model_name, found.revision) == ("m", HEAD)
    bare = Stored("r", "t", DIGEST, OTHER)
    assert (bare.model_hash, bare.model_name, bare.revision) == ("", "", "")


def test_no_one_entry_is_refused_in_words() -> None:
    with pytest.raises(InputError) as caught:
        facts.pick([Image("a"), Image("b")], "m", "r/m", source="k")
    assert caught.value.message == (
        "k has no one image for the model 'm': neither an entry of that name nor one with"
        " `newName: r/m`; its entries: a, b"
    )
    assert caught.value.fix == "add to k:\nimages:\n- name: m\n  newName: r/m\n  newTag: none"
    with pytest.raises(InputError, match="its entries: none\n"):
        facts.pick([], "m", "r/m", source="k")
    # Of two with our name none is ours, but the one with our image may be.
    twice = [Image("m", "x"), Image("m", "r/m")]
    assert facts.pick(twice, "m", "r/m", source="k") == twice[1]
    assert facts.pick([Image("r/m")], "m", "r/m", source="k") == Image("r/m")


def test_nothing_is_deployed_yet() -> None:
    nothing = facts.NothingDeployed("m", fix="f", waiting="w")
    assert (nothing.message, nothing.fix, nothing.waiting) == ("m", "f", "w")
    assert facts.NothingDeployed("m").waiting == ""


# --- the hop --------------------------------------------------------------------------------------


def running(**changes: Any) -> hop.Promoted:
    return hop.running(replace(DEPLOYED, **changes), "dev", model="m", image="r.example/m")


def refused(**changes: Any) -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        running(**changes)
    return caught.value.message, caught.value.fix


def test_a_later_environment_takes_what_runs() -> None:
    assert running() == hop.Promoted(NAMED, HASH, "v1.0.0", FINGERPRINT)
    untagged = replace(IMAGE, tag="")
    assert running(image=untagged, recorded=untagged).image == f"r.example/m@{DIGEST}"
    trailers = {**DEPLOYED.trailers, "model": ["m"], "model-version": ["v3"]}
    assert running(trailers=trailers).version == "v3"
    bare = running(trailers={"image-digest": [DIGEST]})
    assert bare == hop.Promoted(NAMED, "", "", "")


WHERE = "overlays/staging/kustomization.yaml of acme/deploy"
BY_HAND = "undo the edit of overlays/staging/kustomization.yaml, or deploy to dev again"


def test_what_was_not_deployed_is_not_taken() -> None:
    assert refused(image=Image("m", tag="none")) == (
        f"dev runs nothing yet, so there is nothing to promote: {WHERE} sets m:none",
        "deploy to dev first; if its deployment is on its way, run this job again after it",
    )
    message = f"what dev runs was set by no deployment: {WHERE} sets {{}}, and no commit of it says this digest"
    moved = replace(IMAGE, tag=HEAD)
    assert refused(image=moved) == (message.format(moved.reference), BY_HAND)
    assert refused(trailers={}) == (message.format(NAMED), BY_HAND)
    assert refused(trailers={"image-digest": [OTHER]}) == (message.format(NAMED), BY_HAND)
    loose = replace(IMAGE, digest="")
    assert refused(image=loose, recorded=loose) == (message.format(loose.reference), BY_HAND)
    odd = replace(IMAGE, digest="x")
    assert refused(image=odd, recorded=odd, trailers={"image-digest": ["x"]}) == (
        message.format(odd.reference), BY_HAND
    )  # fmt: skip


def test_another_image_is_not_taken() -> None:
    fix = "correct overlays/staging/kustomization.yaml, or `image:` in promotion.yaml"
    message = "dev does not run the image of promotion.yaml, r.example/m, but {}: " + WHERE
    other = replace(IMAGE, new_name="evil/m")
    assert refused(image=other, recorded=other) == (message.format("evil/m"), fix)
    later = Image("m", "evil/x", "v1")
    assert refused(overruled=later) == (message.format("evil/x:v1"), fix)


def test_another_model_is_not_taken() -> None:
    def check(promoted: hop.Promoted) -> None:
        hop.check(promoted, model="m", model_hash=HASH, source="dev", target="staging")

    check(hop.Promoted(NAMED, HASH))
    fix = (
        "merge into dev's branch first, wait for its deployment, and run this job again; or revert the"
        " commit"
    )
    for promoted, says in (
        (hop.Promoted(NAMED, "1" * 32, "v1"), f"m v1 with the hash {'1' * 32}"),
        (hop.Promoted(NAMED, ""), "m with the hash that no deploy commit says"),
    ):
        with pytest.raises(RefusedError) as caught:
            check(promoted)
        assert caught.value.message == (
            f"this commit's m has the hash {HASH}, and dev runs {says}: staging takes only what dev"
            " runs"
        )
        assert caught.value.fix == fix


# --- status ---------------------------------------------------------------------------------------

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
