"""What a version's tag records of its model's bytes, and who may say so."""

from __future__ import annotations

import pytest

from model_gitops.core.gto import records
from model_gitops.errors import RefusedError

MD5, OTHER = "1" * 32, "2" * 32
A, B = "a" * 64, "b" * 64
RECORD = f"Model-Hash: {MD5}\nModel-SHA256: {A}"


def body(message: str) -> str:
    """What git gives of a message without its first paragraph."""
    return message.partition("\n\n")[2] + "\n"


@pytest.mark.parametrize("model_hash", [MD5, f"{MD5}.dir"])
def test_what_is_written_is_read(model_hash: str) -> None:
    message = records.add("Registering artifact m version v0.0.1", model_hash, A)
    assert message == (
        f"Registering artifact m version v0.0.1\n\nModel-Hash: {model_hash}\nModel-SHA256: {A}"
    )
    assert records.read(body(message)) == (model_hash, A)


def test_without_knowledge_nothing_is_written() -> None:
    assert records.add("Words\n\nmore", MD5, "") == "Words\n\nmore"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_message_can_not_say_a_record(end: str) -> None:
    """It may be a commit's, which anybody wrote."""
    hostile = f"Words{end}{end}Model-Hash: {MD5}{end}Model-SHA256: {B}"
    assert records.read(body(records.add(hostile, MD5, ""))) is None
    assert records.read(body(records.add(hostile, MD5, A))) == (MD5, A)


def test_every_line_break_of_a_message_is_gits() -> None:
    assert records.add("\r\nWords\r\n\r\nsome\rmore\n", MD5, "") == "Words\n\nsome\nmore"


@pytest.mark.parametrize("text", [RECORD, f"Why\n\n{RECORD}\n\n", f"{RECORD}\nSigned-off-by: A"])
def test_a_record_is_the_last_paragraph(text: str) -> None:
    assert records.read(text) == (MD5, A)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"Model-SHA256: {A}",
        f"Model-Hash: {MD5}",
        f"{RECORD}\n\nMore words",
        f"{RECORD}\nModel-SHA256: {A}",
        f"{RECORD}\nModel-SHA256: {B}",
        f"{RECORD}\nModel-Hash: {OTHER}",
        f"{RECORD}\nModel-SHA256: short",
        RECORD.replace(A, A.upper()),
        RECORD.replace(A, A[1:]),
        RECORD.replace(A, A + "a"),
        RECORD.replace(A, f"{A} "),
        RECORD.replace(A, f"{A}X"),
        RECORD.replace(A, f" {A}"),
        RECORD.replace(A, f"{A[:32]}\n {A[32:]}"),
        RECORD.replace(MD5, "x" * 32),
        RECORD.replace(MD5, f"{MD5}.dirs"),
        RECORD.replace("Model-SHA256", "model-sha256"),
        RECORD.replace("\n", "\u2028"),
        f"Model-Hash: {MD5}\n\nModel-SHA256: {A}",
    ],
)
def test_anything_else_is_no_record(text: str) -> None:
    assert records.read(text) is None


def test_what_is_expected_is_what_any_version_recorded_for_this_hash() -> None:
    bodies = {
        "m@v0.0.1": RECORD,
        "m@v0.0.2": RECORD.replace(MD5, OTHER).replace(A, B),
        "x=n@v1.0.0": RECORD,
        "m@v0.0.3": "words",
    }
    assert records.expected(bodies, MD5) == records.Expected(A, "m@v0.0.1")
    assert records.expected(bodies, OTHER) == records.Expected(B, "m@v0.0.2")
    assert records.expected(bodies, "3" * 32) == records.Expected()
    assert records.expected(bodies, f"{MD5}.dir") == records.Expected()


@pytest.mark.parametrize("tag", ["m@v0.0.1!", "m@vice", "m#v@v", "@v1.0.0", "m@deprecated"])
def test_what_registers_no_version_records_nothing(tag: str) -> None:
    assert records.expected({tag: RECORD}, MD5) == records.Expected()


def test_two_versions_that_disagree_are_both_named() -> None:
    bodies = {"m@v0.0.1": RECORD, "m@v0.0.2": RECORD, "m@v0.0.3": RECORD.replace(A, B)}
    with pytest.raises(RefusedError) as refused:
        records.expected(bodies, MD5)
    assert refused.value.message == (
        f"two tags record different files with the MD5 {MD5}: m@v0.0.1 the SHA-256 {A}, and"
        f" m@v0.0.3 the SHA-256 {B}"
    )
    assert refused.value.fix == (
        "find out which file was tested (`sha256sum` where the model was trained), and delete the"
        " other tag: git push --delete origin 'm@v0.0.1' (or 'm@v0.0.3'). dvc-pull-model's input"
        " `sha256` says it for one run"
    )


@pytest.mark.parametrize(
    "wanted", [records.Expected(), records.Expected(A), records.Expected(A, "t")]
)
def test_the_right_file_passes(wanted: records.Expected) -> None:
    records.check(wanted, "it", MD5, A)


@pytest.mark.parametrize(
    ("tag", "source", "fix"),
    [
        (
            "m@v0.0.1",
            "that m@v0.0.1 recorded",
            "delete the tag: git push --delete origin 'm@v0.0.1'",
        ),
        ("", "that the input `sha256` gives", "correct `sha256`"),
    ],
)
def test_another_file_is_refused_with_both_values(tag: str, source: str, fix: str) -> None:
    with pytest.raises(RefusedError) as refused:
        records.check(records.Expected(A, tag), "what is at 'm'", MD5, B)
    assert refused.value.message == (
        f"what is at 'm' has the MD5 {MD5} and the SHA-256 {B}, and not the SHA-256 {A} {source}:"
        " it is another file with the same MD5"
    )
    assert refused.value.fix == (
        "find out which file was tested (`sha256sum` where the model was trained). If it is the"
        " other one, delete this file where it lies: DVC replaces no object of the same MD5. If it"
        f" is this one, {fix}"
    )
