"""Secrets of subscriptions: made here, kept encrypted, and signed with.

The signature follows Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature``, an HMAC-SHA256 over ``id.timestamp.body``; while a secret is being replaced
the header carries one signature by each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from django.conf import settings
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from accounts.core.errors import BrokenInvariant

PREFIX: Final = "whsec_"
SECRET_BYTES_COUNT: Final = 32
_PURPOSE: Final = b"wattbit webhook"  # at most 16 bytes: BLAKE2b's personalisation


def secret_make() -> str:
    """Return a new secret as its owner is shown it, once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES_COUNT)).decode()


def secret_seal(secret: str) -> bytes:
    """Encrypt a secret under a key derived from this site's ``SECRET_KEY``."""
    return bytes(_box(settings.SECRET_KEY).encrypt(secret.encode()))


def secret_open(sealed: bytes | memoryview) -> str:
    """Decrypt a secret, also one sealed under an earlier ``SECRET_KEY`` (``…_FALLBACKS``)."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _box(key).decrypt(bytes(sealed)).decode()
        except CryptoError:
            continue
    raise BrokenInvariant("a webhook's secret was sealed under a SECRET_KEY that is not known here")


def headers_of(
    *, message_id: str, timestamp_s: int, body: bytes, under: Iterable[str]
) -> Mapping[str, str]:
    """Return the three headers of Standard Webhooks, one signature per secret."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in under),
    }


def _signature(secret: str, signed: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise BrokenInvariant("a webhook's secret is not what was made here") from error
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _box(key: str | bytes) -> SecretBox:
    text = key.encode() if isinstance(key, str) else key
    derived = hashlib.blake2b(text, digest_size=SecretBox.KEY_SIZE, person=_PURPOSE)
    return SecretBox(derived.digest())
