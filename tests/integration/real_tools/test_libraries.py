"""What the libraries do, as docs/reference/real-tools.md says it, and that we stand on it rightly."""

from __future__ import annotations

import importlib.util

from ruamel.yaml import YAML
from ruamel.yaml.parser import Parser

from model_gitops.core import document


def test_the_safe_parser_is_the_pure_one_only_where_no_other_is_installed() -> None:
    """A runner may have `ruamel.yaml.clib`, whose nodes know less of their place: we ask for the pure one."""
    is_pure = YAML(typ="safe").Parser is Parser
    assert is_pure is (importlib.util.find_spec("_ruamel_yaml") is None)
    assert YAML(typ="safe", pure=True).Parser is Parser
    text = "a: yes\nb: 1e3\nc: 0123\nd: 0o17\ne: 12:30\n"
    assert document.load_yaml(text, source="x") == {
        "a": "yes", "b": 1000.0, "c": 123, "d": 15, "e": "12:30",
    }  # fmt: skip
