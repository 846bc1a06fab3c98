"""How a planted secret is looked for: in every way it may be spelled, and inside what is packed."""

from __future__ import annotations

import base64
import gzip
import zlib
from urllib.parse import quote


def forms(secret: str) -> list[bytes]:
    """Return the ways in which a secret may be spelled."""
    plain = secret.encode()
    found = [plain, quote(secret, safe="").encode(), plain[::-1], plain.hex().encode()]
    for offset in range(3):
        # What comes before it in the encoded text decides how it looks.
        encoded = base64.b64encode(b"\0" * offset + plain)
        found.append(encoded[(offset * 8 + 5) // 6 : len(encoded) - 4])
    return found


def unpacked(content: bytes) -> bytes:
    """Return the content, with what gzip or git's objects hold inside."""
    for unpack in (gzip.decompress, zlib.decompress):
        try:
            return content + unpack(content)
        except (OSError, EOFError, zlib.error):
            continue
    return content
