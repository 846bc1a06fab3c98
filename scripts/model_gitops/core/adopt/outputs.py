"""What a project's pipelines and .dvc files make, and how much each output looks like a model."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import stages, templates
from model_gitops.core.dvc.files import Project, full_path

# File endings that only models have, and those that other things have too.
_SURE = frozenset([
    ".onnx", ".pt", ".pth", ".ckpt", ".safetensors", ".keras", ".tflite", ".joblib", ".gguf",
    ".mlmodel", ".pmml", ".cbm", ".lgb", ".ubj", ".skops", ".torchscript", ".caffemodel", ".mar",
    ".bst", ".model", ".nemo", ".engine", ".ptl", ".mlpackage",
])  # fmt: skip
_MAYBE = frozenset([
    ".pkl", ".pickle", ".dill", ".sav", ".h5", ".hdf5", ".pb", ".bin", ".xgb", ".npz", ".rds",
    ".params", ".zip",
])  # fmt: skip
_MODEL_WORDS = frozenset([
    "model", "models", "classifier", "classifiers", "clf", "regressor", "net", "network", "weights",
    "checkpoint", "checkpoints", "estimator", "predictor", "detector", "ranker", "recommender",
    "segmenter", "forecaster", "llm", "lora", "adapter", "savedmodel", "mlmodel", "booster",
    "forest", "xgboost", "lightgbm", "catboost", "resnet", "bert", "yolo", "unet",
])  # fmt: skip
# What is fitted too, or lies beside a model, and is not the model.
_OTHER_WORDS = frozenset([
    "data", "dataset", "datasets", "features", "feature", "featurized", "vectors", "vectorizer",
    "tfidf", "scaler", "encoder", "tokenizer", "vocab", "vocabulary", "preprocessor",
    "preprocessing", "transformer", "imputer", "split", "splits", "train", "test", "val", "valid",
    "validation", "prepared", "processed", "raw", "interim", "predictions", "prediction", "preds",
    "pred", "metrics", "metric", "scores", "plots", "plot", "report", "reports", "figures", "logs",
    "log", "history", "curve", "index", "labels", "label", "embeddings", "explainer", "shap",
    "cache", "mapping", "params", "config",
])  # fmt: skip
_FIT_WORDS = frozenset([
    "train", "training", "trainer", "fit", "finetune", "finetuning", "tune", "learn", "build",
    "export", "convert", "package", "select", "choose",
])  # fmt: skip
_JUDGE_WORDS = frozenset([
    "evaluate", "evaluation", "eval", "test", "testing", "validate", "validation", "score",
    "scoring", "judge", "metrics",
])  # fmt: skip
# With fewer points an output is no model.
LEAST = 4


@dataclass(frozen=True)
class Output:
    """One output. `path` is from the repository's top; `pipeline` is its dvc.yaml or .dvc file.

    `stage` is empty for what was added by hand. `readers` are the stages that read it.
    """

    path: str
    pipeline: str
    stage: str = ""
    readers: tuple[str, ...] = field(default=())
    is_metric: bool = False
    is_plot: bool = False
    is_cached: bool = True


def find(project: Project) -> list[Output]:
    """Return what all pipelines and .dvc files make, each once."""
    readers: dict[str, list[str]] = {}
    made: dict[str, Output] = {}
    for source, name, definition, folder in stages.all_defined(project):
        for dep in dvc_files.names(definition.get("deps")):
            readers.setdefault(_plain(dep, folder), []).append(name)
        for key in stages.OUTPUTS:
            for path, cached in _listed(definition.get(key)):
                place = _plain(path, folder)
                if templates.is_filled(path) and not _leaves(place):
                    made[place] = Output(
                        place, source, name, is_metric=key == "metrics", is_plot=key == "plots",
                        is_cached=cached,
                    )  # fmt: skip
    for source in project.files:
        if source.endswith(".dvc"):
            for out in dvc_files.outs_of(project, source):
                if out.path not in made and not _leaves(out.path) and not out.imported:
                    made[out.path] = Output(out.path, source, is_cached=out.cached)
    return [
        Output(
            one.path, one.pipeline, one.stage, tuple(readers.get(one.path, ())), one.is_metric,
            one.is_plot, one.is_cached,
        )
        for one in made.values()
    ]  # fmt: skip


def points(output: Output) -> int:
    """Return how much an output looks like a model: by its name, and by what makes and reads it."""
    if output.is_metric or output.is_plot:
        return 0
    stem, ending = posixpath.splitext(posixpath.basename(output.path))
    own = _words(stem)
    found = 4 if ending.lower() in _SURE else 2 if ending.lower() in _MAYBE else 0
    if own & _MODEL_WORDS:
        found += 3
    elif _words(posixpath.dirname(output.path)) & _MODEL_WORDS:
        found += 2
    if _words(output.stage) & _FIT_WORDS:
        found += 2 if ending.lower() in _MAYBE else 1
    if any(_words(reader) & _JUDGE_WORDS for reader in output.readers):
        found += 2
    if own & _OTHER_WORDS:
        found -= 5 if not own & _MODEL_WORDS else 2
    return found


def _words(name: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return {word.rstrip("0123456789") or word for word in re.split(r"[^a-z0-9]+", apart.lower())}


def _listed(value: object) -> Iterator[tuple[str, bool]]:
    """Go through the outputs of a list in dvc.yaml, each with whether DVC keeps it."""
    for one in value if isinstance(value, list) else [value] if value else ():
        if isinstance(one, dict):
            for path, options in one.items():
                is_cached = not (isinstance(options, dict) and options.get("cache") is False)
                yield str(path), is_cached
        else:
            yield str(one), True


def _plain(path: str, folder: str) -> str:
    return templates.plain(full_path(path, folder))


def _leaves(path: str) -> bool:
    return "://" in path or path.startswith(("../", "/")) or "${" in path
