"""Component `test`: the model's metrics, as stage `evaluate` of dvc.yaml measures them.

--test FILE --model FILE --metrics OUT --predictions OUT --made-from OUT
"""

from __future__ import annotations

from collections.abc import Sequence

import component

from diabetes import evaluate


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the stage's function on the files of the command line."""
    parser = component.parser(
        "Measure the model on the test set.", ("test", "model"), ("metrics", "predictions")
    )
    given = parser.parse_args(arguments)
    evaluate.evaluate(given.test, given.model, given.metrics, given.predictions)
    component.record(
        given.made_from,
        "test",
        params={},
        inputs={"test": given.test, "model": given.model},
        outputs={"metrics": given.metrics, "predictions": given.predictions},
    )


if __name__ == "__main__":
    run()
