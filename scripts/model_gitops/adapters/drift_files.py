"""The JSON files that say what drifted: found by name or pattern, each bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_gitops.adapters import paths
from model_gitops.core import document
from model_gitops.errors import InputError

MOST_FILES = 1000
# Of all files together, as one is too large alone.
_LARGEST = 4 * document.LARGEST


def find(names: Sequence[str], config: str = "") -> list[tuple[str, str]]:
    """Return (name, text) of each file, in the order of `names`; those of a pattern by name.

    They are relative to `config`, a folder, or a file in one.

    A pattern that no file has is none yet. Raises InputError for a file that is not there, leads out
    of the checkout, or is too large.
    """
    folder = Path(config) if paths.is_folder(Path(config)) else Path(config).parent
    found: list[tuple[str, str]] = []
    size = 0
    for path in [path for name in names for path in _expanded(name, folder)]:
        text = _read(path)
        size += len(text)
        found.append((path.as_posix(), text))
        if len(found) > MOST_FILES or size > _LARGEST:
            raise InputError(
                f"input `file` names more than {MOST_FILES} files or {_LARGEST} bytes",
                fix="name those of the last windows only",
            )
    return found


def _expanded(name: str, folder: Path) -> list[Path]:
    if "*" not in name:
        return [folder / name]
    if name.startswith("/") or "**" in name or ".." in Path(name).parts:
        raise InputError.of(
            "file", name, "a pattern is within the checkout, and `*` stands for no folders between",
            fix="file: monitor/*.json",
        )  # fmt: skip
    try:
        return sorted(one for one in folder.glob(name) if paths.is_file(one))
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError.of("file", name, f"it is no pattern: {error}") from error


def _read(path: Path) -> str:
    name = str(path)
    try:
        if paths.leads_out(path, Path.cwd()):
            raise InputError.of("file", name, "it is a link that leads out of the checkout")
        content = paths.read_bounded(path, document.LARGEST)
    except (OSError, ValueError) as error:
        raise InputError.of(
            "file", name, f"it can't be read: {getattr(error, 'strerror', None) or error}",
            fix="let a step before this one write it; a pattern such as monitor/*.json may match nothing yet",
        ) from error  # fmt: skip
    if len(content) > document.LARGEST:
        raise InputError.of("file", name, f"the file has more than {document.LARGEST} bytes")
    return content.decode("utf-8-sig", errors="replace")
