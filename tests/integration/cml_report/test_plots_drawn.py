"""A plot is drawn without what only a pointer would show, and looks as Vega-Lite draws it."""

from __future__ import annotations

from pathlib import Path

import pytest
import vl_convert
from dvc_render import VegaRenderer
from dvc_render.vega_templates import TEMPLATES

from model_gitops.adapters import plots
from model_gitops.adapters.plain_report import Matched

# As text in a plot, it must stay.
ODD = '<path d="" opacity="0"/> & <image>'


def renderer(template: str) -> VegaRenderer:
    points = [
        {"x": number, "y": 10 / (1 + number), "rev": revision, ODD: number}
        for revision in ("candidate", ODD)
        for number in range(9)
    ]
    return VegaRenderer(
        points, "curve.csv", template=template, x="x", y="y", title=ODD, x_label=ODD,
        revs_with_datapoints=["candidate", ODD],
        anchors_y_definitions=[{"filename": "curve.csv", "field": "y"}],
    )  # fmt: skip


# One of them moves its points by chance.
@pytest.mark.parametrize(
    "template", [one.DEFAULT_NAME for one in TEMPLATES if "jitter" not in one.DEFAULT_NAME]
)
def test_a_picture_is_vega_lites_byte_by_byte(template: str, tmp_path: Path) -> None:
    (picture,), problems = plots.draw(
        [Matched(renderer(template))], tmp_path, candidate="candidate"
    )
    specification = renderer(template).get_filled_template()
    wanted = vl_convert.vegalite_to_png(specification, scale=1.5, allowed_base_urls=[])
    assert not problems
    assert (tmp_path / picture.file).read_bytes() == wanted
