"""A model's file is data by its name and its content, or it counts as code."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest

from model_gitops.core.dvc.model_format import HEAD_BYTES, TAIL_BYTES, code_reason


def judge(name: str, content: bytes) -> str:
    return code_reason(name, content[:HEAD_BYTES], content[-TAIL_BYTES:], len(content))


def field(number: int, data: bytes) -> bytes:
    """A field of protobuf that has a length."""
    tag, length = number << 3 | 2, len(data)
    out = bytearray([tag & 0x7F | (0x80 if tag > 0x7F else 0), *([tag >> 7] if tag > 0x7F else [])])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*out, length]) + data


ONNX = (
    b"\x08\x08"
    + field(2, b"skl2onnx")
    + field(7, b"g" * 300)
    + field(8, b"\x10\x11")
    + field(14, b"m")
)
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\n"


def torch_file() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
    return made.getvalue()


def zip_with_name_at(place: int) -> bytes:
    """The head of a zip file that names PyTorch's pickle at this byte."""
    return b"PK\x03\x04".ljust(place, b"\0") + b"data.pkl"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/m.onnx", ONNX),
        ("models/m.ONNX", b"\x08\x07" + field(8, b"\x10\x11") + field(7, b"x" * 3 * HEAD_BYTES)),
        ("m.onnx", b"\x08\x08" + field(7, b"g")),
        ("m.onnx", b"\x08\x08" + field(8, b"\x10\x11")),
        ("m.safetensors", SAFETENSORS),
        ("m.safetensors", (2).to_bytes(8, "little") + b"{}"),  # the shortest that there is
        ("m.gguf", b"GGUF\x03\x00\x00\x00" + bytes(16)),
        ("m.json", b'{"learner": {}}'),
        ("m.json", ('{"n": "' + "é" * HEAD_BYTES).encode()),
        ("m.json", b"[1, 2]"),
        ("m.json", b'\n\t {"learner": {}}'),
        ("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner}"),
        ("m.txt", LIGHTGBM),
        ("m.txt", LIGHTGBM.replace(b"\n", b"\r\n")),
        ("m.csv", b"feature,weight\nage,1.5\n"),
        ("m.csv", "é,è".encode()[:-1]),  # the end of the head is within a character
        ("m.csv", "a😀".encode()[:-1]),
        ("m.tsv", b"feature\tweight\r\nage\t1.5\r\n"),
        ("m.parquet", b"PAR1" + bytes(8) + b"PAR1"),
        ("m.parquet", b"PAR1" + bytes(4) + b"PAR1"),
    ],
)
def test_formats_that_are_data(name: str, content: bytes) -> None:
    assert judge(name, content) == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.pkl", pickle.dumps([1])),
        ("m.joblib", b"\x78\x9c compressed"),
        ("m.pt", torch_file()),
        ("m.bin", torch_file()),
        ("m.onnx", pickle.dumps({"a": 1})),
        ("m.json", pickle.dumps([1, 2], protocol=4)),
        ("model", pickle.dumps(1, protocol=5)),
        ("model", pickle.dumps(1, protocol=2)),
        ("model", torch_file()),
        ("m.onnx", torch_file()),
        ("m.onnx", zip_with_name_at(1016)),
        # One that the base's code unpickles, whatever it holds now.
        ("m.pkl", ONNX),
    ],
)
def test_pickles_are_called_so(name: str, content: bytes) -> None:
    assert judge(name, content) == "it is a pickle"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "m.keras",
            b"PK\x03\x04",
            "it is of no format that is known to be data (.csv, .gguf, .json, .onnx, .parquet,"
            " .safetensors, .tsv, .txt, .ubj)",
        ),
        ("m.keras", zip_with_name_at(1017), "of no format"),  # too far from its start to tell
        ("model", b"\x80\x06N.", "of no format"),  # no protocol of pickle's
        ("m.h5", b"\x89HDF\r\n", "of no format"),
        ("m.npy", b"\x93NUMPY", "of no format"),
        ("evaluate.py", b"print(1)", "of no format"),
        ("model", ONNX, "of no format"),
        ("m.onnx", b"", "not that of an ONNX model"),
        ("m.onnx", b"\x08", "not that of an ONNX model"),
        ("m.onnx", b"\x08\x08", "not that of an ONNX model"),  # no graph
        ("m.onnx", field(7, b"g") + b"\x08\x08", "not that of an ONNX model"),
        ("m.onnx", ONNX[:-1], "not that of an ONNX model"),  # cut off
        ("m.onnx", ONNX + field(9, b"?"), "not that of an ONNX model"),
        ("m.onnx", pickle.dumps([1], protocol=0), "not that of an ONNX model"),
        ("m.safetensors", HEADER, "not that of a safetensors file"),
        ("m.safetensors", (999).to_bytes(8, "little") + HEADER, "not that of a safetensors file"),
        ("m.safetensors", (3).to_bytes(8, "little") + b"{}", "not that of a safetensors file"),
        ("m.safetensors", (1).to_bytes(8, "little") + b"{}", "not that of a safetensors file"),
        ("m.safetensors", (2).to_bytes(8, "little"), "not that of a safetensors file"),
        ("m.gguf", b"GGUF", "not that of a GGUF file"),
        ("m.json", b"\x00{}", "not that of a JSON file"),
        ("m.json", b"cos\nsystem\n(S'id'\ntR.", "not that of a JSON file"),
        ("m.txt", b"cos\nsystem\n(S'id'\ntR.", "not that of a LightGBM model"),
        ("m.csv", b"a\x01b", "not that of a table"),
        ("m.csv", b"\xff\xfe\xfa\xfb\xfc", "not that of a table"),
        ("m.csv", b"\x80", "not that of a table"),
        ("m.csv", b"a,b\n\xff,1,2\n", "not that of a table"),
        ("m.csv", b"a,b\xff1,2", "not that of a table"),  # no character has four bytes after it
        ("m.csv", b"", "not that of a table"),
        ("m.parquet", b"PAR1PAR", "not that of a Parquet file"),
        ("m.parquet", b"PAR1" + bytes(3) + b"PAR1", "not that of a Parquet file"),
        ("m.parquet", b"PAR1" + bytes(12), "not that of a Parquet file"),
        ("m.parquet", bytes(12) + b"PAR1", "not that of a Parquet file"),
        ("m.ubj", b"{L", "not that of a UBJSON file"),
    ],
)
def test_all_else_counts_as_code(name: str, content: bytes, says: str) -> None:
    assert says in judge(name, content)
