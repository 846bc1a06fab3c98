from __future__ import annotations

from pathlib import Path

import pytest

from diabetes import label

FEATURES = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6"
NUMBERS = "1,2,3,4,5,6,7,8,9,10"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.csv"
    path.write_text(f"id,{FEATURES},progression\n")
    (tmp_path / "windows").mkdir()
    return path


def window(file: Path, name: str, *rows: str) -> None:
    text = "\n".join([f"time,id,version,{FEATURES},prediction,label", *rows]) + "\n"
    (file.parent / "windows" / f"{name}.csv").write_text(text)


def run(file: Path) -> tuple[int, int]:
    return label.label(file.parent / "windows", file)


def test_rows_with_a_label_are_added_once(file: Path):
    window(file, "2026-W48", f"t,a,v1,{NUMBERS},100,151", f"t,b,v1,{NUMBERS},100,")
    assert run(file) == (1, 1)
    header, row = file.read_text().splitlines()
    assert header == f"id,{FEATURES},progression"
    assert row.endswith(",1,2,3,4,5,6,7,8,9,10,151")
    before = file.read_bytes()
    assert run(file) == (0, 1)
    assert file.read_bytes() == before
    window(file, "2026-W49", f"t,b,v1,{NUMBERS},100,90", f"t,a,v1,{NUMBERS},100,152")
    assert run(file) == (2, 2)


def test_nothing_is_there_yet(file: Path):
    before = file.read_bytes()
    assert run(file) == (0, 0)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "row",
    [
        f"t,a,v1,{NUMBERS},100,nan",
        f"t,a,v1,{NUMBERS},100,inf",
        f"t,a,v1,{NUMBERS},100,=1+1",
        "t,a,v1,1,2,3,4,5,6,7,8,9,,100,150",
        f"t,,v1,{NUMBERS},100,150",
        "t,a",
    ],
)
def test_what_is_not_whole_is_left_out(file: Path, row: str):
    window(file, "2026-W48", row)
    assert run(file) == (0, 0)


def test_an_id_is_a_strangers_text(file: Path):
    window(file, "2026-W48", f't,"a,\n""b",v1,{NUMBERS},100,150')
    assert run(file) == (1, 1)
    name = file.read_text().splitlines()[1].split(",")[0]
    assert len(name) == 32
    assert name.isalnum()
