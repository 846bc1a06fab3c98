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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/m.onnx", ONNX),
        ("models/m.ONNX", b"\x08\x07" + field(8, b"\x10\x11") + field(7, b"x" * 3 * HEAD_BYTES)),
        ("m.safetensors", SAFETENSORS),
        ("m.gguf", b"GGUF\x03\x00\x00\x00" + bytes(16)),
        ("m.json", b'{"learner": {}}'),
        ("m.json", ('{"n": "' + "é" * HEAD_BYTES).encode()),
        ("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner}"),
        ("m.txt", LIGHTGBM),
        ("m.csv", b"feature,weight\nage,1.5\n"),
        ("m.parquet", b"PAR1" + bytes(8) + b"PAR1"),
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
        # One that the base's code unpickles, whatever it holds now.
        ("m.pkl", ONNX),
    ],
)
def test_pickles_are_called_so(name: str, content: bytes) -> None:
    assert judge(name, content) == "it is a pickle"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.keras", b"PK\x03\x04", "of no format that is known to be data"),
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
        ("m.gguf", b"GGUF", "not that of a GGUF file"),
        ("m.json", b"\x00{}", "not that of a JSON file"),
        ("m.json", b"cos\nsystem\n(S'id'\ntR.", "not that of a JSON file"),
        ("m.txt", b"cos\nsystem\n(S'id'\ntR.", "not that of a LightGBM model"),
        ("m.csv", b"a\x01b", "not that of a table"),
        ("m.csv", b"\xff\xfe\xfa\xfb\xfc", "not that of a table"),
        ("m.csv", b"", "not that of a table"),
        ("m.parquet", b"PAR1PAR", "not that of a Parquet file"),
        ("m.ubj", b"{L", "not that of a UBJSON file"),
    ],
)
def test_all_else_counts_as_code(name: str, content: bytes, says: str) -> None:
    assert says in judge(name, content)
