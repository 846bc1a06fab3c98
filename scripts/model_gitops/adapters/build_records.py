"""The files by which jobs that build tell the job that deploys what they built."""

from __future__ import annotations

from pathlib import Path

from model_gitops.adapters import paths
from model_gitops.core.deploy import records
from model_gitops.errors import InputError

_LARGEST = 10_000
_MOST = 1000


def check(file: str, *, push: bool) -> None:
    """Refuse a record that can't be written, before anything is built. Raises InputError."""
    if not file:
        return
    if not push:
        raise InputError.of(
            "record", file, "with `push: false` there is no image in the registry to deploy",
            fix="push: true, or leave `record` out",
        )  # fmt: skip
    if not file.endswith(records.SUFFIX):
        raise InputError.of(
            "record", file, f"its name does not end with {records.SUFFIX}",
            fix=f"record: built/{Path(file).stem or 'model'}{records.SUFFIX}",
        )  # fmt: skip
    paths.refuse_a_way_out("record", Path(file))


def write(file: str, image: str, fingerprint: str) -> None:
    """Write what was built."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(records.text(image, fingerprint), encoding="utf-8")


def read(folder: str) -> dict[str, str]:
    """Return the records in `folder` and in its folders, file → text. Raises InputError."""
    top = Path(folder)
    if not paths.is_folder(top):
        raise InputError.of(
            "records", folder, "no such folder",
            fix="download there what the jobs that build have uploaded",
        )  # fmt: skip
    found = {}
    for path in sorted(top.rglob(f"*{records.SUFFIX}"))[:_MOST]:
        paths.refuse_a_way_out("records", path)
        content = paths.read_bounded(path, _LARGEST)
        found[str(path)] = content[:_LARGEST].decode("utf-8", errors="replace")
    return found
