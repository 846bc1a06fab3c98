"""The signature of a JSON POST, as Standard Webhooks has it.

The message's id, a time stamp and the body are signed with HMAC-SHA-256, so that a receiver knows who
sent it, that nothing was changed, and that it is no old one sent again:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64
MAKE_ONE = 'echo "whsec_$(openssl rand -base64 32)"'


def key_of(secret: str) -> bytes | None:
    """Return the key that `whsec_` and base64 hold; None where it is none of 24 to 64 bytes."""
    secret = secret.strip()
    if not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if _FEWEST_BYTES <= len(key) <= _MOST_BYTES else None


def headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign `body` as sent at `timestamp`, in Unix seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
