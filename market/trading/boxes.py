"""Sealed boxes of known length: written by anybody, opened with a private key. PyNaCl only.

The contents are encrypted once under a fresh key (XChaCha20-Poly1305, bound to a context), and
that key is sealed to each reader (libsodium's sealed box on X25519). So a second reader costs
80 bytes, and all of them open the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import Aead
from nacl.utils import random

KEY_LENGTH = 32
LENGTH_MIN = 4_096
MARK = b"\x80"


class BoxBroken(Exception):
    """A box cannot be opened: it was changed, or is for another key or context."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is stored: the contents for nobody, and the key to them for each reader."""

    ciphertext: bytes
    sealed_keys: tuple[bytes, ...]


def padded(content: bytes) -> bytes:
    """Fill up to a power of two, at least :data:`LENGTH_MIN`: the length tells little."""
    length = max(LENGTH_MIN, 1 << len(content).bit_length())
    return (content + MARK).ljust(length, b"\0")


def unpadded(content: bytes) -> bytes:
    """Return what :func:`padded` filled up.

    Raises
    ------
    BoxBroken
        If it was not filled up so.
    """
    end = content.rstrip(b"\0")
    if not end.endswith(MARK):
        raise BoxBroken("the padding is not ours")
    return end[: -len(MARK)]


def box_make(content: bytes, *, context: bytes, readers: Sequence[bytes]) -> Box:
    """Seal `content` for the owners of the public keys `readers`.

    Parameters
    ----------
    context
        What the box belongs to; it opens under no other.
    readers
        X25519 public keys, 32 bytes each.
    """
    key = random(KEY_LENGTH)
    return Box(
        ciphertext=bytes(Aead(key).encrypt(padded(content), context)),
        sealed_keys=tuple(SealedBox(PublicKey(reader)).encrypt(key) for reader in readers),
    )


def box_open(ciphertext: bytes, sealed_key: bytes, *, context: bytes, private_key: bytes) -> bytes:
    """Open a box with one reader's private key.

    Raises
    ------
    BoxBroken
        Without saying which part of it was wrong.
    """
    try:
        key = SealedBox(PrivateKey(private_key)).decrypt(sealed_key)
        content = Aead(key).decrypt(ciphertext, context)
    except (CryptoError, ValueError, TypeError) as error:
        raise BoxBroken("the box does not open with this key") from error
    return unpadded(content)
