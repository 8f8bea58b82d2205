"""The chain of the audit trail: what is hashed, in which order, and what a checkpoint signs.

Every entry is a link whose SHA-256 covers the link before it and the entry's canonical bytes, so
that nothing before a known link can change unseen. A checkpoint is the signed statement "so many
links, and the last one is this". Any reader can redo both with SHA-256 and Ed25519 alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final = "wattbit-audit-checkpoint/1"
GENESIS: Final = bytes(32)  # stands before the first link


def entry_bytes(row: tuple[Any, ...]) -> bytes:
    """Return the canonical bytes of an entry.

    Parameters
    ----------
    row
        id, market time [µs since 1970], action, organisation, user, actor, subject, transaction
        id, and detail as PostgreSQL prints its ``jsonb``: plain values and texts, in this order.

    Returns
    -------
    bytes
        A JSON array without spaces, in UTF-8.
    """
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def link_sha256(previous: bytes, content: bytes) -> bytes:
    """Return the digest of a link: SHA-256 of the digest before it, then of the entry."""
    return hashlib.sha256(previous + content).digest()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A signed statement about the chain.

    Parameters
    ----------
    number
        Dense, from 1.
    last_link
        Number of the last link that it covers; links are dense from 1.
    count
        Links since the checkpoint before.
    sha256
        Digest of the last link, 64 hexadecimal digits.
    sealed_at
        When, by the database's clock: RFC 3339, UTC.
    public_key
        Ed25519 key that signs, 64 hexadecimal digits.
    signature
        Over :meth:`statement`, 128 hexadecimal digits.
    """

    number: int
    last_link: int
    count: int
    sha256: str
    sealed_at: str
    public_key: str
    signature: str = ""

    def statement(self) -> bytes:
        """Return the bytes that are signed: all of it but the signature."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "number": self.number,
                "last_link": self.last_link,
                "count": self.count,
                "sha256": self.sha256,
                "sealed_at": self.sealed_at,
                "public_key": self.public_key,
            },
            sort_keys=True,
            separators=(",", ":"),
        ).encode()

    def as_json(self) -> dict[str, Any]:
        """Return it as published: what is signed, and the signature."""
        return {**json.loads(self.statement()), "signature": self.signature}


def checkpoint_from_json(document: Any) -> Checkpoint:
    """Read a published checkpoint.

    Raises
    ------
    ValueError
        If it is none.
    """
    numbers = ("number", "last_link", "count")
    texts = ("sha256", "sealed_at", "public_key", "signature")
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ValueError(f"not a checkpoint of {SCHEMA}")
    if not all(type(document.get(name)) is int for name in numbers):
        raise ValueError(f"{', '.join(numbers)} must be whole numbers")
    if not all(isinstance(document.get(name), str) for name in texts):
        raise ValueError(f"{', '.join(texts)} must be texts")
    return Checkpoint(**{name: document[name] for name in (*numbers, *texts)})
