"""Whether a model's file is data, or code that runs when it is loaded.

A list of what is dangerous is never whole, so this is a short list of what is not: formats whose
readers build nothing but numbers and graphs of known operators. The name counts as much as the
content does, since it is by its name that code decides how to read a file, and a file can be two
things at once (a safetensors file that is also a pickle).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

# So much of a file's beginning, and of its end, tells its format.
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 64

_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".bin", ".sav")


def code_reason(name: str, head: bytes, tail: bytes, size: int) -> str:
    """Return why a model's file counts as code, in words; empty for one that is data.

    `name` is its path where it is loaded, `head` and `tail` its first and last bytes (as many as
    HEAD_BYTES and TAIL_BYTES say, or all), `size` its length in bytes.
    """
    kind = posixpath.splitext(name)[1].lower()
    if _looks_pickled(kind, head, tail):
        return "it is a pickle"
    if kind not in _DATA:
        known = ", ".join(sorted(_DATA))
        return f"it is of no format that is known to be data ({known})"
    label, fits = _DATA[kind]
    return "" if fits(head, tail, size) else f"its content is not that of {label}"


def _looks_pickled(kind: str, head: bytes, tail: bytes) -> bool:
    """Whether it is plainly a pickle, for the message alone: what is on no list counts as code too."""
    protocol = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    is_torch = head.startswith(b"PK\x03\x04") and b"data.pkl" in head[:1024]
    return (protocol and tail.endswith(b".")) or is_torch or kind in _PICKLES


def _onnx(head: bytes, tail: bytes, size: int) -> bool:
    """A protobuf ModelProto: `ir_version` (field 1) is first, and only its fields follow."""
    if head[:1] != b"\x08":
        return False
    place, fields = 0, set()
    while place < len(head):
        tag, place = _varint(head, place)
        field, wire = tag >> 3, tag & 7
        if field not in _MODEL_PROTO or wire != _MODEL_PROTO[field]:
            return False
        fields.add(field)
        value, place = _varint(head, place)
        place += value if wire == 2 else 0
    # A field that is longer than the head ends where the file does, or has others after it.
    return place <= size and 1 in fields and bool(fields & {7, 8})


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number of protobuf's and where it ends; one that is cut off is 0, at the end."""
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return value, place


# Field → wire type (0 a number, 2 what has a length), of onnx.proto's ModelProto.
_MODEL_PROTO = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def _safetensors(head: bytes, tail: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= size - 8


def _gguf(head: bytes, tail: bytes, size: int) -> bool:
    return head.startswith(b"GGUF") and size >= 24


def _parquet(head: bytes, tail: bytes, size: int) -> bool:
    return head.startswith(b"PAR1") and tail.endswith(b"PAR1") and size >= 12


def _json(head: bytes, tail: bytes, size: int) -> bool:
    return _is_text(head) and head.lstrip()[:1] in (b"{", b"[")


def _ubjson(head: bytes, tail: bytes, size: int) -> bool:
    return head[:1] == b"{" and tail.endswith(b"}")


def _lightgbm(head: bytes, tail: bytes, size: int) -> bool:
    return _is_text(head) and head.startswith((b"tree\n", b"tree\r\n"))


def _table(head: bytes, tail: bytes, size: int) -> bool:
    return _is_text(head)


def _is_text(head: bytes) -> bool:
    """Whether it is UTF-8 without control characters; the head may end within a character."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) - error.start >= 4:
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and not any(ord(one) < 32 and one not in "\t\r\n" for one in text)


_Fits = Callable[[bytes, bytes, int], bool]
_DATA: dict[str, tuple[str, _Fits]] = {
    ".onnx": ("an ONNX model", _onnx),
    ".safetensors": ("a safetensors file", _safetensors),
    ".gguf": ("a GGUF file", _gguf),
    ".json": ("a JSON file", _json),
    ".ubj": ("a UBJSON file", _ubjson),
    ".txt": ("a LightGBM model", _lightgbm),
    ".csv": ("a table", _table),
    ".tsv": ("a table", _table),
    ".parquet": ("a Parquet file", _parquet),
}
