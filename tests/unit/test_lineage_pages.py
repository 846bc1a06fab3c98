"""What people and programs are shown of a lineage, word for word."""

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
    OTHER,
    SHA256,
    STORED,
    TIP,
    WHOLE,
)

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.dvc.pipeline import Ingredient, Recipe
from model_gitops.core.lineage import report
from model_gitops.core.lineage.facts import Deployed, Pull, Registered, Source, Stored, Trace
from model_gitops.core.lineage.link import Link

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
    pathy = report.markdown(replace(WHOLE, deployed=replace(DEPLOYED, path="q" * 600)), ())
    assert "q" * 490 in pathy.partition("| overlay | ")[2]
    assert "q" * 501 not in pathy.partition("| overlay | ")[2]


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
            "approval": None,
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
