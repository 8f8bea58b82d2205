"""What no door may swallow: numbers, times, encodings, sizes, nestings and bombs.

Each wrong value is put into each field of a body that would be accepted. The answer names a code
within a second, nothing is stored, and memory does not grow with what was sent.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import time
import tracemalloc
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.parties.roles import Role
from aggregator.metering.services import meter_register
from tests import cast, cast_places
from tests.api.conftest import DoorClient

ANSWER_S = 1.0
# a body of the largest size, and its parts while they are joined
PEAK_BYTES = 34_000_000
POINT = f"03{101:020d}"

# as they stand in JSON; what a field may be given nevertheless, its door says below
NOT_NUMBERS = {
    "nan": "NaN", "infinity": "Infinity", "minus infinity": "-Infinity", "large": "1e308",
    "too large": "1e400", "tiny": "1e-320", "long exponent": "1e1000000", "underscore": "1_000",
    "underscore text": '"1_000"', "full width": "１２", "full width text": '"１２"',
    "arabic text": '"١٢"', "true": "true", "30 digits": "9" * 30, "5000 digits": "9" * 5_000,
    "5000 digits text": f'"{"9" * 5_000}"', "nan text": '"NaN"', "infinity text": '"Infinity"',
    "exponent text": '"1e400"', "long exponent text": '"1e1000000"', "hexadecimal": '"0x10"',
    "leading zero": "01", "plus": "+1", "dot": ".5", "comma text": '"1,5"', "space text": '"1 5"',
    "blank": '""', "null text": '"null"', "list": "[1]", "object": '{"value": 1}',
    "control": '"1\\u0000"', "surrogate": '"\\ud800"',
}  # fmt: skip
NEGATIVE = {"minus one": "-1", "minus one text": '"-1"', "minus tiny": '"-0.000001"'}
NOT_TIMES = {
    "no offset": '"2026-11-25T00:00:00"', "a day": '"2026-11-25"',
    "year 1": '"0001-01-01T00:00:00Z"', "year 9999": '"9999-12-31T23:59:59Z"',
    "year 10000": '"10000-01-01T00:00:00Z"', "leap second": '"2026-06-30T23:59:60Z"',
    "no day": '"2026-02-30T00:00:00Z"', "odd offset": '"2026-11-25T00:00:00+14:59"',
    "wide offset": '"2026-11-25T00:00:00+99:00"', "number": "1764000000", "text": '"now"',
    "full width": '"２０２６-11-25T00:00:00Z"', "true": "true", "null": "null", "blank": '""',
    "list": "[]", "nul": '"2026-11-25T00:00:00Z\\u0000"',
}  # fmt: skip
NOT_NAMES = {
    "null": "null", "number": "1", "true": "true", "list": "[]", "object": "{}", "blank": '""',
    "nul": '"a\\u0000"', "surrogate": '"\\udfff"', "long": json.dumps("x" * 5_000),
    "delete": '"\\u007f"', "unknown": '"no-such-thing-anywhere"',
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A door, who knocks, a body it accepts, and which of its fields are what."""

    name: str
    who: str
    path: str
    body: dict[str, Any]
    numbers: dict[str, tuple[Any, ...]]
    signed: tuple[str, ...] = ()
    times: tuple[tuple[Any, ...], ...] = ()
    names: tuple[tuple[Any, ...], ...] = ()


HALF_HOURS = ["0"] * 34 + ["12000"] * 6 + ["0"] * 8
TARGETS = (
    Target(
        name="bids",
        who="inzai",
        path="/api/v1/auctions/{auction}/bids",
        body={
            "client_bid_id": "evening", "resource": "inzai-dc-1-load", "form": "STEPS",
            "mechanism": "DEFERRAL", "direction": "UP",
            "curves": [{"first_t": 34, "last_t": 39,
                        "steps": [{"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"}]}],
        },
        numbers={
            "quantity": ("curves", 0, "steps", 0, "quantity_kw"),
            "ask": ("curves", 0, "steps", 0, "ask_jpy_per_kwh"),
            "first": ("curves", 0, "first_t"),
            "last": ("curves", 0, "last_t"),
        },
        signed=("ask",),  # who is paid for using power may ask less than nothing
        names=(("resource",), ("form",), ("mechanism",), ("direction",)),
    ),
    Target(
        name="needs",
        who="grid_t",
        path="/api/v1/auctions/{auction}/needs",
        body={
            "code": "inzai-line-up", "kind": "LOCAL", "direction": "UP",
            "congestion_point": "inzai-line", "flow_sign": 1, "quantity_kw": HALF_HOURS,
            "cap_jpy_per_kwh": ["180"] * 48,
        },
        numbers={
            "quantity": ("quantity_kw", 36),
            "cap": ("cap_jpy_per_kwh", 36),
            "sign": ("flow_sign",),
        },
        signed=("sign",),
        names=(("code",), ("kind",), ("direction",), ("congestion_point",)),
    ),
    Target(
        name="readings",
        who="inzai",
        path="/api/v1/readings",
        body={"series": [{"point_number": POINT, "start_at": "2026-11-24T00:00:00+09:00",
                          "energy_kwh": ["1.5", "2"]}]},
        numbers={"energy": ("series", 0, "energy_kwh", 1)},
        signed=("energy",),
        times=(("series", 0, "start_at"),),
        names=(("series", 0, "point_number"),),
    ),
)  # fmt: skip
BY_NAME = {target.name: target for target in TARGETS}


class Stage:
    """An hour before the gate; the meter has been read since yesterday."""

    def __init__(self) -> None:
        self.places = cast.places()
        self.auction = cast.auction(self.places)
        cast.market_time(self.auction.gate_closure_at - timedelta(hours=1))
        cast.base_flows(self.places, self.auction)
        meter_register(point_number=POINT, resource=self.places.resources["inzai-load"])
        self.clients = {
            "inzai": self._client("inzai-dc", Role.OPERATOR_TRADER),
            "grid_t": self._client("grid-t", Role.GRID_PLANNER),
        }
        # what is imported and read once is not counted as time of the first answer
        for target in TARGETS:
            self.send(target, b"{}")

    def _client(self, code: str, role: str) -> DoorClient:
        client = DoorClient(raise_request_exception=False)
        organisation = cast.organisation(code, "", "", "")
        client.force_login(cast_places.member(f"{role}-at-{code}", organisation, role))
        return client

    def send(
        self, target: Target, body: bytes, content_type: str = "application/json", **headers: str
    ) -> tuple[Any, int]:
        """Send raw bytes; return the answer and how many rows it left."""
        sent = {"Idempotency-Key": str(uuid.uuid4()), **headers}
        with transaction.atomic():
            before = _rows()
            answer = self.clients[target.who].generic(
                "POST",
                target.path.format(auction=self.auction.code),
                body,
                content_type=content_type,
                headers=sent,
            )
            left = _rows() - before
            transaction.set_rollback(True)
        return answer, left


TABLES = (
    "trading_bid", "trading_need", "metering_intervalreading", "api_idempotentanswer",
    "audit_auditentry", "jobs_job",
)  # fmt: skip


def _rows() -> int:
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        return int(cursor.fetchone()[0])


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield Stage()
        transaction.set_rollback(True)


def _with(target: Target, at: tuple[Any, ...], token: str) -> bytes:
    """Return the body with one value replaced by a text that need not be JSON."""
    body = json.loads(json.dumps(target.body))
    part = body
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = "@here@"
    return json.dumps(body).replace('"@here@"', token).encode("utf-8", "surrogatepass")


def _refused(
    stage: Stage,
    target: Target,
    body: bytes,
    content_type: str = "application/json",
    **headers: str,
) -> dict[str, Any]:
    start_s = time.thread_time()
    answer, left = stage.send(target, body, content_type, **headers)
    took_s = time.thread_time() - start_s
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.content[:300])
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", problem["code"])
    assert left == 0
    assert took_s < ANSWER_S
    return problem


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_body_itself_is_accepted(stage: Stage, target: Target) -> None:
    answer, left = stage.send(target, json.dumps(target.body).encode())
    assert answer.status_code == 201, answer.content
    assert left > 0


NUMBERS = [
    (target.name, name, kind, token)
    for target in TARGETS
    for name in target.numbers
    for kind, token in (NOT_NUMBERS | ({} if name in target.signed else NEGATIVE)).items()
]


@pytest.mark.parametrize(
    ("name", "field", "kind", "token"), NUMBERS, ids=[" ".join(row[:3]) for row in NUMBERS]
)
def test_what_is_no_number_is_refused(
    stage: Stage, name: str, field: str, kind: str, token: str
) -> None:
    target = BY_NAME[name]
    _refused(stage, target, _with(target, target.numbers[field], token))


TIMES = [
    (target.name, at, kind, token)
    for target in TARGETS
    for at in target.times
    for kind, token in NOT_TIMES.items()
]


@pytest.mark.parametrize(
    ("name", "at", "kind", "token"), TIMES, ids=[f"{row[0]} {row[2]}" for row in TIMES]
)
def test_what_is_no_time_is_refused(
    stage: Stage, name: str, at: tuple[Any, ...], kind: str, token: str
) -> None:
    target = BY_NAME[name]
    _refused(stage, target, _with(target, at, token))


NAMES = [
    (target.name, at, kind, token)
    for target in TARGETS
    for at in target.names
    for kind, token in NOT_NAMES.items()
    if not (at == ("code",) and kind == "unknown")
]


@pytest.mark.parametrize(
    ("name", "at", "kind", "token"), NAMES, ids=[f"{row[0]} {row[1][-1]} {row[2]}" for row in NAMES]
)
def test_what_names_nothing_is_refused(
    stage: Stage, name: str, at: tuple[Any, ...], kind: str, token: str
) -> None:
    target = BY_NAME[name]
    _refused(stage, target, _with(target, at, token))


GOOD = {target.name: json.dumps(target.body) for target in TARGETS}


def _bodies(text: str) -> dict[str, bytes]:
    """Return what is wrong with any JSON body as a whole."""
    return {
        "nothing": b"",
        "null": b"null",
        "a number": b"1",
        "a list": b"[]",
        "a list of numbers": b"[1, 2]",
        "an empty object": b"{}",
        "text": b'"text"',
        "utf-16": text.encode("utf-16"),
        "utf-16 without mark": text.encode("utf-16-le"),
        "bom": b"\xef\xbb\xbf" + text.encode(),
        "latin-1": text.replace("UP", "UP\u00e9").encode("latin-1") + b"\xe9",
        "nul": text.encode() + b"\0",
        "cut": text.encode()[: len(text) // 2],
        "two": text.encode() * 2,
        "comment": text.encode() + b"// x",
        "every key twice": text.encode()[:-1] + b"," + text.encode()[1:],
        "one key more": text.encode()[:-1] + b', "surprise": 1}',
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "deep objects": b'{"a":' * 30_000,
        "deep inside": text.encode()[:-1] + b', "x": ' + b"[" * 500 + b"]" * 500 + b"}",
        "a million": b"[" + b"1," * 1_000_000 + b"1]",
        "a million inside": text.encode()[:-1] + b', "x": [' + b"1," * 1_000_000 + b"1]}",
        "many keys": b"{" + b",".join(b'"%d":1' % i for i in range(200_000)) + b"}",
        "too long": text.encode()[:-1] + b" " * 5_300_000 + b"}",
        "long text": json.dumps({"a": "x" * 5_000_000}).encode(),
        "form": b"a=1&b=2",
        "xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    }


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("kind", list(_bodies("{}")))
def test_bodies_that_are_wrong_as_a_whole_are_refused(
    stage: Stage, target: Target, kind: str
) -> None:
    problem = _refused(stage, target, _bodies(GOOD[target.name])[kind])
    assert "/etc" not in json.dumps(problem)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml", "text/xml", "application/x-www-form-urlencoded", "text/plain",
        "multipart/form-data; boundary=x", "application/zip", "application/octet-stream", "",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "x" * 400,
    ],
)  # fmt: skip
def test_other_formats_are_refused(stage: Stage, target: Target, content_type: str) -> None:
    problem = _refused(stage, target, GOOD[target.name].encode(), content_type)
    assert problem["code"] == "unsupported-media-type"


def _zip(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"\0" * size)
    return out.getvalue()


def _nested(levels: int) -> bytes:
    body = b"\0" * 10_000_000
    for _ in range(levels):
        body = gzip.compress(body)
    return body


def _gzip_of_300_mb() -> bytes:
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(zeros.compress(b"\0" * 1_000_000) for _ in range(300)) + zeros.flush()


def _gzip_of_spaces() -> bytes:
    spaces = zlib.compressobj(9, zlib.DEFLATED, 31)
    return spaces.compress(b"{" + b" " * 300_000_000 + b"}") + spaces.flush()


def _gzip_of_rows() -> bytes:
    return gzip.compress(b"".join(b"%015d\n" % (i * i) for i in range(1_000_000)))


def _gzip_of_a_list() -> bytes:
    return gzip.compress(b"[" + b"".join(b"%d," % (i * i) for i in range(300_000)) + b"1]")


# packed bodies, made when a test first sends them; 300 MB of zeros are 292 kB
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip of 300 MB": (_gzip_of_300_mb, "gzip"),
    "gzip of spaces": (_gzip_of_spaces, "gzip"),
    "gzip of 16 MB": (_gzip_of_rows, "gzip"),
    "gzip of a long list": (_gzip_of_a_list, "gzip"),
    "gzip in gzip": (lambda: _nested(2), "gzip"),
    "gzip cut": (lambda: _bomb("gzip of 16 MB")[:-2_000], "gzip"),
    "gzip and more": (lambda: gzip.compress(b"{}") * 2, "gzip"),
    "no gzip": (lambda: b"{}", "gzip"),
    "empty gzip": (lambda: gzip.compress(b""), "gzip"),
    "deflate": (lambda: zlib.compress(b"{}"), "deflate"),
    "brotli": (lambda: b"\x0b\x02\x80{}\x03", "br"),
    "twice": (lambda: gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
    "workbook": (lambda: _zip(20_000_000), "identity"),
}


@cache
def _bomb(kind: str) -> bytes:
    make, _ = BOMBS[kind]
    return make()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
@pytest.mark.parametrize("kind", list(BOMBS))
def test_bombs_are_refused_in_time_and_space(
    stage: Stage, target: Target, kind: str, content_type: str
) -> None:
    body, packing = _bomb(kind), BOMBS[kind][1]
    tracemalloc.start()
    try:
        _refused(stage, target, body, content_type, **{"Content-Encoding": packing})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < PEAK_BYTES


TABLE_BODIES = {
    "nothing": b"",
    "blank lines": b"\n\n\n",
    "header only of others": b"a,b,c\n",
    "utf-16": "point_number,start_at\n".encode("utf-16"),
    "nul": b"point_number,start_at,energy_kwh\n\0,\0,\0\n",
    "open quote": b'point_number,start_at,energy_kwh\n"1,2,3\n',
    "formula": b"point_number,start_at,energy_kwh\n=1+1,=NOW(),=A1\n",
    "wide": b",".join(b"c%d" % i for i in range(10_000)) + b"\n",
    "one long cell": b"point_number,start_at,energy_kwh\n" + b"9" * 4_000_000,
    "many commas": b"point_number,start_at,energy_kwh\n" + b"," * 4_000_000,
    "many lines": b"point_number,start_at,energy_kwh\n" + b"1,2,3\n" * 700_000,
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("kind", list(TABLE_BODIES))
def test_tables_that_are_none_are_refused(stage: Stage, target: Target, kind: str) -> None:
    _refused(stage, target, TABLE_BODIES[kind], "text/csv")


@pytest.mark.parametrize("at", [0.02, 0.3, 0.5, 0.8, 0.98])
def test_an_upload_that_is_cut_stores_nothing(stage: Stage, at: float) -> None:
    body = json.dumps(
        {"series": [{**BY_NAME["readings"].body["series"][0], "energy_kwh": ["1.5"] * 48}]}
    ).encode()
    _refused(stage, BY_NAME["readings"], body[: int(len(body) * at)])


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_table_is_read_as_offices_write_it(stage: Stage, line_end: str, encoding: str) -> None:
    rows = ["point_number,start_at,energy_kwh", f"{POINT},2026-11-24T00:00:00+09:00,1.5"]
    body = line_end.join(rows).encode(encoding)
    answer, _ = stage.send(BY_NAME["readings"], body, "text/csv; charset=utf-8")
    assert answer.status_code == 201, answer.content


def test_a_wrong_row_in_the_middle_stores_nothing_and_names_its_line(stage: Stage) -> None:
    rows = ["point_number,start_at,energy_kwh"]
    rows += [f"{POINT},2026-11-24T{hour:02}:00:00+09:00,1.5" for hour in range(6)]
    rows[3] = f"{POINT},2026-11-24T02:00:00,1.5"
    problem = _refused(stage, BY_NAME["readings"], "\n".join(rows).encode(), "text/csv")
    assert [entry["line"] for entry in problem["errors"]] == [4]
