"""Component `train`: the model, as stage `train` of dvc.yaml makes it.

--params-file params.yaml --train FILE --model OUT --curve OUT --made-from OUT
"""

from __future__ import annotations

from collections.abc import Sequence

import component

from diabetes import train


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the stage's function on the files of the command line."""
    parser = component.parser("Train the model.", ("train",), ("model", "curve"))
    component.add_params(parser)
    given = parser.parse_args(arguments)
    params = component.params_of(given, "train")
    train.train(given.train, given.model, given.curve, **params)
    component.record(
        given.made_from,
        "train",
        params={"train": params},
        inputs={"train": given.train},
        outputs={"model": given.model, "curve": given.curve},
    )


if __name__ == "__main__":
    run()
