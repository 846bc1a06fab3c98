"""The SHA-256 of a model: its form, and the list of a folder."""

from __future__ import annotations

import hashlib

import pytest

from model_gitops.core.dvc import checksums
from model_gitops.errors import InputError

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize("value", ["", A, "0123456789abcdef" * 4])
def test_a_sha256_or_nothing_is_taken(value: str) -> None:
    checksums.check("sha256", value)
    assert checksums.is_sha256(value) is bool(value)


@pytest.mark.parametrize(
    "value", [A[1:], A + "a", A.upper(), f"{A}\n", f" {A}", "g" * 64, "٣" * 64]
)
def test_anything_else_is_refused_by_name(value: str) -> None:
    with pytest.raises(InputError) as refused:
        checksums.check("sha256", value)
    assert refused.value.message == (
        f"input `sha256` is {value!r}: a SHA-256 is 64 lowercase hex digits"
    )
    assert refused.value.fix == "give what `sha256sum FILE` prints first, or leave it out"
    assert not checksums.is_sha256(value)


def test_a_listing_is_in_the_order_of_the_bytes() -> None:
    # "é" comes after "z", and "a.b" before "a/b": not the order of any language.
    files = {"é": A, "z": A, "a/b": B, "a.b": A, "B": B}
    assert checksums.listing(files).decode() == (f"{B}  B\n{A}  a.b\n{B}  a/b\n{A}  z\n{A}  é\n")
    assert checksums.listing({}) == b""


def test_a_folder_is_the_hash_of_its_listing() -> None:
    assert checksums.of_folder({"m": A}) == hashlib.sha256(f"{A}  m\n".encode()).hexdigest()
    assert checksums.of_folder({"m": A}) != checksums.of_folder({"n": A})


def test_a_line_break_in_a_name_makes_no_second_line() -> None:
    hostile = {f"x\n{B}  y": A}
    assert checksums.listing(hostile) == f"\\{A}  x\\n{B}  y\n".encode()
    assert checksums.of_folder(hostile) != checksums.of_folder({"x": A, "y": B})
    assert checksums.listing({"a\\nb": A, "c\rd": B}) == f"\\{A}  a\\\\nb\n\\{B}  c\\rd\n".encode()


def test_a_name_that_is_no_utf8_has_its_own_bytes() -> None:
    assert checksums.listing({b"\xff".decode("utf-8", "surrogateescape"): A}) == (
        A.encode() + b"  \xff\n"
    )
