"""Which run is evidence for a set of images, and what is to be done for one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.training import argo, evidence
from model_gitops.core.training.evidence import Next, Wanted, decide
from model_gitops.core.training.runs import Run, State, Step
from model_gitops.errors import InputError, RefusedError


def image(step: str, word: str = "1") -> Image:
    return Image(f"m-{step}", f"ghcr.io/acme/m-{step}", "v1", f"sha256:{word * 64}")


OURS = evidence.wanted("staging", "m-training", "t/kustomization.yaml", (image("a"), image("b")), "c" * 40)  # fmt: skip
IMAGES = tuple(one.reference for one in OURS.images)


def run(name: str, state: State, *, at: int = 1, images: tuple[str, ...] = IMAGES) -> Run:
    return Run(name, state, images, started=f"2026-11-30T10:00:{at:02}Z")


def did(*runs: Run, forgiven: tuple[str, ...] = ()) -> tuple[Next, str]:
    found = decide(runs, OURS, forgiven=forgiven)
    return found.do, found.run.name if found.run else found.name


FIRST, SECOND = OURS.run_name(1), OURS.run_name(2)
GOOD, BAD, GOING = State.SUCCEEDED, State.FAILED, State.RUNS


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], (Next.START, FIRST)),
        ([run("x", GOOD)], (Next.TAKE, "x")),
        ([run("x", GOOD), run("y", BAD, at=2)], (Next.TAKE, "y")),
        ([run("x", BAD), run("y", GOOD, at=2)], (Next.TAKE, "y")),
        ([run("x", State.ERROR, at=2), run("y", GOOD)], (Next.TAKE, "x")),
        # One that goes on takes nothing away, and may mend what failed.
        ([run("x", GOOD), run("y", GOING, at=2)], (Next.TAKE, "x")),
        ([run("x", BAD), run("y", GOING, at=2)], (Next.WAIT, "y")),
        # Images that nobody says: it is ours by its name, and proves nothing.
        ([run(FIRST, State.WAITS, images=())], (Next.WAIT, FIRST)),
        ([run(FIRST, State.ERROR, images=())], (Next.TAKE, FIRST)),
        ([run(FIRST, GOOD, images=())], (Next.START, SECOND)),
        ([run("x", GOOD, images=())], (Next.START, FIRST)),
        # Other images: also under our name.
        ([run(FIRST, GOOD, images=IMAGES[:1])], (Next.START, SECOND)),
        ([run("x", GOOD, images=(*IMAGES, image("a", "2").reference))], (Next.START, FIRST)),
        ([run("x", GOOD, images=(IMAGES[0], image("b", "2").reference))], (Next.START, FIRST)),
        # An image of another name is none of ours: a sidecar.
        ([run("x", GOOD, images=(*IMAGES, "busybox:1"))], (Next.TAKE, "x")),
    ],
)
def test_what_is_to_be_done(runs: list[Run], expected: tuple[Next, str]) -> None:
    assert did(*runs) == expected
    assert did(*reversed(runs)) == expected


def test_what_is_forgiven_is_no_answer() -> None:
    assert did(run(FIRST, BAD), forgiven=(FIRST,)) == (Next.START, SECOND)
    assert did(run("x", GOOD), run(FIRST, BAD, at=2), forgiven=(FIRST,)) == (Next.TAKE, "x")


RUNS = st.lists(
    st.builds(
        run,
        st.sampled_from([FIRST, SECOND, "x", "y"]),
        st.sampled_from(list(State)),
        at=st.integers(1, 9),
        images=st.sampled_from([IMAGES, IMAGES[:1], (), (image("a", "2").reference,)]),
    ),
    unique_by=lambda one: one.name,
)


@given(RUNS)
def test_only_a_run_of_all_our_images_is_taken_for_a_success(runs: list[Run]) -> None:
    found = decide(runs, OURS)
    if found.do is Next.START:
        assert found.name not in {one.name for one in runs}
    elif found.run and found.run.state is GOOD:
        assert OURS.has(found.run.images)
        later = [one for one in runs if one.images == IMAGES and one.started > found.run.started]
        assert all(one.state not in (BAD, State.ERROR) for one in later)


def test_the_key_is_of_the_digests_alone() -> None:
    other_tag = replace(OURS, images=(replace(OURS.images[0], tag="v9"), OURS.images[1]))
    assert other_tag.key == replace(OURS, images=OURS.images[::-1]).key == OURS.key
    assert replace(OURS, images=(image("a", "2"), image("b"))).key != OURS.key
    assert OURS.lines.splitlines()[0] == f"m-a=ghcr.io/acme/m-a:v1@sha256:{'1' * 64}"


def test_a_long_name_is_one_that_a_label_takes() -> None:
    long = replace(OURS, workflow="m" * 63)
    assert {len(long.run_name(1)), len(long.run_name(12))} == {63}
    assert long.is_ours(run(long.run_name(12), GOING))


@pytest.mark.parametrize(
    "entry", [Image("m-a", "g/m-a", "not-deployed-yet"), Image("m-a", "g/m-a", "v1")]
)
def test_an_image_without_a_digest_is_no_image_yet(entry: Image) -> None:
    with pytest.raises(RefusedError, match="has no image yet of m-a"):
        evidence.wanted("staging", "w", "p", (image("b"), entry), "")
    with pytest.raises(InputError, match="no entry under `images`"):
        evidence.wanted("staging", "w", "p", (), "")


@pytest.mark.parametrize("verdict", ["success", "failure", "error", "pending"])
def test_a_status_says_its_images(verdict: evidence.Verdict) -> None:
    failed = Run("r", BAD, steps=[Step("train", "Failed", "OOMKilled", has_failed=True)])
    said = evidence.described(OURS, failed, verdict)
    assert evidence.says_images(OURS, said)
    assert not evidence.says_images(replace(OURS, images=(image("a", "2"),)), said)
    assert ("train: OOMKilled" in said) == (verdict in ("failure", "error"))


def test_a_workflow_is_read_as_argo_writes_it() -> None:
    stored = {
        "templates": [
            {"container": {"image": "a"}, "sidecars": [{"image": "b"}], "initContainers": [{"image": "c"}]},
            {"script": {"image": "d"}, "containerSet": {"containers": [{"image": "e"}]}},
            {"dag": {"tasks": []}},
        ]
    }  # fmt: skip
    status = {
        "phase": "Failed",
        "storedWorkflowTemplateSpec": stored,
        "storedTemplates": {"x": {"container": {"image": "f"}}},
        "nodes": {
            "1": {"type": "DAG", "displayName": "whole", "phase": "Failed", "message": "child failed"},
            "2": {"type": "Pod", "displayName": "b", "phase": "Failed", "startedAt": "2", "message": "m\n\x1b[1m"},
            "3": {"type": "Pod", "displayName": "a", "phase": "Succeeded", "startedAt": "1"},
        },
    }  # fmt: skip
    found = argo.run_of({"metadata": {"name": "r", "creationTimestamp": "t"}, "status": status})
    assert (sorted(found.images), found.state) == (["a", "b", "c", "d", "e", "f"], BAD)
    assert [one.name for one in found.steps] == ["a", "b"]
    assert found.reason == "b: m [1m"
    # What nobody knows yet is on its way, and never an end.
    for odd in (None, [], {}, {"status": {"phase": "New"}}, {"status": "x"}):
        assert not argo.run_of(odd).state.has_ended


def test_an_offer_is_of_the_template_and_of_what_the_cron_workflow_says() -> None:
    template = {"spec": {"templates": [{"container": {"image": "a"}}], "arguments": {"parameters": [
        {"name": "revision", "value": "refs/heads/x"}, {"name": "propose", "value": "false"}]}}}  # fmt: skip
    own = {"workflowTemplateRef": {"name": "t"}, "arguments": {"parameters": [{"name": "propose", "value": "true"}]}}  # fmt: skip
    cron = {"metadata": {"name": "c", "uid": "u"}, "spec": {"workflowSpec": own}}
    assert argo.template_of(cron) == "t"
    offer = argo.offer_of(cron, template)
    assert (offer.images, offer.parameters) == (
        ("a",),
        {"revision": "refs/heads/x", "propose": "true"},
    )
    made = argo.workflow_of(cron, "n", "r", {"revision": "1"})
    assert made["spec"]["arguments"]["parameters"] == [
        {"name": "revision", "value": "1"},
        {"name": "propose", "value": "true"},
    ]
    assert own["arguments"]["parameters"] == [{"name": "propose", "value": "true"}]


def test_wanted_is_a_value() -> None:
    assert isinstance(OURS, Wanted)
    assert OURS.others([]) == ["ghcr.io/acme/m-a is not there", "ghcr.io/acme/m-b is not there"]
    assert OURS.others(IMAGES) == []
    other = f"ghcr.io/acme/m-a:v0@sha256:{'2' * 64}"
    assert OURS.others([other, IMAGES[1]]) == [f"ghcr.io/acme/m-a is {other}"]


def test_images_that_were_replaced_are_told_and_prove_nothing() -> None:
    said = evidence.described(OURS, None, "replaced")
    assert said == f"images {OURS.key} were replaced before they trained"
    assert evidence.says_images(OURS, said)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("success", "success"), ("failure", "failure"), ("error", "error"), ("pending", "pending"),
     ("", "pending"), ("warning", "pending")],
)  # fmt: skip
def test_a_status_says_how_a_training_ended(state: str, verdict: str) -> None:
    assert evidence.verdict_of(state) == verdict
