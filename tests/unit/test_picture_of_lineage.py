"""The picture of a lineage: the worst link's colour, and text from outside as text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from model_gitops_local import lineage_picture


def link(start: str, end: str, state: str, said: str = "") -> dict[str, Any]:
    return {"from": start, "to": end, "state": state, "from_says": said, "to_says": said}


def lines(picture: str) -> list[str]:
    """The state of each line, by the arrow at its end."""
    root = ElementTree.fromstring(picture)
    return [one.get("marker-end", "")[5:-1] for one in root.iter("path") if one.get("marker-end")]


def test_several_links_of_two_ends_are_one_line_in_the_colour_of_the_worst() -> None:
    links = [
        link("model", "data", "verified"),
        link("model", "data", "broken"),
        link("stage", "version", "verified"),
    ]
    picture = lineage_picture.draw({"subject": "production", "links": links})
    assert lines(picture) == ["broken", "verified"]
    assert "2 verified" in picture
    assert "1 broken" in picture


def test_text_from_outside_is_text() -> None:
    hostile = "</title><script>alert(1)</script>"
    lineage = {
        "subject": hostile,
        "model": hostile,
        "links": [link("version", "model", "verified", hostile)],
        "version": {"name": hostile},
        "source": {"model_path": hostile, "model_hash": hostile},
    }
    picture = lineage_picture.draw(lineage)
    assert "<script" not in picture
    assert lines(picture) == ["verified"]


def test_an_end_that_has_no_place_is_left_out() -> None:
    links = [link("model", "data", "verified"), link("moon", "data", "verified")]
    assert lines(lineage_picture.draw({"subject": "s", "links": links})) == ["verified"]
