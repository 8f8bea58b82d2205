"""Bodies are read in one way only, or refused by name."""

from __future__ import annotations

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
        (b"[" * 200_000, "malformed", "20 levels"),
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
