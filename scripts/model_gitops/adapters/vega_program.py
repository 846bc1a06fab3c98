"""The program that `vega.py` starts: plots come in by lines of JSON, and go out as pictures.

It is started as a file, alone: it has the packages of its environment, and nothing of ours.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import sys
from typing import Any

_SCALE = 1.5
# Takes 200 MB to paint; a template may ask for more than a machine has.
_MOST_PIXELS = 50_000_000
# What a pointer would show. Nobody sees it in a picture, and painting it takes a quarter of the time. Vega
# writes no quotes nor angle brackets into a value.
_UNSEEN = re.compile(r"<(?:line|path|rect)\b[^>]* opacity=\"0\"[^>]*/>")


def allow_nothing() -> None:
    """Have no plot read an address, nor a file of this machine."""
    import vl_convert

    vl_convert.configure(allowed_base_urls=[], base_url=False)


def drawn(specification: Any) -> dict[str, str]:
    """Return the `png` of a plot, in Base64, or its `error`."""
    import vl_convert

    try:
        svg = vl_convert.vegalite_to_svg(specification)
        # It would be refused as well, with more words.
        if "<image" in svg:
            return {"error": "it shows a picture from elsewhere, which is not allowed"}
        if not _pixels(svg) <= _MOST_PIXELS:
            return {"error": f"it has more than {_MOST_PIXELS // 1_000_000} million pixels"}
        png = vl_convert.svg_to_png(_UNSEEN.sub("", svg), scale=_SCALE)
        return {"png": base64.b64encode(png).decode()}
    except BaseException as error:  # a panic of its Rust code is no Exception
        return {"error": str(error)}


def _pixels(svg: str) -> float:
    sides = re.findall(r' (?:width|height)="([^"]*)"', svg.partition(">")[0])
    return math.prod(float(side) * _SCALE for side in sides)


def main() -> None:
    """Answer each line of the standard input, until it ends."""
    # What a template says on its console must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    allow_nothing()
    # V8 and Vega start now, while the plots are looked for.
    drawn({"mark": "point", "data": {"values": []}})
    for line in sys.stdin.buffer:
        answers.write(json.dumps(drawn(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
