"""How the report of a promotion opens: in which order, and in which words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from model_gitops.core.flow import gate
from model_gitops.core.flow.promotion import Rule
from model_gitops.core.report import comparison, page
from model_gitops.core.report.comparison import Column, Comparison
from model_gitops.core.report.images import Body
from model_gitops.core.report.page import Facts
from model_gitops.core.report.promotion import Opening
from model_gitops.errors import InputError

DIGEST = "sha256:" + "a" * 64
RULES = "| rule | now | after the merge |\n|---|---|---|\n| `gate[r2].tolerance` | `0.01` | `9` |\n"
TABLE = "| | metric |\n|---|---|\n| ✅ | r2 |\n"
RUNS = "| | dev now | candidate |\n|---|---|---|\n| version | – | v0.0.1 |\n"
WHOLE = Opening(
    environment="dev", rules=RULES, tests="success", gate="success", gate_table=TABLE,
    status="success", comparison=RUNS, build="success", image=f"r.example/m:t@{DIGEST}",
)  # fmt: skip


def order(text: str, *parts: str) -> None:
    places = [text.index(part) for part in parts]
    assert places == sorted(places), text


def test_it_opens_with_the_rules_then_the_gate_then_what_runs_then_the_image() -> None:
    order(
        WHOLE.checked().text(),
        "### ⚠️ This change rewrites promotion.yaml",
        "judged by the rules of the target branch. These changes count after the merge",
        RULES.strip(),
        "### ✅ The gate of dev lets this model pass",
        TABLE.strip(),
        "The project's own checks and tests passed.",
        "### What dev runs, and what would replace it",
        RUNS.strip(),
        f"Image, smoke-tested: `r.example/m:t@{DIGEST}`. It is a rehearsal, and is never deployed:"
        " what dev runs after the merge is built from a clean checkout, or taken over from the"
        " environment before.\n",
    )


def test_of_a_table_only_the_line_breaks_around_it_are_cut() -> None:
    opening = Opening(environment="dev", gate="success", gate_table="\n\n X | X \nX | X\n\n")
    assert opening.text() == ("### ✅ The gate of dev lets this model pass\n\n X | X \nX | X\n")


def test_the_report_starts_with_it() -> None:
    report = page.Report(
        Facts("Promotion"),
        Comparison(),
        Comparison(),
        opening=WHOLE.text(),
        body=Body(f"### Mine\n\n{'text ' * 1000}"),
    )
    text, dropped = report.write(None)
    assert dropped == []
    assert text.startswith("## Promotion\n\n### ⚠️ This change rewrites promotion.yaml\n")
    order(text, "This change rewrites", "The gate of dev", "### Mine")
    assert RULES.strip() in text
    # Where it is too long, what comes last goes first.
    text, dropped = report.write(None, limit=7000)
    assert "This change rewrites" in text
    assert "Mine" in dropped


def test_the_metrics_own_verdict_comes_after_it() -> None:
    compared = comparison.compare_metrics(
        [
            Column("dev", {("m.json", "r2"): 1}),
            Column("candidate", {("m.json", "r2"): 2}),
        ],
        lambda _: "higher",
    )
    facts = Facts("Promotion", reference="dev")
    text, _ = page.Report(facts, compared, Comparison(), opening=WHOLE.text()).write(None)
    order(text, "never deployed", "**▲ 1 better** of 1 metric, compared with dev.", "### Metrics")
    text, _ = page.Report(facts, compared, Comparison()).write(None)
    assert text.startswith(
        "## Promotion — ▲ 1 better\n\n**▲ 1 better** of 1 metric, compared with dev.\n"
    )


def test_without_a_change_of_the_rules_the_gate_comes_first() -> None:
    text = replace(WHOLE, rules="").text()
    assert text.startswith("### ✅ The gate of dev")
    assert "promotion.yaml" not in text


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("success", "✅ The gate of dev lets this model pass"),
        ("failure", "❌ The gate of dev refuses this model"),
        ("skipped", "A check before the gate failed: see the run"),
        ("cancelled", "A check before the gate failed: see the run"),
        ("", "A check before the gate failed: see the run"),
    ],
)
def test_the_gates_verdict(gate: str, says: str) -> None:
    text = replace(WHOLE, gate=gate).text()
    assert f"### {says}\n" in text
    assert len(re.findall("The gate of|A check before the gate", text)) == 1


def test_a_gate_without_a_table_has_judged_nothing() -> None:
    text = replace(WHOLE, gate="failure", gate_table="").text()
    assert "### ❌ The gate of dev could not judge this model: see the run\n" in text
    assert "refuses" not in text


def test_that_there_are_no_metrics_is_for_the_gate_to_say() -> None:
    empty = page.Report(Facts("Promotion"), Comparison(), Comparison())
    assert "No metrics were found." in empty.write(None)[0]
    text, _ = replace(empty, opening=WHOLE.text()).write(None)
    assert "No metrics" not in text
    noted = replace(empty, facts=Facts("Promotion", notes=("r2 is missing",)), opening=WHOLE.text())
    text, _ = noted.write(None)
    assert "No metrics" not in text
    assert "> r2 is missing" in text


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ("success", "The project's own checks and tests passed."),
        ("failure", "### ❌ The project's own checks and tests failed: see the run"),
        ("cancelled", "### ❌ The project's own checks and tests did not finish: see the run"),
        ("skipped", "### ❌ The project's own checks and tests did not finish: see the run"),
    ],
)
def test_the_projects_own_tests(tests: str, says: str) -> None:
    assert f"\n{says}\n" in replace(WHOLE, tests=tests).text()
    assert "own checks" not in replace(WHOLE, tests="").text()


@pytest.mark.parametrize(
    ("pull", "training", "says"),
    [
        ("success", "skipped", "The model is the one in the DVC remote."),
        (
            "failure",
            "success",
            "The DVC remote has no such model, or this run may not read it: the model was trained"
            " here.",
        ),
        (
            "failure",
            "failure",
            "The DVC remote has no such model, or this run may not read it (a fork has no"
            " credentials), and it could not be trained here either. Somebody with write access can"
            " push this change to a branch of this repository.",
        ),
    ],
)
def test_where_a_forks_model_comes_from(pull: str, training: str, says: str) -> None:
    opening = Opening(environment="dev", model_pull=pull, model_training=training)
    assert opening.text() == f"### A check before the gate failed: see the run\n\n{says}\n"


@pytest.mark.parametrize(("pull", "training"), [("", ""), ("success", ""), ("skipped", "skipped")])
def test_of_the_model_nothing_is_said_where_nobody_asks(pull: str, training: str) -> None:
    assert "The model" not in replace(WHOLE, model_pull=pull, model_training=training).text()


def test_what_runs_can_not_be_said_and_why() -> None:
    text = replace(WHOLE, status="failure", comparison="").text()
    assert (
        "\n\nWhat dev runs can not be said: the step “What does the environment run now?” of the run"
        " has the reason. A deploy repository that is not public is read with the secret"
        " DEPLOY_READ_TOKEN.\n\n"
    ) in text
    text = replace(WHOLE, status="", comparison="").text()
    assert "can not be said" not in text
    assert "What dev runs" not in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "r.example/m:t"}, "The image was built and smoke-tested, and not pushed."),
        ({"image": ""}, "The image was built and smoke-tested, and not pushed."),
        (
            {"image": "", "build": "failure"},
            "The image could not be built, or failed its smoke test.",
        ),
        (
            {"image": "", "build": "skipped", "promote_image": f"r.example/m:t@{DIGEST}"},
            "Image, taken over as the environment before runs it:"
            f" `r.example/m:t@{DIGEST}`. Nothing is built for dev.",
        ),
    ],
)
def test_the_image(changes: dict[str, str], says: str) -> None:
    text = replace(WHOLE, **changes).text()
    assert text.endswith(f"{says}\n")
    assert text.count("mage") == says.count("mage")


@pytest.mark.parametrize("name", ["image", "promote_image"])
def test_of_a_long_name_of_an_image_the_start_is_shown(name: str) -> None:
    image = "r.example/m:t@".ljust(300, "a")
    assert f": `{image}`. " in replace(WHOLE, **{name: image + "b"}).text()


def test_of_an_image_that_nobody_built_nothing_is_said() -> None:
    assert "mage" not in replace(WHOLE, image="", build="skipped").text()


def test_names_from_outside_are_no_markup() -> None:
    text = replace(WHOLE, environment="*dev* @team", image=f"a`b`:t@{DIGEST}").text()
    assert "*dev*" not in text.replace("\\*dev\\*", "")
    assert "@team" not in text
    assert "`a b :t@" in text


def test_without_an_environment_there_is_no_opening() -> None:
    assert Opening().checked().text() == ""
    with pytest.raises(InputError) as refused:
        replace(WHOLE, environment="").checked()
    assert refused.value.message == (
        "input `environment` is empty, and the report is to say how its promotion went"
    )
    assert refused.value.fix == "environment: ${{ steps.promotion.outputs.environment }}"


@pytest.mark.parametrize(
    "name", ["tests", "model-pull", "model-training", "gate", "status", "build"]
)
def test_another_word_is_no_outcome(name: str) -> None:
    with pytest.raises(InputError) as refused:
        replace(WHOLE, **{name.replace("-", "_"): "passed"}).checked()
    assert refused.value.message == (
        f"input `{name}` is 'passed': it is no outcome: success, failure, skipped or cancelled"
    )
    assert refused.value.fix == "${{ steps.ID.outcome }}, or of a job ${{ needs.ID.result }}"


PASSED, IDLE, REFUSED = (
    gate.verdict_table([gate.judge(Rule("m.json", "r2", "higher"), before, 1.0)], "dev v1")
    for before in (1.0, None, 2.0)
)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "may merge"),
        ({"gate_table": "a table of somebody else's"}, "may merge"),
        ({"tests": "", "build": "", "image": ""}, "may merge"),
        ({"promote_image": "r.example/m", "build": "skipped"}, "may merge"),
        ({"model_pull": "failure", "model_training": "success"}, "may merge"),
        ({"status": "failure"}, "may merge"),
        ({"gate_table": IDLE}, "nothing to compare with, no bounds set"),
        ({"gate_table": gate.verdict_table([], "dev v1")}, "no rules set"),
        ({"gate": "failure", "gate_table": REFUSED, "build": "skipped"}, "refused: r2 is worse"),
        ({"gate": "failure", "gate_table": PASSED}, "refused: the gate says no"),
        ({"gate": "failure", "gate_table": ""}, "refused: the gate could not judge it"),
        ({"gate": "skipped"}, "not judged, a check before the gate failed"),
        ({"gate": ""}, "not judged, a check before the gate failed"),
        ({"tests": "failure"}, "refused: the project's tests failed"),
        ({"tests": "cancelled"}, "refused: the project's tests did not finish"),
        ({"build": "failure"}, "refused: the image failed"),
        ({"build": "skipped"}, "refused: the image was not built"),
        ({"model_pull": "failure", "build": "skipped"}, "refused: the model can't be pulled"),
        ({"model_pull": "failure", "model_training": "failure"}, "refused: the model can't be pulled"),
        (
            {"gate": "failure", "gate_table": "\n".join([REFUSED.strip(), *REFUSED.splitlines()[2:] * 3]), "tests": "failure"},
            "refused: r2 is worse, r2 is worse, r2 is worse, and 2 more",
        ),
    ],
)  # fmt: skip
def test_the_title_says_whether_it_may_be_merged(changes: dict[str, str], verdict: str) -> None:
    opening = replace(WHOLE, gate_table=PASSED)
    assert replace(opening, **changes).checked().verdict == verdict
    assert replace(opening, environment="").verdict == ""


def test_a_gate_that_judged_nothing_says_so_instead_of_a_tick() -> None:
    text = replace(WHOLE, gate_table=IDLE).text()
    assert "### The gate of dev judged nothing: nothing to compare with, no bounds set\n" in text
    text = replace(WHOLE, gate_table=gate.verdict_table([], "x")).text()
    assert "### promotion.yaml has no rules for dev: the gate judged nothing\n" in text
    assert "✅" not in text


def test_one_table_says_what_three_said() -> None:
    runs = (
        "| | dev now | candidate |\n|---|---|---|\n| version | v0.0.1 | v0.0.2 |\n| r2 | 1 | 1 |\n"
        "| model | `0123456789abcdef` (the same) | – |\n| by | [#1](http://h/1) | `x` |\n\n- ❌ **dev**: the tag is gone\n"
    )
    places = {("m.json", "r2"): 1.0, ("m.json", "mae"): 3.0, ("m.json", "version"): 1.0}
    columns = [Column("dev v1", places), Column("candidate", {**places, ("m.json", "mae"): 2.0})]
    compared = comparison.compare_metrics(columns, lambda _: "lower")
    opening = replace(WHOLE, gate_table=f"{PASSED}\nSaid.\n", comparison=runs)
    joined = opening.table(compared, "dev v1")
    assert (joined.runs, joined.metrics) == (True, True)
    assert joined.text == (
        "| | | dev now | candidate | change | rule |\n|---|---|---:|---:|---:|---|\n"
        "| ✅ | m.json:r2 | 1 | 1 | +0 | higher is better |\n"
        "| | mae | 3 | 2 | -1 ▲ | |\n| | version | 1 | 1 | = | |\n"
        "| | version | v0.0.1 | v0.0.2 | | |\n| | model | `0123456789ab` (the same) | – | | |\n"
        "| | by | [#1](http://h/1) | `x` | | |\n\nSaid.\n\n- ❌ **dev**: the tag is gone"
    )
    assert "What dev runs, and what would replace it" not in opening.text(joined)
    assert opening.text(joined).count("\n|---") == 2  # one is the rules' own


@pytest.mark.parametrize(
    ("table", "reference", "columns", "shown"),
    [
        # Other values than those of what runs have a table of their own.
        (PASSED, "main", 1, (True, False)),
        (PASSED, "dev v1", 2, (True, False)),
        (PASSED.replace("dev v1", "other v1"), "other v1", 1, (False, True)),
        ("| | metric |\n|---|---|\n| ✅ | r2 |", "dev v1", 1, (False, False)),
        (IDLE.replace("dev v1", gate.NOTHING_RUNS), "", 1, (True, True)),
    ],
)
def test_what_compares_something_else_stays_apart(
    table: str, reference: str, columns: int, shown: tuple[bool, bool]
) -> None:
    before = [Column(f"c{at}", {("m.json", "r2"): float(at)}) for at in range(columns)]
    compared = comparison.compare_metrics(
        [*before, Column("candidate", {("m.json", "r2"): 1.0})], lambda _: "higher"
    )
    joined = replace(WHOLE, gate_table=table).table(compared, reference)
    assert (joined.runs, joined.metrics) == shown
