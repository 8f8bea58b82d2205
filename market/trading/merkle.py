"""Merkle trees of RFC 6962 and RFC 9162: one root for many leaves, short proofs of inclusion.

Pure, so that a bidder can run this file by itself. A leaf here is the *hash* of a leaf; what is
hashed into it says :mod:`market.trading.leaves`.

References
----------
RFC 6962, section 2.1 (hashes and audit paths); RFC 9162, section 2.1.3.2 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_LENGTH = 32
# One byte before what is hashed keeps a node from being passed off as a leaf.
LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ content)."""
    return hashlib.sha256(LEAF_PREFIX + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes in their order; of none the hash of nothing."""
    return _levels(leaves)[-1][0] if leaves else EMPTY_ROOT


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from leaf `index` to the root, the lowest first.

    Raises
    ------
    IndexError
        If there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    path = []
    for level in _levels(leaves)[:-1]:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        index >>= 1
    return path


def inclusion_verify(
    leaf: bytes, path: Sequence[bytes], root: bytes, *, index: int, leaf_count: int
) -> bool:
    """Tell whether `path` proves that `leaf` is number `index` of the `leaf_count` under `root`.

    Parameters
    ----------
    leaf
        Leaf hash, 32 bytes.
    path
        As :func:`path_of` returns it.
    root
        The published root, 32 bytes.
    """
    if not 0 <= index < leaf_count or len(leaf) != HASH_LENGTH:
        return False
    number, last, found = index, leaf_count - 1, leaf
    for beside in path:
        if last == 0 or len(beside) != HASH_LENGTH:
            return False
        if number % 2 or number == last:
            found = node_hash(beside, found)
            while number % 2 == 0 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        number, last = number >> 1, last >> 1
    return last == 0 and found == root


def _levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Return all levels, leaves first. The odd one out moves up as it is.

    That gives the tree of RFC 6962, which splits at the largest power of two: both pair
    neighbours from the left, and what has no neighbour joins further up.
    """
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        level = [
            node_hash(below[i], below[i + 1]) for i in range(0, len(below) - len(below) % 2, 2)
        ]
        if len(below) % 2:
            level.append(below[-1])
        levels.append(level)
    return levels
