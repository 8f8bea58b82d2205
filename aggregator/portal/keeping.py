"""Texts at rest: encrypted under a key of this site, read by this site's pages only."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from django.conf import settings
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

_PURPOSE: Final = b"wattbit drafts"  # at most 16 bytes: BLAKE2b's personalisation


def sealed(content: Any) -> bytes:
    """Encrypt what JSON can say."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return bytes(_box(settings.SECRET_KEY).encrypt(text.encode()))


def opened(box: bytes | memoryview) -> Any:
    """Decrypt; None if it was sealed under a key that is not known here any more."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return json.loads(_box(key).decrypt(bytes(box)))
        except CryptoError:
            continue
    return None


def _box(key: str | bytes) -> SecretBox:
    text = key.encode() if isinstance(key, str) else key
    derived = hashlib.blake2b(text, digest_size=SecretBox.KEY_SIZE, person=_PURPOSE)
    return SecretBox(derived.digest())
