"""Whether test data grew: row by row, in any order."""

from __future__ import annotations

import pytest

from model_gitops.core.flow import test_data


@pytest.mark.parametrize(
    ("base", "now", "expected"),
    [
        (b"a,b\n1,2\n", b"a,b\n3,4\n1,2", (1, 2, 0, True)),
        (b"a,b\r\n1,2\r\n", b"a,b\n1,2\n", (1, 1, 0, True)),
        (b"a,b\n1,2\n1,2\n", b"a,b\n1,2\n3,4\n", (2, 2, 1, True)),
        (b"a,b\n1,2\n", b"b,a\n1,2\n", (1, 1, 0, False)),
        (b"a,b\n", b"", (0, 0, 0, False)),
    ],
)
def test_growth(base: bytes, now: bytes, expected: tuple[int, int, int, bool]) -> None:
    found = test_data.growth("data/test.csv", base, now)
    assert (found.before, found.now, found.missing, found.same_header) == expected
    assert found.has_all is (expected[2] == 0 and expected[3])


def test_json_lines_have_no_header() -> None:
    assert test_data.growth("t.jsonl", b"{}\n", b"[]\n{}\n").now == 2


def test_other_formats_are_not_known() -> None:
    assert [name for name in ("a.csv", "a.TSV", "a.parquet", "a.pkl", "csv") if test_data.is_known(name)] == [
        "a.csv", "a.TSV"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "now",
    [
        b'a,b\n"\n1,2\n"\n3,4\n',  # the row of the base is within a quoted value
        b'a,b\nx","\n1,2\n"\n3,4\n',  # two quotes in a line, and the second one opens a value
        b'a,b\nx;"\n1,2\n";3\n',
        b"a,b\n1,2\n3,4\r5,6\n",
        b"a,b\n1,2\n3,\x00\n",
        b'a,b\n1,2\n"' + b"x" * 200_000 + b'",4\n',
    ],
)
def test_rows_that_are_hidden_in_a_quoted_value_are_not_there(now: bytes) -> None:
    found = test_data.growth("data/test.csv", b"a,b\n1,2\n", now)
    assert (found.missing, found.is_by_line, found.has_all) == (0, False, False)


def test_quoted_values_within_a_line_are_fine() -> None:
    now = b'"a","b"\n1,"x, ""y"" z"\n"3",5" pipe\n'
    assert test_data.growth("t.csv", b'"a","b"\n1,"x, ""y"" z"\n', now).has_all
