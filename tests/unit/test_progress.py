"""When a build waits for a registry, and for nothing else."""

from __future__ import annotations

import pytest

from model_gitops.core.image.progress import Progress

START = ["#0 building with an instance", "#1 [internal] load build definition", "#1 DONE 0.0s"]
METADATA = "#2 [internal] load metadata for ghcr.io/acme/base:1"
PULL = "#3 [1/2] FROM ghcr.io/acme/base:1@sha256:" + "a" * 64
RUN = "#4 [2/2] RUN python train.py"
EXPORT = ["#5 exporting to image", "#5 exporting layers"]


@pytest.mark.parametrize(
    ("lines", "waits"),
    [
        ([], False),
        (START, False),
        ([*START, METADATA], True),
        ([*START, METADATA, "#2 DONE 0.3s", PULL], True),
        ([*START, PULL, f"#3 sha256:{'b' * 64} 1.05MB / 28.23MB 0.2s"], True),
        ([*START, RUN], False),
        ([*START, RUN, "#4 0.123 epoch 1"], False),
        # Another stage is pulled while a command runs: that may take as long as it likes.
        ([*START, RUN, PULL], False),
        ([*START, RUN, PULL, "#4 DONE 9.0s"], True),
        ([*START, *EXPORT], False),
        ([*START, *EXPORT, "#5 exporting layers 0.1s done", "#5 pushing layers"], True),
        ([*START, *EXPORT, "#5 pushing manifest for ghcr.io/acme/app"], True),
        ([*START, *EXPORT, "#5 pushing layers", "#5 DONE 1.0s"], False),
        (["#6 importing cache manifest from ghcr.io/acme/cache"], True),
        (["#6 importing cache manifest from x", "#6 ERROR: x: not found"], False),
        (["#6 resolve x", "#6 CANCELED"], False),
        (["#6 resolve x", "#6 CACHED"], False),
        # What ends may not have begun, and what is no step is not looked at.
        (["#7 DONE 0.0s", "#6 resolve x", "#0 RUN x", "", "ERROR: x"], True),
        (["#6 resolve x", "#7 RUN x", "#7 DONEX"], False),
    ],
)
def test_what_a_build_waits_for(lines: list[str], waits: bool) -> None:
    progress = Progress()
    for line in lines:
        progress.feed(f"{line}\n")
    assert progress.waits is waits
