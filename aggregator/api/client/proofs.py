"""Check what the market signed and published, without asking it.

Written from ``docs/algorithms/sealing.md`` alone; nothing here is shared with the platform.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey


class Broken(Exception):
    """A proof does not hold; the message says where it breaks."""


def receipt_check(receipt: Mapping[str, Any], public_key: bytes) -> None:
    """Check a signed receipt.

    Parameters
    ----------
    receipt
        As it was given.
    public_key
        Ed25519, 32 bytes: the one that ``/keys`` lists under the receipt's `key`.

    Raises
    ------
    Broken
        If the key is another one, the signature is wrong, or the root is not that of the leaves.
    """
    if hashlib.sha256(public_key).hexdigest()[:16] != receipt.get("key"):
        raise Broken("the receipt names another key")
    signed = {name: value for name, value in receipt.items() if name != "signature"}
    message = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
    try:
        VerifyKey(public_key).verify(message, base64.b64decode(str(receipt["signature"])))
    except (CryptoError, ValueError, KeyError) as error:
        raise Broken("the signature is not the market's") from error
    leaves = [bytes.fromhex(bid["leaf"]) for bid in receipt["bids"]]
    if _root(leaves).hex() != receipt["merkle_root"]:
        raise Broken("the root is not that of the leaves")


def inclusion_check(proof: Mapping[str, Any], *, leaf: str, root: str) -> None:
    """Check that a leaf of a receipt is in the book whose root was published.

    Parameters
    ----------
    proof
        As ``/bids/<id>/inclusion`` gives it.
    leaf
        Of the receipt, hexadecimal.
    root
        As published for the auction, hexadecimal.

    Raises
    ------
    Broken
        If it speaks of another leaf or root, or its path does not lead there.
    """
    if proof["leaf"] != leaf or proof["merkle_root"] != root:
        raise Broken("the proof is of another leaf or another book")
    beside = [bytes.fromhex(text) for text in proof["path"]]
    found = _climbed(bytes.fromhex(leaf), int(proof["index"]), int(proof["leaf_count"]), beside)
    if found.hex() != root:
        raise Broken("the path does not lead to the root")


def offer_check(proof: Mapping[str, Any], *, leaf: str) -> Mapping[str, Any]:
    """Return what was opened as the offer behind a leaf of a receipt.

    Parameters
    ----------
    proof
        As ``/bids/<id>/inclusion`` gives it once the book is opened.
    leaf
        Of the receipt, hexadecimal.

    Returns
    -------
    Mapping
        ``header`` (auction, bidder, bid and version) and ``content`` (the offer).

    Raises
    ------
    Broken
        If the book is not opened yet, or what it holds is not what the receipt commits to.
    """
    salt, header, content = (proof.get(name) for name in ("salt", "header", "content"))
    if not (isinstance(salt, str) and isinstance(header, str) and isinstance(content, str)):
        raise Broken("the book is not opened")
    made = hashlib.sha256(b"\x00" + bytes.fromhex(salt) + header.encode() + content.encode())
    if made.hexdigest() != leaf:
        raise Broken("the opened offer is not the one of the receipt")
    return {"header": json.loads(header), "content": json.loads(content)}


def _climbed(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a path leads to (RFC 9162, section 2.1.3.2)."""
    hashes = list(path)
    found, last = leaf, count - 1
    if not 0 <= index < count:
        raise Broken("the place is not in the book")
    while last > 0:
        has_neighbour = index % 2 == 1 or index < last
        if has_neighbour:
            if not hashes:
                raise Broken("the path is too short")
            beside = hashes.pop(0)
            found = _node(beside, found) if index % 2 else _node(found, beside)
        index, last = index // 2, last // 2
    if hashes:
        raise Broken("the path is too long")
    return found


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return _node(_root(leaves[:half]), _root(leaves[half:]))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
