"""Which direction of a metric is the better one, where no rule of the gate says it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

Better = Literal["higher", "lower"]

# Whole words of a metric's name, in lowercase.
_LOWER = frozenset(
    [
        "loss",
        "losses",
        "error",
        "errors",
        "err",
        "rmse",
        "mse",
        "mae",
        "mape",
        "smape",
        "wape",
        "wmape",
        "mdape",
        "mase",
        "nrmse",
        "rmspe",
        "rmsle",
        "msle",
        "medae",
        "logloss",
        "nll",
        "perplexity",
        "ppl",
        "crossentropy",
        "bce",
        "brier",
        "deviance",
        "pinball",
        "wer",
        "cer",
        "eer",
        "fpr",
        "fnr",
        "ece",
        "fid",
        "latency",
        "latencies",
    ]
)
_HIGHER = frozenset(
    [
        "r2",
        "rsquared",
        "accuracy",
        "acc",
        "f1",
        "f2",
        "fbeta",
        "fscore",
        "auc",
        "auroc",
        "rocauc",
        "aucroc",
        "auprc",
        "aucpr",
        "prauc",
        "precision",
        "prec",
        "recall",
        "sensitivity",
        "specificity",
        "tpr",
        "tnr",
        "map",
        "ndcg",
        "mrr",
        "bleu",
        "rouge",
        "chrf",
        "iou",
        "miou",
        "jaccard",
        "dice",
        "kappa",
        "mcc",
        "psnr",
        "ssim",
    ]
)
# With one of these the name means something else than the score: its spread, a change, a setting.
_OTHER = frozenset(
    [
        "std",
        "stdev",
        "stddev",
        "sd",
        "sem",
        "var",
        "variance",
        "weight",
        "weights",
        "threshold",
        "thresholds",
        "support",
        "gain",
        "improvement",
        "increase",
        "decrease",
        "drop",
        "reduction",
        "delta",
        "diff",
        "difference",
        "change",
        "coefficient",
        "scale",
        "gap",
        "disparity",
        "degradation",
        "spread",
        "range",
        "width",
        "rank",
    ]
)
_PAIRS: dict[str, Better] = {
    "log loss": "lower",
    "cross entropy": "lower",
    "r squared": "higher",
    "r 2": "higher",
    "log likelihood": "higher",
}
# scikit-learn turns errors around, so that higher is better: `neg_root_mean_squared_error`.
_TURNED = re.compile(r"\bneg (mean|median|root|max|log loss|brier|rmse|mse|mae|mape|rmsle|msle)\b")


def of(file: str, key: str, named: Mapping[str, Better | None]) -> Better | None:
    """Return the better direction of the metric `key` (dotted) of `file`; None where nobody can say.

    `named` is what promotion.yaml says: `file:key`, the whole key or its last part → direction, None
    for neither. Without it the words of the last part tell (`val_loss`, `test.auc_roc`).
    """
    last = _last(key)
    for name in (f"{file}:{key}", key, last):
        if name in named:
            return named[name]
    words = _words(last)
    text = " ".join(words)
    found = {better for pair, better in _PAIRS.items() if f" {pair} " in f" {text} "}
    if _LOWER & set(words):
        found.add("lower")
    if _HIGHER & set(words):
        found.add("higher")
    # Two that contradict one another (`accuracy_loss`) say nothing.
    if len(found) != 1 or _OTHER & set(words):
        return None
    better = found.pop()
    if {"neg", "negative"} & set(words):
        return _negated(text, better)
    return better


def _negated(text: str, better: Better) -> Better | None:
    """Return the direction of what is called negative: turned around, or the score of a class."""
    if "log likelihood" in text:
        return "lower"
    if better == "higher":
        return better  # `neg_f1`: the negative class's own
    return "higher" if _TURNED.search(text) else None


def _last(key: str) -> str:
    """Return the last part of a dotted key; a number (a place in a list, `mAP_0.5:0.95`) is none."""
    parts = [part for part in key.split(".") if re.search(r"[^\W\d_]", part)]
    return parts[-1] if parts else key


def _words(name: str) -> list[str]:
    """Return the words of a name in lowercase: `valLoss`, `val_loss` and `val/loss` have the same."""
    known = _LOWER | _HIGHER
    plain = unicodedata.normalize("NFKC", name)  # R²
    found = []
    for piece in re.split(r"[^A-Za-z0-9]+", plain):
        whole = piece.lower().rstrip("0123456789")
        if whole in known:  # mAP, mIoU, nDCG
            found.append(whole)
            continue
        apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", piece)
        found += apart.lower().split()
    words = []
    for one in found:
        # `f1score`, `accuracy5`: the score's own name is in it.
        bare = one.removesuffix("score")
        words.append(
            next((form for form in (one, bare, bare.rstrip("0123456789")) if form in known), one)
        )
    return words
