"""Shapes of public DVC projects, written anew: their structure, with small data and programs of our own."""

from __future__ import annotations

import json

from public_projects import Shape

_SETTINGS = "prepare: {{split: 0.20, seed: 7}}\nfeaturize: {{ngrams: 1}}\ntrain:\n  n_est: {}\n"

TUTORIAL = Shape(
    name="the tutorial's pipeline",
    model="text-classification",
    metric="eval/metrics.json:avg_prec.test",
    files={
        "dvc.yaml": """\
artifacts:
  posts:
    path: data/posts.xml
    type: dataset
    desc: Questions, each with its tags
  text-classification:
    path: model.pkl
    desc: Does a question deserve the tag?
    type: model
    labels: [nlp, classification]
stages:
  prepare:
    cmd: python3 src/prepare.py data/posts.xml
    deps: [data/posts.xml, src/prepare.py]
    params: [prepare.seed, prepare.split]
    outs: [data/prepared]
  featurize:
    cmd: python3 src/featurize.py data/prepared data/features
    deps: [data/prepared, src/featurize.py]
    params: [featurize.ngrams]
    outs: [data/features]
  train:
    cmd: python3 src/train.py data/features model.pkl
    deps: [data/features, src/train.py]
    params: [train.n_est]
    outs: [model.pkl]
  evaluate:
    cmd: python3 src/evaluate.py model.pkl data/features
    deps: [data/features, model.pkl, src/evaluate.py]
    outs: [eval]
metrics: [eval/metrics.json]
plots:
  - ROC:
      template: simple
      x: fpr
      y: {eval/plots/roc/train.json: tpr, eval/plots/roc/test.json: tpr}
  - eval/plots/images/importance.svg
""",
        "params.yaml": _SETTINGS.format(10),
        "src/prepare.py": """\
import pathlib, sys
out = pathlib.Path("data/prepared"); out.mkdir(parents=True, exist_ok=True)
rows = pathlib.Path(sys.argv[1]).read_text().splitlines()
(out / "train.tsv").write_text("\\n".join(rows[::2]) + "\\n")
(out / "test.tsv").write_text("\\n".join(rows[1::2]) + "\\n")
""",
        "src/featurize.py": """\
import pathlib, shutil, sys
shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)
(pathlib.Path(sys.argv[2]) / "words.txt").write_text(pathlib.Path("params.yaml").read_text())
""",
        "src/train.py": """\
import pathlib, re, sys
n = re.search(r"n_est: (\\d+)", pathlib.Path("params.yaml").read_text())[1]
pathlib.Path(sys.argv[2]).write_text(f"forest of {n}\\n")
""",
        "src/evaluate.py": """\
import json, pathlib, re, sys
n = int(re.search(r"\\d+", pathlib.Path(sys.argv[1]).read_text())[0])
out = pathlib.Path("eval"); (out / "plots/roc").mkdir(parents=True, exist_ok=True)
(out / "plots/images").mkdir(exist_ok=True)
score = 1 - 1 / n
(out / "metrics.json").write_text(json.dumps({"avg_prec": {"train": 1.0, "test": score}}))
for part in ("train", "test"):
    points = [{"fpr": x / 5, "tpr": (x / 5) ** (1 / n)} for x in range(6)]
    (out / f"plots/roc/{part}.json").write_text(json.dumps({"roc": points}))
(out / "plots/images/importance.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
""",
    },
    imported="data/posts.xml",
    scores=("0.9", "0.98", "+0.08 ▲"),
    report=("| train.n\\_est | 10 | 50 |", "| avg\\_prec.train | 1 | 1 | = |"),
    data_of=("data/features", "data/posts.xml", "data/prepared"),
    code_of=("src/featurize.py", "src/prepare.py", "src/train.py"),
    experiment={"params.yaml": _SETTINGS.format(50)},
)


_LIVE_SETTINGS = """\
base: {{random_seed: 42}}
data_split:
  test_regions:
    - REGION_1
train:
  arch: net_x2
  valid_pct: 0.1
  fine_tune_args: {{epochs: {}, base_lr: 1e-2}}
evaluate: {{n_samples_to_save: 2}}
"""

DVCLIVE = Shape(
    name="dvclive's layout",
    model="pool-segmentation",
    metric="results/evaluate/metrics.json:dice",
    files={
        "dvc.yaml": """\
params:
- results/train/params.yaml
metrics:
- results/train/metrics.json
- results/evaluate/metrics.json
plots:
- results/train/plots/metrics:
    x: step
- results/evaluate/plots/images
artifacts:
  pool-segmentation:
    path: models/model.pkl
    type: model
    desc: Finds the pools in
      a picture.
    labels: [cv]
stages:
  data_split:
    cmd: python3 src/data_split.py
    deps: [data/pool_data, src/data_split.py]
    params: [base, data_split]
    outs: [data/test_data, data/train_data]
  train:
    cmd: python3 src/train.py
    deps: [data/train_data, src/train.py]
    params: [base, train]
    outs: [models/model.pkl, models/model.pth, results/train]
  evaluate:
    cmd: python3 src/evaluate.py
    deps: [data/test_data, models/model.pkl, src/evaluate.py]
    params: [base, evaluate]
    outs: [results/evaluate]
  package:
    cmd: cp models/model.pth served.pth && tar -cf model.tar.gz served.pth && rm
      served.pth
    deps: [models/model.pth]
    outs: [model.tar.gz]
""",
        "params.yaml": _LIVE_SETTINGS.format(8),
        "src/data_split.py": """\
import pathlib, shutil
for part, region in (("test", "REGION_1"), ("train", "REGION_2")):
    out = pathlib.Path(f"data/{part}_data"); shutil.rmtree(out, ignore_errors=True); out.mkdir()
    for one in pathlib.Path("data/pool_data").glob(f"{region}*"):
        shutil.copy(one, out)
""",
        "src/train.py": """\
import json, pathlib, re
epochs = int(re.search(r"epochs: (\\d+)", pathlib.Path("params.yaml").read_text())[1])
live = pathlib.Path("results/train"); (live / "plots/metrics/train").mkdir(parents=True, exist_ok=True)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.pkl").write_text(f"net of {epochs}")
pathlib.Path("models/model.pth").write_text(f"weights of {epochs}")
rows = [f"{step}\\t{1 / (step + 1)}" for step in range(epochs)]
(live / "plots/metrics/train/loss.tsv").write_text("\\n".join(["step\\tloss", *rows]) + "\\n")
(live / "metrics.json").write_text(json.dumps({"train": {"loss": 1 / epochs}, "step": epochs - 1}))
(live / "params.yaml").write_text(f"n_epoch: {epochs}\\nopt: adam\\n")
""",
        "src/evaluate.py": """\
import base64, json, pathlib, re
epochs = int(re.search(r"\\d+", pathlib.Path("models/model.pkl").read_text())[0])
live = pathlib.Path("results/evaluate"); (live / "plots/images").mkdir(parents=True, exist_ok=True)
(live / "metrics.json").write_text(json.dumps({"dice": 1 - 1 / epochs}))
png = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
for region in ("REGION_1-a", "REGION_1-b"):
    (live / f"plots/images/{region}.png").write_bytes(png)
""",
    },
    data={f"data/pool_data/REGION_{r}-{n}.txt": f"{r} {n}\n" for r in (1, 2) for n in "ab"},
    added=("data/pool_data",),
    scores=("0.875", "0.9375", "+0.0625 ▲"),
    report=(
        "| results/train/metrics.json:train.loss | 0.125 | 0.0625 | -0.0625 ▲ |",
        "| params.yaml:train.fine\\_tune\\_args.epochs | 8 | 16 |",
        "| results/train/params.yaml:n\\_epoch | 8 | 16 |",
    ),
    data_of=("data/pool_data", "data/train_data"),
    code_of=("src/data_split.py", "src/train.py"),
    experiment={"params.yaml": _LIVE_SETTINGS.format(16)},
)

DVC_2 = Shape(
    name="a project of DVC 2",
    model="price",
    metric="reports/scores.toml:test.r2",
    files={
        "dvc.yaml": """\
stages:
  split:
    cmd: python3 -m shop.split
    deps: [shop/split.py, data/sales.csv]
    params:
    - shop/constants.py:
      - SEED
      - Split.ratio
    outs: [data/parts]
  fit:
    cmd: python3 -m shop.fit ${fit.depth}
    deps: [shop/fit.py, data/parts]
    params:
    - conf.toml:
      - fit.depth
    outs:
    - model.txt:
        persist: true
    - weights
    metrics:
    - reports/scores.toml: {cache: false}
    plots:
    - reports/curve.csv: {cache: false, x: step, y: loss}
vars: [conf.toml]
artifacts:
  price: {path: model.txt, type: model}
""",
        "conf.toml": "[fit]\ndepth = 4\n",
        "shop/__init__.py": "",
        "shop/constants.py": "SEED = 1\n\n\nclass Split:\n    ratio = 0.5\n",
        "shop/split.py": """\
import pathlib
from shop.constants import SEED, Split
out = pathlib.Path("data/parts")
out.mkdir(exist_ok=True)
rows = pathlib.Path("data/sales.csv").read_bytes()
(out / "train.csv").write_bytes(rows)
(out / "seed.txt").write_text(f"{SEED} {Split.ratio}\\n")
""",
        "shop/fit.py": """\
import pathlib, sys
depth = int(sys.argv[1])
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("weights").mkdir(exist_ok=True)
pathlib.Path("model.txt").write_bytes(f"trees\\r\\n{depth}\\r\\n".encode())
pathlib.Path("weights/w.bin").write_bytes(bytes([depth]))
pathlib.Path("reports/scores.toml").write_text(f"[test]\\nr2 = {1 - 1 / depth}\\n")
rows = [f"{step},{1 / (step + 1)}" for step in range(depth)]
pathlib.Path("reports/curve.csv").write_text("\\n".join(["step,loss", *rows]) + "\\n")
""",
        ".gitignore": "__pycache__\n",
    },
    data={"data/sales.csv": "day,sold\r\n1,2\r\n"},
    added=("data/sales.csv",),
    scores=("0.75", "0.875", "+0.125 ▲"),
    report=("| conf.toml:fit.depth | 4 | 8 |",),
    data_of=("data/parts", "data/sales.csv"),
    code_of=("shop/fit.py", "shop/split.py"),
    experiment={"conf.toml": "[fit]\ndepth = 8\n"},
    era=2,
)


_LIVE_DVC_YAML = """\
params: [params.yaml]
metrics: [metrics.json]
plots:
- plots/metrics:
    x: step
artifacts:
  detector:
    path: ../model.pt
    type: model
"""


def _logged(epochs: int) -> dict[str, str]:
    """Return what a notebook's training logs: all of it in Git, but for the model."""
    rows = [f"{step}\t{1 / (step + 1)}" for step in range(epochs)]
    return {
        "dvclive/dvc.yaml": _LIVE_DVC_YAML,
        "dvclive/params.yaml": f"epochs: {epochs}\nlr: 0.01\n",
        "dvclive/metrics.json": json.dumps({"step": epochs - 1, "acc": 1 - 1 / epochs}),
        "dvclive/plots/metrics/loss.tsv": "\n".join(["step\tloss", *rows]) + "\n",
        "dvclive/report.md": "# Report\n",
        "model.pt": f"weights of {epochs}",
    }


NOTEBOOK = Shape(
    name="a notebook that DVCLive logs",
    model="dvclive:detector",
    metric="dvclive/metrics.json:acc",
    files={**_logged(4), "train.ipynb": "{}\n"},
    added=("model.pt",),
    scores=("0.75", "0.875", "+0.125 ▲"),
    report=("| epochs | 4 | 8 |",),
    experiment=_logged(8),
)


MATRIX = Shape(
    name="stages of foreach and matrix",
    model="ranker",
    metric="reports/best.yaml:ndcg",
    files={
        "dvc.yaml": """\
vars:
- config/paths.toml
- models: {dir: models}
stages:
  clean:
    foreach: [de, fr]
    do:
      cmd: sort data/raw/${item}.csv > data/clean-${item}.csv
      deps: ["data/raw/${item}.csv"]
      outs: ["data/clean-${item}.csv"]
  fit:
    matrix:
      lang: [de, fr]
      kind: [linear, tree]
    cmd: mkdir -p ${models.dir} && python3 fit.py ${item.lang} ${item.kind} ${models.dir}
    deps: [fit.py, "data/clean-${item.lang}.csv"]
    params:
    - settings.py:
      - DEPTH
    - config/train.toml:
      - train.rate
    outs:
    - ${models.dir}/${item.lang}-${item.kind}.bin
  choose:
    cmd: python3 choose.py ${models.dir}
    deps: [choose.py, "${models.dir}/de-linear.bin", "${models.dir}/de-tree.bin",
      "${models.dir}/fr-linear.bin", "${models.dir}/fr-tree.bin"]
    outs: ["${paths.best}"]
    metrics:
    - reports/best.yaml: {cache: false}
artifacts:
  ranker: {path: "${paths.best}", type: model}
""",
        "config/paths.toml": '[paths]\nbest = "models/best.bin"\n',
        "config/train.toml": "[train]\nrate = 0.5\n",
        "settings.py": "DEPTH = 3\nclass Train:\n    seed = 1\n",
        "fit.py": """\
import pathlib, sys
from settings import DEPTH
lang, kind, where = sys.argv[1:]
pathlib.Path(where, f"{lang}-{kind}.bin").write_text(f"{lang} {kind} {DEPTH}\\n")
""",
        "choose.py": """\
import pathlib, sys
all_ = sorted(pathlib.Path(sys.argv[1]).glob("??-*.bin"))
text = all_[0].read_text()
pathlib.Path(sys.argv[1], "best.bin").write_text(text)
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/best.yaml").write_text(f"ndcg: {1 - 1 / int(text.split()[2]):.3f}\\nchosen: de\\n")
""",
        ".gitignore": "__pycache__\n",
    },
    data={"data/raw/de.csv": "b\na\n", "data/raw/fr.csv": "d\nc\n"},
    added=("data/raw/de.csv", "data/raw/fr.csv"),
    scores=("0.667", "0.8", "+0.133 ▲"),
    report=("| settings.py:DEPTH | 3 | 5 |", "| chosen | de | de |"),
    data_of=(
        "data/clean-de.csv",
        "data/clean-fr.csv",
        "data/raw/de.csv",
        "data/raw/fr.csv",
        "models/de-linear.bin",
        "models/de-tree.bin",
        "models/fr-linear.bin",
        "models/fr-tree.bin",
    ),
    code_of=("choose.py", "fit.py"),
    experiment={"settings.py": "DEPTH = 5\nclass Train:\n    seed = 1\n"},
)

_CLF = """\
stages:
  train:
    cmd: python3 ../../lib/train.py
    deps: [../../data/raw.csv, ../../lib/train.py]
    params: [depth]
    outs: [model.bin]
  evaluate:
    cmd: python3 ../../lib/evaluate.py
    deps: [model.bin, ../../lib/evaluate.py]
    metrics:
    - metrics.json:
        cache: false
artifacts:
  clf: {path: model.bin, type: model}
"""
_TRAIN = """\
import pathlib, re
depth = re.search(r"depth: (\\d+)", pathlib.Path("params.yaml").read_text())[1]
pathlib.Path("model.bin").write_text(f"{pathlib.Path.cwd().name} {depth}\\n")
"""
_EVALUATE = """\
import json, pathlib, re
depth = int(re.search(r"(\\d+)$", pathlib.Path("model.bin").read_text())[1])
pathlib.Path("metrics.json").write_text(json.dumps({"f1": 1 - 1 / depth}) + "\\n")
"""
MONOREPO = Shape(
    name="a monorepo",
    rules="promotion-churn.yaml",
    model="services/churn:clf",
    metric="services/churn/metrics.json:f1",
    scores=("0.66667", "0.8", "+0.13333 ▲"),
    report=("| services/churn/params.yaml:depth | 3 | 5 |",),
    data_of=("data/raw.csv",),
    code_of=("lib/train.py",),
    files={
        "lib/train.py": _TRAIN,
        "lib/evaluate.py": _EVALUATE,
        "services/churn/dvc.yaml": _CLF,
        "services/churn/params.yaml": "depth: 3\n",
        "services/fraud/dvc.yaml": _CLF,
        "services/fraud/params.yaml": "depth: 9\n",
        # The root's file of the same name is another's.
        "metrics.json": '{"f1": 0.99}\n',
    },
    data={"data/raw.csv": "a,b\n1,2\n"},
    added=("data/raw.csv",),
    experiment={"services/churn/params.yaml": "depth: 5\n"},
)


SUBDIR = Shape(
    name="projects of dvc init --subdir",
    rules="teams/vision/promotion.yaml",
    root="teams/vision",
    model="teams/vision:clf",
    metric="metrics.json:f1",
    scores=("0.66667", "0.8", "+0.13333 ▲"),
    report=("| depth | 3 | 5 |",),
    data_of=("teams/vision/data/raw.csv",),
    code_of=("teams/vision/lib/train.py",),
    files={
        "teams/vision/lib/train.py": _TRAIN,
        "teams/vision/lib/evaluate.py": _EVALUATE,
        "teams/vision/dvc.yaml": _CLF.replace("../../", ""),
        "teams/vision/params.yaml": "depth: 3\n",
        # The top's file of the same name is another's.
        "metrics.json": '{"f1": 0.99}\n',
    },
    data={"teams/vision/data/raw.csv": "a,b\n1,2\n"},
    added=("teams/vision/data/raw.csv",),
    experiment={"teams/vision/params.yaml": "depth: 5\n"},
)
