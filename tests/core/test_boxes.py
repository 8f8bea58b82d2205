"""Boxes open for their readers only, tell little by their length; receipts cannot be bent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from market.trading.boxes import BoxBroken, box_make, box_open, padded, unpadded
from market.trading.content_reading import InvalidBid
from market.trading.contents import content_bytes, content_canonical
from market.trading.key_file import BookKeyMissing, key_pair_append, key_pairs_read
from market.trading.leaves import Leaf, LeafBroken, bid_header, leaves_bytes, leaves_read
from market.trading.merkle import inclusion_verify, leaf_hash, node_hash, root_of
from market.trading.receipts import SCHEMA, key_id_of, receipt_sign, receipt_verify
from tests.architecture.repository import ROOT

BOOK, OWNER, RIVAL = (PrivateKey(bytes([number]) * 32) for number in (1, 2, 3))
SIGNER = SigningKey(bytes(range(32)))


def _public(key: PrivateKey) -> bytes:
    return bytes(key.public_key)


def test_each_reader_opens_the_same_and_nobody_else_anything() -> None:
    box = box_make(b"21.00", context=b"one", readers=[_public(BOOK), _public(OWNER)])
    for key, sealed in zip((BOOK, OWNER), box.sealed_keys, strict=True):
        opened = box_open(box.ciphertext, sealed, context=b"one", private_key=bytes(key))
        assert opened == b"21.00"
    assert b"21.00" not in box.ciphertext
    bent = box.ciphertext[:-1] + bytes([box.ciphertext[-1] ^ 1])
    for key, context, sealed, ciphertext in (
        (RIVAL, b"one", box.sealed_keys[0], box.ciphertext),
        (BOOK, b"two", box.sealed_keys[0], box.ciphertext),
        (BOOK, b"one", box.sealed_keys[1], box.ciphertext),
        (BOOK, b"one", box.sealed_keys[0], bent),
        (BOOK, b"one", b"", box.ciphertext),
    ):
        with pytest.raises(BoxBroken):
            box_open(ciphertext, sealed, context=context, private_key=bytes(key))


@pytest.mark.parametrize(
    ("length", "padded_length"),
    # one byte marks the end, so 4,095 bytes are the most of the first class
    [(0, 4_096), (1, 4_096), (4_095, 4_096), (4_096, 8_192), (8_191, 8_192), (8_192, 16_384)],
)
def test_lengths_are_powers_of_two(length: int, padded_length: int) -> None:
    content = b"\0" * length
    assert len(padded(content)) == padded_length
    assert unpadded(padded(content)) == content


def test_the_number_of_steps_does_not_show() -> None:
    lengths = set()
    for count in range(1, 21):
        steps = [{"quantity_kw": "1234.5", "ask_jpy_per_kwh": f"{n}.25"} for n in range(count)]
        offer = {"direction": "UP", "curves": [{"first_t": 0, "last_t": 47, "steps": steps}]}
        content = content_bytes(content_canonical("STEPS", offer, field="bid"))
        leaf = Leaf(salt=bytes(16), header=b"{}", content=content)
        box = box_make(leaves_bytes([leaf]), context=b"", readers=[_public(BOOK)])
        lengths.add(len(box.ciphertext))
    # nonce and tag are 24 and 16 bytes
    assert lengths == {4_096 + 40}


def test_what_was_not_padded_by_us_is_refused() -> None:
    for content in (b"", b"\0", b"text"):
        with pytest.raises(BoxBroken):
            unpadded(content)


def test_leaves_are_read_back_byte_for_byte() -> None:
    leaves = [
        Leaf(salt=bytes([n]) * 16, header=b'{"version":1}', content=b'{"a":"b"}') for n in range(3)
    ]
    assert leaves_read(leaves_bytes(leaves)) == leaves
    for broken in (b"00\n{}", b"xy\n{}\n{}", b"00\n{}\n{}\n"):
        with pytest.raises(LeafBroken):
            leaves_read(broken)


def test_a_leaf_is_salted_and_bound_to_its_bid() -> None:
    leaf = Leaf(salt=bytes(16), header=b"{}", content=b"[]")
    assert leaf.hash == leaf_hash(bytes(16) + b"{}" + b"[]")
    assert leaf.hash != Leaf(salt=bytes([1]) * 16, header=b"{}", content=b"[]").hash


@pytest.mark.parametrize("workload_class", [None, '推論 "急"'])
def test_the_header_is_canonical_json(workload_class: str | None) -> None:
    facts: dict[str, Any] = {
        "auction": "DA-2026-11-25",
        "organisation": "inzai",
        "client_bid_id": '夜間\\"1"',
        "version": 2,
        "form": "STEPS",
        "mechanism": "DEFERRAL",
        "subject": "inzai-dc-1-load",
        "workload_class": workload_class,
    }
    kept = {name: value for name, value in facts.items() if value is not None}
    expected = json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()
    assert bid_header(**facts) == expected


def test_the_commonest_form_is_written_as_the_others_are() -> None:
    steps = [
        {"quantity_kw": "0.5", "ask_jpy_per_kwh": "-3.25"},
        {"quantity_kw": "7", "ask_jpy_per_kwh": "9"},
    ]
    offer = {
        "direction": "DOWN",
        "curves": [
            {"first_t": 3, "last_t": 3, "steps": steps},
            {"first_t": 4, "last_t": 47, "steps": steps[:1]},
        ],
    }
    content = content_canonical("STEPS", offer, field="bid")
    expected = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert content_bytes(content) == expected
    with pytest.raises(InvalidBid):
        content_canonical("STEPS", {**offer, "direction": '"'}, field="bid")


def _receipt() -> dict[str, Any]:
    leaves = [leaf_hash(bytes([number])) for number in range(3)]
    return receipt_sign(
        {
            "schema": SCHEMA,
            "auction": "DA-2026-11-25",
            "organisation": "inzai",
            "basket": "00000000-0000-4000-8000-000000000000",
            "received_at": "2026-11-24T00:30:00.000001Z",
            "key": key_id_of(bytes(SIGNER.verify_key)),
            "merkle_root": root_of(leaves).hex(),
            "leaf_count": 3,
            "bids": [
                {"client_bid_id": f"b{number}", "version": 1, "leaf": leaf.hex()}
                for number, leaf in enumerate(leaves)
            ],
        },
        SIGNER,
    )


def test_a_receipt_is_checked_with_the_public_key_alone() -> None:
    receipt = json.loads(json.dumps(_receipt()))
    assert receipt_verify(bytes(SIGNER.verify_key), receipt)
    assert not receipt_verify(bytes(SigningKey(bytes(32)).verify_key), receipt)


@pytest.mark.parametrize(
    "change",
    [
        {"received_at": "2026-11-23T00:30:00.000001Z"},
        {"organisation": "shiroi"},
        {"bids": []},
        {"leaf_count": 2},
        {"signature": ""},
        {"signature": "no base64"},
        {"signature": None},
        {"more": 1},
    ],
)
def test_a_receipt_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    assert not receipt_verify(bytes(SIGNER.verify_key), {**_receipt(), **change})


def test_a_signed_receipt_with_another_root_is_refused() -> None:
    body = {name: value for name, value in _receipt().items() if name != "signature"}
    wrong = receipt_sign({**body, "merkle_root": "00" * 32}, SIGNER)
    assert not receipt_verify(bytes(SIGNER.verify_key), wrong)
    unknown = receipt_sign({**body, "schema": "wattbit-receipt/2"}, SIGNER)
    assert not receipt_verify(bytes(SIGNER.verify_key), unknown)


def test_a_key_file_grows_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "book_key"
    first = key_pair_append(str(path))
    second = key_pair_append(str(path))
    pairs = key_pairs_read(str(path))
    assert [pair.private_key for pair in pairs] == [first.private_key, second.private_key]
    assert pairs[1].public_key == bytes(PrivateKey(second.private_key).public_key)
    assert first.private_key.hex() not in repr(first)
    assert repr(first.private_key) not in repr(first)


@pytest.mark.parametrize("text", ["", "\n", "no base64!\n", "AAAA\n", "鍵\n"])
def test_a_key_file_without_keys_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "book_key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BookKeyMissing) as missing:
        key_pairs_read(str(path))
    assert not text.strip() or text.strip() not in str(missing.value)


@pytest.mark.parametrize("path", [None, "", "nowhere/book_key"])
def test_a_process_without_a_key_file_says_so(path: str | None) -> None:
    with pytest.raises(BookKeyMissing):
        key_pairs_read(path)
    with pytest.raises(BookKeyMissing):
        key_pair_append(path or "nowhere/book_key")


def test_the_worked_example_of_the_page_is_what_comes_out() -> None:
    page = (ROOT / "docs" / "algorithms" / "sealing.md").read_text(encoding="utf-8")
    example = page.split("## Worked example")[1]
    header, content = re.findall(r"^\{.*\}$", example, flags=re.MULTILINE)
    salt = bytes(range(16))
    assert f"`{salt.hex()}`" in example
    assert header.encode() == bid_header(
        auction="DA-2026-11-25",
        organisation="inzai",
        client_bid_id="evening",
        version=1,
        form="STEPS",
        mechanism="DEFERRAL",
        subject="inzai-dc-1-load",
        workload_class=None,
    )
    step = {"quantity_kw": "4000.0", "ask_jpy_per_kwh": "12.50"}
    offer = {"direction": "UP", "curves": [{"first_t": 34, "last_t": 39, "steps": [step]}]}
    assert content.encode() == content_bytes(content_canonical("STEPS", offer, field="bid"))
    ours = Leaf(salt=salt, header=header.encode(), content=content.encode()).hash
    shown = re.findall(r"^\| (.+?) \| `([0-9a-f]{64})` \|$", example, flags=re.MULTILINE)
    hashes = {name: bytes.fromhex(text) for name, text in shown}
    second, third = (leaf_hash(bytes([number])) for number in (1, 2))
    assert hashes == {
        "our leaf": ours,
        "second leaf": second,
        "third leaf": third,
        "root": node_hash(node_hash(ours, second), third),
    }
    assert ours < second < third
    root = hashes["root"]
    assert inclusion_verify(ours, [second, third], root, index=0, leaf_count=3)
