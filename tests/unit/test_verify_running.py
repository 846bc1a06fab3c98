"""Whether an environment runs its image, by what Argo CD, Kubernetes and the service say."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.flow.loads import Load
from model_gitops.core.flow.verifying import Verify
from model_gitops.core.verify import kubeconfig, results, running, target
from model_gitops.core.verify.results import Checked, Waited
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import State
from model_gitops.core.verify.target import Target
from model_gitops.errors import InputError

DIGEST, OTHER = f"sha256:{'1a2b' * 16}", f"sha256:{'9f8e' * 16}"
IMAGE = "ghcr.io/acme/churn"
TARGET = Target("dev", "churn", "v0.0.1", "b" * 32, IMAGE, DIGEST, "c" * 40)


def application(
    *images: str,
    sync: str = "Synced",
    health: str = "Healthy",
    phase: str = "Succeeded",
    **more: Any,
) -> Any:
    """An Application, as the API of Argo CD 3.5 shows it."""
    return {
        "metadata": {"name": "churn-dev", "namespace": "argocd"},
        "status": {
            "sync": {"status": sync, "revision": "e" * 40},
            "health": {"status": health},
            "summary": {"images": ["nginx:1", *images]},
            "operationState": {"phase": phase, "message": "one or more objects failed"},
            **more,
        },
    }


NEW, OLD = f"{IMAGE}:v2@{DIGEST}", f"{IMAGE}:v1@{OTHER}"


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (application(NEW), State.RUNS, "Synced, Healthy, and runs sha256:1a2b"),
        (application(NEW, sync="OutOfSync"), State.RUNS, "OutOfSync, Healthy"),
        (application(OLD), State.WAITS, f"runs {OLD}"),
        (application(NEW, OLD), State.WAITS, "runs too"),
        (application(NEW, health="Progressing"), State.WAITS, "Synced, Progressing"),
        (application(NEW, health="Degraded"), State.BROKEN, "Degraded with sha256:1a2b"),
        (application(OLD, sync="OutOfSync", phase="Failed"), State.BROKEN, "its sync Failed: one or more objects failed"),
        (application(), State.WAITS, f"runs no image {IMAGE}"),
        (application(f"evil.example/{NEW}"), State.WAITS, "runs no image"),
        (
            application(OLD, conditions=[{"type": "ComparisonError", "message": "no such path"}]),
            State.WAITS,
            "ComparisonError: no such path",
        ),
        ({}, State.WAITS, "Unknown, Unknown"),
    ],
)  # fmt: skip
def test_argocd(found: Any, state: State, said: str) -> None:
    seen = running.of_argocd(found, TARGET)
    assert (seen.state, said in seen.said) == (state, True), seen


def pod(image: str = NEW, *, ready: bool = True, phase: str = "Running", **more: Any) -> Any:
    """A Pod, as Kubernetes lists it; `more` is of its container's status."""
    status = {"name": "serve", "ready": ready, "state": {"running": {}}, "imageID": "", **more}
    return {
        "metadata": {"name": "churn-1"},
        "spec": {
            "containers": [{"name": "log", "image": "x:1"}, {"name": "serve", "image": image}]
        },
        "status": {"phase": phase, "containerStatuses": [status]},
    }


def waiting(reason: str, message: str = "") -> Any:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


GOING = {**pod(OLD), "metadata": {"name": "x", "deletionTimestamp": "2026-11-30T00:00:00Z"}}
UNSCHEDULED = pod(ready=False, phase="Pending")
UNSCHEDULED["status"] = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes",
        }
    ],
}


@pytest.mark.parametrize(
    ("pods", "state", "said"),
    [
        ([pod(), pod(), GOING], State.RUNS, "2 of 2 Pods are ready"),
        ([pod(), pod(OLD)], State.WAITS, "1 run another image"),
        ([pod(ready=False, **waiting("ImagePullBackOff", "not found"))], State.BROKEN, "1: ImagePullBackOff: not found"),
        ([pod(ready=False, **waiting("ContainerCreating"))], State.WAITS, "ContainerCreating"),
        (
            [pod(ready=False, **waiting("CrashLoopBackOff"), lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})],
            State.BROKEN,
            "it ended with 137: OOMKilled",
        ),
        ([pod(ready=False, state={"terminated": {"exitCode": 1}})], State.BROKEN, "ended with 1"),
        ([pod(ready=False)], State.WAITS, "it runs, and is not ready"),
        ([UNSCHEDULED], State.WAITS, "Unschedulable: 0/3 nodes"),
        ([pod(f"{IMAGE}:v2", imageID=f"{IMAGE}@{DIGEST}")], State.RUNS, "1 of 1"),
        ([pod(f"{IMAGE}:v2", imageID=f"{IMAGE}@{OTHER}")], State.WAITS, "another image"),
        ([pod("x:1")], State.WAITS, "no Pod has an image"),
        ([pod(phase="Failed")], State.WAITS, "no Pod has an image"),
        ([], State.WAITS, "no Pod has an image"),
    ],
)  # fmt: skip
def test_kubernetes(pods: Any, state: State, said: str) -> None:
    seen = running.of_pods(pods, TARGET)
    assert (seen.state, said in seen.said) == (state, True), seen


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "sync",
                    "health",
                    "summary",
                    "images",
                    "spec",
                    "containers",
                    "digest",
                    "hash",
                    "state",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_answer_of_a_stranger_is_taken_for_a_yes(found: Any) -> None:
    for seen in (
        running.of_argocd(found, TARGET),
        running.of_pods(found if isinstance(found, list) else [found], TARGET),
        running.of_version(found, TARGET),
    ):
        assert seen.state is not State.RUNS
        assert "\n" not in seen.said
        assert seen.said.isprintable()


def test_words_are_short_plain_and_on_one_line() -> None:
    assert running.words("a\x1b[2J\n::error::b\u202e") == "a[2J ::error::b"
    assert len(running.words("x" * 10_000)) == 200


def config(**user: Any) -> dict[str, Any]:
    authority = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://k:6443/", "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
    }  # fmt: skip


def test_a_kubeconfig_is_read_by_its_current_context() -> None:
    found = kubeconfig.read(json.dumps(config()))
    assert (found.server, found.namespace, found.token) == ("https://k:6443", "n", "secret")
    assert found.authority.startswith("-----BEGIN")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "change",
    [
        {"current-context": "x"}, {"contexts": []}, {"clusters": 1}, {"users": [None]},
        {"clusters": [{"name": "k", "cluster": {"server": "https://k", "insecure-skip-tls-verify": True}}]},
        {"clusters": [{"name": "k", "cluster": {"server": "file:///etc"}}]},
        {"clusters": [{"name": "k", "cluster": {"server": "https://k", "certificate-authority": "/x"}}]},
        {"clusters": [{"name": "k", "cluster": {"server": "https://k", "certificate-authority-data": "%"}}]},
        *[{"users": [{"name": "u", "user": {key: "secret"}}]} for key in ("exec", "auth-provider", "tokenFile", "client-key")],
    ],
)  # fmt: skip
def test_a_kubeconfig_that_runs_programs_or_trusts_anybody_is_refused(change: Any) -> None:
    with pytest.raises(InputError) as error:
        kubeconfig.read(json.dumps({**config(), **change}))
    assert "secret" not in str(error.value)
    assert error.value.fix
    with pytest.raises(InputError, match="is no YAML"):
        kubeconfig.read("token: [secret")


def test_the_kubeconfig_of_the_page_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text("utf-8")
    blocks = [one for one in re.findall(r"(?s)```yaml\n(.*?)```", page) if "current-context" in one]
    found = [kubeconfig.read(one) for one in blocks]
    assert [(one.namespace, one.token) for one in found] == [("churn-dev", "TOKEN")]


@pytest.mark.parametrize("key", ["client-certificate-data", "client-key-data"])
def test_half_of_a_client_certificate_is_refused(key: str) -> None:
    half = {"users": [{"name": "u", "user": {key: base64.b64encode(b"x").decode()}}]}
    with pytest.raises(InputError, match="only one of"):
        kubeconfig.read(json.dumps({**config(), **half}))


def test_a_target_is_handed_on_whole_or_refused() -> None:
    assert target.read(TARGET.document(), source="x") == TARGET
    for key, value in [
        ("digest", "x"),
        ("commit", "main"),
        ("also", "-x"),
        ("since", "1"),
        ("model", 3),
    ]:
        with pytest.raises(InputError, match="does not say"):
            target.read({**TARGET.document(), key: value}, source="x")


GOOD = Row("integration 1: GET /", "status 200", "as expected", passed=True)
ASKED = Verify(url="https://x", integration="tests/smoke.yaml")


def verdict(waited: Waited, checked: Checked | None) -> tuple[str, str]:
    found = results.outcome(waited, checked)
    assert len(found.description) <= 140
    return found.verdict, found.reason


def test_the_verdict() -> None:
    row = Row("the deployed image runs", "in 10 min", "yes", passed=True)
    waited = Waited(TARGET, ASKED, row)
    assert verdict(waited, Checked([GOOD])) == ("success", "")
    bad = Row("load p95", "at most 200 ms", "312.4 ms", passed=False)
    assert verdict(waited, Checked([GOOD, bad])) == (
        "failure",
        "load p95: 312.4 ms; asked: at most 200 ms",
    )
    assert verdict(waited, Checked([bad], "x"))[0] == "failure"
    assert verdict(waited, Checked([GOOD], "no file")) == ("error", "no file")
    assert verdict(waited, Checked())[0] == "error"
    assert verdict(waited, None)[0] == "error"
    assert verdict(Waited(TARGET, ASKED, row, "it is not there"), None) == (
        "error",
        "it is not there",
    )
    long = Row("load p95", "at most " + "2" * 300, "9" * 300, passed=False)
    assert verdict(waited, Checked([long]))[0] == "failure"
    more = f"100 % (120 of 120; line 1: {'9' * 200})"
    other = Row("champion: answers", "at most 1 % differ", more, passed=False)
    description = results.outcome(waited, Checked([GOOD, other])).description
    assert description.startswith("champion: answers: 100 % (120 of 120; line 1: 9")
    assert description.endswith(f"…; asked: at most 1 % differ ({TARGET.short})")
    read = results.read_waited(waited.text())
    assert read == waited
    assert results.read_checked(Checked([GOOD]).text()).rows == [GOOD]


@pytest.mark.parametrize("measured", ["as expected", "\N{SNOWMAN}" * 400, '"\\' * 400])
@pytest.mark.parametrize("number", [1, 199, 201, 5000])
def test_what_failed_is_handed_on_however_much_there_is(number: int, measured: str) -> None:
    """The job's output has bounds; none of them may turn a failure into a success, or into silence."""
    many = [Row(f"integration {one}", "x", measured, passed=True) for one in range(number)]
    load = Row("load: p95", "at most 200 ms", "120 ms", passed=True)
    waited = Waited(TARGET, replace(ASKED, load=Load()), GOOD)
    text = Checked([*many, load]).text()
    assert len(text.encode()) <= results.LARGEST < 128 * 1024
    assert verdict(waited, results.read_checked(text)) == ("success", "")
    bad = Row("load: p99", "at most 500 ms", "9120 ms", passed=False)
    text = Checked([*many, load, bad]).text()
    reason = "load: p99: 9120 ms; asked: at most 500 ms"
    assert verdict(waited, results.read_checked(text)) == ("failure", reason)
    broken = Checked([replace(one, passed=False) for one in many])
    assert verdict(waited, results.read_checked(broken.text()))[0] == "failure"


def test_a_strangers_words_are_no_markup_in_the_table() -> None:
    row = Row("integration 1", "x", "<img src=x> | [a](http://b) @everybody `x`", passed=False)
    text = results.table(results.outcome(Waited(TARGET, ASKED), Checked([row])))
    assert "<img" not in text
    assert "](http" not in text
    assert "@everybody" not in text
