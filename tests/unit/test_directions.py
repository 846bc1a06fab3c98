from __future__ import annotations

import pytest

from model_gitops.core.flow import directions, promotion

FLOW = {
    "model": "m",
    "image": "r.example/m",
    "environments": [{"name": "dev", "branch": "main"}],
}


@pytest.mark.parametrize(
    ("key", "better"),
    [
        *((key, "lower") for key in (
            "rmse", "val_loss", "valLoss", "val/loss", "test.log_loss", "logloss", "log loss", "error.rmse",
            "error_rate", "MAE", "meanSquaredError", "mean_absolute_percentage_error", "perplexity", "wer",
            "latency.p99_latency", "latency_ms", "cross-entropy", "loss.0", "rmse@10", "NLL",
            "negative_log_likelihood", "neg_log_likelihood", "nrmse", "top1_err", "train_loss_epoch",
        )),
        *((key, "higher") for key in (
            "r2", "R2", "r2_score", "r2Score", "R^2", "accuracy", "test.auc_roc", "rocAUC", "AUROC", "f1",
            "f1score", "macro avg.f1-score", "top5_acc", "accuracy5", "recall@10", "avg_precision", "mIoU",
            "per_class.accuracy.2", "mAP", "map50", "balancedAccuracy", "bleu",
            "nDCG@10", "precision@5", "R²", "test.f1-score", "metrics/mAP_0.5:0.95", "metrics/mAP50-95(B)",
            "neg_mean_squared_error", "mean_test_neg_log_loss", "neg_root_mean_squared_error", "neg_mae",
            "neg_f1", "f1_negative", "log_likelihood",
        )),
        *((key, None) for key in (
            "glossary", "lossless", "maps_count", "accident", "precise", "r2d2", "size", "epochs", "", "0",
            "accuracy_std", "rmse_std", "loss_weight", "f1_threshold", "support", "loss_improvement",
            "accuracy_drop", "accuracy_loss", "loss.mean", "rmse.p50", "train.time", "explained",
            "accuracy_gap", "recall_disparity", "neg_loss", "negative_error", "top1", "lossless_ratio",
        )),
    ],
)  # fmt: skip
def test_the_words_of_a_name_tell_which_way_is_better(key: str, better: str | None) -> None:
    assert directions.of("m.json", key, {}) == better


def test_what_promotion_yaml_says_counts_first() -> None:
    flow = promotion.parse(
        {
            **FLOW,
            "gate": [{"metric": "m.json:loss", "better": "higher"}],
            "metrics": {
                "m.json:loss": "lower", "./eval//m.json:test.r2": "lower", "r2": "neither",
                "test.acc": "lower", "speed": "higher",
            },
        }
    )  # fmt: skip
    said = {
        ("m.json", "loss"): "higher",  # the gate
        ("eval/m.json", "test.r2"): "lower",
        ("other.json", "test.r2"): None,
        ("other.json", "test.acc"): "lower",
        ("other.json", "val.acc"): "higher",  # by its name
        ("other.json", "val.speed"): "higher",
        ("other.json", "size"): None,
    }
    assert {place: flow.better(*place) for place in said} == said


def test_the_files_are_named_from_the_folder_of_promotion_yaml() -> None:
    metrics = {"m.json:size": "lower", "../m.json:size": "higher"}
    flow = promotion.parse({**FLOW, "metrics": metrics}, folder="proj")
    assert flow.better("proj/m.json", "size") == "lower"
    assert flow.better("m.json", "size") == "higher"
    assert flow.better("proj/proj/m.json", "size") is None
