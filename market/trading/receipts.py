"""Signed receipts: what a bidder shows to prove that a basket was accepted, and when.

Pure and short, so that a bidder can check receipts with this file, `merkle.py` and PyNaCl.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from market.trading.merkle import root_of

SCHEMA = "wattbit-receipt/1"
KEY_ID_LENGTH = 16
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def key_id_of(public_key: bytes) -> str:
    """Return the name of a public key: the first half of a hash's first half, in hexadecimal."""
    return hashlib.sha256(public_key).hexdigest()[:KEY_ID_LENGTH]


def receipt_bytes(receipt: Mapping[str, Any]) -> bytes:
    """Return what is signed: all of the receipt but its signature, keys sorted, no white space."""
    signed = {name: value for name, value in receipt.items() if name != "signature"}
    return _ENCODER.encode(signed).encode()


def receipt_sign(receipt: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return `receipt` with its signature (Ed25519, base64)."""
    return receipt_with(receipt, key.sign(receipt_bytes(receipt)).signature)


def receipt_with(receipt: Mapping[str, Any], signature: bytes) -> dict[str, Any]:
    """Return `receipt` with a signature made before."""
    return {**receipt, "signature": base64.b64encode(signature).decode()}


def signature_of(receipt: Mapping[str, Any]) -> bytes:
    """Return the signature of a signed receipt."""
    return base64.b64decode(receipt["signature"], validate=True)


def receipt_verify(public_key: bytes, receipt: Mapping[str, Any]) -> bool:
    """Tell whether a receipt is signed by `public_key` and its root is that of its leaves.

    Parameters
    ----------
    public_key
        Ed25519 public key, 32 bytes, as published.
    receipt
        As it was given, from JSON.
    """
    try:
        signature = base64.b64decode(receipt["signature"], validate=True)
        VerifyKey(public_key).verify(receipt_bytes(receipt), signature)
        leaves = [bytes.fromhex(bid["leaf"]) for bid in receipt["bids"]]
        return (
            receipt["schema"] == SCHEMA
            and receipt["leaf_count"] == len(leaves)
            and bytes.fromhex(receipt["merkle_root"]) == root_of(leaves)
        )
    except (CryptoError, KeyError, TypeError, ValueError, binascii.Error):
        return False
