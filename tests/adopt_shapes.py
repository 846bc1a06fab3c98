"""Projects that know nothing of model-gitops: shapes of public DVC projects, written anew."""

from __future__ import annotations

from dataclasses import replace

from public_projects import Shape
from public_shapes import DVC_2, MONOREPO, SUBDIR, TUTORIAL


def _plain(shape: Shape, **files: str) -> Shape:
    """A shape as it was before anybody named its model: without `artifacts:`."""
    text = shape.files["dvc.yaml"]
    start = text.index("artifacts:")
    rest = text[start:].split("\n", 1)[1]
    after = rest.split("\n")
    while after and (after[0][:1] in (" ", "\t") or not after[0]):
        after.pop(0)
    return replace(
        shape, files={**shape.files, "dvc.yaml": text[:start] + "\n".join(after), **files}
    )


# The pipeline of DVC's own tutorial; its metrics are in a folder that DVC keeps.
GET_STARTED = replace(
    _plain(TUTORIAL, **{"src/requirements.txt": "pandas\nscikit-learn\n"}),
    model="diabetes",
    imported="",
    data={"data/posts.xml": "".join(f"<row Id='{number}'/>\n" for number in range(12))},
    added=("data/posts.xml",),
)
# DVC 2, a text file as model, metrics as TOML, params of Python.
OLDER = replace(_plain(DVC_2), model="price-model", files={
    **_plain(DVC_2).files,
    "dvc.yaml": _plain(DVC_2).files["dvc.yaml"].replace("model.txt", "price-model.txt"),
    "shop/fit.py": DVC_2.files["shop/fit.py"].replace("model.txt", "price-model.txt"),
    "poetry.lock": "", "pyproject.toml": '[tool.poetry]\nname = "shop"\n',
})  # fmt: skip
# Nothing but files that `dvc add` took, as a notebook leaves them.
ADDED = Shape(
    name="a notebook and dvc add",
    model="detector",
    metric="reports/metrics.yaml:test.mAP",
    files={
        "models/detector.onnx": "weights",
        "reports/metrics.yaml": "train: {mAP: 0.9}\ntest: {mAP: 0.5}\n",
        "train.ipynb": "{}\n",
        "environment.yml": "name: detect\ndependencies: [python=3.11, pip]\n",
    },
    experiment={},
    added=("models/detector.onnx",),
)
TEAMS = replace(MONOREPO, rules="services/churn/promotion.yaml")
SHAPES = (GET_STARTED, OLDER, ADDED, TEAMS, SUBDIR)
