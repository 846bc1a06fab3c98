"""The mark, and the bounds, of the text of an issue that is kept."""

from __future__ import annotations

import pytest

from model_gitops.core.report import kept


def test_a_mark_is_a_line_of_its_own_and_of_one_key() -> None:
    body = kept.marked("It drifts.", "retrain")
    assert body == "It drifts.\n\n<!-- model-gitops:retrain -->\n"
    assert kept.has_mark(body.replace("\n", "\r\n") + "a person's line", "retrain")
    assert not kept.has_mark(body, "retrain other")
    assert not kept.has_mark(f"> {kept.mark('retrain')}", "retrain")
    assert not kept.has_mark(f"see `{kept.mark('retrain')}`", "retrain")


@pytest.mark.parametrize("key", ["retrain a-->b", "retrain a\nb", "retrain é"])
def test_a_key_from_outside_can_not_end_the_comment(key: str) -> None:
    assert kept.mark(key).count("-->") == 1
    assert "\n" not in kept.mark(key)
    assert kept.has_mark(kept.marked("x", key), key)


def test_a_body_that_is_too_long_keeps_its_mark() -> None:
    body = kept.marked("line\n" * 100_000, "health")
    assert len(body) < 65_536
    assert kept.has_mark(body, "health")
    assert body.endswith("line\n\n…\n\n<!-- model-gitops:health -->\n")


def test_a_title_is_one_short_line() -> None:
    assert kept.title(" a\nb\x1b[31m\u202e c ") == "a b[31m c"
    assert len(kept.title("é" * 300)) == kept.LONGEST_TITLE
