"""The program that `vega.py` starts: plots come in by lines of JSON, and go out drawn.

It is started as a file, alone: it has the packages of its environment, and nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def drawn(specification: Any) -> dict[str, str]:
    """Return the `svg` of a plot, or its `error`."""
    import vl_convert

    try:
        return {"svg": vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])}
    except BaseException as error:  # a panic of its Rust code is no Exception
        return {"error": str(error)}


def main() -> None:
    """Answer each line of the standard input, until it ends."""
    # What a template says on its console must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # V8 and Vega start now, while the plots are looked for.
    drawn({"mark": "point", "data": {"values": []}})
    for line in sys.stdin.buffer:
        answers.write(json.dumps(drawn(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
