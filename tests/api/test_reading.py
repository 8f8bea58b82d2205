"""Bodies are read in one way only, or refused by name."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from aggregator.api.v1.problem import Stopped
from aggregator.api.v1.reading import BODY_BYTES_MAX, read_json


def test_numbers_are_exact() -> None:
    assert read_json(b'{"a": 0.10, "b": 12, "c": "\xe5\x8d\xb0\xe8\xa5\xbf\\n"}') == {
        "a": Decimal("0.10"),
        "b": 12,
        "c": "印西\n",
    }


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (b'{"a": 1, "a": 1}', "malformed", "each key once"),
        (b'{"a": NaN}', "malformed", "NaN is none"),
        (b'{"a": -Infinity}', "malformed", "-Infinity is none"),
        (b'{"a": 1_000}', "malformed", "no JSON"),
        (b"[" * 21 + b"]" * 21, "malformed", "20 levels"),
        (b"[" * 50_000, "malformed", "20 levels"),
        (b"[" * 200_000, "too-large", "100000 values"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "malformed", "20 levels"),
        (b'["]",' * 21 + b"1" + b"]" * 21, "malformed", "20 levels"),
        (b'["\\"]",' * 21 + b"1" + b"]" * 21, "malformed", "20 levels"),
        (b"[" + b"1," * 100_000 + b"1]", "too-large", "100000 values"),
        (b"[" + b"1," * 10_000 + b"1]", "too-large", "10000 values in one list"),
        (b'{"a": [{}, [' + b'"x",' * 10_000 + b"1]]}", "too-large", "10000 values in one list"),
        (b'"' + b"'\"" * 400_000 + b'"', "malformed", "no JSON"),
        (b"1" * 5_000, "malformed", "32 characters"),
        (b'{"a": "' + b"9" * 33 + b'", "b": 1, "b": 2}', "malformed", "each key once"),
        (b'{"a": ' + b"9" * 33 + b"}", "malformed", "32 characters"),
        (b'{"a": 0.' + b"9" * 33 + b"}", "malformed", "32 characters"),
        (b'"\xff"', "malformed", "UTF-8"),
        (b'"\\u0000"', "malformed", "control characters"),
        (b'["x", {"\\ud800": 1}]', "malformed", "lone surrogates"),
        (b"", "malformed", "no JSON"),
        (b"\xef\xbb\xbf{}", "malformed", "no JSON"),
        (b'"' + b"x" * BODY_BYTES_MAX + b'"', "too-large", "bytes"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body: bytes, code: str, told: str) -> None:
    with pytest.raises(Stopped) as stopped:
        read_json(body)
    assert stopped.value.code == code
    assert told in stopped.value.detail


def test_an_exponent_costs_nothing_to_read() -> None:
    assert read_json(b"1e1000000") == Decimal("1e1000000")


def test_what_looks_like_shape_inside_strings_is_none() -> None:
    text = '[[[[[[[[[[[[[[[[[[[[[[[[[,,,,\\" {"a": 1, "a": 2}' + "9" * 40
    assert read_json(json.dumps({"a": text, "b": [text] * 3}).encode()) == {
        "a": text,
        "b": [text] * 3,
    }


def test_what_is_just_allowed_is_read() -> None:
    assert len(read_json(b"[" + b"1," * 9_999 + b"1]")) == 10_000
    assert read_json(b"[" * 20 + b"]" * 20)
    members = [{"t": t, "quantity_kw": "1.0"} for t in range(9_999)]
    assert read_json(json.dumps(members).encode()) == members
    assert read_json(b"9" * 32) == int("9" * 32)


def test_a_large_object_with_a_key_twice_is_refused_in_time() -> None:
    body = b"{" + b",".join(b'"k%d": 1' % i for i in range(90_000)) + b', "k0": 2}'
    start_s = time.perf_counter()
    with pytest.raises(Stopped, match="each key once"):
        read_json(body)
    assert time.perf_counter() - start_s < 1


def test_a_thousand_bids_are_read_nearly_as_fast_as_json_loads() -> None:
    bid = {
        "client_bid_id": "0b9cbcb2-4a5f-4f3f-9d0a-9d3e0b8f5c11", "resource": "inzai-dc-1-load",
        "mechanism": "DEFERRAL", "form": "STEPS", "direction": "UP",
        "curves": [{"first_t": 34, "last_t": 39, "steps": [
            {"quantity_kw": "3000.0", "ask_jpy_per_kwh": "9.00"},
            {"quantity_kw": "2000.0", "ask_jpy_per_kwh": "19.50"}]}],
    }  # fmt: skip
    body = json.dumps({"auction": "DA-2026-11-25", "bids": [bid] * 1_000}).encode()
    ratios = []
    for _ in range(40):
        start_s = time.perf_counter()
        json.loads(body)
        middle_s = time.perf_counter()
        read_json(body)
        ratios.append((time.perf_counter() - middle_s) / (middle_s - start_s))
    assert min(ratios) < 2
