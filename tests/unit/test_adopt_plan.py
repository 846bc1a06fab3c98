"""What adopt finds in projects of many shapes, and what it would write: no disk, no process."""

from __future__ import annotations

import pytest
from adopted import MD5, PIPELINE, TRAIN, left, lock, rules, there, written

from model_gitops.core.adopt import plan
from model_gitops.core.adopt.planned import Wishes
from model_gitops.errors import InputError


def test_a_pipeline_without_artifacts_gets_one_by_an_edit_that_keeps_comments() -> None:
    made = plan.make(there(PIPELINE), Wishes())
    found = rules(made)
    assert (found.model, found.image) == ("churn", "ghcr.io/newco/churn")
    assert found.deploy_repository == "Newco/churn-deploy"
    text = written(made)["dvc.yaml"]
    assert text == TRAIN + "\nartifacts:\n  churn:\n    path: models/churn.pkl\n    type: model\n"
    # AUC says more than the loss; both of one file, and the one that nobody can judge is no rule.
    assert [(rule.metric, rule.better) for rule in found.gate] == [("scores.json:auc", "higher")]
    assert "# - {metric: scores.json:loss, better: lower}" in written(made)["promotion.yaml"]
    assert "seconds" not in written(made)["promotion.yaml"]
    # What is written first is what the rest can be found again from.
    assert [one.path for one in made.changes][:2] == ["promotion.yaml", "dvc.yaml"]


def test_a_second_run_finds_nothing_to_write() -> None:
    made = plan.make(there(PIPELINE), Wishes())
    assert made.changes
    assert plan.make(there({**PIPELINE, **written(made)}), Wishes()).changes == ()


@pytest.mark.parametrize("count", range(6))
def test_a_run_that_was_stopped_is_completed_by_the_next(count: int) -> None:
    made = plan.make(there(PIPELINE), Wishes())
    done = dict(list(written(made).items())[:count])
    rest = plan.make(there({**PIPELINE, **done}), Wishes())
    assert {**done, **written(rest)} == written(made)


SHAPES: dict[str, tuple[dict[str, str], str, str]] = {
    # files, the model's name, its metric
    "only .dvc files": (
        {
            "models/detector.onnx.dvc": f"outs:\n- md5: {MD5}\n  hash: md5\n  path: detector.onnx\n",
            "data/train.csv.dvc": f"outs:\n- md5: {MD5}\n  hash: md5\n  path: train.csv\n",
            "reports/metrics.yaml": "test: {mAP: 0.5}\ntrain: {mAP: 0.9}\n",
        },
        "detector", "reports/metrics.yaml:test.mAP",
    ),
    "a file that is called model": (
        {
            "dvc.yaml": "stages:\n  fit: {cmd: x, outs: [model.pkl]}\n",
            "dvc.lock": lock(fit=["model.pkl"]),
            "metrics.json": '{"accuracy": 1}',
        },
        "churn", "metrics.json:accuracy",
    ),
    "a folder as model, vectorizers beside it": (
        {
            "dvc.yaml": "stages:\n"
            "  featurize: {cmd: x, outs: [artifacts/vectorizer.pkl, artifacts/features.npz]}\n"
            "  train: {cmd: x, deps: [artifacts/features.npz], outs: [artifacts/intent-model]}\n"
            "  evaluate: {cmd: x, deps: [artifacts/intent-model], metrics: [eval/f.toml: {cache: false}]}\n",
            "eval/f.toml": "[macro]\nf1 = 0.5\n",
        },
        "intent-model", "eval/f.toml:macro.f1",
    ),
    "metrics of training and of test in two files": (
        {
            "dvc.yaml": "stages:\n"
            "  train: {cmd: x, outs: [m/ranker.cbm], metrics: [metrics/train.json: {cache: false}]}\n"
            "  evaluate: {cmd: x, deps: [m/ranker.cbm], metrics: [metrics/test.json: {cache: false}]}\n",
            "metrics/train.json": '{"rmse": 0.1}',
            "metrics/test.json": '{"rmse": 0.2}',
        },
        "ranker", "metrics/test.json:rmse",
    ),
    "foreach, and the best of them": (
        {
            "params.yaml": "langs: [de, fr]\nout: models\n",
            "dvc.yaml": "stages:\n"
            "  fit:\n    foreach: ${langs}\n    do: {cmd: x, outs: ['${out}/${item}.bin']}\n"
            "  choose: {cmd: x, deps: ['${out}/de.bin', '${out}/fr.bin'], outs: ['${out}/best-model.bin']}\n"
            "  evaluate: {cmd: x, deps: ['${out}/best-model.bin'], metrics: [m.json: {cache: false}]}\n",
            "m.json": '{"bleu": 1}',
        },
        "churn", "m.json:bleu",
    ),
    "the tutorial's metrics": (
        {
            "dvc.yaml": "stages:\n  train: {cmd: x, outs: [model.pkl]}\n"
            "  evaluate: {cmd: x, deps: [model.pkl], outs: [eval]}\nmetrics: [eval/metrics.json]\n",
            "dvc.lock": lock(train=["model.pkl"], evaluate=["eval"]),
        },
        "churn", "eval/metrics.json:avg_prec.test",
    ),
    "a name that tells nothing, of a stage that trains": (
        {
            "dvc.yaml": "stages:\n  prep: {cmd: x, outs: [rows.pkl]}\n"
            "  train: {cmd: x, deps: [rows.pkl], outs: [modèles/été.pkl], metrics: [m.json: {cache: false}]}\n",
            "m.json": '{"r2": 0.9}',
        },
        "ete", "m.json:r2",
    ),
    "stages of DVC 1": (
        {
            "train.dvc": f"cmd: python train.py\nouts:\n- md5: {MD5}\n  path: model.pkl\n",
            "evaluate.dvc": f"cmd: x\nouts:\n- md5: {MD5}\n  path: auc.json\n  metric: true\n  cache: false\n",
            "auc.json": '{"auc": 0.9}',
        },
        "churn", "auc.json:auc",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_model_and_its_metric_are_found(name: str) -> None:
    files, model, metric = SHAPES[name]
    kept = {"eval/metrics.json": '{"avg_prec": {"train": 1.0, "test": 0.9}}'}
    made = plan.make(there(files, kept=kept), Wishes())
    found = rules(made)
    assert found.model == model
    assert [rule.metric for rule in found.gate] == [metric]
    # A second time there is nothing to do.
    assert plan.make(there({**files, **written(made)}, kept=kept), Wishes()).changes == ()


def test_two_projects_of_one_repository_have_each_its_own_promotion_yaml() -> None:
    one = (
        "stages:\n  train: {cmd: x, outs: [model.bin], metrics: [m.json: {cache: false}]}\n"
        "artifacts:\n  clf: {path: model.bin, type: model}\n"
    )
    files = {
        f"services/{name}/{file}": text
        for name in ("churn", "fraud")
        for file, text in {"dvc.yaml": one, "m.json": '{"f1": 1}'}.items()
    }
    made = plan.make(there(files), Wishes())
    churn, fraud = (rules(made, f"services/{name}/promotion.yaml") for name in ("churn", "fraud"))
    assert (churn.model, fraud.model) == ("services/churn:clf", "services/fraud:clf")
    assert [rule.file for rule in churn.gate] == ["services/churn/m.json"]
    assert churn.image != fraud.image
    assert {one.overlay for one in churn.environments}.isdisjoint(
        one.overlay for one in fraud.environments
    )


def test_two_models_of_one_pipeline_are_judged_by_their_own_metrics() -> None:
    files = {
        "dvc.yaml": "stages:\n  a: {cmd: x, outs: [a.onnx]}\n  b: {cmd: x, outs: [b.onnx]}\n"
        "  evaluate_a: {cmd: x, deps: [a.onnx], metrics: [a.json: {cache: false}]}\n"
        "  evaluate_b: {cmd: x, deps: [b.onnx], metrics: [b.json: {cache: false}]}\n"
        "artifacts:\n  a: {path: a.onnx, type: model}\n  b: {path: b.onnx, type: model}\n"
        "  rows: {path: rows.csv, type: dataset}\n",
        "a.json": '{"f1": 1}', "b.json": '{"f1": 1}', "Makefile": "test:\n\tpytest\n",
    }  # fmt: skip
    made = plan.make(there(files), Wishes())
    a, b = (rules(made, f"promotion/{name}/promotion.yaml") for name in "ab")
    assert (a.model, b.model) == ("a", "b")
    assert [rule.file for rule in a.gate] == ["a.json"]
    assert [rule.file for rule in b.gate] == ["b.json"]
    assert a.environments[0].overlay == "overlays/a/dev"
    assert a.commands["test"].startswith("cd ../.. && ")


def test_a_log_of_dvclive_is_part_of_the_project_above() -> None:
    files = {
        "dvclive/dvc.yaml": "metrics: [metrics.json]\nartifacts:\n  net: {path: ../net.pt, type: model}\n",
        "dvclive/metrics.json": '{"acc": 1}',
        "net.pt.dvc": f"outs:\n- md5: {MD5}\n  hash: md5\n  path: net.pt\n",
    }
    found = rules(plan.make(there(files), Wishes()))
    assert found.model == "dvclive:net"
    assert [rule.file for rule in found.gate] == ["dvclive/metrics.json"]


@pytest.mark.parametrize(
    ("branches", "default", "chosen"),
    [
        (("main",), "main", ["dev main", "staging staging", "production production"]),
        (("master", "feature/x"), "master", ["dev master", "staging staging", "production production"]),
        (("master", "prod", "qa"), "master", ["dev master", "qa", "production prod"]),
        (("develop", "main"), "main", ["dev develop", "production main"]),
        (("develop", "main", "staging"), "develop", ["dev develop", "staging staging", "production main"]),
        (("develop", "main", "production", "staging"), "main",
         ["dev main", "staging staging", "production production"]),
    ],
)  # fmt: skip
def test_branches_stand_for_environments(
    branches: tuple[str, ...], default: str, chosen: list[str]
) -> None:
    made = plan.make(there(PIPELINE, branches=branches, default_branch=default), Wishes())
    found = [f"{one.name} {one.branch}" for one in rules(made).environments]
    assert [one for one, like in zip(found, chosen, strict=True) if not one.endswith(like)] == []
    missing = [one.branch for one in rules(made).environments if one.branch not in branches]
    assert ("git push origin" in left(made)) == bool(missing)
    for one in missing:
        assert f":refs/heads/{one}" in left(made)


def test_what_a_person_says_is_taken() -> None:
    said = Wishes(models=("net=out/weights.bin",), image="registry.example/team/net",
                  deploy_repository="ops/live", branches=("trunk", "live"))  # fmt: skip
    files = {"dvc.yaml": "stages:\n  make: {cmd: x, outs: [out/weights.bin, out/other.bin]}\n"}
    found = rules(plan.make(there(files), said))
    assert (found.model, found.image, found.deploy_repository) == (
        "net", "registry.example/team/net", "ops/live",
    )  # fmt: skip
    assert [one.branch for one in found.environments] == ["trunk", "live"]


def test_an_image_that_is_built_elsewhere_is_known_by_its_digest() -> None:
    digest = "sha256:" + "a" * 64
    made = plan.make(there(PIPELINE), Wishes(image=f"ghcr.io/team/server:v1@{digest}"))
    assert rules(made).build.elsewhere == f"ghcr.io/team/server:v1@{digest}"
    assert "Dockerfile" not in written(made)
    with pytest.raises(InputError, match="a tag and no digest"):
        plan.make(there(PIPELINE), Wishes(image="ghcr.io/team/server:v1"))


def test_a_stage_of_gto_keeps_its_own_word() -> None:
    tags = ("churn-rate@v1.0.0", "churn-rate#prod#1", "churn-rate#staging#2")
    files = {**PIPELINE, "dvc.yaml": TRAIN.replace("churn.pkl", "model.pkl")}
    found = rules(plan.make(there(files, tags=tags), Wishes()))
    # What is registered already keeps its name.
    assert found.model == "churn-rate"
    assert [one.stage for one in found.environments] == ["dev", "staging", "prod"]


def test_without_origin_names_are_marked_as_guesses() -> None:
    made = plan.make(there(PIPELINE, origin="/srv/git/churn.git"), Wishes())
    assert rules(made).image == "ghcr.io/owner/churn"
    assert "adopt --image REGISTRY/OWNER/NAME" in left(made)


@pytest.mark.parametrize("where", ["/srv/deploy.git", "https://git.example/ops/live.git"])
def test_a_deploy_repository_by_its_address_names_no_owner(where: str) -> None:
    made = plan.make(there(PIPELINE, origin=""), Wishes(deploy_repository=where))
    assert (rules(made).image, rules(made).deploy_repository) == ("ghcr.io/owner/churn", where)


def test_a_deploy_repository_that_can_not_be_one_is_refused() -> None:
    with pytest.raises(InputError, match="`deploy-repository` is 'foo'"):
        plan.make(there(PIPELINE), Wishes(deploy_repository="foo"))


def test_below_the_project_a_person_is_sent_to_its_top() -> None:
    with pytest.raises(InputError) as refused:
        plan.make(there(PIPELINE, folder="src"), Wishes())
    assert "start this at the top" in refused.value.fix


def test_another_server_is_its_own_registry() -> None:
    made = plan.make(there(PIPELINE, origin="https://git.example/Team/Net.git"), Wishes())
    assert rules(made).image == "git.example/team/net"
    made = plan.make(there(PIPELINE, origin="http://ada@git.example:3000/Team/net.git"), Wishes())
    assert rules(made).image == "git.example:3000/team/net"


def test_a_model_whose_name_gto_does_not_take_is_refused_before_anything_is_written() -> None:
    files = {"dvc.yaml": "artifacts:\n  Net.v1: {path: net.onnx, type: model}\n"}
    with pytest.raises(InputError, match=r"GTO takes no name 'Net\.v1'") as refused:
        plan.make(there(files), Wishes())
    assert "rename it to 'net-v1' in dvc.yaml" in refused.value.fix
    files = {"ml/rank ing/dvc.yaml": "artifacts:\n  net: {path: net.onnx, type: model}\n"}
    with pytest.raises(InputError, match="GTO takes no name") as refused:
        plan.make(there(files), Wishes())
    assert refused.value.fix.startswith("git mv 'ml/rank ing' ml/rank-ing: ")


def test_metrics_that_no_commit_has_are_no_gate() -> None:
    files = {one: text for one, text in PIPELINE.items() if one != "scores.json"}
    made = plan.make(there(files, kept={"scores.json": '{"auc": 0.9}'}), Wishes())
    assert rules(made).gate == ()
    assert "scores.json is neither in Git nor kept by DVC" in left(made)
    assert "nothing is gated" in left(made)


def test_metrics_that_nobody_has_here_are_named_for_the_gate() -> None:
    files = {one: text for one, text in PIPELINE.items() if one != "scores.json"}
    files["dvc.yaml"] = TRAIN.replace("scores.json: {cache: false}", "scores.json")
    files["dvc.lock"] = lock(train=["models/churn.pkl"], evaluate=["scores.json"])
    made = plan.make(there(files), Wishes())
    assert "#   - {metric: scores.json:KEY, better: higher}" in written(made)["promotion.yaml"]
    assert "dvc pull scores.json, then remove promotion.yaml and run this again" in left(made)


def test_an_output_that_looks_like_nothing_is_asked_for() -> None:
    files = {"dvc.yaml": "stages:\n  split: {cmd: x, outs: [data/train.csv, data/test.csv]}\n"}
    with pytest.raises(InputError, match="no model was found") as refused:
        plan.make(there(files), Wishes())
    assert refused.value.fix.endswith("or name one of these: --model NAME=PATH")
    with pytest.raises(InputError, match="it is no artifact"):
        plan.make(there(files), Wishes(models=("nothing",)))


def test_a_promotion_yaml_that_is_there_stays_and_its_branches_count() -> None:
    own = (
        "model: churn\nimage: ghcr.io/a/b\ndeploy: {repository: a/c}\nenvironments:\n"
        "- {name: test, branch: trunk}\n"
    )
    made = plan.make(there({**PIPELINE, "promotion.yaml": own}), Wishes())
    assert "promotion.yaml" not in written(made)
    assert [one.branch for one in made.environments] == ["trunk"]
    assert "churn:\n    path: models/churn.pkl" in written(made)["dvc.yaml"]


def test_a_model_that_was_never_pushed_is_told() -> None:
    made = plan.make(there(PIPELINE), Wishes(), is_pushed=lambda *_: False)
    assert (
        "the DVC remote storage does not have models/churn.pkl | dvc push models/churn.pkl"
        in left(made)
    )
    none = plan.make(there(PIPELINE, remotes={"": None}), Wishes())
    assert "DVC has no default remote" in left(none)
    assert "--pull" not in rules(none).commands["reproduce"]
