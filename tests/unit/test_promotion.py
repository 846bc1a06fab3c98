from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops import events
from model_gitops.actions.check_promotion import decide
from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.core import document
from model_gitops.core.flow import promotion
from model_gitops.core.image.signature import Signer
from model_gitops.errors import InputError, RefusedError

TEXT = """
model: diabetes
image: ghcr.io/acme/diabetes
deploy:
  repository: acme/diabetes-deploy
environments:
  - {name: dev,        branch: main}
  - {name: staging,    branch: staging}
  - {name: production, branch: production, deploy: pull-request}
gate:
  - {metric: eval/metrics.json:r2, better: higher, tolerance: 0.01}
"""


def load(text: str) -> promotion.Promotion:
    data = document.load_yaml(text, source="promotion.yaml")
    document.validate(data, promotion_schema(), source="promotion.yaml")
    return promotion.parse(data)


@pytest.mark.parametrize(
    ("base", "head", "environment"),
    [
        ("main", "experiment/a", "dev"),
        ("main", "", "dev"),
        ("staging", "main", "staging"),
        ("production", "staging", "production"),
        ("production", "", "production"),
    ],
)
def test_allowed_hops(base: str, head: str, environment: str) -> None:
    assert load(TEXT).target(base, head).name == environment


@pytest.mark.parametrize(
    ("base", "head", "says"),
    [
        ("staging", "experiment/a", "takes changes only from branch 'main'"),
        ("production", "main", "takes changes only from branch 'staging'"),
        ("main", "staging", "goes backwards"),
        ("main", "main", "goes backwards"),
        ("develop", "experiment/a", "no environment's branch"),
        ("staging", "somebody:main", "takes changes only from branch 'main'"),
    ],
)
def test_refused_hops_say_what_is_allowed(base: str, head: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says) as caught:
        load(TEXT).target(base, head)
    assert caught.value.fix


@given(base=st.text(max_size=30), head=st.text(max_size=30))
def test_any_branch_names_give_an_environment_or_a_refusal(base: str, head: str) -> None:
    flow = load(TEXT)
    try:
        target = flow.target(base, head)
    except RefusedError:
        return
    place = flow.environments.index(target)
    assert target.branch == base
    assert not head or place == 0 or head == flow.environments[place - 1].branch


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("model: diabetes", "modell: diabetes"), "model"),
        (("better: higher", "better: bigger"), "bigger"),
        (("name: staging", "name: dev"), "same name"),
        (("branch: staging", "branch: main"), "same branch"),
        (("tolerance: 0.01", "tolerance: -1"), "minimum"),
        (("deploy: pull-request", "deploy: email"), "email"),
        (("model: diabetes", "model: '../x'"), "no name that GTO accepts"),
        (("model: diabetes", "model: [a]"), "it is .a., and it must be text"),
        (("gate:", "gate: ["), "not valid YAML: line"),
        (("name: staging", 'name: "staging\\n"'), "control character"),
        (("model: diabetes", 'model: "diabetes\\n"'), "control character"),
        (
            ("  repository:", "  path: overlays/production\n  repository:"),
            "every environment would have",
        ),
        (
            ("  repository:", "  path: 'o/{environment}/{branch}'\n  repository:"),
            "only placeholder",
        ),
        (("  repository:", "  path: 'o/{environment}}'\n  repository:"), "only placeholder"),
        (("branch: staging}", "branch: staging, path: ./overlays//dev}"), "same path"),
        (("branch: staging}", "branch: staging, path: 'o/{name}'}"), "only placeholder"),
        (("tolerance: 0.01", "tolerance: 1e3%"), "tolerance"),
        (("tolerance: 0.01", "tolerance: -2%"), r"gate\[0\].tolerance"),
        (("tolerance: 0.01", "significant: true"), "only a measured difference"),
        (("gate:", "new-metrics: maybe\ngate:"), "maybe"),
        (("gate:", "approvals: -1\ngate:"), "minimum"),
        (("gate:", "push-candidates: 'no'\ngate:"), "true or false"),
        (("gate:", "compare: {slice: age}\ngate:"), "slice"),
        (("gate:", "gate: !!bool x\nmore:"), "not valid YAML: KeyError"),
        (("gate:", "gate: !!int ''\nmore:"), "not valid YAML: IndexError"),
        (("gate:", "gate: !!float ''\nmore:"), "not valid YAML: IndexError"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(change: tuple[str, str], says: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(InputError, match=says):
        load(TEXT.replace(*change, 1))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda n: st.lists(n, max_size=3) | st.dictionaries(st.text(max_size=5), n, max_size=3),
        max_leaves=8,
    )
)
def test_any_document_is_accepted_or_refused_with_an_input_error(data: Any) -> None:
    with pytest.raises(InputError):
        document.validate(data, promotion_schema(), source="promotion.yaml")


@pytest.mark.parametrize(
    ("head", "base_ref", "head_ref", "expected"),
    [
        ({"ref": "main", "repo": {"full_name": "acme/m"}}, "", "", "main"),
        ({"ref": "main", "repo": {"full_name": "eve/m"}}, "", "", "eve:main"),
        ({"ref": "main", "repo": {"full_name": "eve/m"}}, "", "main", "eve:main"),
        ({"ref": "main", "repo": {"full_name": "eve/m"}}, "staging", "main", "eve:main"),
        ({"ref": "main", "repo": {"full_name": "eve/m"}}, "staging", "", ""),
        ({"ref": "patch", "repo": {"full_name": "eve/m"}}, "staging", "main", "main"),
        # The fork was deleted.
        ({"ref": "main", "repo": None}, "", "", "unknown:main"),
        ({"ref": "main", "repo": {}}, "", "", "unknown:main"),
        # An event of a person's own, for act.
        ({"ref": "main"}, "", "", "main"),
        (None, "staging", "main", "main"),
    ],
)
def test_a_forks_branch_is_not_ours(head: Any, base_ref: str, head_ref: str, expected: str) -> None:
    event = {"pull_request": {"head": head, "base": {"ref": "staging"}}} if head else {}
    subject = events.read("pull_request", event, repository="acme/m")
    assert decide._head(subject, base_ref, head_ref) == expected
    if ":" in expected:
        with pytest.raises(RefusedError, match="is not allowed"):
            load(TEXT).target("staging", expected)


def test_each_environment_has_an_overlay_of_its_own() -> None:
    flow = load(TEXT)
    assert [one.overlay for one in flow.environments] == [
        "overlays/dev",
        "overlays/staging",
        "overlays/production",
    ]
    named = TEXT.replace("branch: staging}", "branch: staging, path: clusters/b/}", 1)
    assert load(named).environments[1].overlay == "clusters/b"
    # Without the placeholder each environment says its own.
    text = named.replace("  repository:", "  path: clusters\n  repository:")
    text = text.replace("branch: main}", "branch: main, path: 'a/{environment}'}")
    text = text.replace("deploy: pull-request}", "deploy: pull-request, path: c}")
    assert [one.overlay for one in load(text).environments] == ["a/dev", "clusters/b", "c"]


def test_the_environment_before_is_the_one_that_a_hop_comes_from() -> None:
    flow = load(TEXT)
    first, second, third = flow.environments
    assert [flow.before(one) for one in (first, second, third)] == [None, first, second]


def test_a_tolerance_is_absolute_or_a_share_of_what_runs() -> None:
    absolute = load(TEXT).gate[0]
    relative = load(TEXT.replace("tolerance: 0.01", "tolerance: 2.5%")).gate[0]
    assert (absolute.tolerance, absolute.is_relative) == (0.01, False)
    assert (relative.tolerance, relative.is_relative) == (0.025, True)
    assert absolute.tolerated(-200.0) == 0.01
    assert relative.tolerated(-200.0) == pytest.approx(5)
    plain = load(TEXT.replace(", tolerance: 0.01", "")).gate[0]
    assert (plain.tolerance, plain.tolerated(7.0)) == (0, 0)


def test_what_is_left_out_has_its_default() -> None:
    flow = load(TEXT)
    assert (flow.allow_new_metrics, flow.push_candidates, flow.stage_on) == (False, True, "merge")
    assert [one.approvals for one in flow.environments] == [0, 0, 0]
    assert (flow.gate[0].measured, flow.gate[0].significant) == (False, False)
    assert flow.compare == promotion.Comparison("", "", allow_pickle=False)
    more = TEXT.replace("deploy: pull-request}", "deploy: pull-request, approvals: 2}") + (
        "approvals: 1\nnew-metrics: allow\npush-candidates: false\n"
        "compare: {predictions: p.csv, slices: age, allow-pickle: true}\n"
    )
    flow = load(more)
    assert [one.approvals for one in flow.environments] == [1, 1, 2]
    assert (flow.allow_new_metrics, flow.push_candidates) == (True, False)
    assert flow.compare == promotion.Comparison("p.csv", "age", allow_pickle=True)


def test_a_yaml_bomb_is_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="aliases"):
        document.load_yaml("\n".join(levels), source="promotion.yaml")


@pytest.mark.parametrize("value", [".nan", ".inf", "1" * 400])
@pytest.mark.parametrize("limit", ["tolerance", "minimum", "maximum"])
def test_a_gate_without_a_finite_limit_would_never_refuse(limit: str, value: str) -> None:
    text = TEXT.replace("tolerance: 0.01", f"{limit}: {value}")
    with pytest.raises(InputError, match=f"{limit} .*no finite number"):
        load(text)


KEY = """
signatures:
  key: |
    -----BEGIN PUBLIC KEY-----
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
    -----END PUBLIC KEY-----
"""
IDENTITY = "https://github.com/acme/m/.github/workflows/deploy.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"


def test_who_must_have_signed() -> None:
    assert load(TEXT).signatures is None
    signer = load(TEXT + KEY).signatures
    assert signer is not None
    assert signer.key.splitlines()[0] == "-----BEGIN PUBLIC KEY-----"
    text = f"{TEXT}signatures: {{identity: '{IDENTITY}', issuer: '{ISSUER}'}}"
    assert load(text).signatures == Signer(identity=IDENTITY, issuer=ISSUER)


@pytest.mark.parametrize(
    ("signatures", "says"),
    [
        ("{key: cosign.pub}", "no public key as PEM"),
        ('{key: "-----BEGIN PUBLIC KEY-----"}', "no public key as PEM"),
        ("{}", "should be non-empty"),
        (f"{{identity: '{IDENTITY}'}}", "does not say who"),
        (f"{{issuer: '{ISSUER}'}}", "does not say who"),
        (f'{{identity: "{IDENTITY}\\n", issuer: "{ISSUER}"}}', "control character"),
        ("{password: x}", "password"),
    ],
)
def test_who_must_have_signed_is_said_fully(signatures: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(f"{TEXT}signatures: {signatures}")
    assert says in str(caught.value)


def test_a_key_and_an_identity_are_too_much() -> None:
    both = f"{KEY.rstrip()}\n  identity: '{IDENTITY}'\n  issuer: '{ISSUER}'\n"
    with pytest.raises(InputError, match="both a key and an identity"):
        load(TEXT + both)


def test_a_metrics_file_is_named_as_dvc_names_it() -> None:
    odd = TEXT.replace("eval/metrics.json:r2", "./eval//metrics.json:r2")
    assert load(odd).gate[0].metric == "eval/metrics.json:r2"
