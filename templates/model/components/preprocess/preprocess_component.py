"""Component `preprocess`: the training and the test set, as stage `prepare` of dvc.yaml makes them.

--params-file params.yaml --labelled labelled.csv --train OUT --test OUT --made-from OUT
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import component

from diabetes import prepare


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the stage's function on the files of the command line."""
    parser = component.parser("Write the training and the test set.", (), ("train", "test"))
    component.add_params(parser)
    parser.add_argument("--labelled", type=Path, metavar="FILE", help="data/labelled.csv, if any")
    given = parser.parse_args(arguments)
    params = component.params_of(given, "prepare")
    inputs = {} if given.labelled is None else {"labelled": given.labelled}
    outputs = {"train": given.train, "test": given.test}
    with tempfile.TemporaryDirectory() as folder:
        # A missing file is no labelled row: where one was given it must be there.
        labelled = given.labelled or Path(folder, "none.csv")
        if inputs and not labelled.is_file():
            raise SystemExit(f"--labelled {labelled}: no such file")
        prepare.prepare(Path(folder), **params, labelled=labelled)
        for name, place in outputs.items():
            component.put(Path(folder, f"{name}.csv"), place)
    component.record(
        given.made_from,
        "preprocess",
        params={"prepare": params},
        inputs=inputs,
        outputs=outputs,
    )


if __name__ == "__main__":
    run()
