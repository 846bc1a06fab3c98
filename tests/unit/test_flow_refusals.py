"""Each refusal of promotion.yaml, word for word: what is wrong, where, and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.flow import measured, metrics, promotion
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Comparison, Rule
from model_gitops.errors import ActionError, InputError, RefusedError

DEV, STAGING, PRODUCTION = (
    {"name": "dev", "branch": "main"},
    {"name": "staging", "branch": "staging"},
    {"name": "production", "branch": "production", "deploy": "pull-request"},
)


def document(**changes: Any) -> dict[str, Any]:
    """A small promotion.yaml, parsed."""
    environments = [DEV, STAGING, PRODUCTION]
    return {"model": "m", "image": "r.example/m", "environments": environments, **changes}


def gated(**rule: Any) -> dict[str, Any]:
    return document(gate=[{"metric": "m.json:r2:mean", "better": "lower", **rule}])


def refusal(data: Any, source: str = "p.yaml") -> tuple[str, str]:
    with pytest.raises(ActionError) as caught:
        promotion.parse(data, source=source)
    assert isinstance(caught.value, InputError)
    return caught.value.message, caught.value.fix


def test_a_small_file_has_its_defaults() -> None:
    flow = promotion.parse(document())
    assert flow == promotion.Promotion(
        model="m",
        image="r.example/m",
        environments=(
            Environment("dev", "main", "push", "overlays/dev", 0),
            Environment("staging", "staging", "push", "overlays/staging", 0),
            Environment("production", "production", "pull-request", "overlays/production", 0),
        ),
        deploy_repository="",
        stage_on="merge",
        gate=(),
        allow_new_metrics=False,
        push_candidates=True,
        compare=Comparison("", "", allow_pickle=False),
    )
    assert Environment("dev", "main").overlay == "overlays/dev"


def test_a_rule_may_measure_only_where_the_evaluation_changed() -> None:
    flow = promotion.parse(
        {**gated(measured="when-changed"), "compare": {"test-data": ["./data/test.csv"]}},
        folder="m",
    )
    assert (flow.gate[0].measured, flow.gate[0].measured_when_changed) == (False, True)
    assert flow.compare.test_data == ("m/data/test.csv",)
    with pytest.raises(InputError, match="only a measured difference"):
        promotion.parse(gated(measured="when-changed", significant=True))
    with pytest.raises(InputError, match=r"compare\.test-data"):
        promotion.parse({**gated(), "compare": {"test-data": ["../test.csv"]}})


def test_a_whole_file_is_read() -> None:
    flow = promotion.parse(
        {
            **gated(tolerance="2.5 %", minimum=1, maximum=2, measured=True, significant=True),
            "deploy": {"repository": "acme/d", "path": "./a//{environment}/"},
            "approvals": 1,
            "stage-on": "pull_request",
            "new-metrics": "allow",
            "push-candidates": False,
            "compare": {"predictions": "p.csv", "slices": "age", "allow-pickle": True},
        }
    )
    assert flow.deploy_repository == "acme/d"
    assert [one.path for one in flow.environments] == ["a/dev", "a/staging", "a/production"]
    assert [one.approvals for one in flow.environments] == [1, 1, 1]
    assert flow.stage_on == "pull_request"
    assert flow.gate == (
        Rule("m.json", "r2:mean", "lower", 0.025, 1, 2, True, True, True),
    )  # fmt: skip
    assert flow.gate[0].metric == "m.json:r2:mean"
    assert (flow.allow_new_metrics, flow.push_candidates) == (True, False)
    assert flow.compare == Comparison("p.csv", "age", allow_pickle=True)


def test_a_rules_default_tolerates_nothing() -> None:
    (rule,) = promotion.parse(gated()).gate
    assert rule == Rule("m.json", "r2:mean", "lower", 0.0, None, None, False, False, False)
    assert rule.tolerated(100.0) == 0
    assert Rule("m.json", "r2", "higher").tolerance == 0


def test_a_measured_rule_need_not_be_significant() -> None:
    (rule,) = promotion.parse(gated(measured=True)).gate
    assert (rule.measured, rule.significant) == (True, False)


@pytest.mark.parametrize(
    ("data", "message", "fix"),
    [
        (
            document(image="r.example/m\n"),
            r"p.yaml: the value 'r.example/m\n' holds a line break or another control character",
            r"write it on one line, without `|` or a \n in double quotes",
        ),
        (
            document(model="m\x7f" + "x" * 200),
            f"p.yaml: the value {('m' + chr(127) + 'x' * 98)!r} holds a line break or another control"
            " character",
            r"write it on one line, without `|` or a \n in double quotes",
        ),
        (
            document(environments=[DEV, {**STAGING, "branch": "main"}]),
            "p.yaml: two environments have the same branch: 'main', 'main'",
            "give each environment a branch of its own",
        ),
        (
            document(environments=[DEV, {**STAGING, "name": "dev"}]),
            "p.yaml: two environments have the same name: 'dev', 'dev'",
            "give each environment a name of its own",
        ),
        (
            document(environments=[DEV, {**STAGING, "path": "overlays/dev"}]),
            "p.yaml: two environments have the same path: 'overlays/dev', 'overlays/dev'",
            "give each environment a path of its own",
        ),
        (
            document(model="-m"),
            "input `model (in p.yaml)` is '-m': it is no name that GTO accepts",
            "use letters, numbers, '-', '_' and '/', with a letter or number at both ends",
        ),
        (
            document(deploy={"path": "o/{environment}/{x"}),
            "input `deploy.path (in p.yaml)` is 'o/{environment}/{x': {environment} and {model}"
            " are the only placeholders there are",
            "path: overlays/{environment}",
        ),
        (
            document(deploy={"path": "o/{environment}/x}"}),
            "input `deploy.path (in p.yaml)` is 'o/{environment}/x}': {environment} and {model}"
            " are the only placeholders there are",
            "path: overlays/{environment}",
        ),
        (
            document(deploy={"path": "/over//"}),
            "input `deploy.path (in p.yaml)` is '/over//': it has no {environment}, so every"
            " environment would have the same overlay",
            "path: /over/{environment}, or give each environment a `path` of its own",
        ),
        (
            gated(minimum=float("nan")),
            "input `minimum (in p.yaml)` is nan: it is no finite number",
            "minimum: 0.01",
        ),
        (
            gated(tolerance="1e999%"),
            "input `tolerance (in p.yaml)` is '1e999%': it is no finite number",
            "tolerance: 0.01",
        ),
        (
            gated(significant=True),
            "input `significant (in p.yaml)` is 'true': only a measured difference has an interval",
            "metric: m.json:r2:mean, measured: true, significant: true",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_fault_and_what_to_write(data: Any, message: str, fix: str) -> None:
    assert refusal(data) == (message, fix)


def test_without_another_name_the_file_is_promotion_yaml() -> None:
    with pytest.raises(InputError) as caught:
        promotion.parse(document(model="-m"))
    assert "(in promotion.yaml)" in caught.value.message


@pytest.mark.parametrize("value", ["m\t", "m\x1f", "m\x7f"])
def test_no_control_character_passes(value: str) -> None:
    assert "holds a line break" in refusal(document(image=value))[0]
    assert "holds a line break" in refusal(document(gate=[{"metric": value}]))[0]


def test_a_space_or_a_tilde_is_no_control_character() -> None:
    found = promotion.parse(document(compare={"slices": "a ~"}))
    assert found.compare.slices == "a ~"


@pytest.mark.parametrize(
    ("base", "head", "message", "fix"),
    [
        (
            "develop",
            "x",
            "branch 'develop' is no environment's branch: these are main, staging, production",
            "open the pull request into one of these branches, or add the environment to promotion.yaml",
        ),
        (
            "main",
            "staging",
            "the hop staging → main goes backwards: staging comes after dev",
            "branch off main and open the pull request from that branch",
        ),
        (
            "staging",
            "experiment",
            "the hop experiment → staging is not allowed: staging takes changes only from branch 'main'"
            " (dev)",
            "merge into 'main' first, then open a pull request from 'main' into 'staging'",
        ),
        (
            "production",
            "ma\u0456n",
            r"the hop 'ma\u0456n' → production is not allowed: production takes changes only from"
            " branch 'staging' (staging)",
            "merge into 'staging' first, then open a pull request from 'staging' into 'production'",
        ),
    ],
)
def test_a_refused_hop_says_what_to_do(base: str, head: str, message: str, fix: str) -> None:
    with pytest.raises(RefusedError) as caught:
        promotion.parse(document()).target(base, head)
    assert (caught.value.message, caught.value.fix) == (message, fix)


def test_an_allowed_hop_is_the_targets_environment() -> None:
    flow = promotion.parse(document())
    hops = [("main", ""), ("main", "x"), ("staging", "main"), ("production", "staging")]
    assert [flow.target(*hop).name for hop in hops] == ["dev", "dev", "staging", "production"]
    assert flow.target("production", "").name == "production"
    assert flow.of_branch("nowhere") is None


# --- numbers, and what was measured ---------------------------------------------------------------


def fault(text: str, source: str) -> str:
    with pytest.raises(InputError) as caught:
        metrics.load(text, source=source)
    return caught.value.message


def test_a_file_of_numbers_that_can_not_be_read_is_named() -> None:
    assert fault("{", "m.json").startswith("m.json can't be parsed: Expecting property name")
    assert fault("a =", "m.toml").startswith("m.toml can't be parsed: Invalid value")
    deep = "[" * 52 + "]" * 52
    assert fault(deep, "m.json") == (
        "m.json can't be used: it holds more than 100000 values or 50 levels"
    )


def test_depth_and_number_exactly_reached_are_read() -> None:
    nested: Any = 1
    for _ in range(50):
        nested = [nested]
    assert metrics.flatten(nested) == {".".join(["0"] * 50): 1}
    with pytest.raises(InputError):
        metrics.flatten([nested])
    # The list itself is one of them.
    assert len(metrics.flatten([0] * 99_999)) == 99_999
    with pytest.raises(InputError):
        metrics.flatten([0] * 100_000)


def test_names_of_nested_values() -> None:
    assert metrics.flatten({True: 1, 2: {"a": [3, "xy"]}}) == {"True": 1, "2.a.0": 3, "2.a.1": "xy"}
    assert metrics.flatten([[1], {"a": 2}]) == {"0.0": 1, "1.a": 2}
    assert metrics.flatten(7) == {"": 7}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "True"),
        ("x", "x"),
        (1.0, "1"),
        (0.123456789, "0.12346"),
        (2**1023 - 1, str(2**1023 - 1)),
        (2**1022, str(2**1022)),
        (2**1023, "an integer of 1024 bits"),
    ],
)
def test_a_number_is_written_for_a_person(value: object, shown: str) -> None:
    assert metrics.format_number(value) == shown


def test_direction() -> None:
    assert [metrics.direction(change, "higher") for change in (1, 0, -1)] == ["▲", "", "▼"]
    assert [metrics.direction(change, "lower") for change in (1, 0, -1)] == ["▼", "", "▲"]
    assert metrics.direction(1, None) == ""
    assert metrics.number(3) == 3.0


WHOLE = (
    '{"format":1,"champion":{"commit":"c1","model-hash":"h1"},"candidate":{"commit":"c2",'
    '"model-hash":"h2"},"evaluation":{"commit":"c3","stage":"evaluate"},"metrics":[{"metric":"m:r2",'
    '"champion":0.5,"candidate":0.25,"interval":[-0.5,0.0],"slices":[{"name":"a","examples":3,'
    '"champion":0.5,"candidate":0.25}]},{"metric":"m:x","champion":null,"candidate":null,'
    '"interval":null,"slices":[]}]}'
)


def test_a_measurement_is_one_line_of_json() -> None:
    found = measured.parse(WHOLE)
    assert found.champion_hash == "h1"
    assert found.differences["m:r2"].slices == (measured.Slice("a", 3, 0.5, 0.25),)
    assert found.differences["m:r2"].interval == (-0.5, 0.0)
    assert found.differences["m:x"] == measured.Difference("m:x", None, None)
    assert measured.dump(found) == WHOLE


def test_slices_may_be_left_out() -> None:
    text = WHOLE.replace(
        ',"slices":[{"name":"a","examples":3,"champion":0.5,"candidate":0.25}]', ""
    )
    assert measured.parse(text).differences["m:r2"].slices == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WHOLE.replace('"format":1', '"format":2'), "ValueError: format 2 is not known here"),
        (WHOLE.replace("[-0.5,0.0]", "[-0.5,NaN]"), "ValueError: nan is no finite number"),
        (WHOLE.replace("[-0.5,0.0]", "[NaN,0.0]"), "ValueError: nan is no finite number"),
        (WHOLE.replace('"format":1,', ""), "KeyError: 'format'"),
    ],
)
def test_what_is_no_measurement_says_why(text: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        measured.parse(text)
    assert caught.value.message == f"input `measured` is no result of compare-models: {why}"
    assert caught.value.fix == "measured: ${{ steps.compare.outputs.measured }}"
