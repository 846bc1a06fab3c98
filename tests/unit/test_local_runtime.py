"""Which capabilities a sandbox withholds."""

from __future__ import annotations

from model_gitops_local import runtime


def test_what_the_bounding_set_lacks_is_withheld() -> None:
    assert runtime.withheld("Name:\tx\nCapBnd:\t000001fffeffffff\n") == {"CAP_SYS_RESOURCE"}
    assert runtime.withheld("CapBnd:\t000001ffffffffff\n") == set()
