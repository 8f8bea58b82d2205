"""What a bidder can prove, and what a market that cheats cannot pass off on it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from accounts.parties.roles import Role
from aggregator.api.client import WattBit
from aggregator.api.client.proofs import Broken, inclusion_check, offer_check
from market.trading.merkle import leaf_hash, root_of
from tests import cast
from tests.api.conftest import AsMember

STEPS: dict[str, Any] = {
    "client_bid_id": "evening",
    "resource": "inzai-dc-1-load",
    "form": "STEPS",
    "mechanism": "DEFERRAL",
    "direction": "UP",
    "curves": [
        {
            "first_t": 34,
            "last_t": 39,
            "steps": [{"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"}],
        }
    ],
}


@pytest.mark.django_db
def test_what_was_opened_is_shown_to_its_owner_and_makes_the_leaf_of_the_receipt(
    as_member: AsMember,
) -> None:
    day = cast.open_day()
    cast.market_time(day.auction.gate_closure_at - timedelta(hours=1))
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    other = {**STEPS, "client_bid_id": "other"}
    done = owner.post(f"/api/v1/auctions/{day.auction.code}/bids", {"bids": [STEPS, other]}).json()
    (leaf, second) = (bid["leaf"] for bid in done["signed"]["bids"])
    address = f"/api/v1/bids/{done['receipts'][0]['bid_id']}/inclusion"
    assert owner.get(address).status_code == 404

    cast.book_opened(day.auction)
    proof = owner.get(address).json()
    root = owner.get(f"/api/v1/auctions/{day.auction.code}/book-root").json()["merkle_root"]
    inclusion_check(proof, leaf=leaf, root=root)
    made = b"\x00" + bytes.fromhex(proof["salt"])
    made += proof["header"].encode() + proof["content"].encode()
    assert hashlib.sha256(made).hexdigest() == leaf
    found = offer_check(proof, leaf=leaf)
    assert found["header"]["client_bid_id"] == "evening"
    assert found["header"]["auction"] == day.auction.code
    # canonical: 12.50 is written 12.5
    assert found["content"]["curves"][0]["steps"] == [
        {"ask_jpy_per_kwh": "12.5", "quantity_kw": "4000"}
    ]
    for wrong in (
        {"salt": "00" * 16},
        {"header": proof["header"].replace("evening", "morning")},
        {"content": proof["content"].replace("12.5", "1.5")},
    ):
        with pytest.raises(Broken, match="not the one of the receipt"):
            offer_check(proof | wrong, leaf=leaf)
    with pytest.raises(Broken):
        offer_check(proof, leaf=second)
    assert as_member(Role.OPERATOR_TRADER, "shiroi-dc").get(address).status_code == 404


class Cheat:
    """A market that signs receipts and answers a later call with an earlier one."""

    def __init__(self) -> None:
        self.key = SigningKey.generate()
        self.answer: dict[str, Any] = {}

    def receipt(self, auction: str, *names: str) -> dict[str, Any]:
        leaves = [leaf_hash(name.encode()) for name in names]
        public = bytes(self.key.verify_key)
        signed: dict[str, Any] = {
            "schema": "wattbit-receipt/1",
            "auction": auction,
            "organisation": "inzai-dc",
            "basket": "6f1f0b0e-8f2c-4d27-9d0a-3a1f3b6b7c11",
            "received_at": "2026-11-24T03:00:00Z",
            "key": hashlib.sha256(public).hexdigest()[:16],
            "merkle_root": root_of(leaves).hex(),
            "leaf_count": len(leaves),
            "bids": [
                {"client_bid_id": name, "version": 1, "leaf": leaf.hex()}
                for name, leaf in zip(names, leaves, strict=True)
            ],
        }
        text = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
        return signed | {"signature": base64.b64encode(self.key.sign(text).signature).decode()}

    def told(self, signed: dict[str, Any] | None, *names: str) -> dict[str, Any]:
        rows = [
            {
                "bid_id": "6f1f0b0e-8f2c-4d27-9d0a-3a1f3b6b7c11",
                "client_bid_id": name,
                "version": 1,
                "received_at": "2026-11-24T03:00:00Z",
                "leaf_sha256": leaf_hash(name.encode()).hex(),
                "basket": None,
                "is_new": True,
            }
            for name in names
        ]
        return {"receipts": rows, "signed": signed}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if request.url.path == "/api/v1/keys":
            public = bytes(self.key.verify_key)
            row = {
                "id": hashlib.sha256(public).hexdigest()[:16],
                "public_key": base64.b64encode(public).decode(),
            }
            return httpx.Response(200, json={"receipt_keys": [row], "book_keys": []})
        return httpx.Response(201, json=self.answer)


@pytest.mark.parametrize(
    ("auction", "held", "named"),
    [
        ("DA-1", ("evening",), ("evening",)),  # of yesterday's auction
        ("DA-2", ("morning",), ("evening",)),  # of another bid
        ("DA-2", ("evening", "morning"), ("evening",)),
        ("DA-2", ("morning",), ("morning",)),
        ("DA-2", (), ("evening",)),  # new, but nothing signed
    ],
)
def test_a_genuine_receipt_of_something_else_is_not_believed(
    auction: str, held: tuple[str, ...], named: tuple[str, ...]
) -> None:
    cheat = Cheat()
    inner = httpx.MockTransport(cheat)
    with WattBit("https://m", client_id="c", client_secret="s", inner=inner) as market:
        cheat.answer = cheat.told(cheat.receipt("DA-2", "evening"), "evening")
        assert market.bids_submit("DA-2", [STEPS]).signed is not None
        cheat.answer = cheat.told(cheat.receipt(auction, *held) if held else None, *named)
        with pytest.raises(Broken):
            market.bids_submit("DA-2", [STEPS])
