"""A bid as a leaf: salted, so that nobody finds price and quantity by trying; bound to its header.

The plain text of a basket is three lines for each bid: the salt in hexadecimal, the header and
the canonical contents (both JSON, sorted keys, no white space, ASCII). A leaf hash is
``SHA-256(0x00 ‖ salt ‖ header ‖ contents)``, the leaf hash of RFC 6962. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from market.trading.merkle import leaf_hash

SALT_LENGTH = 16
_quoted = json.encoder.encode_basestring_ascii


class LeafBroken(Exception):
    """The plain text of a basket is not laid out as it should be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """One bid of a basket, byte for byte as it was hashed."""

    salt: bytes
    header: bytes
    content: bytes

    @property
    def hash(self) -> bytes:
        """The leaf hash, which is the bid's commitment."""
        return leaf_hash(self.salt + self.header + self.content)


def bid_header(
    *,
    auction: str,
    organisation: str,
    client_bid_id: str,
    version: int,
    form: str,
    mechanism: str,
    subject: str,
    workload_class: str | None,
) -> bytes:
    """Return what binds an offer to its bid: codes and names, as the bidder knows them.

    `subject` is the code of the resource, portfolio or place; a workload class is left out where
    there is none.
    """
    # written out by hand, as a thousand of them are made while the gate is held
    last = "" if workload_class is None else f',"workload_class":{_quoted(workload_class)}'
    return (
        f'{{"auction":{_quoted(auction)},"client_bid_id":{_quoted(client_bid_id)},'
        f'"form":{_quoted(form)},"mechanism":{_quoted(mechanism)},'
        f'"organisation":{_quoted(organisation)},"subject":{_quoted(subject)},'
        f'"version":{version}{last}}}'
    ).encode()


def leaves_bytes(leaves: Sequence[Leaf]) -> bytes:
    """Return the plain text of a basket."""
    lines: list[bytes] = []
    for leaf in leaves:
        lines += (leaf.salt.hex().encode(), leaf.header, leaf.content)
    return b"\n".join(lines)


def leaves_read(plain: bytes) -> list[Leaf]:
    """Take the plain text of a basket apart.

    Raises
    ------
    LeafBroken
        If it is not what :func:`leaves_bytes` wrote.
    """
    lines = plain.split(b"\n")
    if len(lines) % 3:
        raise LeafBroken("lines do not come in threes")
    try:
        return [
            Leaf(salt=bytes.fromhex(lines[i].decode()), header=lines[i + 1], content=lines[i + 2])
            for i in range(0, len(lines), 3)
        ]
    except ValueError as error:
        raise LeafBroken("a salt is not hexadecimal") from error
