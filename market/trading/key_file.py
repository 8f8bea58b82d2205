"""The file of private book keys: one a line, base64, the newest last. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from nacl.public import PrivateKey

from market.trading.boxes import KEY_LENGTH
from market.trading.receipts import key_id_of


class BookKeyMissing(Exception):
    """No key to open with in this process, or none to seal to."""


@dataclass(frozen=True, kw_only=True, repr=False)
class KeyPair:
    """An X25519 pair; the private half is never shown, not even by ``repr``."""

    private_key: bytes
    public_key: bytes

    @property
    def id(self) -> str:
        """The public key's name."""
        return key_id_of(self.public_key)


def key_pairs_read(path: str | None) -> list[KeyPair]:
    """Return the pairs of a key file, the newest last.

    Raises
    ------
    BookKeyMissing
        Without a path, a file that can be read, or a key in it.
    """
    if not path:
        raise BookKeyMissing("BOOK_KEY_FILE is not set: this process cannot open bids")
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BookKeyMissing(f"BOOK_KEY_FILE cannot be read: {type(error).__name__}") from error
    pairs = [_pair(line) for line in text.splitlines() if line.strip()]
    if not pairs:
        raise BookKeyMissing("BOOK_KEY_FILE holds no key")
    return pairs


def key_pair_append(path: str) -> KeyPair:
    """Make a new pair and add its line to the file; lines before it stay.

    Raises
    ------
    BookKeyMissing
        If the file cannot be written.
    """
    private = PrivateKey.generate()
    line = base64.b64encode(bytes(private)).decode() + "\n"
    try:
        with Path(path).open("a", encoding="ascii") as file:
            file.write(line)
    except OSError as error:
        raise BookKeyMissing(f"BOOK_KEY_FILE cannot be written: {error.strerror}") from error
    return KeyPair(private_key=bytes(private), public_key=bytes(private.public_key))


def _pair(line: str) -> KeyPair:
    try:
        private = base64.b64decode(line.strip(), validate=True)
    except binascii.Error as error:
        raise BookKeyMissing("BOOK_KEY_FILE holds a line that is no base64") from error
    if len(private) != KEY_LENGTH:
        raise BookKeyMissing(f"a private book key has {KEY_LENGTH} bytes")
    return KeyPair(private_key=private, public_key=bytes(PrivateKey(private).public_key))
