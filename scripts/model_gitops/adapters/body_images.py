"""The pictures that a project's own Markdown shows, taken from the files that it names."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from model_gitops.adapters import paths
from model_gitops.adapters.plots import LARGEST_PICTURE, NotShown, save
from model_gitops.core.report import images
from model_gitops.core.report.images import Body, Image
from model_gitops.core.report.pictures import Picture

MOST_IMAGES = 100
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Shown:
    """A body whose pictures are at hand, and why others are not shown."""

    body: Body
    pictures: Sequence[Picture] = ()
    problems: Sequence[str] = ()


def collect(markdown: str, folder: Path, assets: Path) -> Shown:
    """Save the pictures that `markdown`, a file in `folder`, names into `assets`.

    Paths are relative to `folder` or to the working directory, and must be inside of one of them.
    What is on a server stays as it is.
    """
    text = images.plain(markdown)
    try:
        found = [one for one in images.find(text) if not images.is_elsewhere(one.address)]
    except RecursionError:
        return Shown(Body(text), problems=["the body is nested too deep to look for its images"])
    placed: list[tuple[Image, Picture | None]] = []
    known: dict[str, Picture | str] = {}
    for image in found:
        if image.address not in known:
            known[image.address] = _take(image, folder, assets, taken=len(known))
        picture = known[image.address]
        placed.append((image, picture if isinstance(picture, Picture) else None))
    problems = [
        f"the image {_name(address)!r} of the body is not shown: {why}"
        for address, why in known.items()
        if isinstance(why, str)
    ]
    if len(problems) > _MOST_PROBLEMS:
        more = len(problems) - _MOST_PROBLEMS
        problems[_MOST_PROBLEMS:] = [f"{more} more images of the body are not shown"]
    pictures = [one for one in known.values() if isinstance(one, Picture)]
    return Shown(Body(text, placed), pictures, problems)


def _take(image: Image, folder: Path, assets: Path, *, taken: int) -> Picture | str:
    """Return the picture, or why it is not shown."""
    if taken >= MOST_IMAGES:
        return f"{MOST_IMAGES} images are shown"
    if image.tag in ("video", "audio"):
        return f"a comment plays no {image.tag}"
    try:
        return save(_name(image.address), _read(image.address, folder), assets)
    except NotShown as why:
        return str(why)
    except OSError as error:
        return f"the file can't be read: {error.strerror}"


def _read(address: str, folder: Path) -> bytes:
    scheme = re.match(r"([a-z][a-z0-9+.-]*):", address, re.IGNORECASE)
    kind = scheme[1].lower() if scheme else ""
    if kind == "data":
        return _data(address)
    if kind == "file":
        address = re.sub(r"^file:(//(localhost)?(?=/))?", "", address, flags=re.IGNORECASE)
    if not address or address.startswith("#"):
        raise NotShown("it has no address")
    outside = False
    for file in _places(address, folder):
        allowed = any(paths.is_inside(file, top) for top in (folder, Path.cwd()))
        if allowed and paths.is_file(file):
            return paths.read_bounded(file, LARGEST_PICTURE)
        outside = outside or not allowed
    if kind not in ("", "file"):
        raise NotShown(f"no server has it: its address begins with `{kind}:`")
    if outside:
        raise NotShown("it is neither in the body's folder nor in the working directory")
    raise NotShown(
        "there is no such file; if DVC tracks it, run `dvc pull` in a step before this one"
    )


def _places(address: str, folder: Path) -> Iterator[Path]:
    """Yield the files that an address may mean: as it is written, decoded, without `?` and `#`."""
    written = dict.fromkeys([address, re.split(r"[?#]", address)[0]])
    for name in dict.fromkeys(one for text in written for one in (unquote(text), text)):
        if "\0" in name:
            continue
        for top in (folder, Path.cwd()):
            yield top / name
            if name.startswith("/"):
                yield top / name.lstrip("/")


def _data(address: str) -> bytes:
    kind, comma, data = address.partition(",")
    try:
        if not kind.lower().endswith(";base64"):
            content = unquote_to_bytes(data)
        else:
            content = base64.b64decode(re.sub(r"\s", "", unquote(data)), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not comma or not content:
        raise NotShown("its data can't be decoded")
    return content


def _name(address: str) -> str:
    return address if len(address) <= 80 else f"{address[:60]}…"
